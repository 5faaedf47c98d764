/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "average.h"

#include <math.h>
#include <string.h>

/* Steps between two that are taken into the average: neighbours differ little,
 * and each costs a pass over all weights. */
#define STEPS 8
/* Horizon where none is given: this share of the rows so far, so that it
 * always covers the latest part of the run, however long that gets. */
#define HORIZON_SHARE 0.1
#define FLOATS_PER_TASK 65536

typedef struct {
  SaeParameter *parameter;
  float rate;
} Blend;

gboolean
sae_average_is_on (const SaeTrainerOptions *options)
{
  return options->average != 0;
}

static void
blend_task (guint task, guint worker, gpointer data)
{
  const Blend *blend = data;
  gsize at = (gsize) task * FLOATS_PER_TASK;
  gsize n = MIN (FLOATS_PER_TASK, blend->parameter->n - at);

  sae_kernels ()->blend (blend->parameter->average + at, blend->rate,
      blend->parameter->w + at, n);
}

/* Weight of the newest parameters, which stand for the rows since the last. */
static float
find_rate (const SaeRun *run)
{
  double rows = (double) (run->rows - run->averaged_rows);
  double horizon = run->options.average > 0
                       ? (double) run->options.average
                       : HORIZON_SHARE * (double) run->rows;

  return run->averaged_rows == 0 ? 1.0f : (float) -expm1 (-rows / horizon);
}

void
sae_average_step (SaeRun *run)
{
  float rate;

  if (!sae_average_is_on (&run->options) || run->steps % STEPS != 0)
    return;
  rate = find_rate (run);
  for (guint i = 0; i < SAE_N_PARAMETERS; i++) {
    Blend blend = {&run->parameters[i], rate};
    sae_pool_run (run->workspace->pool,
        (guint) ((run->parameters[i].n + FLOATS_PER_TASK - 1) /
                 FLOATS_PER_TASK),
        blend_task, &blend);
  }
  run->averaged_rows = run->rows;
}
