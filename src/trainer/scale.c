/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scale.h"

#include <math.h>
#include <string.h>

double
sae_scale_of (const float *x, gsize n, guint d, double *mean)
{
  double sum2 = 0, rms;

  memset (mean, 0, d * sizeof *mean);
  for (gsize r = 0; r < n; r++)
    for (guint j = 0; j < d; j++)
      mean[j] += x[r * d + j];
  for (guint j = 0; j < d; j++)
    mean[j] /= (double) MAX (n, 1);
  for (gsize r = 0; r < n; r++)
    for (guint j = 0; j < d; j++) {
      double centred = x[r * d + j] - mean[j];
      sum2 += centred * centred;
    }
  rms = sqrt (sum2 / ((double) MAX (n, 1) * d));
  return rms > 0 ? exp2 (CLAMP (round (log2 (rms)), -120, 120)) : 1.0;
}
