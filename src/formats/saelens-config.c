/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens-config.h"

#include <string.h>

#include "json-text.h"
#include "saelens-metadata.h"
#include "saelens-old-config.h"

/* How an architecture says how many latents are active. */
typedef enum {
  K_NONE,
  K_EXACT,   /* so many a row */
  K_AVERAGE, /* so many a row in a batch of training, then a threshold */
} KKind;

/* Architectures by SAELens' name, with the name of the sparsity rule here. A
 * rule is written as the first that has it. */
static const struct {
  const char *name;
  const char *sparsity;
  KKind k;
  gboolean transcoder, skip;
} architectures[] = {
    {"standard", "l1", K_NONE},
    {"topk", "top-k", K_EXACT},
    {"jumprelu", "jump-relu", K_NONE},
    {"gated", "gated", K_NONE},
    {"transcoder", "l1", K_NONE, TRUE},
    {"skip_transcoder", "l1", K_NONE, TRUE, TRUE},
    {"jumprelu_transcoder", "jump-relu", K_NONE, TRUE},
    {"jumprelu_skip_transcoder", "jump-relu", K_NONE, TRUE, TRUE},
    /* Folders of a training run; what is saved of it at the end is jumprelu. */
    {"batchtopk", "jump-relu", K_AVERAGE},
    {"matryoshka_batchtopk", "jump-relu", K_AVERAGE},
};
#define SUPPORTED_ARCHITECTURES                                                \
  "\"standard\", \"topk\", \"jumprelu\", \"gated\", \"transcoder\", "          \
  "\"skip_transcoder\", \"jumprelu_transcoder\", "                             \
  "\"jumprelu_skip_transcoder\", \"batchtopk\" or \"matryoshka_batchtopk\""

/* normalize_activations by SAELens' name, with the one here. */
static const struct {
  const char *name;
  const char *input_norm;
} norms[] = {
    {"none", "none"},
    {"layer_norm", "layer-norm"},
    {"constant_norm_rescale", "constant-norm"},
    {"expected_average_only_in", "expected-average"},
};
#define SUPPORTED_NORMS                                                        \
  "\"none\", \"layer_norm\", \"constant_norm_rescale\" or "                    \
  "\"expected_average_only_in\""

typedef struct {
  json_t *root;
  const char *label;
  SaeDictionary *dictionary;
  SaeSaelensFolding folding;
  guint architecture;
  gboolean old;             /* from before SAELens 6 */
  gboolean activation_topk; /* what activation_fn says there */
} Config;

/* --- reading --- */

static gboolean
fail (const Config *config, SaeError code, const char *key,
    const char *expected, GError **error)
{
  return sae_json_refuse (json_object_get (config->root, key), config->label,
      key, code, expected, error);
}

static void
set_architecture (Config *config, guint i)
{
  config->architecture = i;
  config->folding.one_threshold = architectures[i].k == K_AVERAGE;
  g_free (config->dictionary->sparsity);
  config->dictionary->sparsity = g_strdup (architectures[i].sparsity);
  config->dictionary->skip = architectures[i].skip;
}

static gboolean
find_architecture (Config *config, const char *name)
{
  for (guint i = 0; name != NULL && i < G_N_ELEMENTS (architectures); i++) {
    if (strcmp (architectures[i].name, name) == 0) {
      set_architecture (config, i);
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
parse_architecture (Config *config, json_t *value, GError **error)
{
  const char *name = json_string_value (value);

  return find_architecture (config, name) ||
         fail (config, name != NULL ? SAE_ERROR_UNSUPPORTED : SAE_ERROR_FORMAT,
             "architecture", SUPPORTED_ARCHITECTURES, error);
}

static gboolean
parse_number (const Config *config, json_t *object, const char *key,
    const char *shown, guint32 *size, GError **error)
{
  return sae_json_get_number (json_object_get (object, key), config->label,
      shown, 1, SAE_DICTIONARY_MAX_SIZE, size, error);
}

static gboolean
parse_size (const Config *config, const char *key, guint32 *size,
    GError **error)
{
  return parse_number (config, config->root, key, key, size, error);
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
parse_d_out (Config *config, json_t *value, GError **error)
{
  return parse_size (config, "d_out", &config->dictionary->d_out, error);
}

static gboolean
parse_d_sae (Config *config, json_t *value, GError **error)
{
  return parse_size (config, "d_sae", &config->dictionary->d_sae, error);
}

/* The average of batch-top-k has done its work: the threshold is in the file.
 */
static gboolean
parse_k (Config *config, json_t *value, GError **error)
{
  if (architectures[config->architecture].k != K_AVERAGE)
    return parse_size (config, "k", &config->dictionary->k, error);
  return (json_is_number (value) && json_number_value (value) > 0) ||
         fail (config, SAE_ERROR_FORMAT, "k", "a number above 0", error);
}

static gboolean
parse_flag (const Config *config, const char *key, gboolean *flag,
    GError **error)
{
  return sae_json_get_flag (json_object_get (config->root, key), config->label,
      key, flag, error);
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
  return parse_flag (config, "rescale_acts_by_decoder_norm",
      &config->folding.rescale, error);
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
set_norm (Config *config, const char *name)
{
  for (guint i = 0; name != NULL && i < G_N_ELEMENTS (norms); i++)
    if (strcmp (norms[i].name, name) == 0) {
      g_free (config->dictionary->input_norm);
      config->dictionary->input_norm = g_strdup (norms[i].input_norm);
      return TRUE;
    }
  return FALSE;
}

/* Files from before SAELens 6 may also say it as a flag or not at all. */
static gboolean
parse_normalize (Config *config, json_t *value, GError **error)
{
  const char *name = json_string_value (value);

  if (config->old && (json_is_null (value) || json_is_false (value)))
    name = "none";
  else if (config->old && json_is_true (value))
    name = "expected_average_only_in";
  return set_norm (config, name) ||
         fail (config, SAE_ERROR_UNSUPPORTED, "normalize_activations",
             SUPPORTED_NORMS, error);
}

static void
set_hook_z (Config *config)
{
  g_hash_table_insert (config->dictionary->metadata,
      g_strdup (SAE_SAELENS_RESHAPE_KEY), g_strdup ("hook_z"));
}

/* hook_z flattens [n_heads, d_head] into a row of d_in, which rows are here
 * already. */
static gboolean
parse_reshape (Config *config, json_t *value, GError **error)
{
  const char *name = json_string_value (value);

  if (g_strcmp0 (name, "none") == 0)
    return TRUE;
  if (g_strcmp0 (name, "hook_z") != 0)
    return fail (config, SAE_ERROR_UNSUPPORTED, SAE_SAELENS_RESHAPE_KEY,
        "\"none\" or \"hook_z\"", error);
  set_hook_z (config);
  return TRUE;
}

static gboolean
parse_finetuning (Config *config, json_t *value, GError **error)
{
  return parse_flag (config, "finetuning_scaling_factor",
      &config->folding.finetuned, error);
}

static gboolean
parse_metadata (Config *config, json_t *value, GError **error)
{
  if (!json_is_object (value))
    return fail (config, SAE_ERROR_FORMAT, "metadata", "a JSON object", error);
  return sae_saelens_metadata_parse (value, config->dictionary, config->label,
      error);
}

static gboolean
parse_activation (Config *config, const char *key, json_t *value,
    GError **error)
{
  const char *name = json_string_value (value);

  config->activation_topk = g_strcmp0 (name, "topk") == 0;
  return config->activation_topk || g_strcmp0 (name, "relu") == 0 ||
         fail (config, SAE_ERROR_UNSUPPORTED, key, "\"relu\" or \"topk\"",
             error);
}

static gboolean
parse_activation_fn (Config *config, json_t *value, GError **error)
{
  return parse_activation (config, "activation_fn", value, error);
}

static gboolean
parse_activation_fn_str (Config *config, json_t *value, GError **error)
{
  return parse_activation (config, "activation_fn_str", value, error);
}

#define KWARGS "activation_fn_kwargs"

static gboolean
parse_kwargs (Config *config, json_t *value, GError **error)
{
  json_t *k = json_object_get (value, "k");

  if (json_is_null (value) ||
      (json_is_object (value) && json_object_size (value) == 0))
    return TRUE;
  if (!json_is_object (value) || k == NULL || json_object_size (value) != 1)
    return fail (config, SAE_ERROR_UNSUPPORTED, KWARGS, "{} or {\"k\": …}",
        error);
  return parse_number (config, value, "k", KWARGS, &config->dictionary->k,
      error);
}

/* Which files may have a key. */
typedef enum {
  FILES_ALL,
  FILES_OLD,
  FILES_BATCH_TOP_K,
  FILES_TRANSCODER,
} Files;

/* Keys without a parser say where the model ran or how it was trained. */
static const struct {
  const char *name;
  gboolean (*parse) (Config *config, json_t *value, GError **error);
  gboolean required;
  Files files;
} keys[] = {
    {"architecture", parse_architecture},
    {"d_in", parse_d_in, TRUE},
    {"d_out", parse_d_out, .files = FILES_TRANSCODER},
    {"d_sae", parse_d_sae, TRUE},
    {"k", parse_k},
    {"dtype", parse_dtype},
    {"device"},
    {"apply_b_dec_to_input", parse_pre_bias},
    {"normalize_activations", parse_normalize},
    {SAE_SAELENS_RESHAPE_KEY, parse_reshape},
    {"rescale_acts_by_decoder_norm", parse_rescale},
    {"finetuning_scaling_factor", parse_finetuning},
    {"metadata", parse_metadata},
    {"activation_fn", parse_activation_fn, .files = FILES_OLD},
    {"activation_fn_str", parse_activation_fn_str, .files = FILES_OLD},
    {KWARGS, parse_kwargs, .files = FILES_OLD},
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
    {"topk_threshold_lr", .files = FILES_BATCH_TOP_K},
    {"matryoshka_widths", .files = FILES_BATCH_TOP_K},
    {"use_matryoshka_aux_loss", .files = FILES_BATCH_TOP_K},
};

static gboolean
is_in_file (const Config *config, Files files)
{
  switch (files) {
    case FILES_OLD:
      return config->old;
    case FILES_BATCH_TOP_K:
      return architectures[config->architecture].k == K_AVERAGE;
    case FILES_TRANSCODER:
      return architectures[config->architecture].transcoder;
    default:
      return TRUE;
  }
}

static gboolean
is_known (const Config *config, const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (strcmp (keys[i].name, key) == 0)
      return is_in_file (config, keys[i].files);
  return config->old && (sae_saelens_old_key_is_of_training (key) ||
                            sae_saelens_old_key_in_metadata (key) != NULL);
}

static gboolean
check_unknown (const Config *config, GError **error)
{
  const char *key;
  json_t *value;

  json_object_foreach (config->root, key, value)
  {
    if (!is_known (config, key)) {
      g_autofree char *shown = sae_json_shorten (key);
      g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
          "%s: %s: not a key of SAELens %s for the "
          "architectures " SUPPORTED_ARCHITECTURES
          ", so it is not known what it would change",
          config->label, shown, config->old ? "up to 6" : "6");
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
        is_in_file (config, keys[i].files) &&
        !keys[i].parse (config, value, error))
      return FALSE;
  }
  return TRUE;
}

/* --- files from before SAELens 6 --- */

/* standard or topk with the activation function topk is what topk is today. */
static gboolean
resolve_activation (Config *config, GError **error)
{
  gboolean topk = architectures[config->architecture].k == K_EXACT;

  if (!config->activation_topk || topk)
    return TRUE;
  if (strcmp (architectures[config->architecture].name, "standard") != 0)
    return fail (config, SAE_ERROR_UNSUPPORTED, "architecture",
        "\"standard\" or \"topk\" with the activation function topk", error);
  return find_architecture (config, "topk");
}

static gboolean
add_old_metadata (Config *config, GError **error)
{
  json_t *metadata = sae_saelens_old_metadata (config->root);
  gboolean ok;

  if (metadata == NULL) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE, "%s: no memory",
        config->label);
    return FALSE;
  }
  ok = sae_saelens_metadata_parse (metadata, config->dictionary, config->label,
      error);
  json_decref (metadata);
  return ok;
}

/* handle_pre_6_0_config() of SAELens */
static gboolean
resolve_old (Config *config, GError **error)
{
  if (!config->old)
    return TRUE;
  if (json_object_get (config->root, SAE_SAELENS_RESHAPE_KEY) == NULL &&
      sae_saelens_old_is_hook_z (config->root))
    set_hook_z (config);
  return resolve_activation (config, error) && add_old_metadata (config, error);
}

/* --- the whole --- */

/* SAELens' transcoders are given their width, leave b_dec, which is of the
 * other end, out of the input, and do not undo a normalisation. */
static gboolean
check_transcoder (const Config *config, GError **error)
{
  const char *norm = config->dictionary->input_norm;

  if (!architectures[config->architecture].transcoder)
    return TRUE;
  if (json_object_get (config->root, "d_out") == NULL)
    return fail (config, SAE_ERROR_FORMAT, "d_out", "a value", error);
  if (config->dictionary->pre_bias)
    return fail (config, SAE_ERROR_UNSUPPORTED, "apply_b_dec_to_input",
        "false with this architecture", error);
  return strcmp (norm, "none") == 0 || strcmp (norm, "expected-average") == 0 ||
         fail (config, SAE_ERROR_UNSUPPORTED, "normalize_activations",
             "\"none\" or \"expected_average_only_in\" with this architecture",
             error);
}

/* Options that only exist together. */
static gboolean
check_combination (const Config *config, GError **error)
{
  KKind kind = architectures[config->architecture].k;
  guint32 k = config->dictionary->k, d_sae = config->dictionary->d_sae;
  gboolean in_kwargs = json_object_get (config->root, "k") == NULL && k != 0;

  if (kind != K_EXACT && k != 0)
    return fail (config, SAE_ERROR_UNSUPPORTED, in_kwargs ? KWARGS : "k",
        "nothing with this architecture", error);
  if (kind == K_NONE && config->folding.rescale)
    return fail (config, SAE_ERROR_UNSUPPORTED, "rescale_acts_by_decoder_norm",
        "false with this architecture", error);
  if (kind == K_EXACT && (k == 0 || k > d_sae)) {
    g_autofree char *expected =
        g_strdup_printf ("an integer from 1 to d_sae, %u", d_sae);
    return fail (config, SAE_ERROR_SIZE, in_kwargs ? KWARGS : "k", expected,
        error);
  }
  return check_transcoder (config, error);
}

/* Without a version a file is an old one, whose architecture may go without
 * saying. */
static gboolean
start_config (Config *config, GError **error)
{
  config->old = sae_saelens_config_is_old (config->root);
  set_architecture (config, 0);
  return config->old ||
         json_object_get (config->root, "architecture") != NULL ||
         fail (config, SAE_ERROR_FORMAT, "architecture", "a value", error);
}

SaeDictionary *
sae_saelens_config_parse (const char *text, gsize size, const char *label,
    SaeSaelensFolding *folding, GError **error)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  Config config = {.label = label, .dictionary = dictionary};
  gboolean ok;

  dictionary->pre_bias = TRUE; /* SAELens' default where the key is absent */
  dictionary->ties = g_strdup ("lowest-index");
  dictionary->input_norm = g_strdup ("none");
  config.root = sae_json_read (text, size, label, error);
  if (config.root == NULL)
    return NULL;
  /* The architecture first: for others, other keys are to be expected. */
  ok = start_config (&config, error) && parse_keys (&config, error) &&
       check_unknown (&config, error) && resolve_old (&config, error) &&
       check_combination (&config, error);
  json_decref (config.root);
  *folding = config.folding;
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

/* SAELens' name; NULL where it has none. */
static const char *
find_norm (const SaeDictionary *dictionary)
{
  const char *input_norm =
      dictionary->input_norm != NULL ? dictionary->input_norm : "none";

  for (guint i = 0; i < G_N_ELEMENTS (norms); i++)
    if (strcmp (norms[i].input_norm, input_norm) == 0)
      return norms[i].name;
  return NULL;
}

static const char *
find_reshape (const SaeDictionary *dictionary)
{
  const char *reshape =
      g_hash_table_lookup (dictionary->metadata, SAE_SAELENS_RESHAPE_KEY);

  return g_strcmp0 (reshape, "hook_z") == 0 ? reshape : "none";
}

static gboolean
is_per_row (const SaeDictionary *dictionary)
{
  return g_strcmp0 (dictionary->input_norm, "layer-norm") == 0 ||
         g_strcmp0 (dictionary->input_norm, "constant-norm") == 0;
}

static gboolean
is_transcoder (const SaeDictionary *dictionary)
{
  return dictionary->d_out != dictionary->d_in || dictionary->skip;
}

/* One whose output is as wide as its input is told by where that goes. */
static gboolean
may_be_transcoder (const SaeDictionary *dictionary)
{
  return is_transcoder (dictionary) ||
         (!dictionary->pre_bias && !is_per_row (dictionary) &&
             g_hash_table_contains (dictionary->metadata, "hook_name_out"));
}

static gboolean
find_of_kind (const SaeDictionary *dictionary, gboolean transcoder,
    guint *architecture)
{
  for (guint i = 0; i < G_N_ELEMENTS (architectures); i++)
    if (g_strcmp0 (architectures[i].sparsity, dictionary->sparsity) == 0 &&
        !architectures[i].transcoder == !transcoder &&
        !architectures[i].skip == !dictionary->skip &&
        architectures[i].k != K_AVERAGE) {
      *architecture = i;
      return TRUE;
    }
  return FALSE;
}

static gboolean
find_written (const SaeDictionary *dictionary, guint *architecture)
{
  return (may_be_transcoder (dictionary) &&
             find_of_kind (dictionary, TRUE, architecture)) ||
         (!is_transcoder (dictionary) &&
             find_of_kind (dictionary, FALSE, architecture));
}

static gboolean
refuse_rule (const SaeDictionary *dictionary, GError **error)
{
  g_autofree char *expected = NULL;

  if (!is_transcoder (dictionary))
    return refuse ("sparsity", "\"l1\", \"top-k\", \"jump-relu\" or \"gated\"",
        error);
  expected = g_strdup_printf ("\"l1\" or \"jump-relu\" of a transcoder (from "
                              "%u to %u), got \"%s\"",
      dictionary->d_in, dictionary->d_out,
      dictionary->sparsity != NULL ? dictionary->sparsity : "");
  return refuse ("sparsity", expected, error);
}

static gboolean
check_expressible (const SaeDictionary *dictionary, guint *architecture,
    GError **error)
{
  if (!find_written (dictionary, architecture))
    return refuse_rule (dictionary, error);
  if (architectures[*architecture].k == K_EXACT &&
      (dictionary->k == 0 || dictionary->k > dictionary->d_sae))
    return refuse ("k", "1 to d_sae", error);
  if (architectures[*architecture].transcoder && dictionary->pre_bias)
    return refuse ("pre-bias", "false of a transcoder", error);
  if (architectures[*architecture].transcoder && is_per_row (dictionary))
    return refuse ("input-norm", "none of a transcoder's rows", error);
  if (find_norm (dictionary) == NULL)
    return refuse ("input-norm",
        "\"none\", \"layer-norm\", \"constant-norm\" or "
        "\"expected-average\"",
        error);
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
      "normalize_activations", find_norm (dictionary),
      SAE_SAELENS_RESHAPE_KEY, find_reshape (dictionary),
      "metadata", metadata);
  /* clang-format on */
  gboolean ok = root != NULL;

  if (ok && architectures[architecture].k == K_EXACT)
    ok = json_object_set_new (root, "k",
             json_integer ((json_int_t) dictionary->k)) == 0 &&
         json_object_set_new (root, "rescale_acts_by_decoder_norm",
             json_false ()) == 0;
  if (ok && architectures[architecture].transcoder)
    ok = json_object_set_new (root, "d_out",
             json_integer ((json_int_t) dictionary->d_out)) == 0;
  if (ok && json_object_set_new (root, "architecture",
                json_string (architectures[architecture].name)) == 0)
    return root;
  json_decref (root);
  return NULL;
}

char *
sae_saelens_config_build (const SaeDictionary *dictionary, GError **error)
{
  guint architecture;
  json_t *metadata;

  if (!check_expressible (dictionary, &architecture, error))
    return NULL;
  metadata = sae_saelens_metadata_build (dictionary, error);
  if (metadata == NULL)
    return NULL;
  return sae_json_write_config (pack_config (dictionary, architecture,
                                    metadata),
      JSON_INDENT (1), SAE_SAELENS_MAX_CONFIG, error);
}
