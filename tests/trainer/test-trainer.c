/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The life of a trainer: its batches, its states, and what it refuses. */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "model.h"
#include "sample-trainer.h"
#include "sample.h"

#define D 12

/* Not normalised, no warm-up, batches of 50: nothing happens behind a push
 * but what is asked for. */
static SaeTrainer *
plain_trainer (guint d_sae, guint k)
{
  SaeTrainer *trainer = sae_trainer_new (D, d_sae, k);

  g_object_set (trainer, "normalize", SAE_NORMALIZE_NONE, "batch-size", 50u,
      "warmup-rows", (gint64) 0, "learning-rate", 1e-3, NULL);
  return trainer;
}

static GBytes *
rows (gsize n)
{
  Noise noise = {.state = 31};

  return sparse_rows (&noise, n, D, 1);
}

static void
expect_progress (SaeTrainer *trainer, guint64 steps, guint64 n_rows)
{
  g_assert_cmpuint (sae_trainer_get_steps (trainer), ==, steps);
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==, n_rows);
}

static void
test_partial_batch (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (120), none = rows (0);
  g_autoptr (GError) error = NULL;

  g_assert_true (sae_trainer_flush (trainer, &error)); /* nothing there */
  push_all (trainer, none);
  expect_progress (trainer, 0, 0);
  push_all (trainer, x);
  expect_progress (trainer, 2, 100);
  g_assert_true (sae_trainer_flush (trainer, &error));
  expect_progress (trainer, 3, 120);
  g_assert_true (sae_trainer_flush (trainer, &error));
  expect_progress (trainer, 3, 120);
  push_all (trainer, x); /* trains on */
  expect_progress (trainer, 5, 220);
}

/* A push of what is missing, and not a row less, takes a step. */
static void
test_missing_rows (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (50), most = rows (49), one = rows (1);
  guint64 pending = 99;

  g_assert_cmpuint (sae_trainer_get_missing_rows (trainer, &pending), ==, 50);
  g_assert_cmpuint (pending, ==, 0);
  push_all (trainer, x);
  g_assert_cmpuint (sae_trainer_get_missing_rows (trainer, &pending), ==, 50);
  g_assert_cmpuint (pending, ==, 0);
  push_all (trainer, most);
  expect_progress (trainer, 1, 50);
  g_object_set (trainer, "batch-size", 7u, NULL); /* of the next run */
  g_assert_cmpuint (sae_trainer_get_missing_rows (trainer, &pending), ==, 1);
  g_assert_cmpuint (pending, ==, 49);
  push_all (trainer, one);
  expect_progress (trainer, 2, 100);
  g_assert_cmpuint (sae_trainer_get_missing_rows (trainer, NULL), ==, 50);
}

/* Every remainder of a batch, with the scale still to be found too. */
static void
test_every_remainder (void)
{
  g_autoptr (GError) error = NULL;

  for (guint normalize = 0; normalize < 2; normalize++)
    for (guint n = 1; n <= 50; n += 7) {
      g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
      g_autoptr (GBytes) x = rows (100 + n);
      g_object_set (trainer, "normalize", normalize, NULL);
      push_all (trainer, x);
      g_assert_true (sae_trainer_flush (trainer, &error));
      expect_progress (trainer, 3, 100 + n);
    }
}

static void
test_drop_pending (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (SaeTrainer) other = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (120);
  g_autoptr (GBytes) whole =
      g_bytes_new_from_bytes (x, 0, 100 * D * sizeof (float));
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 0);
  push_all (trainer, x);
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 20);
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 0);
  g_assert_true (sae_trainer_flush (trainer, &error));
  expect_progress (trainer, 2, 100);
  push_all (other, whole); /* as if the rest had never come */
  g_autoptr (GBytes) got = weights_of (trainer), want = weights_of (other);
  expect_same_bytes ("weights", got, want);
}

/* A step takes what is there, whatever batch-size says. */
static void
test_step (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) few = rows (3), many = rows (130), none = rows (0);
  g_autoptr (GError) error = NULL;

  g_assert_true (sae_trainer_step (trainer, none, NULL, &error));
  expect_progress (trainer, 0, 0);
  g_assert_true (sae_trainer_step (trainer, few, NULL, &error));
  expect_progress (trainer, 1, 3);
  g_assert_true (sae_trainer_step (trainer, many, NULL, &error));
  expect_progress (trainer, 2, 133);
  push_all (trainer, few); /* pending, then part of the step */
  g_assert_true (sae_trainer_step (trainer, few, NULL, &error));
  expect_progress (trainer, 3, 139);
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 0);
}

static void
test_before_start (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (SaeMetrics) total = sae_trainer_get_metrics (trainer);
  g_autoptr (SaeMetrics) taken = sae_trainer_take_metrics (trainer);
  g_autoptr (GError) error = NULL;
  SaeMetrics zeros = {0};

  g_assert_null (sae_trainer_get_model (trainer, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_STATE,
      "expected a started run, got none");
  assert_same_memory (total, sizeof *total, &zeros, sizeof zeros);
  assert_same_memory (taken, sizeof *taken, &zeros, sizeof zeros);
}

/* Started but without rows: the model that the seed makes. */
static void
test_started (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (SaeConfig) config = sae_config_new (D, 40, 4);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) want = sae_model_new (config, 9, SAE_INIT_TIED, &error);
  g_autoptr (SaeModel) got = NULL;

  g_object_set (trainer, "seed", (guint64) 9, NULL);
  g_assert_true (sae_trainer_start (trainer, &error));
  got = model_of (trainer);
  expect_same_bits ("W_enc", sae_model_get_net (got)->W_enc,
      sae_model_get_net (want)->W_enc, 40 * D);
  expect_same_bits ("W_dec", sae_model_get_net (got)->W_dec,
      sae_model_get_net (want)->W_dec, 40 * D);
}

static void
test_reset (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (120), first = NULL, again = NULL;

  sae_trainer_reset (trainer); /* nothing to forget */
  push_all (trainer, x);
  first = weights_of (trainer);
  sae_trainer_reset (trainer);
  expect_progress (trainer, 0, 0);
  g_assert_null (sae_trainer_get_model (trainer, NULL));
  push_all (trainer, x);
  again = weights_of (trainer);
  expect_same_bytes ("weights", again, first);
}

/* A failed start leaves the run that there is. */
static void
test_failed_start (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (120), before = NULL, after = NULL;
  g_autoptr (GError) error = NULL;

  push_all (trainer, x);
  before = weights_of (trainer);
  g_object_set (trainer, "top-k", 41u, NULL);
  g_assert_false (sae_trainer_start (trainer, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "top-k: expected 1 to dict-size 40, got 41");
  after = weights_of (trainer);
  expect_same_bytes ("weights", after, before);
  expect_progress (trainer, 2, 100);
}

static void
check_start_refused (const char *first, guint value, gint code,
    const char *message)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (1);
  g_autoptr (GError) error = NULL;

  g_object_set (trainer, first, value, NULL);
  g_assert_false (sae_trainer_start (trainer, &error));
  expect_error (&error, SAE_ERROR, code, message);
  g_assert_false (sae_trainer_push (trainer, x, NULL, &error));
  expect_error (&error, SAE_ERROR, code, message);
  g_assert_false (sae_trainer_step (trainer, x, NULL, &error));
  expect_error (&error, SAE_ERROR, code, message);
  expect_progress (trainer, 0, 0);
}

static void
test_start_refused (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (1u << 28, 4);
  g_autoptr (GError) error = NULL;

  check_start_refused ("input-size", 0, SAE_ERROR_STATE,
      "input-size: expected the width of a row, got 0");
  check_start_refused ("top-k", 41, SAE_ERROR_SIZE,
      "top-k: expected 1 to dict-size 40, got 41");
  g_object_set (trainer, "input-size", 1u << 28, NULL);
  g_assert_false (sae_trainer_start (trainer, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_NO_SPACE, "W_enc");
  g_object_set (trainer, "pre-bias", TRUE, "output-size", D + 1, "input-size",
      D, "dict-size", 40u, NULL);
  g_assert_false (sae_trainer_start (trainer, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "got 12 and 13");
}

static void
test_wrong_sizes (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (10);
  g_autoptr (GBytes) half = g_bytes_new_from_bytes (x, 0, 100);
  g_autoptr (GBytes) nine =
      g_bytes_new_from_bytes (x, 0, 9 * D * sizeof (float));
  g_autoptr (GError) error = NULL;

  g_assert_false (sae_trainer_push (trainer, half, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "x: expected whole rows of 12 floats (48 bytes), got 100 bytes");
  g_assert_false (sae_trainer_step (trainer, half, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "got 100 bytes");
  g_assert_false (sae_trainer_push (trainer, x, nine, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "target: expected 10 rows of 12 floats, got 432 bytes");
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 0);
}

/* A transcoder learns the target; without one there is nothing to learn. */
static void
test_transcoder (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeTrainer) trainer = plain_trainer (60, 6);
  g_autoptr (GBytes) x = rows (200), target = NULL;
  g_autoptr (GError) error = NULL;
  float map[D * 7], *y = g_new0 (float, 200 * 7);
  double first = 0;

  for (guint i = 0; i < D * 7; i++)
    map[i] = noise_normal (&noise) / 3;
  for (guint r = 0; r < 200; r++)
    for (guint i = 0; i < D * 7; i++)
      y[r * 7 + i % 7] +=
          map[i] * ((const float *) g_bytes_get_data (x, NULL))[r * D + i / 7];
  target = g_bytes_new_take (y, 200 * 7 * sizeof (float));
  g_object_set (trainer, "output-size", 7u, NULL);
  g_assert_false (sae_trainer_push (trainer, x, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "target: expected 200 rows of 7 floats, got none");
  g_assert_false (sae_trainer_push_rows (trainer, g_bytes_get_data (x, NULL),
      NULL, 200, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "target: expected 200 rows of 7 floats, got none");
  for (guint step = 0; step < 300; step++) {
    g_autoptr (SaeMetrics) m = NULL;
    g_assert_true (sae_trainer_step (trainer, x, target, &error));
    m = sae_trainer_take_metrics (trainer);
    if (step == 0)
      first = m->fvu;
    else if (step == 299)
      g_assert_cmpfloat (m->fvu, <, 0.5 * first);
  }
}

/* Rows and targets that wait for the scale, in pieces: whichever batches the
 * pieces end in, a row keeps its target. */
static void
test_target_cuts (void)
{
  const gsize n = 9100, most[] = {n, 1, 130, 8192, 9000};
  Noise noise = noise_new ();
  g_autoptr (GBytes) x = sample_rows (&noise, n, D);
  g_autoptr (GBytes) target = sample_rows (&noise, n, 5);
  g_autoptr (GBytes) want = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (most); i++) {
    g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 40, 4);
    g_autoptr (GBytes) got = NULL;
    g_object_set (trainer, "output-size", 5u, "batch-size", 150u, NULL);
    for (gsize at = 0; at < n; at += most[i]) {
      const float *rows = g_bytes_get_data (x, NULL);
      const float *targets = g_bytes_get_data (target, NULL);
      sae_trainer_push_rows (trainer, rows + at * D, targets + at * 5,
          MIN (most[i], n - at), &error);
      g_assert_no_error (error);
    }
    sae_trainer_flush (trainer, &error);
    g_assert_no_error (error);
    expect_progress (trainer, 61, n);
    got = weights_of (trainer);
    if (i == 0)
      want = g_bytes_ref (got);
    expect_same_bytes ("weights", got, want);
  }
}

/* A target that is the input is no target. */
static void
test_own_target (void)
{
  g_autoptr (GBytes) x = rows (230);
  g_autoptr (GBytes) want = NULL;

  for (guint way = 0; way < 3; way++) {
    g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) head =
        g_bytes_new_from_bytes (x, 0, 30 * D * sizeof (float));
    g_autoptr (GBytes) tail = g_bytes_new_from_bytes (x,
        30 * D * sizeof (float), 200 * D * sizeof (float));
    sae_trainer_push (trainer, head, way == 1 ? head : NULL, &error);
    sae_trainer_push (trainer, tail, way == 0 ? NULL : tail, &error);
    sae_trainer_flush (trainer, &error);
    g_assert_no_error (error);
    g_autoptr (GBytes) got = weights_of (trainer);
    if (way == 0)
      want = g_bytes_ref (got);
    expect_same_bytes ("weights", got, want);
  }
}

static void
test_start_from (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D,
      .d_sae = 33,
      .k = 7,
      .ties = SAE_TIES_KEEP_ALL,
      .pre_bias = TRUE};
  g_autoptr (SaeModel) plain = sample_model (&noise, &config);
  g_autoptr (SaeModel) model = sae_model_with_metadata (plain, "name", "gpt2");
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) got = NULL;
  g_autoptr (SaeConfig) got_config = NULL, want_config = NULL;

  g_assert_true (sae_trainer_start_from (trainer, model, &error));
  got = model_of (trainer);
  got_config = sae_model_get_config (got);
  want_config = sae_model_get_config (model);
  assert_same_memory (got_config, sizeof *got_config, want_config,
      sizeof *want_config);
  expect_same_bits ("W_enc", sae_model_get_net (got)->W_enc,
      sae_model_get_net (model)->W_enc, 33 * D);
  expect_same_bits ("b_dec", sae_model_get_net (got)->b_dec,
      sae_model_get_net (model)->b_dec, D);
  g_assert_cmpstr (sae_model_get_metadata (got, "name"), ==, "gpt2");
}

/* Biases are in units of the scale while training: what comes out again is
 * what went in, to the bit. */
static void
test_start_from_keeps_biases (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D, .d_sae = 33, .k = 7};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (GBytes) x = sparse_rows (&noise, 8192, D, 300);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) got = NULL;

  g_object_set (trainer, "frozen", TRUE, NULL);
  g_assert_true (sae_trainer_start_from (trainer, model, &error));
  push_all (trainer, x);
  got = model_of (trainer);
  expect_same_bits ("b_enc", sae_model_get_net (got)->b_enc,
      sae_model_get_net (model)->b_enc, 33);
  expect_same_bits ("b_dec", sae_model_get_net (got)->b_dec,
      sae_model_get_net (model)->b_dec, D);
}

static void
check_contradiction (const char *property, guint value, const char *message)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D, .d_sae = 33, .k = 7};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (GError) error = NULL;

  g_object_set (trainer, property, value, NULL);
  g_assert_false (sae_trainer_start_from (trainer, model, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, message);
}

static void
check_not_trained (SaeSparsity sparsity, SaeInputNorm input_norm,
    const char *message)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D, .d_sae = 33, .k = 7};
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (GError) error = NULL;

  config.sparsity = sparsity;
  config.input_norm = input_norm;
  model = sample_model (&noise, &config);
  g_object_set (trainer, "sparsity", SAE_SPARSITY_TOP_K, NULL);
  g_assert_false (sae_trainer_start_from (trainer, model, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, message);
}

static void
test_runs_but_is_not_trained (void)
{
  check_start_refused ("sparsity", SAE_SPARSITY_GATED, SAE_ERROR_UNSUPPORTED,
      "sparsity: gated dictionaries run here, but are not trained");
  check_not_trained (SAE_SPARSITY_GATED, SAE_INPUT_NORM_NONE,
      "model: gated dictionaries run here, but are not trained");
  check_not_trained (SAE_SPARSITY_TOP_K, SAE_INPUT_NORM_LAYER_NORM,
      "normalise their input (layer-norm)");
  check_not_trained (SAE_SPARSITY_L1, SAE_INPUT_NORM_CONSTANT_NORM,
      "normalise their input (constant-norm)");
  check_not_trained (SAE_SPARSITY_TOP_K, SAE_INPUT_NORM_EXPECTED_AVERAGE,
      "normalise their input (expected-average)");
}

/* Its skip connection comes along, is trained on, and is in the model. */
static void
test_skip_is_adopted (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D, .d_sae = 33, .k = 7};
  g_autoptr (SaeModel) plain = sample_model (&noise, &config);
  g_autoptr (GBytes) W_skip = sample_floats (&noise, NOISE_UNIFORM, D * D);
  g_autoptr (SaeModel) model = sae_model_with_skip (plain, W_skip, NULL);
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (SaeModel) started = NULL, trained = NULL;
  g_autoptr (GBytes) kept = NULL, moved = NULL;
  g_autoptr (GBytes) x = sample_floats (&noise, NOISE_UNIFORM, 16 * D);
  g_autoptr (GError) error = NULL;

  g_assert_true (sae_trainer_start_from (trainer, model, &error));
  started = model_of (trainer);
  kept = sae_model_get_W_skip (started);
  expect_same_bytes ("W_skip", kept, W_skip);
  g_assert_true (sae_trainer_step (trainer, x, NULL, &error));
  trained = model_of (trainer);
  moved = sae_model_get_W_skip (trained);
  g_assert_false (g_bytes_equal (moved, W_skip));
  g_assert_true (sae_trainer_start_from (trainer, plain, &error));
}

/* Its weights may start a run of another rule. */
static void
test_group_max_is_not_trained (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D,
      .d_sae = 35,
      .k = 7,
      .sparsity = SAE_SPARSITY_GROUP_MAX};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);
  g_autoptr (GError) error = NULL;

  check_start_refused ("sparsity", SAE_SPARSITY_GROUP_MAX,
      SAE_ERROR_UNSUPPORTED, "sparsity: group-max dictionaries run here");
  g_assert_false (sae_trainer_start_from (trainer, model, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "group-max");
  g_object_set (trainer, "sparsity", SAE_SPARSITY_TOP_K, NULL);
  g_assert_true (sae_trainer_start_from (trainer, model, &error));
}

static void
test_start_from_refused (void)
{
  check_contradiction ("input-size", 13,
      "input-size: expected the model's 12, got 13");
  check_contradiction ("output-size", 13,
      "output-size: expected the model's 12, got 13");
  check_contradiction ("dict-size", 34,
      "dict-size: expected the model's 33, got 34");
  check_contradiction ("top-k", 34,
      "top-k: expected 1 to dict-size 33, got 34");
}

/* A rate of 0 moves nothing, and is looked at for each batch. Options that
 * are not live hold from the next start on. */
static void
test_live (void)
{
  g_autoptr (SaeTrainer) trainer = plain_trainer (40, 4);
  g_autoptr (GBytes) x = rows (50);
  g_autoptr (SaeMetrics) first = NULL, second = NULL, third = NULL;

  push_all (trainer, x);
  first = sae_trainer_take_metrics (trainer);
  g_assert_cmpfloat (first->learning_rate, ==, 1e-3);
  g_object_set (trainer, "learning-rate", 0.5e-3, "dict-size", 77u, "optimizer",
      SAE_OPTIMIZER_SGD, "batch-size", 1u, NULL);
  push_all (trainer, x);
  second = sae_trainer_take_metrics (trainer);
  g_assert_cmpfloat (second->learning_rate, ==, 0.5e-3);
  g_assert_cmpuint (second->steps, ==, 2);
  g_object_set (trainer, "learning-rate", 0.0, NULL); /* Adam's own */
  push_all (trainer, x);
  third = sae_trainer_take_metrics (trainer);
  expect_within ("Adam's rate for 40 latents", third->learning_rate,
      1.25e-3 * pow (6144.0 / 40, 0.25), 1e-12);
}

static void
expect_config (SaeTrainer *trainer, guint d_in, guint d_sae, guint k,
    SaeSparsity sparsity)
{
  g_autoptr (SaeConfig) config = sae_trainer_get_config (trainer);

  g_assert_cmpuint (config->d_in, ==, d_in);
  g_assert_cmpuint (config->d_out, ==, d_in);
  g_assert_cmpuint (config->d_sae, ==, d_sae);
  g_assert_cmpuint (config->k, ==, k);
  g_assert_cmpint (config->sparsity, ==, sparsity);
}

/* What is told before the start is what the model is after it. */
static void
test_config (void)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (0, 0, 0);

  expect_config (trainer, 0, 4096, 32, SAE_SPARSITY_TOP_K);
  g_object_set (trainer, "dict-size", 40u, "top-k", 4u, "sparsity",
      SAE_SPARSITY_BATCH_TOP_K, NULL);
  expect_config (trainer, 0, 40, 0, SAE_SPARSITY_JUMP_RELU);
  g_object_set (trainer, "input-size", (guint) D, NULL);
  g_assert_true (sae_trainer_start (trainer, NULL));
  for (guint i = 0; i < 2; i++) {
    g_autoptr (SaeModel) model = model_of (trainer);
    g_autoptr (SaeConfig) config = sae_model_get_config (model);
    g_autoptr (SaeConfig) told = sae_trainer_get_config (trainer);
    assert_same_memory (config, sizeof *config, told, sizeof *told);
    g_object_set (trainer, "sparsity", SAE_SPARSITY_TOP_K, NULL);
    expect_config (trainer, D, 40, i ? 4 : 0,
        i ? SAE_SPARSITY_TOP_K : SAE_SPARSITY_JUMP_RELU);
    g_assert_true (sae_trainer_start (trainer, NULL));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/batch/partial-at-flush", test_partial_batch);
  g_test_add_func ("/trainer/batch/every-remainder", test_every_remainder);
  g_test_add_func ("/trainer/batch/drop-pending", test_drop_pending);
  g_test_add_func ("/trainer/step/takes-what-is-there", test_step);
  g_test_add_func ("/trainer/state/before-start", test_before_start);
  g_test_add_func ("/trainer/state/started-is-the-seed", test_started);
  g_test_add_func ("/trainer/state/config-is-the-models", test_config);
  g_test_add_func ("/trainer/state/reset-starts-anew", test_reset);
  g_test_add_func ("/trainer/state/failed-start-keeps-the-run",
      test_failed_start);
  g_test_add_func ("/trainer/sizes/start-refuses", test_start_refused);
  g_test_add_func ("/trainer/batches/missing-rows", test_missing_rows);
  g_test_add_func ("/trainer/sizes/rows-that-do-not-fit", test_wrong_sizes);
  g_test_add_func ("/trainer/target/transcoder", test_transcoder);
  g_test_add_func ("/trainer/target/any-cut-same-bytes", test_target_cuts);
  g_test_add_func ("/trainer/target/own-input-is-the-same", test_own_target);
  g_test_add_func ("/trainer/start-from/adopts-the-model", test_start_from);
  g_test_add_func ("/trainer/start-from/keeps-biases",
      test_start_from_keeps_biases);
  g_test_add_func ("/trainer/start-from/refuses-what-only-runs",
      test_runs_but_is_not_trained);
  g_test_add_func ("/trainer/start-from/skip-is-adopted", test_skip_is_adopted);
  g_test_add_func ("/trainer/start-from/group-max-is-not-trained",
      test_group_max_is_not_trained);
  g_test_add_func ("/trainer/start-from/refuses-contradictions",
      test_start_from_refused);
  g_test_add_func ("/trainer/options/live-and-not", test_live);
  return g_test_run ();
}
