/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "npy-file.h"

#include <errno.h>
#include <unistd.h>

#include "npy.h"

static gboolean
read_all (int fd, guint8 *data, gsize size)
{
  while (size > 0) {
    gssize n = read (fd, data, size);

    if (n <= 0 && !(n < 0 && errno == EINTR))
      return FALSE;
    data += MAX (n, 0);
    size -= (gsize) MAX (n, 0);
  }
  return TRUE;
}

GBytes *
npy_file_read (const char *path, guint *d, GError **error)
{
  SaeNpyHeader header;
  int fd = sae_npy_open (path, &header, error);
  gsize n, size;
  g_autofree guint8 *raw = NULL;
  float *floats;

  if (fd < 0)
    return NULL;
  n = header.shape[0] * sae_npy_header_row_elements (&header);
  size = n * sae_dtype_size (header.dtype);
  raw = g_malloc (size);
  if (!sae_dtype_is_float (header.dtype) || !read_all (fd, raw, size)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_READ,
        "%s: expected %" G_GSIZE_FORMAT " floating numbers", path, n);
    close (fd);
    return NULL;
  }
  close (fd);
  floats = g_new (float, n);
  sae_dtype_to_float32 (header.dtype, raw, n, floats);
  *d = (guint) sae_npy_header_row_elements (&header);
  return g_bytes_new_take (floats, n * sizeof (float));
}

gboolean
npy_file_write (const char *path, GBytes *data, guint d, GError **error)
{
  SaeNpyHeader header = {
      .dtype = SAE_DTYPE_FLOAT32,
      .rank = 2,
      .shape = {g_bytes_get_size (data) / sizeof (float) / d, d},
  };
  g_autoptr (GBytes) head = sae_npy_header_build (&header, 0, error);
  g_autoptr (GByteArray) file = g_byte_array_new ();
  gsize size;
  const guint8 *bytes;

  if (!head)
    return FALSE;
  bytes = g_bytes_get_data (head, &size);
  g_byte_array_append (file, bytes, (guint) size);
  bytes = g_bytes_get_data (data, &size);
  if (size > 0)
    g_byte_array_append (file, bytes, (guint) size);
  return g_file_set_contents (path, (const char *) file->data, file->len,
      error);
}
