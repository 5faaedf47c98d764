/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstsaefilter.h"

G_BEGIN_DECLS

#define GST_TYPE_SAE_DECODER (gst_sae_decoder_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeDecoder, gst_sae_decoder, GST, SAE_DECODER,
    GstSaeFilter)

GST_ELEMENT_REGISTER_DECLARE (saedecoder);

G_END_DECLS
