/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "layouts.h"
#include "sae-enum-types.h"
#include "start.h"

/* Layout that sae_model_save() writes. */
#define SAVE_LAYOUT "saelens"
struct _SaeModel {
  gatomicrefcount ref_count;
  SaeNet net; /* its pointers are the data of the bytes below */
  GBytes *W_enc, *b_enc, *W_dec, *b_dec;
  GHashTable *metadata; /* gchar* to gchar* */
};

G_DEFINE_BOXED_TYPE (SaeModel, sae_model, sae_model_ref, sae_model_unref)

const SaeNet *
sae_model_get_net (SaeModel *model)
{
  return &model->net;
}

GHashTable *
sae_model_get_metadata_table (SaeModel *model)
{
  return model->metadata;
}

static GHashTable *
copy_metadata (GHashTable *metadata)
{
  GHashTable *copy =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer key, value;

  if (!metadata)
    return copy;
  g_hash_table_iter_init (&iter, metadata);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (copy, g_strdup (key), g_strdup (value));
  return copy;
}

static GBytes *
take_floats (float *floats, gsize rows, gsize columns)
{
  return g_bytes_new_with_free_func (floats, rows * columns * sizeof (float),
      free, floats);
}

static gboolean
check_finite (const char *name, GBytes *bytes, GError **error)
{
  gsize n = g_bytes_get_size (bytes) / sizeof (float);
  const float *data = g_bytes_get_data (bytes, NULL);

  if (sae_kernels ()->all_finite (data, n))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
      "%s: expected finite weights, got NaN or infinity", name);
  return FALSE;
}

SaeModel *
sae_model_new_take (const SaeNet *net, float *W_enc, float *b_enc, float *W_dec,
    float *b_dec, GHashTable *metadata, GError **error)
{
  SaeModel *model = g_new0 (SaeModel, 1);

  g_atomic_ref_count_init (&model->ref_count);
  model->net = *net;
  model->W_enc = take_floats (W_enc, net->d_sae, net->d_in);
  model->b_enc = take_floats (b_enc, 1, net->d_sae);
  model->W_dec = take_floats (W_dec, net->d_sae, net->d_out);
  model->b_dec = take_floats (b_dec, 1, net->d_out);
  model->net.W_enc = W_enc;
  model->net.b_enc = b_enc;
  model->net.W_dec = W_dec;
  model->net.b_dec = b_dec;
  model->metadata = copy_metadata (metadata);
  if (!sae_net_check (net, error) ||
      !check_finite ("W_enc", model->W_enc, error) ||
      !check_finite ("b_enc", model->b_enc, error) ||
      !check_finite ("W_dec", model->W_dec, error) ||
      !check_finite ("b_dec", model->b_dec, error))
    g_clear_pointer (&model, sae_model_unref);
  return model;
}

/* Four zeroed arrays of the sizes of @net, or none. */
static gboolean
allocate (const SaeNet *net, float *arrays[4], GError **error)
{
  arrays[0] = sae_floats_new (net->d_sae, net->d_in, "W_enc", error);
  arrays[1] = arrays[0] ? sae_floats_new (1, net->d_sae, "b_enc", error) : NULL;
  arrays[2] = arrays[1]
                  ? sae_floats_new (net->d_sae, net->d_out, "W_dec", error)
                  : NULL;
  arrays[3] = arrays[2] ? sae_floats_new (1, net->d_out, "b_dec", error) : NULL;
  if (arrays[3])
    return TRUE;
  for (guint i = 0; i < 3; i++)
    free (arrays[i]);
  return FALSE;
}

/**
 * sae_model_new:
 * @config: sizes and rule
 * @seed: which random start
 * @init: how it starts
 * @error: return location
 *
 * Makes an untrained model; the same seed gives the same bits everywhere.
 * %SAE_ERROR_SIZE when @config contradicts itself, %SAE_ERROR_NO_SPACE when
 * memory is exhausted.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_new (const SaeConfig *config, guint64 seed, SaeInit init,
    GError **error)
{
  SaeNet net = sae_net_from_config (config);
  float *arrays[4];

  if (!sae_net_check (&net, error) || !allocate (&net, arrays, error))
    return NULL;
  sae_start_weights (&net, init, seed, arrays[0], arrays[2]);
  return sae_model_new_take (&net, arrays[0], arrays[1], arrays[2], arrays[3],
      NULL, error);
}

static gboolean
copy_weights (const char *name, float *to, gsize rows, gsize columns,
    GBytes *from, GError **error)
{
  gsize expected = rows * columns * sizeof (float);

  if (g_bytes_get_size (from) != expected) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "%s: expected [%" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT
        "] = %" G_GSIZE_FORMAT " bytes, got %" G_GSIZE_FORMAT,
        name, rows, columns, expected, g_bytes_get_size (from));
    return FALSE;
  }
  memcpy (to, g_bytes_get_data (from, NULL), expected);
  return TRUE;
}

/**
 * sae_model_new_from_weights:
 * @config: sizes and rule
 * @W_enc: float32 [d_sae, d_in]; row i reads latent i
 * @b_enc: float32 [d_sae]
 * @W_dec: float32 [d_sae, d_out]; row i writes latent i
 * @b_dec: float32 [d_out]
 * @error: return location
 *
 * Makes a model from arrays, which are copied. Note the orientation: W_enc of
 * SAELens and Gemma Scope is the transpose. %SAE_ERROR_SIZE when a size is not
 * what @config says, %SAE_ERROR_NON_FINITE for a NaN or an infinity.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_new_from_weights (const SaeConfig *config, GBytes *W_enc,
    GBytes *b_enc, GBytes *W_dec, GBytes *b_dec, GError **error)
{
  SaeNet net = sae_net_from_config (config);
  float *a[4];

  if (!sae_net_check (&net, error) || !allocate (&net, a, error))
    return NULL;
  if (!copy_weights ("W_enc", a[0], net.d_sae, net.d_in, W_enc, error) ||
      !copy_weights ("b_enc", a[1], 1, net.d_sae, b_enc, error) ||
      !copy_weights ("W_dec", a[2], net.d_sae, net.d_out, W_dec, error) ||
      !copy_weights ("b_dec", a[3], 1, net.d_out, b_dec, error)) {
    for (guint i = 0; i < 4; i++)
      free (a[i]);
    return NULL;
  }
  return sae_model_new_take (&net, a[0], a[1], a[2], a[3], NULL, error);
}

/* Value of an enumeration from its nick, or @fallback without one. */
static gboolean
enum_from_nick (GType type, const char *nick, gint fallback, gint *value,
    GError **error)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);
  GEnumValue *found = nick ? g_enum_get_value_by_nick (enum_class, nick) : NULL;

  *value = found ? found->value : fallback;
  if (found || !nick)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: '%s' is not one of its values", g_type_name (type), nick);
  return FALSE;
}

/**
 * sae_model_load:
 * @path: (type filename): a dictionary on disk
 * @error: return location
 *
 * Loads a dictionary: a folder as SAELens saves it (`cfg.json` and
 * `sae_weights.safetensors`, architectures `standard` and `topk`). Options of
 * the folder that change the result are applied or refused by name. Errors
 * give the file, what was expected and what is there.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_load (const char *path, GError **error)
{
  g_autoptr (SaeDictionary) dictionary = sae_layouts_load (path, error);
  gint sparsity, ties;
  SaeNet net;
  SaeModel *model;

  if (!dictionary) /* the error names the file */
    return NULL;
  if (!enum_from_nick (SAE_TYPE_SPARSITY, dictionary->sparsity,
          SAE_SPARSITY_TOP_K, &sparsity, error) ||
      !enum_from_nick (SAE_TYPE_TIES, dictionary->ties, SAE_TIES_LOWEST_INDEX,
          &ties, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  net = (SaeNet){
      .d_in = dictionary->d_in,
      .d_out = dictionary->d_out,
      .d_sae = dictionary->d_sae,
      .k = dictionary->k,
      .sparsity = (SaeSparsity) sparsity,
      .ties = (SaeTies) ties,
      .pre_bias = dictionary->pre_bias,
  };
  if (!sae_net_check (&net, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  model = sae_model_new_take (&net, g_steal_pointer (&dictionary->W_enc),
      g_steal_pointer (&dictionary->b_enc),
      g_steal_pointer (&dictionary->W_dec),
      g_steal_pointer (&dictionary->b_dec), dictionary->metadata, error);
  if (!model)
    g_prefix_error (error, "%s: ", path);
  return model;
}

static char *
enum_to_nick (GType type, gint value)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);

  return g_strdup (g_enum_get_value (enum_class, value)->value_nick);
}

/**
 * sae_model_save:
 * @model: a model
 * @path: (type filename): a folder, new or to be replaced
 * @error: return location
 *
 * Writes the model as SAELens' folder, which SAELens loads. The folder is
 * replaced whole or not at all; a reader never sees new weights with an old
 * configuration.
 *
 * Returns: whether it was written
 * Since: 0.1
 */
gboolean
sae_model_save (SaeModel *model, const char *path, GError **error)
{
  const SaeNet *net = &model->net;
  g_autofree char *sparsity = enum_to_nick (SAE_TYPE_SPARSITY, net->sparsity);
  g_autofree char *ties = enum_to_nick (SAE_TYPE_TIES, net->ties);
  /* only read from: nothing is owned */
  SaeDictionary view = {
      .d_in = net->d_in,
      .d_out = net->d_out,
      .d_sae = net->d_sae,
      .k = net->k,
      .sparsity = sparsity,
      .ties = ties,
      .pre_bias = net->pre_bias,
      .W_enc = (float *) net->W_enc,
      .b_enc = (float *) net->b_enc,
      .W_dec = (float *) net->W_dec,
      .b_dec = (float *) net->b_dec,
      .metadata = model->metadata,
  };

  return sae_layouts_save (&view, SAVE_LAYOUT, path, error);
}

/**
 * sae_model_ref:
 * @model: a model
 *
 * Returns: (transfer full): @model, with one more reference
 * Since: 0.1
 */
SaeModel *
sae_model_ref (SaeModel *model)
{
  g_atomic_ref_count_inc (&model->ref_count);
  return model;
}

/**
 * sae_model_unref:
 * @model: (transfer full): a model
 *
 * Drops a reference; the last one frees the memory.
 *
 * Since: 0.1
 */
void
sae_model_unref (SaeModel *model)
{
  if (!g_atomic_ref_count_dec (&model->ref_count))
    return;
  g_bytes_unref (model->W_enc);
  g_bytes_unref (model->b_enc);
  g_bytes_unref (model->W_dec);
  g_bytes_unref (model->b_dec);
  g_hash_table_unref (model->metadata);
  g_free (model);
}

/* A new model over the same weights. */
static SaeModel *
share_weights (SaeModel *model)
{
  SaeModel *copy = g_new0 (SaeModel, 1);

  g_atomic_ref_count_init (&copy->ref_count);
  copy->net = model->net;
  copy->W_enc = g_bytes_ref (model->W_enc);
  copy->b_enc = g_bytes_ref (model->b_enc);
  copy->W_dec = g_bytes_ref (model->W_dec);
  copy->b_dec = g_bytes_ref (model->b_dec);
  copy->metadata = copy_metadata (model->metadata);
  return copy;
}

/**
 * sae_model_with_top_k:
 * @model: a model
 * @k: latents to keep per row
 * @ties: what to do with equal values
 * @error: return location
 *
 * The same weights under the top-k rule with another k. No weights are copied.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_top_k (SaeModel *model, guint k, SaeTies ties, GError **error)
{
  g_autoptr (SaeModel) copy = share_weights (model);

  copy->net.sparsity = SAE_SPARSITY_TOP_K;
  copy->net.k = k;
  copy->net.ties = ties;
  return sae_net_check (&copy->net, error) ? g_steal_pointer (&copy) : NULL;
}

/**
 * sae_model_with_metadata:
 * @model: a model
 * @key: what is told, such as `model_name` or `hook_name`
 * @value: (nullable): its text; %NULL removes the key
 *
 * The same weights with one more entry of metadata, which is saved into
 * `cfg.json`. No weights are copied.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_with_metadata (SaeModel *model, const char *key, const char *value)
{
  SaeModel *copy = share_weights (model);

  if (value)
    g_hash_table_insert (copy->metadata, g_strdup (key), g_strdup (value));
  else
    g_hash_table_remove (copy->metadata, key);
  return copy;
}

/**
 * sae_model_get_config:
 * @model: a model
 *
 * Returns: (transfer full): its sizes and rule
 * Since: 0.1
 */
SaeConfig *
sae_model_get_config (SaeModel *model)
{
  SaeConfig *config =
      sae_config_new (model->net.d_in, model->net.d_sae, model->net.k);

  config->d_out = model->net.d_out;
  config->sparsity = model->net.sparsity;
  config->ties = model->net.ties;
  config->pre_bias = model->net.pre_bias;
  return config;
}

/**
 * sae_model_get_d_in:
 * @model: a model
 *
 * Returns: width of an input row
 * Since: 0.1
 */
guint
sae_model_get_d_in (SaeModel *model)
{
  return model->net.d_in;
}

/**
 * sae_model_get_d_out:
 * @model: a model
 *
 * Returns: width of a reconstructed row
 * Since: 0.1
 */
guint
sae_model_get_d_out (SaeModel *model)
{
  return model->net.d_out;
}

/**
 * sae_model_get_d_sae:
 * @model: a model
 *
 * Returns: number of latents
 * Since: 0.1
 */
guint
sae_model_get_d_sae (SaeModel *model)
{
  return model->net.d_sae;
}

/**
 * sae_model_get_k:
 * @model: a model
 *
 * Returns: latents kept per row; 0 where the rule has no such number
 * Since: 0.1
 */
guint
sae_model_get_k (SaeModel *model)
{
  return model->net.k;
}

/**
 * sae_model_get_sparsity:
 * @model: a model
 *
 * Returns: its sparsity rule
 * Since: 0.1
 */
SaeSparsity
sae_model_get_sparsity (SaeModel *model)
{
  return model->net.sparsity;
}

/**
 * sae_model_get_W_enc:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_sae, d_in]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_W_enc (SaeModel *model)
{
  return g_bytes_ref (model->W_enc);
}

/**
 * sae_model_get_b_enc:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_sae]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_b_enc (SaeModel *model)
{
  return g_bytes_ref (model->b_enc);
}

/**
 * sae_model_get_W_dec:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_sae, d_out]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_W_dec (SaeModel *model)
{
  return g_bytes_ref (model->W_dec);
}

/**
 * sae_model_get_b_dec:
 * @model: a model
 *
 * Returns: (transfer full): float32 [d_out]; not copied
 * Since: 0.1
 */
GBytes *
sae_model_get_b_dec (SaeModel *model)
{
  return g_bytes_ref (model->b_dec);
}

/**
 * sae_model_list_metadata:
 * @model: a model
 *
 * Returns: (transfer full) (array zero-terminated=1): keys of its metadata,
 *   sorted
 * Since: 0.1
 */
char **
sae_model_list_metadata (SaeModel *model)
{
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (model->metadata),
      (GCompareFunc) g_strcmp0);
  GStrvBuilder *builder = g_strv_builder_new ();
  char **list;

  for (GList *l = keys; l; l = l->next)
    g_strv_builder_add (builder, l->data);
  list = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return list;
}

/**
 * sae_model_get_metadata:
 * @model: a model
 * @key: a key
 *
 * Returns: (nullable) (transfer none): its text, %NULL when there is none
 * Since: 0.1
 */
const char *
sae_model_get_metadata (SaeModel *model, const char *key)
{
  return g_hash_table_lookup (model->metadata, key);
}
