/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Adam (Kingma and Ba 2015, algorithm 1), bias-corrected. */
#include "optimizer.h"

#include <math.h>

/* Where the measured rate holds: docs/training.md. */
#define LATENTS 6144.0
#define STEPS 4096.0

/* Falls with the root of the number of latents, as the published defaults do
 * (Gao et al. 2024), and rises by the fourth root only where they are few. */
static double
by_latents (double d_sae)
{
  return pow (LATENTS / d_sae, d_sae > LATENTS ? 0.5 : 0.25);
}

/* A short run needs a high rate to get anywhere, a long one a low one to get
 * things right. */
static double
by_steps (const SaeTrainerOptions *options)
{
  double steps = (double) options->total_rows / options->batch_size;

  return options->total_rows ? CLAMP (pow (STEPS / steps, 0.25), 0.25, 2.0)
                             : 1.0;
}

/* More where a penalty makes latents few. */
static double
default_rate (const SaeTrainerOptions *options)
{
  return (options->k ? 1.25e-3 : 1.5e-3) * by_latents (options->d_sae) *
         by_steps (options);
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
