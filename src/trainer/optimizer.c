/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "optimizer.h"

static const SaeOptimizerRule *const rules[] = {
    &sae_optimizer_adam,
    &sae_optimizer_sgd,
    &sae_optimizer_signum,
};

const SaeOptimizerRule *
sae_optimizer_find (SaeOptimizer optimizer)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (rules[i]->optimizer == optimizer)
      return rules[i];
  return NULL;
}
