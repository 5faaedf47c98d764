/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plain-dot.h"

#include <math.h>

/* Lanes i, i + half, i + 2·half, … of 16, added by halving. */
static float
plain_tree (const float *lane, guint i, guint half)
{
  if (half == 16)
    return lane[i];
  return plain_tree (lane, i, 2 * half) + plain_tree (lane, i + half, 2 * half);
}

float
plain_dot (const float *x, const float *w, gsize d)
{
  float lane[16];

  for (gsize i = 0; i < 16; i++) {
    lane[i] = 0;
    for (gsize j = i; j < d; j += 16)
      lane[i] = fmaf (x[j], w[j], lane[i]);
  }
  return plain_tree (lane, 0, 1);
}
