/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * latents = GroupMax(relu(pre)): the latents are k groups of d_sae / k that
 * lie one after the other, and of each the largest is active, if it is
 * positive (EleutherAI's sparsify, "groupmax"). Of equal ones the lower index
 * wins. */
#include "sparsity.h"

static gsize
capacity (const SaeNet *net)
{
  return net->k;
}

/* A large one may have a larger one in its group. */
static gsize
rank (const SaeNet *net)
{
  return 0;
}

static gsize
group (const SaeNet *net)
{
  return net->d_sae / net->k;
}

static float
first_threshold (const SaeNet *net)
{
  return 0.0f;
}

static void
settle (const SaeNet *net, SaeCandidates *c, float *scratch)
{
  gsize size = group (net), kept = 0, group_end = 0;

  for (gsize i = 0; i < c->count; i++) {
    gsize index = c->index[i];
    if (index >= group_end)
      group_end = (index / size + 1) * size;
    else if (c->value[i] > c->value[kept - 1])
      kept--;
    else
      continue;
    c->index[kept] = c->index[i];
    c->value[kept++] = c->value[i];
  }
  c->count = kept;
}

const SaeSparsityRule sae_sparsity_group_max = {
    .sparsity = SAE_SPARSITY_GROUP_MAX,
    .name = "groupmax",
    .capacity = capacity,
    .rank = rank,
    .group = group,
    .first_threshold = first_threshold,
    .settle = settle,
};
