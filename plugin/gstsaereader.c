/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where a tensor's bytes begin follows from the caps or the headers and the
 * size of the whole buffer, never from where its memories are cut. */
#include "gstsaetensors.h"

#include <string.h>

/* Of each tensor in scratch; enough for any vector load and any type. */
#define SCRATCH_ALIGNMENT 64

void
gst_sae_reader_init (GstSaeReader *reader)
{
  memset (reader, 0, sizeof *reader);
}

void
gst_sae_reader_clear (GstSaeReader *reader)
{
  gst_sae_reader_close (reader);
  g_free (reader->scratch);
  gst_sae_reader_init (reader);
}

void
gst_sae_reader_close (GstSaeReader *reader)
{
  for (guint i = 0; i < reader->n_maps; i++)
    gst_memory_unmap (reader->memories[i], &reader->maps[i]);
  reader->n_maps = 0;
  reader->n_tensors = 0;
}

/* --- bytes of any cut --- */

/* Like gst_buffer_extract (), which does not look at whether a map failed. */
static gboolean
copy_range (GstBuffer *buffer, gsize offset, guint8 *dst, gsize size)
{
  guint first, length;
  gsize skip;

  if (!gst_buffer_find_memory (buffer, offset, size, &first, &length, &skip))
    return FALSE;
  for (guint i = first; i < first + length; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);
    GstMapInfo map;
    gsize n;
    if (!gst_memory_map (memory, &map, GST_MAP_READ))
      return FALSE;
    n = MIN (map.size - skip, size);
    if (n > 0)
      memcpy (dst, map.data + skip, n);
    gst_memory_unmap (memory, &map);
    dst += n;
    size -= n;
    skip = 0;
  }
  return size == 0;
}

static gboolean
refuse_map (guint index, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_READ,
      "tensor %u: the buffer's memory cannot be mapped for reading", index);
  return FALSE;
}

/* --- where the tensors are --- */

/* Scales the outermost dimension, or flattens, when @n_rows are not those of
 * the dims; 0 rows leave them, since dims cannot say 0. */
static gboolean
adjust_dims (GstSaeTensor *tensor, gsize n_rows, GError **error)
{
  gsize inner = 1;
  guint outermost = MAX (tensor->rank, 2) - 1;

  for (guint i = 1; i < outermost; i++)
    inner *= tensor->dims[i];
  if (n_rows == 0 || n_rows == inner * tensor->dims[outermost])
    return TRUE;
  if (n_rows % inner != 0) {
    for (guint i = 1; i < tensor->rank; i++)
      tensor->dims[i] = 1;
    outermost = 1;
    inner = 1;
  }
  if (n_rows / inner > G_MAXUINT32) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "tensor: expected at most %u rows, got %" G_GSIZE_FORMAT, G_MAXUINT32,
        n_rows / inner);
    return FALSE;
  }
  tensor->dims[outermost] = (guint32) (n_rows / inner);
  tensor->rank = outermost + 1;
  while (tensor->rank > 1 && tensor->dims[tensor->rank - 1] == 1)
    tensor->rank--;
  return TRUE;
}

static gsize
count_row_bytes (const GstSaeTensor *tensor)
{
  return tensor->dims[0] * gst_sae_type_size (tensor->type);
}

static gsize
find_common_divisor (gsize a, gsize b)
{
  while (b != 0) {
    gsize rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static gboolean
refuse_size (const GstSaeReader *reader, gsize unit, gsize size, GError **error)
{
  g_autoptr (GString) rows = g_string_new (NULL);

  for (guint i = 0; i < reader->n_tensors; i++)
    g_string_append_printf (rows, "%s%u %s", i == 0 ? "" : " and ",
        reader->tensors[i].dims[0],
        gst_sae_type_name (reader->tensors[i].type));
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "buffer: expected whole rows of %s, a multiple of %" G_GSIZE_FORMAT
      " bytes, got %" G_GSIZE_FORMAT,
      rows->str, unit, size);
  return FALSE;
}

/* The smallest buffer whose tensors have rows in the proportion of the caps.
 * FALSE on overflow. */
static gboolean
measure_unit (GstSaeReader *reader, gsize *unit)
{
  gsize divisor = 0;

  *unit = 0;
  for (guint i = 0; i < reader->n_tensors; i++) {
    if (!gst_sae_tensor_n_rows (&reader->tensors[i], &reader->n_rows[i]))
      return FALSE;
    divisor = find_common_divisor (divisor, reader->n_rows[i]);
  }
  for (guint i = 0; i < reader->n_tensors; i++) {
    reader->n_rows[i] /= divisor;
    if (!g_size_checked_mul (&reader->size[i], reader->n_rows[i],
            count_row_bytes (&reader->tensors[i])) ||
        !g_size_checked_add (unit, *unit, reader->size[i]))
      return FALSE;
  }
  return TRUE;
}

static gboolean
place_static (GstSaeReader *reader, gsize *offsets, gsize size,
    const GstSaeTensors *tensors, GError **error)
{
  gsize unit, offset = 0;

  reader->n_tensors = tensors->n_tensors;
  memcpy (reader->tensors, tensors->tensors,
      tensors->n_tensors * sizeof tensors->tensors[0]);
  if (!measure_unit (reader, &unit))
    return refuse_size (reader, G_MAXSIZE, size, error);
  if (unit == 0 || size % unit != 0)
    return refuse_size (reader, unit, size, error);
  for (guint i = 0; i < reader->n_tensors; i++) {
    reader->n_rows[i] *= size / unit;
    reader->size[i] *= size / unit;
    offsets[i] = offset;
    offset += reader->size[i];
    if (!adjust_dims (&reader->tensors[i], reader->n_rows[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_header (GstSaeHeader *header, guint index, GstBuffer *buffer, gsize offset,
    gsize left, GError **error)
{
  guint8 bytes[GST_SAE_HEADER_SIZE];
  gsize size = MIN (left, sizeof bytes);

  if (index == GST_SAE_MAX_TENSORS) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "buffer: expected at most %d tensors, %" G_GSIZE_FORMAT
        " bytes are left over",
        GST_SAE_MAX_TENSORS, left);
    return FALSE;
  }
  if (!copy_range (buffer, offset, bytes, size))
    return refuse_map (index, error);
  if (gst_sae_header_read (header, bytes, size, error))
    return TRUE;
  g_prefix_error (error, "tensor %u at byte %" G_GSIZE_FORMAT ": ", index,
      offset);
  return FALSE;
}

/* Places one tensor and moves @offset behind its header. */
static gboolean
place_flexible_tensor (GstSaeReader *reader, gsize *offset, GstBuffer *buffer,
    gsize buffer_size, GError **error)
{
  guint index = reader->n_tensors;
  gsize size = 0, left = buffer_size - *offset;
  GstSaeHeader header;

  if (!read_header (&header, index, buffer, *offset, left, error))
    return FALSE;
  left -= GST_SAE_HEADER_SIZE;
  gst_sae_tensor_size (&header.tensor, &size);
  gst_sae_tensor_n_rows (&header.tensor, &reader->n_rows[index]);
  if (buffer_size == GST_SAE_HEADER_SIZE) {
    /* A header cannot say 0 rows: one without data does. */
    size = 0;
    reader->n_rows[index] = 0;
  }
  if (size > left) {
    g_autofree gchar *dims = gst_sae_tensor_dims_to_string (&header.tensor);
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "tensor %u: expected %" G_GSIZE_FORMAT
        " bytes after a header of %s %s, got %" G_GSIZE_FORMAT,
        index, size, dims, gst_sae_type_name (header.tensor.type), left);
    return FALSE;
  }
  reader->tensors[index] = header.tensor;
  reader->size[index] = size;
  reader->n_tensors++;
  *offset += GST_SAE_HEADER_SIZE;
  return TRUE;
}

static gboolean
place_flexible (GstSaeReader *reader, gsize *offsets, GstBuffer *buffer,
    gsize size, GError **error)
{
  gsize offset = 0;

  while (offset < size) {
    guint index = reader->n_tensors;
    if (!place_flexible_tensor (reader, &offset, buffer, size, error))
      return FALSE;
    offsets[index] = offset;
    offset += reader->size[index];
  }
  return TRUE;
}

static gboolean
check_sparse_dims (const GstSaeTensor *tensor, gsize n_rows, GError **error)
{
  g_autofree gchar *dims = NULL;

  if (n_rows <= GST_SAE_SPARSE_MAX_ROWS &&
      (guint64) n_rows * tensor->dims[0] <= GST_SAE_SPARSE_MAX_ELEMENTS)
    return TRUE;
  dims = gst_sae_tensor_dims_to_string (tensor);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "sparse tensor: expected at most %u rows and 2^32 elements, got %s",
      GST_SAE_SPARSE_MAX_ROWS, dims);
  return FALSE;
}

/* The caps say that it is sparse; what the header says of that is not looked
 * at, since it is often left at 0. */
static gboolean
place_sparse (GstSaeReader *reader, gsize *offsets, GstBuffer *buffer,
    gsize size, GError **error)
{
  GstSaeHeader header;
  guint64 expected;

  if (size == 0)
    return TRUE;
  if (!read_header (&header, 0, buffer, 0, size, error))
    return FALSE;
  if (!gst_sae_tensor_n_rows (&header.tensor, &reader->n_rows[0]) ||
      !check_sparse_dims (&header.tensor, reader->n_rows[0], error))
    return FALSE;
  expected = (guint64) header.nnz *
             (gst_sae_type_size (header.tensor.type) + sizeof (guint32));
  size -= GST_SAE_HEADER_SIZE;
  if (size != expected) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "sparse tensor: expected %" G_GUINT64_FORMAT
        " bytes after a header of %u values of %s, got %" G_GSIZE_FORMAT,
        expected, header.nnz, gst_sae_type_name (header.tensor.type), size);
    return FALSE;
  }
  reader->tensors[0] = header.tensor;
  reader->nnz = header.nnz;
  reader->size[0] = size;
  reader->n_tensors = 1;
  offsets[0] = GST_SAE_HEADER_SIZE;
  return TRUE;
}

/* --- their bytes --- */

/* Points data[@index] into the buffer's own memory when the tensor lies in
 * one memory and is aligned for its type; else leaves it NULL. */
static gboolean
map_in_place (GstSaeReader *reader, guint index, gsize offset,
    GstBuffer *buffer, GError **error)
{
  guint n = reader->n_maps;
  guint first, length;
  gsize skip;

  if (!gst_buffer_find_memory (buffer, offset, reader->size[index], &first,
          &length, &skip))
    return refuse_map (index, error);
  if (length != 1)
    return TRUE;
  reader->memories[n] = gst_buffer_peek_memory (buffer, first);
  if (!gst_memory_map (reader->memories[n], &reader->maps[n], GST_MAP_READ))
    return refuse_map (index, error);
  if ((guintptr) (reader->maps[n].data + skip) %
          gst_sae_type_size (reader->tensors[index].type) !=
      0) {
    gst_memory_unmap (reader->memories[n], &reader->maps[n]);
    return TRUE;
  }
  reader->data[index] = reader->maps[n].data + skip;
  reader->n_maps++;
  return TRUE;
}

static gsize
round_up (gsize size)
{
  return (size + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

static gboolean
grow_scratch (GstSaeReader *reader, gsize size, GError **error)
{
  if (size <= reader->scratch_size)
    return TRUE;
  g_free (reader->scratch);
  reader->scratch = g_try_malloc (size);
  reader->scratch_size = reader->scratch ? size : 0;
  if (reader->scratch)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "no memory for %" G_GSIZE_FORMAT " bytes of tensors", size);
  return FALSE;
}

static gboolean
gather (GstSaeReader *reader, const gsize *offsets, GstBuffer *buffer,
    GError **error)
{
  gsize size = 0;
  guint8 *next;

  for (guint i = 0; i < reader->n_tensors; i++)
    if (!reader->data[i])
      size += round_up (reader->size[i]);
  if (!grow_scratch (reader, size + SCRATCH_ALIGNMENT, error))
    return FALSE;
  next = reader->scratch;
  next += (SCRATCH_ALIGNMENT - (guintptr) next % SCRATCH_ALIGNMENT) %
          SCRATCH_ALIGNMENT;
  for (guint i = 0; i < reader->n_tensors; i++) {
    if (reader->data[i])
      continue;
    if (reader->size[i] > 0 &&
        !copy_range (buffer, offsets[i], next, reader->size[i]))
      return refuse_map (i, error);
    reader->data[i] = next;
    next += round_up (reader->size[i]);
  }
  return TRUE;
}

static gboolean
place_tensors (GstSaeReader *reader, gsize *offsets, GstBuffer *buffer,
    const GstSaeTensors *tensors, GError **error)
{
  gsize size = gst_buffer_get_size (buffer);

  switch (tensors->format) {
    case GST_SAE_FORMAT_STATIC:
      return place_static (reader, offsets, size, tensors, error);
    case GST_SAE_FORMAT_FLEXIBLE:
      return place_flexible (reader, offsets, buffer, size, error);
    case GST_SAE_FORMAT_SPARSE:
      return place_sparse (reader, offsets, buffer, size, error);
  }
  g_return_val_if_reached (FALSE);
}

gboolean
gst_sae_reader_open (GstSaeReader *reader, GstBuffer *buffer,
    const GstSaeTensors *tensors, GError **error)
{
  if (tensors->format != GST_SAE_FORMAT_SPARSE)
    return gst_sae_reader_open_any (reader, buffer, tensors, error);
  gst_sae_reader_close (reader);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "tensors: expected format static or flexible, got sparse");
  return FALSE;
}

gboolean
gst_sae_reader_open_any (GstSaeReader *reader, GstBuffer *buffer,
    const GstSaeTensors *tensors, GError **error)
{
  gsize offsets[GST_SAE_MAX_TENSORS];
  gboolean cut = FALSE;

  gst_sae_reader_close (reader);
  reader->format = tensors->format;
  reader->nnz = 0;
  if (!place_tensors (reader, offsets, buffer, tensors, error))
    goto failed;
  for (guint i = 0; i < reader->n_tensors; i++) {
    reader->data[i] = NULL;
    if (reader->size[i] > 0 &&
        !map_in_place (reader, i, offsets[i], buffer, error))
      goto failed;
    cut = cut || !reader->data[i];
  }
  if (cut && !gather (reader, offsets, buffer, error))
    goto failed;
  return TRUE;

failed:
  gst_sae_reader_close (reader);
  return FALSE;
}
