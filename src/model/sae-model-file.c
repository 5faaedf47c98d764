/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Models and the dictionaries on disk. */
#include "model.h"

#include "error-text.h"
#include "layouts.h"
#include "sae-enum-types.h"

/* Layout where none is named. */
#define DEFAULT_LAYOUT "saelens"

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

/* Takes both. */
static SaeModel *
add_skip (SaeModel *model, float *W_skip, GError **error)
{
  gsize n = (gsize) sae_model_get_d_out (model) * sae_model_get_d_in (model);
  g_autoptr (SaeModel) plain = model;
  g_autoptr (GBytes) bytes =
      g_bytes_new_with_free_func (W_skip, n * sizeof *W_skip, g_free, W_skip);

  return sae_model_with_skip (plain, bytes, error);
}

/* Takes @model. */
static SaeModel *
add_gate (SaeModel *model, const SaeDictionary *dictionary, GError **error)
{
  gsize size = dictionary->d_sae * sizeof (float);
  g_autoptr (SaeModel) plain = model;
  g_autoptr (GBytes) r_mag = g_bytes_new_static (dictionary->r_mag, size);
  g_autoptr (GBytes) b_mag = g_bytes_new_static (dictionary->b_mag, size);

  return sae_model_with_gate (plain, r_mag, b_mag, error);
}

static SaeModel *
load (const char *path, GError **error)
{
  g_autoptr (SaeDictionary) dictionary = sae_layouts_load (path, error);
  gint sparsity, ties, input_norm;
  SaeNet net;
  SaeModel *model;

  if (!dictionary) /* the error names the file */
    return NULL;
  if (!enum_from_nick (SAE_TYPE_SPARSITY, dictionary->sparsity,
          SAE_SPARSITY_TOP_K, &sparsity, error) ||
      !enum_from_nick (SAE_TYPE_TIES, dictionary->ties, SAE_TIES_LOWEST_INDEX,
          &ties, error) ||
      !enum_from_nick (SAE_TYPE_INPUT_NORM, dictionary->input_norm,
          SAE_INPUT_NORM_NONE, &input_norm, error)) {
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
      .input_norm = (SaeInputNorm) input_norm,
  };
  if (dictionary->r_mag) /* the gate is added to it */
    net.sparsity = SAE_SPARSITY_L1;
  if (!sae_net_check (&net, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  model = sae_model_new_take (&net, g_steal_pointer (&dictionary->W_enc),
      g_steal_pointer (&dictionary->b_enc),
      g_steal_pointer (&dictionary->W_dec),
      g_steal_pointer (&dictionary->b_dec),
      g_steal_pointer (&dictionary->threshold), dictionary->metadata, error);
  if (model && dictionary->W_skip)
    model = add_skip (model, g_steal_pointer (&dictionary->W_skip), error);
  if (model && dictionary->r_mag)
    model = add_gate (model, dictionary, error);
  if (!model)
    g_prefix_error (error, "%s: ", path);
  return model;
}

/**
 * sae_model_load:
 * @path: (type filename): a dictionary on disk
 * @error: return location
 *
 * Loads a dictionary, whichever of sae_model_list_layouts() it is in. A folder
 * as SAELens 3 to 6 saves it (`cfg.json` and `sae_weights.safetensors`) may be
 * of the architectures `standard`, `topk`, `jumprelu`, `gated`, its
 * transcoders, or a checkpoint of `batchtopk` or `matryoshka_batchtopk`.
 * Options that change the result (`normalize_activations` among them, see
 * #SaeInputNorm) are applied or refused by name. Errors give the file, what was
 * expected and what is there.
 *
 * Returns: (transfer full): a model
 * Since: 0.1
 */
SaeModel *
sae_model_load (const char *path, GError **error)
{
  SaeModel *model = load (path, error);

  sae_error_show (model != NULL, error);
  return model;
}

static char *
enum_to_nick (GType type, gint value)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);

  return g_strdup (g_enum_get_value (enum_class, value)->value_nick);
}

/**
 * sae_model_list_layouts:
 *
 * The weight layouts that sae_model_load() knows, which tells them apart by
 * itself. sae_model_can_save_as() says which of them can be written.
 *
 * Returns: (transfer full) (array zero-terminated=1): their names, `saelens`
 *   first
 * Since: 0.1
 */
char **
sae_model_list_layouts (void)
{
  const SaeLayout *const *layouts = sae_layouts_list ();
  GStrvBuilder *builder = g_strv_builder_new ();
  char **list;

  for (; *layouts; layouts++)
    g_strv_builder_add (builder, (*layouts)->name);
  list = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return list;
}

/**
 * sae_model_can_save_as:
 * @layout: a name
 *
 * Returns: whether @layout is one that sae_model_save_as() writes
 * Since: 0.1
 */
gboolean
sae_model_can_save_as (const char *layout)
{
  return sae_layouts_find_writable (layout, NULL) != NULL;
}

/**
 * sae_model_save:
 * @model: a model
 * @path: (type filename): a folder, new or to be replaced
 * @error: return location
 *
 * Writes the model as SAELens' folder, which SAELens loads: what
 * sae_model_save_as() does with the layout `saelens`.
 *
 * Returns: whether it was written
 * Since: 0.1
 */
gboolean
sae_model_save (SaeModel *model, const char *path, GError **error)
{
  return sae_model_save_as (model, path, NULL, error);
}

/**
 * sae_model_save_as:
 * @model: a model
 * @path: (type filename): a folder, new or to be replaced
 * @layout: (nullable): one of sae_model_list_layouts(); %NULL is `saelens`
 * @error: return location
 *
 * Writes the model in a published layout. What was there is replaced whole or
 * not at all; a reader never sees new weights with an old configuration. What a
 * layout cannot express is %SAE_ERROR_UNSUPPORTED, and says what it was.
 *
 * Returns: whether it was written
 * Since: 0.1
 */
gboolean
sae_model_save_as (SaeModel *model, const char *path, const char *layout,
    GError **error)
{
  return sae_model_save_with_stats (model, NULL, path, layout, error);
}

gboolean
sae_model_save_with_stats (SaeModel *model, const SaeLatentStats *stats,
    const char *path, const char *layout, GError **error)
{
  const SaeNet *net = sae_model_get_net (model);
  g_autofree char *sparsity = enum_to_nick (SAE_TYPE_SPARSITY, net->sparsity);
  g_autofree char *ties = enum_to_nick (SAE_TYPE_TIES, net->ties);
  g_autofree char *input_norm =
      enum_to_nick (SAE_TYPE_INPUT_NORM, net->input_norm);
  /* only read from: nothing is owned */
  SaeDictionary view = {
      .d_in = net->d_in,
      .d_out = net->d_out,
      .d_sae = net->d_sae,
      .k = net->k,
      .sparsity = sparsity,
      .ties = ties,
      .pre_bias = net->pre_bias,
      .input_norm = input_norm,
      .W_enc = (float *) net->W_enc,
      .b_enc = (float *) net->b_enc,
      .W_dec = (float *) net->W_dec,
      .b_dec = (float *) net->b_dec,
      .threshold = (float *) net->threshold,
      .skip = net->W_skip != NULL,
      .W_skip = (float *) net->W_skip,
      .r_mag = (float *) net->r_mag,
      .b_mag = (float *) net->b_mag,
      .metadata = sae_model_get_metadata_table (model),
      .stats = stats,
  };

  if (stats && stats->d_sae != net->d_sae) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "%s: expected statistics of %u latents, got %u", path, net->d_sae,
        stats->d_sae);
    return sae_error_show (FALSE, error);
  }
  return sae_error_show (sae_layouts_save (&view,
                             layout ? layout : DEFAULT_LAYOUT, path, error),
      error);
}
