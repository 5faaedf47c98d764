/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetensors.h"

#include <string.h>

/* NNStreamer's GstTensorMetaInfo, version 1.0, in the byte order of the
 * machine that wrote it. */
#define MAGIC 0xfeedccedu
#define VERSION 0xde001000u
#define MEDIA_TYPE_TENSOR 4

#define AT_MAGIC 0
#define AT_VERSION 4
#define AT_TYPE 8
#define AT_DIMS 12
#define AT_FORMAT 76
#define AT_MEDIA_TYPE 80
#define AT_NNZ 84

static guint32
load_u32 (const guint8 *data, gsize offset)
{
  guint32 value;
  memcpy (&value, data + offset, sizeof value);
  return value;
}

static void
store_u32 (guint8 *data, gsize offset, guint32 value)
{
  memcpy (data + offset, &value, sizeof value);
}

static gboolean
refuse_word (const gchar *name, guint32 expected, guint32 got, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "tensor header, %s: expected 0x%08x, got 0x%08x%s", name, expected, got,
      got == GUINT32_SWAP_LE_BE (expected)
          ? ", written on a machine of the other byte order"
          : "");
  return FALSE;
}

static gboolean
read_dims (GstSaeTensor *tensor, const guint8 *data, GError **error)
{
  gboolean ended = FALSE;
  gsize size;

  tensor->rank = 1;
  for (guint i = 0; i < GST_SAE_MAX_RANK; i++) {
    guint32 dim = load_u32 (data, AT_DIMS + 4 * i);
    if ((i == 0 && dim == 0) || (ended && dim != 0)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "tensor header, dimensions: expected sizes ended by 0, got %u for "
          "dimension %u",
          dim, i);
      return FALSE;
    }
    ended = ended || dim == 0;
    tensor->dims[i] = ended ? 1 : dim;
    if (tensor->dims[i] != 1)
      tensor->rank = i + 1;
  }
  if (gst_sae_tensor_size (tensor, &size))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "tensor header: the dimensions overflow the address space");
  return FALSE;
}

gboolean
gst_sae_header_read (GstSaeHeader *header, const guint8 *data, gsize size,
    GError **error)
{
  guint32 type, format;

  if (size < GST_SAE_HEADER_SIZE) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "tensor header: expected %d bytes, got %" G_GSIZE_FORMAT,
        GST_SAE_HEADER_SIZE, size);
    return FALSE;
  }
  if (load_u32 (data, AT_MAGIC) != MAGIC)
    return refuse_word ("magic", MAGIC, load_u32 (data, AT_MAGIC), error);
  if (load_u32 (data, AT_VERSION) != VERSION)
    return refuse_word ("version", VERSION, load_u32 (data, AT_VERSION), error);
  type = load_u32 (data, AT_TYPE);
  format = load_u32 (data, AT_FORMAT);
  if (type > GST_SAE_FLOAT16 || format > GST_SAE_FORMAT_SPARSE) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "tensor header: expected a type of 0 to %d and a format of 0 to %d, "
        "got %u and %u",
        GST_SAE_FLOAT16, GST_SAE_FORMAT_SPARSE, type, format);
    return FALSE;
  }
  header->tensor.type = (GstSaeType) type;
  header->format = (GstSaeFormat) format;
  header->nnz = load_u32 (data, AT_NNZ);
  return read_dims (&header->tensor, data, error);
}

void
gst_sae_header_write (const GstSaeHeader *header, guint8 *data)
{
  const GstSaeTensor *tensor = &header->tensor;

  memset (data, 0, GST_SAE_HEADER_SIZE);
  store_u32 (data, AT_MAGIC, MAGIC);
  store_u32 (data, AT_VERSION, VERSION);
  store_u32 (data, AT_TYPE, (guint32) tensor->type);
  for (guint i = 0; i < MAX (tensor->rank, 2); i++)
    store_u32 (data, AT_DIMS + 4 * i, tensor->dims[i]);
  store_u32 (data, AT_FORMAT, (guint32) header->format);
  store_u32 (data, AT_MEDIA_TYPE, MEDIA_TYPE_TENSOR);
  store_u32 (data, AT_NNZ, header->nnz);
}
