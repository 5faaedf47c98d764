/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * x_hat = latents W_dec + b_dec: for each row the decoder rows of its active
 * latents, summed in ascending order of the latents. */
#include "workspace.h"

#include <stdlib.h>

#define ROWS_PER_TASK 32

typedef struct {
  const SaeNet *net;
  SaeWorkspace *workspace;
  const SaeSparseRows *latents;
  float *x_hat;
  gint no_memory; /* atomic */
} Decode;

gboolean
sae_sparse_rows_check (const SaeSparseRows *latents, guint d_sae,
    GError **error)
{
  for (gsize r = 0; r < latents->n_rows; r++) {
    if (latents->offsets[r] > latents->offsets[r + 1] ||
        latents->offsets[r + 1] > latents->offsets[latents->n_rows]) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "codes: expected rising offsets, got %" G_GSIZE_FORMAT
          " after %" G_GSIZE_FORMAT " in row %" G_GSIZE_FORMAT,
          latents->offsets[r + 1], latents->offsets[r], r);
      return FALSE;
    }
    for (gsize p = latents->offsets[r]; p < latents->offsets[r + 1]; p++)
      if (latents->index[p] >= d_sae) {
        g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
            "codes: expected indices below dict-size %u, got %u in row "
            "%" G_GSIZE_FORMAT,
            d_sae, latents->index[p], r);
        return FALSE;
      }
  }
  return TRUE;
}

/* Unused slots of a row of pairs stand at its end as index 0, value 0: they
 * add nothing wherever they are summed, and need no sorting. */
static gsize
without_unused (const SaeSparseRows *latents, gsize row)
{
  gsize begin = latents->offsets[row], end = latents->offsets[row + 1];

  while (end > begin && latents->index[end - 1] == 0 &&
         latents->value[end - 1] == 0.0f)
    end--;
  return end - begin;
}

static gboolean
is_ascending (const guint32 *index, gsize n)
{
  for (gsize i = 1; i < n; i++)
    if (index[i - 1] > index[i])
      return FALSE;
  return TRUE;
}

static int
compare_keys (const void *a, const void *b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

/* Sorts a row by index into the worker's scratch; equal indices stay in the
 * order given, since their place is the lower half of the key. FALSE when
 * memory is exhausted. */
static gboolean
sort_row (SaeWorkerScratch *scratch, const guint32 **index, const float **value,
    gsize n)
{
  guint64 *keys = sae_scratch_reserve (&scratch->sort_keys, n, sizeof *keys);
  guint32 *to_index =
      sae_scratch_reserve (&scratch->sort_index, n, sizeof *to_index);
  float *to_value =
      sae_scratch_reserve (&scratch->sort_value, n, sizeof *to_value);

  if (!keys || !to_index || !to_value)
    return FALSE;
  for (gsize i = 0; i < n; i++)
    keys[i] = (guint64) (*index)[i] << 32 | i;
  qsort (keys, n, sizeof *keys, compare_keys);
  for (gsize i = 0; i < n; i++) {
    to_index[i] = (guint32) (keys[i] >> 32);
    to_value[i] = (*value)[(guint32) keys[i]];
  }
  *index = to_index;
  *value = to_value;
  return TRUE;
}

static void
decode_task (guint task, guint worker, gpointer data)
{
  Decode *decode = data;
  const SaeNet *net = decode->net;
  const SaeKernels *kernels = sae_kernels ();
  gsize first = (gsize) task * ROWS_PER_TASK;
  gsize last = MIN (first + ROWS_PER_TASK, decode->latents->n_rows);

  for (gsize r = first; r < last; r++) {
    const guint32 *index = decode->latents->index + decode->latents->offsets[r];
    const float *value = decode->latents->value + decode->latents->offsets[r];
    gsize n = without_unused (decode->latents, r);
    float *x_hat = decode->x_hat + r * net->d_out;
    if (!is_ascending (index, n) &&
        !sort_row (&decode->workspace->workers[worker], &index, &value, n)) {
      g_atomic_int_set (&decode->no_memory, 1);
      return;
    }
    kernels->combine (x_hat, net->d_out, value, index, n, net->W_dec,
        net->d_out);
    kernels->add (x_hat, net->b_dec, net->d_out);
    if (sae_input_norm_is_per_row (net->input_norm))
      sae_input_norm_undo (x_hat, net->d_out, &decode->latents->norms[r]);
  }
}

static gboolean
check_norms (const SaeNet *net, const SaeSparseRows *latents, GError **error)
{
  if (!sae_input_norm_is_per_row (net->input_norm) || latents->norms)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "codes: the model normalises its rows (%s) and needs the mean and the "
      "scale of each to undo it; these codes do not carry them",
      sae_input_norm_get_name (net->input_norm));
  return FALSE;
}

gboolean
sae_net_decode (const SaeNet *net, SaeWorkspace *workspace,
    const SaeSparseRows *latents, float *x_hat, GError **error)
{
  Decode decode = {net, workspace, latents, x_hat, 0};
  gsize n_tasks = (latents->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;

  if (!check_norms (net, latents, error))
    return FALSE;
  sae_pool_run (workspace->pool, (guint) n_tasks, decode_task, &decode);
  if (decode.no_memory) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "decode: no memory to sort the latents of a row");
    return FALSE;
  }
  return TRUE;
}
