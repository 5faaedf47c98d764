/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "fault.h"
#include "sample.h"
#include "scratch.h"

#define D_IN 6
#define D_SAE 10

/* The four arrays of a model of D_IN and D_SAE, one of @missing bytes less. */
static SaeModel *
from_weights (const SaeConfig *config, const gsize missing[4], GError **error)
{
  Noise noise = noise_new ();
  const gsize sizes[4] = {D_SAE * D_IN, D_SAE, D_SAE * D_IN, D_IN};
  GBytes *arrays[4];
  SaeModel *model;

  for (guint i = 0; i < 4; i++) {
    g_autoptr (GBytes) whole = sample_floats (&noise, NOISE_UNIFORM, sizes[i]);
    arrays[i] = g_bytes_new_from_bytes (whole, 0, sizes[i] * 4 - missing[i]);
  }
  model = sae_model_new_from_weights (config, arrays[0], arrays[1], arrays[2],
      arrays[3], error);
  for (guint i = 0; i < 4; i++)
    g_bytes_unref (arrays[i]);
  return model;
}

static void
test_from_weights (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeConfig) config = sae_config_new (D_IN, D_SAE, 3);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeConfig) got = NULL;

  config->ties = SAE_TIES_KEEP_ALL;
  config->pre_bias = TRUE;
  model = from_weights (config, (gsize[4]){0}, &error);
  g_assert_no_error (error);
  got = sae_model_get_config (model);
  assert_same_memory (got, sizeof *got, config, sizeof *config);
  g_assert_cmpuint (sae_model_get_d_in (model), ==, D_IN);
  g_assert_cmpuint (sae_model_get_d_out (model), ==, D_IN);
  g_assert_cmpuint (sae_model_get_d_sae (model), ==, D_SAE);
  g_assert_cmpuint (sae_model_get_k (model), ==, 3);
  g_assert_cmpint (sae_model_get_sparsity (model), ==, SAE_SPARSITY_TOP_K);
}

/* What comes back is what was put in, also when that is gone or changed. */
static void
test_weights_are_copied (void)
{
  float W[4] = {1, 2, 3, 4}, b[2] = {5, 6};
  const float W_was[4] = {1, 2, 3, 4}, b_was[2] = {5, 6};
  g_autoptr (SaeConfig) config = sae_config_new (2, 2, 1);
  g_autoptr (GBytes) weights = g_bytes_new_static (W, sizeof W);
  g_autoptr (GBytes) biases = g_bytes_new_static (b, sizeof b);
  SaeModel *model = sae_model_new_from_weights (config, weights, biases,
      weights, biases, NULL);
  GBytes *(*const getters[]) (SaeModel *) = {sae_model_get_W_enc,
      sae_model_get_b_enc, sae_model_get_W_dec, sae_model_get_b_dec};
  GBytes *arrays[4];

  memset (W, 0, sizeof W);
  memset (b, 0, sizeof b);
  for (guint i = 0; i < 4; i++)
    arrays[i] = getters[i](model);
  sae_model_unref (model);
  for (guint i = 0; i < 4; i++) {
    g_assert_cmpuint (g_bytes_get_size (arrays[i]), ==, i % 2 ? 8 : 16);
    expect_same_bits ("weights", g_bytes_get_data (arrays[i], NULL),
        i % 2 ? b_was : W_was, i % 2 ? 2 : 4);
    g_bytes_unref (arrays[i]);
  }
}

static void
test_wrong_sizes (void)
{
  const char *const messages[] =
      {"W_enc: expected [10, 6] = 240 bytes, got 236",
          "b_enc: expected [1, 10] = 40 bytes, got 36",
          "W_dec: expected [10, 6] = 240 bytes, got 236",
          "b_dec: expected [1, 6] = 24 bytes, got 20"};
  g_autoptr (SaeConfig) config = sae_config_new (D_IN, D_SAE, 3);

  for (guint i = 0; i < 4; i++) {
    g_autoptr (GError) error = NULL;
    gsize missing[4] = {0};
    missing[i] = 4;
    g_assert_null (from_weights (config, missing, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, messages[i]);
  }
}

static void
test_nonfinite_weights (void)
{
  const char *const names[] = {"W_enc", "b_enc", "W_dec", "b_dec"};
  const gsize sizes[] = {60, 10, 60, 6};
  const float bad[] = {NAN, INFINITY, -INFINITY};
  g_autoptr (SaeConfig) config = sae_config_new (D_IN, D_SAE, 3);

  for (guint i = 0; i < 12; i++) {
    g_autoptr (GError) error = NULL;
    float values[4][60] = {{0}};
    GBytes *a[4];
    values[i % 4][sizes[i % 4] - 1] = bad[i / 4];
    for (guint j = 0; j < 4; j++)
      a[j] = g_bytes_new_static (values[j], sizes[j] * 4);
    g_assert_null (
        sae_model_new_from_weights (config, a[0], a[1], a[2], a[3], &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, names[i % 4]);
    for (guint j = 0; j < 4; j++)
      g_bytes_unref (a[j]);
  }
}

/* Neither call may make a model of @config. */
static void
check_refused (SaeConfig config, gint code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_new (&config, 1, SAE_INIT_TIED, &error));
  expect_error (&error, SAE_ERROR, code, message);
  g_assert_null (from_weights (&config, (gsize[4]){0}, &error));
  expect_error (&error, SAE_ERROR, code, message);
}

static void
test_contradictions (void)
{
  static const guint bad_k[] = {0, D_SAE + 1, 1u << 31, G_MAXUINT};
  SaeConfig good = {.d_in = D_IN, .d_sae = D_SAE, .k = 3}, c;

  for (guint i = 0; i < G_N_ELEMENTS (bad_k); i++) {
    g_autofree char *message =
        g_strdup_printf ("top-k: expected 1 to dict-size %d, got %u", D_SAE,
            bad_k[i]);
    c = good, c.k = bad_k[i];
    check_refused (c, SAE_ERROR_SIZE, message);
  }
  fault_report (10, G_N_ELEMENTS (bad_k), G_N_ELEMENTS (bad_k), 0);
  c = good, c.pre_bias = TRUE, c.d_out = 7;
  check_refused (c, SAE_ERROR_SIZE,
      "pre-bias: expected equal input and output sizes, got 6 and 7");
  c = good, c.sparsity = (SaeSparsity) 77;
  check_refused (c, SAE_ERROR_UNSUPPORTED,
      "sparsity: expected a known rule, got 77");
  c = good, c.ties = (SaeTies) 77;
  check_refused (c, SAE_ERROR_UNSUPPORTED,
      "ties: expected a known rule, got 77");
}

/* Sizes that are 0, too large by themselves, or too large together. */
static void
test_boundary_sizes (void)
{
  const guint large[] = {(1u << 28) + 1, 1u << 31, G_MAXUINT};
  SaeConfig good = {.d_in = D_IN, .d_sae = D_SAE, .k = 3}, c;

  c = good, c.d_in = 0;
  check_refused (c, SAE_ERROR_SIZE, "d_in: expected 1 to 268435456, got 0");
  c = good, c.d_sae = 0;
  check_refused (c, SAE_ERROR_SIZE, "d_sae: expected 1 to 268435456, got 0");
  for (guint i = 0; i < G_N_ELEMENTS (large); i++) {
    c = good, c.d_in = large[i];
    check_refused (c, SAE_ERROR_SIZE, "d_in: expected 1 to 268435456");
    c = good, c.d_sae = large[i];
    check_refused (c, SAE_ERROR_SIZE, "d_sae: expected 1 to 268435456");
    c = good, c.d_out = large[i];
    check_refused (c, SAE_ERROR_SIZE, "d_out: expected 1 to 268435456");
  }
  c = good, c.d_in = c.d_sae = 1u << 28; /* 2^58 bytes */
  check_refused (c, SAE_ERROR_NO_SPACE,
      "W_enc [268435456, 268435456]: no memory");
}

static void
test_auto_is_top_k (void)
{
  SaeConfig config = {.d_in = D_IN, .d_sae = D_SAE, .k = 3};
  g_autoptr (SaeModel) model = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) l1 = NULL;

  g_assert_cmpint (sae_model_get_sparsity (model), ==, SAE_SPARSITY_TOP_K);
  config.sparsity = SAE_SPARSITY_L1;
  l1 = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_assert_cmpint (sae_model_get_sparsity (l1), ==, SAE_SPARSITY_L1);
  g_assert_cmpuint (sae_model_get_k (l1), ==, 0);
}

static void
test_metadata (void)
{
  g_autoptr (SaeConfig) config = sae_config_new (D_IN, D_SAE, 3);
  g_autoptr (SaeModel) plain = sae_model_new (config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) one = sae_model_with_metadata (plain, "name", "gpt2");
  g_autoptr (SaeModel) two = sae_model_with_metadata (one, "hook", "resid 8");
  g_autoptr (SaeModel) changed = sae_model_with_metadata (two, "name", "opt");
  g_autoptr (SaeModel) removed = sae_model_with_metadata (two, "name", NULL);
  g_auto (GStrv) none = sae_model_list_metadata (plain);
  g_auto (GStrv) keys = sae_model_list_metadata (two);
  g_auto (GStrv) left = sae_model_list_metadata (removed);

  g_assert_cmpuint (g_strv_length (none), ==, 0);
  g_assert_cmpstrv (keys, ((const char *[]){"hook", "name", NULL}));
  g_assert_cmpstrv (left, ((const char *[]){"hook", NULL}));
  g_assert_null (sae_model_get_metadata (plain, "name"));
  g_assert_cmpstr (sae_model_get_metadata (two, "name"), ==, "gpt2");
  g_assert_cmpstr (sae_model_get_metadata (changed, "name"), ==, "opt");
  g_assert_cmpstr (sae_model_get_metadata (changed, "hook"), ==, "resid 8");
}

static void
test_with_top_k (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 8, .d_sae = 50, .sparsity = SAE_SPARSITY_L1};
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) named = NULL, top = NULL;
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) x = sample_rows (&noise, 30, 8);
  g_autoptr (SaeLatents) latents = NULL;

  named = sae_model_with_metadata (model, "name", "gpt2");
  top = sae_model_with_top_k (named, 4, SAE_TIES_KEEP_ALL, &error);
  g_assert_no_error (error);
  g_assert_true (
      sae_model_get_net (top)->W_enc == sae_model_get_net (model)->W_enc);
  g_assert_cmpstr (sae_model_get_metadata (top, "name"), ==, "gpt2");
  g_assert_cmpuint (sae_model_get_k (top), ==, 4);
  g_assert_cmpint (sae_model_get_net (top)->ties, ==, SAE_TIES_KEEP_ALL);
  latents = sae_model_encode (top, x, &error);
  g_assert_cmpuint (sae_latents_get_nnz (latents), ==, 30 * 4);
  g_assert_null (
      sae_model_with_top_k (model, 0, SAE_TIES_LOWEST_INDEX, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "got 0");
  g_assert_null (
      sae_model_with_top_k (model, 51, SAE_TIES_LOWEST_INDEX, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "got 51");
}

static void
check_same_model (SaeModel *got, SaeModel *want)
{
  const SaeNet *g = sae_model_get_net (got), *w = sae_model_get_net (want);
  g_auto (GStrv) want_keys = sae_model_list_metadata (want);
  g_autoptr (SaeConfig) got_config = sae_model_get_config (got);
  g_autoptr (SaeConfig) want_config = sae_model_get_config (want);

  assert_same_memory (got_config, sizeof *got_config, want_config,
      sizeof *want_config);
  expect_same_bits ("W_enc", g->W_enc, w->W_enc, (gsize) w->d_sae * w->d_in);
  expect_same_bits ("b_enc", g->b_enc, w->b_enc, w->d_sae);
  expect_same_bits ("W_dec", g->W_dec, w->W_dec, (gsize) w->d_sae * w->d_out);
  expect_same_bits ("b_dec", g->b_dec, w->b_dec, w->d_out);
  for (guint i = 0; want_keys[i]; i++)
    g_assert_cmpstr (sae_model_get_metadata (got, want_keys[i]), ==,
        sae_model_get_metadata (want, want_keys[i]));
}

static void
test_save_and_load (Scratch *scratch, gconstpointer data)
{
  Noise noise = noise_new ();
  g_autofree char *path = scratch_path (scratch, "model");

  for (guint i = 0; i < 12; i++) { /* each replaces the one before */
    g_autoptr (GError) error = NULL;
    SaeConfig config = {.d_in = 1 + noise_below (&noise, 30),
        .d_sae = 20 + noise_below (&noise, 100),
        .k = 1 + noise_below (&noise, 20),
        .sparsity = i % 2 ? SAE_SPARSITY_L1 : SAE_SPARSITY_TOP_K,
        .ties = i / 2 % 2 ? SAE_TIES_KEEP_ALL : SAE_TIES_LOWEST_INDEX,
        .pre_bias = i / 4 % 2};
    g_autoptr (SaeModel) plain = sample_model (&noise, &config);
    g_autoptr (SaeModel) model =
        sae_model_with_metadata (plain, "name", "gpt2 \"é\" \\");
    g_assert_true (sae_model_save (model, path, &error));
    g_assert_no_error (error);
    g_autoptr (SaeModel) loaded = sae_model_load (path, &error);
    g_assert_no_error (error);
    check_same_model (loaded, model);
  }
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

/* The path once, and what was expected there. */
static void
test_load_errors (Scratch *scratch, gconstpointer data)
{
  g_autofree char *missing = scratch_path (scratch, "missing");
  g_autofree char *message =
      g_strdup_printf ("%s: no such file or folder", missing);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_load (missing, &error));
  g_assert_cmpstr (error->message, ==, message);
  expect_error (&error, SAE_ERROR, SAE_ERROR_NOT_FOUND, missing);
  g_assert_null (sae_model_load (scratch->path, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, scratch->path);
}

/* A top-k transcoder is none of SAELens'. */
static void
test_save_errors (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "model");
  g_autofree char *file = scratch_path (scratch, "file");
  g_autofree char *below = scratch_path (scratch, "file/model");
  SaeConfig config = {.d_in = 3, .d_out = 4, .d_sae = 5, .k = 2};
  g_autoptr (SaeModel) transcoder =
      sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (sae_model_save (transcoder, path, &error));
  g_assert_nonnull (strstr (error->message, "from 3 to 4"));
  g_clear_error (&error);
  config.d_out = 3;
  scratch_write_text (file, "text");
  model = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_assert_false (sae_model_save (model, below, &error));
  g_assert_nonnull (strstr (error->message, file));
  g_clear_error (&error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  scratch_assert_text (file, "text");
}

/* What is listed as one that can be saved is saved, the rest refused. */
static void
test_save_as (Scratch *scratch, gconstpointer data)
{
  SaeConfig config = {.d_in = 3, .d_sae = 5, .k = 2, .pre_bias = TRUE};
  g_autoptr (SaeModel) model = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_auto (GStrv) layouts = sae_model_list_layouts ();
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (layouts[0], ==, "saelens");
  for (guint i = 0; layouts[i]; i++) {
    g_autofree char *path = scratch_path (scratch, layouts[i]);
    gboolean saved = sae_model_save_as (model, path, layouts[i], &error);
    g_assert_cmpint (saved, ==, sae_model_can_save_as (layouts[i]));
    if (!saved) {
      expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, layouts[i]);
      continue;
    }
    g_assert_no_error (error);
    g_autoptr (SaeModel) loaded = sae_model_load (path, &error);
    g_assert_no_error (error);
    check_same_model (loaded, model);
  }
  g_assert_false (sae_model_can_save_as ("nonsense"));
  g_assert_false (sae_model_save_as (model, scratch->path, "nonsense", &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "'nonsense'");
}

#define N_THREADS 4

typedef struct {
  SaeModel *model;
  GBytes *x;
  GBytes *want;
} Shared;

static gpointer
use_model (gpointer data)
{
  Shared *shared = data;

  for (guint i = 0; i < 2000; i++) {
    g_autoptr (SaeModel) copy =
        sae_model_with_top_k (shared->model, 3, SAE_TIES_LOWEST_INDEX, NULL);
    sae_model_unref (sae_model_ref (shared->model));
    if (i % 100 == 0) {
      g_autoptr (GBytes) got = sae_model_forward (copy, shared->x, NULL, NULL);
      expect_same_bytes ("x_hat", got, shared->want);
    }
  }
  return NULL;
}

static void
test_threads (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 16, .d_sae = 200, .k = 3};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) x = sample_rows (&noise, 100, 16);
  g_autoptr (GBytes) want = sae_model_forward (model, x, NULL, NULL);
  Shared shared = {model, x, want};
  GThread *threads[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("model", use_model, &shared);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
}

/* Bindings look the domain of an error up by its name. */
static void
test_error_domain (void)
{
  g_assert_cmpstr (g_quark_to_string (SAE_ERROR), ==, "sae-error-quark");
}

static void
test_boxed (void)
{
  SaeConfig *config = sae_config_new (3, 5, 2);
  SaeConfig *copy = g_boxed_copy (SAE_TYPE_CONFIG, config);
  SaeModel *model = sae_model_new (copy, 1, SAE_INIT_TIED, NULL);
  SaeModel *same = g_boxed_copy (SAE_TYPE_MODEL, model);

  g_assert_true (same == model);
  g_boxed_free (SAE_TYPE_MODEL, same);
  g_assert_cmpuint (sae_model_get_d_sae (model), ==, 5);
  sae_model_unref (model);
  g_boxed_free (SAE_TYPE_CONFIG, copy);
  sae_config_free (config);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/weights/make-a-model", test_from_weights);
  g_test_add_func ("/model/weights/are-copied", test_weights_are_copied);
  g_test_add_func ("/model/weights/wrong-sizes-are-named", test_wrong_sizes);
  g_test_add_func ("/model/weights/nonfinite-are-refused",
      test_nonfinite_weights);
  g_test_add_func ("/model/config/contradictions-are-refused",
      test_contradictions);
  g_test_add_func ("/model/config/boundary-sizes-are-refused",
      test_boundary_sizes);
  g_test_add_func ("/model/config/auto-is-top-k", test_auto_is_top_k);
  g_test_add_func ("/model/metadata/is-kept-and-removed", test_metadata);
  g_test_add_func ("/model/with-top-k/shares-weights", test_with_top_k);
  scratch_add ("/model/save/loads-back-bit-for-bit", test_save_and_load);
  scratch_add ("/model/load/errors-name-the-path", test_load_errors);
  scratch_add ("/model/save/errors-leave-nothing", test_save_errors);
  scratch_add ("/model/save/as-every-layout", test_save_as);
  g_test_add_func ("/model/threads/share-a-model", test_threads);
  g_test_add_func ("/model/errors/domain-has-its-name", test_error_domain);
  g_test_add_func ("/model/boxed/references-and-copies", test_boxed);
  return g_test_run ();
}
