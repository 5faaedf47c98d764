/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-figures.h"

#include <math.h>
#include <stdlib.h>

json_t *
sae_inspect_real (double value)
{
  return isfinite (value) ? json_real (value) : json_null ();
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

json_t *
sae_inspect_spread (double *values, gsize n)
{
  if (n == 0)
    return json_null ();
  qsort (values, n, sizeof *values, compare_doubles);
  return json_pack ("{s:o, s:o, s:o}", "min", sae_inspect_real (values[0]),
      "median", sae_inspect_real (values[(n - 1) / 2] / 2 + values[n / 2] / 2),
      "max", sae_inspect_real (values[n - 1]));
}

json_t *
sae_inspect_spread_of_floats (GBytes *floats)
{
  gsize size;
  const float *data = g_bytes_get_data (floats, &size);
  gsize n = size / sizeof *data;
  g_autofree double *values = g_new (double, n + 1);

  for (gsize i = 0; i < n; i++)
    values[i] = data[i];
  return sae_inspect_spread (values, n);
}

static double
norm (const float *row, gsize d)
{
  double sum = 0;

  for (gsize j = 0; j < d; j++)
    sum += (double) row[j] * row[j];
  return sqrt (sum);
}

double *
sae_inspect_row_norms (GBytes *rows, gsize n)
{
  gsize size;
  const float *data = g_bytes_get_data (rows, &size);
  gsize d = size / sizeof *data / n;
  double *norms = g_new (double, n);

  for (gsize i = 0; i < n; i++)
    norms[i] = norm (data + i * d, d);
  return norms;
}

double
sae_inspect_norm (GBytes *floats)
{
  gsize size;
  const float *data = g_bytes_get_data (floats, &size);

  return norm (data, size / sizeof *data);
}
