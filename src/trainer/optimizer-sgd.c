/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gradient descent with momentum: v = μ·v + g, w −= η·v (Sutskever et al.
 * 2013, with the rate outside as PyTorch has it). */
#include "optimizer.h"

/* With the mean reduction, a stream scaled to unit variance has gradients of
 * order 1/d_out. */
static double
default_rate (const SaeTrainerOptions *options)
{
  return options->reduction == SAE_REDUCTION_MEAN ? 5.0 : 5.0 / options->d_out;
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
  sae_kernels ()->momentum (constants->sgd.momentum, constants->sgd.rate, w,
      moments[0], g, n);
}

const SaeOptimizerRule sae_optimizer_sgd = {
    .optimizer = SAE_OPTIMIZER_SGD,
    .n_moments = 1,
    .default_rate = default_rate,
    .default_decoder_rate = default_decoder_rate,
    .prepare = prepare,
    .update = update,
};
