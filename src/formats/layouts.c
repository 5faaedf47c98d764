/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layouts.h"

#include <string.h>

#include "gemma-scope.h"
#include "saelens.h"
#include "safetensors-shards.h"
#include "sparsify.h"

static const SaeLayout *const layouts[] = {
    &sae_layout_saelens,
    &sae_layout_sparsify,
    &sae_layout_gemma_scope,
    NULL,
};

const SaeLayout *const *
sae_layouts_list (void)
{
  return layouts;
}

/* "saelens (cfg.json, sae_weights.safetensors) or …" */
static char *
describe_layouts (void)
{
  GString *text = g_string_new (NULL);
  for (guint i = 0; layouts[i] != NULL; i++) {
    g_autofree char *files = g_strjoinv (", ", (char **) layouts[i]->files);
    g_string_append_printf (text, "%s%s (%s)", i == 0 ? "" : " or ",
        layouts[i]->name, files);
  }
  return g_string_free (text, FALSE);
}

SaeDictionary *
sae_layouts_load (const char *path, GError **error)
{
  g_autofree char *expected = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NOT_FOUND,
        "%s: no such file or folder", path);
    return NULL;
  }
  for (guint i = 0; layouts[i] != NULL; i++)
    if (layouts[i]->probe (path))
      return layouts[i]->load (path, error);
  expected = describe_layouts ();
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: expected a dictionary: %s", path, expected);
  return NULL;
}

/* "'saelens' or 'sparsify'" */
static char *
list_writable (void)
{
  GString *text = g_string_new (NULL);
  for (guint i = 0; layouts[i] != NULL; i++)
    if (layouts[i]->save != NULL)
      g_string_append_printf (text, "%s'%s'", text->len == 0 ? "" : " or ",
          layouts[i]->name);
  return g_string_free (text, FALSE);
}

const SaeLayout *
sae_layouts_find_writable (const char *name, GError **error)
{
  g_autofree char *expected = NULL;

  for (guint i = 0; layouts[i] != NULL; i++)
    if (strcmp (layouts[i]->name, name) == 0 && layouts[i]->save != NULL)
      return layouts[i];
  expected = list_writable ();
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "layout '%s': expected one that can be saved, %s", name, expected);
  return NULL;
}

gboolean
sae_layouts_save (const SaeDictionary *dictionary, const char *name,
    const char *path, GError **error)
{
  const SaeLayout *layout = sae_layouts_find_writable (name, error);
  return layout != NULL && layout->save (dictionary, path, error);
}

gboolean
sae_layouts_check_save (const SaeDictionary *dictionary, const char *name,
    GError **error)
{
  const SaeLayout *layout = sae_layouts_find_writable (name, error);
  return layout != NULL && layout->check (dictionary, error);
}

/* --- the folder --- */

static const char *const weights[] = {
    SAE_SAELENS_WEIGHTS_FILE,
    SAE_SAELENS_WEIGHTS_FILE SAE_SAFETENSORS_INDEX_SUFFIX,
    SAE_SPARSIFY_WEIGHTS_FILE,
    SAE_SPARSIFY_WEIGHTS_FILE SAE_SAFETENSORS_INDEX_SUFFIX,
    NULL,
};

/* Files that the weights in the folder @path are cut into. (transfer full) */
static GPtrArray *
list_shards (const char *path)
{
  g_autofree char *saelens =
      g_build_filename (path, SAE_SAELENS_WEIGHTS_FILE, NULL);
  g_autofree char *sparsify =
      g_build_filename (path, SAE_SPARSIFY_WEIGHTS_FILE, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  sae_safetensors_list_shards (saelens, names);
  sae_safetensors_list_shards (sparsify, names);
  return names;
}

gboolean
sae_layouts_replace_folder (const char *path, const SaeFolderEntry *entries,
    guint n_entries, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, TRUE, sizeof (SaeFolderEntry));
  g_autoptr (GPtrArray) shards = list_shards (path);

  g_array_append_vals (all, entries, n_entries);
  for (guint i = 0; weights[i] != NULL; i++) {
    SaeFolderEntry old = {weights[i]};
    g_array_append_val (all, old);
  }
  for (guint i = 0; i < shards->len; i++) {
    SaeFolderEntry old = {shards->pdata[i], .extra = TRUE};
    g_array_append_val (all, old);
  }
  return sae_atomic_write_folder (path, (SaeFolderEntry *) all->data, all->len,
      error);
}

gboolean
sae_layouts_probe_save (const char *name, const char *path, GError **error)
{
  const SaeLayout *layout = sae_layouts_find_writable (name, error);
  return layout != NULL && sae_atomic_probe_folder_for (path, weights, error);
}
