/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaefloats.h"

void
gst_sae_floats_clear (GstSaeFloats *floats)
{
  g_clear_pointer (&floats->data, g_free);
  floats->n = 0;
}

static gboolean
reserve (GstSaeFloats *floats, gsize n, GError **error)
{
  if (n <= floats->n && floats->data)
    return TRUE;
  g_free (floats->data);
  floats->data = g_try_malloc_n (MAX (n, 1), sizeof (float));
  floats->n = floats->data ? n : 0;
  if (!floats->data)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no memory to convert %" G_GSIZE_FORMAT " numbers to float32", n);
  return floats->data != NULL;
}

const float *
gst_sae_floats_get (GstSaeFloats *floats, const GstSaeReader *reader,
    guint index, GError **error)
{
  GstSaeType type = reader->tensors[index].type;
  gconstpointer data = reader->data[index];
  gsize n = reader->size[index] / gst_sae_type_size (type);
  SaeDtype dtype;

  if (!gst_sae_type_to_dtype (type, &dtype) || !sae_dtype_is_float (dtype)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "tensor %u: expected float32, float16 or float64, got %s", index,
        gst_sae_type_name (type));
    return NULL;
  }
  if (dtype == SAE_DTYPE_FLOAT32 && ((guintptr) data & 3) == 0)
    return data;
  if (!reserve (floats, n, error))
    return NULL;
  sae_dtype_to_float32 (dtype, data, n, floats->data);
  return floats->data;
}
