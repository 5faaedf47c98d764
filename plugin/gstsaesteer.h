/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstsaefilter.h"

G_BEGIN_DECLS

#define GST_TYPE_SAE_STEER (gst_sae_steer_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeSteer, gst_sae_steer, GST, SAE_STEER, GstSaeFilter)

GST_ELEMENT_REGISTER_DECLARE (saesteer)

G_END_DECLS
