/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sums over rows in their order of arrival cannot be divided, so the sums go on
 * beside each other. */
#include "measure.h"

#define COLUMNS_PER_TASK 128

/* The tasks: of each meter, then of the latents, then of the columns. */
enum { SINCE_LAST, TOTAL, N_METERS, FIRING = N_METERS, COLUMNS };

typedef struct {
  SaeRun *run;
  SaeMeter *meters[N_METERS];
  guint64 rows_before[N_METERS];
  const float *target;
  const SaeSparseRows *latents;
} Batch;

static void
add_columns (const Batch *batch, guint first)
{
  guint n = MIN (COLUMNS_PER_TASK, batch->run->net.d_out - first);

  for (guint i = 0; i < N_METERS; i++)
    sae_meter_add_columns (batch->meters[i], batch->rows_before[i],
        batch->target, batch->latents->n_rows, first, n);
}

static void
add_task (guint task, guint worker, gpointer data)
{
  const Batch *batch = data;
  SaeRun *run = batch->run;

  if (task < N_METERS)
    sae_meter_add_rows (batch->meters[task], run->gradients.sums,
        batch->latents);
  else if (task >= COLUMNS)
    add_columns (batch, (task - COLUMNS) * COLUMNS_PER_TASK);
  else if (!run->options.frozen)
    sae_firing_add (&run->firing, batch->latents, run->options.dead_after);
}

void
sae_measure_batch (SaeRun *run, const float *target,
    const SaeSparseRows *latents)
{
  Batch batch = {
      .run = run,
      .meters = {&run->since_last, &run->total},
      .rows_before = {run->since_last.rows, run->total.rows},
      .target = target,
      .latents = latents,
  };
  guint n_slices = (run->net.d_out + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK;

  sae_pool_run (run->workspace->pool, COLUMNS + n_slices, add_task, &batch);
}
