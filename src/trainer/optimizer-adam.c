/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Adam (Kingma and Ba 2015, algorithm 1), bias-corrected. */
#include "optimizer.h"

#include <math.h>

/* More where a penalty makes latents few; falling with the root of their number
 * as the published defaults do (Gao et al. 2024), but not rising below 6,144,
 * where faster is no better. Measured: docs/training.md. */
static double
default_rate (const SaeTrainerOptions *options)
{
  double rate = options->k ? 1.25e-3 : 1.5e-3;

  return rate * MIN (1.0, sqrt (6144.0 / options->d_sae));
}

static double
default_decoder_rate (const SaeTrainerOptions *options)
{
  return options->k ? 3 : 2;
}

static SaeOptimizerConstants
prepare (const SaeTrainerOptions *options, guint64 step, double rate)
{
  double t = (double) step;

  return (SaeOptimizerConstants){
      .adam =
          {
              .beta1 = (float) options->beta1,
              .beta2 = (float) options->beta2,
              .step_size = (float) (rate / (1.0 - pow (options->beta1, t))),
              .inv_sqrt_bias2 =
                  (float) (1.0 / sqrt (1.0 - pow (options->beta2, t))),
              .epsilon = (float) options->epsilon,
          },
  };
}

static void
update (const SaeOptimizerConstants *constants, float *w,
    float *const moments[SAE_MAX_MOMENTS], const float *g, gsize n)
{
  sae_kernels ()->adam (&constants->adam, w, moments[0], moments[1], g, n);
}

const SaeOptimizerRule sae_optimizer_adam = {
    .optimizer = SAE_OPTIMIZER_ADAM,
    .n_moments = 2,
    .default_rate = default_rate,
    .default_decoder_rate = default_decoder_rate,
    .prepare = prepare,
    .update = update,
};
