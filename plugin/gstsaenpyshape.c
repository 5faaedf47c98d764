/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaenpyshape.h"

#include <string.h>

static gboolean
find_dtype (GstSaeType type, SaeDtype *dtype)
{
  if (gst_sae_type_to_dtype (type, dtype))
    return TRUE;
  *dtype = type == GST_SAE_UINT32 ? SAE_DTYPE_UINT32 : SAE_DTYPE_UINT8;
  return type == GST_SAE_UINT32 || type == GST_SAE_UINT8;
}

static gboolean
take_shape (GstSaeNpyShape *shape, const GstSaeTensor *tensor, GError **error)
{
  SaeDtype dtype;

  if (!find_dtype (tensor->type, &dtype)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "tensor: expected float32, float64, float16, uint32 or uint8, got %s",
        gst_sae_type_name (tensor->type));
    return FALSE;
  }
  shape->type = tensor->type;
  shape->n_inner = MAX (tensor->rank, 2) - 1;
  shape->item_rows = 1;
  for (guint i = 0; i < shape->n_inner; i++) {
    shape->inner[i] = tensor->dims[i];
    if (i > 0)
      shape->item_rows *= tensor->dims[i];
  }
  shape->known = TRUE;
  return TRUE;
}

/* Tensors whose outermost dimension is 1 have it trimmed, and ones of other
 * numbers of rows may come flat: only dimensions that are there are compared.
 */
static gboolean
is_same (const GstSaeNpyShape *shape, const GstSaeTensor *tensor)
{
  guint n = shape->n_inner;

  if (tensor->type != shape->type || tensor->dims[0] != shape->inner[0])
    return FALSE;
  return tensor->rank <= n ||
         memcmp (tensor->dims, shape->inner, n * sizeof shape->inner[0]) == 0;
}

gboolean
gst_sae_npy_shape_accept (GstSaeNpyShape *shape, const GstSaeTensor *tensor,
    GError **error)
{
  GstSaeTensor expected = {.type = shape->type, .rank = shape->n_inner};
  g_autofree gchar *expected_dims = NULL;
  g_autofree gchar *dims = NULL;

  if (!shape->known)
    return take_shape (shape, tensor, error);
  if (is_same (shape, tensor))
    return TRUE;
  memcpy (expected.dims, shape->inner, shape->n_inner * sizeof (guint32));
  for (guint i = shape->n_inner; i < GST_SAE_MAX_RANK; i++)
    expected.dims[i] = 1;
  expected_dims = gst_sae_tensor_dims_to_string (&expected);
  dims = gst_sae_tensor_dims_to_string (tensor);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "tensor: expected items of %s %s as at the beginning, got %s %s",
      gst_sae_type_name (shape->type), expected_dims,
      gst_sae_type_name (tensor->type), dims);
  return FALSE;
}

gboolean
gst_sae_npy_shape_count_items (const GstSaeNpyShape *shape, gsize n_rows,
    guint64 *n_items, GError **error)
{
  *n_items = n_rows / shape->item_rows;
  if (n_rows % shape->item_rows == 0)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "tensor: expected a multiple of %" G_GSIZE_FORMAT
      " rows, the inner dimensions, got %" G_GSIZE_FORMAT,
      shape->item_rows, n_rows);
  return FALSE;
}

GBytes *
gst_sae_npy_shape_make_header (const GstSaeNpyShape *shape, guint64 n_items,
    GError **error)
{
  SaeNpyHeader header = {.rank = shape->n_inner + 1};

  find_dtype (shape->type, &header.dtype);
  header.shape[0] = n_items;
  for (guint i = 0; i < shape->n_inner; i++)
    header.shape[shape->n_inner - i] = shape->inner[i];
  return sae_npy_header_build (&header, 0, error);
}
