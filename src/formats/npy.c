/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "npy.h"

#include <string.h>
#include <unistd.h>

#include "python-literal.h"
#include "regular-file.h"

static const guint8 magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
#define VERSION_1_PREFIX 10
#define HEADER_ALIGNMENT 64
/* Digits of the largest row count. The header leaves room for them, as
 * numpy's own does, so that its size does not depend on the count. */
#define ROWS_MAX_DIGITS 21

typedef struct {
  const char *descr;
  SaeDtype dtype;
} Descr;

static const Descr descrs[] = {
    {"<f4", SAE_DTYPE_FLOAT32},
    {"<f8", SAE_DTYPE_FLOAT64},
    {"<f2", SAE_DTYPE_FLOAT16},
    {"<u4", SAE_DTYPE_UINT32},
    {"|u1", SAE_DTYPE_UINT8},
};
#define SUPPORTED_DESCRS "'<f4', '<f8', '<f2', '<u4' or '|u1'"

/* --- the prefix: magic, version, length --- */

static gsize fail_prefix (SaeError code, GError **error, const char *format,
    ...) G_GNUC_PRINTF (3, 4);

static gsize
fail_prefix (SaeError code, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  if (error != NULL)
    *error = g_error_new_valist (SAE_ERROR, (gint) code, format, args);
  va_end (args);
  return 0;
}

gsize
sae_npy_header_size (const guint8 *data, gsize size, GError **error)
{
  gsize length;

  if (size < SAE_NPY_PREFIX_SIZE)
    return fail_prefix (SAE_ERROR_FORMAT, error,
        "not a .npy file: expected at least %d bytes, got %" G_GSIZE_FORMAT,
        SAE_NPY_PREFIX_SIZE, size);
  if (memcmp (data, magic, sizeof magic) != 0)
    return fail_prefix (SAE_ERROR_FORMAT, error,
        "not a .npy file: it does not begin with \\x93NUMPY");
  if (data[6] < 1 || data[6] > 3 || data[7] != 0)
    return fail_prefix (SAE_ERROR_UNSUPPORTED, error,
        "npy version: expected 1.0, 2.0 or 3.0, got %u.%u", data[6], data[7]);
  if (data[6] == 1)
    length = VERSION_1_PREFIX + ((gsize) data[8] | (gsize) data[9] << 8);
  else
    length = SAE_NPY_PREFIX_SIZE + ((gsize) data[8] | (gsize) data[9] << 8 |
                                       (gsize) data[10] << 16 |
                                       (gsize) data[11] << 24);
  if (length <= SAE_NPY_PREFIX_SIZE || length > SAE_NPY_MAX_HEADER)
    return fail_prefix (SAE_ERROR_FORMAT, error,
        "npy header: expected %d to %d bytes, declared %" G_GSIZE_FORMAT,
        SAE_NPY_PREFIX_SIZE + 1, SAE_NPY_MAX_HEADER, length);
  return length;
}

/* --- the Python dict --- */

static gboolean
parse_shape (SaeLiteral *text, SaeNpyHeader *header, GError **error)
{
  gboolean comma = FALSE;

  header->rank = 0;
  if (!sae_literal_expect (text, '(', error))
    return FALSE;
  while (!sae_literal_accept (text, ')')) {
    if (header->rank == SAE_NPY_MAX_RANK)
      return sae_literal_fail (text, "at most 16 sizes in 'shape'", error);
    if (header->rank > 0 && !comma)
      return sae_literal_fail (text, "',' or ')' in 'shape'", error);
    if (!sae_literal_size (text, &header->shape[header->rank], error))
      return FALSE;
    header->rank++;
    comma = sae_literal_accept (text, ',');
  }
  if (header->rank == 1 && !comma)
    return sae_literal_fail (text, "a tuple in 'shape', as (3,)", error);
  return TRUE;
}

static gboolean
refuse_dtype (const char *descr, const char *reason, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "npy dtype: expected " SUPPORTED_DESCRS ", file has '%.40s'%s", descr,
      reason);
  return FALSE;
}

static gboolean
parse_descr (SaeLiteral *text, SaeNpyHeader *header, GError **error)
{
  g_autofree char *descr = NULL;

  if (sae_literal_peek (text, '['))
    return refuse_dtype ("[...]", ", a structured dtype", error);
  descr = sae_literal_string (text, "a string for 'descr'", error);
  if (descr == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (descrs); i++) {
    if (strcmp (descrs[i].descr, descr) == 0) {
      header->dtype = descrs[i].dtype;
      return TRUE;
    }
  }
  return refuse_dtype (descr, descr[0] == '>' ? ", which is big-endian" : "",
      error);
}

static gboolean
parse_fortran_order (SaeLiteral *text, GError **error)
{
  gboolean fortran_order = FALSE;
  if (!sae_literal_bool (text, &fortran_order, error))
    return FALSE;
  if (fortran_order)
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "npy fortran_order: expected False (rows one after the other), file "
        "has True; save numpy.ascontiguousarray (x)");
  return !fortran_order;
}

static const char *const keys[] = {"descr", "fortran_order", "shape"};

static gboolean
parse_value (SaeLiteral *text, guint key, SaeNpyHeader *header, GError **error)
{
  switch (key) {
    case 0:
      return parse_descr (text, header, error);
    case 1:
      return parse_fortran_order (text, error);
    default:
      return parse_shape (text, header, error);
  }
}

static gboolean
parse_item (SaeLiteral *text, guint *seen, SaeNpyHeader *header, GError **error)
{
  guint key = 0;
  g_autofree char *name = sae_literal_string (text, "a key or '}'", error);

  if (name == NULL)
    return FALSE;
  while (key < G_N_ELEMENTS (keys) && strcmp (keys[key], name) != 0)
    key++;
  if (key == G_N_ELEMENTS (keys) || (*seen & (1u << key)) != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "npy header: expected the keys descr, fortran_order and shape once "
        "each, found %s key '%.40s'",
        key == G_N_ELEMENTS (keys) ? "unknown" : "duplicate", name);
    return FALSE;
  }
  *seen |= 1u << key;
  return sae_literal_expect (text, ':', error) &&
         parse_value (text, key, header, error);
}

static gboolean
parse_dict (SaeLiteral *text, SaeNpyHeader *header, GError **error)
{
  guint seen = 0;
  gboolean comma = TRUE;

  if (!sae_literal_expect (text, '{', error))
    return FALSE;
  while (!sae_literal_accept (text, '}')) {
    if (!comma)
      return sae_literal_fail (text, "',' or '}'", error);
    if (!parse_item (text, &seen, header, error))
      return FALSE;
    comma = sae_literal_accept (text, ',');
  }
  for (guint key = 0; key < G_N_ELEMENTS (keys); key++) {
    if ((seen & (1u << key)) == 0) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "npy header: the key '%s' is missing", keys[key]);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
parse_end (SaeLiteral *text, GError **error)
{
  if (!sae_literal_accept (text, '\n'))
    return sae_literal_fail (text, "spaces and a newline after the dict",
        error);
  if (text->at != text->end)
    return sae_literal_fail (text, "nothing after the newline", error);
  return TRUE;
}

static char *
shape_to_string (const SaeNpyHeader *header)
{
  GString *shape = g_string_new ("(");
  for (guint i = 0; i < MIN (header->rank, SAE_NPY_MAX_RANK); i++)
    g_string_append_printf (shape, "%s%" G_GUINT64_FORMAT, i == 0 ? "" : ", ",
        header->shape[i]);
  g_string_append (shape, header->rank == 1 ? ",)" : ")");
  return g_string_free (shape, FALSE);
}

/* Bytes of the elements; sizes of 0 count as 1 when @for_bound, so that no
 * partial product of an empty array overflows either. */
static gboolean
count_bytes (const SaeNpyHeader *header, gboolean for_bound, guint64 *bytes)
{
  *bytes = sae_dtype_size (header->dtype);
  for (guint i = 0; i < header->rank; i++) {
    guint64 size = header->shape[i];
    if (for_bound && size == 0)
      size = 1;
    if (!g_uint64_checked_mul (bytes, *bytes, size) || *bytes > G_MAXINT64)
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_shape (const SaeNpyHeader *header, GError **error)
{
  guint64 bytes;
  const char *expected = NULL;

  if (header->rank == 0)
    expected = "at least one dimension";
  else if (header->rank > SAE_NPY_MAX_RANK)
    expected = "at most 16 dimensions";
  else if (!count_bytes (header, TRUE, &bytes))
    expected = "fewer than 2^63 bytes";
  for (guint i = 1; expected == NULL && i < header->rank; i++)
    if (header->shape[i] == 0)
      expected = "rows of at least one element";
  if (expected != NULL) {
    g_autofree char *shape = shape_to_string (header);
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "npy shape: expected %s, got %s of %s", expected, shape,
        sae_dtype_name (header->dtype));
  }
  return expected == NULL;
}

gboolean
sae_npy_header_parse (const guint8 *data, gsize size, SaeNpyHeader *header,
    GError **error)
{
  SaeLiteral text;

  memset (header, 0, sizeof *header);
  header->header_size = sae_npy_header_size (data, size, error);
  if (header->header_size == 0)
    return FALSE;
  if (size < header->header_size) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "npy header: declared %" G_GSIZE_FORMAT " bytes, got %" G_GSIZE_FORMAT,
        header->header_size, size);
    return FALSE;
  }
  text.at = (const char *) data +
            (data[6] == 1 ? VERSION_1_PREFIX : SAE_NPY_PREFIX_SIZE);
  text.end = (const char *) data + header->header_size;
  return parse_dict (&text, header, error) && parse_end (&text, error) &&
         check_shape (header, error);
}

guint64
sae_npy_header_row_elements (const SaeNpyHeader *header)
{
  guint64 elements = 1;
  for (guint i = 1; i < header->rank; i++)
    elements *= header->shape[i];
  return elements;
}

/* --- writing --- */

static const char *
find_descr (SaeDtype dtype)
{
  for (guint i = 0; i < G_N_ELEMENTS (descrs); i++)
    if (descrs[i].dtype == dtype)
      return descrs[i].descr;
  return NULL;
}

static GString *
build_dict (const SaeNpyHeader *header, const char *descr)
{
  g_autofree char *shape = shape_to_string (header);
  GString *dict = g_string_new (NULL);
  gsize digits = 0;

  for (guint64 rows = header->shape[0]; digits == 0 || rows > 0; rows /= 10)
    digits++;
  g_string_printf (dict,
      "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
  for (; digits < ROWS_MAX_DIGITS; digits++)
    g_string_append_c (dict, ' ');
  return dict;
}

GBytes *
sae_npy_header_build (const SaeNpyHeader *header, gsize min_size,
    GError **error)
{
  const char *descr = find_descr (header->dtype);
  g_autoptr (GString) dict = NULL;
  gsize size;
  guint8 *data;

  if (descr == NULL) {
    refuse_dtype (sae_dtype_name (header->dtype), "", error);
    return NULL;
  }
  if (!check_shape (header, error))
    return NULL;
  dict = build_dict (header, descr);
  size = MAX (VERSION_1_PREFIX + dict->len + 1, MIN (min_size, G_MAXUINT32));
  size = (size + HEADER_ALIGNMENT - 1) / HEADER_ALIGNMENT * HEADER_ALIGNMENT;
  if (size > SAE_NPY_MAX_HEADER) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "npy header: expected at most %d bytes, asked for %" G_GSIZE_FORMAT,
        SAE_NPY_MAX_HEADER, min_size);
    return NULL;
  }
  data = g_malloc (size);
  memset (data, ' ', size);
  memcpy (data, magic, sizeof magic);
  data[6] = 1;
  data[7] = 0;
  data[8] = (guint8) ((size - VERSION_1_PREFIX) & 0xff);
  data[9] = (guint8) ((size - VERSION_1_PREFIX) >> 8);
  memcpy (data + VERSION_1_PREFIX, dict->str, dict->len);
  data[size - 1] = '\n';
  return g_bytes_new_take (data, size);
}

/* --- files --- */

static gboolean
read_header (int fd, guint64 file_size, const char *path, SaeNpyHeader *header,
    GError **error)
{
  guint8 prefix[SAE_NPY_PREFIX_SIZE];
  g_autofree guint8 *data = NULL;
  gsize known = (gsize) MIN (file_size, sizeof prefix);
  gsize size;

  if (!sae_regular_file_read (fd, 0, prefix, known, path, error))
    return FALSE;
  size = sae_npy_header_size (prefix, known, error);
  if (size == 0) {
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  data = g_malloc (size);
  size = (gsize) MIN (file_size, size);
  if (!sae_regular_file_read (fd, 0, data, size, path, error))
    return FALSE;
  if (!sae_npy_header_parse (data, size, header, error)) {
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_file_size (guint64 file_size, const char *path,
    const SaeNpyHeader *header, GError **error)
{
  guint64 bytes;

  if (count_bytes (header, FALSE, &bytes) &&
      file_size - header->header_size == bytes)
    return TRUE;
  {
    g_autofree char *shape = shape_to_string (header);
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: expected %" G_GUINT64_FORMAT " bytes (header %" G_GSIZE_FORMAT
        ", %s of %s %" G_GUINT64_FORMAT "), file has %" G_GUINT64_FORMAT,
        path, header->header_size + bytes, header->header_size, shape,
        sae_dtype_name (header->dtype), bytes, file_size);
  }
  return FALSE;
}

int
sae_npy_open (const char *path, SaeNpyHeader *header, GError **error)
{
  guint64 size;
  int fd = sae_regular_file_open (path, &size, error);

  if (fd < 0)
    return -1;
  if (read_header (fd, size, path, header, error) &&
      check_file_size (size, path, header, error) &&
      lseek (fd, (off_t) header->header_size, SEEK_SET) >= 0)
    return fd;
  if (error != NULL && *error == NULL)
    g_set_error (error, SAE_ERROR, SAE_ERROR_READ, "%s: cannot seek", path);
  close (fd);
  return -1;
}
