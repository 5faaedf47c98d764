/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The list of weight layouts on disk. To add one: a file <name>.c with its
 * SaeLayout, and a row in layouts.c. */
#pragma once

#include "atomic-write.h"
#include "dictionary.h"

typedef struct {
  const char *name; /* "saelens" */
  /* The files of the folder, NULL-terminated. */
  const char *const *files;
  /* TRUE when @path looks like this layout; no error, cheap. */
  gboolean (*probe) (const char *path);
  SaeDictionary *(*load) (const char *path, GError **error);
  /* NULL when the layout is read only. */
  gboolean (*save) (const SaeDictionary *dictionary, const char *path,
      GError **error);
  /* Whether sizes and options of a dictionary, which needs no arrays, can be
   * expressed: what save() would refuse them for. NULL with @save. */
  gboolean (*check) (const SaeDictionary *dictionary, GError **error);
} SaeLayout;

/* NULL-terminated. */
const SaeLayout *const *sae_layouts_list (void);

/* Loads @path with the layout that recognises it. SAE_ERROR_NOT_FOUND when
 * nothing is there, SAE_ERROR_UNSUPPORTED (naming what was looked for) when
 * no layout fits. (transfer full) */
SaeDictionary *sae_layouts_load (const char *path, GError **error);

/* The layout called @name, if it can be saved. */
const SaeLayout *sae_layouts_find_writable (const char *name, GError **error);

/* Saves as the layout called @name. */
gboolean sae_layouts_save (const SaeDictionary *dictionary, const char *name,
    const char *path, GError **error);

/* Whether it could save @dictionary, which needs no arrays; for failing before
 * the work, not after. */
gboolean sae_layouts_check_save (const SaeDictionary *dictionary,
    const char *name, GError **error);

/* Checks, without leaving anything behind, that @path is a place where
 * sae_layouts_save() could write: for failing before the work, not after. */
gboolean
sae_layouts_probe_save (const char *name, const char *path, GError **error);

/* For save(): sae_atomic_write_folder(), where the weights of any layout tell
 * that a folder is a dictionary, and none of them stay beside the new ones, nor
 * do the files that they are cut into. A configuration does not tell, others
 * have a cfg.json too. */
gboolean sae_layouts_replace_folder (const char *path,
    const SaeFolderEntry *entries, guint n_entries, GError **error);
