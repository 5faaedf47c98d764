/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transpose.h"

void
sae_transpose_scatter (const float *restrict strip, gsize n_rows,
    gsize n_columns, gsize first, float *restrict matrix, gsize stride)
{
  for (gsize column = 0; column < n_columns; column++)
    for (gsize row = 0; row < n_rows; row++)
      matrix[column * stride + first + row] = strip[row * n_columns + column];
}

void
sae_transpose_gather (const float *restrict matrix, gsize stride, gsize first,
    gsize n_rows, gsize n_columns, float *restrict strip)
{
  for (gsize column = 0; column < n_columns; column++)
    for (gsize row = 0; row < n_rows; row++)
      strip[row * n_columns + column] = matrix[column * stride + first + row];
}
