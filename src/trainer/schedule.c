/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schedule.h"

#include <math.h>

/* Share of the run at its end over which the linear and sqrt schedules fall. */
#define DECAY_SHARE 0.2

/* 1 until the decay begins, then falling in a straight line to 0. */
static double
last_part (double progress)
{
  return CLAMP ((1.0 - progress) / DECAY_SHARE, 0.0, 1.0);
}

static double
decay (const SaeTrainerOptions *options, double progress, double warmup)
{
  double rest;

  switch (options->schedule) {
    case SAE_SCHEDULE_LINEAR:
      return last_part (progress);
    case SAE_SCHEDULE_SQRT:
      return 1.0 - sqrt (1.0 - last_part (progress));
    case SAE_SCHEDULE_COSINE:
      if (progress <= warmup)
        return 1.0;
      rest = MIN (1.0, (progress - warmup) / (1.0 - warmup));
      return 0.5 * (1.0 + cos (G_PI * rest));
    case SAE_SCHEDULE_AUTO:
    case SAE_SCHEDULE_CONSTANT:
    default:
      return 1.0;
  }
}

static double
rise (guint64 rows, double over)
{
  return (double) rows < over ? (double) rows / over : 1.0;
}

double
sae_schedule_rate (const SaeTrainerOptions *options, guint64 rows, guint64 n)
{
  double rate = options->learning_rate;
  double warmup_rows = (double) options->warmup_rows;

  rate *= rise (rows + n, warmup_rows);
  if (options->total_rows) {
    double total = (double) options->total_rows;
    rate *= decay (options, (double) rows / total,
        MIN (0.999, warmup_rows / total));
  }
  return rate;
}

guint
sae_schedule_k (const SaeTrainerOptions *options, guint64 rows)
{
  double end = options->k, start = options->k_start ? options->k_start : end;

  return (guint) floor (
      start + (end - start) * rise (rows, (double) options->k_anneal_rows) +
      0.5);
}

double
sae_schedule_l1_warmup (const SaeTrainerOptions *options, guint64 rows,
    guint64 n)
{
  return rise (rows + n, (double) options->l1_warmup_rows);
}
