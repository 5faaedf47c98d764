/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The linear part of a skip transcoder, y_hat = latents W_dec + b_dec +
 * x W_skipᵀ (Paulo, Shabalin and Belrose 2025, "Transcoders beat sparse
 * autoencoders for interpretability"). x is the input as it came, b_dec not
 * subtracted. */
#include "skip.h"

#define ROWS_PER_TASK 32
/* Columns of the output at a time. */
#define COLUMNS 64

typedef struct {
  const SaeNet *net;
  const float *x;
  gsize n_rows;
  float *x_hat;
} Skip;

static void
skip_task (guint task, guint worker, gpointer data)
{
  const Skip *skip = data;
  const SaeKernels *kernels = sae_kernels ();
  gsize d_in = skip->net->d_in, d_out = skip->net->d_out;
  gsize first = (gsize) task * ROWS_PER_TASK;
  gsize n_rows = MIN (ROWS_PER_TASK, skip->n_rows - first);
  float products[ROWS_PER_TASK * COLUMNS];
  int finite[ROWS_PER_TASK];

  /* Others were refused, or are to be taken for rows of nothing. */
  for (gsize r = 0; r < n_rows; r++)
    finite[r] = kernels->all_finite (skip->x + (first + r) * d_in, d_in);
  for (gsize column = 0; column < d_out; column += COLUMNS) {
    gsize n = MIN (COLUMNS, d_out - column);
    kernels->dots (skip->x + first * d_in, d_in, n_rows,
        skip->net->W_skip + column * d_in, d_in, n, d_in, products, COLUMNS);
    for (gsize r = 0; r < n_rows; r++)
      if (finite[r])
        kernels->add (skip->x_hat + (first + r) * d_out + column,
            products + r * COLUMNS, n);
  }
}

void
sae_net_skip (const SaeNet *net, SaeWorkspace *workspace, const float *x,
    gsize n_rows, float *x_hat)
{
  Skip skip = {net, x, n_rows, x_hat};

  if (net->W_skip)
    sae_pool_run (workspace->pool,
        (guint) ((n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK), skip_task,
        &skip);
}
