/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Steering against its definition, written out plainly over dense latents. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "sae-edits.h"
#include "sample.h"

#define D 24
#define F 160
#define K 6

static const struct {
  const char *name;
  SaeConfig config;
} rules[] = {
    {"top-k", {D, D, F, K, SAE_SPARSITY_TOP_K}},
    {"top-k pre-bias", {D, D, F, K, SAE_SPARSITY_TOP_K, .pre_bias = TRUE}},
    {"top-k keep-all", {D, D, F, K, SAE_SPARSITY_TOP_K, SAE_TIES_KEEP_ALL}},
    {"l1", {D, D, F, 0, SAE_SPARSITY_L1}},
    {"l1 pre-bias", {D, D, F, 0, SAE_SPARSITY_L1, .pre_bias = TRUE}},
    {"jump-relu", {D, D, F, 0, SAE_SPARSITY_JUMP_RELU}},
    {"gated", {D, D, F, 0, SAE_SPARSITY_GATED, .pre_bias = TRUE}},
    {"top-k layer-norm", {D, D, F, K, SAE_SPARSITY_TOP_K,
                             .input_norm = SAE_INPUT_NORM_LAYER_NORM}},
    {"l1 constant-norm", {D, D, F, 0, SAE_SPARSITY_L1, .pre_bias = TRUE,
                             .input_norm = SAE_INPUT_NORM_CONSTANT_NORM}},
};

/* y of one row: latents′ of all, and decoder rows of what changes summed in
 * ascending order. Whether anything changed. */
static gboolean
plain_steer (const SaeNet *net, const SaeEdits *edits, const float *x, float *y)
{
  g_autofree float *latents = g_new (float, net->d_sae);
  g_autofree float *sum = g_new0 (float, net->d_out);
  float scale = sample_scale (net, x);
  gboolean changed = FALSE;

  sample_encode (net, x, latents);
  for (guint i = 0; i < net->d_sae; i++) {
    double times, offset, min, max;
    float value, difference;
    sae_edits_get (edits, i, &times, &offset, &min, &max);
    value = fmaf (latents[i], (float) times, (float) offset);
    value = fminf (fmaxf (value, (float) min), (float) max);
    difference = value - latents[i];
    if (difference == 0)
      continue;
    changed = TRUE;
    for (guint j = 0; j < net->d_out; j++)
      sum[j] =
          fmaf (difference, net->W_dec[(gsize) i * net->d_out + j], sum[j]);
  }
  changed = changed && scale != 0; /* a row of zeros stays one */
  for (guint j = 0; j < net->d_out; j++)
    y[j] = changed ? x[j] + scale * sum[j] : x[j];
  return changed;
}

static SaeEdits *
random_edits (Noise *noise, guint d_sae, guint n)
{
  SaeEdits *edits = sae_edits_new ();

  for (guint e = 0; e < n; e++) {
    guint latent = noise_below (noise, d_sae);
    switch (noise_below (noise, 5)) {
      case 0:
        sae_edits_set (edits, latent, 0, 0);
        break;
      case 1:
        sae_edits_set (edits, latent, 1, noise_normal (noise));
        break;
      case 2:
        sae_edits_set (edits, latent, noise_normal (noise),
            noise_normal (noise));
        break;
      case 3:
        sae_edits_set_range (edits, latent, -INFINITY,
            fabsf (noise_normal (noise)));
        break;
      default:
        sae_edits_set (edits, latent, 3, -1);
        sae_edits_set_range (edits, latent, 0.25, 2);
    }
  }
  return edits;
}

static GBytes *
steer (SaeModel *model, GBytes *x, const SaeEdits *edits)
{
  g_autoptr (GError) error = NULL;
  GBytes *y = sae_model_steer (model, x, edits, &error);

  g_assert_no_error (error);
  return y;
}

static void
expect_plain (SaeModel *model, const SaeEdits *edits, GBytes *x)
{
  gsize n = g_bytes_get_size (x) / sizeof (float) / D;
  const float *rows = g_bytes_get_data (x, NULL);
  g_autofree float *want = g_new (float, n *D);
  g_autoptr (GBytes) y = steer (model, x, edits);
  guint n_changed = 0;

  for (gsize r = 0; r < n; r++)
    if (plain_steer (sae_model_get_net (model), edits, rows + r * D,
            want + r * D))
      n_changed++;
  expect_same_bits ("y", g_bytes_get_data (y, NULL), want, n * D);
  g_assert_true ((y == x) == (n_changed == 0));
}

static void
test_formula (void)
{
  static const guint n_edits[] = {0, 1, 2, 5, 40, 400};
  static const gsize n_rows[] = {0, 1, 5, 70};
  Noise noise = noise_new ();

  for (guint rule = 0; rule < G_N_ELEMENTS (rules); rule++)
    for (guint e = 0; e < G_N_ELEMENTS (n_edits); e++)
      for (guint r = 0; r < G_N_ELEMENTS (n_rows); r++) {
        g_autoptr (SaeModel) model = sample_model (&noise, &rules[rule].config);
        g_autoptr (SaeEdits) edits = random_edits (&noise, F, n_edits[e]);
        g_autoptr (GBytes) x = sample_rows (&noise, n_rows[r], D);
        expect_with ("%s, %u edits, %zu rows", rules[rule].name, n_edits[e],
            n_rows[r]);
        expect_plain (model, edits, x);
      }
}

/* Numbers that make ties, zeros and denormals. */
static void
test_other_numbers (void)
{
  static const NoiseKind kinds[] = {NOISE_INTEGERS, NOISE_ZEROS, NOISE_TINY};
  Noise noise = noise_new ();

  for (guint rule = 0; rule < G_N_ELEMENTS (rules); rule++)
    for (guint k = 0; k < G_N_ELEMENTS (kinds); k++) {
      g_autoptr (SaeModel) model =
          sample_model_of (&noise, kinds[k], &rules[rule].config);
      g_autoptr (SaeEdits) edits = random_edits (&noise, F, 12);
      g_autoptr (GBytes) x = sample_floats (&noise, kinds[k], 40 * D);
      expect_with ("%s of %s", rules[rule].name, noise_kind_name (kinds[k]));
      expect_plain (model, edits, x);
    }
}

/* Which rows change is told, and their number; the others keep their bits,
 * negative zeros among them. */
static void
test_untouched_rows (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) model = sample_model (&noise, &rules[0].config);
  g_autoptr (SaeEdits) edits = sae_edits_new ();
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_autofree float *x = g_new (float, 200 * D);
  g_autofree float *latents = g_new (float, F);
  const float *deltas;
  const guint8 *changed;
  gsize n_changed, want = 0;
  guint active = 0;

  noise_fill (&noise, NOISE_UNIFORM, x, 200 * D);
  for (guint r = 0; r < 200; r++)
    x[r * D] = -0.0f;
  sample_encode (sae_model_get_net (model), x, latents);
  while (latents[active] == 0)
    active++;
  sae_edits_set (edits, active, 0, 0);
  g_assert_true (sae_model_steer_rows (model, workspace, edits, x, 200, &deltas,
      &changed, &n_changed, NULL));
  for (guint r = 0; r < 200; r++) {
    sample_encode (sae_model_get_net (model), x + r * D, latents);
    g_assert_cmpuint (changed[r], ==, latents[active] > 0);
    want += latents[active] > 0;
  }
  g_assert_cmpuint (n_changed, ==, want);
  g_assert_cmpuint (want, >, 0);
  g_assert_cmpuint (want, <, 200);
}

/* The same bits whichever rows are beside it, and with any threads. */
static void
test_same_bits (void)
{
  Noise noise = noise_new ();

  for (guint rule = 0; rule < G_N_ELEMENTS (rules); rule++) {
    g_autoptr (SaeModel) model = sample_model (&noise, &rules[rule].config);
    g_autoptr (SaeEdits) edits = random_edits (&noise, F, 9);
    g_autoptr (GBytes) x = sample_rows (&noise, 150, D);
    g_autoptr (GBytes) y = steer (model, x, edits);
    const float *want = g_bytes_get_data (y, NULL);
    for (guint threads = 1; threads <= 3; threads++) {
      g_autoptr (SaeWorkspace) workspace = sae_workspace_new (threads);
      for (gsize first = 0, n = 1; first < 150; first += n, n = n * 3 + 1) {
        const float *rows = (const float *) g_bytes_get_data (x, NULL);
        const float *deltas;
        const guint8 *changed;
        gsize n_rows = MIN (n, 150 - first), n_changed;
        g_assert_true (sae_model_steer_rows (model, workspace, edits,
            rows + first * D, n_rows, &deltas, &changed, &n_changed, NULL));
        for (gsize r = 0; r < n_rows; r++)
          for (guint j = 0; j < D; j++) {
            float got = rows[(first + r) * D + j];
            if (changed[r])
              got += deltas[r * D + j];
            expect_same_bits ("y", &got, want + (first + r) * D + j, 1);
          }
      }
    }
  }
}

/* --- what goes wrong ------------------------------------------------------ */

static void
test_refusals (void)
{
  Noise noise = noise_new ();
  SaeConfig wide = {D, D + 1, F, K, SAE_SPARSITY_TOP_K};
  g_autoptr (SaeModel) model = sample_model (&noise, &rules[0].config);
  g_autoptr (SaeModel) transcoder = sample_model (&noise, &wide);
  g_autoptr (SaeEdits) edits = sae_edits_new_from_text ("3:*0,160:*0", NULL);
  g_autoptr (GBytes) x = sample_rows (&noise, 2, D);
  g_autoptr (GBytes) half = g_bytes_new_from_bytes (x, 0, D * 4 + 2);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_steer (model, x, edits, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "latents: expected indices below dict-size 160, got 160");
  sae_edits_remove (edits, 160);
  g_assert_null (sae_model_steer (transcoder, x, edits, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "transcoder from 24 to 25");
  g_assert_null (sae_model_steer (model, half, edits, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "whole rows of 24");
}

/* Refused, or left alone and counted; and so is what becomes infinite. */
static void
test_nonfinite (void)
{
  Noise noise = noise_new ();

  for (guint rule = 0; rule < G_N_ELEMENTS (rules); rule++) {
    g_autoptr (SaeModel) model = sample_model (&noise, &rules[rule].config);
    g_autoptr (SaeEdits) edits = sae_edits_new_from_text ("3:=2", NULL);
    g_autoptr (SaeEdits) huge = sae_edits_new ();
    g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
    g_autoptr (GError) error = NULL;
    float x[4 * D];
    const float *deltas;
    const guint8 *changed;
    gsize n_changed;

    expect_with ("%s", rules[rule].name);
    for (guint i = 0; i < F; i++)
      sae_edits_set (huge, i, 0, 3.4e38);
    noise_fill (&noise, NOISE_UNIFORM, x, 4 * D);
    x[D + 3] = NAN;
    x[3 * D] = -INFINITY;
    g_assert_false (sae_model_steer_rows (model, workspace, edits, x, 4,
        &deltas, &changed, &n_changed, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE,
        "in 2 of 4 rows or what their edits come to, first in row 1");
    g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 0);
    sae_workspace_set_zero_nonfinite (workspace, TRUE);
    g_assert_true (sae_model_steer_rows (model, workspace, edits, x, 4, &deltas,
        &changed, &n_changed, &error));
    assert_same_memory (changed, 4, "\1\0\1\0", 4);
    g_assert_cmpuint (n_changed, ==, 2);
    g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 2);
    g_assert_true (sae_model_steer_rows (model, workspace, huge, x, 4, &deltas,
        &changed, &n_changed, &error));
    assert_same_memory (changed, 4, "\0\0\0\0", 4);
    g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 6);
    sae_workspace_set_zero_nonfinite (workspace, FALSE);
    g_assert_false (sae_model_steer_rows (model, workspace, huge, x, 1, &deltas,
        &changed, &n_changed, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, "in 1 of 1 rows");
  }
}

/* What overflows where it is added is refused as well. */
static void
test_sums (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) model = sample_model (&noise, &rules[0].config);
  const float *w = sae_model_get_net (model)->W_dec + 3 * D;
  g_autoptr (SaeEdits) edits = sae_edits_new_from_text ("3:+1e38", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) x = NULL;
  float values[2 * D] = {0};

  values[D] = w[0] < 0 ? -FLT_MAX : FLT_MAX;
  x = g_bytes_new (values, sizeof values);
  g_assert_null (sae_model_steer (model, x, edits, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE,
      "the edits of row 1 come to an infinity");
}

/* Rows that are not finite are refused by encoding as before. */
static void
test_leaves_the_workspace (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeModel) model = sample_model (&noise, &rules[0].config);
  g_autoptr (SaeEdits) edits = sae_edits_new_from_text ("3:=2", NULL);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  g_autoptr (GError) error = NULL;
  float x[D] = {NAN}, x_hat[D];
  const float *deltas;
  const guint8 *changed;
  gsize n_changed;

  g_assert_false (sae_model_steer_rows (model, workspace, edits, x, 1, &deltas,
      &changed, &n_changed, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, "steer");
  g_assert_false (
      sae_model_forward_rows (model, workspace, x, 1, x_hat, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, "encode");
}

static void
test_forward_rows (void)
{
  Noise noise = noise_new ();
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);

  for (guint rule = 0; rule < G_N_ELEMENTS (rules); rule++) {
    g_autoptr (SaeModel) model = sample_model (&noise, &rules[rule].config);
    g_autoptr (GBytes) x = sample_rows (&noise, 90, D);
    g_autoptr (GBytes) want = sae_model_forward (model, x, NULL, NULL);
    g_autofree float *x_hat = g_new (float, 90 * D);
    g_assert_true (sae_model_forward_rows (model, workspace,
        g_bytes_get_data (x, NULL), 90, x_hat, NULL));
    expect_same_bits ("x_hat", x_hat, g_bytes_get_data (want, NULL), 90 * D);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/steer/formula", test_formula);
  g_test_add_func ("/steer/other-numbers", test_other_numbers);
  g_test_add_func ("/steer/untouched-rows", test_untouched_rows);
  g_test_add_func ("/steer/same-bits", test_same_bits);
  g_test_add_func ("/steer/refusals", test_refusals);
  g_test_add_func ("/steer/nonfinite", test_nonfinite);
  g_test_add_func ("/steer/nonfinite-sums", test_sums);
  g_test_add_func ("/steer/leaves-the-workspace", test_leaves_the_workspace);
  g_test_add_func ("/steer/forward-rows", test_forward_rows);
  return g_test_run ();
}
