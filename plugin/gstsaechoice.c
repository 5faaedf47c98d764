/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaechoice.h"

#include "gstsaelimit.h"
#include "sae-enum-types.h"

#define DEFAULT_TOP_K 32

enum {
  PROP_0,
  PROP_INPUT_SIZE,
  PROP_DICT_SIZE,
  PROP_TOP_K,
  PROP_SPARSITY,
  PROP_TIES,
  PROP_PRE_BIAS,
  PROP_LOCATION,
  PROP_SEED,
  PROP_N_THREADS,
  PROP_MODEL_NAME,
  PROP_MAX_BYTES,
  N_PROPS,
};

gboolean
gst_sae_choice_set (GstSaeChoice *choice, guint id, const GValue *value)
{
  switch (id) {
    case PROP_INPUT_SIZE:
      choice->wanted.d_in = g_value_get_uint (value);
      break;
    case PROP_DICT_SIZE:
      choice->wanted.d_sae = g_value_get_uint (value);
      break;
    case PROP_TOP_K:
      choice->wanted.k = g_value_get_uint (value);
      break;
    case PROP_SPARSITY:
      choice->wanted.sparsity = g_value_get_enum (value);
      break;
    case PROP_TIES:
      choice->wanted.ties = g_value_get_enum (value);
      choice->ties_set = TRUE;
      break;
    case PROP_PRE_BIAS:
      choice->wanted.pre_bias = g_value_get_boolean (value);
      choice->pre_bias_set = TRUE;
      break;
    case PROP_LOCATION:
      g_free (choice->location);
      choice->location = g_value_dup_string (value);
      break;
    case PROP_SEED:
      choice->seed = g_value_get_uint64 (value);
      break;
    case PROP_N_THREADS:
      choice->n_threads = g_value_get_uint (value);
      break;
    case PROP_MODEL_NAME:
      g_free (choice->model_name);
      choice->model_name = g_value_dup_string (value);
      break;
    case PROP_MAX_BYTES:
      choice->max_bytes = g_value_get_uint64 (value);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_sae_choice_get (const GstSaeChoice *choice, guint id, GValue *value)
{
  switch (id) {
    case PROP_INPUT_SIZE:
      g_value_set_uint (value, choice->wanted.d_in);
      break;
    case PROP_DICT_SIZE:
      g_value_set_uint (value, choice->wanted.d_sae);
      break;
    case PROP_TOP_K:
      g_value_set_uint (value, choice->wanted.k);
      break;
    case PROP_SPARSITY:
      g_value_set_enum (value, choice->wanted.sparsity);
      break;
    case PROP_TIES:
      g_value_set_enum (value, choice->wanted.ties);
      break;
    case PROP_PRE_BIAS:
      g_value_set_boolean (value, choice->wanted.pre_bias);
      break;
    case PROP_LOCATION:
      g_value_set_string (value, choice->location);
      break;
    case PROP_SEED:
      g_value_set_uint64 (value, choice->seed);
      break;
    case PROP_N_THREADS:
      g_value_set_uint (value, choice->n_threads);
      break;
    case PROP_MODEL_NAME:
      g_value_set_string (value, choice->model_name);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64 (value, choice->max_bytes);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

void
gst_sae_choice_install_max_bytes (GObjectClass *klass, guint64 standard)
{
  gst_sae_limit_install (klass, PROP_MAX_BYTES, standard,
      "Most bytes that a buffer may become, or that an untrained model may "
      "have whose width only the stream tells (0 = no limit)");
}

guint
gst_sae_choice_install (GObjectClass *klass)
{
  GParamFlags flags =
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                     GST_PARAM_MUTABLE_READY);

  g_object_class_install_property (klass, PROP_INPUT_SIZE,
      g_param_spec_uint ("input-size", "Input size",
          "Width of a row of activations (0 = from the model or the caps)", 0,
          1 << 28, 0, flags));
  g_object_class_install_property (klass, PROP_DICT_SIZE,
      g_param_spec_uint ("dict-size", "Dictionary size",
          "Number of latents (0 = from the model, else 4096)", 0, 1 << 28, 0,
          flags));
  g_object_class_install_property (klass, PROP_TOP_K,
      g_param_spec_uint ("top-k", "Top k",
          "Latents kept per row; may differ from the model's "
          "(0 = from the model, else 32)",
          0, 1 << 28, 0, flags));
  g_object_class_install_property (klass, PROP_SPARSITY,
      g_param_spec_enum ("sparsity", "Sparsity",
          "How pre-activations become sparse (auto = from the model, else "
          "top-k)",
          SAE_TYPE_SPARSITY, SAE_SPARSITY_AUTO, flags));
  g_object_class_install_property (klass, PROP_TIES,
      g_param_spec_enum ("ties", "Ties",
          "What top-k does with equal values; when set it overrides the "
          "model's",
          SAE_TYPE_TIES, SAE_TIES_LOWEST_INDEX, flags));
  g_object_class_install_property (klass, PROP_PRE_BIAS,
      g_param_spec_boolean ("pre-bias", "Pre-bias",
          "Subtract b_dec from the input before encoding (unset = as the model "
          "does)",
          FALSE, flags));
  g_object_class_install_property (klass, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "Dictionary: a folder of SAELens or sparsify, or a params.npz of "
          "Gemma Scope",
          NULL, flags));
  g_object_class_install_property (klass, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
          "Random start of the untrained model that is used without location",
          0, G_MAXUINT64, 0, flags));
  g_object_class_install_property (klass, PROP_N_THREADS,
      g_param_spec_uint ("n-threads", "Threads",
          "Threads for the mathematics (0 = one each processor)", 0, 1024, 0,
          flags));
  g_object_class_install_property (klass, PROP_MODEL_NAME,
      g_param_spec_string ("model-name", "Model name",
          "Live model to run: what a saetrainer or the application publishes "
          "under this name, the latest version for each buffer",
          NULL, flags));
  gst_sae_choice_install_max_bytes (klass, GST_SAE_MAX_BYTES_ROWS);
  gst_type_mark_as_plugin_api (SAE_TYPE_SPARSITY, 0);
  gst_type_mark_as_plugin_api (SAE_TYPE_TIES, 0);
  return N_PROPS;
}

void
gst_sae_choice_copy (const GstSaeChoice *choice, GstSaeChoice *copy)
{
  *copy = *choice;
  copy->location = g_strdup (choice->location);
  copy->model_name = g_strdup (choice->model_name);
}

void
gst_sae_choice_clear (GstSaeChoice *choice)
{
  g_clear_pointer (&choice->location, g_free);
  g_clear_pointer (&choice->model_name, g_free);
}

static const gchar *
nick_of (GType type, gint value)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);

  return g_enum_get_value (enum_class, value)->value_nick;
}

/* A live model may not know its own yet. */
static gboolean
check_size (const gchar *name, guint wanted, guint has, GError **error)
{
  if (!wanted || !has || wanted == has)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: set to %u, but the model has %u", name, wanted, has);
  return FALSE;
}

static gboolean
check_pre_bias (const GstSaeChoice *choice, const SaeConfig *has,
    GError **error)
{
  const SaeConfig *wanted = &choice->wanted;

  if (!choice->pre_bias_set || !wanted->pre_bias == !has->pre_bias)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "pre-bias: set to %s, but the model has %s",
      wanted->pre_bias ? "true" : "false", has->pre_bias ? "true" : "false");
  return FALSE;
}

static gboolean
check_top_k (guint k, guint d_sae, GError **error)
{
  if (d_sae == 0 || k <= d_sae)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "top-k: set to %u, but the model has %u latents", k, d_sae);
  return FALSE;
}

/* What was set must be what the model has. */
static gboolean
check_wanted (const GstSaeChoice *choice, const SaeConfig *has, GError **error)
{
  const SaeConfig *wanted = &choice->wanted;

  if (!check_size ("input-size", wanted->d_in, has->d_in, error) ||
      !check_size ("dict-size", wanted->d_sae, has->d_sae, error))
    return FALSE;
  if (wanted->sparsity && wanted->sparsity != has->sparsity) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "sparsity: set to %s, but the model is %s",
        nick_of (SAE_TYPE_SPARSITY, wanted->sparsity),
        nick_of (SAE_TYPE_SPARSITY, has->sparsity));
    return FALSE;
  }
  if (has->sparsity == SAE_SPARSITY_GROUP_MAX)
    return check_size ("top-k", wanted->k, has->k, error) &&
           check_pre_bias (choice, has, error);
  if (wanted->k && has->sparsity != SAE_SPARSITY_TOP_K) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "top-k: set to %u, but the model is %s", wanted->k,
        nick_of (SAE_TYPE_SPARSITY, has->sparsity));
    return FALSE;
  }
  return check_top_k (wanted->k, has->d_sae, error) &&
         check_pre_bias (choice, has, error);
}

/* Another k or another rule for ties is allowed on a loaded model. */
static SaeModel *
adapt_model (SaeModel *model, const GstSaeChoice *choice, GError **error)
{
  const SaeConfig *wanted = &choice->wanted;
  g_autoptr (SaeConfig) has = sae_model_get_config (model);
  guint k = wanted->k ? wanted->k : has->k;
  SaeTies ties = choice->ties_set ? wanted->ties : has->ties;

  if (has->sparsity != SAE_SPARSITY_TOP_K || (k == has->k && ties == has->ties))
    return sae_model_ref (model);
  GST_DEBUG ("%s: the model's top-k is %u, running it with %u",
      choice->location ? choice->location : choice->model_name, has->k, k);
  return sae_model_with_top_k (model, k, ties, error);
}

gboolean
gst_sae_choice_adapt_config (const GstSaeChoice *choice, SaeConfig *config,
    GError **error)
{
  const SaeConfig *wanted = &choice->wanted;

  if (!check_wanted (choice, config, error))
    return FALSE;
  if (config->d_in == 0)
    config->d_in = config->d_out = wanted->d_in;
  if (config->sparsity == SAE_SPARSITY_TOP_K && wanted->k)
    config->k = wanted->k;
  if (config->sparsity == SAE_SPARSITY_TOP_K && choice->ties_set)
    config->ties = wanted->ties;
  return TRUE;
}

SaeModel *
gst_sae_choice_adapt (const GstSaeChoice *choice, SaeModel *model,
    GError **error)
{
  g_autoptr (SaeConfig) config = sae_model_get_config (model);

  if (!check_wanted (choice, config, error))
    return NULL;
  return adapt_model (model, choice, error);
}

SaeModel *
gst_sae_choice_load (const GstSaeChoice *choice, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (choice->location, error);

  return model ? gst_sae_choice_adapt (choice, model, error) : NULL;
}

static gboolean
has_k (SaeSparsity sparsity)
{
  return sparsity == SAE_SPARSITY_TOP_K || sparsity == SAE_SPARSITY_GROUP_MAX;
}

gboolean
gst_sae_choice_untrained (const GstSaeChoice *choice, SaeConfig *config,
    GError **error)
{
  *config = choice->wanted;
  if (config->d_sae == 0)
    config->d_sae = GST_SAE_DEFAULT_DICT_SIZE;
  if (config->sparsity == SAE_SPARSITY_AUTO)
    config->sparsity = SAE_SPARSITY_TOP_K;
  if (has_k (config->sparsity) && config->k == 0)
    config->k = MIN (DEFAULT_TOP_K, config->d_sae);
  if (has_k (config->sparsity) || config->k == 0)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "top-k: set to %u, but sparsity is set to %s", config->k,
      nick_of (SAE_TYPE_SPARSITY, config->sparsity));
  return FALSE;
}
