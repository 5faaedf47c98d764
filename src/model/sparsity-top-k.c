/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * latents = TopK(relu(pre)) (Gao et al. 2024, section 2.3): the k largest
 * positive pre-activations of a row. Ties at the k-th place: exactly k
 * survive, the lower index first; or all of them with keep-all. */
#include "sparsity.h"

#include <math.h>
#include <string.h>

#include "select.h"

/* Times k. */
#define MANY 2

static gsize
capacity (const SaeNet *net)
{
  return net->ties == SAE_TIES_KEEP_ALL ? net->d_sae : net->k;
}

static gsize
rank (const SaeNet *net)
{
  return net->k;
}

static float
first_threshold (const SaeNet *net)
{
  return 0.0f;
}

/* Keeps what exceeds @kth and the first @n_equal of those that equal it. */
static void
keep_from (SaeCandidates *c, float kth, gsize n_equal)
{
  gsize kept = 0;

  for (gsize i = 0; i < c->count; i++) {
    if (c->value[i] < kth)
      continue;
    if (c->value[i] == kth) {
      if (n_equal == 0)
        continue;
      n_equal--;
    }
    c->index[kept] = c->index[i];
    c->value[kept++] = c->value[i];
  }
  c->count = kept;
}

static gsize
count_above (const SaeCandidates *c, float value)
{
  gsize n = 0;

  for (gsize i = 0; i < c->count; i++)
    n += c->value[i] > value;
  return n;
}

/* Where there are many, those far below the k-th go first. */
static void
drop_low (SaeCandidates *c, gsize k)
{
  float limit = sae_select_below_kth (c->value, c->count, k, c->threshold);
  gsize kept = 0;

  for (gsize i = 0; i < c->count; i++) {
    c->index[kept] = c->index[i];
    c->value[kept] = c->value[i];
    kept += c->value[i] >= limit;
  }
  c->count = kept;
}

static void
settle (const SaeNet *net, SaeCandidates *c, float *scratch)
{
  if (c->count < net->k)
    return;
  if (c->count > MANY * (gsize) net->k)
    drop_low (c, net->k);
  memcpy (scratch, c->value, c->count * sizeof (float));
  float kth = sae_select_kth_largest (scratch, c->count, net->k);
  if (net->ties == SAE_TIES_KEEP_ALL) {
    keep_from (c, kth, c->count);
    /* an equal value must still get in */
    c->threshold = nextafterf (kth, 0.0f);
  } else {
    keep_from (c, kth, net->k - count_above (c, kth));
    c->threshold = kth;
  }
}

const SaeSparsityRule sae_sparsity_top_k = {
    .sparsity = SAE_SPARSITY_TOP_K,
    .name = "topk",
    .capacity = capacity,
    .rank = rank,
    .first_threshold = first_threshold,
    .settle = settle,
};
