/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "workspace.h"

#include <stdlib.h>
#include <string.h>

G_DEFINE_BOXED_TYPE (SaeWorkspace, sae_workspace, sae_workspace_ref,
    sae_workspace_unref)

static gpointer
grow (SaeScratch *scratch, gsize n, gsize element, gboolean keep)
{
  gsize bytes;
  void *data = NULL;

  if (!g_size_checked_mul (&bytes, n, element))
    return NULL;
  if (bytes <= scratch->size && scratch->data)
    return scratch->data;
  if (keep)
    bytes = MAX (bytes, scratch->size + scratch->size / 2);
  else
    sae_scratch_clear (scratch); /* never both in memory */
  if (posix_memalign (&data, 64, MAX (bytes, 64)) != 0)
    return NULL;
  if (keep && scratch->size)
    memcpy (data, scratch->data, scratch->size);
  free (scratch->data);
  scratch->data = data;
  scratch->size = bytes;
  return data;
}

gpointer
sae_scratch_reserve (SaeScratch *scratch, gsize n, gsize element)
{
  return grow (scratch, n, element, FALSE);
}

gpointer
sae_scratch_extend (SaeScratch *scratch, gsize n, gsize element)
{
  return grow (scratch, n, element, TRUE);
}

void
sae_scratch_clear (SaeScratch *scratch)
{
  free (scratch->data);
  scratch->data = NULL;
  scratch->size = 0;
}

/**
 * sae_workspace_new:
 * @n_threads: threads that calls with this workspace may use, the calling one
 *   included; 0 for one each processor, more than 1024 are 1024
 *
 * Creates a workspace. Its threads start at the first call that has use for
 * them.
 *
 * Returns: (transfer full): a workspace
 * Since: 0.1
 */
SaeWorkspace *
sae_workspace_new (guint n_threads)
{
  SaeWorkspace *workspace = g_new0 (SaeWorkspace, 1);

  g_atomic_ref_count_init (&workspace->ref_count);
  workspace->pool = sae_pool_new (MIN (n_threads, SAE_MAX_THREADS));
  workspace->workers =
      g_new0 (SaeWorkerScratch, sae_pool_get_n_threads (workspace->pool));
  return workspace;
}

SaeWorkspace *
sae_workspace_new_sharing (SaeWorkspace *lender)
{
  SaeWorkspace *workspace = g_new0 (SaeWorkspace, 1);

  g_atomic_ref_count_init (&workspace->ref_count);
  workspace->lender = sae_workspace_ref (lender);
  workspace->pool = lender->pool;
  workspace->workers =
      g_new0 (SaeWorkerScratch, sae_pool_get_n_threads (workspace->pool));
  return workspace;
}

/**
 * sae_workspace_ref:
 * @workspace: a workspace
 *
 * Returns: (transfer full): @workspace, with one more reference
 * Since: 0.1
 */
SaeWorkspace *
sae_workspace_ref (SaeWorkspace *workspace)
{
  g_atomic_ref_count_inc (&workspace->ref_count);
  return workspace;
}

static void
clear_worker (SaeWorkerScratch *worker)
{
  sae_scratch_clear (&worker->x);
  sae_scratch_clear (&worker->scores);
  sae_scratch_clear (&worker->rounded);
  sae_scratch_clear (&worker->screened);
  sae_scratch_clear (&worker->widened);
  sae_scratch_clear (&worker->pairs);
  sae_scratch_clear (&worker->pair_scores);
  sae_scratch_clear (&worker->candidate_index);
  sae_scratch_clear (&worker->candidate_value);
  sae_scratch_clear (&worker->candidate_upper);
  sae_scratch_clear (&worker->candidates);
  sae_scratch_clear (&worker->select);
  sae_scratch_clear (&worker->sort_keys);
  sae_scratch_clear (&worker->sort_index);
  sae_scratch_clear (&worker->sort_value);
}

/**
 * sae_workspace_unref:
 * @workspace: (transfer full): a workspace
 *
 * Drops a reference; the last one joins the threads and frees the memory.
 *
 * Since: 0.1
 */
void
sae_workspace_unref (SaeWorkspace *workspace)
{
  if (!g_atomic_ref_count_dec (&workspace->ref_count))
    return;
  for (guint i = 0; i < sae_pool_get_n_threads (workspace->pool); i++)
    clear_worker (&workspace->workers[i]);
  if (workspace->lender)
    sae_workspace_unref (workspace->lender);
  else
    sae_pool_free (workspace->pool);
  for (gsize i = 0; i < workspace->n_tasks; i++) {
    sae_scratch_clear (&workspace->tasks[i].index);
    sae_scratch_clear (&workspace->tasks[i].value);
  }
  free (workspace->tasks);
  sae_scratch_clear (&workspace->bias_error);
  sae_scratch_clear (&workspace->offsets);
  sae_scratch_clear (&workspace->index);
  sae_scratch_clear (&workspace->value);
  sae_scratch_clear (&workspace->edited);
  sae_scratch_clear (&workspace->deltas);
  sae_scratch_clear (&workspace->fates);
  sae_scratch_clear (&workspace->norms);
  g_free (workspace->workers);
  g_free (workspace);
}

/**
 * sae_workspace_set_zero_nonfinite:
 * @workspace: a workspace
 * @zero: %TRUE to give rows with a NaN or an infinity no latents, and to steer
 *   them nowhere, %FALSE to fail the whole call with %SAE_ERROR_NON_FINITE (the
 *   default)
 *
 * Chooses what happens to rows that cannot be encoded.
 *
 * Since: 0.1
 */
void
sae_workspace_set_zero_nonfinite (SaeWorkspace *workspace, gboolean zero)
{
  workspace->zero_nonfinite = zero;
}

/**
 * sae_workspace_get_n_nonfinite:
 * @workspace: a workspace
 *
 * Returns: how many rows were given no latents, or were not steered, because
 *   of a NaN or an infinity, over the life of @workspace
 * Since: 0.1
 */
guint64
sae_workspace_get_n_nonfinite (SaeWorkspace *workspace)
{
  return workspace->n_nonfinite;
}

/**
 * sae_workspace_get_row_norms: (skip)
 * @workspace: a workspace
 * @n_rows: (out): number of rows, 0 with %NULL
 *
 * What sae_model_encode_rows() took from each row, last time, when its model
 * normalises rows (#SaeInputNorm): pairs of mean and scale, so that
 * x_hat·scale + mean is in the units of the stream. They belong to @workspace
 * and hold until it encodes again.
 *
 * Returns: (nullable): [n_rows, 2]; %NULL when rows were not normalised
 * Since: 0.1
 */
const float *
sae_workspace_get_row_norms (SaeWorkspace *workspace, gsize *n_rows)
{
  G_STATIC_ASSERT (sizeof (SaeRowNorm) == 2 * sizeof (float));
  *n_rows = workspace->n_norms;
  return workspace->n_norms ? workspace->norms.data : NULL;
}

/**
 * sae_workspace_set_row_norms: (skip)
 * @workspace: a workspace
 * @norms: (nullable): [n_rows, 2], as sae_workspace_get_row_norms() gave them
 * @n_rows: number of rows
 *
 * Gives the next sae_model_decode_rows() or sae_model_decode_dense() the mean
 * and the scale of each of its rows, which models that normalise rows need.
 * @norms is not copied, and forgotten after that call.
 *
 * Since: 0.1
 */
void
sae_workspace_set_row_norms (SaeWorkspace *workspace, const float *norms,
    gsize n_rows)
{
  workspace->given = (const SaeRowNorm *) norms;
  workspace->n_given = norms ? n_rows : 0;
}

static gsize
count_nonzero (const float *x, gsize n)
{
  gsize count = 0;

  for (gsize i = 0; i < n; i++)
    count += x[i] != 0.0f;
  return count;
}

gboolean
sae_workspace_gather (SaeWorkspace *workspace, const float *latents,
    gsize n_rows, guint d_sae, SaeSparseRows *rows, GError **error)
{
  gsize nnz = count_nonzero (latents, n_rows * d_sae), n = 0;
  gsize *offsets =
      sae_scratch_reserve (&workspace->offsets, n_rows + 1, sizeof *offsets);
  guint32 *index = sae_scratch_reserve (&workspace->index, nnz, sizeof *index);
  float *value = sae_scratch_reserve (&workspace->value, nnz, sizeof *value);

  if (!offsets || !index || !value) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "decode: no memory for %" G_GSIZE_FORMAT " latents", nnz);
    return FALSE;
  }
  for (gsize r = 0; r < n_rows; r++, latents += d_sae) {
    offsets[r] = n;
    for (guint32 i = 0; i < d_sae; i++)
      if (latents[i] != 0.0f) {
        index[n] = i;
        value[n++] = latents[i];
      }
  }
  offsets[n_rows] = n;
  *rows = (SaeSparseRows){n_rows, offsets, index, value};
  return TRUE;
}
