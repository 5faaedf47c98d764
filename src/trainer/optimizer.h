/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The list of optimisers. To add one: a file optimizer-<name>.c with its
 * SaeOptimizerRule, a value in SaeOptimizer, and a row in optimizer.c. */
#pragma once

#include "kernels.h"
#include "options.h"

#define SAE_MAX_MOMENTS 2

/* What is the same for every parameter of one step. */
typedef struct {
  union {
    SaeAdamConstants adam;
    struct {
      float momentum, rate;
    } sgd;
  };
} SaeOptimizerConstants;

typedef struct {
  SaeOptimizer optimizer;
  guint n_moments; /* arrays of state, each as large as the parameters */
  /* Learning rate for @options (resolved else) whose own is 0. */
  double (*default_rate) (const SaeTrainerOptions *options);
  /* The same for decoder_rate. */
  double (*default_decoder_rate) (const SaeTrainerOptions *options);
  /* @step counts from 1. */
  SaeOptimizerConstants (
      *prepare) (const SaeTrainerOptions *options, guint64 step, double rate);
  /* One step of n parameters w with gradient g; element by element, so that
   * it may be called on any part. A zero gradient is a step like any other. */
  void (*update) (const SaeOptimizerConstants *constants, float *w,
      float *const moments[SAE_MAX_MOMENTS], const float *g, gsize n);
} SaeOptimizerRule;

const SaeOptimizerRule *sae_optimizer_find (SaeOptimizer optimizer);

extern const SaeOptimizerRule sae_optimizer_adam;
extern const SaeOptimizerRule sae_optimizer_sgd;
extern const SaeOptimizerRule sae_optimizer_signum;
