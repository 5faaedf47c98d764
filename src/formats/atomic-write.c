/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "atomic-write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "atomic-place.h"

gboolean
sae_write_all (int fd, const void *data, gsize size, const char *label,
    GError **error)
{
  const guint8 *bytes = data;

  while (size > 0) {
    gssize n = write (fd, bytes, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n == 0)
      errno = ENOSPC;
    if (n <= 0)
      return sae_place_fail (label, "write", error);
    bytes += n;
    size -= (gsize) n;
  }
  return TRUE;
}

gboolean
sae_write_text (int fd, const char *label, gpointer user_data, GError **error)
{
  const char *text = user_data;
  return sae_write_all (fd, text, strlen (text), label, error);
}

/* The permissions of the file that is replaced go on: a private one must not
 * become readable for others. */
static gboolean
vet_target (SaePlace *place, int fd, GError **error)
{
  struct stat info;

  if (fstatat (place->parent, place->name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT || sae_place_fail (place->path, "look", error);
  if (!S_ISREG (info.st_mode)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
        "%s: expected a regular file or nothing, found %s", place->path,
        S_ISLNK (info.st_mode)   ? "a symbolic link"
        : S_ISDIR (info.st_mode) ? "a folder"
                                 : "a special file");
    return FALSE;
  }
  if (!sae_place_check_mount (place, error))
    return FALSE;
  return fchmod (fd, info.st_mode & 07777) == 0 ||
         sae_place_fail (place->path, "set the permissions", error);
}

static gboolean
replace_file (SaePlace *place, int fd, const char *temporary, gboolean durable,
    SaeFileWriter write, gpointer user_data, GError **error)
{
  gboolean ok = vet_target (place, fd, error) &&
                write (fd, place->path, user_data, error) &&
                (!durable || sae_place_sync (fd, place->path, error));

  if (close (fd) != 0 && errno != EINTR && ok)
    ok = sae_place_fail (place->path, "close", error);
  if (ok &&
      renameat (place->parent, temporary, place->parent, place->name) != 0)
    ok = sae_place_fail (place->path, "rename into place", error);
  if (!ok) {
    unlinkat (place->parent, temporary, 0);
    return FALSE;
  }
  return !durable || sae_place_sync (place->parent, place->path, error);
}

static gboolean
write_file (const char *path, gboolean durable, SaeFileWriter write,
    gpointer user_data, GError **error)
{
  SaePlace place;
  g_autofree char *temporary = NULL;
  gboolean ok = FALSE;
  int fd;

  if (!sae_place_open (&place, path, FALSE, error))
    return FALSE;
  fd = sae_place_make_file (&place, &temporary, error);
  if (fd >= 0)
    ok = replace_file (&place, fd, temporary, durable, write, user_data, error);
  sae_place_close (&place);
  return ok;
}

gboolean
sae_atomic_write_file (const char *path, SaeFileWriter write,
    gpointer user_data, GError **error)
{
  return write_file (path, TRUE, write, user_data, error);
}

gboolean
sae_atomic_write_view (const char *path, SaeFileWriter write,
    gpointer user_data, GError **error)
{
  return write_file (path, FALSE, write, user_data, error);
}

gboolean
sae_atomic_probe_file (const char *path, GError **error)
{
  SaePlace place;
  g_autofree char *temporary = NULL;
  gboolean ok = FALSE;
  int fd;

  if (!sae_place_open (&place, path, FALSE, error))
    return FALSE;
  fd = sae_place_make_file (&place, &temporary, error);
  if (fd >= 0) {
    ok = vet_target (&place, fd, error);
    close (fd);
    unlinkat (place.parent, temporary, 0);
  }
  sae_place_close (&place);
  return ok;
}
