/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Encoding: the promised bits, whatever the batch, the threads, the SIMD level
 * (meson runs this program once for each) and the other rows. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "fault.h"
#include "sample.h"
#include "workspace.h"

static SaeConfig
random_config (Noise *noise)
{
  static const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_TOP_K,
      SAE_SPARSITY_L1, SAE_SPARSITY_JUMP_RELU, SAE_SPARSITY_GATED,
      SAE_SPARSITY_GROUP_MAX};
  static const SaeInputNorm norms[] = {SAE_INPUT_NORM_NONE, SAE_INPUT_NORM_NONE,
      SAE_INPUT_NORM_LAYER_NORM, SAE_INPUT_NORM_CONSTANT_NORM};
  guint d_sae = 1 + noise_below (noise, noise_below (noise, 4) ? 300 : 1500);
  guint d_in = 1 + noise_below (noise, 70);
  SaeConfig config = {
      .d_in = d_in,
      .input_norm = norms[noise_below (noise, d_in > 1 ? 4 : 2)],
      .d_sae = d_sae,
      .k = 1 + noise_below (noise, d_sae),
      .sparsity = rules[noise_below (noise, G_N_ELEMENTS (rules))],
      .ties = (SaeTies) noise_below (noise, 2),
      .pre_bias = (gboolean) noise_below (noise, 2),
  };

  if (config.sparsity == SAE_SPARSITY_GROUP_MAX)
    config.d_sae = config.k * (1 + d_sae / config.k); /* groups of one size */
  return config;
}

static void
describe (const SaeConfig *config, gsize n_rows, const Noise *noise)
{
  expect_with ("d_in %u, d_sae %u, k %u, rule %d, ties %d, pre-bias %d, "
               "input-norm %d, %" G_GSIZE_FORMAT " rows, seed %u",
      config->d_in, config->d_sae, config->k, config->sparsity, config->ties,
      config->pre_bias, config->input_norm, n_rows, noise->seed);
}

/* Dense latents by @workspace. (transfer full) */
static float *
encode_dense (SaeModel *model, SaeWorkspace *workspace, const float *x,
    gsize n_rows)
{
  g_autoptr (GError) error = NULL;
  guint d_sae = sae_model_get_d_sae (model);
  float *dense = g_new0 (float, n_rows *d_sae + 1);
  const gsize *offsets;
  const guint32 *indices;
  const float *values;

  sae_model_encode_rows (model, workspace, x, n_rows, &offsets, &indices,
      &values, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (offsets[0], ==, 0);
  for (gsize r = 0; r < n_rows; r++)
    for (gsize p = offsets[r]; p < offsets[r + 1]; p++) {
      g_assert_cmpuint (indices[p], <, d_sae);
      g_assert_true (p == offsets[r] || indices[p - 1] < indices[p]);
      g_assert_cmpfloat (values[p], >, 0);
      dense[r * d_sae + indices[p]] = values[p];
    }
  return dense;
}

static void
check_against_plain (Noise *noise, NoiseKind kind, SaeWorkspace *workspace)
{
  SaeConfig config = random_config (noise);
  gsize n_rows = noise_below (noise, 40);
  g_autoptr (SaeModel) model = sample_model_of (noise, kind, &config);
  g_autoptr (GBytes) bytes =
      sample_floats (noise, kind, n_rows * config.d_in + 1);
  const float *x = g_bytes_get_data (bytes, NULL);
  g_autofree float *got = NULL, *want = g_new (float, config.d_sae);

  describe (&config, n_rows, noise);
  got = encode_dense (model, workspace, x, n_rows);
  for (gsize r = 0; r < n_rows; r++) {
    sample_encode (sae_model_get_net (model), x + r * config.d_in, want);
    expect_same_bits ("latents", got + r * config.d_sae, want, config.d_sae);
  }
}

/* One workspace for all: what an earlier model left there does not matter. */
static void
test_plain (void)
{
  const NoiseKind kinds[] = {NOISE_UNIFORM, NOISE_INTEGERS, NOISE_WIDE,
      NOISE_TINY, NOISE_ZEROS};
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  Noise noise = noise_new ();

  for (guint i = 0; i < 150; i++)
    check_against_plain (&noise, kinds[i % G_N_ELEMENTS (kinds)], workspace);
}

/* The same rows in random pieces. */
static void
check_splits (Noise *noise, SaeModel *model, const float *x, gsize n_rows,
    const float *whole)
{
  g_autoptr (SaeWorkspace) workspace =
      sae_workspace_new (1 + noise_below (noise, 4));
  gsize d_in = sae_model_get_d_in (model), d_sae = sae_model_get_d_sae (model);

  for (gsize at = 0, n; at < n_rows; at += n) {
    n = 1 + noise_below (noise, noise_below (noise, 2) ? 5 : 300);
    n = MIN (n, n_rows - at);
    g_autofree float *piece = encode_dense (model, workspace, x + at * d_in, n);
    expect_same_bits ("piece", piece, whole + at * d_sae, n * d_sae);
  }
}

static void
check_cuts (Noise *noise)
{
  SaeConfig config = random_config (noise);
  gsize n_rows = 200 + noise_below (noise, 500);
  g_autoptr (SaeModel) model = sample_model (noise, &config);
  g_autoptr (GBytes) bytes = sample_rows (noise, n_rows, config.d_in);
  const float *x = g_bytes_get_data (bytes, NULL);
  g_autoptr (SaeWorkspace) one = sae_workspace_new (1);
  g_autofree float *whole = encode_dense (model, one, x, n_rows);

  describe (&config, n_rows, noise);
  for (guint n_threads = 2; n_threads <= 4; n_threads++) {
    g_autoptr (SaeWorkspace) many = sae_workspace_new (n_threads);
    g_autofree float *same = encode_dense (model, many, x, n_rows);
    expect_same_bits ("threads", same, whole, n_rows * config.d_sae);
  }
  for (guint i = 0; i < 3; i++)
    check_splits (noise, model, x, n_rows, whole);
}

static void
test_cuts (void)
{
  Noise noise = noise_new ();

  for (guint i = 0; i < 15; i++)
    check_cuts (&noise);
}

/* A row among rows that are huge, tiny or repeated. */
static void
test_neighbours (void)
{
  const NoiseKind kinds[] = {NOISE_WIDE, NOISE_TINY, NOISE_ZEROS};
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 33, .d_sae = 700, .k = 20};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) bytes = sample_rows (&noise, 1, 33);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_autofree float *alone =
      encode_dense (model, workspace, g_bytes_get_data (bytes, NULL), 1);

  for (guint i = 0; i < 60; i++) {
    gsize n_rows = 1 + noise_below (&noise, 140);
    gsize at = noise_below (&noise, (guint) n_rows);
    g_autofree float *x = g_new (float, n_rows * 33), *latents = NULL;
    noise_fill (&noise, kinds[i % G_N_ELEMENTS (kinds)], x, n_rows * 33);
    memcpy (x + at * 33, g_bytes_get_data (bytes, NULL), 33 * sizeof (float));
    latents = encode_dense (model, workspace, x, n_rows);
    expect_same_bits ("row", latents + at * 700, alone, 700);
  }
}

/* x moved by b_dec gives what the model without pre-bias gives for x. */
static void
test_pre_bias (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 24, .d_sae = 300, .k = 11, .pre_bias = TRUE};
  g_autoptr (SaeModel) with = sample_model_of (&noise, NOISE_INTEGERS, &config);
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (with);
  g_autoptr (GBytes) b_enc = sae_model_get_b_enc (with);
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (with);
  g_autoptr (GBytes) b_dec = sae_model_get_b_dec (with);
  g_autoptr (SaeModel) without = NULL;
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  float x[24], moved[24];

  config.pre_bias = FALSE;
  without =
      sae_model_new_from_weights (&config, W_enc, b_enc, W_dec, b_dec, NULL);
  noise_fill (&noise, NOISE_INTEGERS, x, 24);
  for (guint j = 0; j < 24; j++)
    moved[j] = x[j] + ((const float *) g_bytes_get_data (b_dec, NULL))[j];
  g_autofree float *want = encode_dense (without, workspace, x, 1);
  g_autofree float *got = encode_dense (with, workspace, moved, 1);
  expect_same_bits ("latents", got, want, 300);
}

/* Large enough for a screen, which must not show. */
static void
test_screened (void)
{
  static const struct {
    SaeSparsity sparsity;
    SaeInputNorm norm;
  } kinds[] = {{SAE_SPARSITY_GATED, SAE_INPUT_NORM_NONE},
      {SAE_SPARSITY_GATED, SAE_INPUT_NORM_LAYER_NORM},
      {SAE_SPARSITY_TOP_K, SAE_INPUT_NORM_CONSTANT_NORM},
      {SAE_SPARSITY_TOP_K, SAE_INPUT_NORM_LAYER_NORM},
      {SAE_SPARSITY_JUMP_RELU, SAE_INPUT_NORM_LAYER_NORM}};
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_autofree float *want = g_new (float, 3000);
  Noise noise = noise_new ();

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    SaeConfig config = {.d_in = 50, .d_sae = 3000, .k = 20, .pre_bias = i % 2};
    config.sparsity = kinds[i].sparsity;
    config.input_norm = kinds[i].norm;
    g_autoptr (SaeModel) model = sample_model (&noise, &config);
    g_autoptr (GBytes) bytes = sample_rows (&noise, 150, 50);
    const float *x = g_bytes_get_data (bytes, NULL);
    g_assert_nonnull (sae_model_get_net_for (model, x, 150).screen);
    g_autofree float *got = encode_dense (model, workspace, x, 150);
    describe (&config, 150, &noise);
    for (guint r = 0; r < 150; r++) {
      sample_encode (sae_model_get_net (model), x + r * 50, want);
      expect_same_bits ("latents", got + r * 3000, want, 3000);
    }
  }
}

/* The public call on bytes and the one for streams agree. */
static void
test_bytes (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 20, .d_sae = 150, .k = 9};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  const guint sizes[] = {0, 1, 63, 64, 65, 300};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) x = sample_rows (&noise, sizes[i], 20);
    g_autoptr (SaeLatents) latents = sae_model_encode (model, x, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (sae_latents_get_n_rows (latents), ==, sizes[i]);
    g_assert_cmpuint (sae_latents_get_d_sae (latents), ==, 150);
    g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
    g_autofree float *want =
        encode_dense (model, workspace, g_bytes_get_data (x, NULL), sizes[i]);
    g_autoptr (GBytes) dense = sae_latents_to_dense (latents, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (g_bytes_get_size (dense), ==,
        (gsize) sizes[i] * 150 * sizeof (float));
    expect_same_bits ("latents", g_bytes_get_data (dense, NULL), want,
        (gsize) sizes[i] * 150);
  }
}

static void
test_half_rows (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 20, .d_sae = 150, .k = 9};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  const gsize sizes[] = {1, 79, 81, 159};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree guint8 *data = g_malloc0 (sizes[i]);
    g_autoptr (GBytes) x = g_bytes_new (data, sizes[i]);
    g_autofree char *got = g_strdup_printf ("got %d bytes", (int) sizes[i]);
    SaeLatents *latents = sae_model_encode (model, x, &error);
    g_assert_null (latents);
    g_assert_nonnull (strstr (error->message, got));
    expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
        "expected whole rows of 20 floats (80 bytes)");
    g_assert_null (sae_model_forward (model, x, &latents, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, got);
  }
}

/* Without rows there is nothing to share out, to slices of latents either. */
static void
test_no_rows (void)
{
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  SaeConfig config = {.d_in = 3, .d_sae = 4096, .k = 2};
  Noise noise = noise_new ();
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  float x[3] = {0};

  g_free (encode_dense (model, workspace, x, 0));
}

/* A score that overflows is above the largest float, wherever it comes. */
static void
test_overflow (void)
{
  enum { N = 400 };
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  g_autoptr (GError) error = NULL;
  float W_enc[N], b_enc[N] = {G_MAXFLOAT}, x = 2;
  SaeNet net = {.d_in = 1,
      .d_out = 1,
      .d_sae = N,
      .k = 1,
      .sparsity = SAE_SPARSITY_TOP_K,
      .W_enc = W_enc,
      .b_enc = b_enc};
  SaeSparseRows rows;

  for (guint i = 0; i < N; i++)
    W_enc[i] = i == N - 1 ? 3e38f : 1;
  sae_net_encode (&net, workspace, &x, 1, &rows, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (rows.offsets[1], ==, 1);
  g_assert_cmpuint (rows.index[0], ==, N - 1);
}

/* Every value that is not finite, at the ends and in the middle of a row. */
static void
test_nonfinite_refused (void)
{
  const float bad[] = {NAN, INFINITY, -INFINITY};
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 37, .d_sae = 200, .k = 5, .pre_bias = TRUE};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) bytes = sample_rows (&noise, 300, 37);
  guint n_bad = 0;

  for (guint i = 0; i < 60; i++) {
    g_autoptr (GError) error = NULL;
    g_autofree float *x =
        g_memdup2 (g_bytes_get_data (bytes, NULL), 300 * 37 * sizeof (float));
    guint row = noise_below (&noise, 300), later = row + 1;
    x[row * 37 + (i % 3) * 18] = bad[i / 3 % 3];
    if (later < 300)
      x[later * 37] = NAN;
    g_autoptr (GBytes) rows = g_bytes_new (x, 300 * 37 * sizeof (float));
    g_autofree char *got = g_strdup_printf ("NaN or infinity in %d of 300 "
                                            "rows, first in row %u",
        later < 300 ? 2 : 1, row);
    g_assert_null (sae_model_encode (model, rows, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, got);
    n_bad += later < 300 ? 2 : 1;
  }
  fault_report (5, n_bad, n_bad, 0);
}

static void
test_nonfinite_zeroed (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 37, .d_sae = 200, .k = 5};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) bytes = sample_rows (&noise, 300, 37);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  const float *x = g_bytes_get_data (bytes, NULL);
  g_autofree float *good = encode_dense (model, workspace, x, 300);
  g_autofree float *bad = g_memdup2 (x, 300 * 37 * sizeof (float));
  g_autofree float *got = NULL;

  for (guint r = 0; r < 300; r += 7) {
    bad[r * 37 + r % 37] = r % 2 ? NAN : INFINITY;
    memset (good + r * 200, 0, 200 * sizeof (float));
  }
  sae_workspace_set_zero_nonfinite (workspace, TRUE);
  g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 0);
  got = encode_dense (model, workspace, bad, 300);
  expect_same_bits ("latents", got, good, 300 * 200);
  g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 43);
  g_free (encode_dense (model, workspace, bad, 8));
  g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 45);
  fault_report (5, 45, sae_workspace_get_n_nonfinite (workspace), 0);
}

static void
test_workspace_references (void)
{
  SaeWorkspace *workspace = sae_workspace_new (1);

  g_assert_true (sae_workspace_ref (workspace) == workspace);
  sae_workspace_unref (workspace);
  g_boxed_free (SAE_TYPE_WORKSPACE,
      g_boxed_copy (SAE_TYPE_WORKSPACE, workspace));
  g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 0);
  sae_workspace_unref (workspace);
}

static void
test_workspace_threads (void)
{
  g_autoptr (SaeWorkspace) one = sae_workspace_new (1);
  g_autoptr (SaeWorkspace) many = sae_workspace_new (SAE_MAX_THREADS + 1);

  g_assert_cmpuint (sae_pool_get_n_threads (one->pool), ==, 1);
  g_assert_cmpuint (sae_pool_get_n_threads (many->pool), ==, SAE_MAX_THREADS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/encode/has-the-promised-bits", test_plain);
  g_test_add_func ("/model/encode/same-bits-for-any-cut-and-threads",
      test_cuts);
  g_test_add_func ("/model/encode/neighbours-do-not-matter", test_neighbours);
  g_test_add_func ("/model/encode/pre-bias-centres", test_pre_bias);
  g_test_add_func ("/model/encode/screens-do-not-show", test_screened);
  g_test_add_func ("/model/encode/bytes-and-rows-agree", test_bytes);
  g_test_add_func ("/model/encode/refuses-half-rows", test_half_rows);
  g_test_add_func ("/model/encode/no-rows", test_no_rows);
  g_test_add_func ("/model/encode/overflow", test_overflow);
  g_test_add_func ("/model/encode/names-the-nonfinite-row",
      test_nonfinite_refused);
  g_test_add_func ("/model/encode/zeroes-and-counts-nonfinite-rows",
      test_nonfinite_zeroed);
  g_test_add_func ("/model/workspace/references", test_workspace_references);
  g_test_add_func ("/model/workspace/has-no-more-threads-than-anybody-can-use",
      test_workspace_threads);
  return g_test_run ();
}
