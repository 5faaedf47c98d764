/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Steering: activations whose latents are edited,
 *
 *   y = x + (latents′ − latents) W_dec
 *
 * (times the scale of the row, where the model normalises rows) so that what
 * the dictionary does not reconstruct, x − x_hat, stays in y as it is
 * (Templeton et al. 2024, "Scaling monosemanticity", "Methodological details:
 * feature steering"). It is decode (latents′) + (x − x_hat), without the
 * rounding of taking x_hat away and adding it again. */
#include <math.h>

#include "edits.h"
#include "model.h"

#define ROWS_PER_TASK 32

/* What becomes of a row. */
typedef enum { ROW_STAYS, ROW_CHANGES, ROW_IS_BAD } RowFate;

typedef struct {
  const SaeNet *net;
  const SaeKernels *kernels;
  SaeWorkspace *workspace;
  const SaeEdit *edits;
  gsize n_edits;
  const float *x;
  gsize n_rows;

  guint32 *index;        /* [n_edits], the latents of the edits */
  gboolean each_alone;   /* a latent's own score is enough */
  SaeSparseRows latents; /* where it is not */
  float *deltas;         /* [n_rows, d_out] */
  guint8 *fates;         /* [n_rows] */
  gint no_memory;        /* atomic */
} Steer;

static gboolean
check_autoencoder (const SaeNet *net, GError **error)
{
  if (net->W_skip) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "steer: expected a model that reconstructs its own input, got a "
        "transcoder with a skip connection");
    return FALSE;
  }
  if (net->d_in == net->d_out)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "steer: expected a model that reconstructs its own input, got a "
      "transcoder from %u to %u",
      net->d_in, net->d_out);
  return FALSE;
}

static gboolean
check_latents (const SaeNet *net, const SaeEdit *edits, gsize n, GError **error)
{
  if (n == 0 || edits[n - 1].latent < net->d_sae)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "latents: expected indices below dict-size %u, got %u", net->d_sae,
      edits[n - 1].latent);
  return FALSE;
}

/* Whether one latent is active does not depend on others, and no more is needed
 * of its row than its score. */
static gboolean
is_each_alone (const SaeNet *net)
{
  return (net->sparsity == SAE_SPARSITY_L1 ||
             net->sparsity == SAE_SPARSITY_JUMP_RELU) &&
         !sae_input_norm_is_per_row (net->input_norm);
}

/* The edited latents of one row, as sae_net_encode() has them: the same sums in
 * the same order, and the rules of sparsity-l1.c and sparsity-jump-relu.c. */
static void
score_edited (const Steer *steer, SaeWorkerScratch *scratch, const float *x,
    float *values)
{
  const SaeNet *net = steer->net;

  if (net->pre_bias) {
    float *less = scratch->x.data;
    steer->kernels->subtract (less, x, net->b_dec, net->d_in);
    x = less;
  }
  steer->kernels->dots_at (x, net->W_enc, net->d_in, steer->index,
      steer->n_edits, net->d_in, values);
  for (gsize e = 0; e < steer->n_edits; e++) {
    guint32 i = steer->index[e];
    values[e] += net->b_enc[i];
    if (!(values[e] > 0.0f) ||
        (net->threshold && !(values[e] > net->threshold[i])))
      values[e] = 0.0f;
  }
}

/* The same, picked out of all latents of the row; both ascend. */
static void
pick_edited (const Steer *steer, gsize row, float *values)
{
  const SaeSparseRows *latents = &steer->latents;
  gsize p = latents->offsets[row], end = latents->offsets[row + 1];

  for (gsize e = 0; e < steer->n_edits; e++) {
    while (p < end && latents->index[p] < steer->index[e])
      p++;
    values[e] = p < end && latents->index[p] == steer->index[e]
                    ? latents->value[p]
                    : 0.0f;
  }
}

/* latents′ = clamp (latents · scale + offset, min, max) */
static float
apply (const SaeEdit *edit, float latent)
{
  float value = fmaf (latent, edit->scale, edit->offset);

  if (value < edit->min)
    value = edit->min;
  return value > edit->max ? edit->max : value;
}

/* Leaves of @values [n_edits] those that change, as differences, and of which
 * latents; returns how many. */
static gsize
find_differences (const Steer *steer, float *values, guint32 *index)
{
  gsize n = 0;

  for (gsize e = 0; e < steer->n_edits; e++) {
    float difference = apply (&steer->edits[e], values[e]) - values[e];
    if (difference == 0.0f)
      continue;
    index[n] = steer->index[e];
    values[n++] = difference;
  }
  return n;
}

/* What decoding would make of a sum of decoder rows: a constant row, or one of
 * zeros, has no scale, and stays. */
static gboolean
scale_back (const Steer *steer, gsize row, float *delta)
{
  const SaeRowNorm *norms = steer->each_alone ? NULL : steer->latents.norms;

  if (norms)
    steer->kernels->scale (delta, norms[row].scale, delta, steer->net->d_out);
  return !norms || norms[row].scale != 0.0f;
}

static RowFate
steer_row (Steer *steer, SaeWorkerScratch *scratch, gsize row)
{
  const SaeNet *net = steer->net;
  const float *x = steer->x + row * net->d_in;
  float *delta = steer->deltas + row * net->d_out;
  float *values = scratch->sort_value.data;
  guint32 *index = scratch->sort_index.data;
  gsize n;

  if (!steer->kernels->all_finite (x, net->d_in))
    return ROW_IS_BAD;
  if (!steer->each_alone)
    pick_edited (steer, row, values);
  else
    score_edited (steer, scratch, x, values);
  n = find_differences (steer, values, index);
  if (n == 0)
    return ROW_STAYS;
  steer->kernels->combine (delta, net->d_out, values, index, n, net->W_dec,
      net->d_out);
  if (!scale_back (steer, row, delta))
    return ROW_STAYS;
  return steer->kernels->all_finite (delta, net->d_out) ? ROW_CHANGES
                                                        : ROW_IS_BAD;
}

static gboolean
reserve_worker (const Steer *steer, SaeWorkerScratch *scratch)
{
  return sae_scratch_reserve (&scratch->x, steer->net->d_in, sizeof (float)) &&
         sae_scratch_reserve (&scratch->sort_value, steer->n_edits,
             sizeof (float)) &&
         sae_scratch_reserve (&scratch->sort_index, steer->n_edits,
             sizeof (guint32));
}

static void
steer_task (guint task, guint worker, gpointer data)
{
  Steer *steer = data;
  SaeWorkerScratch *scratch = &steer->workspace->workers[worker];
  gsize first = (gsize) task * ROWS_PER_TASK;
  gsize last = MIN (first + ROWS_PER_TASK, steer->n_rows);

  if (!reserve_worker (steer, scratch)) {
    g_atomic_int_set (&steer->no_memory, 1);
    return;
  }
  for (gsize r = first; r < last; r++)
    steer->fates[r] = (guint8) steer_row (steer, scratch, r);
}

static gboolean
fail_no_memory (const Steer *steer, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "steer: no memory for %" G_GSIZE_FORMAT " edits of %" G_GSIZE_FORMAT
      " rows",
      steer->n_edits, steer->n_rows);
  return FALSE;
}

static gboolean
reserve (Steer *steer, GError **error)
{
  SaeWorkspace *workspace = steer->workspace;
  gsize n_deltas;

  if (!g_size_checked_mul (&n_deltas, steer->n_rows, steer->net->d_out))
    return fail_no_memory (steer, error);
  steer->index = sae_scratch_reserve (&workspace->edited, steer->n_edits,
      sizeof *steer->index);
  steer->deltas =
      sae_scratch_reserve (&workspace->deltas, n_deltas, sizeof *steer->deltas);
  steer->fates = sae_scratch_reserve (&workspace->fates, steer->n_rows,
      sizeof *steer->fates);
  if (!steer->index || !steer->deltas || !steer->fates)
    return fail_no_memory (steer, error);
  for (gsize e = 0; e < steer->n_edits; e++)
    steer->index[e] = steer->edits[e].latent;
  return TRUE;
}

/* All latents of the rows. Which are not finite is seen later, and counted
 * then. */
static gboolean
encode_all (Steer *steer, SaeModel *model, GError **error)
{
  SaeWorkspace *workspace = steer->workspace;
  SaeNet net = sae_model_get_net_for (model, steer->x, steer->n_rows);
  gboolean zero = workspace->zero_nonfinite;
  guint64 n_nonfinite = workspace->n_nonfinite;
  gboolean ok;

  workspace->zero_nonfinite = TRUE;
  ok = sae_net_encode (&net, workspace, steer->x, steer->n_rows,
      &steer->latents, error);
  workspace->zero_nonfinite = zero;
  workspace->n_nonfinite = n_nonfinite;
  return ok;
}

/* Bad rows are refused, or stay as they are and are counted. */
static gboolean
count_fates (Steer *steer, gsize *n_changed, GError **error)
{
  SaeWorkspace *workspace = steer->workspace;
  gsize n_bad = 0, first_bad = 0;

  *n_changed = 0;
  for (gsize r = 0; r < steer->n_rows; r++) {
    *n_changed += steer->fates[r] == ROW_CHANGES;
    if (steer->fates[r] != ROW_IS_BAD)
      continue;
    steer->fates[r] = ROW_STAYS;
    if (n_bad++ == 0)
      first_bad = r;
  }
  if (n_bad && !workspace->zero_nonfinite) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
        "steer: expected finite numbers, got NaN or infinity in "
        "%" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
        " rows or what their edits come to, first in row %" G_GSIZE_FORMAT,
        n_bad, steer->n_rows, first_bad);
    return FALSE;
  }
  workspace->n_nonfinite += n_bad;
  return TRUE;
}

static gboolean
run (Steer *steer, SaeModel *model, gsize *n_changed, GError **error)
{
  gsize n_tasks = (steer->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;

  if (n_tasks > G_MAXUINT)
    return fail_no_memory (steer, error);
  if (!reserve (steer, error))
    return FALSE;
  if (!steer->each_alone && !encode_all (steer, model, error))
    return FALSE;
  sae_pool_run (steer->workspace->pool, (guint) n_tasks, steer_task, steer);
  if (steer->no_memory)
    return fail_no_memory (steer, error);
  return count_fates (steer, n_changed, error);
}

/**
 * sae_model_steer_rows: (skip)
 * @model: a model
 * @workspace: scratch, of this thread
 * @edits: what to make of which latents
 * @x: [n_rows, d_in]
 * @n_rows: number of rows
 * @deltas: (out): [n_rows, d_in], (latents′ − latents) W_dec of the rows that
 *   change, times the scale of the row with a #SaeInputNorm that has one; other
 *   rows are not filled in
 * @changed: (out): [n_rows], 1 for rows of which an edited latent changes,
 *   else 0
 * @n_changed: (out): how many those are
 * @error: return location
 *
 * What sae_model_steer() adds to each row, for streams: allocates nothing once
 * @workspace has grown. The results belong to @workspace and hold until it is
 * used again. With l1 and jump-relu only the edited latents are scored.
 *
 * A row with a NaN or an infinity, or whose delta has one, is an error, or,
 * after sae_workspace_set_zero_nonfinite(), does not change and is counted.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_model_steer_rows (SaeModel *model, SaeWorkspace *workspace,
    const SaeEdits *edits, const float *x, gsize n_rows, const float **deltas,
    const guint8 **changed, gsize *n_changed, GError **error)
{
  Steer steer = {
      .net = sae_model_get_net (model),
      .kernels = sae_kernels (),
      .workspace = workspace,
      .x = x,
      .n_rows = n_rows,
  };

  steer.edits = sae_edits_get_all (edits, &steer.n_edits);
  steer.each_alone = is_each_alone (steer.net);
  if (!check_autoencoder (steer.net, error) ||
      !check_latents (steer.net, steer.edits, steer.n_edits, error) ||
      !run (&steer, model, n_changed, error))
    return FALSE;
  *deltas = steer.deltas;
  *changed = steer.fates;
  return TRUE;
}
