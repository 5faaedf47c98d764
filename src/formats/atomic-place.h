/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A name in a folder that is held open: everything is done relative to that
 * descriptor, so that renaming or replacing its parents meanwhile does not
 * lead a write elsewhere. Symbolic links in the parents are followed, the
 * name itself never is. */
#pragma once

#include <sys/stat.h>

#include "sae-error.h"

typedef struct {
  char *path; /* as given, without trailing slashes; for errors */
  char *name; /* last component */
  int parent; /* descriptor of the folder that holds it */
} SaePlace;

/* Opens the parent of @path. Missing parents are made, and synced, when
 * @make_parents. Paths that end in no name ("", "/", "a/..") are refused. */
gboolean sae_place_open (SaePlace *place, const char *path,
    gboolean make_parents, GError **error);
void sae_place_close (SaePlace *place);

/* A folder ".<name>.sae-XXXXXXXX" (or a file) beside the place, made anew;
 * @name takes the name (g_free). The descriptor, or -1 with @error set. */
int sae_place_make_folder (SaePlace *place, char **name, GError **error);
int sae_place_make_file (SaePlace *place, char **name, GError **error);

/* FALSE for a place where something is mounted, as containers do: that can
 * neither be renamed nor replaced. */
gboolean sae_place_check_mount (SaePlace *place, GError **error);

/* Sets @error from errno: "<label>: cannot <verb>: <reason>". FALSE. */
gboolean sae_place_fail (const char *label, const char *verb, GError **error);

/* fsync of a file or folder; file systems that cannot sync folders are
 * taken as they are. */
gboolean sae_place_sync (int fd, const char *label, GError **error);
