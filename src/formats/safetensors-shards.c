/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "safetensors-shards.h"

#include <string.h>

#include "json-text.h"
#include "regular-file.h"

#define INDEX_SUFFIX SAE_SAFETENSORS_INDEX_SUFFIX
#define MAX_INDEX (8u * 1024 * 1024)

typedef struct {
  const char *label; /* of the index */
  char *folder;
  json_t *root;
  json_t *map; /* tensor to file, borrowed from root */
} Index;

gboolean
sae_safetensors_exist (const char *path)
{
  g_autofree char *index = g_strconcat (path, INDEX_SUFFIX, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS) ||
         g_file_test (index, G_FILE_TEST_EXISTS);
}

static gboolean
fail (const Index *index, const char *what, const char *reason, GError **error)
{
  g_autofree char *shown = sae_json_shorten (what);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT, "%s: %s: %s", index->label,
      shown, reason);
  return FALSE;
}

static gboolean
fail_in (const Index *index, const char *tensor, const char *reason,
    const char *file, GError **error)
{
  g_autofree char *shown = sae_json_shorten (file);
  g_autofree char *whole = g_strdup_printf ("%s %s", reason, shown);
  return fail (index, tensor, whole, error);
}

/* --- the index --- */

static gboolean
read_index (Index *index, GError **error)
{
  g_autoptr (GBytes) text =
      sae_regular_file_load (index->label, MAX_INDEX, error);

  if (text == NULL)
    return FALSE;
  index->root = sae_json_read (g_bytes_get_data (text, NULL),
      g_bytes_get_size (text), index->label, error);
  return index->root != NULL;
}

static gboolean
check_keys (Index *index, GError **error)
{
  const char *key;
  json_t *value;

  json_object_foreach (index->root, key,
      value) if (strcmp (key, "weight_map") != 0 &&
                 strcmp (key, "metadata") != 0) return fail (index, key,
      "expected weight_map and metadata only", error);
  index->map = json_object_get (index->root, "weight_map");
  return (json_is_object (index->map) && json_object_size (index->map) > 0) ||
         fail (index, "weight_map", "expected an object of tensors and files",
             error);
}

/* A name in the folder itself: an index must not reach out of it. */
static gboolean
is_plain_name (const char *name)
{
  return name != NULL && g_str_has_suffix (name, ".safetensors") &&
         strchr (name, '/') == NULL && name[0] != '.';
}

/* The files in the order in which the map first names them. */
static GPtrArray *
list_files (Index *index, GError **error)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  const char *tensor;
  json_t *value;

  json_object_foreach (index->map, tensor, value)
  {
    const char *file = json_string_value (value);
    if (!is_plain_name (file)) {
      fail (index, tensor, "expected a .safetensors file of the same folder",
          error);
      return NULL;
    }
    if (g_hash_table_add (seen, (gpointer) file))
      g_ptr_array_add (files, (gpointer) file);
  }
  if (files->len > SAE_SAFETENSORS_MAX_SHARDS) {
    fail (index, "weight_map", "expected at most 128 files", error);
    return NULL;
  }
  return g_steal_pointer (&files);
}

/* --- the shards --- */

static gboolean
check_shard (const Index *index, SaeSafetensors *shard, const char *file,
    GError **error)
{
  for (guint n = 0; n < sae_safetensors_get_n_tensors (shard); n++) {
    const char *name = sae_safetensors_get_nth (shard, n)->name;
    const char *expected =
        json_string_value (json_object_get (index->map, name));
    if (g_strcmp0 (expected, file) != 0)
      return fail_in (index, name, "is there, but not in the weight_map for",
          file, error);
  }
  return TRUE;
}

static GPtrArray *
open_shards (const Index *index, const GPtrArray *files, GError **error)
{
  g_autoptr (GPtrArray) shards =
      g_ptr_array_new_with_free_func ((GDestroyNotify) sae_safetensors_free);

  for (guint i = 0; i < files->len; i++) {
    const char *file = files->pdata[i];
    g_autofree char *path = g_build_filename (index->folder, file, NULL);
    SaeSafetensors *shard = sae_safetensors_open (path, error);
    if (shard == NULL)
      return NULL;
    g_ptr_array_add (shards, shard);
    if (!check_shard (index, shard, file, error))
      return NULL;
  }
  return g_steal_pointer (&shards);
}

static gboolean
check_all_there (const Index *index, SaeSafetensors *joined, GError **error)
{
  const char *tensor;
  json_t *file;

  json_object_foreach (index->map, tensor,
      file) if (sae_safetensors_find (joined, tensor) ==
                NULL) return fail_in (index, tensor, "no such tensor in",
      json_string_value (file), error);
  return TRUE;
}

static SaeSafetensors *
open_index (Index *index, GError **error)
{
  g_autoptr (SaeSafetensors) joined = NULL;
  g_autoptr (GPtrArray) files = NULL;
  GPtrArray *shards;

  if (!read_index (index, error) || !check_keys (index, error))
    return NULL;
  files = list_files (index, error);
  shards = files == NULL ? NULL : open_shards (index, files, error);
  if (shards == NULL)
    return NULL;
  joined = sae_safetensors_join (shards, index->label);
  if (!check_all_there (index, joined, error))
    return NULL;
  return g_steal_pointer (&joined);
}

SaeSafetensors *
sae_safetensors_open_sharded (const char *path, GError **error)
{
  g_autofree char *label = g_strconcat (path, INDEX_SUFFIX, NULL);
  Index index = {.label = label, .folder = g_path_get_dirname (path)};
  SaeSafetensors *file;

  if (g_file_test (path, G_FILE_TEST_EXISTS) ||
      !g_file_test (label, G_FILE_TEST_EXISTS))
    file = sae_safetensors_open (path, error);
  else
    file = open_index (&index, error);
  json_decref (index.root);
  g_free (index.folder);
  return file;
}

void
sae_safetensors_list_shards (const char *path, GPtrArray *names)
{
  g_autofree char *label = g_strconcat (path, INDEX_SUFFIX, NULL);
  Index index = {.label = label, .folder = g_path_get_dirname (path)};
  g_autoptr (SaeSafetensors) joined = open_index (&index, NULL);
  g_autoptr (GPtrArray) files =
      joined == NULL ? NULL : list_files (&index, NULL);

  for (guint i = 0; files != NULL && i < files->len; i++)
    g_ptr_array_add (names, g_strdup (files->pdata[i]));
  json_decref (index.root);
  g_free (index.folder);
}
