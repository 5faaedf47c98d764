/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "select.h"

/* What a bound below the k-th largest is content with. */
#define MAX_HALVINGS 12
#define CLOSE_SHARE 4

static inline void
swap (float *a, float *b)
{
  float c = *a;
  *a = *b;
  *b = c;
}

/* Hoare's quickselect, the pivot a median of three. */
float
sae_select_kth_largest (float *v, gsize n, gsize k)
{
  gsize lo = 0, hi = n - 1, at = k - 1;

  while (lo < hi) {
    gsize mid = lo + (hi - lo) / 2, i = lo, j = hi;
    if (v[mid] > v[lo])
      swap (&v[mid], &v[lo]);
    if (v[hi] > v[lo])
      swap (&v[hi], &v[lo]);
    if (v[hi] > v[mid])
      swap (&v[hi], &v[mid]);
    float pivot = v[mid];
    while (i <= j) {
      while (v[i] > pivot)
        i++;
      while (v[j] < pivot)
        j--;
      if (i > j)
        break;
      swap (&v[i], &v[j]);
      i++;
      if (j == 0)
        break;
      j--;
    }
    if (at <= j)
      hi = j;
    else if (at >= i)
      lo = i;
    else
      break;
  }
  return v[at];
}

static gsize
count_at_least (const float *v, gsize n, float limit)
{
  guint count = 0;

  for (gsize i = 0; i < n; i++)
    count += v[i] >= limit;
  return count;
}

/* By halving the interval: counting is quick, and no order is needed. */
float
sae_select_below_kth (const float *v, gsize n, gsize k, float below)
{
  float above = below;

  for (gsize i = 0; i < n; i++)
    above = v[i] > above ? v[i] : above;
  for (guint step = 0; step < MAX_HALVINGS; step++) {
    float middle = below + (above - below) / 2;
    gsize count = count_at_least (v, n, middle);
    if (count < k)
      above = middle;
    else
      below = middle;
    if (count >= k && count <= k + k / CLOSE_SHARE)
      break;
  }
  return below;
}
