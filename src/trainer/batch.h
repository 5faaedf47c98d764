/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows on their way to the optimiser: gathered over buffers of any size,
 * rows that are not finite left out, first kept back until the scale of the
 * stream is known. */
#pragma once

#include "mixer.h"
#include "run.h"

typedef struct {
  SaeRun *run;
  SaeMixer mixer; /* before the buffers below, with shuffle-rows */
  gsize capacity; /* rows of the buffers below */
  gsize n;        /* rows in them */
  float *x;       /* [capacity, d_in] */
  float *target;  /* [capacity, d_out]; NULL where the target is x */
} SaeBatch;

gboolean sae_batch_init (SaeBatch *batch, SaeRun *run, GError **error);
void sae_batch_clear (SaeBatch *batch);

/* Adds rows (@target NULL: the rows themselves) and takes a step whenever
 * batch-size rows are there. */
gboolean sae_batch_push (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error);

/* Adds rows past the mixer and takes one step on all that are in the batch,
 * however many. */
gboolean sae_batch_step (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error);

/* Takes steps on what is there, in mixer and batch, if anything. */
gboolean sae_batch_flush (SaeBatch *batch, GError **error);

/* Forgets what is there; returns how many rows that were. */
gsize sae_batch_drop (SaeBatch *batch);

/* Whatever of it is state of a run; the run's own comes before. */
void sae_batch_describe (SaeBatch *batch, SaeState *state);
