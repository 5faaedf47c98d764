/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-arrays.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "npy.h"
#include "regular-file.h"
#include "safetensors.h"

#define ELEMENTS_AT_A_TIME (1 << 18)
#define NPY_MAGIC "\x93NUMPY"

static json_t *
shape_to_json (guint rank, const guint64 *shape)
{
  json_t *array = json_array ();

  for (guint i = 0; i < rank; i++)
    json_array_append_new (array, json_integer ((json_int_t) shape[i]));
  return array;
}

/* @first is the place of the first of them. */
static gboolean
check_finite (const float *values, gsize n, guint64 first, const char *label,
    GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i])) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "%s: expected finite numbers, element %" G_GUINT64_FORMAT
          " is NaN or an infinity",
          label, first + i);
      return FALSE;
    }
  return TRUE;
}

/* --- .npy ----------------------------------------------------------------- */

static gboolean
verify_npy (int fd, const SaeNpyHeader *header, guint64 n_elements,
    const char *path, GError **error)
{
  gsize size = sae_dtype_size (header->dtype);
  g_autofree guint8 *bytes = g_malloc (ELEMENTS_AT_A_TIME * size);
  g_autofree float *values = g_new (float, ELEMENTS_AT_A_TIME);

  if (!sae_dtype_is_float (header->dtype))
    return TRUE;
  for (guint64 i = 0; i < n_elements; i += ELEMENTS_AT_A_TIME) {
    gsize n = (gsize) MIN (ELEMENTS_AT_A_TIME, n_elements - i);
    if (!sae_regular_file_read (fd, header->header_size + i * size, bytes,
            n * size, path, error))
      return FALSE;
    sae_dtype_to_float32 (header->dtype, bytes, n, values);
    if (!check_finite (values, n, i, path, error))
      return FALSE;
  }
  return TRUE;
}

json_t *
sae_inspect_npy (const char *path, gboolean verify, GError **error)
{
  SaeNpyHeader header;
  int fd = sae_npy_open (path, &header, error);
  guint64 width, n_elements;
  gboolean ok;

  if (fd < 0)
    return NULL;
  width = sae_npy_header_row_elements (&header);
  n_elements = header.shape[0] * width;
  ok = !verify || verify_npy (fd, &header, n_elements, path, error);
  close (fd);
  if (!ok)
    return NULL;
  /* For us a row is the innermost dimension. */
  width = header.shape[header.rank - 1];
  return json_pack ("{s:s, s:s, s:o, s:I, s:I, s:I}", "kind", "npy", "dtype",
      sae_dtype_name (header.dtype), "shape",
      shape_to_json (header.rank, header.shape), "rows",
      (json_int_t) (width ? n_elements / width : 0), "row-width",
      (json_int_t) width, "bytes",
      (json_int_t) (header.header_size +
                    n_elements * sae_dtype_size (header.dtype)));
}

/* --- .safetensors --------------------------------------------------------- */

static gboolean
verify_tensor (SaeSafetensors *file, const SaeTensorEntry *entry,
    const char *path, GError **error)
{
  g_autofree float *values = g_new (float, ELEMENTS_AT_A_TIME);

  if (!entry->readable || !sae_dtype_is_float (entry->dtype))
    return TRUE;
  for (gsize i = 0; i < entry->n_elements; i += ELEMENTS_AT_A_TIME) {
    gsize n = MIN (ELEMENTS_AT_A_TIME, entry->n_elements - i);
    if (!sae_safetensors_read_range (file, entry, i, n, values, error))
      return FALSE;
  }
  return TRUE;
}

static json_t *
tensor_to_json (const SaeTensorEntry *entry)
{
  json_t *tensor = json_pack ("{s:s, s:s, s:I}", "name", entry->name, "dtype",
      entry->dtype_name, "bytes", (json_int_t) entry->size);

  if (entry->readable)
    json_object_set_new (tensor, "shape",
        shape_to_json (entry->rank, entry->shape));
  return tensor;
}

json_t *
sae_inspect_safetensors (const char *path, gboolean verify, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (path, error);
  json_t *tensors;

  if (!file)
    return NULL;
  tensors = json_array ();
  for (guint i = 0; i < sae_safetensors_get_n_tensors (file); i++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (file, i);
    if (verify && !verify_tensor (file, entry, path, error)) {
      json_decref (tensors);
      return NULL;
    }
    json_array_append_new (tensors, tensor_to_json (entry));
  }
  return json_pack ("{s:s, s:o}", "kind", "safetensors", "tensors", tensors);
}

json_t *
sae_inspect_file (const char *path, gboolean verify, GError **error)
{
  guint64 size;
  int fd = sae_regular_file_open (path, &size, error);
  char start[sizeof NPY_MAGIC] = {0};
  const gsize n = sizeof start - 1;
  gboolean ok;

  if (fd < 0)
    return NULL;
  ok = size < n || sae_regular_file_read (fd, 0, start, n, path, error);
  close (fd);
  if (!ok)
    return NULL;
  if (memcmp (start, NPY_MAGIC, n) == 0 || g_str_has_suffix (path, ".npy"))
    return sae_inspect_npy (path, verify, error);
  if (g_str_has_prefix (start, "PK")) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "%s: expected a dictionary, a .npy or a .safetensors file, got an "
        "archive that is none",
        path);
    return NULL;
  }
  return sae_inspect_safetensors (path, verify, error);
}
