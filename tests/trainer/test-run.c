/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a step does besides following the gradient, and what it withstands. */
#include "run.h"

#include <math.h>
#include <string.h>

#include "expect.h"
#include "model.h"
#include "sample-trainer.h"
#include "steering.h"

#define D 16

static SaeTrainer *
trainer_of (SaeSparsity sparsity, guint d_sae, guint k)
{
  SaeTrainer *trainer = sae_trainer_new (D, d_sae, k);

  g_object_set (trainer, "sparsity", sparsity, "normalize", SAE_NORMALIZE_NONE,
      "batch-size", 64u, "warmup-rows", (gint64) 0, "learning-rate", 2e-3,
      NULL);
  return trainer;
}

static GBytes *
rows_of (guint64 seed, gsize n)
{
  Noise noise = {.state = seed};

  return sparse_rows (&noise, n, D, 1);
}

static double
dot (const float *x, const float *y, gsize n)
{
  double sum = 0;

  for (gsize j = 0; j < n; j++)
    sum += (double) x[j] * y[j];
  return sum;
}

static void
test_unit_rows (void)
{
  const SaeOptimizer optimizers[] = {SAE_OPTIMIZER_ADAM, SAE_OPTIMIZER_SGD};
  g_autoptr (GBytes) x = rows_of (41, 3000);

  for (guint i = 0; i < 4; i++) {
    g_autoptr (SaeTrainer) trainer =
        trainer_of (i / 2 ? SAE_SPARSITY_L1 : SAE_SPARSITY_TOP_K, 100, 5);
    g_autoptr (SaeModel) model = NULL;
    g_object_set (trainer, "optimizer", optimizers[i % 2], "learning-rate",
        i % 2 ? 0.1 : 2e-3, "l1-coeff", 0.1, NULL);
    push_all (trainer, x);
    model = model_of (trainer);
    for (guint row = 0; row < 100; row++) {
      const float *w = sae_model_get_net (model)->W_dec + row * D;
      expect_within ("norm of a decoder row", sqrt (dot (w, w, D)), 1, 1e-6);
    }
  }
}

/* The moments of SGD are sums of gradients: with the part along the row
 * removed, the first step's moment is at right angles to it. */
static void
test_parallel_removed (void)
{
  SaeTrainerOptions options = {.d_in = D,
      .d_out = D,
      .d_sae = 60,
      .k = 5,
      .sparsity = SAE_SPARSITY_TOP_K,
      .reduction = SAE_REDUCTION_SUM,
      .normalize = SAE_NORMALIZE_NONE,
      .decoder_norm = SAE_DECODER_NORM_UNIT,
      .batch_size = 64,
      .optimizer = SAE_OPTIMIZER_SGD,
      .momentum = 0.9,
      .learning_rate = 1e-3,
      .decoder_rate = 1,
      .threshold_rate = 1,
      .dead_after = 1000,
      .n_threads = 1};
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) rows = rows_of (42, 64);
  const float *x = g_bytes_get_data (rows, NULL);
  SaeRun *run = sae_run_new (&options, NULL, &error);
  g_autofree float *before = g_memdup2 (run->net.W_dec, 60 * D * 4);
  guint moved = 0;

  g_assert_true (sae_run_step (run, x, x, 64, &error));
  for (guint i = 0; i < 60; i++) {
    const float *moment = run->parameters[2].moments[0] + i * D;
    double norm = sqrt (dot (moment, moment, D));
    moved += norm > 0;
    /* one rounding of each of 16 numbers and of two sums of 16 */
    expect_within ("moment along the row", dot (moment, before + i * D, D), 0,
        1e-5 * norm);
  }
  g_assert_cmpuint (moved, >, 10);
  sae_run_free (run);
}

/* Norm over all gradients, with the projected ones of the decoder. */
static void
test_gradient_norm (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (43, 64), before = NULL, after = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;
  const float *b, *a;
  double sum = 0;

  /* w − w' is the gradient of plain SGD with a rate of 1 */
  g_object_set (trainer, "optimizer", SAE_OPTIMIZER_SGD, "momentum", 0.0,
      "learning-rate", 1.0, "decoder-norm", SAE_DECODER_NORM_FREE, NULL);
  g_assert_true (sae_trainer_start (trainer, NULL));
  before = weights_of (trainer);
  push_all (trainer, x);
  after = weights_of (trainer);
  b = g_bytes_get_data (before, NULL);
  a = g_bytes_get_data (after, NULL);
  for (gsize i = 0; i < g_bytes_get_size (after) / sizeof (float); i++)
    sum += pow ((double) a[i] - b[i], 2);
  metrics = sae_trainer_get_metrics (trainer);
  expect_within ("gradient norm", metrics->gradient_norm, sqrt (sum),
      1e-4 * sqrt (sum));
}

static void
test_frozen (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (44, 640), before = NULL, after = NULL;
  g_autoptr (SaeMetrics) trained = NULL, frozen = NULL;

  push_all (trainer, x);
  before = weights_of (trainer);
  g_object_set (trainer, "frozen", TRUE, NULL);
  trained = sae_trainer_take_metrics (trainer);
  push_all (trainer, x);
  after = weights_of (trainer);
  expect_same_bytes ("weights", after, before);
  frozen = sae_trainer_take_metrics (trainer);
  g_assert_cmpuint (frozen->rows, ==, 640);
  g_assert_cmpuint (frozen->steps, ==, 10);
  g_assert_cmpfloat (frozen->mse, <, trained->mse); /* of the trained model */
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==, 640);
}

/* Metrics of a frozen trainer are those of its model on the same rows. */
static void
test_metrics (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (45, 640), x_hat = NULL;
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (SaeMetrics) got = NULL, want = NULL, none = NULL;

  push_all (trainer, x);
  none = sae_trainer_take_metrics (trainer);
  g_object_set (trainer, "frozen", TRUE, NULL);
  push_all (trainer, x);
  got = sae_trainer_take_metrics (trainer);
  model = model_of (trainer);
  x_hat = sae_model_forward (model, x, &latents, NULL);
  want = sae_measure (x, x_hat, D, latents, NULL);
  g_assert_cmpfloat (got->mse, ==, want->mse);
  g_assert_cmpfloat (got->fvu, ==, want->fvu);
  g_assert_cmpfloat (got->explained_variance, ==, want->explained_variance);
  g_assert_cmpfloat (got->cosine, ==, want->cosine);
  g_assert_cmpfloat (got->norm_ratio, ==, want->norm_ratio);
  g_assert_cmpfloat (got->l0, ==, want->l0);
  expect_within ("l1", got->l1, want->l1, 1e-12 * want->l1);
  expect_within ("loss", got->loss, want->mse + 1e-3 * want->l1 / 60,
      1e-6 * want->mse);
}

/* Total and since the last time: the parts add up. */
static void
test_take_metrics (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (46, 640);
  g_autoptr (SaeMetrics) total = NULL, nothing = NULL;
  double mse = 0;

  for (guint i = 0; i < 3; i++) {
    g_autoptr (SaeMetrics) part = NULL;
    push_all (trainer, x);
    part = sae_trainer_take_metrics (trainer);
    g_assert_cmpuint (part->rows, ==, 640);
    mse += part->mse / 3;
  }
  total = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (total->rows, ==, 3 * 640);
  g_assert_cmpuint (total->steps, ==, 30);
  expect_within ("mse", total->mse, mse, 1e-12 * mse);
  nothing = sae_trainer_take_metrics (trainer);
  g_assert_cmpuint (nothing->rows, ==, 0);
  g_assert_cmpfloat (nothing->mse, ==, 0);
}

/* Rows that only a few latents fire for; the others die after dead-after. */
static void
test_dead (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 50, 1);
  float row[64 * D];
  g_autoptr (GBytes) x = g_bytes_new_static (row, sizeof row);

  for (guint i = 0; i < 64 * D; i++)
    row[i] = i % D == 0;
  g_object_set (trainer, "dead-after", (guint64) 200, "learning-rate", 1e-6,
      NULL);
  for (guint step = 1; step <= 5; step++) {
    g_autoptr (SaeMetrics) metrics = NULL;
    push_all (trainer, x);
    metrics = sae_trainer_take_metrics (trainer);
    expect_with ("step %u", step);
    expect_within ("dead", metrics->dead_fraction,
        step * 64 > 200 ? 49.0 / 50 : 0, 1e-15);
  }
}

static void
test_l1_becomes_sparse (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_L1, 80, 0);
  g_autoptr (GBytes) x = rows_of (47, 6400);
  double first = 0;

  g_object_set (trainer, "l1-coeff", 1.0, NULL);
  for (guint pass = 0; pass < 10; pass++) {
    g_autoptr (SaeMetrics) metrics = NULL;
    push_all (trainer, x);
    metrics = sae_trainer_take_metrics (trainer);
    if (pass == 0)
      first = metrics->l0;
    if (pass == 9) {
      g_test_message ("l0 %g to %g, fvu %g", first, metrics->l0, metrics->fvu);
      g_assert_cmpfloat (metrics->l0, <, first / 2);
      g_assert_cmpfloat (metrics->l0, >, 0.5);
      g_assert_cmpfloat (metrics->fvu, <, 0.5);
    }
  }
}

static void
test_l1_reaches_its_target (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_L1, 80, 0);
  g_autoptr (GBytes) x = rows_of (48, 6400);
  g_autoptr (SaeMetrics) metrics = NULL;

  g_object_set (trainer, "target-l0", 8.0, NULL);
  for (guint pass = 0; pass < 40; pass++) {
    g_clear_pointer (&metrics, sae_metrics_free);
    push_all (trainer, x);
    metrics = sae_trainer_take_metrics (trainer);
  }
  g_test_message ("l0 %g, fvu %g", metrics->l0, metrics->fvu);
  expect_within ("l0", metrics->l0, 8, 0.15 * 8);
}

/* The factor of one batch, and that no batch is too large for it. */
static void
test_steering (void)
{
  const gsize sizes[] = {1, 1024, 100000, 1 << 24};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree gsize *offsets = g_new0 (gsize, sizes[i] + 1);
    SaeSparseRows latents = {sizes[i], offsets, NULL, NULL};
    double coeff;
    offsets[sizes[i]] = 10 * sizes[i];
    expect_with ("%" G_GSIZE_FORMAT " rows", sizes[i]);
    g_assert_cmpfloat (sae_steering_next (0.5, &latents, 10), ==, 0.5);
    coeff = sae_steering_next (0.5, &latents, 1);
    g_assert_true (coeff > 0.5 && coeff < 5);
    coeff = sae_steering_next (0.5, &latents, 100);
    g_assert_true (coeff < 0.5 && coeff > 0.05);
  }
}

/* A stream in which nothing fires, or everything for ever. */
static void
test_steering_ends (void)
{
  gsize offsets[] = {0, 0};
  SaeSparseRows latents = {1, offsets, NULL, NULL};
  double coeff = 1;

  latents.n_rows = 1;
  for (guint i = 0; i < 20000000 / 1000; i++)
    for (guint j = 0; j < 1000; j++)
      coeff = sae_steering_next (coeff, &latents, 32);
  g_assert_true (coeff > 0);
  offsets[1] = 1000;
  for (guint i = 0; i < 40000000 / 1000; i++)
    for (guint j = 0; j < 1000; j++)
      coeff = sae_steering_next (coeff, &latents, 32);
  g_assert_true (isfinite (coeff) && isfinite ((float) coeff));
}

/* One row in a hundred is NaN or infinite: left out, counted, and the weights
 * are those of a stream without them. */
static void
test_bad_rows (void)
{
  const float bad[] = {NAN, INFINITY, -INFINITY};
  const gsize n = 20000;
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (SaeTrainer) clean = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (49, n), with_bad = NULL;
  g_autoptr (GBytes) got = NULL, want = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;
  GByteArray *mixed = g_byte_array_new ();
  guint n_bad = 0;

  for (gsize r = 0; r < n; r++) {
    const float *row = (const float *) g_bytes_get_data (x, NULL) + r * D;
    if (r % 100 == 37) {
      float broken[D];
      memcpy (broken, row, sizeof broken);
      broken[r / 100 % D] = bad[n_bad++ % 3];
      g_byte_array_append (mixed, (guint8 *) broken, sizeof broken);
    }
    g_byte_array_append (mixed, (const guint8 *) row, D * sizeof (float));
  }
  with_bad = g_byte_array_free_to_bytes (mixed);
  push_all (trainer, with_bad);
  push_all (clean, x);
  got = weights_of (trainer);
  want = weights_of (clean);
  expect_same_bytes ("weights", got, want);
  metrics = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (metrics->skipped_rows, ==, n_bad);
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==,
      sae_trainer_get_rows (clean));
}

/* A target that is not finite spoils its row as much as an input. */
static void
test_bad_targets (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (50, 64), target = NULL;
  g_autofree float *t = g_memdup2 (g_bytes_get_data (x, NULL), 64 * D * 4);
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (GError) error = NULL;

  t[3 * D] = NAN;
  t[9 * D + 5] = INFINITY;
  target = g_bytes_new_static (t, 64 * D * 4);
  g_assert_true (sae_trainer_step (trainer, x, target, &error));
  metrics = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (metrics->rows, ==, 62);
  g_assert_cmpuint (metrics->skipped_rows, ==, 2);
}

/* Rows @factor times as large, one in 64, among good ones. */
static void
push_spikes (SaeTrainer *trainer, guint64 seed, float factor)
{
  g_autoptr (GBytes) x = rows_of (seed, 6400);
  float *spiky = g_memdup2 (g_bytes_get_data (x, NULL), 6400 * D * 4);
  g_autoptr (GBytes) bytes = g_bytes_new_take (spiky, 6400 * D * 4);

  for (gsize r = 13; r < 6400; r += 64)
    for (guint j = 0; j < D; j++)
      spiky[r * D + j] *= factor;
  push_all (trainer, bytes);
}

/* Batches that would overflow are skipped whole, and training goes on. */
static void
test_spikes_1e30 (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_L1};

  for (guint i = 0; i < 4; i++) {
    g_autoptr (SaeTrainer) trainer = trainer_of (rules[i % 2], 60, 5);
    g_autoptr (GBytes) x = rows_of (51, 6400), before = NULL, after = NULL;
    g_autoptr (SaeMetrics) good = NULL, spiked = NULL, back = NULL;
    g_object_set (trainer, "pre-bias", i / 2, NULL);
    push_all (trainer, x);
    before = weights_of (trainer);
    good = sae_trainer_take_metrics (trainer);
    push_spikes (trainer, 52, 1e30f);
    spiked = sae_trainer_take_metrics (trainer);
    g_assert_cmpuint (spiked->skipped_rows, ==, 6400);
    after = weights_of (trainer);
    expect_same_bytes ("weights", after, before);
    push_all (trainer, x);
    back = sae_trainer_take_metrics (trainer);
    g_assert_cmpfloat (back->mse, <, good->mse);
    g_assert_cmpuint (back->rows, ==, 6400);
  }
}

/* The loss of a spike of 1,000 is 10⁶ times that of a row: 100 of them, and
 * what is learnt is not lost. */
static void
test_spikes_1e6 (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_TOP_K, 60, 5);
  g_autoptr (GBytes) x = rows_of (53, 6400);
  g_autoptr (SaeMetrics) good = NULL, spiked = NULL, back = NULL;

  for (guint i = 0; i < 5; i++)
    push_all (trainer, x);
  good = sae_trainer_take_metrics (trainer);
  push_spikes (trainer, 54, 1000);
  spiked = sae_trainer_take_metrics (trainer);
  for (guint i = 0; i < 20; i++) {
    g_clear_pointer (&back, sae_metrics_free);
    push_all (trainer, x);
    back = sae_trainer_take_metrics (trainer);
  }
  g_test_message ("mse %g, with spikes %g, then %g", good->mse, spiked->mse,
      back->mse);
  g_assert_cmpfloat (back->mse, <, 1.05 * good->mse);
}

/* A stream of denormal numbers trains as any other where it is normalised. */
static void
test_denormals (void)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 60, 5);
  Noise noise = {.state = 55};
  g_autoptr (GBytes) x = sparse_rows (&noise, 9000, D, 1e-39f);
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (SaeModel) model = NULL;

  push_all (trainer, x);
  model = model_of (trainer);
  metrics = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (metrics->skipped_rows, ==, 0);
  g_assert_true (isfinite (metrics->fvu) && metrics->fvu > 0);
}

/* Thresholds are pushed by more or less than the coefficient, also by less than
 * nothing; what is reported is without that. A warm-up that was asked for holds
 * for the push too: at its start there is no penalty. */
static void
test_steering_jump_relu (void)
{
  const double l1_coeffs[] = {-1, -1, 0};
  const gint64 warmups[] = {0, G_MAXINT64, 0};
  g_autoptr (GBytes) x = rows_of (61, 20000);
  float threshold[3];

  for (guint i = 0; i < 3; i++) {
    g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_JUMP_RELU, 60, 0);
    g_autoptr (SaeMetrics) metrics = NULL;
    g_autoptr (SaeModel) model = NULL;
    g_object_set (trainer, "target-l0", 30.0, "l1-coeff", l1_coeffs[i],
        "l1-warmup-rows", warmups[i], NULL);
    push_all (trainer, x);
    metrics = sae_trainer_get_metrics (trainer);
    model = model_of (trainer);
    threshold[i] = sae_model_get_net (model)->threshold[7];
    expect_with ("run %u", i);
    g_assert_cmpfloat (metrics->l1_coeff, >=, 0);
    g_assert_cmpfloat (metrics->loss, >, 0);
  }
  expect_within ("threshold", threshold[1], threshold[2], 1e-4);
  g_assert_cmpfloat (fabsf (threshold[0] - threshold[2]), >, 1e-3);
}

/* From a coefficient of 0, steering begins where it does in a new run. */
static void
test_steering_from_nothing (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (SAE_SPARSITY_L1, 60, 0);
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (GBytes) x = rows_of (62, 640);

  g_object_set (trainer, "l1-coeff", 0.0, NULL);
  push_all (trainer, x);
  g_object_set (trainer, "l1-coeff", -1.0, NULL);
  push_all (trainer, x);
  metrics = sae_trainer_get_metrics (trainer);
  expect_within ("l1-coeff", metrics->l1_coeff, 0.3, 0.05);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/run/decoder-rows-stay-unit", test_unit_rows);
  g_test_add_func ("/trainer/run/gradient-along-a-unit-row-is-removed",
      test_parallel_removed);
  g_test_add_func ("/trainer/run/gradient-norm-is-of-all", test_gradient_norm);
  g_test_add_func ("/trainer/run/frozen-measures-only", test_frozen);
  g_test_add_func ("/trainer/run/metrics-are-the-models", test_metrics);
  g_test_add_func ("/trainer/run/metrics-since-the-last", test_take_metrics);
  g_test_add_func ("/trainer/run/dead-latents-are-counted", test_dead);
  g_test_add_func ("/trainer/l1/becomes-sparse", test_l1_becomes_sparse);
  g_test_add_func ("/trainer/l1/reaches-its-target",
      test_l1_reaches_its_target);
  g_test_add_func ("/trainer/steering/any-batch-is-a-bounded-move",
      test_steering);
  g_test_add_func ("/trainer/steering/stays-a-number", test_steering_ends);
  g_test_add_func ("/trainer/steering/jump-relu", test_steering_jump_relu);
  g_test_add_func ("/trainer/steering/begins-anew-from-nothing",
      test_steering_from_nothing);
  g_test_add_func ("/trainer/bad-rows/are-as-if-never-there", test_bad_rows);
  g_test_add_func ("/trainer/bad-rows/targets-too", test_bad_targets);
  g_test_add_func ("/trainer/spikes/1e30-leaves-weights", test_spikes_1e30);
  g_test_add_func ("/trainer/spikes/loss-comes-back", test_spikes_1e6);
  g_test_add_func ("/trainer/denormals/train", test_denormals);
  return g_test_run ();
}
