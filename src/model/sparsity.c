/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sparsity.h"

static const SaeSparsityRule *const rules[] = {
    &sae_sparsity_top_k,
    &sae_sparsity_l1,
    &sae_sparsity_jump_relu,
    &sae_sparsity_group_max,
    &sae_sparsity_gated,
};

gboolean
sae_sparsity_has_k (SaeSparsity sparsity)
{
  return sparsity == SAE_SPARSITY_TOP_K || sparsity == SAE_SPARSITY_GROUP_MAX;
}

const SaeSparsityRule *
sae_sparsity_find (SaeSparsity sparsity)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (rules[i]->sparsity == sparsity)
      return rules[i];
  return NULL;
}
