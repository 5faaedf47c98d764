/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Work element by element: every level against the formulas of kernels.h
 * written out plainly here, bit for bit. */
#include <math.h>
#include <string.h>

#include "cases.h"
#include "expect.h"
#include "fault.h"
#include "guarded.h"

/* Inputs, and an output that starts as a copy of one. */
typedef struct {
  NoiseArray x, z;
  Guarded y;
  float *want;
} Arrays;

static Arrays
arrays_new (const Case *c)
{
  Arrays a = {
      .x = noise_array (c->noise, c->kind, c->n, c->offset),
      .z = noise_array (c->noise, c->kind, c->n, 2),
      .y = guarded_new (c->n, sizeof (float), c->offset),
      .want = g_new (float, c->n + 1),
  };

  noise_fill (c->noise, c->kind, a.want, c->n);
  memcpy (a.y.values, a.want, c->n * sizeof (float));
  return a;
}

/* Compares the output with what was wanted, and looks behind it. */
static void
arrays_check (Arrays *a, const Case *c, const char *what)
{
  expect_same_bits (what, a->y.values, a->want, c->n);
  guarded_check (&a->y, what);
  noise_array_clear (&a->x);
  noise_array_clear (&a->z);
  guarded_clear (&a->y);
  g_free (a->want);
}

static void
check_add (const Case *c)
{
  Arrays a = arrays_new (c);

  c->kernels->add (a.y.values, a.x.values, c->n);
  for (gsize j = 0; j < c->n; j++)
    a.want[j] = a.want[j] + a.x.values[j];
  arrays_check (&a, c, "add");
}

static void
check_subtract (const Case *c)
{
  Arrays a = arrays_new (c);

  c->kernels->subtract (a.y.values, a.x.values, a.z.values, c->n);
  for (gsize j = 0; j < c->n; j++)
    a.want[j] = a.x.values[j] - a.z.values[j];
  arrays_check (&a, c, "subtract");
}

static void
check_add_scaled (const Case *c)
{
  Arrays a = arrays_new (c);
  float factor = noise_value (c->noise, c->kind);

  c->kernels->add_scaled (a.y.values, factor, a.x.values, c->n);
  for (gsize j = 0; j < c->n; j++)
    a.want[j] = fmaf (factor, a.x.values[j], a.want[j]);
  arrays_check (&a, c, "add_scaled");
}

static void
check_blend (const Case *c)
{
  Arrays a = arrays_new (c);
  float share = noise_value (c->noise, c->kind);

  c->kernels->blend (a.y.values, share, a.x.values, c->n);
  for (gsize j = 0; j < c->n; j++) {
    float difference = a.x.values[j] - a.want[j];
    a.want[j] = fmaf (share, difference, a.want[j]);
  }
  arrays_check (&a, c, "blend");
}

static void
check_scale (const Case *c)
{
  Arrays a = arrays_new (c);
  float factor = noise_value (c->noise, c->kind);

  c->kernels->scale (a.y.values, factor, a.x.values, c->n);
  for (gsize j = 0; j < c->n; j++)
    a.want[j] = factor * a.x.values[j];
  c->kernels->scale (a.x.values, factor, a.x.values, c->n);
  expect_same_bits ("scale in place", a.x.values, a.want, c->n);
  arrays_check (&a, c, "scale");
}

static void
check_scaled_difference (const Case *c)
{
  Arrays a = arrays_new (c);
  float factor = noise_value (c->noise, c->kind);

  c->kernels->scaled_difference (a.y.values, factor, a.x.values, a.z.values,
      c->n);
  for (gsize j = 0; j < c->n; j++) {
    float difference = a.x.values[j] - a.z.values[j];
    a.want[j] = factor * difference;
  }
  arrays_check (&a, c, "scaled_difference");
}

static void
test_sums (void)
{
  cases_run (check_add);
  cases_run (check_subtract);
  cases_run (check_add_scaled);
  cases_run (check_blend);
}

/* Shares of 1 and 0: all of x, to a rounding, and none of it. */
static void
test_blend_ends (void)
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
    float x[20], y[20], kept[20];
    for (guint j = 0; j < 20; j++) {
      x[j] = (float) j;
      y[j] = kept[j] = 1.5f * (float) j;
    }
    (*k)->blend (y, 0, x, 20);
    expect_same_bits ("share 0", y, kept, 20);
    (*k)->blend (y, 1, x, 20);
    expect_same_bits ("share 1", y, x, 20);
  }
}

static void
test_scale (void)
{
  cases_run (check_scale);
  cases_run (check_scaled_difference);
}

static void
plain_adam (const SaeAdamConstants *c, float *w, float *m, float *v, float g)
{
  float squared = (1.0f - c->beta2) * g;

  squared = squared * g;
  *m = fmaf (c->beta1, *m, (1.0f - c->beta1) * g);
  *v = fmaf (c->beta2, *v, squared);
  if (fabsf (*m) < 1e-30f)
    *m = 0;
  if (*v < 1e-37f)
    *v = 0;
  float divisor = sqrtf (*v) * c->inv_sqrt_bias2;
  divisor = divisor + c->epsilon;
  float step = c->step_size * *m;
  step = step / divisor;
  *w = *w - step;
}

static void
check_adam (const Case *c)
{
  SaeAdamConstants constants = {.beta1 = 0.9f,
      .beta2 = 0.999f,
      .step_size = 0.003f,
      .inv_sqrt_bias2 = 3.7f,
      .epsilon = 1e-8f};
  gsize n = c->n;
  g_auto (NoiseArray) g = noise_array (c->noise, c->kind, n, c->offset);
  g_auto (NoiseArray) start = noise_array (c->noise, c->kind, 3 * n, 0);
  g_auto (Guarded) w = guarded_new (n, sizeof (float), c->offset);
  g_auto (Guarded) m = guarded_new (n, sizeof (float), 1);
  g_auto (Guarded) v = guarded_new (n, sizeof (float), 2);

  for (gsize j = 0; j < n; j++) /* a second moment is not negative */
    start.values[2 * n + j] = fabsf (start.values[2 * n + j]);
  memcpy (w.values, start.values, n * sizeof (float));
  memcpy (m.values, start.values + n, n * sizeof (float));
  memcpy (v.values, start.values + 2 * n, n * sizeof (float));
  c->kernels->adam (&constants, w.values, m.values, v.values, g.values, n);
  for (gsize j = 0; j < n; j++)
    plain_adam (&constants, start.values + j, start.values + n + j,
        start.values + 2 * n + j, g.values[j]);
  expect_same_bits ("adam's w", w.values, start.values, n);
  expect_same_bits ("adam's m", m.values, start.values + n, n);
  expect_same_bits ("adam's v", v.values, start.values + 2 * n, n);
  guarded_check (&w, "adam's w");
  guarded_check (&m, "adam's m");
  guarded_check (&v, "adam's v");
}

static void
test_adam (void)
{
  cases_run (check_adam);
}

static void
check_momentum (const Case *c)
{
  gsize n = c->n;
  g_auto (NoiseArray) g = noise_array (c->noise, c->kind, n, c->offset);
  g_auto (NoiseArray) start = noise_array (c->noise, c->kind, 2 * n, 0);
  g_auto (Guarded) w = guarded_new (n, sizeof (float), c->offset);
  g_auto (Guarded) v = guarded_new (n, sizeof (float), 1);
  float *want_w = start.values, *want_v = start.values + n;

  memcpy (w.values, want_w, n * sizeof (float));
  memcpy (v.values, want_v, n * sizeof (float));
  c->kernels->momentum (0.9f, 0.01f, w.values, v.values, g.values, n);
  for (gsize j = 0; j < n; j++) {
    want_v[j] = fmaf (0.9f, want_v[j], g.values[j]);
    if (fabsf (want_v[j]) < 1e-30f)
      want_v[j] = 0;
    want_w[j] = fmaf (-0.01f, want_v[j], want_w[j]);
  }
  expect_same_bits ("momentum's w", w.values, want_w, n);
  expect_same_bits ("momentum's v", v.values, want_v, n);
  guarded_check (&w, "momentum's w");
  guarded_check (&v, "momentum's v");
}

static void
test_momentum (void)
{
  cases_run (check_momentum);
}

static float
plain_sign (float m)
{
  return (float) ((m > 0) - (m < 0)); /* 0 of NaN */
}

static void
check_signum (const Case *c)
{
  gsize n = c->n;
  g_auto (NoiseArray) g = noise_array (c->noise, c->kind, n, c->offset);
  g_auto (NoiseArray) start = noise_array (c->noise, c->kind, 2 * n, 0);
  g_auto (Guarded) w = guarded_new (n, sizeof (float), c->offset);
  g_auto (Guarded) m = guarded_new (n, sizeof (float), 1);
  float *want_w = start.values, *want_m = start.values + n;
  float rest = 1.0f - 0.9f;

  memcpy (w.values, want_w, n * sizeof (float));
  memcpy (m.values, want_m, n * sizeof (float));
  c->kernels->signum (0.9f, 0.01f, w.values, m.values, g.values, n);
  for (gsize j = 0; j < n; j++) {
    float added = rest * g.values[j];
    want_m[j] = fmaf (0.9f, want_m[j], added);
    if (fabsf (want_m[j]) < 1e-30f)
      want_m[j] = 0;
    want_w[j] = want_w[j] - 0.01f * plain_sign (want_m[j]);
  }
  expect_same_bits ("signum's w", w.values, want_w, n);
  expect_same_bits ("signum's m", m.values, want_m, n);
  guarded_check (&w, "signum's w");
  guarded_check (&m, "signum's m");
}

static void
test_signum (void)
{
  cases_run (check_signum);
}

/* Without a gradient so far there is no sign, and the weight stays. */
static void
test_signum_of_zero (void)
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
    float w[20], kept[20], m[20] = {0}, g[20] = {0};
    for (guint j = 0; j < 20; j++)
      w[j] = kept[j] = (float) j - 7;
    (*k)->signum (0.9f, 0.01f, w, m, g, 20);
    expect_same_bits ("w", w, kept, 20);
  }
}

/* Moments that decay reach 0, not the denormal numbers below 1e-38. */
static void
test_moments_do_not_become_denormal (void)
{
  SaeAdamConstants constants = {.beta1 = 0.5f,
      .beta2 = 0.5f,
      .step_size = 1e-3f,
      .inv_sqrt_bias2 = 1,
      .epsilon = 1e-8f};
  guint n = 0;

  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
    float w[20], m[20], v[20], s[20], signs[20], g[20] = {0};
    for (guint j = 0; j < 20; j++)
      w[j] = m[j] = v[j] = s[j] = signs[j] = j % 2 ? 1.0f : 1e-25f;
    for (guint step = 0; step < 200; step++) {
      (*k)->adam (&constants, w, m, v, g, 20);
      (*k)->momentum (0.5f, 1e-3f, w, s, g, 20);
      (*k)->signum (0.5f, 1e-3f, w, signs, g, 20);
      for (guint j = 0; j < 20; j++) {
        g_assert_true (m[j] == 0 || m[j] >= 1e-30f);
        g_assert_true (v[j] == 0 || v[j] >= 1e-37f);
        g_assert_true (s[j] == 0 || s[j] >= 1e-30f);
        g_assert_true (signs[j] == 0 || signs[j] >= 1e-30f);
      }
    }
    g_assert_true (m[1] == 0 && v[1] == 0 && s[1] == 0 && signs[1] == 0);
    g_assert_true (isfinite (w[1]));
    n += 3 * 20; /* moments of three optimisers */
  }
  fault_report (6, n, n, 0);
}

static double
plain_tree8 (const double *lane, guint i, guint half)
{
  if (half == 8)
    return lane[i];
  return plain_tree8 (lane, i, 2 * half) +
         plain_tree8 (lane, i + half, 2 * half);
}

static void
check_row_sums (const Case *c)
{
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, c->n, c->offset);
  g_auto (NoiseArray) y = noise_array (c->noise, c->kind, c->n, 1);
  double lanes[4][8] = {{0}}, want[4];
  SaeRowSums sums;

  for (gsize j = 0; j < c->n; j++) {
    double a = x.values[j], b = y.values[j];
    double squared[4] = {(a - b) * (a - b), a * a, b * b, a * b};
    for (guint i = 0; i < 4; i++)
      lanes[i][j % 8] = lanes[i][j % 8] + squared[i];
  }
  for (guint i = 0; i < 4; i++)
    want[i] = plain_tree8 (lanes[i], 0, 1);
  c->kernels->row_sums (x.values, y.values, c->n, &sums);
  expect_same_doubles ("row_sums",
      (double[]){sums.error2, sums.x2, sums.y2, sums.product}, want, 4);
}

static void
test_row_sums (void)
{
  cases_run (check_row_sums);
}

static void
check_welford (const Case *c)
{
  gsize n = c->n;
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, 3 * n, c->offset);
  g_auto (Guarded) mean = guarded_new (n, sizeof (double), 0);
  g_auto (Guarded) m2 = guarded_new (n, sizeof (double), 1);
  g_autofree double *want_mean = g_new0 (double, n + 1);
  g_autofree double *want_m2 = g_new0 (double, n + 1);

  memset (mean.values, 0, n * sizeof (double));
  memset (m2.values, 0, n * sizeof (double));
  for (gsize r = 0; r < 3; r++) {
    const float *row = x.values + r * n;
    double inv_count = 1.0 / (double) (r + 1);
    c->kernels->welford (mean.values, m2.values, inv_count, row, n);
    for (gsize j = 0; j < n; j++) {
      double delta = row[j] - want_mean[j], moved = delta * inv_count;
      want_mean[j] = want_mean[j] + moved;
      double added = delta * (row[j] - want_mean[j]);
      want_m2[j] = want_m2[j] + added;
    }
  }
  expect_same_doubles ("welford's mean", mean.values, want_mean, n);
  expect_same_doubles ("welford's m2", m2.values, want_m2, n);
  guarded_check (&mean, "welford's mean");
  guarded_check (&m2, "welford's m2");
}

static void
test_welford (void)
{
  cases_run (check_welford);
}

static void
check_all_finite (const Case *c)
{
  static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, c->n, c->offset);
  gboolean finite = TRUE;

  for (gsize j = 0; j < c->n; j++)
    finite = finite && isfinite (x.values[j]);
  g_assert_cmpint (!!c->kernels->all_finite (x.values, c->n), ==, finite);
  if (!finite)
    return;
  for (gsize j = 0; j < c->n; j += 1 + c->n / 40) { /* each place by itself */
    float was = x.values[j];
    x.values[j] = bad[noise_below (c->noise, G_N_ELEMENTS (bad))];
    g_assert_false (c->kernels->all_finite (x.values, c->n));
    x.values[j] = was;
  }
}

static void
test_all_finite (void)
{
  cases_run (check_all_finite);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/elementwise/sums-round-as-written", test_sums);
  g_test_add_func ("/kernels/elementwise/scaling-rounds-as-written",
      test_scale);
  g_test_add_func ("/kernels/adam/rounds-as-written", test_adam);
  g_test_add_func ("/kernels/momentum/rounds-as-written", test_momentum);
  g_test_add_func ("/kernels/blend/ends-are-exact", test_blend_ends);
  g_test_add_func ("/kernels/signum/rounds-as-written", test_signum);
  g_test_add_func ("/kernels/signum/zero-has-no-sign", test_signum_of_zero);
  g_test_add_func ("/kernels/moments/fade-to-zero-not-to-denormals",
      test_moments_do_not_become_denormal);
  g_test_add_func ("/kernels/row-sums/are-8-lanes-in-float64", test_row_sums);
  g_test_add_func ("/kernels/welford/rounds-as-written", test_welford);
  g_test_add_func ("/kernels/all-finite/sees-each-place", test_all_finite);
  return g_test_run ();
}
