/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaepermutation.h"

#include "stream.h"

static void
test_bijection (void)
{
  static const guint64 sizes[] = {1, 2, 3, 5, 16, 63, 64, 65, 255, 256, 257,
      1000, 4095, 4096, 4097, 65537, 100003};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (guint64 pass = 0; pass < 3; pass++) {
      g_autofree gboolean *seen = g_new0 (gboolean, sizes[i]);
      GstSaePermutation permutation;

      gst_sae_permutation_init (&permutation, sizes[i], 7 * i, pass);
      for (guint64 j = 0; j < sizes[i]; j++) {
        guint64 image = gst_sae_permutation_map (&permutation, j);
        g_assert_cmpuint (image, <, sizes[i]);
        g_assert_false (seen[image]);
        seen[image] = TRUE;
      }
    }
  }
}

static guint
count_fixed (guint64 seed_a, guint64 pass_a, guint64 seed_b, guint64 pass_b)
{
  GstSaePermutation a, b;
  guint same = 0;

  gst_sae_permutation_init (&a, 10000, seed_a, pass_a);
  gst_sae_permutation_init (&b, 10000, seed_b, pass_b);
  for (guint64 i = 0; i < 10000; i++)
    same += gst_sae_permutation_map (&a, i) == gst_sae_permutation_map (&b, i);
  return same;
}

/* Two random permutations agree at 1 place on average, Poisson-distributed:
 * at 12 or more with a probability below 1e-9. */
static void
test_differs (void)
{
  g_assert_cmpuint (count_fixed (3, 5, 3, 5), ==, 10000);
  for (guint64 i = 0; i < 50; i++) {
    g_assert_cmpuint (count_fixed (i, 0, i + 1, 0), <, 12);
    g_assert_cmpuint (count_fixed (9, i, 9, i + 1), <, 12);
    g_assert_cmpuint (count_fixed (i, 0, 0, i + 1), <, 12);
  }
}

/* Every order of 4 things comes up about equally often: chi squared over the
 * 24 of them, 23 degrees of freedom, is above 60 with a probability of 4e-5. */
static void
test_uniform (void)
{
  guint counts[256] = {0};
  const guint n = 24000;
  gdouble chi2 = 0, expected = n / 24.0;
  guint n_orders = 0;

  for (guint64 seed = 0; seed < n; seed++) {
    GstSaePermutation permutation;
    guint order = 0;

    gst_sae_permutation_init (&permutation, 4, seed, seed % 3);
    for (guint64 i = 0; i < 4; i++)
      order = order * 4 + (guint) gst_sae_permutation_map (&permutation, i);
    counts[order]++;
  }
  for (guint i = 0; i < 256; i++) {
    if (counts[i] == 0)
      continue;
    n_orders++;
    chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  g_assert_cmpuint (n_orders, ==, 24);
  g_assert_cmpfloat (chi2, <, 60.0);
}

/* 16 things are 4 bits, but odd orders of them come up as well. */
static void
test_parity (void)
{
  guint n_odd = 0;

  for (guint64 seed = 0; seed < 1000; seed++) {
    GstSaePermutation permutation;
    guint n_inversions = 0;

    gst_sae_permutation_init (&permutation, 16, seed, 0);
    for (guint64 i = 0; i < 16; i++)
      for (guint64 j = i + 1; j < 16; j++)
        n_inversions += gst_sae_permutation_map (&permutation, i) >
                        gst_sae_permutation_map (&permutation, j);
    n_odd += n_inversions % 2;
  }
  g_assert_cmpuint (n_odd, >, 400); /* 500 and 6 standard deviations */
  g_assert_cmpuint (n_odd, <, 600);
}

/* Where things go does not depend on where they were: the 10 x 10 table of
 * tenths is even. 81 degrees of freedom; above 150 below 1e-5. */
static void
test_scatters (void)
{
  GstSaePermutation permutation;
  guint counts[10][10] = {{0}};
  const guint64 n = 1000003;
  gdouble chi2 = 0, expected = (gdouble) n / 100;

  gst_sae_permutation_init (&permutation, n, 1, 0);
  for (guint64 i = 0; i < n; i++)
    counts[i * 10 / n][gst_sae_permutation_map (&permutation, i) * 10 / n]++;
  for (guint i = 0; i < 100; i++) {
    gdouble d = counts[i / 10][i % 10] - expected;
    chi2 += d * d / expected;
  }
  g_assert_cmpfloat (chi2, <, 150.0);
}

/* Computed by an independent implementation in Python (integers modulo 2^64),
 * so that orders stay the same from release to release and machine to machine.
 */
static void
test_golden (void)
{
  static const guint64 golden[] = {987, 723, 320, 832, 968, 847, 188, 114, 470,
      502, 660, 538};
  GstSaePermutation permutation;

  gst_sae_permutation_init (&permutation, 1000, 42, 3);
  for (guint i = 0; i < G_N_ELEMENTS (golden); i++)
    g_assert_cmpuint (gst_sae_permutation_map (&permutation, i), ==, golden[i]);
  gst_sae_permutation_init (&permutation, G_GUINT64_CONSTANT (1) << 62, 42, 3);
  for (guint i = 0; i < G_N_ELEMENTS (golden); i++)
    g_assert_cmpuint (gst_sae_permutation_map (&permutation, i), <,
        G_GUINT64_CONSTANT (1) << 62);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/permutation/each-place-once", test_bijection);
  g_test_add_func ("/plugin/permutation/seed-and-pass-matter", test_differs);
  g_test_add_func ("/plugin/permutation/all-orders-of-few", test_uniform);
  g_test_add_func ("/plugin/permutation/even-and-odd", test_parity);
  g_test_add_func ("/plugin/permutation/scatters", test_scatters);
  g_test_add_func ("/plugin/permutation/same-on-every-machine", test_golden);
  return stream_run_tests ();
}
