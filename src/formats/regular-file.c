/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "regular-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int
refuse_open (int fd, const char *path, SaeError code, const char *reason,
    GError **error)
{
  g_set_error (error, SAE_ERROR, (gint) code, "%s: %s", path, reason);
  if (fd >= 0)
    close (fd);
  return -1;
}

int
sae_regular_file_open (const char *path, guint64 *size, GError **error)
{
  struct stat info;
  /* O_NONBLOCK: opening a FIFO without a writer must not hang. */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0)
    return refuse_open (fd, path,
        errno == ENOENT ? SAE_ERROR_NOT_FOUND : SAE_ERROR_READ,
        g_strerror (errno), error);
  if (fstat (fd, &info) != 0)
    return refuse_open (fd, path, SAE_ERROR_READ, g_strerror (errno), error);
  if (!S_ISREG (info.st_mode))
    return refuse_open (fd, path, SAE_ERROR_READ,
        S_ISDIR (info.st_mode) ? "expected a file, found a folder"
                               : "expected a regular file",
        error);
  *size = (guint64) info.st_size;
  return fd;
}

gboolean
sae_regular_file_read (int fd, guint64 offset, void *dst, gsize size,
    const char *label, GError **error)
{
  guint8 *bytes = dst;
  gsize done = 0;

  while (done < size) {
    gssize n = pread (fd, bytes + done, size - done, (off_t) (offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_READ,
          "%s: expected %" G_GSIZE_FORMAT " bytes at offset %" G_GUINT64_FORMAT
          ", got %" G_GSIZE_FORMAT ": %s",
          label, size, offset, done,
          n < 0 ? g_strerror (errno) : "the file ends there");
      return FALSE;
    }
    done += (gsize) n;
  }
  return TRUE;
}

static GBytes *
load_open_file (int fd, guint64 size, gsize max_size, const char *path,
    GError **error)
{
  g_autofree guint8 *data = NULL;

  if (size > max_size) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "%s: expected at most %" G_GSIZE_FORMAT
        " bytes, file has %" G_GUINT64_FORMAT,
        path, max_size, size);
    return NULL;
  }
  data = g_try_malloc ((gsize) size + 1);
  if (data == NULL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: no memory for %" G_GUINT64_FORMAT " bytes", path, size);
    return NULL;
  }
  if (!sae_regular_file_read (fd, 0, data, (gsize) size, path, error))
    return NULL;
  return g_bytes_new_take (g_steal_pointer (&data), (gsize) size);
}

GBytes *
sae_regular_file_load (const char *path, gsize max_size, GError **error)
{
  guint64 size;
  GBytes *bytes;
  int fd = sae_regular_file_open (path, &size, error);
  if (fd < 0)
    return NULL;
  bytes = load_open_file (fd, size, max_size, path, error);
  close (fd);
  return bytes;
}
