/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-arrays.h"

#include <string.h>
#include <unistd.h>

#include "inspect-finite.h"
#include "npy.h"
#include "regular-file.h"
#include "safetensors.h"

#define NPY_MAGIC "\x93NUMPY"

static json_t *
shape_to_json (guint rank, const guint64 *shape)
{
  json_t *array = json_array ();

  for (guint i = 0; i < rank; i++)
    json_array_append_new (array, json_integer ((json_int_t) shape[i]));
  return array;
}

/* --- .npy ----------------------------------------------------------------- */

json_t *
sae_inspect_npy (const char *path, gboolean verify, GError **error)
{
  SaeNpyHeader header;
  int fd = sae_npy_open (path, &header, error);
  guint64 width, n_elements, n_bytes;
  gboolean ok;

  if (fd < 0)
    return NULL;
  width = sae_npy_header_row_elements (&header);
  n_elements = header.shape[0] * width;
  n_bytes = n_elements * sae_dtype_size (header.dtype);
  ok = !verify || sae_inspect_check_finite (fd, header.header_size, n_bytes,
                      sae_dtype_name (header.dtype), path, error);
  close (fd);
  if (!ok)
    return NULL;
  /* For us a row is the innermost dimension. */
  width = header.shape[header.rank - 1];
  return json_pack ("{s:s, s:s, s:o, s:I, s:I, s:I}", "kind", "npy", "dtype",
      sae_dtype_name (header.dtype), "shape",
      shape_to_json (header.rank, header.shape), "rows",
      (json_int_t) (width ? n_elements / width : 0), "row-width",
      (json_int_t) width, "bytes", (json_int_t) (header.header_size + n_bytes));
}

/* --- .safetensors --------------------------------------------------------- */

static gboolean
verify_tensors (SaeSafetensors *file, const char *path, GError **error)
{
  guint64 size;
  int fd = sae_regular_file_open (path, &size, error);
  gboolean ok = fd >= 0;

  for (guint i = 0; ok && i < sae_safetensors_get_n_tensors (file); i++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (file, i);
    g_autofree char *label =
        g_strdup_printf ("%s: tensor '%s'", path, entry->name);
    ok = sae_inspect_check_finite (fd, entry->offset, entry->size,
        entry->dtype_name, label, error);
  }
  if (fd >= 0)
    close (fd);
  return ok;
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

  if (!file || (verify && !verify_tensors (file, path, error)))
    return NULL;
  tensors = json_array ();
  for (guint i = 0; i < sae_safetensors_get_n_tensors (file); i++)
    json_array_append_new (tensors,
        tensor_to_json (sae_safetensors_get_nth (file, i)));
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
