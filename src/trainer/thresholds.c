/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thresholds.h"

#include <math.h>
#include <string.h>

#include "group.h"

#define LATENTS_PER_TASK 64
/* A narrow window can make more of a gradient than others are let through. */
#define LARGEST 1e15
/* θ in units of s stays within these, whatever the optimiser does. */
#define SMALLEST_LOG_THETA (-13.8f)
#define LARGEST_LOG_THETA 13.8f

/* Places in SaeThresholds.scratch. */
enum {
  THETA,
  LOWEST,
  GRADIENT,
  OFFSETS,
  INDEX,
  VALUE,
  WINDOW_OFFSETS,
  WINDOW_INDEX,
  WINDOW_VALUE,
  FIRST,
  ROW,
  GROUPED,
};

void
sae_thresholds_clear (SaeThresholds *thresholds)
{
  for (guint i = 0; i < G_N_ELEMENTS (thresholds->scratch); i++)
    sae_scratch_clear (&thresholds->scratch[i]);
}

static gboolean
fail_no_memory (gsize n, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the thresholds of %" G_GSIZE_FORMAT " latents", n);
  return FALSE;
}

gboolean
sae_thresholds_set (SaeThresholds *thresholds, float *log_theta, guint d_sae,
    GError **error)
{
  SaeScratch *s = thresholds->scratch;
  float *theta = sae_scratch_reserve (&s[THETA], d_sae, sizeof *theta);

  thresholds->gradient =
      sae_scratch_reserve (&s[GRADIENT], d_sae, sizeof (float));
  if (!theta || !thresholds->gradient)
    return fail_no_memory (d_sae, error);
  for (guint i = 0; i < d_sae; i++) {
    log_theta[i] = CLAMP (log_theta[i], SMALLEST_LOG_THETA, LARGEST_LOG_THETA);
    theta[i] = expf (log_theta[i]);
  }
  thresholds->theta = theta;
  return TRUE;
}

/* Rows being built: latents of @candidates that are copied one by one. */
typedef struct {
  gsize *offsets;
  guint32 *index;
  float *value;
  gsize n;
} Rows;

static gboolean
reserve_rows (SaeScratch *scratch, const SaeSparseRows *like, Rows *rows)
{
  gsize nnz = like->offsets[like->n_rows];

  rows->n = 0;
  rows->offsets =
      sae_scratch_reserve (&scratch[0], like->n_rows + 1, sizeof (gsize));
  rows->index = sae_scratch_reserve (&scratch[1], nnz, sizeof (guint32));
  rows->value = sae_scratch_reserve (&scratch[2], nnz, sizeof (float));
  return rows->offsets && rows->index && rows->value;
}

static void
append (Rows *rows, guint32 index, float value)
{
  rows->index[rows->n] = index;
  rows->value[rows->n++] = value;
}

/* Active are those above θ, in the window those near it on either side. */
static void
split (const float *theta, float half, const SaeSparseRows *candidates,
    Rows *active, Rows *window)
{
  active->offsets[0] = window->offsets[0] = 0;
  for (gsize r = 0; r < candidates->n_rows; r++) {
    for (gsize p = candidates->offsets[r]; p < candidates->offsets[r + 1];
         p++) {
      guint32 i = candidates->index[p];
      float pre = candidates->value[p];
      if (pre > theta[i])
        append (active, i, pre);
      if (fabsf (pre - theta[i]) < half)
        append (window, i, pre);
    }
    active->offsets[r + 1] = active->n;
    window->offsets[r + 1] = window->n;
  }
}

gboolean
sae_thresholds_encode (SaeThresholds *thresholds, const SaeNet *net,
    SaeWorkspace *workspace, const float *x, gsize n, double bandwidth,
    SaeSparseRows *latents, GError **error)
{
  SaeScratch *s = thresholds->scratch;
  float half = (float) (0.5 * bandwidth);
  float *lowest = sae_scratch_reserve (&s[LOWEST], net->d_sae, sizeof *lowest);
  SaeNet lowered = *net;
  SaeSparseRows candidates;
  Rows active, window;

  if (!lowest)
    return fail_no_memory (net->d_sae, error);
  for (guint i = 0; i < net->d_sae; i++)
    lowest[i] = thresholds->theta[i] - half;
  lowered.threshold = lowest;
  if (!sae_net_encode (&lowered, workspace, x, n, &candidates, error))
    return FALSE;
  if (!reserve_rows (&s[OFFSETS], &candidates, &active) ||
      !reserve_rows (&s[WINDOW_OFFSETS], &candidates, &window))
    return fail_no_memory (net->d_sae, error);
  split (thresholds->theta, half, &candidates, &active, &window);
  *latents = (SaeSparseRows){n, active.offsets, active.index, active.value};
  thresholds->window =
      (SaeSparseRows){n, window.offsets, window.index, window.value};
  return TRUE;
}

typedef struct {
  const SaeThresholds *thresholds;
  const SaeGradients *gradients;
  const gsize *first;
  const guint32 *row;
  double bandwidth;
} Job;

/* ∂loss/∂log θ_i = θ_i·∂loss/∂θ_i */
static void
latents_task (guint task, guint worker, gpointer data)
{
  const Job *job = data;
  const SaeGradients *g = job->gradients;
  gsize d = g->net->d_out;
  guint first = task * LATENTS_PER_TASK;
  guint last = MIN (first + LATENTS_PER_TASK, g->net->d_sae);
  double penalty = g->l1_coeff / (double) g->n;

  for (guint i = first; i < last; i++) {
    double theta = job->thresholds->theta[i], sum = 0;
    for (gsize p = job->first[i]; p < job->first[i + 1]; p++)
      sum += theta * sae_kernels ()->dot (g->g + job->row[p] * d,
                         g->net->W_dec + i * d, d) +
             penalty;
    sum *= -theta / job->bandwidth;
    job->thresholds->gradient[i] = (float) CLAMP (sum, -LARGEST, LARGEST);
  }
}

gboolean
sae_thresholds_compute (SaeThresholds *thresholds,
    const SaeGradients *gradients, double bandwidth, GError **error)
{
  SaeScratch *s = thresholds->scratch;
  const SaeSparseRows *window = &thresholds->window;
  guint F = gradients->net->d_sae;
  gsize nnz = window->offsets[window->n_rows];
  gsize *first = sae_scratch_reserve (&s[FIRST], (gsize) F + 2, sizeof *first);
  guint32 *row = sae_scratch_reserve (&s[ROW], nnz, sizeof *row);
  float *value = sae_scratch_reserve (&s[GROUPED], nnz, sizeof *value);
  Job job = {thresholds, gradients, first, row, bandwidth};

  if (!first || !row || !value)
    return fail_no_memory (F, error);
  sae_group_by_latent (window, F, first, row, value);
  sae_pool_run (gradients->workspace->pool,
      (F + LATENTS_PER_TASK - 1) / LATENTS_PER_TASK, latents_task, &job);
  return TRUE;
}
