/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The gated rule on numbers that are known, and its arrays as part of a
 * model. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "sample.h"

#define D_SAE 8

static GBytes *
floats (const float *values)
{
  return g_bytes_new (values, D_SAE * sizeof *values);
}

/* One input, 1: s of latent i is s[i]. */
static SaeModel *
model_of (const float s[D_SAE], const float b_gate[D_SAE],
    const float r_mag[D_SAE], const float b_mag[D_SAE])
{
  g_autoptr (GBytes) W = floats (s), b_enc = floats (b_gate);
  g_autoptr (GBytes) r = floats (r_mag), b = floats (b_mag);
  g_autoptr (GBytes) b_dec = g_bytes_new_static ("\0\0\0\0", 4);
  SaeConfig config = {.d_in = 1, .d_sae = D_SAE, .k = 3};
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) plain =
      sae_model_new_from_weights (&config, W, b_enc, W, b_dec, &error);
  SaeModel *model;

  g_assert_no_error (error);
  model = sae_model_with_gate (plain, r, b, &error);
  g_assert_no_error (error);
  return model;
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

/* Open and shut by s + b_gate; the magnitude has its own bias, and relu. */
static void
test_rule (void)
{
  const float s[D_SAE] = {2, 2, 2, -1, -1, 3, 3, 0};
  const float b_gate[D_SAE] = {0, -2, -3, 2, 2, 1, 1, 1};
  const float r_mag[D_SAE] = {0};
  const float b_mag[D_SAE] = {1, 1, 1, 5, 0.5f, -3, -2.5f, 0.25f};
  const float want[D_SAE] = {3, 0, 0, 4, 0, 0, 0.5f, 0.25f};
  g_autoptr (SaeModel) model = model_of (s, b_gate, r_mag, b_mag);

  expect_latents (model, want);
}

static void
test_scales_by_the_exponential (void)
{
  const float s[D_SAE] = {1, 1, 1, 1, 2, 2, 2, 2};
  const float b[D_SAE] = {0};
  const float r_mag[D_SAE] = {0, 1, -1, 80, -80, 3, 0.5f, -104};
  float want[D_SAE];
  g_autoptr (SaeModel) model = model_of (s, b, r_mag, b);

  for (guint i = 0; i < D_SAE; i++)
    want[i] = (float) exp ((double) r_mag[i]) * s[i];
  expect_latents (model, want);
}

/* A large bias of the gate rounds nothing away of the magnitude. */
static void
test_bias_of_the_gate_is_not_in_the_magnitude (void)
{
  const float s[D_SAE] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f};
  const float zeros[D_SAE] = {0};
  const float b_gate[D_SAE] = {1e6f, 1e8f, 1e30f, 1, 1e-30f, -0.5f, 1e6f,
      3e38f};
  g_autoptr (SaeModel) model = model_of (s, b_gate, zeros, zeros);

  expect_latents (model, s);
}

static void
test_arrays_belong_to_the_rule (void)
{
  const float s[D_SAE] = {1, 2, 3, 4, 5, 6, 7, 8}, zeros[D_SAE] = {0};
  const float r_mag[D_SAE] = {1, 2}, b_mag[D_SAE] = {3, 4};
  g_autoptr (SaeModel) model = model_of (s, zeros, r_mag, b_mag);
  g_autoptr (SaeModel) named = sae_model_with_metadata (model, "a", "b");
  g_autoptr (SaeModel) top =
      sae_model_with_top_k (model, 2, SAE_TIES_LOWEST_INDEX, NULL);
  g_autoptr (GBytes) r = sae_model_get_r_mag (named);
  g_autoptr (GBytes) b = sae_model_get_b_mag (named);

  g_assert_cmpint (sae_model_get_sparsity (named), ==, SAE_SPARSITY_GATED);
  g_assert_cmpuint (sae_model_get_k (named), ==, 0);
  expect_same_bits ("r_mag", g_bytes_get_data (r, NULL), r_mag, D_SAE);
  expect_same_bits ("b_mag", g_bytes_get_data (b, NULL), b_mag, D_SAE);
  g_assert_null (sae_model_get_r_mag (top));
  g_assert_null (sae_model_get_b_mag (top));
  g_assert_null (sae_model_get_threshold (named));
}

static void
check_refused (const float *r_mag, const float *b_mag, gsize n, gint code,
    const char *part)
{
  const float zeros[D_SAE] = {0};
  g_autoptr (SaeModel) model = model_of (zeros, zeros, zeros, zeros);
  g_autoptr (GBytes) r = g_bytes_new (r_mag, n * sizeof *r_mag);
  g_autoptr (GBytes) b = floats (b_mag);
  GError *error = NULL;

  g_assert_null (sae_model_with_gate (model, r, b, &error));
  expect_error (&error, SAE_ERROR, code, part);
}

static void
test_refuses_what_it_cannot_be (void)
{
  const float zeros[D_SAE] = {0}, nan[D_SAE] = {0, NAN};
  const float large[D_SAE] = {0, 0, 90};

  check_refused (zeros, zeros, 7, SAE_ERROR_SIZE, "r_mag: expected [1, 8]");
  check_refused (nan, zeros, 8, SAE_ERROR_NON_FINITE, "r_mag: expected finite");
  check_refused (zeros, nan, 8, SAE_ERROR_NON_FINITE, "b_mag: expected finite");
  check_refused (large, zeros, 8, SAE_ERROR_NON_FINITE,
      "got exp (90) of latent 2");
}

/* As others are made: r_mag and b_mag are 0 at first. */
static void
test_untrained (void)
{
  SaeConfig config = {.d_in = 5, .d_sae = D_SAE};
  const float zeros[D_SAE] = {0};

  config.sparsity = SAE_SPARSITY_GATED;
  for (guint i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SaeModel) model =
        sae_model_new (&config, 3, (SaeInit) i, &error);
    g_autoptr (GBytes) r = NULL, b = NULL;
    g_assert_no_error (error);
    r = sae_model_get_r_mag (model);
    b = sae_model_get_b_mag (model);
    expect_same_bits ("r_mag", g_bytes_get_data (r, NULL), zeros, D_SAE);
    expect_same_bits ("b_mag", g_bytes_get_data (b, NULL), zeros, D_SAE);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/model/gated/" name, test)
  ADD ("gate-and-magnitude", test_rule);
  ADD ("magnitude-is-scaled-by-the-exponential",
      test_scales_by_the_exponential);
  ADD ("bias-of-the-gate-is-not-in-the-magnitude",
      test_bias_of_the_gate_is_not_in_the_magnitude);
  ADD ("arrays-belong-to-the-rule", test_arrays_belong_to_the_rule);
  ADD ("refuses-what-it-cannot-be", test_refuses_what_it_cannot_be);
  ADD ("untrained", test_untrained);
  return g_test_run ();
}
