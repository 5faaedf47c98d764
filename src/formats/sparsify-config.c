/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sparsify-config.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "json-text.h"
#include "saelens-metadata.h"

/* sparsify's defaults where a key is absent. */
#define DEFAULT_K 32
#define DEFAULT_EXPANSION 32

/* Activations by sparsify's name, with the name of the rule here. */
static const struct {
  const char *name;
  const char *sparsity;
} activations[] = {
    {"topk", "top-k"},
    {"groupmax", "group-max"},
};

typedef struct {
  json_t *root;
  const char *label;
  SaeDictionary *dictionary;
  guint32 expansion;
  gboolean transcode;
} Config;

/* --- reading --- */

static gboolean
fail (const Config *config, SaeError code, const char *key,
    const char *expected, GError **error)
{
  return sae_json_refuse (json_object_get (config->root, key), config->label,
      key, code, expected, error);
}

static gboolean
parse_number (const Config *config, const char *key, guint32 least,
    guint32 *number, GError **error)
{
  return sae_json_get_number (json_object_get (config->root, key),
      config->label, key, least, SAE_DICTIONARY_MAX_SIZE, number, error);
}

static gboolean
parse_flag (const Config *config, const char *key, gboolean *flag,
    GError **error)
{
  return sae_json_get_flag (json_object_get (config->root, key), config->label,
      key, flag, error);
}

static gboolean
parse_d_in (Config *config, const char *key, GError **error)
{
  return parse_number (config, key, 1, &config->dictionary->d_in, error);
}

static gboolean
parse_d_out (Config *config, const char *key, GError **error)
{
  return parse_number (config, key, 1, &config->dictionary->d_out, error);
}

static gboolean
parse_num_latents (Config *config, const char *key, GError **error)
{
  return parse_number (config, key, 0, &config->dictionary->d_sae, error);
}

static gboolean
parse_expansion (Config *config, const char *key, GError **error)
{
  return parse_number (config, key, 1, &config->expansion, error);
}

static gboolean
parse_k (Config *config, const char *key, GError **error)
{
  return parse_number (config, key, 1, &config->dictionary->k, error);
}

static gboolean
parse_activation (Config *config, const char *key, GError **error)
{
  const char *name = json_string_value (json_object_get (config->root, key));

  for (guint i = 0; name != NULL && i < G_N_ELEMENTS (activations); i++)
    if (strcmp (activations[i].name, name) == 0) {
      g_free (config->dictionary->sparsity);
      config->dictionary->sparsity = g_strdup (activations[i].sparsity);
      return TRUE;
    }
  return fail (config, SAE_ERROR_UNSUPPORTED, key, "\"topk\" or \"groupmax\"",
      error);
}

static gboolean
parse_skip (Config *config, const char *key, GError **error)
{
  return parse_flag (config, key, &config->dictionary->skip, error);
}

static gboolean
parse_transcode (Config *config, const char *key, GError **error)
{
  return parse_flag (config, key, &config->transcode, error);
}

/* Options of training: of what is in the file already, or of the loss. */
static gboolean
parse_training_flag (Config *config, const char *key, GError **error)
{
  gboolean flag;
  return parse_flag (config, key, &flag, error);
}

/* Of versions before 1.0: the k largest by magnitude. */
static gboolean
parse_signed (Config *config, const char *key, GError **error)
{
  return json_is_false (json_object_get (config->root, key)) ||
         fail (config, SAE_ERROR_UNSUPPORTED, key, "false", error);
}

static gboolean
parse_metadata (Config *config, const char *key, GError **error)
{
  json_t *value = json_object_get (config->root, key);

  if (!json_is_object (value))
    return fail (config, SAE_ERROR_FORMAT, key, "a JSON object", error);
  return sae_saelens_metadata_parse (value, config->dictionary, config->label,
      error);
}

static const struct {
  const char *name;
  gboolean (*parse) (Config *config, const char *key, GError **error);
  gboolean required;
} keys[] = {
    {"d_in", parse_d_in, TRUE},
    {"activation", parse_activation},
    {"expansion_factor", parse_expansion},
    {"num_latents", parse_num_latents},
    {"k", parse_k},
    {"skip_connection", parse_skip},
    {"transcode", parse_transcode},
    {"normalize_decoder", parse_training_flag},
    {"multi_topk", parse_training_flag},
    {"signed", parse_signed},
    /* ours, which sparsify skips */
    {"d_out", parse_d_out},
    {"metadata", parse_metadata},
};

static gboolean
check_unknown (const Config *config, GError **error)
{
  const char *key;
  json_t *value;

  json_object_foreach (config->root, key, value)
  {
    guint i = 0;
    while (i < G_N_ELEMENTS (keys) && strcmp (keys[i].name, key) != 0)
      i++;
    if (i == G_N_ELEMENTS (keys)) {
      g_autofree char *shown = sae_json_shorten (key);
      g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
          "%s: %s: not a key of sparsify 1, so it is not known what it would "
          "change",
          config->label, shown);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
parse_keys (Config *config, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    json_t *value = json_object_get (config->root, keys[i].name);
    if (value == NULL && keys[i].required)
      return fail (config, SAE_ERROR_FORMAT, keys[i].name, "a value", error);
    if (value != NULL && !keys[i].parse (config, keys[i].name, error))
      return FALSE;
  }
  return TRUE;
}

/* num_latents of 0 stands for expansion_factor · d_in; b_dec is subtracted
 * from the input of everything but transcoders. */
static gboolean
resolve (Config *config, GError **error)
{
  SaeDictionary *dictionary = config->dictionary;
  guint64 d_sae = dictionary->d_sae;

  if (d_sae == 0)
    d_sae = (guint64) dictionary->d_in * config->expansion;
  if (d_sae > SAE_DICTIONARY_MAX_SIZE) {
    g_autofree char *expected =
        g_strdup_printf ("at most %u latents (expansion_factor times d_in)",
            SAE_DICTIONARY_MAX_SIZE);
    return fail (config, SAE_ERROR_SIZE, "expansion_factor", expected, error);
  }
  dictionary->d_sae = (guint32) d_sae;
  dictionary->pre_bias = !config->transcode;
  if (dictionary->d_out == 0)
    dictionary->d_out = dictionary->d_in;
  if (!config->transcode && dictionary->d_out != dictionary->d_in)
    return fail (config, SAE_ERROR_SIZE, "d_out",
        "d_in, or \"transcode\": true", error);
  return TRUE;
}

static gboolean
check_k (const Config *config, GError **error)
{
  guint32 k = config->dictionary->k, d_sae = config->dictionary->d_sae;
  gboolean groups = strcmp (config->dictionary->sparsity, "group-max") == 0;

  if (k <= d_sae && (!groups || d_sae % k == 0))
    return TRUE;
  g_autofree char *expected =
      g_strdup_printf (groups ? "an integer that divides the %u latents"
                              : "an integer from 1 to the %u latents",
          d_sae);
  return fail (config, SAE_ERROR_SIZE, "k", expected, error);
}

SaeDictionary *
sae_sparsify_config_parse (const char *text, gsize size, const char *label,
    GError **error)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  Config config = {.label = label,
      .dictionary = dictionary,
      .expansion = DEFAULT_EXPANSION};
  gboolean ok;

  dictionary->k = DEFAULT_K;
  dictionary->sparsity = g_strdup (activations[0].sparsity);
  dictionary->ties = g_strdup ("lowest-index");
  config.root = sae_json_read (text, size, label, error);
  if (config.root == NULL)
    return NULL;
  ok = parse_keys (&config, error) && check_unknown (&config, error) &&
       resolve (&config, error) && check_k (&config, error);
  json_decref (config.root);
  return ok ? g_steal_pointer (&dictionary) : NULL;
}

/* --- writing --- */

static gboolean
refuse (const char *what, const char *expected, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "layout 'sparsify': %s: expected %s", what, expected);
  return FALSE;
}

static gboolean
check_expressible (const SaeDictionary *dictionary, guint *activation,
    GError **error)
{
  *activation = 0;
  while (
      *activation < G_N_ELEMENTS (activations) &&
      g_strcmp0 (activations[*activation].sparsity, dictionary->sparsity) != 0)
    ++*activation;
  if (*activation == G_N_ELEMENTS (activations))
    return refuse ("sparsity", "\"top-k\" or \"group-max\"", error);
  if (dictionary->k == 0 || dictionary->k > dictionary->d_sae)
    return refuse ("k", "1 to d_sae", error);
  if (dictionary->pre_bias && dictionary->d_in != dictionary->d_out)
    return refuse ("d_out", "d_in with pre-bias", error);
  if (dictionary->input_norm != NULL &&
      strcmp (dictionary->input_norm, "none") != 0)
    return refuse ("input-norm", "\"none\"", error);
  return sae_dictionary_check_sizes (dictionary->d_in, dictionary->d_out,
      dictionary->d_sae, error);
}

/* What sparsify's training would keep up: rows of unit norm. */
static gboolean
has_unit_rows (const SaeDictionary *dictionary)
{
  gsize d = dictionary->d_out;

  for (gsize i = 0; dictionary->W_dec != NULL && i < dictionary->d_sae; i++) {
    const float *row = dictionary->W_dec + i * d;
    double norm = 0;
    for (gsize j = 0; j < d; j++)
      norm += (double) row[j] * row[j];
    if (fabs (sqrt (norm) - 1) > 1e-4)
      return FALSE;
  }
  return TRUE;
}

/* What sparsify has no key for: SAELens' reshape, which that has at the top,
 * too; its version only if it was there. */
static json_t *
build_metadata (const SaeDictionary *dictionary, GError **error)
{
  json_t *metadata = sae_saelens_metadata_build (dictionary, error);
  const char *reshape =
      g_hash_table_lookup (dictionary->metadata, SAE_SAELENS_RESHAPE_KEY);

  if (metadata != NULL && reshape != NULL &&
      json_object_get (metadata, SAE_SAELENS_RESHAPE_KEY) == NULL)
    json_object_set_new (metadata, SAE_SAELENS_RESHAPE_KEY,
        json_string (reshape));
  if (metadata != NULL &&
      !g_hash_table_contains (dictionary->metadata, "sae_lens_version"))
    json_object_del (metadata, "sae_lens_version");
  if (g_strcmp0 (dictionary->ties, "keep-all") != 0)
    json_object_del (metadata, "gst_sae");
  return metadata;
}

/* Takes @value; only objects that have something in them are set. */
static gboolean
set_own (json_t *root, const char *key, json_t *value)
{
  if (json_is_object (value) && json_object_size (value) == 0) {
    json_decref (value);
    return TRUE;
  }
  return json_object_set_new (root, key, value) == 0;
}

/* In the order in which sparsify writes them, then ours. Takes @metadata. */
static json_t *
pack_config (const SaeDictionary *dictionary, guint activation,
    json_t *metadata)
{
  /* clang-format off */
  json_t *root = json_pack (
      "{s:s, s:i, s:b, s:i, s:i, s:b, s:b, s:b, s:i}",
      "activation", activations[activation].name,
      "expansion_factor", DEFAULT_EXPANSION,
      "normalize_decoder", has_unit_rows (dictionary),
      "num_latents", (int) dictionary->d_sae,
      "k", (int) dictionary->k,
      "multi_topk", FALSE,
      "skip_connection", dictionary->skip,
      "transcode", !dictionary->pre_bias,
      "d_in", (int) dictionary->d_in);
  /* clang-format on */

  if (root == NULL) {
    json_decref (metadata);
    return NULL;
  }
  if (set_own (root, "metadata", metadata) &&
      (dictionary->d_in == dictionary->d_out ||
          set_own (root, "d_out",
              json_integer ((json_int_t) dictionary->d_out))))
    return root;
  json_decref (root);
  return NULL;
}

char *
sae_sparsify_config_build (const SaeDictionary *dictionary, GError **error)
{
  guint activation;
  json_t *metadata;

  if (!check_expressible (dictionary, &activation, error))
    return NULL;
  metadata = build_metadata (dictionary, error);
  if (metadata == NULL)
    return NULL;
  return sae_json_write_config (pack_config (dictionary, activation, metadata),
      0, SAE_SPARSIFY_MAX_CONFIG, error);
}
