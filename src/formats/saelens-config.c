/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens-config.h"

#include <string.h>

#include "json-text.h"
#include "saelens-metadata.h"

/* Architectures by SAELens' name, with the name of the sparsity rule here. */
static const struct {
  const char *name;
  const char *sparsity;
  gboolean has_k;
} architectures[] = {
    {"standard", "l1", FALSE},
    {"topk", "top-k", TRUE},
    {"jumprelu", "jump-relu", FALSE},
};
#define SUPPORTED_ARCHITECTURES "\"standard\", \"topk\" or \"jumprelu\""

typedef struct {
  json_t *root;
  const char *label;
  SaeDictionary *dictionary;
  gboolean rescale;
  guint architecture;
} Config;

/* --- reading --- */

static gboolean
fail (const Config *config, SaeError code, const char *key,
    const char *expected, GError **error)
{
  json_t *value = json_object_get (config->root, key);
  g_autofree char *found =
      value == NULL ? g_strdup ("nothing")
                    : sae_json_write (value, JSON_COMPACT | JSON_ENCODE_ANY);
  g_autofree char *shown = found == NULL ? NULL : sae_json_shorten (found);

  g_set_error (error, SAE_ERROR, (gint) code, "%s: %s: expected %s, found %s",
      config->label, key, expected, shown != NULL ? shown : "another");
  return FALSE;
}

static gboolean
parse_architecture (Config *config, json_t *value, GError **error)
{
  const char *name = json_string_value (value);

  for (guint i = 0; name != NULL && i < G_N_ELEMENTS (architectures); i++) {
    if (strcmp (architectures[i].name, name) == 0) {
      config->architecture = i;
      config->dictionary->sparsity = g_strdup (architectures[i].sparsity);
      return TRUE;
    }
  }
  return fail (config, name != NULL ? SAE_ERROR_UNSUPPORTED : SAE_ERROR_FORMAT,
      "architecture", SUPPORTED_ARCHITECTURES, error);
}

static gboolean
parse_size (const Config *config, const char *key, guint32 *size,
    GError **error)
{
  json_t *value = json_object_get (config->root, key);
  json_int_t number = json_integer_value (value);

  if (!json_is_integer (value) || number < 1 ||
      number > SAE_DICTIONARY_MAX_SIZE) {
    g_autofree char *expected =
        g_strdup_printf ("an integer from 1 to %u", SAE_DICTIONARY_MAX_SIZE);
    return fail (config, SAE_ERROR_SIZE, key, expected, error);
  }
  *size = (guint32) number;
  return TRUE;
}

static gboolean
parse_d_in (Config *config, json_t *value, GError **error)
{
  guint32 size;
  if (!parse_size (config, "d_in", &size, error))
    return FALSE;
  config->dictionary->d_in = config->dictionary->d_out = size;
  return TRUE;
}

static gboolean
parse_d_sae (Config *config, json_t *value, GError **error)
{
  return parse_size (config, "d_sae", &config->dictionary->d_sae, error);
}

static gboolean
parse_k (Config *config, json_t *value, GError **error)
{
  return parse_size (config, "k", &config->dictionary->k, error);
}

static gboolean
parse_flag (const Config *config, const char *key, gboolean *flag,
    GError **error)
{
  json_t *value = json_object_get (config->root, key);
  if (!json_is_boolean (value))
    return fail (config, SAE_ERROR_FORMAT, key, "true or false", error);
  *flag = json_is_true (value);
  return TRUE;
}

static gboolean
parse_pre_bias (Config *config, json_t *value, GError **error)
{
  return parse_flag (config, "apply_b_dec_to_input",
      &config->dictionary->pre_bias, error);
}

static gboolean
parse_rescale (Config *config, json_t *value, GError **error)
{
  return parse_flag (config, "rescale_acts_by_decoder_norm", &config->rescale,
      error);
}

/* The precision that SAELens computes in; here it is float32 always. */
static gboolean
parse_dtype (Config *config, json_t *value, GError **error)
{
  static const char *const names[] = {"float32", "float64", "float16",
      "bfloat16", "torch.float32", "torch.float64", "torch.float16",
      "torch.bfloat16", NULL};
  const char *name = json_string_value (value);

  return (name != NULL && g_strv_contains (names, name)) ||
         fail (config, SAE_ERROR_UNSUPPORTED, "dtype",
             "\"float32\", \"float64\", \"float16\" or \"bfloat16\"", error);
}

static gboolean
require_none (const Config *config, const char *key, GError **error)
{
  const char *name = json_string_value (json_object_get (config->root, key));
  return (name != NULL && strcmp (name, "none") == 0) ||
         fail (config, SAE_ERROR_UNSUPPORTED, key, "\"none\"", error);
}

static gboolean
parse_normalize (Config *config, json_t *value, GError **error)
{
  return require_none (config, "normalize_activations", error);
}

static gboolean
parse_reshape (Config *config, json_t *value, GError **error)
{
  return require_none (config, "reshape_activations", error);
}

static gboolean
parse_finetuning (Config *config, json_t *value, GError **error)
{
  return json_is_false (value) ||
         fail (config, SAE_ERROR_UNSUPPORTED, "finetuning_scaling_factor",
             "false", error);
}

static gboolean
parse_metadata (Config *config, json_t *value, GError **error)
{
  if (!json_is_object (value))
    return fail (config, SAE_ERROR_FORMAT, "metadata", "a JSON object", error);
  return sae_saelens_metadata_parse (value, config->dictionary, config->label,
      error);
}

/* Keys without a parser say where the model ran or how it was trained. */
static const struct {
  const char *name;
  gboolean (*parse) (Config *config, json_t *value, GError **error);
  gboolean required;
} keys[] = {
    {"architecture", parse_architecture, TRUE},
    {"d_in", parse_d_in, TRUE},
    {"d_sae", parse_d_sae, TRUE},
    {"k", parse_k},
    {"dtype", parse_dtype},
    {"device"},
    {"apply_b_dec_to_input", parse_pre_bias},
    {"normalize_activations", parse_normalize},
    {"reshape_activations", parse_reshape},
    {"rescale_acts_by_decoder_norm", parse_rescale},
    {"finetuning_scaling_factor", parse_finetuning},
    {"metadata", parse_metadata},
    {"decoder_init_norm"},
    {"l1_coefficient"},
    {"lp_norm"},
    {"l1_warm_up_steps"},
    {"aux_loss_coefficient"},
    {"use_sparse_activations"},
    {"jumprelu_init_threshold"},
    {"jumprelu_bandwidth"},
    {"jumprelu_sparsity_loss_mode"},
    {"jumprelu_tanh_scale"},
    {"jumprelu_ste_to_input"},
    {"l0_coefficient"},
    {"l0_warm_up_steps"},
    {"pre_act_loss_coefficient"},
    {"target_l0"},
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
          "%s: %s: not a key of SAELens 6 for the "
          "architectures " SUPPORTED_ARCHITECTURES
          ", so it is not known what it would change",
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
    if (value != NULL && keys[i].parse != NULL &&
        !keys[i].parse (config, value, error))
      return FALSE;
  }
  return TRUE;
}

/* Options that only exist together. */
static gboolean
check_combination (const Config *config, GError **error)
{
  gboolean has_k = architectures[config->architecture].has_k;
  guint32 k = config->dictionary->k, d_sae = config->dictionary->d_sae;

  if (!has_k && k != 0)
    return fail (config, SAE_ERROR_UNSUPPORTED, "k",
        "nothing with this architecture", error);
  if (!has_k && config->rescale)
    return fail (config, SAE_ERROR_UNSUPPORTED, "rescale_acts_by_decoder_norm",
        "false with this architecture", error);
  if (has_k && (k == 0 || k > d_sae)) {
    g_autofree char *expected =
        g_strdup_printf ("an integer from 1 to d_sae, %u", d_sae);
    return fail (config, SAE_ERROR_SIZE, "k", expected, error);
  }
  return TRUE;
}

SaeDictionary *
sae_saelens_config_parse (const char *text, gsize size, const char *label,
    gboolean *rescale, GError **error)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  Config config = {.label = label, .dictionary = dictionary};
  gboolean ok;

  dictionary->pre_bias = TRUE; /* SAELens' default where the key is absent */
  dictionary->ties = g_strdup ("lowest-index");
  config.root = sae_json_read (text, size, label, error);
  if (config.root == NULL)
    return NULL;
  /* The architecture first: for others, other keys are to be expected. */
  ok = parse_keys (&config, error) && check_unknown (&config, error) &&
       check_combination (&config, error);
  json_decref (config.root);
  *rescale = config.rescale;
  return ok ? g_steal_pointer (&dictionary) : NULL;
}

/* --- writing --- */

static gboolean
refuse (const char *what, const char *expected, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "layout 'saelens': %s: expected %s", what, expected);
  return FALSE;
}

static gboolean
check_expressible (const SaeDictionary *dictionary, guint *architecture,
    GError **error)
{
  if (dictionary->d_out != dictionary->d_in) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "layout 'saelens': d_out: expected d_in, %u, got %u (a transcoder)",
        dictionary->d_in, dictionary->d_out);
    return FALSE;
  }
  *architecture = 0;
  while (*architecture < G_N_ELEMENTS (architectures) &&
         g_strcmp0 (architectures[*architecture].sparsity,
             dictionary->sparsity) != 0)
    ++*architecture;
  if (*architecture == G_N_ELEMENTS (architectures))
    return refuse ("sparsity", "\"l1\", \"top-k\" or \"jump-relu\"", error);
  if (architectures[*architecture].has_k &&
      (dictionary->k == 0 || dictionary->k > dictionary->d_sae))
    return refuse ("k", "1 to d_sae", error);
  return sae_dictionary_check_sizes (dictionary->d_in, dictionary->d_out,
      dictionary->d_sae, error);
}

/* In the order in which SAELens writes them. Takes @metadata. */
static json_t *
pack_config (const SaeDictionary *dictionary, guint architecture,
    json_t *metadata)
{
  /* clang-format off */
  json_t *root = json_pack ("{s:i, s:i, s:s, s:s, s:b, s:s, s:s, s:o}",
      "d_in", (int) dictionary->d_in,
      "d_sae", (int) dictionary->d_sae,
      "dtype", "float32",
      "device", "cpu",
      "apply_b_dec_to_input", dictionary->pre_bias,
      "normalize_activations", "none",
      "reshape_activations", "none",
      "metadata", metadata);
  /* clang-format on */
  gboolean ok = root != NULL;

  if (ok && architectures[architecture].has_k)
    ok = json_object_set_new (root, "k",
             json_integer ((json_int_t) dictionary->k)) == 0 &&
         json_object_set_new (root, "rescale_acts_by_decoder_norm",
             json_false ()) == 0;
  if (ok && json_object_set_new (root, "architecture",
                json_string (architectures[architecture].name)) == 0)
    return root;
  json_decref (root);
  return NULL;
}

char *
sae_saelens_config_build (const SaeDictionary *dictionary, GError **error)
{
  g_autofree char *text = NULL;
  guint architecture;
  json_t *metadata, *root;

  if (!check_expressible (dictionary, &architecture, error))
    return NULL;
  metadata = sae_saelens_metadata_build (dictionary, error);
  if (metadata == NULL)
    return NULL;
  root = pack_config (dictionary, architecture, metadata);
  if (root != NULL)
    text = sae_json_write (root, JSON_INDENT (1));
  json_decref (root);
  if (text == NULL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE, "cfg.json: no memory");
    return NULL;
  }
  return g_strconcat (text, "\n", NULL);
}
