/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Signed momentum: m = μ·m + (1 − μ)·g, w −= η·sign(m) (Bernstein et al. 2018,
 * "signSGD", algorithm 2). sparsify's default is of this kind. */
#include "optimizer.h"

#include <math.h>

static double
default_rate (const SaeTrainerOptions *options)
{
  return 5e-4 * MIN (1.0, sqrt (6144.0 / options->d_sae));
}

static double
default_decoder_rate (const SaeTrainerOptions *options)
{
  return 1;
}

static SaeOptimizerConstants
prepare (const SaeTrainerOptions *options, guint64 step, double rate)
{
  return (SaeOptimizerConstants){
      .sgd = {.momentum = (float) options->momentum, .rate = (float) rate},
  };
}

static void
update (const SaeOptimizerConstants *constants, float *w,
    float *const moments[SAE_MAX_MOMENTS], const float *g, gsize n)
{
  sae_kernels ()->signum (constants->sgd.momentum, constants->sgd.rate, w,
      moments[0], g, n);
}

const SaeOptimizerRule sae_optimizer_signum = {
    .optimizer = SAE_OPTIMIZER_SIGNUM,
    .n_moments = 1,
    .default_rate = default_rate,
    .default_decoder_rate = default_decoder_rate,
    .prepare = prepare,
    .update = update,
};
