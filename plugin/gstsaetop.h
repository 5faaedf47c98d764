/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_SAE_TOP (gst_sae_top_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeTop, gst_sae_top, GST, SAE_TOP, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (saetop);

G_END_DECLS
