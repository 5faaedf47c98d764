/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The scale of a stream does not matter to training. */
#include "scale.h"

#include <math.h>
#include <string.h>

#include "expect.h"
#include "model.h"
#include "sae-enum-types.h"
#include "sample-trainer.h"

#define D 20
#define ROWS 12000

/* One trained on the same stream times @scale. (transfer full) */
static SaeTrainer *
train (float scale, SaeSparsity sparsity, gboolean pre_bias)
{
  Noise noise = {.state = 21};
  SaeTrainer *trainer = sae_trainer_new (D, 120, 5);
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, scale);

  g_object_set (trainer, "sparsity", sparsity, "pre-bias", pre_bias,
      "batch-size", 100u, "warmup-rows", (gint64) 500, "n-threads", 1u, NULL);
  push_all (trainer, x);
  return trainer;
}

static void
expect_scaled (const char *what, const float *got, const float *want, guint n,
    float factor)
{
  g_autofree float *scaled = g_new (float, n);

  for (guint i = 0; i < n; i++)
    scaled[i] = factor * want[i];
  expect_same_bits (what, got, scaled, n);
}

/* Rows times a power of two: the same matrices, and biases times it. */
static void
check_power_of_two (float factor, SaeSparsity sparsity, gboolean pre_bias)
{
  g_autoptr (SaeTrainer) plain = train (1, sparsity, pre_bias);
  g_autoptr (SaeTrainer) scaled = train (factor, sparsity, pre_bias);
  g_autoptr (SaeModel) plain_model = model_of (plain);
  g_autoptr (SaeModel) scaled_model = model_of (scaled);
  const SaeNet *want = sae_model_get_net (plain_model);
  const SaeNet *got = sae_model_get_net (scaled_model);

  expect_with ("factor %g, rule %d, pre-bias %d", factor, sparsity, pre_bias);
  expect_same_bits ("W_enc", got->W_enc, want->W_enc, 120 * D);
  expect_same_bits ("W_dec", got->W_dec, want->W_dec, 120 * D);
  expect_scaled ("b_enc", got->b_enc, want->b_enc, 120, factor);
  expect_scaled ("b_dec", got->b_dec, want->b_dec, D, factor);
  g_assert_true (!got->threshold == !want->threshold);
  if (want->threshold)
    expect_scaled ("threshold", got->threshold, want->threshold, 120, factor);
}

static void
test_power_of_two (void)
{
  const float factors[] = {1024, 0x1p-40f, 0x1p40f};

  g_autoptr (GEnumClass) rules = g_type_class_ref (SAE_TYPE_SPARSITY);

  for (guint i = 0; i < 2; i++) {
    for (guint j = 0; j < G_N_ELEMENTS (factors); j++)
      check_power_of_two (factors[j], SAE_SPARSITY_TOP_K, i == 1);
    for (guint j = 0; j < rules->n_values; j++)
      if (is_trained (rules->values[j].value))
        check_power_of_two (1024, rules->values[j].value, i == 1);
  }
}

/* A jump-relu run from a top-k model, and one from what that made. (transfer
 * full) */
static GBytes *
fine_tune (float scale)
{
  g_autoptr (SaeTrainer) trainer = train (scale, SAE_SPARSITY_TOP_K, FALSE);
  Noise noise = {.state = 28};
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, scale);

  for (guint i = 0; i < 2; i++) {
    g_autoptr (SaeModel) model = model_of (trainer);
    g_autoptr (SaeMetrics) metrics = NULL;
    g_clear_object (&trainer);
    trainer = sae_trainer_new (0, 0, 0);
    g_object_set (trainer, "sparsity", SAE_SPARSITY_JUMP_RELU, "target-l0", 5.0,
        "batch-size", 100u, NULL);
    g_assert_true (sae_trainer_start_from (trainer, model, NULL));
    push_all (trainer, x);
    metrics = sae_trainer_take_metrics (trainer);
    expect_with ("scale %g, run %u", scale, i);
    g_assert_cmpfloat (metrics->l0, >, 1);
  }
  g_autoptr (SaeModel) last = model_of (trainer);
  return sae_model_get_W_enc (last);
}

/* Thresholds that the model does not have come from the stream, those that it
 * has are in its units. */
static void
test_thresholds_of_models (void)
{
  g_autoptr (GBytes) want = fine_tune (1);
  const float factors[] = {0x1p-30f, 1024};

  for (guint i = 0; i < G_N_ELEMENTS (factors); i++) {
    g_autoptr (GBytes) got = fine_tune (factors[i]);
    const float *w = g_bytes_get_data (want, NULL);
    const float *g = g_bytes_get_data (got, NULL);
    for (guint j = 0; j < 120 * D; j++)
      expect_within ("W_enc", g[j], w[j], 0.01);
  }
}

/* Squares in squared units, ratios as they are. */
static void
test_metrics (void)
{
  g_autoptr (SaeTrainer) plain = train (1, SAE_SPARSITY_TOP_K, FALSE);
  g_autoptr (SaeTrainer) scaled = train (1024, SAE_SPARSITY_TOP_K, FALSE);
  g_autoptr (SaeMetrics) want = sae_trainer_get_metrics (plain);
  g_autoptr (SaeMetrics) got = sae_trainer_get_metrics (scaled);

  g_assert_cmpfloat (got->mse, ==, 1048576 * want->mse);
  g_assert_cmpfloat (got->l1, ==, 1024 * want->l1);
  g_assert_cmpfloat (got->fvu, ==, want->fvu);
  g_assert_cmpfloat (got->cosine, ==, want->cosine);
  g_assert_cmpfloat (got->norm_ratio, ==, want->norm_ratio);
  g_assert_cmpfloat (got->l0, ==, want->l0);
  g_assert_cmpfloat (got->loss, ==, want->loss);
}

/* Trained to the end, so that the noise of another order of the same latents
 * is below what is looked for; measured on rows that it was not trained on. */
static double
final_fvu_of (SaeSparsity sparsity, float scale, float outlier)
{
  const gsize n = 60000;
  Noise noise = {.state = 21}, other = {.state = 22};
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 120, 5);
  g_autoptr (GBytes) x = sparse_rows (&noise, n, D, scale);
  g_autoptr (GBytes) held_out = sparse_rows (&other, 4000, D, scale);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (GBytes) x_hat = NULL, rows = NULL;
  g_autofree float *spiky = NULL;

  spiky = g_memdup2 (g_bytes_get_data (x, NULL), g_bytes_get_size (x));
  for (guint j = 0; j < D; j++)
    spiky[100 * D + j] *= outlier;
  rows = g_bytes_new_static (spiky, g_bytes_get_size (x));
  g_object_set (trainer, "sparsity", sparsity, "target-l0", 5.0, "batch-size",
      100u, "total-rows", (guint64) n, "learning-rate",
      sparsity == SAE_SPARSITY_TOP_K ? 0.004 : 0.0, NULL);
  push_all (trainer, rows);
  model = model_of (trainer);
  x_hat = sae_model_forward (model, held_out, NULL, NULL);
  return sae_fvu (held_out, x_hat, D);
}

static double
final_fvu (float scale, float outlier)
{
  return final_fvu_of (SAE_SPARSITY_TOP_K, scale, outlier);
}

/* 1,000 is no power of two: what is left of it after the scale is a factor of
 * up to the root of two, in the biases and in Adam's epsilon. */
static void
test_any_factor (void)
{
  double plain = final_fvu (1, 1);

  g_test_message ("fvu %g", plain);
  g_assert_cmpfloat (plain, <, 0.1); /* it has learnt something */
  expect_within ("fvu of rows times 1,000", final_fvu (1000, 1), plain,
      0.01 * plain);
  expect_within ("fvu of rows times 0.001", final_fvu (0.001f, 1), plain,
      0.01 * plain);
}

/* The choices of these rules hang on single values, and two runs that differ in
 * one rounding end some 3 % apart (jump-relu 6 % at most): what is left of the
 * scale is within that. */
static void
test_any_factor_any_rule (void)
{
  g_autoptr (GEnumClass) rules = g_type_class_ref (SAE_TYPE_SPARSITY);

  for (guint i = 0; i < rules->n_values; i++) {
    SaeSparsity rule = rules->values[i].value;
    double plain, got;
    if (!is_trained (rule) || rule == SAE_SPARSITY_TOP_K)
      continue;
    plain = final_fvu_of (rule, 1, 1);
    got = final_fvu_of (rule, 1000, 1);
    g_test_message ("%s: fvu %g and %g", rules->values[i].value_nick, plain,
        got);
    expect_with ("%s", rules->values[i].value_nick);
    g_assert_cmpfloat (plain, <, 0.25);
    expect_within ("fvu of rows times 1,000", got, plain, 0.1 * plain);
  }
}

/* 2^round (log2 rms) of what is left without the mean. */
static void
test_scale_of (void)
{
  const float x[] = {10, -3, 16, 3, 10, -3, 16, 3}; /* rms 3 about (13, 0) */
  double mean[2];

  g_assert_cmpfloat (sae_scale_of (x, 4, 2, mean), ==, 4); /* 2^1.58 */
  g_assert_cmpfloat (mean[0], ==, 13);
  g_assert_cmpfloat (mean[1], ==, 0);
}

/* Constant rows, no rows and the ends of float32 have a scale too. */
static void
test_scale_ends (void)
{
  const float constant[] = {7, 7, 7, 7};
  const float huge[] = {3e38f, -3e38f, -3e38f, 3e38f};
  const float tiny[] = {1e-45f, 0, 0, 1e-45f};
  /* their mean is rounded in float64 too */
  const float constants[] = {1e30f, 0.1f, 1e30f, 0.1f, 1e30f, 0.1f};
  const float zeros[4] = {0};
  double mean[2], scale;

  /* constant rows: their own size, 2^round (log2 7) */
  g_assert_cmpfloat (sae_scale_of (constant, 2, 2, mean), ==, 8);
  g_assert_cmpfloat (sae_scale_of (constants, 3, 2, mean), ==,
      exp2 (round (log2 (1e30 / sqrt (2)))));
  g_assert_cmpfloat (sae_scale_of (zeros, 2, 2, mean), ==, 1);
  g_assert_cmpfloat (sae_scale_of (constant, 0, 2, mean), ==, 1);
  scale = sae_scale_of (huge, 2, 2, mean);
  g_assert_true (isfinite ((float) scale) && isfinite ((float) (1 / scale)));
  scale = sae_scale_of (tiny, 2, 2, mean);
  g_assert_true ((float) scale > 0 && isfinite ((float) (1 / scale)));
}

/* One row in a thousand that is 10^30 times as large decides nothing. */
static void
test_outliers (void)
{
  Noise noise = {.state = 24};
  g_autoptr (GBytes) x = sparse_rows (&noise, 8000, D, 8);
  g_autofree float *spiky =
      g_memdup2 (g_bytes_get_data (x, NULL), g_bytes_get_size (x));
  double mean[D], spiky_mean[D];
  double scale = sae_scale_of (spiky, 8000, D, mean);

  for (guint r = 77; r < 8000; r += 1000)
    for (guint j = 0; j < D; j++)
      spiky[r * D + j] *= 1e30f;
  g_assert_cmpfloat (sae_scale_of (spiky, 8000, D, spiky_mean), ==, scale);
  for (guint j = 0; j < D; j++) /* eight rows of 8,000 are missing */
    expect_within ("mean", spiky_mean[j], mean[j], 0.05 * scale);
}

/* A fault among the first rows does not spoil what is learnt from the rest. Its
 * own gradient still stays in Adam's second moments for some 1,000 steps. */
static void
test_outlier_trains (void)
{
  const float factors[] = {1e6f, 1e30f};
  double plain = final_fvu (1, 1);

  for (guint i = 0; i < G_N_ELEMENTS (factors); i++)
    expect_within ("fvu", final_fvu (1, factors[i]), plain, 0.5 * plain);
}

static guint64
skipped_of (SaeTrainer *trainer)
{
  g_autoptr (SaeMetrics) metrics = sae_trainer_get_metrics (trainer);

  return metrics->skipped_rows;
}

/* Targets that are larger than the rows are no spikes. */
static void
test_large_targets (void)
{
  Noise noise = {.state = 29};
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 60, 5);
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, 1);
  g_autoptr (GBytes) target = sparse_rows (&noise, ROWS, D, 1000);

  g_assert_true (sae_trainer_push (trainer, x, target, NULL));
  g_assert_cmpuint (skipped_of (trainer), ==, 0);
}

/* A mean of some thousand standard deviations makes no row an outlier, but one
 * that is as much larger than they are. */
static void
test_far_mean (void)
{
  Noise noise = {.state = 25};
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 60, 5);
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, 1), rows = NULL;
  float *far = g_memdup2 (g_bytes_get_data (x, NULL), g_bytes_get_size (x));

  for (guint i = 0; i < ROWS * D; i++)
    far[i] += 4096;
  for (guint j = 0; j < D; j++)
    far[10000 * D + j] *= 1e4f;
  rows = g_bytes_new_take (far, g_bytes_get_size (x));
  push_all (trainer, rows);
  g_assert_cmpuint (skipped_of (trainer), ==, 1);
}

/* Silence has no scale: what comes after it is learned as if it came first. */
static void
test_silence_first (void)
{
  Noise noise = {.state = 26};
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, 1e4f);
  g_autofree float *zeros = g_new0 (float, SAE_SCALE_ROWS *D);
  g_autoptr (GBytes) silence =
      g_bytes_new_static (zeros, SAE_SCALE_ROWS * D * sizeof *zeros);
  g_autoptr (SaeTrainer) plain = sae_trainer_new (D, 60, 5);
  g_autoptr (SaeTrainer) late = sae_trainer_new (D, 60, 5);
  g_autoptr (GBytes) want = NULL, got = NULL;

  push_all (late, silence);
  push_all (late, silence);
  push_all (plain, x);
  push_all (late, x);
  want = weights_of (plain);
  got = weights_of (late);
  g_assert_true (g_bytes_equal (got, want));
  g_assert_cmpuint (skipped_of (late), ==, 2 * SAE_SCALE_ROWS);
}

/* Rows 10,000 times as large are faults at first, but not for ever. */
static void
test_stream_grows (void)
{
  Noise noise = {.state = 27};
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 60, 5);
  g_autoptr (GBytes) x = sparse_rows (&noise, SAE_SCALE_ROWS, D, 1);
  g_autoptr (GBytes) larger = sparse_rows (&noise, 60000, D, 1e4f);

  g_object_set (trainer, "batch-size", 64u, NULL);
  push_all (trainer, x);
  push_all (trainer, larger);
  g_assert_cmpuint (skipped_of (trainer), >=, SAE_SCALE_ROWS);
  g_assert_cmpuint (skipped_of (trainer), <, 20000);
}

/* The first forward pass sees centred input: b_dec is the mean. */
static void
test_start_is_centred (void)
{
  Noise noise = {.state = 23};
  g_autoptr (GBytes) x = sparse_rows (&noise, SAE_SCALE_ROWS, D, 8);
  double mean[D];

  sae_scale_of (g_bytes_get_data (x, NULL), SAE_SCALE_ROWS, D, mean);
  for (guint pre_bias = 0; pre_bias < 2; pre_bias++) {
    g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 60, 5);
    g_autoptr (SaeModel) model = NULL;
    const SaeNet *net;
    g_object_set (trainer, "frozen", TRUE, "pre-bias", pre_bias, NULL);
    push_all (trainer, x);
    model = model_of (trainer);
    net = sae_model_get_net (model);
    expect_close_to_doubles ("b_dec", net->b_dec, mean, D, 1e-6);
    for (guint i = 0; i < 60; i++) {
      double product = 0;
      for (guint j = 0; j < D; j++)
        product += net->W_enc[i * D + j] * mean[j];
      expect_within ("b_enc", net->b_enc[i], pre_bias ? 0 : -product, 1e-5);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/scale/powers-of-two-same-matrices",
      test_power_of_two);
  g_test_add_func ("/trainer/scale/thresholds-of-models",
      test_thresholds_of_models);
  g_test_add_func ("/trainer/scale/metrics-in-units-of-the-stream",
      test_metrics);
  g_test_add_func ("/trainer/scale/any-factor-same-fvu", test_any_factor);
  g_test_add_func ("/trainer/scale/any-factor-any-rule-same-fvu",
      test_any_factor_any_rule);
  g_test_add_func ("/trainer/scale/is-a-power-of-two", test_scale_of);
  g_test_add_func ("/trainer/scale/constant-and-extreme-rows", test_scale_ends);
  g_test_add_func ("/trainer/scale/outliers-do-not-decide", test_outliers);
  g_test_add_func ("/trainer/scale/an-outlier-does-not-spoil-training",
      test_outlier_trains);
  g_test_add_func ("/trainer/scale/a-far-mean-makes-no-outliers",
      test_far_mean);
  g_test_add_func ("/trainer/scale/large-targets-are-learned",
      test_large_targets);
  g_test_add_func ("/trainer/scale/silence-has-none", test_silence_first);
  g_test_add_func ("/trainer/scale/a-stream-that-grows-is-learned",
      test_stream_grows);
  g_test_add_func ("/trainer/scale/start-is-centred", test_start_is_centred);
  return g_test_run ();
}
