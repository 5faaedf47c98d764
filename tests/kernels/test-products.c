/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dot products, weighted sums of rows and the selection of scores: every level
 * against the contract written out plainly here, bit for bit. */
#include <math.h>
#include <string.h>

#include "cases.h"
#include "expect.h"
#include "guarded.h"
#include "plain-dot.h"

/* Half a unit in the last place of 1. */
#define UNIT 0x1p-24
/* What a rounding loses at most where numbers are denormal. */
#define DENORMAL_UNIT 0x1p-150

/* What n roundings can add up to, relative to the sum of magnitudes (Higham
 * 2002, lemma 3.1), and absolutely where results are denormal. */
static double
error_bound (double n, double magnitudes)
{
  return n * UNIT / (1 - n * UNIT) * magnitudes + n * DENORMAL_UNIT;
}

static gboolean
may_overflow (NoiseKind kind)
{
  return kind == NOISE_HUGE || kind == NOISE_ANY_BITS;
}

static void
check_against_float64 (const Case *c, const float *x, const float *w, float got)
{
  double sum = 0, magnitudes = 0;

  if (may_overflow (c->kind))
    return;
  for (gsize j = 0; j < c->n; j++) {
    sum += (double) x[j] * w[j];
    magnitudes += fabs ((double) x[j] * w[j]);
  }
  /* a product meets the roundings of its lane and of the four halvings; the
   * float64 sum has an error of its own, 2^−29 of this */
  expect_within ("dot against float64", got, sum,
      1.001 * error_bound ((double) ((c->n + 15) / 16 + 4) +
                               (double) c->n * 0x1p-29,
                  magnitudes) +
          16 * DENORMAL_UNIT * (double) (c->n + 4));
}

static void
check_dot (const Case *c)
{
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, c->n, c->offset);
  g_auto (NoiseArray) w = noise_array (c->noise, c->kind, c->n, 0);
  float got = c->kernels->dot (x.values, w.values, c->n);
  float plain = plain_dot (x.values, w.values, c->n);
  float reference = c->reference->dot (x.values, w.values, c->n);

  expect_same_bits ("dot", &got, &plain, 1);
  expect_same_bits ("dot against the reference", &got, &reference, 1);
  check_against_float64 (c, x.values, w.values, got);
}

static void
test_dot (void)
{
  cases_run (check_dot);
}

/* Underflow can leave a lane at −0, and sixteen of them a sum of −0; in every
 * tile (5 rows and 7 latents, all of them the same). */
static void
test_dot_negative_zero (void)
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++)
    for (gsize d = 0; d < 100; d++) {
      g_autofree float *x = g_new (float, d + 1), *w = g_new (float, d + 1);
      for (gsize j = 0; j < d; j++) {
        x[j] = 1e-30f;
        w[j] = -1e-30f;
      }
      float got = (*k)->dot (x, w, d), want = plain_dot (x, w, d), many[5 * 7];
      expect_with ("level %s, length %" G_GSIZE_FORMAT, (*k)->name, d);
      expect_same_bits ("dot", &got, &want, 1);
      (*k)->dots (x, 0, 5, w, 0, 7, d, many, 7);
      for (gsize i = 0; i < 5 * 7; i++)
        expect_same_bits ("dots", many + i, &want, 1);
    }
}

/* One block of rows against one of latents; nothing but its cells is
 * written. */
static void
check_dots_shape (const Case *c, gsize n_x, gsize n_w)
{
  gsize d = c->n, ld_x = d + 3, ld_w = d + c->offset, ld_out = n_w + 5;
  g_auto (NoiseArray) x =
      noise_array (c->noise, c->kind, n_x * ld_x, c->offset);
  g_auto (NoiseArray) w = noise_array (c->noise, c->kind, n_w * ld_w, 1);
  g_auto (Guarded) out = guarded_new (n_x * ld_out, sizeof (float), c->offset);
  g_auto (Guarded) want = guarded_new (n_x * ld_out, sizeof (float), 0);
  float *cells = want.values;

  c->kernels->dots (x.values, ld_x, n_x, w.values, ld_w, n_w, d, out.values,
      ld_out);
  for (gsize r = 0; r < n_x; r++)
    for (gsize i = 0; i < n_w; i++)
      cells[r * ld_out + i] =
          plain_dot (x.values + r * ld_x, w.values + i * ld_w, d);
  expect_same_bits ("dots", out.values, want.values, n_x * ld_out);
  guarded_check (&out, "dots");
}

static void
check_dots (const Case *c)
{
  if (c->n < 70)
    check_dots_shape (c, noise_below (c->noise, 10),
        noise_below (c->noise, 14));
  check_dots_shape (c, 1 + noise_below (c->noise, 6),
      1 + noise_below (c->noise, 9));
}

static void
test_dots (void)
{
  cases_run (check_dots);
}

/* Whatever tile a row and a latent fall into, the bits are the same. */
static void
test_dots_every_shape (void)
{
  Noise noise = noise_new ();
  Case c = {.reference = &sae_kernels_c, .noise = &noise, .kind = NOISE_WIDE};

  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++)
    for (gsize n_x = 0; n_x < 11; n_x++)
      for (gsize n_w = 0; n_w < 15; n_w++) {
        c.kernels = *k;
        c.n = 16 + noise_below (&noise, 50);
        c.offset = noise_below (&noise, 16);
        expect_with ("level %s, %" G_GSIZE_FORMAT " rows, %" G_GSIZE_FORMAT
                     " latents, length %" G_GSIZE_FORMAT ", seed %u",
            (*k)->name, n_x, n_w, c.n, noise.seed);
        check_dots_shape (&c, n_x, n_w);
      }
}

static void
plain_combine (float *y, gsize d, const float *values, const guint32 *index,
    gsize n, const float *rows, gsize ld)
{
  for (gsize j = 0; j < d; j++) {
    y[j] = 0;
    for (gsize i = 0; i < n; i++)
      y[j] = fmaf (values[i], rows[index[i] * ld + j], y[j]);
  }
}

static void
check_combine (const Case *c)
{
  gsize d = c->n, ld = d + c->offset, n_rows = 9;
  gsize n = noise_below (c->noise, 24);
  g_auto (NoiseArray) rows =
      noise_array (c->noise, c->kind, n_rows * ld, c->offset);
  g_auto (NoiseArray) values = noise_array (c->noise, c->kind, n, 1);
  g_auto (Guarded) y = guarded_new (d, sizeof (float), c->offset);
  g_autofree guint32 *index = g_new (guint32, n + 1);
  g_autofree float *plain = g_new (float, d + 1);
  g_autofree float *reference = g_new (float, d + 1);

  for (gsize i = 0; i < n; i++)
    index[i] = noise_below (c->noise, (guint) n_rows);
  c->kernels->combine (y.values, d, values.values, index, n, rows.values, ld);
  plain_combine (plain, d, values.values, index, n, rows.values, ld);
  c->reference->combine (reference, d, values.values, index, n, rows.values,
      ld);
  expect_same_bits ("combine", y.values, plain, d);
  expect_same_bits ("combine against the reference", y.values, reference, d);
  guarded_check (&y, "combine");
}

static void
test_combine (void)
{
  cases_run (check_combine);
}

/* The contract in its plainest form; a NaN compares false. */
static gsize
plain_select (const float *scores, gsize n, float threshold, guint32 base,
    guint32 *index, float *value)
{
  gsize count = 0;

  for (gsize j = 0; j < n; j++)
    if (scores[j] > threshold) {
      index[count] = base + (guint32) j;
      value[count++] = scores[j];
    }
  return count;
}

static void
check_select_above (const Case *c)
{
  gsize n = c->n, room = (n + 15) / 16 * 16, count, want_count;
  guint32 base = (guint32) noise_bits (c->noise) / 2;
  g_auto (NoiseArray) scores = noise_array (c->noise, c->kind, n, c->offset);
  g_auto (Guarded) index = guarded_new (room, sizeof (guint32), c->offset);
  g_auto (Guarded) value = guarded_new (room, sizeof (float), c->offset);
  g_autofree guint32 *want_index = g_new (guint32, n + 1);
  g_autofree float *want_value = g_new (float, n + 1);
  float thresholds[] = {0.0f, n ? scores.values[n / 2] : 1.0f, -INFINITY,
      INFINITY, NAN};

  for (guint t = 0; t < G_N_ELEMENTS (thresholds); t++) {
    count = c->kernels->select_above (scores.values, n, thresholds[t], base,
        index.values, value.values);
    want_count = plain_select (scores.values, n, thresholds[t], base,
        want_index, want_value);
    g_assert_cmpuint (count, ==, want_count);
    g_assert_true (
        memcmp (index.values, want_index, count * sizeof (guint32)) == 0);
    expect_same_bits ("select_above", value.values, want_value, count);
    guarded_check (&index, "select_above's indices");
    guarded_check (&value, "select_above's values");
  }
}

static void
test_select_above (void)
{
  cases_run (check_select_above);
}

static gsize
plain_select_each (const float *scores, const float *thresholds, gsize n,
    guint32 base, guint32 *index, float *value)
{
  gsize count = 0;

  for (gsize j = 0; j < n; j++)
    if (scores[j] > 0 && scores[j] > thresholds[j]) {
      index[count] = base + (guint32) j;
      value[count++] = scores[j];
    }
  return count;
}

static void
check_select_above_each (const Case *c)
{
  gsize n = c->n, room = (n + 15) / 16 * 16, count, want_count;
  guint32 base = (guint32) noise_bits (c->noise) / 2;
  g_auto (NoiseArray) scores = noise_array (c->noise, c->kind, n, c->offset);
  g_auto (NoiseArray) thresholds = noise_array (c->noise, c->kind, n, 1);
  g_auto (Guarded) index = guarded_new (room, sizeof (guint32), c->offset);
  g_auto (Guarded) value = guarded_new (room, sizeof (float), c->offset);
  g_autofree guint32 *want_index = g_new (guint32, n + 1);
  g_autofree float *want_value = g_new (float, n + 1);

  for (gsize j = 0; j < n; j += 5) /* equal is not above */
    thresholds.values[j] = scores.values[j];
  count = c->kernels->select_above_each (scores.values, thresholds.values, n,
      base, index.values, value.values);
  want_count = plain_select_each (scores.values, thresholds.values, n, base,
      want_index, want_value);
  g_assert_cmpuint (count, ==, want_count);
  g_assert_true (
      memcmp (index.values, want_index, count * sizeof (guint32)) == 0);
  expect_same_bits ("select_above_each", value.values, want_value, count);
  guarded_check (&index, "select_above_each's indices");
  guarded_check (&value, "select_above_each's values");
}

static void
test_select_above_each (void)
{
  cases_run (check_select_above_each);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/dot/is-16-lanes-and-one-tree", test_dot);
  g_test_add_func ("/kernels/dot/keeps-the-sign-of-zero",
      test_dot_negative_zero);
  g_test_add_func ("/kernels/dots/equals-dot", test_dots);
  g_test_add_func ("/kernels/dots/equals-dot-in-every-tile",
      test_dots_every_shape);
  g_test_add_func ("/kernels/combine/is-fma-in-ascending-order", test_combine);
  g_test_add_func ("/kernels/select-above/appends-ascending",
      test_select_above);
  g_test_add_func ("/kernels/select-above-each/needs-its-threshold-and-0",
      test_select_above_each);
  return g_test_run ();
}
