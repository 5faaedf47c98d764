/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "safetensors.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "json-text.h"
#include "regular-file.h"
#include "safetensors-header.h"
#include "transpose.h"

#define LENGTH_SIZE 8
/* Bytes converted at a time when the file is not float32 already. */
#define CHUNK_SIZE (64 * 1024)

/* Bytes come from the descriptor, or from memory where that is -1, or from the
 * shards. */
struct _SaeSafetensors {
  char *label;
  int fd;
  GBytes *bytes;
  guint64 size;
  GPtrArray *entries; /* SaeTensorEntry, by offset */
  GHashTable *by_name;
  GHashTable *metadata; /* char* to char* */
  GPtrArray *shards;    /* SaeSafetensors, that own the entries; or NULL */
};

static gboolean
read_bytes (SaeSafetensors *file, guint64 offset, void *dst, gsize size,
    GError **error)
{
  if (file->fd >= 0)
    return sae_regular_file_read (file->fd, offset, dst, size, file->label,
        error);
  if (size > 0)
    memcpy (dst, (const guint8 *) g_bytes_get_data (file->bytes, NULL) + offset,
        size);
  return TRUE;
}

/* --- opening --- */

static gboolean
read_header_length (SaeSafetensors *file, gsize *length, GError **error)
{
  guint64 bits;

  if (file->size < LENGTH_SIZE) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: expected at least %d bytes, file has %" G_GUINT64_FORMAT,
        file->label, LENGTH_SIZE, file->size);
    return FALSE;
  }
  if (!read_bytes (file, 0, &bits, LENGTH_SIZE, error))
    return FALSE;
  bits = GUINT64_FROM_LE (bits);
  if (bits > SAE_SAFETENSORS_MAX_HEADER || bits > file->size - LENGTH_SIZE) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: header length at offset 0: expected at most %" G_GUINT64_FORMAT
        ", found %" G_GUINT64_FORMAT,
        file->label, MIN (SAE_SAFETENSORS_MAX_HEADER, file->size - LENGTH_SIZE),
        bits);
    return FALSE;
  }
  *length = (gsize) bits;
  return TRUE;
}

static char *
read_header_text (SaeSafetensors *file, gsize length, GError **error)
{
  g_autofree char *text = NULL;

  if (length > SAE_JSON_MAX_MEMORY / 4) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "%s: header of %" G_GSIZE_FORMAT " bytes, expected at most %u",
        file->label, length, SAE_JSON_MAX_MEMORY / 4);
    return NULL;
  }
  text = g_try_malloc (length + 1);
  if (text == NULL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: no memory for a header of %" G_GSIZE_FORMAT " bytes", file->label,
        length);
    return NULL;
  }
  if (!read_bytes (file, LENGTH_SIZE, text, length, error))
    return NULL;
  return g_steal_pointer (&text);
}

static gboolean
read_header (SaeSafetensors *file, GError **error)
{
  g_autofree char *text = NULL;
  gsize length;

  if (!read_header_length (file, &length, error))
    return FALSE;
  text = read_header_text (file, length, error);
  if (text == NULL)
    return FALSE;
  file->metadata =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  file->entries = sae_safetensors_parse_header (text, length,
      LENGTH_SIZE + length, file->size, file->label, file->metadata, error);
  if (file->entries == NULL)
    return FALSE;
  file->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < file->entries->len; i++) {
    SaeTensorEntry *entry = file->entries->pdata[i];
    g_hash_table_insert (file->by_name, entry->name, entry);
  }
  return TRUE;
}

static SaeSafetensors *
open_source (int fd, GBytes *bytes, guint64 size, const char *label,
    GError **error)
{
  g_autoptr (SaeSafetensors) file = g_new0 (SaeSafetensors, 1);

  file->label = g_strdup (label);
  file->fd = fd;
  file->bytes = bytes;
  file->size = size;
  if (!read_header (file, error))
    return NULL;
  return g_steal_pointer (&file);
}

SaeSafetensors *
sae_safetensors_open (const char *path, GError **error)
{
  guint64 size;
  int fd = sae_regular_file_open (path, &size, error);
  return fd < 0 ? NULL : open_source (fd, NULL, size, path, error);
}

SaeSafetensors *
sae_safetensors_open_bytes (GBytes *bytes, const char *label, GError **error)
{
  return open_source (-1, g_bytes_ref (bytes), g_bytes_get_size (bytes), label,
      error);
}

static void
add_shard (SaeSafetensors *file, guint shard)
{
  SaeSafetensors *from = file->shards->pdata[shard];

  for (guint i = 0; i < from->entries->len; i++) {
    SaeTensorEntry *entry = from->entries->pdata[i];
    entry->shard = shard;
    g_ptr_array_add (file->entries, entry);
    g_hash_table_insert (file->by_name, entry->name, entry);
  }
}

SaeSafetensors *
sae_safetensors_join (GPtrArray *shards, const char *label)
{
  SaeSafetensors *file = g_new0 (SaeSafetensors, 1);

  file->label = g_strdup (label);
  file->fd = -1;
  file->shards = shards;
  file->metadata =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  file->entries = g_ptr_array_new ();
  file->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < shards->len; i++)
    add_shard (file, i);
  return file;
}

void
sae_safetensors_free (SaeSafetensors *file)
{
  if (file == NULL)
    return;
  if (file->fd >= 0)
    close (file->fd);
  g_clear_pointer (&file->bytes, g_bytes_unref);
  g_clear_pointer (&file->by_name, g_hash_table_unref);
  g_clear_pointer (&file->metadata, g_hash_table_unref);
  g_clear_pointer (&file->entries, g_ptr_array_unref);
  g_clear_pointer (&file->shards, g_ptr_array_unref);
  g_free (file->label);
  g_free (file);
}

guint
sae_safetensors_get_n_tensors (SaeSafetensors *file)
{
  return file->entries->len;
}

const SaeTensorEntry *
sae_safetensors_get_nth (SaeSafetensors *file, guint n)
{
  return n < file->entries->len ? file->entries->pdata[n] : NULL;
}

const SaeTensorEntry *
sae_safetensors_find (SaeSafetensors *file, const char *name)
{
  return g_hash_table_lookup (file->by_name, name);
}

const char *
sae_safetensors_get_metadata (SaeSafetensors *file, const char *key)
{
  return g_hash_table_lookup (file->metadata, key);
}

/* --- reading --- */

static SaeSafetensors *
holder_of (SaeSafetensors *file, const SaeTensorEntry *entry)
{
  return file->shards != NULL ? file->shards->pdata[entry->shard] : file;
}

gboolean
sae_safetensors_read_bytes (SaeSafetensors *file, const SaeTensorEntry *entry,
    void *dst, GError **error)
{
  return read_bytes (holder_of (file, entry), entry->offset, dst,
      (gsize) entry->size, error);
}

static gboolean
check_readable (SaeSafetensors *file, const SaeTensorEntry *entry,
    GError **error)
{
  g_autofree char *name = NULL;

  if (entry->readable && sae_dtype_is_float (entry->dtype))
    return TRUE;
  name = sae_json_shorten (entry->name);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: tensor '%s': expected F32, F16, BF16 or F64 of at most %d "
      "dimensions, file has %s",
      file->label, name, SAE_SAFETENSORS_MAX_RANK, entry->dtype_name);
  return FALSE;
}

static gboolean
refuse_non_finite (SaeSafetensors *file, const SaeTensorEntry *entry,
    gsize element, float value, GError **error)
{
  g_autofree char *name = sae_json_shorten (entry->name);
  GString *place = g_string_new (NULL);

  for (guint i = entry->rank; i-- > 0;) {
    g_autofree char *inner = g_string_free (place, FALSE);
    place = g_string_new (NULL);
    g_string_printf (place, "%" G_GUINT64_FORMAT "%s%s",
        element % entry->shape[i], *inner != '\0' ? ", " : "", inner);
    element /= (gsize) entry->shape[i];
  }
  g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
      "%s: tensor '%s': expected finite float32 values, found %s at [%s]",
      file->label, name, isnan (value) ? "a NaN" : "an infinity", place->str);
  g_string_free (place, TRUE);
  return FALSE;
}

static gboolean
check_finite (SaeSafetensors *file, const SaeTensorEntry *entry, gsize first,
    gsize n, const float *values, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return refuse_non_finite (file, entry, first + i, values[i], error);
  return TRUE;
}

static gboolean
read_converted (SaeSafetensors *file, const SaeTensorEntry *entry,
    guint64 offset, gsize n, float *dst, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK_SIZE);
  gsize width = sae_dtype_size (entry->dtype);

  while (n > 0) {
    gsize count = MIN (n, CHUNK_SIZE / width);
    if (!read_bytes (file, offset, chunk, count * width, error))
      return FALSE;
    sae_dtype_to_float32 (entry->dtype, chunk, count, dst);
    offset += count * width;
    dst += count;
    n -= count;
  }
  return TRUE;
}

gboolean
sae_safetensors_read_range (SaeSafetensors *file, const SaeTensorEntry *entry,
    gsize first, gsize n, float *dst, GError **error)
{
  guint64 offset;
  gboolean direct;

  file = holder_of (file, entry);
  if (!check_readable (file, entry, error))
    return FALSE;
  g_return_val_if_fail (first <= entry->n_elements, FALSE);
  g_return_val_if_fail (n <= entry->n_elements - first, FALSE);
  offset = entry->offset + (guint64) first * sae_dtype_size (entry->dtype);
  direct = entry->dtype == SAE_DTYPE_FLOAT32 && G_BYTE_ORDER == G_LITTLE_ENDIAN;
  if (direct ? !read_bytes (file, offset, dst, n * sizeof *dst, error)
             : !read_converted (file, entry, offset, n, dst, error))
    return FALSE;
  return check_finite (file, entry, first, n, dst, error);
}

gboolean
sae_safetensors_read_float32 (SaeSafetensors *file, const SaeTensorEntry *entry,
    float *dst, GError **error)
{
  return sae_safetensors_read_range (file, entry, 0, entry->n_elements, dst,
      error);
}

gboolean
sae_safetensors_read_transposed (SaeSafetensors *file,
    const SaeTensorEntry *entry, float *dst, GError **error)
{
  gsize rows = (gsize) entry->shape[0], columns = (gsize) entry->shape[1];
  gsize height = MIN (rows, SAE_TRANSPOSE_STRIP);
  g_autofree float *strip = NULL;

  if (!check_readable (file, entry, error))
    return FALSE;
  g_return_val_if_fail (entry->rank == 2, FALSE);
  strip = g_try_malloc_n (height, columns * sizeof (float));
  if (strip == NULL && entry->n_elements > 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: tensor of %" G_GSIZE_FORMAT
        " elements: no memory for %" G_GSIZE_FORMAT " rows of %" G_GSIZE_FORMAT
        " elements",
        file->label, entry->n_elements, height, columns);
    return FALSE;
  }
  for (gsize row = 0; row < rows; row += height) {
    gsize n = MIN (height, rows - row);
    if (!sae_safetensors_read_range (file, entry, row * columns, n * columns,
            strip, error))
      return FALSE;
    sae_transpose_scatter (strip, n, columns, row, dst, rows);
  }
  return TRUE;
}
