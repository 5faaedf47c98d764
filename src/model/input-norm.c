/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "input-norm.h"

#include <math.h>

/* What SAELens adds to the standard deviation that it divides by (not to the
 * one that it multiplies with). */
#define LAYER_NORM_EPSILON 1e-5

gboolean
sae_input_norm_is_per_row (SaeInputNorm norm)
{
  return norm == SAE_INPUT_NORM_LAYER_NORM ||
         norm == SAE_INPUT_NORM_CONSTANT_NORM;
}

const char *
sae_input_norm_get_name (SaeInputNorm norm)
{
  static const char *const names[] = {"none", "layer-norm", "constant-norm",
      "expected-average"};

  return names[norm];
}

static double
sum (const float *x, gsize d)
{
  double total = 0;

  for (gsize j = 0; j < d; j++)
    total += x[j];
  return total;
}

static double
sum_squares (const float *x, gsize d, double mean)
{
  double total = 0;

  for (gsize j = 0; j < d; j++)
    total += (x[j] - mean) * (x[j] - mean);
  return total;
}

/* SAE._setup_activation_normalization() of SAELens. A row of zeros has no norm
 * to divide by (NaN there): it stays zeros. */
SaeRowNorm
sae_input_norm_apply (SaeInputNorm norm, const float *x, gsize d,
    const float *b_dec, float *y)
{
  gboolean layer = norm == SAE_INPUT_NORM_LAYER_NORM;
  double mean = layer ? sum (x, d) / (double) d : 0;
  double squares = sum_squares (x, d, mean);
  double scale = sqrt (squares / (double) (layer ? d - 1 : d));
  double divisor = layer ? scale + LAYER_NORM_EPSILON : scale > 0 ? scale : 1;
  SaeRowNorm row = {(float) mean, (float) scale};

  for (gsize j = 0; j < d; j++)
    y[j] = (float) ((x[j] - mean) / divisor);
  for (gsize j = 0; b_dec && j < d; j++)
    y[j] -= b_dec[j];
  if (isfinite (row.mean) && isfinite (row.scale))
    return row;
  y[0] = NAN;
  return (SaeRowNorm){0, 0};
}

void
sae_input_norm_undo (float *x_hat, gsize d, const SaeRowNorm *norm)
{
  for (gsize j = 0; j < d; j++)
    x_hat[j] = x_hat[j] * norm->scale + norm->mean;
}
