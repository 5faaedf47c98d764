/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "atomic-place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_TRIES 100
/* Room for the dot and suffix within the 255 bytes of a file name. */
#define MAX_STEM 200

gboolean
sae_place_fail (const char *label, const char *verb, GError **error)
{
  int saved = errno;
  SaeError code = saved == ENOSPC || saved == EDQUOT || saved == ENOMEM
                      ? SAE_ERROR_NO_SPACE
                      : SAE_ERROR_WRITE;
  g_set_error (error, SAE_ERROR, (gint) code, "%s: cannot %s: %s", label, verb,
      g_strerror (saved));
  return FALSE;
}

gboolean
sae_place_sync (int fd, const char *label, GError **error)
{
  int result;
  do
    result = fsync (fd);
  while (result != 0 && errno == EINTR);
  return result == 0 || errno == EINVAL || errno == ENOTSUP ||
         sae_place_fail (label, "write to disk", error);
}

static int
open_folder (const char *path)
{
  return open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Syncs the parent too, so that a new folder outlives a power cut together
 * with what is put into it. */
static gboolean
make_folders (const char *path, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (path);
  gboolean synced;
  int fd;

  if (mkdir (path, 0777) != 0) {
    if (errno == EEXIST)
      return TRUE;
    if (errno != ENOENT || strcmp (parent, path) == 0)
      return sae_place_fail (path, "make the folder", error);
    if (!make_folders (parent, error))
      return FALSE;
    if (mkdir (path, 0777) != 0 && errno != EEXIST)
      return sae_place_fail (path, "make the folder", error);
  }
  fd = open_folder (parent);
  if (fd < 0)
    return sae_place_fail (parent, "open the folder", error);
  synced = sae_place_sync (fd, parent, error);
  close (fd);
  return synced;
}

static gboolean
split_path (SaePlace *place, const char *path, GError **error)
{
  gsize length = strlen (path);

  while (length > 1 && path[length - 1] == '/')
    length--;
  place->path = g_strndup (path, length);
  place->name = g_path_get_basename (place->path);
  if (length > 0 && strcmp (place->name, "/") != 0 &&
      strcmp (place->name, ".") != 0 && strcmp (place->name, "..") != 0)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "'%s': expected a path that ends in a name", path);
  return FALSE;
}

gboolean
sae_place_open (SaePlace *place, const char *path, gboolean make_parents,
    GError **error)
{
  g_autofree char *parent = NULL;

  place->parent = -1;
  place->path = place->name = NULL;
  if (!split_path (place, path, error)) {
    sae_place_close (place);
    return FALSE;
  }
  parent = g_path_get_dirname (place->path);
  place->parent = open_folder (parent);
  if (place->parent < 0 && errno == ENOENT && make_parents &&
      make_folders (parent, error))
    place->parent = open_folder (parent);
  if (place->parent >= 0)
    return TRUE;
  if (error == NULL || *error == NULL)
    sae_place_fail (parent, "open the folder", error);
  sae_place_close (place);
  return FALSE;
}

void
sae_place_close (SaePlace *place)
{
  if (place->parent >= 0)
    close (place->parent);
  place->parent = -1;
  g_clear_pointer (&place->path, g_free);
  g_clear_pointer (&place->name, g_free);
}

gboolean
sae_place_check_mount (SaePlace *place, GError **error)
{
#ifdef STATX_ATTR_MOUNT_ROOT
  struct statx info;

  if (statx (place->parent, place->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE,
          &info) == 0 &&
      (info.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
        "%s: something is mounted there, which cannot be replaced; give a path "
        "inside it",
        place->path);
    return FALSE;
  }
#endif
  return TRUE;
}

static int
make_temporary (SaePlace *place, gboolean folder, const char *name)
{
  int fd, saved;

  if (!folder)
    return openat (place->parent, name,
        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (mkdirat (place->parent, name, 0777) != 0)
    return -1;
  fd = openat (place->parent, name,
      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  saved = errno;
  if (fd < 0) /* such as by too many open files */
    unlinkat (place->parent, name, AT_REMOVEDIR);
  errno = saved;
  return fd;
}

/* Forked processes begin with the same random numbers; with their numbers in
 * them, they do not come upon each other's files a hundred times. */
static guint32
draw_suffix (void)
{
  return g_random_int () ^ (guint32) getpid () * 0x9e3779b1u;
}

static int
make_unique (SaePlace *place, gboolean folder, char **name, GError **error)
{
  for (guint i = 0; i < MAX_TRIES; i++) {
    int fd;
    *name = g_strdup_printf (".%.*s.sae-%08x", MAX_STEM, place->name,
        draw_suffix ());
    fd = make_temporary (place, folder, *name);
    if (fd >= 0)
      return fd;
    g_clear_pointer (name, g_free);
    if (errno != EEXIST)
      break;
  }
  sae_place_fail (place->path,
      folder ? "make a folder there" : "make a file there", error);
  return -1;
}

int
sae_place_make_folder (SaePlace *place, char **name, GError **error)
{
  return make_unique (place, TRUE, name, error);
}

int
sae_place_make_file (SaePlace *place, char **name, GError **error)
{
  return make_unique (place, FALSE, name, error);
}
