/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_SAE_NPY_ENC (gst_sae_npy_enc_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeNpyEnc, gst_sae_npy_enc, GST, SAE_NPY_ENC,
    GstElement)

GST_ELEMENT_REGISTER_DECLARE (saenpyenc);

G_END_DECLS
