/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A training run: parameters, optimiser state and counters. Everything here is
 * in units of the scale s of the stream: rows are x / s, biases b / s; W_enc
 * and W_dec are the same in both. s is a power of two, so nothing is rounded,
 * and no optimiser ever sees the scale of its input. */
#pragma once

#include "gradients.h"
#include "meter.h"
#include "optimizer.h"

/* W_enc, b_enc, W_dec, b_dec */
#define SAE_N_PARAMETERS 4

typedef struct {
  float *w;
  float *moments[SAE_MAX_MOMENTS];
  gsize n;
} SaeParameter;

typedef struct {
  SaeTrainerOptions options; /* resolved */
  SaeNet net;                /* over the parameters below */
  SaeParameter parameters[SAE_N_PARAMETERS];
  const SaeOptimizerRule *rule;
  SaeWorkspace *workspace;
  gboolean from_model;  /* weights were given: b_dec is not set from the data */
  GHashTable *metadata; /* of the model it started from; NULL without one */
  double scale;         /* s; 1 until calibrated */
  gboolean calibrated;
  double *means; /* [d_in + d_out], for calibrating; NULL when that is done */

  guint64 steps, rows, skipped_rows;
  guint64 *last_fired; /* [d_sae]: rows when it last fired */
  double gradient_norm, learning_rate;
  double l1_coeff; /* in use; changes when steered */
  SaeMeter since_last, total;

  SaeGradients gradients;
  SaeScratch x_hat, x_less_bias, row_gradients, norms2, dense_latents;
} SaeRun;

/* Allocates for the resolved @options: a start from their seed, or from
 * @model, whose sizes they have. */
SaeRun *
sae_run_new (const SaeTrainerOptions *options, SaeModel *model, GError **error);
void sae_run_free (SaeRun *run);

/* Sets the scale, and b_dec and b_enc where the start is random, from rows of
 * the stream: @x [n, d_in], @target [n, d_out]. */
void
sae_run_calibrate (SaeRun *run, const float *x, const float *target, gsize n);

/* One optimiser step on @x [n, d_in] and @target [n, d_out], in units of s; or
 * with options.frozen only a measurement. */
gboolean sae_run_step (SaeRun *run, const float *x, const float *target,
    gsize n, GError **error);

/* An immutable copy, in the stream's units. */
SaeModel *sae_run_copy_model (const SaeRun *run, GError **error);

double sae_run_dead_fraction (const SaeRun *run);
