/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaemetatensors.h"

/* --- types --- */

typedef struct {
  GstTensorDataType theirs;
  GstSaeType ours;
} TypePair;

static const TypePair type_pairs[] = {
    {GST_TENSOR_DATA_TYPE_INT8, GST_SAE_INT8},
    {GST_TENSOR_DATA_TYPE_INT16, GST_SAE_INT16},
    {GST_TENSOR_DATA_TYPE_INT32, GST_SAE_INT32},
    {GST_TENSOR_DATA_TYPE_INT64, GST_SAE_INT64},
    {GST_TENSOR_DATA_TYPE_UINT8, GST_SAE_UINT8},
    {GST_TENSOR_DATA_TYPE_UINT16, GST_SAE_UINT16},
    {GST_TENSOR_DATA_TYPE_UINT32, GST_SAE_UINT32},
    {GST_TENSOR_DATA_TYPE_UINT64, GST_SAE_UINT64},
    {GST_TENSOR_DATA_TYPE_FLOAT16, GST_SAE_FLOAT16},
    {GST_TENSOR_DATA_TYPE_FLOAT32, GST_SAE_FLOAT32},
    {GST_TENSOR_DATA_TYPE_FLOAT64, GST_SAE_FLOAT64},
};

static gboolean
to_our_type (GstTensorDataType theirs, GstSaeType *ours)
{
  for (guint i = 0; i < G_N_ELEMENTS (type_pairs); i++) {
    if (type_pairs[i].theirs == theirs) {
      *ours = type_pairs[i].ours;
      return TRUE;
    }
  }
  return FALSE;
}

static GstTensorDataType
to_their_type (GstSaeType ours)
{
  guint i = 0;

  while (type_pairs[i].ours != ours)
    i++;
  return type_pairs[i].theirs;
}

/* --- theirs to ours --- */

static gboolean
read_type (GstSaeTensor *tensor, const GstTensor *theirs, GError **error)
{
  if (theirs->layout != GST_TENSOR_LAYOUT_CONTIGUOUS) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "expected a contiguous layout, got %d", theirs->layout);
    return FALSE;
  }
  if (to_our_type (theirs->data_type, &tensor->type))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "expected whole numbers of 8 to 64 bits, float16, float32 or float64, "
      "got GstTensorDataType %d",
      theirs->data_type);
  return FALSE;
}

/* Theirs are outermost first, ours innermost first. A list of nothing has no
 * rows, but rows of nothing are none. */
static gboolean
read_dims (GstSaeTensor *tensor, const GstTensor *theirs, GError **error)
{
  gboolean row_major = theirs->dims_order == GST_TENSOR_DIM_ORDER_ROW_MAJOR;
  gsize n = theirs->num_dims;

  if (n < 1 || n > GST_SAE_MAX_RANK) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "expected 1 to %d dimensions, got %" G_GSIZE_FORMAT, GST_SAE_MAX_RANK,
        n);
    return FALSE;
  }
  tensor->rank = 1;
  for (guint i = 0; i < GST_SAE_MAX_RANK; i++) {
    gsize dim = i < n ? theirs->dims[row_major ? n - 1 - i : i] : 1;
    if (dim > G_MAXUINT32 || (i == 0 && dim == 0 && n > 1)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "dimensions: expected sizes of 1 to %u, got %" G_GSIZE_FORMAT,
          G_MAXUINT32, dim);
      return FALSE;
    }
    tensor->dims[i] = (guint32) dim;
    if (dim != 1)
      tensor->rank = i + 1;
  }
  return TRUE;
}

static gboolean
check_size (const GstSaeTensor *tensor, const GstTensor *theirs, GError **error)
{
  gsize got = theirs->data ? gst_buffer_get_size (theirs->data) : 0;
  g_autofree gchar *dims = NULL;
  gsize size;

  if (gst_sae_tensor_size (tensor, &size) && size == got)
    return TRUE;
  dims = gst_sae_tensor_dims_to_string (tensor);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "expected the bytes of %s %s, got %" G_GSIZE_FORMAT, dims,
      gst_sae_type_name (tensor->type), got);
  return FALSE;
}

static gboolean
read_tensor (GstSaeTensor *tensor, const GstTensor *theirs, GError **error)
{
  if (read_type (tensor, theirs, error) && read_dims (tensor, theirs, error) &&
      check_size (tensor, theirs, error))
    return TRUE;
  g_prefix_error (error,
      "tensor \"%s\": ", theirs->id ? g_quark_to_string (theirs->id) : "");
  return FALSE;
}

static gboolean
refuse_id (GstTensorMeta *meta, GQuark id, GError **error)
{
  g_autoptr (GString) ids = g_string_new (NULL);

  for (gsize i = 0; i < meta->num_tensors; i++)
    g_string_append_printf (ids, "%s\"%s\"", i ? ", " : "",
        meta->tensors[i]->id ? g_quark_to_string (meta->tensors[i]->id) : "");
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "tensor-id: expected a tensor \"%s\", the buffer has %s",
      g_quark_to_string (id), ids->len ? ids->str : "none");
  return FALSE;
}

/* Caps cannot say that a tensor has no rows: the frame has none then. */
static gboolean
is_any_empty (const GstSaeTensors *tensors, guint n)
{
  gsize size;

  for (guint i = 0; i < n; i++)
    if (gst_sae_tensor_size (&tensors->tensors[i], &size) && size == 0)
      return TRUE;
  return FALSE;
}

gboolean
gst_sae_meta_tensors_read (GstTensorMeta *meta, GQuark id,
    GstSaeTensors *tensors, GstBuffer *data[GST_SAE_MAX_TENSORS],
    GError **error)
{
  guint n = 0;

  *tensors = (GstSaeTensors){.format = GST_SAE_FORMAT_STATIC, .fps_d = 1};
  for (gsize i = 0; i < meta->num_tensors; i++) {
    const GstTensor *theirs = meta->tensors[i];
    if (id != 0 && theirs->id != id)
      continue;
    if (n == GST_SAE_MAX_TENSORS) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "expected at most %d tensors, got %" G_GSIZE_FORMAT "; set tensor-id",
          GST_SAE_MAX_TENSORS, meta->num_tensors);
      return FALSE;
    }
    if (!read_tensor (&tensors->tensors[n], theirs, error))
      return FALSE;
    data[n++] = theirs->data;
  }
  if (n == 0)
    return refuse_id (meta, id, error);
  tensors->n_tensors = is_any_empty (tensors, n) ? 0 : n;
  return TRUE;
}

/* --- ours to theirs --- */

static GstTensor *
make_tensor (GQuark id, const GstSaeTensor *tensor, GstBuffer *data)
{
  GstTensor *theirs = gst_tensor_alloc (MAX (tensor->rank, 2));

  theirs->id = id;
  theirs->layout = GST_TENSOR_LAYOUT_CONTIGUOUS;
  theirs->data_type = to_their_type (tensor->type);
  theirs->data = data;
  theirs->dims_order = GST_TENSOR_DIM_ORDER_ROW_MAJOR;
  theirs->num_dims = MAX (tensor->rank, 2);
  for (gsize i = 0; i < theirs->num_dims; i++)
    theirs->dims[theirs->num_dims - 1 - i] = tensor->dims[i];
  return theirs;
}

static GstMemory *
share (GstMemory *memory, gsize skip, gsize size)
{
  if (GST_MEMORY_FLAG_IS_SET (memory, GST_MEMORY_FLAG_NO_SHARE))
    return gst_memory_copy (memory, (gssize) skip, (gssize) size);
  if (skip == 0 && size == gst_memory_get_sizes (memory, NULL, NULL))
    return gst_memory_ref (memory);
  return gst_memory_share (memory, (gssize) skip, (gssize) size);
}

/* Not gst_buffer_copy_region(): the copy of a buffer from a pool has a
 * reference to it, and @buffer is to have the copy in a meta of its own. */
static GstBuffer *
share_region (GstBuffer *buffer, gsize offset, gsize size)
{
  GstBuffer *region = gst_buffer_new ();
  guint first, n;
  gsize skip;

  if (size == 0 ||
      !gst_buffer_find_memory (buffer, offset, size, &first, &n, &skip))
    return region;
  for (guint i = first; i < first + n; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);
    gsize part = MIN (size, gst_memory_get_sizes (memory, NULL, NULL) - skip);
    gst_buffer_append_memory (region, share (memory, skip, part));
    size -= part;
    skip = 0;
  }
  return region;
}

static GQuark
name_tensor (GQuark id, guint index, guint n)
{
  g_autofree gchar *name = NULL;

  if (n == 1)
    return id;
  name = g_strdup_printf ("%s-%u", g_quark_to_string (id), index);
  return g_quark_from_string (name);
}

void
gst_sae_meta_tensors_add (GstBuffer *buffer, const GstSaeReader *reader,
    gsize header_size, GQuark id)
{
  GstTensor **theirs = g_new0 (GstTensor *, reader->n_tensors);
  gsize offset = 0;

  for (guint i = 0; i < reader->n_tensors; i++) {
    offset += header_size;
    theirs[i] = make_tensor (name_tensor (id, i, reader->n_tensors),
        &reader->tensors[i], share_region (buffer, offset, reader->size[i]));
    offset += reader->size[i];
  }
  gst_tensor_meta_set (gst_buffer_add_tensor_meta (buffer), reader->n_tensors,
      theirs);
}
