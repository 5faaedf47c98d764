/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "meter.h"
#include "sae-metrics.h"
#include "sample.h"

#define FLOATS(...)                                                            \
  g_bytes_new ((float[]){__VA_ARGS__}, sizeof ((float[]){__VA_ARGS__}))

/* Three rows of two, by hand:
 * errors (1, 0), (0, 2), (0, 0): Σ 5; mean (2, 1): Σ about it 4 + 1 + 4 + 1 */
static void
test_closed_form (void)
{
  g_autoptr (GBytes) x = FLOATS (0, 0, 4, 2, 2, 1);
  g_autoptr (GBytes) x_hat = FLOATS (1, 0, 4, 0, 2, 1);
  g_autoptr (GBytes) dense = FLOATS (0, 1.5f, 0, 2, 0, 0.5f, 0, 0, 0);
  g_autoptr (SaeLatents) latents = sae_latents_new_from_dense (3, dense, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeMetrics) m = sae_measure (x, x_hat, 2, latents, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (m->rows, ==, 3);
  expect_within ("mse", m->mse, 5.0 / 6, 1e-15);
  expect_within ("fvu", m->fvu, 5.0 / 10, 1e-15);
  expect_within ("explained variance", m->explained_variance, 0.5, 1e-15);
  /* a row of zeros has no direction and no ratio: it counts as 0 */
  expect_within ("cosine", m->cosine, (16 / sqrt (20 * 16) + 1) / 3, 1e-15);
  expect_within ("norm ratio", m->norm_ratio, (4 / sqrt (20) + 1) / 3, 1e-15);
  expect_within ("l0", m->l0, 1, 1e-15);
  expect_within ("l1", m->l1, 4.0 / 3, 1e-15);
  g_assert_cmpfloat (m->loss, ==, 0);
  g_assert_cmpfloat (m->dead_fraction, ==, 0);
}

static void
test_single_values (void)
{
  Noise noise = noise_new ();
  g_autoptr (GBytes) x = sample_rows (&noise, 20, 7);
  g_autoptr (GBytes) x_hat = sample_rows (&noise, 20, 7);
  g_autoptr (SaeMetrics) m = sae_measure (x, x_hat, 7, NULL, NULL);

  g_assert_cmpfloat (sae_mse (x, x_hat, 7), ==, m->mse);
  g_assert_cmpfloat (sae_fvu (x, x_hat, 7), ==, m->fvu);
  g_assert_cmpfloat (sae_cosine (x, x_hat, 7), ==, m->cosine);
  g_assert_cmpfloat (sae_norm_ratio (x, x_hat, 7), ==, m->norm_ratio);
  g_assert_cmpfloat (m->l0, ==, 0);
  g_assert_cmpfloat (m->l1, ==, 0);
}

static void
test_perfect_and_mean (void)
{
  Noise noise = noise_new ();
  g_autoptr (GBytes) x = sample_rows (&noise, 50, 3);
  const float *rows = g_bytes_get_data (x, NULL);
  double mean[3] = {0};
  float mean_rows[150];

  g_assert_cmpfloat (sae_mse (x, x, 3), ==, 0);
  g_assert_cmpfloat (sae_fvu (x, x, 3), ==, 0);
  expect_within ("cosine with itself", sae_cosine (x, x, 3), 1, 1e-14);
  g_assert_cmpfloat (sae_norm_ratio (x, x, 3), ==, 1);
  for (guint i = 0; i < 150; i++)
    mean[i % 3] += rows[i] / 50.0;
  for (guint i = 0; i < 150; i++)
    mean_rows[i] = (float) mean[i % 3];
  g_autoptr (GBytes) x_hat = g_bytes_new_static (mean_rows, sizeof mean_rows);
  expect_within ("fvu of the mean", sae_fvu (x, x_hat, 3), 1, 1e-12);
}

/* Σ‖x − x̂‖² and Σ‖x − mean‖² in two passes. */
static double
two_pass_fvu (const float *x, const float *x_hat, gsize n, gsize d)
{
  double error2 = 0, variance = 0;

  for (gsize j = 0; j < d; j++) {
    double mean = 0;
    for (gsize r = 0; r < n; r++)
      mean += x[r * d + j] / (double) n;
    for (gsize r = 0; r < n; r++) {
      double e = (double) x[r * d + j] - x_hat[r * d + j];
      error2 += e * e;
      variance += (x[r * d + j] - mean) * (x[r * d + j] - mean);
    }
  }
  return error2 / variance;
}

/* A mean 1,000 times the deviation: the square of the mean less the mean of
 * the squares would lose 6 of 16 digits. */
static void
test_two_pass (void)
{
  const gsize n = 5000, d = 16;
  const float offsets[] = {0, 1000, -1e6f};
  Noise noise = noise_new ();
  g_autofree float *x = g_new (float, n *d), *x_hat = g_new (float, n *d);

  for (guint o = 0; o < G_N_ELEMENTS (offsets); o++) {
    for (gsize i = 0; i < n * d; i++) {
      x[i] = offsets[o] + noise_normal (&noise);
      x_hat[i] = x[i] + 0.3f * noise_normal (&noise);
    }
    g_autoptr (GBytes) a = g_bytes_new (x, n * d * sizeof (float));
    g_autoptr (GBytes) b = g_bytes_new (x_hat, n * d * sizeof (float));
    double want = two_pass_fvu (x, x_hat, n, d);
    expect_with ("offset %g", offsets[o]);
    expect_within ("fvu", sae_fvu (a, b, (guint) d), want, 1e-9 * want);
  }
}

/* No rows and no variance: 0, never NaN. */
static void
test_nothing_known (void)
{
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  g_autoptr (GBytes) constant = FLOATS (2, 3, 2, 3);
  g_autoptr (GBytes) zeros = FLOATS (0, 0, 0, 0);
  g_autoptr (SaeMetrics) empty = sae_measure (none, none, 4, NULL, NULL);
  g_autoptr (SaeMetrics) flat = sae_measure (constant, zeros, 2, NULL, NULL);
  g_autoptr (SaeMetrics) zero = sae_measure (zeros, zeros, 2, NULL, NULL);

  g_assert_cmpuint (empty->rows, ==, 0);
  g_assert_cmpfloat (empty->mse, ==, 0);
  g_assert_cmpfloat (empty->fvu, ==, 0);
  g_assert_cmpfloat (empty->cosine, ==, 0);
  g_assert_cmpfloat (flat->fvu, ==, 0);
  g_assert_cmpfloat (flat->explained_variance, ==, 0);
  g_assert_cmpfloat (flat->mse, ==, 6.5);
  g_assert_cmpfloat (flat->cosine, ==, 0);
  g_assert_cmpfloat (zero->cosine, ==, 0);
  g_assert_cmpfloat (zero->norm_ratio, ==, 0);
}

static void
test_sizes (void)
{
  g_autoptr (GBytes) four = FLOATS (1, 2, 3, 4);
  g_autoptr (GBytes) two = FLOATS (1, 2);
  g_autoptr (SaeLatents) one_row = sae_latents_new_from_dense (2, two, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_measure (four, two, 2, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "got 16 and 8 bytes");
  g_assert_null (sae_measure (four, four, 3, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "rows of 3 floats");
  g_assert_null (sae_measure (four, four, 0, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "rows of 0 floats");
  g_assert_null (sae_measure (four, four, 2, one_row, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "as many rows");
  g_assert_true (isnan (sae_mse (four, two, 2)));
  g_assert_true (isnan (sae_fvu (four, two, 2)));
  g_assert_true (isnan (sae_cosine (four, four, 0)));
  g_assert_true (isnan (sae_norm_ratio (four, four, 3)));
}

/* Row by row or all at once: the same bits. */
static void
test_stream (void)
{
  const gsize n = 300, d = 9;
  Noise noise = noise_new ();
  g_autoptr (GBytes) x = sample_rows (&noise, n, d);
  g_autoptr (GBytes) x_hat = sample_rows (&noise, n, d);
  const float *a = g_bytes_get_data (x, NULL);
  const float *b = g_bytes_get_data (x_hat, NULL);
  g_autofree gsize *offsets = g_new0 (gsize, n + 1);
  SaeSparseRows one = {1, offsets, NULL, NULL}, all = {n, offsets, NULL, NULL};
  SaeMeter pieces, whole;
  SaeMetrics m = {0}, w = {0};

  g_assert_true (sae_meter_init (&pieces, (guint) d, NULL));
  g_assert_true (sae_meter_init (&whole, (guint) d, NULL));
  sae_meter_add (&pieces, a, b, &one); /* forgotten by the reset */
  sae_meter_reset (&pieces);
  for (gsize r = 0; r < n; r++)
    sae_meter_add (&pieces, a + r * d, b + r * d, &one);
  sae_meter_add (&whole, a, b, &all);
  sae_meter_read (&pieces, 1.0, &m);
  sae_meter_read (&whole, 1.0, &w);
  assert_same_memory (&m, sizeof m, &w, sizeof w);

  /* in units of 4: squares by 16, ratios not at all */
  sae_meter_read (&whole, 4.0, &w);
  g_assert_cmpfloat (w.mse, ==, 16 * m.mse);
  g_assert_cmpfloat (w.fvu, ==, m.fvu);
  g_assert_cmpfloat (w.cosine, ==, m.cosine);
  sae_meter_clear (&pieces);
  sae_meter_clear (&whole);
}

static void
test_copies (void)
{
  SaeMetrics metrics = {.rows = 7, .fvu = 0.25};
  g_autoptr (SaeMetrics) copy = sae_metrics_copy (&metrics);
  SaeMetrics *boxed = g_boxed_copy (SAE_TYPE_METRICS, copy);

  assert_same_memory (copy, sizeof *copy, &metrics, sizeof metrics);
  assert_same_memory (boxed, sizeof *boxed, &metrics, sizeof metrics);
  g_boxed_free (SAE_TYPE_METRICS, boxed);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/metrics/closed-form", test_closed_form);
  g_test_add_func ("/model/metrics/each-by-itself", test_single_values);
  g_test_add_func ("/model/metrics/perfect-is-0-and-mean-is-1",
      test_perfect_and_mean);
  g_test_add_func ("/model/metrics/fvu-equals-two-passes", test_two_pass);
  g_test_add_func ("/model/metrics/unknown-is-0", test_nothing_known);
  g_test_add_func ("/model/metrics/refuses-sizes-that-do-not-fit", test_sizes);
  g_test_add_func ("/model/meter/any-cut-same-bits", test_stream);
  g_test_add_func ("/model/metrics/copies", test_copies);
  return g_test_run ();
}
