/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * With s = x·W_enc[i]: latents = relu(exp(r_mag)·s + b_mag) where
 * s + b_gate > 0, else 0 (Rajamanoharan et al. 2024, "Improving dictionary
 * learning with gated sparse autoencoders", equations 6 and 7). Candidates are
 * what passes the gate; b_enc is its bias. */
#include "sparsity.h"

#include <math.h>

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

/* s once more, with the bits that it had: what the gate's bias, if it is a
 * large one, has rounded away of it would be missing in the magnitude. */
static void
finish (const SaeNet *net, const float *x, SaeCandidates *c)
{
  gsize kept = 0;

  sae_kernels ()->dots_at (x, net->W_enc, net->d_in, c->index, c->count,
      net->d_in, c->value);
  for (gsize p = 0; p < c->count; p++) {
    guint32 i = c->index[p];
    float magnitude =
        (float) exp ((double) net->r_mag[i]) * c->value[p] + net->b_mag[i];
    if (!(magnitude > 0))
      continue;
    c->index[kept] = i;
    c->value[kept++] = magnitude;
  }
  c->count = kept;
}

const SaeSparsityRule sae_sparsity_gated = {
    .sparsity = SAE_SPARSITY_GATED,
    .name = "gated",
    .capacity = capacity,
    .rank = rank,
    .first_threshold = first_threshold,
    .settle = settle,
    .finish = finish,
};
