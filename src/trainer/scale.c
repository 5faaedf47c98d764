/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scale.h"

#include <math.h>
#include <string.h>

/* Share of their size by which rows must differ to count as different. */
#define CONSTANT 1e-7

static double
squared_norm (const float *row, guint d)
{
  double sum = 0;

  for (guint j = 0; j < d; j++)
    sum += (double) row[j] * row[j];
  return sum;
}

/* From the geometric mean of the squared norms, which a row of 1e30 in a
 * thousand moves by a seventh. */
static double
outlier_limit (const float *x, gsize n, guint d)
{
  double logs = 0, count = 0;

  for (gsize r = 0; r < n; r++) {
    double norm2 = squared_norm (x + r * d, d);
    if (norm2 > 0) {
      logs += log (norm2);
      count++;
    }
  }
  return count > 0 ? SAE_SCALE_OUTLIER * exp (logs / count) : 0;
}

static void
add_row (double *mean, const float *row, guint d)
{
  for (guint j = 0; j < d; j++)
    mean[j] += row[j];
}

static double
squared_distance (const double *mean, const float *row, guint d)
{
  double sum = 0;

  for (guint j = 0; j < d; j++)
    sum += (row[j] - mean[j]) * (row[j] - mean[j]);
  return sum;
}

static double
power_of_two (double rms)
{
  return exp2 (CLAMP (round (log2 (rms)), -120, 120));
}

double
sae_scale_of (const float *x, gsize n, guint d, double *mean)
{
  double limit = outlier_limit (x, n, d), rows = 0, sum2 = 0, all2 = 0;

  memset (mean, 0, d * sizeof *mean);
  for (gsize r = 0; r < n; r++) {
    double norm2 = squared_norm (x + r * d, d);
    if (norm2 > limit)
      continue;
    add_row (mean, x + r * d, d);
    all2 += norm2;
    rows++;
  }
  for (guint j = 0; j < d; j++)
    mean[j] /= MAX (rows, 1);
  for (gsize r = 0; r < n; r++)
    if (squared_norm (x + r * d, d) <= limit)
      sum2 += squared_distance (mean, x + r * d, d);
  if (all2 == 0)
    return 1.0;
  /* What is left of constant rows is the rounding of their mean. */
  if (sqrt (sum2) < CONSTANT * sqrt (all2))
    sum2 = all2;
  return power_of_two (sqrt (sum2 / (rows * d)));
}
