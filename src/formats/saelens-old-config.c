/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens-old-config.h"

#include <string.h>

#define FIRST_NEW_VERSION 6

gboolean
sae_saelens_config_is_old (json_t *root)
{
  json_t *metadata = json_object_get (root, "metadata");
  const char *version =
      json_string_value (json_object_get (root, "sae_lens_version"));

  if (version == NULL || *version == '\0')
    version =
        json_string_value (json_object_get (metadata, "sae_lens_version"));
  return version == NULL ||
         g_ascii_strtoull (version, NULL, 10) < FIRST_NEW_VERSION;
}

/* Fields of LanguageModelSAERunnerConfig and TrainingSAEConfig of SAELens 3 to
 * 5, and of what came before them in published folders. */
gboolean
sae_saelens_old_key_is_of_training (const char *key)
{
  static const char *const names[] = {"act_store_device", "adam_beta1",
      "adam_beta2", "autocast", "autocast_lm", "b_dec_init_method",
      "cached_activations_path", "checkpoint_path", "compile_llm",
      "compile_sae", "dataset_trust_remote_code",
      "dead_feature_estimation_method", "dead_feature_threshold",
      "dead_feature_window", "decoder_heuristic_init",
      "decoder_heuristic_init_norm", "decoder_orthogonal_init",
      "eval_batch_size_prompts", "eval_every_n_wandb_logs", "expansion_factor",
      "feature_reinit_scale", "feature_sampling_method",
      "feature_sampling_window", "finetuning_method", "finetuning_tokens",
      "from_pretrained_path", "hook_eval", "hook_point_eval",
      "init_encoder_as_decoder_transpose", "is_dataset_tokenized",
      "llm_compilation_mode", "log_activations_store_to_wandb",
      "log_optimizer_state_to_wandb", "log_to_wandb", "lr", "lr_decay_steps",
      "lr_end", "lr_scheduler_name", "lr_warm_up_steps", "model_kwargs",
      "mse_loss_normalization", "n_batches_in_buffer", "n_checkpoints",
      "n_eval_batches", "n_restart_cycles", "noise_scale",
      "normalize_sae_decoder", "resample_batches", "resume", "run_name",
      "sae_compilation_mode", "scale_sparsity_penalty_by_decoder_norm", "seed",
      "store_batch_size", "store_batch_size_prompts", "streaming",
      "tokens_per_buffer", "total_training_tokens", "train_batch_size",
      "train_batch_size_tokens", "training_tokens", "use_cached_activations",
      "use_ghost_grads", "verbose", "wandb_entity", "wandb_id",
      "wandb_log_frequency", "wandb_project", NULL};

  return g_strv_contains (names, key);
}

const char *
sae_saelens_old_key_in_metadata (const char *key)
{
  /* LLM_METADATA_KEYS of SAELens 6, and the layer, which it drops */
  static const char *const names[] = {"context_size", "dataset_path",
      "exclude_special_tokens", "hf_hook_name", "hook_head_index", "hook_layer",
      "hook_name", "model_class_name", "model_from_pretrained_kwargs",
      "model_name", "neuronpedia_id", "prepend_bos",
      "sae_lens_training_version", "sae_lens_version", "seqpos_slice", NULL};
  static const struct {
    const char *old, *name;
  } renamed[] = {
      {"hook_point", "hook_name"},
      {"hook_point_head_index", "hook_head_index"},
      {"hook_point_layer", "hook_layer"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (renamed); i++)
    if (strcmp (renamed[i].old, key) == 0)
      return renamed[i].name;
  for (guint i = 0; names[i] != NULL; i++)
    if (strcmp (names[i], key) == 0)
      return names[i];
  return NULL;
}

json_t *
sae_saelens_old_metadata (json_t *root)
{
  json_t *metadata = json_object ();
  const char *key;
  json_t *value;

  if (metadata == NULL)
    return NULL;
  json_object_foreach (root, key, value)
  {
    const char *name = sae_saelens_old_key_in_metadata (key);
    if (name != NULL && json_object_set (metadata, name, value) != 0) {
      json_decref (metadata);
      return NULL;
    }
  }
  return metadata;
}

gboolean
sae_saelens_old_is_hook_z (json_t *root)
{
  static const char *const keys[] = {"hook_name", "hook_point"};

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *name = json_string_value (json_object_get (root, keys[i]));
    if (name != NULL && strstr (name, "hook_z") != NULL)
      return TRUE;
  }
  return FALSE;
}
