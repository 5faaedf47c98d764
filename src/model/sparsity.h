/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The list of sparsity rules. To add one: a file sparsity-<name>.c with its
 * SaeSparsityRule, a value in SaeSparsity, and a row in sparsity.c.
 *
 * A row's pre-activations are scored block by block, ascending. What exceeds
 * the row's running threshold is appended to its candidates; now and then the
 * rule settles them, which drops what can no longer be active and raises the
 * threshold. So no rule ever needs the whole row at once. A net that has a
 * threshold for each latent appends what exceeds that instead. */
#pragma once

#include "net.h"

/* The latents of one row that may still be active, indices ascending. */
typedef struct {
  guint32 *index;
  float *value; /* pre-activations, all above the threshold */
  float *upper; /* what they are at most, while they are not known exactly */
  gsize count;
  float threshold; /* the next candidate must exceed it */
} SaeCandidates;

typedef struct {
  SaeSparsity sparsity;
  /* What SAELens calls a model of this rule; for messages. */
  const char *name;
  /* Most candidates of a row that can be left after settling. */
  gsize (*capacity) (const SaeNet *net);
  /* How many of a row's largest are kept for sure; 0 where that is not the
   * rule. */
  gsize (*rank) (const SaeNet *net);
  /* Latents of a group of which only the largest is kept; NULL where there are
   * no groups. */
  gsize (*group) (const SaeNet *net);
  /* The threshold before anything was seen. */
  float (*first_threshold) (const SaeNet *net);
  /* Drops candidates that cannot be active and raises the threshold;
   * @scratch has room for as many floats as there are candidates. After the
   * last block what is left is active. */
  void (*settle) (const SaeNet *net, SaeCandidates *candidates, float *scratch);
  /* NULL, or makes values of what is left, once, out of its pre-activations
   * and the row @x [d_in] that they are of; it may drop some. */
  void (*finish) (const SaeNet *net, const float *x, SaeCandidates *candidates);
} SaeSparsityRule;

/* Whether a model of this rule has a k: no row has more latents. */
gboolean sae_sparsity_has_k (SaeSparsity sparsity);

/* NULL for an unknown rule and for auto. */
const SaeSparsityRule *sae_sparsity_find (SaeSparsity sparsity);

extern const SaeSparsityRule sae_sparsity_top_k;
extern const SaeSparsityRule sae_sparsity_l1;
extern const SaeSparsityRule sae_sparsity_jump_relu;
extern const SaeSparsityRule sae_sparsity_group_max;
extern const SaeSparsityRule sae_sparsity_gated;
