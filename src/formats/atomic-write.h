/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files and folders that are replaced whole or not at all: a reader, a crash
 * or a power cut sees the old content or the new, never a mixture.
 *
 * Whatever already stands at a path is only replaced when it is what we would
 * write there: a regular file, or a folder of ours. Symbolic links, FIFOs,
 * devices and other people's folders are refused, and nothing is ever written
 * through a link. A process that is killed can leave a hidden sibling named
 * .<name>.sae-XXXXXXXX behind; it is never read again and may be removed. Not
 * so where the folder itself is missing: without RENAME_EXCHANGE there is a
 * moment at which both the old and the new one are such siblings. Folders that
 * somebody put into the old one are in a sibling, too, when they could not be
 * moved, or not yet. */
#pragma once

#include "sae-error.h"

/* Writes all @size bytes, going on after short writes and EINTR.
 * ENOSPC and EDQUOT are SAE_ERROR_NO_SPACE, the rest SAE_ERROR_WRITE. */
gboolean sae_write_all (int fd, const void *data, gsize size, const char *label,
    GError **error);

/* Fills an open file descriptor; used by the functions below. */
typedef gboolean (*SaeFileWriter) (int fd, const char *label,
    gpointer user_data, GError **error);

/* One that writes the text @user_data (const char *). */
gboolean
sae_write_text (int fd, const char *label, gpointer user_data, GError **error);

/* Replaces the file @path: temporary beside the target (O_EXCL, O_NOFOLLOW),
 * write, fsync, rename, fsync of the folder. The permissions of a file that
 * is replaced are kept. On failure the temporary is removed and @path is as
 * before; but when only the last step failed, the sync of the folder, the new
 * file stands and the error says that it may not be on disk yet. */
gboolean sae_atomic_write_file (const char *path, SaeFileWriter write,
    gpointer user_data, GError **error);

/* The same without the fsyncs: for a view of what goes on now, which readers
 * must not see half of, but which a power cut may take. */
gboolean sae_atomic_write_view (const char *path, SaeFileWriter write,
    gpointer user_data, GError **error);

/* Checks, without leaving anything behind, that sae_atomic_write_file() would
 * find a writable place at @path; for failing early. */
gboolean sae_atomic_probe_file (const char *path, GError **error);

typedef struct {
  const char *name; /* of the file inside the folder */
  /* NULL: a file of ours that the new folder does not have. */
  SaeFileWriter write;
  gpointer user_data;
  /* Not enough by itself to tell that a folder is ours. */
  gboolean extra;
} SaeFolderEntry;

/* Replaces the folder @path by one that holds the @n_entries files:
 * written to a sibling folder, fsynced, exchanged (renameat2
 * RENAME_EXCHANGE, or rename where nothing is there yet), old one removed.
 * Missing parents are created. An existing @path is only replaced when it is
 * a folder that is empty or has one of @n_entries' names in it: a mistyped
 * path never costs somebody a home folder (names of extra entries do not
 * count). Where the file system lacks RENAME_EXCHANGE, the old folder is
 * renamed aside, the new one put in its place, then the old one removed; a kill
 * just between these leaves nothing at @path. Permissions are kept. On failure
 * @path is as before.
 *
 * Whatever else the old folder holds is carried over: files are linked into
 * the new folder before the exchange, so they are there throughout; what
 * cannot be linked (folders) is moved right after it. What cannot be moved
 * either stays in the hidden sibling, which is then not removed. */
gboolean sae_atomic_write_folder (const char *path,
    const SaeFolderEntry *entries, guint n_entries, GError **error);

/* Checks, without leaving anything behind, that sae_atomic_write_folder()
 * would find a writable place at @path; for failing early. */
gboolean sae_atomic_probe_folder (const char *path, GError **error);

/* The same, and what stands at @path must be a folder that is empty or has
 * one of @names (NULL-terminated) in it. */
gboolean sae_atomic_probe_folder_for (const char *path,
    const char *const *names, GError **error);
