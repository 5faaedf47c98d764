/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-folder.h"

#include <string.h>

#include "inspect-arrays.h"

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Names of the files of arrays, in order. (transfer full) */
static GPtrArray *
list_arrays (const char *path)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ".npy") ||
        g_str_has_suffix (name, ".safetensors"))
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  return names;
}

/* The reader says which files a dictionary of each layout has. */
static json_t *
refuse (const char *path, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (path, error);

  if (model)
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "%s: changed while it was read", path);
  return NULL;
}

json_t *
sae_inspect_folder (const char *path, gboolean verify, GError **error)
{
  g_autoptr (GPtrArray) names = list_arrays (path);
  json_t *files;

  if (names->len == 0)
    return refuse (path, error);
  files = json_array ();
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *file =
        g_build_filename (path, g_ptr_array_index (names, i), NULL);
    g_autofree char *shown = g_filename_display_name (file);
    json_t *facts = sae_inspect_file (file, verify, error);
    if (!facts) {
      json_decref (files);
      return NULL;
    }
    json_object_set_new (facts, "path", json_string (shown));
    json_array_append_new (files, facts);
  }
  return json_pack ("{s:s, s:o}", "kind", "folder", "files", files);
}
