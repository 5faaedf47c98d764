/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "atomic-write.h"
#include "json-text.h"
#include "safetensors.h"
#include "transpose.h"

#define LENGTH_SIZE 8
#define ALIGNMENT 8

/* Swaps chunks of this many floats on a big-endian machine. */
#define CHUNK_FLOATS 4096

typedef struct {
  int fd;
  const char *label;
} Sink;

static const char *
dtype_of (const SaeTensorSource *tensor)
{
  return tensor->dtype != NULL ? tensor->dtype : "F32";
}

static gboolean
count_bytes (const SaeTensorSource *tensor, guint64 *bytes)
{
  guint bits = sae_safetensors_dtype_bits (dtype_of (tensor));

  *bytes = bits / 8;
  if (tensor->rank > SAE_SAFETENSORS_MAX_RANK || bits == 0 || bits % 8 != 0)
    return FALSE;
  for (guint i = 0; i < tensor->rank; i++)
    if (!g_uint64_checked_mul (bytes, *bytes, tensor->shape[i]) ||
        *bytes > G_MAXSSIZE)
      return FALSE;
  return TRUE;
}

static json_t *
describe_tensor (const SaeTensorSource *tensor, guint64 begin, guint64 end)
{
  json_t *shape = json_array ();
  for (guint i = 0; i < tensor->rank; i++)
    json_array_append_new (shape, json_integer ((json_int_t) tensor->shape[i]));
  return json_pack ("{s:s, s:o, s:[I, I]}", "dtype", dtype_of (tensor), "shape",
      shape, "data_offsets", (json_int_t) begin, (json_int_t) end);
}

static gboolean
add_metadata (json_t *root, const char *const *metadata)
{
  json_t *strings;

  if (metadata == NULL)
    return TRUE;
  strings = json_object ();
  for (guint i = 0; metadata[i] != NULL; i += 2)
    if (json_object_set_new (strings, metadata[i],
            json_string (metadata[i + 1])) != 0) {
      json_decref (strings);
      return FALSE;
    }
  return json_object_set_new (root, "__metadata__", strings) == 0;
}

static char *
build_header (const char *const *metadata, const SaeTensorSource *tensors,
    guint n_tensors)
{
  json_t *root = json_object ();
  guint64 end = 0;
  char *text = NULL;
  gboolean ok = root != NULL && add_metadata (root, metadata);

  for (guint i = 0; ok && i < n_tensors; i++) {
    guint64 bytes;
    ok = count_bytes (&tensors[i], &bytes) && bytes <= G_MAXSSIZE - end &&
         json_object_set_new (root, tensors[i].name,
             describe_tensor (&tensors[i], end, end + bytes)) == 0;
    end += ok ? bytes : 0;
  }
  if (ok)
    text = sae_json_write (root, JSON_COMPACT);
  json_decref (root);
  return text;
}

static gboolean
write_header (const Sink *sink, const char *text, GError **error)
{
  gsize length = strlen (text);
  gsize padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  guint64 bits = GUINT64_TO_LE ((guint64) padded);

  return sae_write_all (sink->fd, &bits, LENGTH_SIZE, sink->label, error) &&
         sae_write_all (sink->fd, text, length, sink->label, error) &&
         sae_write_all (sink->fd, "       ", padded - length, sink->label,
             error);
}

static gboolean
write_floats (const Sink *sink, const float *values, gsize n, GError **error)
{
  guint32 chunk[CHUNK_FLOATS];

  if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
    return sae_write_all (sink->fd, values, n * sizeof *values, sink->label,
        error);
  for (gsize done = 0; done < n; done += CHUNK_FLOATS) {
    gsize count = MIN (n - done, CHUNK_FLOATS);
    memcpy (chunk, values + done, count * sizeof *chunk);
    for (gsize i = 0; i < count; i++)
      chunk[i] = GUINT32_TO_LE (chunk[i]);
    if (!sae_write_all (sink->fd, chunk, count * sizeof *chunk, sink->label,
            error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
write_transposed (const Sink *sink, const SaeTensorSource *tensor,
    GError **error)
{
  gsize rows = (gsize) tensor->shape[0], columns = (gsize) tensor->shape[1];
  gsize height = MIN (rows, SAE_TRANSPOSE_STRIP);
  g_autofree float *strip = g_try_malloc_n (height, columns * sizeof (float));

  if (strip == NULL && rows > 0 && columns > 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: tensor '%s': no memory for %" G_GSIZE_FORMAT
        " rows of %" G_GSIZE_FORMAT " elements",
        sink->label, tensor->name, height, columns);
    return FALSE;
  }
  for (gsize row = 0; row < rows; row += height) {
    gsize n = MIN (height, rows - row);
    sae_transpose_gather (tensor->data, rows, row, n, columns, strip);
    if (!write_floats (sink, strip, n * columns, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
write_tensor (const Sink *sink, const SaeTensorSource *tensor, GError **error)
{
  guint64 bytes;

  if (tensor->transposed && tensor->rank == 2)
    return write_transposed (sink, tensor, error);
  count_bytes (tensor, &bytes); /* passed in build_header() */
  if (tensor->dtype != NULL)
    return sae_write_all (sink->fd, tensor->bytes, (gsize) bytes, sink->label,
        error);
  return write_floats (sink, tensor->data, (gsize) bytes / sizeof (float),
      error);
}

gboolean
sae_safetensors_write (int fd, const char *label,
    const SaeTensorSource *tensors, guint n_tensors, GError **error)
{
  return sae_safetensors_write_with_metadata (fd, label, NULL, tensors,
      n_tensors, error);
}

gboolean
sae_safetensors_write_with_metadata (int fd, const char *label,
    const char *const *metadata, const SaeTensorSource *tensors,
    guint n_tensors, GError **error)
{
  Sink sink = {fd, label};
  g_autofree char *header = build_header (metadata, tensors, n_tensors);
  gboolean ok;

  if (header == NULL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "%s: expected names in UTF-8, dtypes of whole bytes and fewer than "
        "2^63 bytes in at most %d dimensions",
        label, SAE_SAFETENSORS_MAX_RANK);
    return FALSE;
  }
  ok = write_header (&sink, header, error);
  for (guint i = 0; ok && i < n_tensors; i++)
    ok = write_tensor (&sink, &tensors[i], error);
  return ok;
}
