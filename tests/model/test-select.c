/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The k-th largest against sorting. */
#include "../same-memory.h"
#include "select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "noise.h"

static int
larger_first (const void *a, const void *b)
{
  float p = *(const float *) a, q = *(const float *) b;

  return p > q ? -1 : p < q;
}

static void
check (const float *values, gsize n)
{
  g_autofree float *sorted = g_memdup2 (values, n * sizeof *values);

  qsort (sorted, n, sizeof *sorted, larger_first);
  for (gsize k = 1; k <= n; k += 1 + n / 20) {
    g_autofree float *copy = g_memdup2 (values, n * sizeof *values);
    g_assert_cmpfloat (sae_select_kth_largest (copy, n, k), ==, sorted[k - 1]);
    qsort (copy, n, sizeof *copy, larger_first); /* nothing is lost */
    assert_same_memory (copy, n * sizeof *copy, sorted, n * sizeof *sorted);
  }
}

static void
test_random (void)
{
  Noise noise = noise_new ();

  for (guint round = 0; round < 300; round++) {
    gsize n = 1 + noise_below (&noise, round < 200 ? 20 : 3000);
    guint few = 1 + noise_below (&noise, 4);
    g_autofree float *values = g_new (float, n);
    for (gsize i = 0; i < n; i++)
      values[i] =
          round % 2 ? noise_normal (&noise) : (float) noise_below (&noise, few);
    check (values, n);
  }
}

/* Orders that quickselect is known to be slow or wrong with. */
static void
test_orders (void)
{
  const gsize n = 1000;
  float up[1000], down[1000], pipe[1000], infinite[1000];

  for (gsize i = 0; i < n; i++) {
    up[i] = (float) i;
    down[i] = (float) (n - i);
    pipe[i] = (float) MIN (i, n - i);
    infinite[i] = i % 3 ? INFINITY : i % 2 ? -INFINITY : 1;
  }
  check (up, n);
  check (down, n);
  check (pipe, n);
  check (infinite, n);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/select/finds-what-sorting-finds", test_random);
  g_test_add_func ("/model/select/any-order", test_orders);
  return g_test_run ();
}
