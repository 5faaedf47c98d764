/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The options of a run: the properties of SaeTrainer as one value, so that a
 * step works on a snapshot of them. */
#pragma once

#include "sae-model.h"

/* Room for an option that is text, its end included. */
#define SAE_OPTIONS_TEXT 160

typedef struct {
  guint d_in, d_out, d_sae, k;
  SaeSparsity sparsity;
  SaeTies ties;
  gboolean pre_bias;
  gboolean skip; /* x_hat += W_skip x */
  guint64 seed;
  SaeInit init;
  SaeReduction reduction;
  SaeNormalize normalize;
  SaeDecoderNorm decoder_norm;
  double grad_clip; /* 0: none */
  gint64 average;   /* horizon in rows; 0: none, -2: grows with the run */
  gint64 aux_k;     /* < 0: half of d_in */
  double aux_coeff;
  guint k_start; /* 0: k */
  gint64 k_anneal_rows;
  char prefixes[SAE_OPTIONS_TEXT]; /* "" or sizes with commas */
  double bandwidth, threshold_rate;
  guint batch_size;
  guint64 shuffle_rows; /* 0: not mixed */
  SaeOptimizer optimizer;
  double momentum, beta1, beta2, epsilon;
  double learning_rate; /* 0: from d_sae */
  double decoder_rate;  /* 0: from optimizer and rule */
  double l1_coeff;      /* < 0: from the rule, see steered */
  double target_l0;
  gboolean steered; /* resolved: l1_coeff follows target_l0 */
  gint64 l1_warmup_rows;
  gint64 warmup_rows; /* < 0: from total_rows */
  SaeSchedule schedule;
  guint64 total_rows; /* 0: not known */
  guint64 dead_after;
  guint n_threads;
  gboolean frozen;
} SaeTrainerOptions;

/* Installs a property for each option; their ids are 1 and up. */
void sae_trainer_options_install (GObjectClass *object_class);
void sae_trainer_options_init (SaeTrainerOptions *options,
    GObjectClass *object_class);
/* FALSE for an id that is no option. */
gboolean sae_trainer_options_set (SaeTrainerOptions *options, guint id,
    const GValue *value);
gboolean sae_trainer_options_get (const SaeTrainerOptions *options, guint id,
    GValue *value);
/* Its property: name, type, SAE_PARAM_LIVE. NULL for an id that is no option.
 */
GParamSpec *sae_trainer_options_find (guint id);
/* First property id that is free. */
guint sae_trainer_options_end (void);

/* Replaces auto by what it stands for. */
SaeTrainerOptions
sae_trainer_options_resolve (const SaeTrainerOptions *options);
