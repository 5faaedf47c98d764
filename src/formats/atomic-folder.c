/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "atomic-write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "atomic-place.h"

/* --- what stands there already --- */

/* Names in the folder @fd but . and ..; NULL on failure. */
static GPtrArray *
list_names (int fd)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  int again = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = again < 0 ? NULL : fdopendir (again);
  struct dirent *item;

  if (folder == NULL) {
    if (again >= 0)
      close (again);
    g_ptr_array_unref (names);
    return NULL;
  }
  while ((item = readdir (folder)) != NULL)
    if (strcmp (item->d_name, ".") != 0 && strcmp (item->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (item->d_name));
  closedir (folder);
  return names;
}

static gboolean
check_ours (int fd, const char *const *ours, const char *path, GError **error)
{
  g_autoptr (GPtrArray) found = list_names (fd);

  if (found == NULL)
    return sae_place_fail (path, "list the folder", error);
  for (guint i = 0; i < found->len; i++)
    if (g_strv_contains (ours, found->pdata[i]))
      return TRUE;
  if (found->len == 0)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "%s: expected an empty folder or one with %s in it, found %s%s", path,
      ours[0], (const char *) found->pdata[0],
      found->len > 1 ? " and more" : "");
  return FALSE;
}

static gboolean
refuse_other (SaePlace *place, GError **error)
{
  struct stat info;
  gboolean is_link =
      fstatat (place->parent, place->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISLNK (info.st_mode);

  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "%s: expected a folder or nothing, found %s", place->path,
      is_link ? "a symbolic link; give the folder that it points to"
              : "something else");
  return FALSE;
}

/* Stores in @fd the folder that stands at @place, or -1 when nothing does. */
static gboolean
open_old (SaePlace *place, const char *const *ours, int *fd, GError **error)
{
  *fd = openat (place->parent, place->name,
      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (*fd < 0 && (errno == ENOTDIR || errno == ELOOP))
    return refuse_other (place, error);
  if (*fd < 0)
    return errno == ENOENT || sae_place_fail (place->path, "open", error);
  if (sae_place_check_mount (place, error) &&
      (ours == NULL || check_ours (*fd, ours, place->path, error)))
    return TRUE;
  close (*fd);
  return FALSE;
}

/* --- the new folder --- */

/* A private folder or file must not become readable for others by being
 * replaced. @like is the old one's name in @old, or NULL for @old itself. */
static gboolean
copy_mode (int fd, int old, const char *like, const char *label, GError **error)
{
  struct stat before, after;
  int found = like == NULL ? fstat (old, &before)
                           : fstatat (old, like, &before, AT_SYMLINK_NOFOLLOW);

  if (found != 0 && errno == ENOENT)
    return TRUE;
  if (found == 0 && fstat (fd, &after) == 0 &&
      (S_ISLNK (before.st_mode) || before.st_mode == after.st_mode ||
          fchmod (fd, before.st_mode & 07777) == 0))
    return TRUE;
  return sae_place_fail (label, "keep the permissions", error);
}

static gboolean
write_entry (int folder, int old, const char *path, const SaeFolderEntry *entry,
    GError **error)
{
  g_autofree char *label = g_build_filename (path, entry->name, NULL);
  gboolean ok;
  int fd = openat (folder, entry->name,
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

  if (fd < 0)
    return sae_place_fail (label, "create", error);
  ok = (old < 0 || copy_mode (fd, old, entry->name, label, error)) &&
       entry->write (fd, label, entry->user_data, error) &&
       sae_place_sync (fd, label, error);
  if (close (fd) != 0 && errno != EINTR && ok)
    ok = sae_place_fail (label, "close", error);
  return ok;
}

/* What else the old folder holds is in the new one from the start, under a
 * second link. Folders cannot be linked, nor can files on some file systems:
 * keep_rest() moves those. */
static gboolean
link_rest (int old, int folder, const char *const *ours, const char *path,
    GError **error)
{
  g_autoptr (GPtrArray) names = list_names (old);

  if (names == NULL)
    return sae_place_fail (path, "list the folder", error);
  for (guint i = 0; i < names->len; i++)
    if (!g_strv_contains (ours, names->pdata[i]))
      (void) !linkat (old, names->pdata[i], folder, names->pdata[i], 0);
  return TRUE;
}

static gboolean
fill_folder (int folder, int old, const char *path, const char *const *ours,
    const SaeFolderEntry *entries, guint n_entries, GError **error)
{
  for (guint i = 0; i < n_entries; i++)
    if (entries[i].write != NULL &&
        !write_entry (folder, old, path, &entries[i], error))
      return FALSE;
  if (old >= 0 && (!link_rest (old, folder, ours, path, error) ||
                      !copy_mode (folder, old, NULL, path, error)))
    return FALSE;
  return sae_place_sync (folder, path, error);
}

/* Its owner can take files out of a read-only folder then. */
static void
open_up (int folder)
{
  struct stat info;

  if (fstat (folder, &info) == 0 && (info.st_mode & 0700) != 0700)
    (void) !fchmod (folder, (info.st_mode & 07777) | 0700);
}

/* The new folder after a failure: what is in it is ours or a second link. Ours
 * go even where no folder can be listed. */
static void
remove_folder (SaePlace *place, int folder, const char *name,
    const char *const *ours)
{
  g_autoptr (GPtrArray) names = NULL;

  open_up (folder);
  for (guint i = 0; ours[i] != NULL; i++)
    unlinkat (folder, ours[i], 0);
  names = list_names (folder);
  for (guint i = 0; names != NULL && i < names->len; i++)
    unlinkat (folder, names->pdata[i], 0);
  unlinkat (place->parent, name, AT_REMOVEDIR);
}

/* --- putting it in place --- */

static gboolean
lacks_flag (void)
{
  return errno == EINVAL || errno == ENOSYS || errno == ENOTSUP;
}

/* Without RENAME_EXCHANGE: the old folder takes the place of a new empty one,
 * whose name is stored in @aside. */
static gboolean
exchange_in_steps (SaePlace *place, const char *name, char **aside,
    GError **error)
{
  int fd = sae_place_make_folder (place, aside, error);

  if (fd < 0)
    return FALSE;
  close (fd);
  if (renameat (place->parent, place->name, place->parent, *aside) == 0) {
    if (renameat (place->parent, name, place->parent, place->name) == 0)
      return TRUE;
    sae_place_fail (place->path, "rename into place", error);
    (void) !renameat (place->parent, *aside, place->parent, place->name);
    return FALSE;
  }
  sae_place_fail (place->path, "rename aside", error);
  unlinkat (place->parent, *aside, AT_REMOVEDIR);
  return FALSE;
}

/* Stores in @aside the name that the old folder has afterwards. */
static gboolean
exchange (SaePlace *place, const char *name, char **aside, GError **error)
{
  if (renameat2 (place->parent, name, place->parent, place->name,
          RENAME_EXCHANGE) == 0) {
    *aside = g_strdup (name);
    return TRUE;
  }
  if (lacks_flag ())
    return exchange_in_steps (place, name, aside, error);
  return sae_place_fail (place->path, "exchange with the new folder", error);
}

static gboolean
put_first (SaePlace *place, const char *name, GError **error)
{
  int result = renameat2 (place->parent, name, place->parent, place->name,
      RENAME_NOREPLACE);
  /* A plain rename replaces nothing but an empty folder either. */
  if (result != 0 && lacks_flag ())
    result = renameat (place->parent, name, place->parent, place->name);
  return result == 0 ||
         sae_place_fail (place->path, "rename into place", error);
}

/* --- the old folder --- */

/* TRUE when the item had to be moved, and is now in the new folder only. */
static gboolean
move_item (int old, int folder, const char *name)
{
  struct stat before, after;

  if (renameat2 (old, name, folder, name, RENAME_NOREPLACE) == 0)
    return TRUE;
  if (fstatat (old, name, &before, AT_SYMLINK_NOFOLLOW) != 0)
    return FALSE;
  if (fstatat (folder, name, &after, AT_SYMLINK_NOFOLLOW) != 0)
    return renameat (old, name, folder, name) == 0;
  if (before.st_dev == after.st_dev && before.st_ino == after.st_ino)
    unlinkat (old, name, 0); /* the second link of link_rest() */
  return FALSE;
}

/* Empties and removes the old folder. Nothing but our own files is deleted;
 * what does not move keeps the old folder alive under its hidden name. */
static void
keep_rest (SaePlace *place, int old, int folder, const char *aside,
    const char *const *ours)
{
  g_autoptr (GPtrArray) names = list_names (old);
  struct stat before;
  gboolean known = fstat (folder, &before) == 0, moved = FALSE;

  open_up (old);
  open_up (folder);
  for (guint i = 0; names != NULL && i < names->len; i++)
    if (!g_strv_contains (ours, names->pdata[i]))
      moved |= move_item (old, folder, names->pdata[i]);
  if (known && (before.st_mode & 0700) != 0700)
    (void) !fchmod (folder, before.st_mode & 07777);
  if (moved && !sae_place_sync (folder, place->path, NULL))
    return;
  for (guint i = 0; ours[i] != NULL; i++)
    unlinkat (old, ours[i], 0);
  unlinkat (place->parent, aside, AT_REMOVEDIR);
  sae_place_sync (place->parent, place->path, NULL);
}

/* --- the whole --- */

static gboolean
put_in_place (SaePlace *place, int old, const char *name, char **aside,
    GError **error)
{
  return old >= 0 ? exchange (place, name, aside, error)
                  : put_first (place, name, error);
}

/* After the parent could not be synced: what stood there stands there again,
 * and the new folder has the name that is returned. */
static char *
take_back (SaePlace *place, const char *name, const char *aside)
{
  char *again = NULL;
  if (aside != NULL)
    exchange (place, aside, &again, NULL);
  else if (renameat (place->parent, place->name, place->parent, name) == 0)
    again = g_strdup (name);
  return again;
}

static gboolean
replace_folder (SaePlace *place, int old, const char *const *ours,
    const SaeFolderEntry *entries, guint n_entries, GError **error)
{
  g_autofree char *name = NULL, *aside = NULL;
  int folder = sae_place_make_folder (place, &name, error);
  gboolean ok;

  if (folder < 0)
    return FALSE;
  ok =
      fill_folder (folder, old, place->path, ours, entries, n_entries, error) &&
      put_in_place (place, old, name, &aside, error);
  if (ok && !sae_place_sync (place->parent, place->path, error)) {
    char *again = take_back (place, name, aside);
    g_free (name);
    name = again;
    ok = FALSE;
  }
  if (!ok && name != NULL)
    remove_folder (place, folder, name, ours);
  if (ok && old >= 0)
    keep_rest (place, old, folder, aside, ours);
  close (folder);
  return ok;
}

/* Names of the entries, with or without the extra ones; NULL-terminated. */
static const char **
list_entries (const SaeFolderEntry *entries, guint n_entries, gboolean extra)
{
  const char **names = g_new0 (const char *, n_entries + 1);
  guint n = 0;

  for (guint i = 0; i < n_entries; i++)
    if (extra || !entries[i].extra)
      names[n++] = entries[i].name;
  return names;
}

gboolean
sae_atomic_write_folder (const char *path, const SaeFolderEntry *entries,
    guint n_entries, GError **error)
{
  g_autofree const char **ours = list_entries (entries, n_entries, TRUE);
  g_autofree const char **marks = list_entries (entries, n_entries, FALSE);
  SaePlace place;
  gboolean ok = FALSE;
  int old;

  if (!sae_place_open (&place, path, TRUE, error))
    return FALSE;
  if (open_old (&place, marks, &old, error)) {
    ok = replace_folder (&place, old, ours, entries, n_entries, error);
    if (old >= 0)
      close (old);
  }
  sae_place_close (&place);
  return ok;
}

/* --- probing --- */

/* The nearest parent of @path that exists, where parents would be made. */
static char *
find_existing_parent (const char *path)
{
  char *parent = g_path_get_dirname (path);
  while (access (parent, F_OK) != 0 && errno == ENOENT) {
    char *above = g_path_get_dirname (parent);
    gboolean top = strcmp (above, parent) == 0;
    g_free (parent);
    parent = above;
    if (top)
      break;
  }
  return parent;
}

static gboolean
probe_place (SaePlace *place, GError **error)
{
  g_autofree char *name = NULL;
  int fd = sae_place_make_folder (place, &name, error);

  if (fd < 0)
    return FALSE;
  close (fd);
  unlinkat (place->parent, name, AT_REMOVEDIR);
  return TRUE;
}

static gboolean
probe_existing_parent (const char *path, GError **error)
{
  g_autofree char *parent = find_existing_parent (path);
  g_autofree char *name = g_path_get_basename (path);
  g_autofree char *nearest = g_build_filename (parent, name, NULL);
  SaePlace place;
  gboolean ok;

  if (!sae_place_open (&place, nearest, FALSE, error))
    return FALSE;
  ok = probe_place (&place, error);
  sae_place_close (&place);
  return ok;
}

gboolean
sae_atomic_probe_folder_for (const char *path, const char *const *names,
    GError **error)
{
  g_autofree char *parent = g_path_get_dirname (path);
  SaePlace place;
  gboolean ok;
  int old;

  if (access (parent, F_OK) != 0 && errno == ENOENT)
    return probe_existing_parent (path, error);
  if (!sae_place_open (&place, path, FALSE, error))
    return FALSE;
  ok = open_old (&place, names, &old, error);
  if (ok && old >= 0)
    close (old);
  ok = ok && probe_place (&place, error);
  sae_place_close (&place);
  return ok;
}

gboolean
sae_atomic_probe_folder (const char *path, GError **error)
{
  return sae_atomic_probe_folder_for (path, NULL, error);
}
