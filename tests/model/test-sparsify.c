/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every option of sparsify's cfg.json, changed in a copy of a folder that
 * sparsify wrote: it changes what comes out, or is refused, or is one of those
 * that change nothing in sparsify's encode() and decode() either. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "model.h"
#include "noise.h"
#include "sae-edits.h"
#include "scratch.h"

#define D_IN 48
#define D_SAE 320
#define N_ROWS 40

static const char *const folders[] = {"sparsify-topk", "sparsify-groupmax"};

static char *
read_golden (const char *folder, const char *name, gsize *size)
{
  g_autofree char *path =
      g_build_filename (g_getenv ("SAE_GOLDENS"), folder, name, NULL);
  char *text;

  g_assert_true (g_file_get_contents (path, &text, size, NULL));
  return text;
}

/* The golden's weights, its cfg.json with @from replaced by @to, once. */
static void
copy_golden (Scratch *scratch, const char *folder, const char *from,
    const char *to)
{
  g_autofree char *config_path = scratch_path (scratch, "cfg.json");
  g_autofree char *weights_path = scratch_path (scratch, "sae.safetensors");
  gsize config_size, weights_size;
  g_autofree char *config = read_golden (folder, "cfg.json", &config_size);
  g_autofree char *weights =
      read_golden (folder, "sae.safetensors", &weights_size);
  g_autofree char *text = g_strndup (config, config_size);
  const char *at = strstr (text, from);
  g_autofree char *changed = NULL;

  g_assert_nonnull (at);
  changed = g_strdup_printf ("%.*s%s%s", (int) (at - text), text, to,
      at + strlen (from));
  scratch_write_text (config_path, changed);
  scratch_write (weights_path, weights, weights_size);
}

/* x_hat of some rows, or NULL. */
static GBytes *
reconstruct (const char *path, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (path, error);
  g_autofree float *x = g_new (float, N_ROWS *D_IN);
  g_autoptr (GBytes) bytes = NULL;
  Noise noise = {.state = 1, .seed = 1}; /* the same each time */

  if (!model)
    return NULL;
  for (gsize i = 0; i < N_ROWS * D_IN; i++)
    x[i] = noise_normal (&noise);
  bytes = g_bytes_new_static (x, N_ROWS * D_IN * sizeof *x);
  return sae_model_forward (model, bytes, NULL, error);
}

typedef enum { CHANGES, REFUSED, SAME } Outcome;

static const struct {
  const char *from, *to;
  Outcome top_k, group_max;
} options[] = {
    {"\"k\": 8", "\"k\": 16", CHANGES, CHANGES},
    {"\"k\": 8", "\"k\": 7", CHANGES, REFUSED}, /* groups of one size */
    {"\"k\": 8", "\"k\": 0", REFUSED, REFUSED},
    {"\"k\": 8", "\"k\": 321", REFUSED, REFUSED},
    {"\"k\": 8, ", "", CHANGES, CHANGES}, /* 32 */
    {"\"transcode\": false", "\"transcode\": true", CHANGES, CHANGES},
    {"\"transcode\": false", "\"transcode\": 0", REFUSED, REFUSED},
    /* there is no W_skip */
    {"\"skip_connection\": false", "\"skip_connection\": true", REFUSED,
        REFUSED},
    {"\"num_latents\": 320", "\"num_latents\": 319", REFUSED, REFUSED},
    {"\"num_latents\": 320", "\"num_latents\": 0", REFUSED, REFUSED},
    {"\"d_in\": 48", "\"d_in\": 24", REFUSED, REFUSED},
    {"\"d_in\": 48", "\"D_in\": 48", REFUSED, REFUSED},
    {"\"activation\": \"", "\"activation\": \"soft", REFUSED, REFUSED},
    {"\"d_in\"", "\"signed\": true, \"d_in\"", REFUSED, REFUSED},
    {"\"d_in\"", "\"signed\": false, \"d_in\"", SAME, SAME},
    {"\"d_in\"", "\"d_out\": 40, \"d_in\"", REFUSED, REFUSED},
    {"\"d_in\"", "\"new_option\": false, \"d_in\"", REFUSED, REFUSED},
    /* num_latents counts */
    {"\"expansion_factor\": 32", "\"expansion_factor\": 16", SAME, SAME},
    /* how it was trained */
    {"\"normalize_decoder\": true", "\"normalize_decoder\": false", SAME, SAME},
    {"\"normalize_decoder\": true", "\"normalize_decoder\": 1", REFUSED,
        REFUSED},
    {"\"multi_topk\": false", "\"multi_topk\": true", SAME, SAME},
};

static void
check_option (Scratch *scratch, guint i, guint folder, GBytes *whole)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) x_hat = NULL;
  Outcome expected = folder == 0 ? options[i].top_k : options[i].group_max;

  copy_golden (scratch, folders[folder], options[i].from, options[i].to);
  expect_with ("%s, %s for %s", folders[folder], options[i].to,
      options[i].from);
  x_hat = reconstruct (scratch->path, &error);
  if (expected == REFUSED) {
    g_assert_null (x_hat);
    g_assert_nonnull (strstr (error->message, scratch->path));
    return;
  }
  g_assert_no_error (error);
  if (expected == SAME)
    expect_same_bytes ("x_hat", x_hat, whole);
  else
    g_assert_false (g_bytes_equal (x_hat, whole));
}

static void
test_options (Scratch *scratch, gconstpointer data)
{
  for (guint folder = 0; folder < G_N_ELEMENTS (folders); folder++) {
    g_autoptr (GBytes) whole = NULL;
    copy_golden (scratch, folders[folder], "\"k\": 8", "\"k\": 8");
    whole = reconstruct (scratch->path, NULL);
    g_assert_nonnull (whole);
    for (guint i = 0; i < G_N_ELEMENTS (options); i++)
      check_option (scratch, i, folder, whole);
  }
}

/* Another activation is another rule. */
static void
test_activation (Scratch *scratch, gconstpointer data)
{
  g_autoptr (GBytes) top_k = NULL, group_max = NULL;

  copy_golden (scratch, folders[0], "\"topk\"", "\"topk\"");
  top_k = reconstruct (scratch->path, NULL);
  copy_golden (scratch, folders[0], "\"topk\"", "\"groupmax\"");
  group_max = reconstruct (scratch->path, NULL);
  g_assert_nonnull (group_max);
  g_assert_false (g_bytes_equal (top_k, group_max));
}

/* An unknown key is named, and so is where it stands. */
static void
test_unknown_key (Scratch *scratch, gconstpointer data)
{
  GError *error = NULL;

  copy_golden (scratch, folders[0], "\"d_in\"", "\"new_option\": 3, \"d_in\"");
  g_assert_null (sae_model_load (scratch->path, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "cfg.json: new_option: not a key of sparsify");
}

/* num_latents 0 stands for expansion_factor · d_in. */
static void
test_num_latents (Scratch *scratch, gconstpointer data)
{
  SaeConfig config = {.d_in = 3, .d_sae = 6, .k = 2, .pre_bias = TRUE};
  g_autoptr (SaeModel) model = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) loaded = NULL;
  g_autofree char *path = scratch_path (scratch, "cfg.json");
  g_autoptr (GError) error = NULL;

  sae_model_save_as (model, scratch->path, "sparsify", &error);
  g_assert_no_error (error);
  scratch_write_text (path,
      "{\"d_in\": 3, \"num_latents\": 0, \"expansion_factor\": 2, \"k\": 2}");
  loaded = sae_model_load (scratch->path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_model_get_d_sae (loaded), ==, 6);
  scratch_write_text (path, "{\"d_in\": 3, \"expansion_factor\": 99999999}");
  g_assert_null (sae_model_load (scratch->path, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "expansion_factor");
}

/* x_hat = latents W_dec + b_dec + x W_skipᵀ, d_out other than d_in; what is
 * written comes back, and codes cannot be decoded. */
static void
test_skip (Scratch *scratch, gconstpointer data)
{
  static const float W_skip[2 * 3] = {1, 2, 3, 0.5f, 0, -1};
  static const float x[2 * 3] = {1, 0, 2, -1, 4, 0.25f};
  SaeConfig config = {.d_in = 3, .d_out = 2, .d_sae = 5, .k = 2};
  g_autoptr (SaeModel) plain = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (GBytes) weights = g_bytes_new_static (W_skip, sizeof W_skip);
  g_autoptr (GBytes) rows = g_bytes_new_static (x, sizeof x);
  g_autoptr (GBytes) without = sae_model_forward (plain, rows, NULL, NULL);
  const float *base = g_bytes_get_data (without, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) model = sae_model_with_skip (plain, weights, &error);
  g_autoptr (SaeModel) loaded = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) x_hat = NULL;
  const float want[4] = {base[0] + 7, base[1] - 1.5f, base[2] + 7.75f,
      base[3] - 0.75f};

  g_assert_no_error (error);
  sae_model_save_as (model, scratch->path, "sparsify", &error);
  g_assert_no_error (error);
  loaded = sae_model_load (scratch->path, &error);
  g_assert_no_error (error);
  x_hat = sae_model_forward (loaded, rows, &latents, &error);
  g_assert_no_error (error);
  expect_close ("x_hat", g_bytes_get_data (x_hat, NULL), want, 4, 1e-6);
  g_assert_null (sae_model_decode (loaded, latents, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "W_skip");
  g_assert_false (sae_model_save (model, scratch->path, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "layout 'saelens'");
}

/* The same bits however the rows are cut, and whatever the threads. */
static void
test_skip_is_the_same_in_pieces (void)
{
  enum { D = 71, OUT = 130, N = 100 };
  SaeConfig config = {.d_in = D, .d_out = OUT, .d_sae = 64, .k = 4};
  Noise noise = noise_new ();
  g_autofree float *W_skip = g_new (float, D *OUT), *x = g_new (float, N *D);
  g_autoptr (SaeModel) plain = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (GBytes) weights = NULL, rows = NULL, whole = NULL;
  g_autoptr (SaeModel) model = NULL;

  noise_fill (&noise, NOISE_UNIFORM, W_skip, D * OUT);
  noise_fill (&noise, NOISE_UNIFORM, x, N * D);
  weights = g_bytes_new_static (W_skip, D * OUT * sizeof (float));
  model = sae_model_with_skip (plain, weights, NULL);
  rows = g_bytes_new_static (x, N * D * sizeof (float));
  whole = sae_model_forward (model, rows, NULL, NULL);
  for (gsize at = 0, n; at < N; at += n) {
    n = 1 + noise_below (&noise, 40); /* MIN() would draw twice */
    n = MIN (n, N - at);
    g_autoptr (GBytes) piece =
        g_bytes_new_static (x + at * D, n * D * sizeof (float));
    g_autoptr (GBytes) x_hat = sae_model_forward (model, piece, NULL, NULL);
    expect_same_bits ("piece", g_bytes_get_data (x_hat, NULL),
        (const float *) g_bytes_get_data (whole, NULL) + at * OUT, n * OUT);
  }
}

/* A row that is taken for one without latents is b_dec, with a skip connection
 * too. */
static void
test_a_bad_row_skips_nothing (void)
{
  SaeConfig config = {.d_in = 3, .d_out = 2, .d_sae = 5, .k = 2};
  g_autoptr (SaeModel) plain = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  const float ones[6] = {1, 1, 1, 1, 1, 1};
  const float x[6] = {1, __builtin_nanf (""), 1, 1, 0, 1};
  g_autoptr (GBytes) weights = g_bytes_new_static (ones, sizeof ones);
  g_autoptr (SaeModel) model = sae_model_with_skip (plain, weights, NULL);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  float x_hat[4];

  sae_workspace_set_zero_nonfinite (workspace, TRUE);
  g_assert_true (sae_model_forward_rows (model, workspace, x, 2, x_hat, NULL));
  g_assert_cmpuint (sae_workspace_get_n_nonfinite (workspace), ==, 1);
  g_assert_cmpfloat (x_hat[0], ==, 0); /* b_dec */
  g_assert_cmpfloat (x_hat[1], ==, 0);
  g_assert_true (isfinite (x_hat[2]) && x_hat[2] != 0);
}

static void
test_wrong_skip (void)
{
  SaeConfig config = {.d_in = 3, .d_out = 2, .d_sae = 5, .k = 2};
  g_autoptr (SaeModel) model = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  const float nan[6] = {0, 0, 0, __builtin_nanf (""), 0, 0};
  g_autoptr (GBytes) small = g_bytes_new_static (nan, 5 * sizeof *nan);
  g_autoptr (GBytes) bad = g_bytes_new_static (nan, sizeof nan);
  GError *error = NULL;

  g_assert_null (sae_model_with_skip (model, small, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "W_skip: expected [2, 3]");
  g_assert_null (sae_model_with_skip (model, bad, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_NON_FINITE, "W_skip");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/model/sparsify/every-option-counts", test_options);
  scratch_add ("/model/sparsify/activation-is-the-rule", test_activation);
  scratch_add ("/model/sparsify/unknown-keys-are-named", test_unknown_key);
  scratch_add ("/model/sparsify/no-latents-are-an-expansion", test_num_latents);
  scratch_add ("/model/skip/adds-to-the-reconstruction", test_skip);
  g_test_add_func ("/model/skip/same-bits-in-pieces",
      test_skip_is_the_same_in_pieces);
  g_test_add_func ("/model/skip/a-bad-row-skips-nothing",
      test_a_bad_row_skips_nothing);
  g_test_add_func ("/model/skip/wrong-weights-are-refused", test_wrong_skip);
  return g_test_run ();
}
