/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * latents = relu(pre): every positive pre-activation is active (Bricken et al.
 * 2023). The penalty that makes them few is the trainer's. */
#include "sparsity.h"

static gsize
capacity (const SaeNet *net)
{
  return net->d_sae;
}

static gsize
rank (const SaeNet *net)
{
  return 0;
}

static float
first_threshold (const SaeNet *net)
{
  return 0.0f;
}

static void
settle (const SaeNet *net, SaeCandidates *candidates, float *scratch)
{
}

const SaeSparsityRule sae_sparsity_l1 = {
    .sparsity = SAE_SPARSITY_L1,
    .name = "standard",
    .capacity = capacity,
    .rank = rank,
    .first_threshold = first_threshold,
    .settle = settle,
};
