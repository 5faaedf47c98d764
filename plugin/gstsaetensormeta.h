/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_SAE_TENSOR_META (gst_sae_tensor_meta_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeTensorMeta, gst_sae_tensor_meta, GST,
    SAE_TENSOR_META, GstElement)

GST_ELEMENT_REGISTER_DECLARE (saetensormeta);

G_END_DECLS
