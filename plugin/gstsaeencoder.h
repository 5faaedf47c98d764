/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstsaefilter.h"

G_BEGIN_DECLS

#define GST_TYPE_SAE_ENCODER (gst_sae_encoder_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeEncoder, gst_sae_encoder, GST, SAE_ENCODER,
    GstSaeFilter)

GST_ELEMENT_REGISTER_DECLARE (saeencoder);

G_END_DECLS
