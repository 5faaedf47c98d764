/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include "sparsity.h"

G_DEFINE_BOXED_TYPE (SaeConfig, sae_config, sae_config_copy, sae_config_free)

/**
 * sae_config_new:
 * @d_in: width of an input row
 * @d_sae: number of latents
 * @k: latents kept per row
 *
 * Makes the configuration of a top-k autoencoder; change its fields for
 * anything else.
 *
 * Returns: (transfer full): a configuration
 * Since: 0.1
 */
SaeConfig *
sae_config_new (guint d_in, guint d_sae, guint k)
{
  SaeConfig *config = g_new0 (SaeConfig, 1);

  config->d_in = d_in;
  config->d_out = d_in;
  config->d_sae = d_sae;
  config->k = k;
  config->sparsity = SAE_SPARSITY_TOP_K;
  return config;
}

/**
 * sae_config_copy:
 * @config: a configuration
 *
 * Returns: (transfer full): a copy
 * Since: 0.1
 */
SaeConfig *
sae_config_copy (const SaeConfig *config)
{
  SaeConfig *copy = g_new (SaeConfig, 1);

  *copy = *config;
  return copy;
}

/**
 * sae_config_free:
 * @config: (transfer full): a configuration
 *
 * Frees a configuration.
 *
 * Since: 0.1
 */
void
sae_config_free (SaeConfig *config)
{
  g_free (config);
}

SaeNet
sae_net_from_config (const SaeConfig *config)
{
  SaeSparsity sparsity = config->sparsity == SAE_SPARSITY_AUTO
                             ? SAE_SPARSITY_TOP_K
                             : config->sparsity;

  return (SaeNet){
      .d_in = config->d_in,
      .d_out = config->d_out ? config->d_out : config->d_in,
      .d_sae = config->d_sae,
      .k = sae_sparsity_has_k (sparsity) ? config->k : 0,
      .sparsity = sparsity,
      .ties = config->ties,
      .pre_bias = config->pre_bias,
      .input_norm = config->input_norm,
  };
}
