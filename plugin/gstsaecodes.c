/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaecodes.h"

GType
gst_sae_codes_format_get_type (void)
{
  static gsize type;
  static const GEnumValue values[] = {
      {GST_SAE_CODES_AUTO, "The smallest that downstream takes", "auto"},
      {GST_SAE_CODES_PAIRS, "Index and value of the active latents (top-k)",
          "pairs"},
      {GST_SAE_CODES_DENSE, "All latents, 0 where inactive", "dense"},
      {GST_SAE_CODES_SPARSE, "The active latents as a sparse tensor", "sparse"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        g_enum_register_static ("GstSaeCodesFormat", values));
  return type;
}

gboolean
gst_sae_caps_are_tensors (const GstCaps *caps)
{
  return gst_caps_is_fixed (caps) &&
         gst_structure_has_name (gst_caps_get_structure (caps, 0),
             "other/tensors");
}

gboolean
gst_sae_codes_can_be_pairs (const SaeConfig *config)
{
  return config->sparsity == SAE_SPARSITY_GROUP_MAX ||
         (config->sparsity == SAE_SPARSITY_TOP_K &&
             config->ties == SAE_TIES_LOWEST_INDEX);
}

GstSaeTensor
gst_sae_tensor_with_width (const GstSaeTensor *rows, GstSaeType type,
    guint32 width)
{
  GstSaeTensor tensor = *rows;

  tensor.type = type;
  tensor.dims[0] = width;
  return tensor;
}

void
gst_sae_codes_describe_pairs (const GstSaeTensor *rows, const SaeConfig *config,
    GstSaeTensors *codes)
{
  guint k = MAX (config->k, 1);

  *codes = (GstSaeTensors){.format = GST_SAE_FORMAT_STATIC};
  codes->n_tensors = 2;
  codes->tensors[0] = gst_sae_tensor_with_width (rows, GST_SAE_UINT32, k);
  codes->tensors[1] = gst_sae_tensor_with_width (rows, GST_SAE_FLOAT32, k);
}

void
gst_sae_codes_describe_dense (const GstSaeTensor *rows, const SaeConfig *config,
    GstSaeTensors *codes)
{
  *codes = (GstSaeTensors){.format = GST_SAE_FORMAT_STATIC};
  codes->n_tensors = 1;
  codes->tensors[0] =
      gst_sae_tensor_with_width (rows, GST_SAE_FLOAT32, config->d_sae);
}

void
gst_sae_codes_describe_sparse (const GstSaeTensor *rows,
    const SaeConfig *config, GstSaeTensors *codes)
{
  gst_sae_codes_describe_dense (rows, config, codes);
  codes->format = GST_SAE_FORMAT_SPARSE;
}

gboolean
gst_sae_codes_can_be_sparse (gsize n_rows, guint d_sae)
{
  return n_rows <= GST_SAE_SPARSE_MAX_ROWS &&
         (guint64) n_rows * d_sae <= GST_SAE_SPARSE_MAX_ELEMENTS;
}

gboolean
gst_sae_codes_are_pairs (const GstSaeTensors *codes)
{
  return codes->n_tensors == 2 && codes->tensors[0].type == GST_SAE_UINT32 &&
         codes->tensors[1].type == GST_SAE_FLOAT32;
}
