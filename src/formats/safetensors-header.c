/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "safetensors-header.h"

#include <string.h>

#include "json-text.h"

typedef struct {
  const char *name;
  guint bits;
  gboolean readable;
  SaeDtype dtype;
} Type;

/* clang-format off */
static const Type types[] = {
    {"F32", 32, TRUE, SAE_DTYPE_FLOAT32},
    {"F16", 16, TRUE, SAE_DTYPE_FLOAT16},
    {"BF16", 16, TRUE, SAE_DTYPE_BFLOAT16},
    {"F64", 64, TRUE, SAE_DTYPE_FLOAT64},
    {"U32", 32, TRUE, SAE_DTYPE_UINT32},
    {"U8", 8, TRUE, SAE_DTYPE_UINT8},
    {"BOOL", 8}, {"I8", 8}, {"I16", 16}, {"U16", 16}, {"I32", 32},
    {"I64", 64}, {"U64", 64}, {"C64", 64},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
};
/* clang-format on */

static gboolean fail (const char *label, const char *name, GError **error,
    const char *format, ...) G_GNUC_PRINTF (4, 5);

static gboolean
fail (const char *label, const char *name, GError **error, const char *format,
    ...)
{
  g_autofree char *reason = NULL, *shown = sae_json_shorten (name);
  va_list args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT, "%s: tensor '%s': %s", label,
      shown, reason);
  return FALSE;
}

static void
free_entry (gpointer data)
{
  SaeTensorEntry *entry = data;
  g_free (entry->name);
  g_free (entry);
}

static const Type *
find_type (const char *name)
{
  for (guint i = 0; name != NULL && i < G_N_ELEMENTS (types); i++)
    if (strcmp (types[i].name, name) == 0)
      return &types[i];
  return NULL;
}

guint
sae_safetensors_dtype_bits (const char *name)
{
  const Type *type = find_type (name);

  return type != NULL ? type->bits : 0;
}

static gboolean
parse_natural (json_t *value, guint64 *number)
{
  if (!json_is_integer (value) || json_integer_value (value) < 0)
    return FALSE;
  *number = (guint64) json_integer_value (value);
  return TRUE;
}

/* Multiplies the sizes up and keeps as many as the entry has room for. */
static gboolean
parse_shape (SaeTensorEntry *entry, json_t *shape, guint64 *n_elements,
    const char *label, GError **error)
{
  *n_elements = 1;
  if (!json_is_array (shape))
    return fail (label, entry->name, error, "shape: expected an array");
  for (size_t i = 0; i < json_array_size (shape); i++) {
    guint64 size;
    if (!parse_natural (json_array_get (shape, i), &size))
      return fail (label, entry->name, error,
          "shape: expected integers of 0 or more");
    if (!g_uint64_checked_mul (n_elements, *n_elements, size))
      return fail (label, entry->name, error,
          "shape: expected fewer than 2^64 elements");
    if (i < SAE_SAFETENSORS_MAX_RANK)
      entry->shape[i] = size;
  }
  return TRUE;
}

static gboolean
parse_offsets (SaeTensorEntry *entry, json_t *offsets, const char *label,
    GError **error)
{
  guint64 begin, end;

  if (!json_is_array (offsets) || json_array_size (offsets) != 2 ||
      !parse_natural (json_array_get (offsets, 0), &begin) ||
      !parse_natural (json_array_get (offsets, 1), &end))
    return fail (label, entry->name, error,
        "data_offsets: expected two integers of 0 or more");
  if (end < begin)
    return fail (label, entry->name, error,
        "data_offsets: expected the end at %" G_GUINT64_FORMAT
        " or later, found %" G_GUINT64_FORMAT,
        begin, end);
  entry->offset = begin;
  entry->size = end - begin;
  return TRUE;
}

static gboolean
check_size (const SaeTensorEntry *entry, const Type *type, guint64 n_elements,
    const char *label, GError **error)
{
  guint64 bits;

  if (!g_uint64_checked_mul (&bits, n_elements, type->bits))
    return fail (label, entry->name, error,
        "shape: expected fewer than 2^64 bits, found %" G_GUINT64_FORMAT
        " elements of %s",
        n_elements, type->name);
  if (bits % 8 != 0)
    return fail (label, entry->name, error,
        "shape: expected whole bytes, found %" G_GUINT64_FORMAT
        " elements of %s",
        n_elements, type->name);
  if (bits / 8 != entry->size)
    return fail (label, entry->name, error,
        "data_offsets: expected %" G_GUINT64_FORMAT
        " bytes for %" G_GUINT64_FORMAT
        " elements of %s, found %" G_GUINT64_FORMAT,
        bits / 8, n_elements, type->name, entry->size);
  return TRUE;
}

static void
set_layout (SaeTensorEntry *entry, const Type *type, gsize rank,
    guint64 n_elements)
{
  entry->dtype_name = type->name;
  entry->readable = type->readable && rank <= SAE_SAFETENSORS_MAX_RANK &&
                    n_elements <= G_MAXSIZE / sizeof (float);
  if (!entry->readable) {
    memset (entry->shape, 0, sizeof entry->shape);
    return;
  }
  entry->dtype = type->dtype;
  entry->rank = (guint) rank;
  entry->n_elements = (gsize) n_elements;
}

static gboolean
parse_tensor (SaeTensorEntry *entry, json_t *info, const char *label,
    GError **error)
{
  json_t *shape = json_object_get (info, "shape");
  const char *dtype = json_string_value (json_object_get (info, "dtype"));
  const Type *type = find_type (dtype);
  guint64 n_elements;

  if (!json_is_object (info))
    return fail (label, entry->name, error, "expected a JSON object");
  if (type == NULL) {
    g_autofree char *found = sae_json_shorten (dtype != NULL ? dtype : "none");
    return fail (label, entry->name, error,
        "dtype: expected one of the format's (F32, F16, …), found %s", found);
  }
  if (!parse_shape (entry, shape, &n_elements, label, error) ||
      !parse_offsets (entry, json_object_get (info, "data_offsets"), label,
          error) ||
      !check_size (entry, type, n_elements, label, error))
    return FALSE;
  set_layout (entry, type, json_array_size (shape), n_elements);
  return TRUE;
}

static gboolean
parse_metadata (json_t *metadata, const char *label, GHashTable *strings,
    GError **error)
{
  const char *key;
  json_t *value;

  if (json_is_null (metadata))
    return TRUE;
  if (!json_is_object (metadata)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: __metadata__: expected a JSON object", label);
    return FALSE;
  }
  json_object_foreach (metadata, key, value)
  {
    if (!json_is_string (value)) {
      g_autofree char *shown = sae_json_shorten (key);
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "%s: __metadata__: '%s': expected a string", label, shown);
      return FALSE;
    }
    g_hash_table_insert (strings, g_strdup (key),
        g_strdup (json_string_value (value)));
  }
  return TRUE;
}

static GPtrArray *
parse_tensors (json_t *root, const char *label, GHashTable *metadata,
    GError **error)
{
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func (free_entry);
  const char *name;
  json_t *info;

  json_object_foreach (root, name, info)
  {
    SaeTensorEntry *entry;
    if (strcmp (name, "__metadata__") == 0) {
      if (!parse_metadata (info, label, metadata, error))
        return NULL;
      continue;
    }
    entry = g_new0 (SaeTensorEntry, 1);
    entry->name = g_strdup (name);
    g_ptr_array_add (entries, entry);
    if (!parse_tensor (entry, info, label, error))
      return NULL;
  }
  return g_steal_pointer (&entries);
}

static gint
compare_offsets (gconstpointer a, gconstpointer b)
{
  const SaeTensorEntry *left = *(SaeTensorEntry *const *) a;
  const SaeTensorEntry *right = *(SaeTensorEntry *const *) b;

  if (left->offset != right->offset)
    return left->offset < right->offset ? -1 : 1;
  if (left->size != right->size)
    return left->size < right->size ? -1 : 1;
  return strcmp (left->name, right->name);
}

/* Offsets so far count from @data_start; they count from the start of the
 * file afterwards. */
static gboolean
check_coverage (GPtrArray *entries, guint64 data_start, guint64 file_size,
    const char *label, GError **error)
{
  guint64 expected = 0;

  for (guint i = 0; i < entries->len; i++) {
    SaeTensorEntry *entry = entries->pdata[i];
    if (entry->offset != expected)
      return fail (label, entry->name, error,
          "data_offsets: expected to begin at %" G_GUINT64_FORMAT
          ", where the one before ends, found %" G_GUINT64_FORMAT,
          expected, entry->offset);
    expected += entry->size; /* the end, which was below 2^63 */
    entry->offset += data_start;
  }
  if (expected == file_size - data_start)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "%s: expected %" G_GUINT64_FORMAT
      " bytes of tensors at offset %" G_GUINT64_FORMAT
      ", file has %" G_GUINT64_FORMAT,
      label, expected, data_start, file_size - data_start);
  return FALSE;
}

GPtrArray *
sae_safetensors_parse_header (const char *text, gsize size, guint64 data_start,
    guint64 file_size, const char *label, GHashTable *metadata, GError **error)
{
  g_autoptr (GPtrArray) entries = NULL;
  json_t *root;

  if (size == 0 || text[0] != '{') {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: header: expected JSON that begins with '{' at offset 8", label);
    return NULL;
  }
  root = sae_json_read (text, size, label, error);
  if (root == NULL)
    return NULL;
  entries = parse_tensors (root, label, metadata, error);
  json_decref (root);
  if (entries == NULL)
    return NULL;
  g_ptr_array_sort (entries, compare_offsets);
  if (!check_coverage (entries, data_start, file_size, label, error))
    return NULL;
  return g_steal_pointer (&entries);
}
