/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-dictionary.h"

#include <string.h>
#include <sys/stat.h>

#include "inspect-figures.h"
#include "inspect-statistics.h"
#include "latent-stats.h"
#include "layouts.h"
#include "sae-enum-types.h"
#include "safetensors.h"

/* Files of a folder that are listed. */
#define MAX_FILES 100

const char *
sae_inspect_find_layout (const char *path)
{
  const SaeLayout *const *layouts = sae_layouts_list ();

  for (; *layouts; layouts++)
    if ((*layouts)->probe (path))
      return (*layouts)->name;
  return NULL;
}

/* --- files ---------------------------------------------------------------- */

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Paths of the files of @path, or @path itself. (transfer full) */
static GPtrArray *
list_files (const char *path)
{
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  if (!dir)
    g_ptr_array_add (files, g_strdup (path));
  while (dir && files->len < MAX_FILES && (name = g_dir_read_name (dir)))
    g_ptr_array_add (files, g_build_filename (path, name, NULL));
  g_ptr_array_sort (files, compare_names);
  return files;
}

static json_t *
files_to_json (GPtrArray *files)
{
  json_t *array = json_array ();

  for (guint i = 0; i < files->len; i++) {
    g_autofree char *name =
        g_filename_display_basename (g_ptr_array_index (files, i));
    struct stat status;
    if (stat (g_ptr_array_index (files, i), &status) == 0 &&
        S_ISREG (status.st_mode))
      json_array_append_new (array, json_pack ("{s:s, s:I}", "name", name,
                                        "bytes", (json_int_t) status.st_size));
  }
  return array;
}

static gboolean
is_statistics (const char *path)
{
  return g_str_has_suffix (path, SAE_LATENT_STATS_FILE) ||
         g_str_has_suffix (path, SAE_LATENT_STATS_SPARSITY_FILE);
}

/* Element types of the weights, as safetensors names them: ["F32"]. */
static json_t *
list_dtypes (GPtrArray *files)
{
  json_t *array = json_array ();
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < files->len; i++) {
    const char *path = g_ptr_array_index (files, i);
    g_autoptr (SaeSafetensors) file =
        g_str_has_suffix (path, ".safetensors") && !is_statistics (path)
            ? sae_safetensors_open (path, NULL)
            : NULL;
    guint n = file ? sae_safetensors_get_n_tensors (file) : 0;
    for (guint j = 0; j < n; j++) {
      const char *name =
          g_intern_string (sae_safetensors_get_nth (file, j)->dtype_name);
      if (g_hash_table_add (seen, (gpointer) name))
        json_array_append_new (array, json_string (name));
    }
  }
  return array;
}

/* --- the model ------------------------------------------------------------ */

static const char *
nick_of (GType type, gint value)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);
  GEnumValue *found = g_enum_get_value (enum_class, value);

  return found ? g_intern_string (found->value_nick) : "?";
}

static json_t *
metadata_to_json (SaeModel *model)
{
  g_auto (GStrv) keys = sae_model_list_metadata (model);
  json_t *object = json_object ();

  for (char **key = keys; *key; key++)
    json_object_set_new (object, *key,
        json_string (sae_model_get_metadata (model, *key)));
  return object;
}

static json_t *
config_to_json (SaeModel *model)
{
  g_autoptr (SaeConfig) config = sae_model_get_config (model);
  json_t *object =
      json_pack ("{s:i, s:i, s:i, s:s, s:b}", "d_in", (int) config->d_in,
          "d_out", (int) config->d_out, "d_sae", (int) config->d_sae,
          "sparsity", nick_of (SAE_TYPE_SPARSITY, (gint) config->sparsity),
          "pre_bias", config->pre_bias);

  if (config->input_norm != SAE_INPUT_NORM_NONE)
    json_object_set_new (object, "input_norm",
        json_string (nick_of (SAE_TYPE_INPUT_NORM, (gint) config->input_norm)));
  if (config->k > 0) {
    json_object_set_new (object, "k", json_integer (config->k));
    json_object_set_new (object, "ties",
        json_string (nick_of (SAE_TYPE_TIES, (gint) config->ties)));
  }
  return object;
}

static json_t *
spread_of_rows (GBytes *rows, guint n)
{
  g_autofree double *norms = sae_inspect_row_norms (rows, n);

  return sae_inspect_spread (norms, n);
}

/* What only some models have; @floats may be NULL. */
static void
add_spread (json_t *object, const char *name, GBytes *floats)
{
  if (floats)
    json_object_set_new (object, name, sae_inspect_spread_of_floats (floats));
}

/* Of those that only some rules and kinds have. */
static void
add_other_weights (json_t *object, SaeModel *model)
{
  g_autoptr (GBytes) threshold = sae_model_get_threshold (model);
  g_autoptr (GBytes) r_mag = sae_model_get_r_mag (model);
  g_autoptr (GBytes) b_mag = sae_model_get_b_mag (model);
  g_autoptr (GBytes) W_skip = sae_model_get_W_skip (model);

  add_spread (object, "threshold", threshold);
  add_spread (object, "r_mag", r_mag);
  add_spread (object, "b_mag", b_mag);
  if (W_skip)
    json_object_set_new (object, "W_skip-norm",
        sae_inspect_real (sae_inspect_norm (W_skip)));
}

static void
add_weights (json_t *object, SaeModel *model)
{
  guint d_sae = sae_model_get_d_sae (model);
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (model);
  g_autoptr (GBytes) b_enc = sae_model_get_b_enc (model);
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
  g_autoptr (GBytes) b_dec = sae_model_get_b_dec (model);

  json_object_set_new (object, "W_dec-row-norm", spread_of_rows (W_dec, d_sae));
  json_object_set_new (object, "W_enc-row-norm", spread_of_rows (W_enc, d_sae));
  json_object_set_new (object, "b_enc", sae_inspect_spread_of_floats (b_enc));
  json_object_set_new (object, "b_dec-norm",
      sae_inspect_real (sae_inspect_norm (b_dec)));
  add_other_weights (object, model);
}

json_t *
sae_inspect_dictionary (const char *path, gboolean verify, GError **error)
{
  const char *layout = sae_inspect_find_layout (path);
  g_autoptr (SaeModel) model = sae_model_load (path, error);
  g_autoptr (GPtrArray) files = NULL;
  json_t *object, *statistics;

  if (!model || (verify && !sae_inspect_verify_statistics (path, model, error)))
    return NULL;
  statistics = sae_inspect_statistics (path, model, error);
  if (!statistics)
    return NULL;
  files = list_files (path);
  object = json_pack ("{s:s, s:s, s:o, s:o}", "kind", "dictionary", "layout",
      layout ? layout : "?", "files", files_to_json (files), "dtypes",
      list_dtypes (files));
  json_object_update_new (object, config_to_json (model));
  json_object_set_new (object, "metadata", metadata_to_json (model));
  add_weights (object, model);
  json_object_set_new (object, "latents", statistics);
  return object;
}
