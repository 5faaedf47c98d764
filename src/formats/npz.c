/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "npz.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#ifdef SAE_HAVE_LIBZIP
#include <zip.h>
#endif

#include "json-text.h"
#include "regular-file.h"
#include "transpose.h"

#ifdef SAE_HAVE_LIBZIP

/* Bytes unpacked at a time. */
#define CHUNK_SIZE (64 * 1024)
/* What deflate reaches at best. */
#define DEFLATE_MAX_RATIO 1032

struct _SaeNpz {
  char *label;
  zip_t *zip;
  GPtrArray *arrays; /* SaeNpzArray, in the archive's order */
};

gboolean
sae_npz_is_supported (void)
{
  return TRUE;
}

/* @name is the file's in the archive, or NULL. */
static gboolean fail (const SaeNpz *npz, SaeError code, const char *name,
    GError **error, const char *format, ...) G_GNUC_PRINTF (5, 6);

static gboolean
fail (const SaeNpz *npz, SaeError code, const char *name, GError **error,
    const char *format, ...)
{
  g_autofree char *valid = g_utf8_make_valid (name != NULL ? name : "", -1);
  g_autofree char *shown = sae_json_shorten (valid);
  g_autofree char *reason = NULL;
  va_list args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SAE_ERROR, (gint) code, "%s: %s%s%s", npz->label, shown,
      name != NULL ? ": " : "", reason);
  return FALSE;
}

/* --- reading a file of the archive --- */

static zip_file_t *
open_file (SaeNpz *npz, guint64 index, const char *name, GError **error)
{
  zip_file_t *file = zip_fopen_index (npz->zip, index, 0);

  if (file == NULL)
    fail (npz, SAE_ERROR_FORMAT, name, error, "%s", zip_strerror (npz->zip));
  return file;
}

static gboolean
read_bytes (SaeNpz *npz, zip_file_t *file, const char *name, void *dst,
    gsize size, GError **error)
{
  gsize done = 0;

  while (done < size) {
    zip_int64_t n = zip_fread (file, (guint8 *) dst + done, size - done);
    if (n < 0)
      return fail (npz, SAE_ERROR_FORMAT, name, error, "%s",
          zip_file_strerror (file));
    if (n == 0)
      return fail (npz, SAE_ERROR_FORMAT, name, error,
          "expected %" G_GSIZE_FORMAT " bytes more, the file ends there",
          size - done);
    done += (gsize) n;
  }
  return TRUE;
}

/* The archive's checksum is compared when the end is read. */
static gboolean
check_end (SaeNpz *npz, zip_file_t *file, const char *name, GError **error)
{
  guint8 byte;
  zip_int64_t n = zip_fread (file, &byte, 1);

  if (n < 0)
    return fail (npz, SAE_ERROR_FORMAT, name, error, "%s",
        zip_file_strerror (file));
  return n == 0 || fail (npz, SAE_ERROR_FORMAT, name, error,
                       "expected its end, file has more bytes");
}

/* --- opening --- */

static gboolean
check_stat (SaeNpz *npz, const zip_stat_t *stat, GError **error)
{
  const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE |
                              ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD |
                              ZIP_STAT_ENCRYPTION_METHOD;
  gboolean deflated = stat->comp_method == ZIP_CM_DEFLATE;

  if ((stat->valid & needed) != needed)
    return fail (npz, SAE_ERROR_FORMAT, NULL, error,
        "the archive does not say what is in it");
  if (stat->encryption_method != ZIP_EM_NONE)
    return fail (npz, SAE_ERROR_UNSUPPORTED, stat->name, error,
        "expected no encryption");
  if (stat->comp_method != ZIP_CM_STORE && !deflated)
    return fail (npz, SAE_ERROR_UNSUPPORTED, stat->name, error,
        "expected it stored or deflated, found compression %u",
        stat->comp_method);
  if (deflated ? stat->size / DEFLATE_MAX_RATIO > stat->comp_size
               : stat->size != stat->comp_size)
    return fail (npz, SAE_ERROR_FORMAT, stat->name, error,
        "%" G_GUINT64_FORMAT " bytes cannot unpack to the declared "
        "%" G_GUINT64_FORMAT,
        stat->comp_size, stat->size);
  return TRUE;
}

static SaeNpzArray *
add_array (SaeNpz *npz, const zip_stat_t *stat, GError **error)
{
  SaeNpzArray *array;
  const char *end = g_str_has_suffix (stat->name, ".npy")
                        ? stat->name + strlen (stat->name) - strlen (".npy")
                        : stat->name;
  g_autofree char *name = g_strndup (stat->name, (gsize) (end - stat->name));

  if (*name == '\0' || end == stat->name + strlen (stat->name)) {
    fail (npz, SAE_ERROR_FORMAT, stat->name, error, "expected a .npy file");
    return NULL;
  }
  if (sae_npz_find (npz, name) != NULL) {
    fail (npz, SAE_ERROR_FORMAT, stat->name, error,
        "expected one file of that name, found two");
    return NULL;
  }
  array = g_new0 (SaeNpzArray, 1);
  array->name = g_steal_pointer (&name);
  array->index = stat->index;
  g_ptr_array_add (npz->arrays, array);
  return array;
}

static gboolean
read_header (SaeNpz *npz, SaeNpzArray *array, zip_file_t *file, guint64 size,
    GError **error)
{
  g_autofree guint8 *data = g_malloc (SAE_NPY_MAX_HEADER);
  gsize known = (gsize) MIN (size, SAE_NPY_PREFIX_SIZE), header_size;

  if (!read_bytes (npz, file, array->name, data, known, error))
    return FALSE;
  header_size = sae_npy_header_size (data, known, error);
  if (header_size > size)
    return fail (npz, SAE_ERROR_FORMAT, array->name, error,
        "npy header: declared %" G_GSIZE_FORMAT
        " bytes, file has %" G_GUINT64_FORMAT,
        header_size, size);
  if (header_size != 0 && !read_bytes (npz, file, array->name, data + known,
                              header_size - known, error))
    return FALSE;
  if (header_size == 0 ||
      !sae_npy_header_parse (data, header_size, &array->header, error)) {
    g_prefix_error (error, "%s: %s: ", npz->label, array->name);
    return FALSE;
  }
  return TRUE;
}

/* The header's shape was checked: its product does not overflow. */
static gboolean
check_size (SaeNpz *npz, const SaeNpzArray *array, guint64 size, GError **error)
{
  guint64 bytes = array->header.shape[0] *
                  sae_npy_header_row_elements (&array->header) *
                  sae_dtype_size (array->header.dtype);

  if (size - array->header.header_size == bytes)
    return TRUE;
  return fail (npz, SAE_ERROR_FORMAT, array->name, error,
      "expected %" G_GUINT64_FORMAT " bytes after its header, file has "
      "%" G_GUINT64_FORMAT,
      bytes, size - array->header.header_size);
}

static gboolean
open_array (SaeNpz *npz, const zip_stat_t *stat, GError **error)
{
  SaeNpzArray *array;
  zip_file_t *file;
  gboolean ok;

  if (!check_stat (npz, stat, error))
    return FALSE;
  array = add_array (npz, stat, error);
  file = array ? open_file (npz, array->index, array->name, error) : NULL;
  if (file == NULL)
    return FALSE;
  ok = read_header (npz, array, file, stat->size, error) &&
       check_size (npz, array, stat->size, error);
  zip_fclose (file);
  return ok;
}

/* A bomb is small and unpacks to much. */
static gboolean
check_total (SaeNpz *npz, guint64 total, guint64 file_size, GError **error)
{
  guint64 most = SAE_NPZ_SMALL_SIZE;

  if (file_size > most / SAE_NPZ_MAX_RATIO)
    most = MIN (file_size, G_MAXINT64 / SAE_NPZ_MAX_RATIO) * SAE_NPZ_MAX_RATIO;
  return total <= most || fail (npz, SAE_ERROR_UNSUPPORTED, NULL, error,
                              "expected arrays of at most %" G_GUINT64_FORMAT
                              " bytes in an archive of %" G_GUINT64_FORMAT
                              ", it declares %" G_GUINT64_FORMAT,
                              most, file_size, total);
}

static gboolean
open_arrays (SaeNpz *npz, guint64 file_size, GError **error)
{
  zip_int64_t n = zip_get_num_entries (npz->zip, 0);
  guint64 total = 0;
  zip_stat_t stat;

  if (n > SAE_NPZ_MAX_ARRAYS)
    return fail (npz, SAE_ERROR_UNSUPPORTED, NULL, error,
        "expected at most %d arrays, found %" G_GINT64_FORMAT,
        SAE_NPZ_MAX_ARRAYS, (gint64) n);
  for (zip_int64_t i = 0; i < n; i++) {
    if (zip_stat_index (npz->zip, (zip_uint64_t) i, 0, &stat) != 0)
      return fail (npz, SAE_ERROR_FORMAT, NULL, error, "%s",
          zip_strerror (npz->zip));
    if (!g_uint64_checked_add (&total, total, stat.size))
      total = G_MAXUINT64;
    if (!check_total (npz, total, file_size, error) ||
        !open_array (npz, &stat, error))
      return FALSE;
  }
  return TRUE;
}

static void
free_array (gpointer data)
{
  SaeNpzArray *array = data;
  g_free (array->name);
  g_free (array);
}

static gboolean
open_archive (SaeNpz *npz, int fd, GError **error)
{
  int problem;
  zip_error_t description;

  npz->zip = zip_fdopen (fd, ZIP_CHECKCONS, &problem);
  if (npz->zip != NULL)
    return TRUE;
  close (fd);
  zip_error_init_with_code (&description, problem);
  fail (npz, SAE_ERROR_FORMAT, NULL, error,
      "cannot be read as a zip archive: %s", zip_error_strerror (&description));
  zip_error_fini (&description);
  return FALSE;
}

SaeNpz *
sae_npz_open (const char *path, GError **error)
{
  g_autoptr (SaeNpz) npz = g_new0 (SaeNpz, 1);
  guint64 size;
  int fd = sae_regular_file_open (path, &size, error);

  if (fd < 0)
    return NULL;
  npz->label = g_strdup (path);
  npz->arrays = g_ptr_array_new_with_free_func (free_array);
  if (!open_archive (npz, fd, error) || !open_arrays (npz, size, error))
    return NULL;
  return g_steal_pointer (&npz);
}

void
sae_npz_free (SaeNpz *npz)
{
  if (npz == NULL)
    return;
  if (npz->zip != NULL)
    zip_discard (npz->zip);
  g_clear_pointer (&npz->arrays, g_ptr_array_unref);
  g_free (npz->label);
  g_free (npz);
}

guint
sae_npz_get_n_arrays (SaeNpz *npz)
{
  return npz->arrays->len;
}

const SaeNpzArray *
sae_npz_get_nth (SaeNpz *npz, guint n)
{
  return n < npz->arrays->len ? npz->arrays->pdata[n] : NULL;
}

const SaeNpzArray *
sae_npz_find (SaeNpz *npz, const char *name)
{
  for (guint i = 0; i < npz->arrays->len; i++) {
    const SaeNpzArray *array = npz->arrays->pdata[i];
    if (strcmp (array->name, name) == 0)
      return array;
  }
  return NULL;
}

/* --- reading --- */

typedef struct {
  SaeNpz *npz;
  const SaeNpzArray *array;
  zip_file_t *file;
  guint8 *chunk; /* CHUNK_SIZE */
  gsize done;    /* elements */
} Reading;

static gboolean
check_finite (const Reading *reading, const float *values, gsize n,
    GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return fail (reading->npz, SAE_ERROR_NON_FINITE, reading->array->name,
          error,
          "expected finite float32 values, found %s at element "
          "%" G_GSIZE_FORMAT,
          isnan (values[i]) ? "a NaN" : "an infinity", reading->done + i);
  return TRUE;
}

/* The next @n elements. */
static gboolean
read_floats (Reading *reading, float *dst, gsize n, GError **error)
{
  SaeDtype dtype = reading->array->header.dtype;
  gsize width = sae_dtype_size (dtype);

  while (n > 0) {
    gsize count = MIN (n, CHUNK_SIZE / width);
    if (!read_bytes (reading->npz, reading->file, reading->array->name,
            reading->chunk, count * width, error))
      return FALSE;
    sae_dtype_to_float32 (dtype, reading->chunk, count, dst);
    if (!check_finite (reading, dst, count, error))
      return FALSE;
    reading->done += count;
    dst += count;
    n -= count;
  }
  return TRUE;
}

static gboolean
read_transposed (Reading *reading, float *dst, GError **error)
{
  gsize rows = (gsize) reading->array->header.shape[0];
  gsize columns = (gsize) reading->array->header.shape[1];
  gsize height = MIN (rows, SAE_TRANSPOSE_STRIP);
  g_autofree float *strip = g_try_malloc_n (height, columns * sizeof (float));

  if (strip == NULL)
    return fail (reading->npz, SAE_ERROR_NO_SPACE, reading->array->name, error,
        "no memory for %" G_GSIZE_FORMAT " rows of %" G_GSIZE_FORMAT
        " elements",
        height, columns);
  for (gsize row = 0; row < rows; row += height) {
    gsize n = MIN (height, rows - row);
    if (!read_floats (reading, strip, n * columns, error))
      return FALSE;
    sae_transpose_scatter (strip, n, columns, row, dst, rows);
  }
  return TRUE;
}

static gboolean
skip_header (Reading *reading, GError **error)
{
  /* at most SAE_NPY_MAX_HEADER, which is no more than a chunk */
  G_STATIC_ASSERT (SAE_NPY_MAX_HEADER <= CHUNK_SIZE);
  return read_bytes (reading->npz, reading->file, reading->array->name,
      reading->chunk, reading->array->header.header_size, error);
}

gboolean
sae_npz_read (SaeNpz *npz, const SaeNpzArray *array, gboolean transposed,
    float *dst, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK_SIZE);
  Reading reading = {.npz = npz, .array = array, .chunk = chunk};
  gsize n = (gsize) (array->header.shape[0] *
                     sae_npy_header_row_elements (&array->header));
  gboolean ok;

  g_return_val_if_fail (sae_dtype_is_float (array->header.dtype), FALSE);
  g_return_val_if_fail (!transposed || array->header.rank == 2, FALSE);
  reading.file = open_file (npz, array->index, array->name, error);
  if (reading.file == NULL)
    return FALSE;
  ok = skip_header (&reading, error) &&
       (transposed ? read_transposed (&reading, dst, error)
                   : read_floats (&reading, dst, n, error)) &&
       check_end (npz, reading.file, array->name, error);
  zip_fclose (reading.file);
  return ok;
}

#else /* SAE_HAVE_LIBZIP */

gboolean
sae_npz_is_supported (void)
{
  return FALSE;
}

SaeNpz *
sae_npz_open (const char *path, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: .npz files are read by libzip, which this library was built "
      "without (meson's option npz)",
      path);
  return NULL;
}

void
sae_npz_free (SaeNpz *npz)
{
}

guint
sae_npz_get_n_arrays (SaeNpz *npz)
{
  return 0;
}

const SaeNpzArray *
sae_npz_get_nth (SaeNpz *npz, guint n)
{
  return NULL;
}

const SaeNpzArray *
sae_npz_find (SaeNpz *npz, const char *name)
{
  return NULL;
}

gboolean
sae_npz_read (SaeNpz *npz, const SaeNpzArray *array, gboolean transposed,
    float *dst, GError **error)
{
  return FALSE;
}

#endif /* SAE_HAVE_LIBZIP */
