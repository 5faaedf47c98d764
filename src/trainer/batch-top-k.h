/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Training of BatchTopK (Bussmann et al. 2024): of all relu'd pre-activations
 * of a batch the n·k largest are active, so that a row may have more or fewer
 * than k. Afterwards a row is on its own: a latent is active where it exceeds
 * one threshold, the mean over the batches of the smallest value kept
 * (exponential, decay 0.99, bias-corrected). */
#pragma once

#include "workspace.h"

typedef struct {
  double sum;      /* of the smallest values kept, decaying */
  guint64 batches; /* in it */
  float smallest;  /* of the last batch */

  /*< private >*/
  float guess; /* where candidates began in the last batch: no state, since
                  the result does not depend on it */
  SaeScratch scratch[5];
} SaeBatchTopK;

void sae_batch_top_k_clear (SaeBatchTopK *batch);

/* latents of @x [n, d_in]: the n·@k largest of all; equal ones by row and
 * index. Sets smallest. */
gboolean sae_batch_top_k_encode (SaeBatchTopK *batch, const SaeNet *net,
    SaeWorkspace *workspace, const float *x, gsize n, guint k,
    SaeSparseRows *latents, GError **error);

/* Takes the last batch into the threshold. */
void sae_batch_top_k_learn (SaeBatchTopK *batch);

/* As if many batches had ended at @threshold. */
void sae_batch_top_k_start_at (SaeBatchTopK *batch, double threshold);

/* 0 before the first batch. */
double sae_batch_top_k_get_threshold (const SaeBatchTopK *batch);
