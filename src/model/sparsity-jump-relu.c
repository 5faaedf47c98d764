/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * latents = relu(pre) where pre > threshold[i], else 0 (Rajamanoharan et al.
 * 2024, "Jumping ahead", section 3). Thresholds are the latents' own, so they
 * are applied where scores are picked out (encode-dense.c and
 * encode-screened.c); what was picked stays.
 * Files may hold negative ones: relu keeps latents positive all the same. */
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

const SaeSparsityRule sae_sparsity_jump_relu = {
    .sparsity = SAE_SPARSITY_JUMP_RELU,
    .name = "jumprelu",
    .capacity = capacity,
    .rank = rank,
    .first_threshold = first_threshold,
    .settle = settle,
};
