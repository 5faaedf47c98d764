/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The jump-relu rule on pre-activations that are known, and its thresholds as
 * part of a model. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "sample.h"
#include "scratch.h"

#define D_SAE 8

/* One input, d_sae latents: pre-activation i is x·pre[i]. */
static SaeModel *
model_of (const float pre[D_SAE], SaeSparsity sparsity)
{
  static const float zeros[D_SAE];
  g_autoptr (GBytes) weights = g_bytes_new (pre, D_SAE * sizeof *pre);
  g_autoptr (GBytes) b_enc = g_bytes_new_static (zeros, sizeof zeros);
  g_autoptr (GBytes) b_dec = g_bytes_new_static (zeros, sizeof *zeros);
  SaeConfig config = {.d_in = 1, .d_sae = D_SAE, .k = 3, .sparsity = sparsity};
  g_autoptr (GError) error = NULL;
  SaeModel *model = sae_model_new_from_weights (&config, weights, b_enc,
      weights, b_dec, &error);

  g_assert_no_error (error);
  return model;
}

static SaeModel *
with_threshold (SaeModel *model, const float threshold[D_SAE])
{
  g_autoptr (GBytes) bytes = g_bytes_new (threshold, D_SAE * sizeof *threshold);
  g_autoptr (GError) error = NULL;
  SaeModel *with = sae_model_with_threshold (model, bytes, &error);

  g_assert_no_error (error);
  return with;
}

static void
expect_latents (SaeModel *model, const float want[D_SAE])
{
  const float one = 1.0f;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) x = g_bytes_new_static (&one, sizeof one);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, x, &error);
  g_autoptr (GBytes) dense = NULL;

  g_assert_no_error (error);
  dense = sae_latents_to_dense (latents, &error);
  g_assert_no_error (error);
  expect_same_bits ("latents", g_bytes_get_data (dense, NULL), want, D_SAE);
}

/* The value itself survives, not what exceeds the threshold; equal is not
 * above; where the threshold is negative relu still holds. */
static void
test_rule (void)
{
  const float pre[D_SAE] = {2, 2, 2, 0.5f, -1, -3, 0, 0x1p-126f};
  const float threshold[D_SAE] = {1, 2, 3, 0, -2, -2, -1, -5};
  const float want[D_SAE] = {2, 0, 0, 0.5f, 0, 0, 0, 0x1p-126f};
  g_autoptr (SaeModel) l1 = model_of (pre, SAE_SPARSITY_L1);
  g_autoptr (SaeModel) model = with_threshold (l1, threshold);

  expect_latents (model, want);
}

/* The number before the threshold is active, the threshold is not. */
static void
test_strict (void)
{
  const float at = 0.7f, above = nextafterf (at, 1), below = nextafterf (at, 0);
  const float pre[D_SAE] = {at, above, below, at, above, below, at, above};
  const float threshold[D_SAE] = {at, at, at, above, above, below, below,
      below};
  const float want[D_SAE] = {0, above, 0, 0, 0, 0, at, above};
  g_autoptr (SaeModel) l1 = model_of (pre, SAE_SPARSITY_L1);
  g_autoptr (SaeModel) model = with_threshold (l1, threshold);

  expect_latents (model, want);
}

/* Rules with the same weights can be had from one another. */
static void
test_other_rules (void)
{
  const float pre[D_SAE] = {1, 2, 3, 4, 5, 6, -7, 8};
  const float threshold[D_SAE] = {0, 2, 0, 9, 9, 9, 9, 9};
  const float jumped[D_SAE] = {1, 0, 3, 0, 0, 0, 0, 0};
  const float top[D_SAE] = {0, 0, 0, 0, 5, 6, 0, 8};
  g_autoptr (SaeModel) top_k = model_of (pre, SAE_SPARSITY_TOP_K);
  g_autoptr (SaeModel) model = with_threshold (top_k, threshold);
  g_autoptr (SaeModel) again = with_threshold (model, threshold);
  g_autoptr (SaeModel) back =
      sae_model_with_top_k (model, 3, SAE_TIES_LOWEST_INDEX, NULL);
  g_autoptr (SaeModel) named = sae_model_with_metadata (model, "name", "gpt2");

  g_assert_cmpint (sae_model_get_sparsity (model), ==, SAE_SPARSITY_JUMP_RELU);
  g_assert_cmpuint (sae_model_get_k (model), ==, 0);
  g_assert_true (
      sae_model_get_net (model)->W_enc == sae_model_get_net (top_k)->W_enc);
  expect_latents (model, jumped);
  expect_latents (again, jumped);
  expect_latents (named, jumped);
  expect_latents (back, top);
  g_assert_null (sae_model_get_threshold (back));
  g_assert_null (sae_model_get_threshold (top_k));
}

static void
test_threshold_is_copied (void)
{
  const float pre[D_SAE] = {1, 2, 3, 4, 5, 6, 7, 8}, was[D_SAE] = {1, 2, 3};
  float threshold[D_SAE] = {1, 2, 3};
  g_autoptr (SaeModel) l1 = model_of (pre, SAE_SPARSITY_L1);
  g_autoptr (GBytes) bytes = g_bytes_new_static (threshold, sizeof threshold);
  SaeModel *model = sae_model_with_threshold (l1, bytes, NULL);
  g_autoptr (GBytes) got = sae_model_get_threshold (model);

  memset (threshold, 0, sizeof threshold);
  sae_model_unref (model);
  g_assert_cmpuint (g_bytes_get_size (got), ==, sizeof was);
  expect_same_bits ("threshold", g_bytes_get_data (got, NULL), was, D_SAE);
}

static void
test_starts_at_zero (void)
{
  const float zeros[D_SAE] = {0}, pre[D_SAE] = {1, -2, 3, -4, 0, 6, 7, 8};
  const float want[D_SAE] = {1, 0, 3, 0, 0, 6, 7, 8};
  SaeConfig config = {.d_in = 4,
      .d_sae = D_SAE,
      .k = 3,
      .sparsity = SAE_SPARSITY_JUMP_RELU};
  g_autoptr (SaeModel) fresh = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) given = model_of (pre, SAE_SPARSITY_JUMP_RELU);
  g_autoptr (GBytes) threshold = sae_model_get_threshold (fresh);

  g_assert_cmpuint (sae_model_get_k (fresh), ==, 0);
  expect_same_bits ("threshold", g_bytes_get_data (threshold, NULL), zeros,
      D_SAE);
  expect_latents (given, want);
}

static void
test_refusals (void)
{
  const float pre[D_SAE] = {1, 2, 3, 4, 5, 6, 7, 8};
  const float bad[] = {NAN, INFINITY, -INFINITY};
  g_autoptr (SaeModel) l1 = model_of (pre, SAE_SPARSITY_L1);
  g_autoptr (GBytes) seven = g_bytes_new (pre, 7 * sizeof *pre);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_with_threshold (l1, seven, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "threshold: expected [1, 8] = 32 bytes, got 28");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    float threshold[D_SAE] = {0};
    threshold[i * 3] = bad[i];
    g_autoptr (GBytes) bytes = g_bytes_new (threshold, sizeof threshold);
    g_assert_null (sae_model_with_threshold (l1, bytes, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, "threshold");
  }
}

/* Batch-top-k is how a model is trained, not what it is. */
static void
test_no_model_is_batch_top_k (void)
{
  SaeConfig config = {.d_in = 4,
      .d_sae = D_SAE,
      .k = 3,
      .sparsity = SAE_SPARSITY_BATCH_TOP_K};
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_new (&config, 1, SAE_INIT_TIED, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "batch-top-k is a rule for training; its models are jump-relu");
}

static void
test_saved_threshold_loads (Scratch *scratch, gconstpointer data)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 9,
      .d_sae = 70,
      .sparsity = SAE_SPARSITY_JUMP_RELU};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeModel) loaded = NULL;
  g_autofree char *path = scratch_path (scratch, "model");
  g_autoptr (GError) error = NULL;

  sae_model_save (model, path, &error);
  g_assert_no_error (error);
  loaded = sae_model_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sae_model_get_sparsity (loaded), ==, SAE_SPARSITY_JUMP_RELU);
  expect_same_bits ("threshold", sae_model_get_net (loaded)->threshold,
      sae_model_get_net (model)->threshold, 70);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define PATH "/model/jump-relu/"
#define ADD(name, test) g_test_add_func (PATH name, test)
  ADD ("keeps-what-exceeds-its-threshold-and-0", test_rule);
  ADD ("equal-is-not-above", test_strict);
  ADD ("other-rules-share-the-weights", test_other_rules);
  ADD ("threshold-is-copied", test_threshold_is_copied);
  ADD ("starts-at-zero", test_starts_at_zero);
  ADD ("refuses-wrong-sizes-and-nonfinite", test_refusals);
  ADD ("no-model-is-batch-top-k", test_no_model_is_batch_top_k);
  scratch_add (PATH "saved-threshold-loads", test_saved_threshold_loads);
  return g_test_run ();
}
