/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every latent is scored in float32, a block of them at a time while its
 * weights are in cache. */
#include "encode-block.h"

/* Appends what of a row's @scores of latents @first … @first + @n − 1 may be
 * active. */
static void
pick_candidates (const SaeEncode *encode, SaeCandidates *c, const float *scores,
    gsize first, gsize n)
{
  const SaeKernels *kernels = encode->kernels;
  const float *thresholds = encode->net->threshold;
  guint32 *index = c->index + c->count;
  float *value = c->value + c->count;

  c->count += thresholds
                  ? kernels->select_above_each (scores, thresholds + first, n,
                        (guint32) first, index, value)
                  : kernels->select_above (scores, n, c->threshold,
                        (guint32) first, index, value);
}

/* Scores latents @first … @first + @n − 1 of rows and adds those above each
 * row's threshold to its candidates. */
static void
score_latents (SaeEncodeBlock *block, gsize first_row, gsize n_rows,
    gsize first, gsize n)
{
  const SaeEncode *encode = block->encode;
  const SaeNet *net = encode->net;
  float *scores = block->scratch->scores.data;

  encode->kernels->dots (block->x + first_row * net->d_in, net->d_in, n_rows,
      net->W_enc + first * net->d_in, net->d_in, n, net->d_in, scores,
      SAE_ENCODE_LATENTS);
  for (gsize r = 0; r < n_rows; r++) {
    SaeCandidates *c = &block->candidates[first_row + r];
    float *row = scores + r * SAE_ENCODE_LATENTS;
    encode->kernels->add (row, net->b_enc + first, n);
    if (c->threshold == SAE_ENCODE_NO_LATENTS)
      continue;
    if (c->count + SAE_ENCODE_LATENTS + 16 > encode->capacity)
      encode->rule->settle (net, c, block->scratch->select.data);
    pick_candidates (encode, c, row, first, n);
  }
}

void
sae_encode_dense (SaeEncodeBlock *block, gsize first, gsize n)
{
  const SaeEncode *encode = block->encode;

  for (guint i = block->first; i < block->last; i += SAE_ENCODE_LATENTS)
    score_latents (block, first, n, i,
        MIN (SAE_ENCODE_LATENTS, block->last - i));
  for (gsize r = first; r < first + n; r++)
    encode->rule->settle (encode->net, &block->candidates[r],
        block->scratch->select.data);
}
