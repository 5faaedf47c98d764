/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dense-decode.h"

#include <string.h>

#include "gemm.h"

#define DENSE_SHARE 8
#define ROWS_PER_TASK 32

typedef struct {
  const SaeNet *net;
  const SaeSparseRows *latents;
  float *x_hat;
  float *dense; /* [n_threads, ROWS_PER_TASK, d_sae] */
} Decode;

gboolean
sae_dense_decode_pays (const SaeSparseRows *latents, guint d_sae)
{
  return latents->offsets[latents->n_rows] >=
         latents->n_rows * d_sae / DENSE_SHARE;
}

static void
decode_task (guint task, guint worker, gpointer data)
{
  const Decode *decode = data;
  const SaeSparseRows *latents = decode->latents;
  gsize F = decode->net->d_sae, d = decode->net->d_out;
  gsize first = (gsize) task * ROWS_PER_TASK;
  gsize n = MIN (ROWS_PER_TASK, latents->n_rows - first);
  float *dense = decode->dense + worker * ROWS_PER_TASK * F;
  float *x_hat = decode->x_hat + first * d;

  memset (dense, 0, n * F * sizeof *dense);
  for (gsize r = 0; r < n; r++)
    for (gsize p = latents->offsets[first + r];
         p < latents->offsets[first + r + 1]; p++)
      dense[r * F + latents->index[p]] = latents->value[p];
  sae_gemm (0, n, d, F, dense, F, decode->net->W_dec, d, x_hat, d);
  for (gsize r = 0; r < n; r++)
    sae_kernels ()->add (x_hat + r * d, decode->net->b_dec, d);
}

gboolean
sae_dense_decode (const SaeNet *net, SaeWorkspace *workspace,
    const SaeSparseRows *latents, float *x_hat, SaeScratch *scratch,
    GError **error)
{
  gsize n_threads = sae_pool_get_n_threads (workspace->pool);
  gsize n_tasks = (latents->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
  Decode decode = {net, latents, x_hat, NULL};

  decode.dense = sae_scratch_reserve (scratch,
      n_threads * ROWS_PER_TASK * net->d_sae, sizeof (float));
  if (!decode.dense) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for a block of dense latents");
    return FALSE;
  }
  sae_pool_run (workspace->pool, (guint) n_tasks, decode_task, &decode);
  return TRUE;
}
