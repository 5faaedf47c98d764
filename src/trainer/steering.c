/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "steering.h"

#include <math.h>

/* Share of the error in log l0 that 1,024 rows correct. */
#define GAIN 0.05
/* What the error of one batch adds to the coefficient at once, in units of
 * where steering begins. */
#define PUSH 20.0
/* Of that error, what counts at most: at the start l0 is far off, and what it
 * needs then is time. */
#define MOST 1.0
/* Batches beyond so many rows count as that many: no batch changes the
 * coefficient by more than a factor of e. */
#define MOST_ROWS (1024 / GAIN)
/* Where a stream in which nothing fires, or everything, drives it at most. */
#define SMALLEST 1e-9
#define LARGEST 1e6

/* A tenth of what a stream of unit variance ends at: of L1, and of L0, where a
 * latent costs as much as the square of what it adds. */
double
sae_steering_start (const SaeTrainerOptions *options)
{
  double start = options->sparsity == SAE_SPARSITY_L1 ? 0.3 : 0.5;

  return options->reduction == SAE_REDUCTION_SUM ? start
                                                 : start / options->d_out;
}

static double
log_error (const SaeSparseRows *latents, double target_l0)
{
  double rows = (double) latents->n_rows;
  double nnz = (double) latents->offsets[latents->n_rows];

  return CLAMP (log (MAX (nnz, 1.0) / rows / target_l0), -MOST, MOST);
}

double
sae_steering_next (double coeff, const SaeSparseRows *latents, double target_l0)
{
  double rows = (double) latents->n_rows;

  coeff *= exp (
      GAIN * MIN (rows, MOST_ROWS) / 1024 * log_error (latents, target_l0));
  return CLAMP (coeff, SMALLEST, LARGEST);
}

double
sae_steering_push (const SaeTrainerOptions *options, double coeff,
    const SaeSparseRows *latents)
{
  return coeff + PUSH * sae_steering_start (options) *
                     log_error (latents, options->target_l0);
}
