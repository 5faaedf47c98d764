/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "select.h"

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
