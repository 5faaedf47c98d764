/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows that are normalised before they are encoded: what is taken from them,
 * that it is needed to decode, and that it is put back. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "latents.h"
#include "sample.h"

#define D 24
#define F 200
#define N 90

static const SaeInputNorm per_row[] = {SAE_INPUT_NORM_LAYER_NORM,
    SAE_INPUT_NORM_CONSTANT_NORM};

static SaeModel *
model_of (Noise *noise, SaeInputNorm norm)
{
  SaeConfig config = {.d_in = D, .d_sae = F, .k = 9, .pre_bias = TRUE};

  config.input_norm = norm;
  return sample_model (noise, &config);
}

static GBytes *
decode (SaeModel *model, SaeLatents *latents)
{
  g_autoptr (GError) error = NULL;
  GBytes *x_hat = sae_model_decode (model, latents, &error);

  g_assert_no_error (error);
  return x_hat;
}

static SaeLatents *
encode (SaeModel *model, GBytes *x)
{
  g_autoptr (GError) error = NULL;
  SaeLatents *latents = sae_model_encode (model, x, &error);

  g_assert_no_error (error);
  return latents;
}

/* Mean and standard deviation, or 0 and the norm over √d, in long double. */
static void
expect_norm (SaeInputNorm norm, const float *x, const float *got)
{
  gboolean layer = norm == SAE_INPUT_NORM_LAYER_NORM;
  long double mean = 0, squares = 0;

  for (guint j = 0; layer && j < D; j++)
    mean += x[j] / (long double) D;
  for (guint j = 0; j < D; j++)
    squares += (x[j] - mean) * (x[j] - mean);
  expect_within ("mean", got[0], (double) mean, 1e-6 * fabs ((double) mean));
  expect_within ("scale", got[1], sqrt ((double) squares / (layer ? D - 1 : D)),
      1e-6 * got[1]);
}

static void
test_statistics (void)
{
  Noise noise = noise_new ();

  for (guint i = 0; i < G_N_ELEMENTS (per_row); i++) {
    g_autoptr (SaeModel) model = model_of (&noise, per_row[i]);
    g_autoptr (GBytes) bytes = sample_rows (&noise, N, D);
    const float *x = g_bytes_get_data (bytes, NULL);
    g_autoptr (SaeLatents) latents = encode (model, bytes);
    g_autoptr (GBytes) norms = sae_latents_get_row_norms (latents);
    const float *got = g_bytes_get_data (norms, NULL);
    g_assert_cmpint (sae_model_get_input_norm (model), ==, per_row[i]);
    g_assert_cmpuint (g_bytes_get_size (norms), ==, N * 2 * sizeof (float));
    for (guint r = 0; r < N; r++)
      expect_norm (per_row[i], x + r * D, got + 2 * r);
  }
}

/* x_hat of the plain model for the normalised row, times scale plus mean. */
static void
test_is_undone (void)
{
  Noise noise = noise_new ();
  g_autofree float *dense = g_new (float, F);
  float want[D];

  for (guint i = 0; i < G_N_ELEMENTS (per_row); i++) {
    g_autoptr (SaeModel) model = model_of (&noise, per_row[i]);
    g_autoptr (GBytes) x = sample_rows (&noise, N, D);
    g_autoptr (SaeLatents) latents = encode (model, x);
    g_autoptr (GBytes) norms = sae_latents_get_row_norms (latents);
    g_autoptr (GBytes) x_hat = decode (model, latents);
    g_autoptr (GBytes) forward = sae_model_forward (model, x, NULL, NULL);
    const float *norm = g_bytes_get_data (norms, NULL);
    expect_same_bytes ("forward", forward, x_hat);
    for (guint r = 0; r < N; r++, norm += 2) {
      const float *row = (const float *) g_bytes_get_data (x_hat, NULL) + r * D;
      sample_encode (sae_model_get_net (model),
          (const float *) g_bytes_get_data (x, NULL) + r * D, dense);
      sample_decode (sae_model_get_net (model), dense, want);
      for (guint j = 0; j < D; j++)
        want[j] = want[j] * norm[1] + norm[0];
      expect_same_bits ("x_hat", row, want, D);
    }
  }
}

/* Rows without a direction: zeros have no norm, equal numbers no deviation. */
static void
test_rows_without_a_direction (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) layer = model_of (&noise, SAE_INPUT_NORM_LAYER_NORM);
  g_autoptr (SaeModel) norm = model_of (&noise, SAE_INPUT_NORM_CONSTANT_NORM);
  float x[D], zeros[D] = {0};

  for (guint j = 0; j < D; j++)
    x[j] = 0.75f;
  g_autoptr (GBytes) equal = g_bytes_new (x, sizeof x);
  g_autoptr (GBytes) zero = g_bytes_new (zeros, sizeof zeros);
  g_autoptr (GBytes) of_layer = sae_model_forward (layer, equal, NULL, NULL);
  g_autoptr (GBytes) of_norm = sae_model_forward (norm, zero, NULL, NULL);
  expect_same_bits ("layer norm", g_bytes_get_data (of_layer, NULL), x, D);
  expect_same_bits ("constant norm", g_bytes_get_data (of_norm, NULL), zeros,
      D);
}

/* Numbers whose squares, or whose deviation, are beyond float32. */
static void
test_extreme_rows (void)
{
  const float scales[] = {1e-30f, 1e-20f, 1e20f, 1e30f};
  Noise noise = noise_new ();

  for (guint i = 0; i < G_N_ELEMENTS (per_row); i++) {
    g_autoptr (SaeModel) model = model_of (&noise, per_row[i]);
    g_autoptr (GBytes) bytes = sample_rows (&noise, 1, D);
    const float *x = g_bytes_get_data (bytes, NULL);
    for (guint s = 0; s < G_N_ELEMENTS (scales); s++) {
      float scaled[D];
      for (guint j = 0; j < D; j++)
        scaled[j] = x[j] * scales[s];
      g_autoptr (GBytes) row = g_bytes_new (scaled, sizeof scaled);
      g_autoptr (GBytes) x_hat = sae_model_forward (model, row, NULL, NULL);
      g_assert_nonnull (x_hat);
      g_assert_true (
          sae_kernels ()->all_finite (g_bytes_get_data (x_hat, NULL), D));
    }
  }
}

static void
test_nonfinite_rows (void)
{
  const float bad[] = {NAN, INFINITY, -INFINITY};
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  Noise noise = noise_new ();
  const gsize *offsets;
  const guint32 *indices;
  const float *values, *norms;
  gsize n;

  for (guint i = 0; i < 6; i++) {
    g_autoptr (SaeModel) model = model_of (&noise, per_row[i % 2]);
    g_autoptr (GBytes) bytes = sample_rows (&noise, 3, D);
    g_autofree float *x =
        g_memdup2 (g_bytes_get_data (bytes, NULL), 3 * D * sizeof (float));
    GError *error = NULL;
    x[D + 5] = bad[i / 2];
    sae_workspace_set_zero_nonfinite (workspace, FALSE);
    g_assert_false (sae_model_encode_rows (model, workspace, x, 3, &offsets,
        &indices, &values, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, "first in row 1");
    sae_workspace_set_zero_nonfinite (workspace, TRUE);
    g_assert_true (sae_model_encode_rows (model, workspace, x, 3, &offsets,
        &indices, &values, &error));
    g_assert_cmpuint (offsets[1], ==, offsets[2]);
    norms = sae_workspace_get_row_norms (workspace, &n);
    g_assert_cmpuint (n, ==, 3);
    g_assert_cmpfloat (norms[2], ==, 0);
    g_assert_cmpfloat (norms[3], ==, 0);
    g_assert_cmpfloat (norms[5], >, 0);
  }
}

/* --- what decoding needs ---------------------------------------------------
 */

static void
test_decode_needs_the_norms (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) model = model_of (&noise, SAE_INPUT_NORM_LAYER_NORM);
  g_autoptr (GBytes) x = sample_rows (&noise, N, D);
  g_autoptr (SaeLatents) latents = encode (model, x);
  g_autoptr (GBytes) norms = sae_latents_get_row_norms (latents);
  g_autoptr (GBytes) half =
      g_bytes_new_from_bytes (norms, 0, N * sizeof (float));
  g_autoptr (SaeLatents) without =
      sae_latents_with_row_norms (latents, NULL, NULL);
  g_autoptr (SaeLatents) again =
      sae_latents_with_row_norms (without, norms, NULL);
  g_autoptr (GBytes) want = decode (model, latents);
  g_autoptr (GBytes) got = decode (model, again);
  GError *error = NULL;

  expect_same_bytes ("x_hat", got, want);
  g_assert_null (sae_latents_get_row_norms (without));
  g_assert_null (sae_model_decode (model, without, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "normalises its rows (layer-norm)");
  g_assert_null (sae_latents_with_row_norms (latents, half, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "row norms: expected 720 bytes, got 360");
}

static void
test_streams_give_them_each_time (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) model = model_of (&noise, SAE_INPUT_NORM_CONSTANT_NORM);
  g_autoptr (GBytes) x = sample_rows (&noise, N, D);
  g_autoptr (GBytes) want = sae_model_forward (model, x, NULL, NULL);
  g_autoptr (SaeLatents) latents = encode (model, x);
  g_autoptr (GBytes) norms = sae_latents_get_row_norms (latents);
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, NULL);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  SaeSparseRows rows = sae_latents_get_rows (latents);
  float x_hat[N * D];
  GError *error = NULL;

#define DECODE_ROWS()                                                          \
  sae_model_decode_rows (model, workspace, rows.offsets, rows.index,           \
      rows.value, N, x_hat, &error)
  sae_workspace_set_row_norms (workspace, g_bytes_get_data (norms, NULL), N);
  g_assert_true (DECODE_ROWS ());
  expect_same_bits ("rows", x_hat, g_bytes_get_data (want, NULL), N * D);
  g_assert_false (DECODE_ROWS ());
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "constant-norm");
  sae_workspace_set_row_norms (workspace, g_bytes_get_data (norms, NULL),
      N - 1);
  g_assert_false (DECODE_ROWS ());
  expect_error (&error, SAE_ERROR, SAE_ERROR_FORMAT,
      "expected mean and scale of 90 rows, got those of 89");
  sae_workspace_set_row_norms (workspace, g_bytes_get_data (norms, NULL), N);
  memset (x_hat, 0, sizeof x_hat);
  g_assert_true (sae_model_decode_dense (model, workspace,
      g_bytes_get_data (dense, NULL), N, x_hat, &error));
  expect_same_bits ("dense", x_hat, g_bytes_get_data (want, NULL), N * D);
}

/* Nothing of an earlier model, and none where nothing was taken. */
static void
test_others_have_none (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) layer = model_of (&noise, SAE_INPUT_NORM_LAYER_NORM);
  g_autoptr (SaeModel) plain = model_of (&noise, SAE_INPUT_NORM_NONE);
  g_autoptr (SaeModel) average =
      model_of (&noise, SAE_INPUT_NORM_EXPECTED_AVERAGE);
  SaeModel *models[] = {layer, plain, layer, average};
  g_autoptr (GBytes) x = sample_rows (&noise, 5, D);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);

  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autoptr (SaeLatents) latents = encode (models[i], x);
    g_autoptr (GBytes) norms = sae_latents_get_row_norms (latents);
    const gsize *offsets;
    const guint32 *indices;
    const float *values;
    gsize n;
    g_assert_true (sae_model_encode_rows (models[i], workspace,
        g_bytes_get_data (x, NULL), 5, &offsets, &indices, &values, NULL));
    g_assert_true (
        (sae_workspace_get_row_norms (workspace, &n) != NULL) == !(i % 2));
    g_assert_cmpuint (n, ==, i % 2 ? 0 : 5);
    g_assert_true ((norms != NULL) == !(i % 2));
  }
}

static void
test_config (void)
{
  SaeConfig config = {.d_in = 1, .d_sae = 4, .k = 2};
  g_autoptr (SaeConfig) copy = NULL;
  GError *error = NULL;

  config.input_norm = SAE_INPUT_NORM_LAYER_NORM;
  g_assert_null (sae_model_new (&config, 1, SAE_INIT_TIED, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "layer-norm: expected rows of 2 or more, got 1");
  config.d_in = 3;
  config.d_out = 2;
  g_assert_null (sae_model_new (&config, 1, SAE_INIT_TIED, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "input-norm: expected equal input and output sizes, got 3 and 2");
  config.d_out = 0;
  config.input_norm = (SaeInputNorm) 77;
  g_assert_null (sae_model_new (&config, 1, SAE_INIT_TIED, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "got 77");
  config.input_norm = SAE_INPUT_NORM_CONSTANT_NORM;
  g_autoptr (SaeModel) model =
      sae_model_new (&config, 1, SAE_INIT_TIED, &error);
  g_assert_no_error (error);
  copy = sae_model_get_config (model);
  g_assert_cmpint (copy->input_norm, ==, SAE_INPUT_NORM_CONSTANT_NORM);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/model/input-norm/" name, test)
  ADD ("statistics-are-those-of-the-rows", test_statistics);
  ADD ("is-undone-in-the-reconstruction", test_is_undone);
  ADD ("rows-without-a-direction", test_rows_without_a_direction);
  ADD ("extreme-rows", test_extreme_rows);
  ADD ("nonfinite-rows", test_nonfinite_rows);
  ADD ("decoding-needs-what-was-taken", test_decode_needs_the_norms);
  ADD ("streams-give-it-each-time", test_streams_give_them_each_time);
  ADD ("other-models-have-none", test_others_have_none);
  ADD ("config", test_config);
  return g_test_run ();
}
