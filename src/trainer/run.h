/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A training run: parameters, optimiser state and counters. Everything here is
 * in units of the scale s of the stream: rows are x / s, biases and thresholds
 * b / s; W_enc and W_dec are the same in both. s is a power of two, so nothing
 * is rounded, and no optimiser ever sees the scale of its input. */
#pragma once

#include "aux-k.h"
#include "batch-top-k.h"
#include "firing.h"
#include "gradients.h"
#include "loan.h"
#include "meter.h"
#include "optimizer.h"
#include "outliers.h"
#include "prefixes.h"
#include "spikes.h"
#include "state.h"
#include "thresholds.h"

/* SAE_THRESHOLD is log θ, and empty but for jump-relu; SAE_W_SKIP [d_out, d_in]
 * is empty without a skip connection. */
enum {
  SAE_W_ENC,
  SAE_B_ENC,
  SAE_W_DEC,
  SAE_B_DEC,
  SAE_THRESHOLD,
  SAE_W_SKIP,
  SAE_N_PARAMETERS
};

typedef struct {
  float *w;
  SaeLoan *loan; /* NULL, or models may have w too */
  float *moments[SAE_MAX_MOMENTS];
  float *average; /* NULL where the run does not average */
  gsize n;
} SaeParameter;

/* Places in SaeRun.scratch. */
enum {
  SAE_RUN_X_HAT,       /* [n_prefixes, n, d_out] */
  SAE_RUN_X_LESS_BIAS, /* [n, d_in] */
  SAE_RUN_DENSE_LATENTS,
  SAE_RUN_WORKERS, /* the next nine are update.c's */
  SAE_RUN_NORMS2,
  SAE_RUN_B_ENC,
  SAE_RUN_B_DEC,
  SAE_RUN_PLACE,
  SAE_RUN_KEPT,
  SAE_RUN_W_SKIP,          /* [d_out, d_in] */
  SAE_RUN_SKIP_NORMS2,     /* [d_out] */
  SAE_RUN_SKIP_WORKERS,    /* of each: [n] values, [n] places */
  SAE_RUN_PUBLISHED_W_DEC, /* [d_sae, d_out] */
  SAE_RUN_PUBLISHED_THRESHOLD,
  SAE_RUN_N_SCRATCH
};

typedef struct {
  SaeTrainerOptions options; /* resolved */
  SaeNet net;                /* over the parameters below */
  SaeParameter parameters[SAE_N_PARAMETERS];
  const SaeOptimizerRule *rule;
  SaeWorkspace *workspace;
  SaeScreen *screen; /* of W_enc, kept current; NULL before the first step */
  guint prefixes[SAE_MAX_PREFIXES]; /* of nested dictionaries */
  guint n_prefixes;                 /* 0 without any */
  gboolean from_model; /* weights were given: b_dec is not set from the data */
  gboolean has_thresholds; /* so were thresholds */
  GHashTable *metadata;    /* of the model it started from; NULL without one */
  double scale;            /* s; 1 until calibrated */
  double target_variance;  /* about, in units of s; at least 1 */
  gboolean calibrated;
  double *means; /* [d_in + d_out], for calibrating; NULL when that is done */

  guint64 steps, rows, skipped_rows;
  guint64 averaged_rows; /* rows at which the average was last fed */
  double gradient_norm, learning_rate;
  double l1_coeff; /* before its warm-up; changes when steered */
  SaeFiring firing;
  SaeSpikes spikes;
  SaeOutliers outliers;
  SaeBatchTopK batch_top_k;
  SaeMeter since_last, total;

  /* of the step in hand */
  SaeNet step_net;
  const float *x; /* [n, d_in], as it came */
  SaeGradients gradients;
  SaeAuxK aux;
  SaeThresholds thresholds;

  SaeNet published; /* see published.h */
  gboolean published_is_made;
  SaeScratch scratch[SAE_RUN_N_SCRATCH];
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

/* Sets jump-relu's thresholds, where none were given, from rows of the stream
 * in units of s: @x [n, d_in]. */
gboolean
sae_run_start_thresholds (SaeRun *run, const float *x, gsize n, GError **error);

/* One optimiser step on @x [n, d_in] and @target [n, d_out], in units of s; or
 * with options.frozen only a measurement. */
gboolean sae_run_step (SaeRun *run, const float *x, const float *target,
    gsize n, GError **error);

/* What the run publishes, in the stream's units; it never changes. Its weights
 * are copied where the run has others, or once it goes on. */
SaeModel *sae_run_copy_model (SaeRun *run, GError **error);

double sae_run_get_dead_fraction (const SaeRun *run);

/* "W_enc", "b_enc", "W_dec", "b_dec", "threshold", "W_skip". */
const char *sae_run_parameter_name (guint which);

/* Whatever of it is state: a field that a step changes is a line there. */
void sae_run_describe (SaeRun *run, SaeState *state);
