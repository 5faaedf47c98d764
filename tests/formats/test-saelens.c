/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "../same-memory.h"
#include "atomic-write.h"
#include "saelens.h"
#include "safetensors.h"
#include "scratch.h"

/* --- what SAELens wrote --- */

enum { D_IN = 48, D_SAE = 320 };

/* The bytes of a tensor, found by reading the header as plain text: nothing
 * of the code under test is involved. */
static float *
raw_tensor (const char *folder, const char *name, gsize n)
{
  g_autofree char *path =
      g_build_filename (folder, "sae_weights.safetensors", NULL);
  g_autofree char *key = g_strdup_printf ("\"%s\":", name);
  g_autofree char *file = NULL, *header = NULL;
  guint64 length, begin;
  const char *at;
  gsize size;

  g_assert_true (g_file_get_contents (path, &file, &size, NULL));
  memcpy (&length, file, 8);
  length = GUINT64_FROM_LE (length);
  header = g_strndup (file + 8, length);
  at = strstr (strstr (header, key), "\"data_offsets\":[");
  begin = g_ascii_strtoull (at + strlen ("\"data_offsets\":["), NULL, 10);
  g_assert_cmpuint (8 + length + begin + 4 * n, <=, size);
  return g_memdup2 (file + 8 + length + begin, 4 * n);
}

static double
row_norm (const float *row)
{
  double sum = 0;
  for (guint j = 0; j < D_IN; j++)
    sum += (double) row[j] * row[j];
  return sqrt (sum);
}

/* W_enc turned round; with rescaling, rows times or divided by the norm of
 * the decoder's row, in float64 and rounded once. */
static void
check_arrays (const SaeDictionary *dictionary, const char *folder,
    gboolean rescale)
{
  g_autofree float *W_enc = raw_tensor (folder, "W_enc", D_IN * D_SAE);
  g_autofree float *W_dec = raw_tensor (folder, "W_dec", D_SAE * D_IN);
  g_autofree float *b_enc = raw_tensor (folder,
      strcmp (dictionary->sparsity, "gated") == 0 ? "b_gate" : "b_enc", D_SAE);
  g_autofree float *b_dec = raw_tensor (folder, "b_dec", D_IN);

  for (guint i = 0; i < D_SAE; i++) {
    double norm = rescale ? row_norm (W_dec + i * D_IN) : 1;
    g_assert_cmpfloat_with_epsilon (dictionary->b_enc[i], b_enc[i] * norm,
        fabs (b_enc[i] * norm) * 0x1p-24);
    for (guint j = 0; j < D_IN; j++) {
      double in = W_enc[j * D_SAE + i] * norm;
      double out = W_dec[i * D_IN + j] / norm;
      g_assert_cmpfloat_with_epsilon (dictionary->W_enc[i * D_IN + j], in,
          fabs (in) * 0x1p-24);
      /* Times 1/norm instead of divided by it: one more rounding. */
      g_assert_cmpfloat_with_epsilon (dictionary->W_dec[i * D_IN + j], out,
          fabs (out) * 0x1.00001p-24);
    }
  }
  assert_same_memory (dictionary->b_dec, 4 * D_IN, b_dec, 4 * D_IN);
}

static void
check_threshold (const SaeDictionary *dictionary, const char *folder)
{
  g_autofree float *threshold = NULL;

  if (strcmp (dictionary->sparsity, "jump-relu") != 0) {
    g_assert_null (dictionary->threshold);
    return;
  }
  threshold = raw_tensor (folder, "threshold", D_SAE);
  assert_same_memory (dictionary->threshold, 4 * D_SAE, threshold, 4 * D_SAE);
}

static void
check_gate (const SaeDictionary *dictionary, const char *folder)
{
  g_autofree float *r_mag = NULL, *b_mag = NULL;

  if (strcmp (dictionary->sparsity, "gated") != 0) {
    g_assert_null (dictionary->r_mag);
    g_assert_null (dictionary->b_mag);
    return;
  }
  r_mag = raw_tensor (folder, "r_mag", D_SAE);
  b_mag = raw_tensor (folder, "b_mag", D_SAE);
  assert_same_memory (dictionary->r_mag, 4 * D_SAE, r_mag, 4 * D_SAE);
  assert_same_memory (dictionary->b_mag, 4 * D_SAE, b_mag, 4 * D_SAE);
}

static char *
golden_path (const char *name)
{
  const char *goldens = g_getenv ("SAE_GOLDENS");
  return g_build_filename (goldens != NULL ? goldens : "tests/goldens", name,
      NULL);
}

static void
test_loads_what_saelens_saved (void)
{
  static const struct {
    const char *name, *sparsity;
    guint k;
    gboolean pre_bias, rescale;
    const char *input_norm;
  } rows[] = {
      {"saelens-gated", "gated", 0, TRUE, FALSE},
      {"saelens-jumprelu", "jump-relu", 0, FALSE, FALSE},
      {"saelens-standard-bdec0", "l1", 0, FALSE, FALSE},
      {"saelens-standard-bdec1", "l1", 0, TRUE, FALSE},
      {"saelens-topk-bdec0-rescale0", "top-k", 8, FALSE, FALSE},
      {"saelens-topk-bdec0-rescale1", "top-k", 8, FALSE, TRUE},
      {"saelens-topk-bdec1-rescale0", "top-k", 8, TRUE, FALSE},
      {"saelens-topk-bdec1-rescale1", "top-k", 8, TRUE, TRUE},
      {"saelens-topk-norm-constant_norm_rescale", "top-k", 8, TRUE, FALSE,
          "constant-norm"},
      {"saelens-topk-norm-expected_average_only_in", "top-k", 8, TRUE, FALSE,
          "expected-average"},
      {"saelens-topk-norm-layer_norm", "top-k", 8, TRUE, FALSE, "layer-norm"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = golden_path (rows[i].name);
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (dictionary->d_in, ==, D_IN);
    g_assert_cmpuint (dictionary->d_out, ==, D_IN);
    g_assert_cmpuint (dictionary->d_sae, ==, D_SAE);
    g_assert_cmpuint (dictionary->k, ==, rows[i].k);
    g_assert_cmpstr (dictionary->sparsity, ==, rows[i].sparsity);
    g_assert_cmpint (dictionary->pre_bias, ==, rows[i].pre_bias);
    check_arrays (dictionary, path, rows[i].rescale);
    check_threshold (dictionary, path);
    check_gate (dictionary, path);
    g_assert_cmpstr (dictionary->input_norm, ==,
        rows[i].input_norm ? rows[i].input_norm : "none");
  }
}

/* --- folders made here --- */

static const char config_text[] =
    "{\"architecture\": \"topk\", \"d_in\": 3, \"d_sae\": 5, \"k\": 2}";

static const float values[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15};

/* Four right tensors, to be spoilt, and room for more. */
typedef struct {
  SaeTensorSource tensors[7];
  guint n_tensors;
} Weights;

static Weights
right_weights (void)
{
  Weights weights = {{{"W_enc", 2, {3, 5}, values},
                         {"W_dec", 2, {5, 3}, values},
                         {"b_enc", 1, {5}, values}, {"b_dec", 1, {3}, values}},
      4};
  return weights;
}

static void
write_folder (Scratch *scratch, const char *config, const Weights *weights)
{
  g_autofree char *config_path = scratch_path (scratch, "cfg.json");
  g_autofree char *path = scratch_path (scratch, "sae_weights.safetensors");
  GError *error = NULL;
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

  scratch_write_text (config_path, config);
  sae_safetensors_write (fd, path, weights->tensors, weights->n_tensors,
      &error);
  g_assert_no_error (error);
  close (fd);
}

static void
check_config_refused (Scratch *scratch, const char *config,
    const Weights *weights, gint code, const char *part)
{
  GError *error = NULL;
  write_folder (scratch, config, weights);
  g_assert_null (sae_layouts_load (scratch->path, &error));
  g_assert_nonnull (strstr (error->message, scratch->path));
  scratch_assert_error (&error, code, part);
}

static void
check_refused (Scratch *scratch, const Weights *weights, gint code,
    const char *part)
{
  check_config_refused (scratch, config_text, weights, code, part);
}

static void
test_refuses_other_tensors_by_name (Scratch *scratch, gconstpointer data)
{
  Weights weights = right_weights ();

  weights.tensors[0].shape[0] = 5;
  weights.tensors[0].shape[1] = 3;
  check_refused (scratch, &weights, SAE_ERROR_SIZE,
      "sae_weights.safetensors: W_enc: expected [3, 5], file has [5, 3]");
  weights = right_weights ();
  weights.tensors[3].shape[0] = 2;
  check_refused (scratch, &weights, SAE_ERROR_SIZE,
      "b_dec: expected [3], file has [2]");
  weights = right_weights ();
  weights.tensors[2] = (SaeTensorSource){"b_enc", 2, {5, 1}, values};
  check_refused (scratch, &weights, SAE_ERROR_SIZE,
      "b_enc: expected [5], file has [5, 1]");
  weights = right_weights ();
  weights.n_tensors = 3;
  check_refused (scratch, &weights, SAE_ERROR_SIZE,
      "b_dec: expected [3], file has no such tensor");
  weights = right_weights ();
  weights.tensors[4] = (SaeTensorSource){"threshold", 1, {5}, values};
  weights.n_tensors = 5;
  check_refused (scratch, &weights, SAE_ERROR_UNSUPPORTED,
      "file also has 'threshold'");
}

static const char jump_config_text[] =
    "{\"architecture\": \"jumprelu\", \"d_in\": 3, \"d_sae\": 5}";

static void
test_jumprelu_needs_its_threshold (Scratch *scratch, gconstpointer data)
{
  static const float spoilt[5] = {1, 2, 3, INFINITY, 5};
  Weights weights = right_weights ();

  check_config_refused (scratch, jump_config_text, &weights, SAE_ERROR_SIZE,
      "threshold: expected [5], file has no such tensor");
  weights.tensors[4] = (SaeTensorSource){"threshold", 1, {3}, values};
  weights.n_tensors = 5;
  check_config_refused (scratch, jump_config_text, &weights, SAE_ERROR_SIZE,
      "threshold: expected [5], file has [3]");
  weights.tensors[4] = (SaeTensorSource){"threshold", 1, {5}, spoilt};
  check_config_refused (scratch, jump_config_text, &weights,
      SAE_ERROR_NON_FINITE, "tensor 'threshold': expected finite");
  weights.tensors[4] = (SaeTensorSource){"log_threshold", 1, {5}, values};
  check_config_refused (scratch, jump_config_text, &weights, SAE_ERROR_SIZE,
      "threshold: expected [5], file has no such tensor");
  weights.tensors[4] = (SaeTensorSource){"threshold", 1, {5}, values};
  weights.tensors[5] = (SaeTensorSource){"s_gate", 1, {5}, values};
  weights.n_tensors = 6;
  check_config_refused (scratch, jump_config_text, &weights,
      SAE_ERROR_UNSUPPORTED,
      "W_enc, W_dec, b_enc, b_dec and threshold, file also has 's_gate'");
}

static void
test_gated_needs_its_tensors (Scratch *scratch, gconstpointer data)
{
  static const char config[] =
      "{\"architecture\": \"gated\", \"d_in\": 3, \"d_sae\": 5}";
  Weights weights = right_weights ();

  check_config_refused (scratch, config, &weights, SAE_ERROR_SIZE,
      "b_gate: expected [5], file has no such tensor");
  weights.tensors[2] = (SaeTensorSource){"b_gate", 1, {5}, values};
  weights.tensors[4] = (SaeTensorSource){"r_mag", 1, {3}, values};
  weights.n_tensors = 5;
  check_config_refused (scratch, config, &weights, SAE_ERROR_SIZE,
      "r_mag: expected [5], file has [3]");
  weights.tensors[4] = (SaeTensorSource){"r_mag", 1, {5}, values};
  check_config_refused (scratch, config, &weights, SAE_ERROR_SIZE,
      "b_mag: expected [5], file has no such tensor");
  weights.tensors[5] = (SaeTensorSource){"b_mag", 1, {5}, values};
  weights.tensors[6] = (SaeTensorSource){"b_enc", 1, {5}, values};
  weights.n_tensors = 7;
  check_config_refused (scratch, config, &weights, SAE_ERROR_UNSUPPORTED,
      "W_enc, W_dec, b_gate, b_dec, r_mag and b_mag, file also has 'b_enc'");
}

static SaeDictionary *
load_folder (Scratch *scratch, const char *config, const Weights *weights)
{
  GError *error = NULL;
  SaeDictionary *dictionary;

  write_folder (scratch, config, weights);
  dictionary = sae_layouts_load (scratch->path, &error);
  g_assert_no_error (error);
  return dictionary;
}

/* One number stands for all thresholds while batch-top-k is trained. */
static void
test_threshold_of_batch_top_k_is_every_latents (Scratch *scratch,
    gconstpointer data)
{
  static const char config[] =
      "{\"architecture\": \"batchtopk\", \"d_in\": 3, \"d_sae\": 5, "
      "\"k\": 1.5, \"rescale_acts_by_decoder_norm\": true}";
  g_autoptr (SaeDictionary) dictionary = NULL;
  Weights weights = right_weights ();

  check_config_refused (scratch, config, &weights, SAE_ERROR_SIZE,
      "topk_threshold: expected [], file has no such tensor");
  weights.tensors[4] = (SaeTensorSource){"topk_threshold", 1, {5}, values};
  weights.n_tensors = 5;
  check_config_refused (scratch, config, &weights, SAE_ERROR_SIZE,
      "topk_threshold: expected [], file has [5]");
  weights.tensors[4] = (SaeTensorSource){"topk_threshold", 0, {0}, values + 6};
  dictionary = load_folder (scratch, config, &weights);
  g_assert_cmpstr (dictionary->sparsity, ==, "jump-relu");
  for (guint i = 0; i < 5; i++)
    g_assert_cmpfloat (dictionary->threshold[i], ==, 7);
  /* the row 1, 2, 3 of W_dec has the norm √14 */
  g_assert_cmpfloat_with_epsilon (dictionary->b_enc[0], sqrt (14), 1e-6);
}

#define OLD_CONFIG(finetuned)                                                  \
  "{\"d_in\": 3, \"d_sae\": 5, \"finetuning_scaling_factor\": " finetuned "}"

/* Rows of W_dec times the factors of their latents. */
static void
test_folds_factors_of_finetuning (Scratch *scratch, gconstpointer data)
{
  static const char *const names[] = {"scaling_factor",
      "finetuning_scaling_factor"};

  for (guint n = 0; n < 2; n++) {
    Weights weights = right_weights ();
    g_autoptr (SaeDictionary) dictionary = NULL;
    weights.tensors[4] = (SaeTensorSource){names[n], 1, {5}, values};
    weights.n_tensors = 5;
    dictionary = load_folder (scratch, OLD_CONFIG ("true"), &weights);
    for (guint i = 0; i < 15; i++)
      g_assert_cmpfloat (dictionary->W_dec[i], ==, values[i] * values[i / 3]);
    g_assert_cmpfloat (dictionary->W_enc[1], ==, values[5]);
  }
}

static void
test_factors_of_finetuning_must_be_meant (Scratch *scratch, gconstpointer data)
{
  static const float ones[5] = {1, 1, 1.000009f, 0.999991f, 1};
  static const float large[5] = {1, 1, 3e38f, 1, 1};
  g_autoptr (SaeDictionary) dictionary = NULL;
  Weights weights = right_weights ();

  check_config_refused (scratch, OLD_CONFIG ("true"), &weights, SAE_ERROR_SIZE,
      "scaling_factor: expected [5], since finetuning_scaling_factor is true");
  weights.tensors[4] = (SaeTensorSource){"scaling_factor", 1, {5}, values};
  weights.n_tensors = 5;
  check_config_refused (scratch, OLD_CONFIG ("false"), &weights,
      SAE_ERROR_UNSUPPORTED,
      "scaling_factor: expected ones, since finetuning_scaling_factor is not");
  weights.tensors[4].data = large;
  check_config_refused (scratch, OLD_CONFIG ("true"), &weights,
      SAE_ERROR_NON_FINITE, "latent 2: its row of W_dec overflows");
  weights.tensors[4].data = ones;
  dictionary = load_folder (scratch, OLD_CONFIG ("false"), &weights);
  assert_same_memory (dictionary->W_dec, sizeof values, values, sizeof values);
  weights.tensors[4].shape[0] = 3;
  check_config_refused (scratch, OLD_CONFIG ("true"), &weights, SAE_ERROR_SIZE,
      "scaling_factor: expected [5], file has [3]");
  weights.tensors[4].shape[0] = 5;
  weights.tensors[5] =
      (SaeTensorSource){"finetuning_scaling_factor", 1, {5}, ones};
  weights.n_tensors = 6;
  check_config_refused (scratch, OLD_CONFIG ("true"), &weights,
      SAE_ERROR_UNSUPPORTED, "file also has 'finetuning_scaling_factor'");
}

static void
test_refuses_non_finite_weights_by_place (Scratch *scratch, gconstpointer data)
{
  float spoilt[15];

  memcpy (spoilt, values, sizeof spoilt);
  for (guint t = 0; t < 4; t++) {
    Weights weights = right_weights ();
    const SaeTensorSource *tensor = &weights.tensors[t];
    g_autofree char *part = g_strdup_printf ("tensor '%s': expected finite "
                                             "float32 values, found %s at [%s]",
        tensor->name, t % 2 ? "an infinity" : "a NaN",
        t == 0   ? "0, 2"
        : t == 1 ? "0, 2"
                 : "2");
    spoilt[2] = t % 2 ? -INFINITY : NAN;
    weights.tensors[t].data = spoilt;
    check_refused (scratch, &weights, SAE_ERROR_NON_FINITE, part);
  }
}

static void
test_refuses_folding_that_overflows (Scratch *scratch, gconstpointer data)
{
  float large[15];
  Weights weights = right_weights ();
  GError *error = NULL;

  for (guint i = 0; i < 15; i++)
    large[i] = 1e30f;
  weights.tensors[0].data = weights.tensors[1].data = large;
  write_folder (scratch,
      "{\"architecture\": \"topk\", \"d_in\": 3, \"d_sae\": 5, \"k\": 2, "
      "\"rescale_acts_by_decoder_norm\": true}",
      &weights);
  g_assert_null (sae_layouts_load (scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_NON_FINITE,
      "latent 0: its weights overflow");
}

/* Row 1 of W_dec is 0: no direction, so its latent must never fire. */
static void
test_folds_a_zero_row_to_a_silent_latent (Scratch *scratch, gconstpointer data)
{
  float with_zeros[15];
  Weights weights = right_weights ();
  g_autoptr (SaeDictionary) dictionary = NULL;
  GError *error = NULL;

  memcpy (with_zeros, values, sizeof with_zeros);
  memset (with_zeros + 3, 0, 3 * sizeof *with_zeros);
  weights.tensors[1].data = with_zeros;
  write_folder (scratch,
      "{\"architecture\": \"topk\", \"d_in\": 3, \"d_sae\": 5, \"k\": 2, "
      "\"rescale_acts_by_decoder_norm\": true}",
      &weights);
  dictionary = sae_layouts_load (scratch->path, &error);
  g_assert_no_error (error);
  g_assert_cmpfloat (dictionary->b_enc[1], ==, 0);
  for (guint j = 0; j < 3; j++) {
    g_assert_cmpfloat (dictionary->W_enc[3 + j], ==, 0);
    g_assert_cmpfloat (dictionary->W_dec[3 + j], ==, 0);
  }
}

/* --- sizes --- */

static void
test_refuses_a_huge_config (Scratch *scratch, gconstpointer data)
{
  Weights weights = right_weights ();
  g_autofree char *path = scratch_path (scratch, "cfg.json");
  GError *error = NULL;

  write_folder (scratch, config_text, &weights);
  g_assert_cmpint (truncate (path, 5000000), ==, 0);
  g_assert_null (sae_layouts_load (scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE,
      "expected at most 1048576 bytes, file has 5000000");
}

/* Sizes of some billion floats, and a file of a few bytes. */
static void
test_sizes_that_the_file_lacks_cost_nothing (Scratch *scratch,
    gconstpointer data)
{
  Weights weights = right_weights ();
  GError *error = NULL;

  write_folder (scratch,
      "{\"architecture\": \"topk\", \"d_in\": 268435456, "
      "\"d_sae\": 268435456, \"k\": 2}",
      &weights);
  g_assert_null (sae_layouts_load (scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE,
      "W_enc: expected [268435456, 268435456], file has [3, 5]");
}

/* --- saving --- */

static SaeDictionary *
make_dictionary (guint d_in, guint d_sae, const char *sparsity, guint k)
{
  SaeDictionary *dictionary = sae_dictionary_new ();

  dictionary->d_in = dictionary->d_out = d_in;
  dictionary->d_sae = d_sae;
  dictionary->k = k;
  dictionary->sparsity = g_strdup (sparsity);
  g_assert_true (sae_dictionary_allocate (dictionary, NULL));
  for (guint i = 0; i < d_in * d_sae; i++) {
    dictionary->W_enc[i] = (float) g_test_rand_double_range (-1, 1);
    dictionary->W_dec[i] = (float) g_test_rand_double_range (-1, 1);
  }
  for (guint i = 0; i < d_sae; i++)
    dictionary->b_enc[i] = (float) g_test_rand_double_range (-1, 1);
  for (guint i = 0; i < d_in; i++)
    dictionary->b_dec[i] = (float) g_test_rand_double_range (-1, 1);
  for (guint i = 0; dictionary->threshold != NULL && i < d_sae; i++)
    dictionary->threshold[i] = (float) g_test_rand_double_range (-1, 1);
  for (guint i = 0; dictionary->r_mag != NULL && i < d_sae; i++) {
    dictionary->r_mag[i] = (float) g_test_rand_double_range (-1, 1);
    dictionary->b_mag[i] = (float) g_test_rand_double_range (-1, 1);
  }
  return dictionary;
}

static void
assert_same (const SaeDictionary *a, const SaeDictionary *b)
{
  gsize d_in = a->d_in, d_sae = a->d_sae;

  g_assert_cmpuint (a->d_in, ==, b->d_in);
  g_assert_cmpuint (a->d_sae, ==, b->d_sae);
  g_assert_cmpuint (a->k, ==, b->k);
  g_assert_cmpstr (a->sparsity, ==, b->sparsity);
  g_assert_cmpint (a->pre_bias, ==, b->pre_bias);
  g_assert_true (memcmp (a->W_enc, b->W_enc, d_in * d_sae * 4) == 0);
  g_assert_true (memcmp (a->W_dec, b->W_dec, d_in * d_sae * 4) == 0);
  g_assert_true (memcmp (a->b_enc, b->b_enc, d_sae * 4) == 0);
  g_assert_true (memcmp (a->b_dec, b->b_dec, d_in * 4) == 0);
  g_assert_true ((a->threshold == NULL) == (b->threshold == NULL));
  if (a->threshold != NULL)
    g_assert_true (memcmp (a->threshold, b->threshold, d_sae * 4) == 0);
  g_assert_true ((a->r_mag == NULL) == (b->r_mag == NULL));
  if (a->r_mag != NULL) {
    g_assert_true (memcmp (a->r_mag, b->r_mag, d_sae * 4) == 0);
    g_assert_true (memcmp (a->b_mag, b->b_mag, d_sae * 4) == 0);
  }
}

static void
test_saved_dictionary_loads_bit_for_bit (Scratch *scratch, gconstpointer data)
{
  static const struct {
    guint d_in, d_sae, k;
    const char *sparsity;
  } rows[] = {{1, 1, 1, "top-k"}, {3, 5, 2, "top-k"}, {16, 33, 7, "top-k"},
      {48, 320, 0, "l1"}, {65, 130, 0, "l1"}, {17, 2, 2, "top-k"},
      {1, 1, 0, "jump-relu"}, {16, 33, 0, "jump-relu"}, {1, 1, 0, "gated"},
      {16, 33, 0, "gated"}};

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (SaeDictionary) dictionary = make_dictionary (rows[i].d_in,
        rows[i].d_sae, rows[i].sparsity, rows[i].k);
    g_autofree char *path = scratch_path (scratch, "out");
    g_autoptr (SaeDictionary) again = NULL;
    GError *error = NULL;
    dictionary->pre_bias = i % 2;
    sae_layouts_save (dictionary, "saelens", path, &error);
    g_assert_no_error (error);
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    assert_same (dictionary, again);
  }
}

static SaeDictionary *
make_transcoder (const char *sparsity, gboolean skip)
{
  SaeDictionary *dictionary = sae_dictionary_new ();

  dictionary->d_in = 5;
  dictionary->d_out = 3;
  dictionary->d_sae = 7;
  dictionary->sparsity = g_strdup (sparsity);
  dictionary->skip = skip;
  g_assert_true (sae_dictionary_allocate (dictionary, NULL));
  for (guint i = 0; i < 35; i++)
    dictionary->W_enc[i] = (float) g_test_rand_double_range (-1, 1);
  for (guint i = 0; i < 21; i++)
    dictionary->W_dec[i] = (float) g_test_rand_double_range (-1, 1);
  for (guint i = 0; skip && i < 15; i++)
    dictionary->W_skip[i] = (float) g_test_rand_double_range (-1, 1);
  dictionary->b_dec[2] = 0.5f;
  return dictionary;
}

static void
test_saved_transcoder_loads_bit_for_bit (Scratch *scratch, gconstpointer data)
{
  for (guint i = 0; i < 4; i++) {
    g_autoptr (SaeDictionary) dictionary =
        make_transcoder (i % 2 ? "jump-relu" : "l1", i >= 2);
    g_autofree char *path = scratch_path (scratch, "out");
    g_autoptr (SaeDictionary) again = NULL;
    GError *error = NULL;
    sae_layouts_save (dictionary, "saelens", path, &error);
    g_assert_no_error (error);
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (again->d_out, ==, 3);
    g_assert_cmpstr (again->sparsity, ==, dictionary->sparsity);
    assert_same_memory (again->W_enc, 140, dictionary->W_enc, 140);
    assert_same_memory (again->W_dec, 84, dictionary->W_dec, 84);
    assert_same_memory (again->b_dec, 12, dictionary->b_dec, 12);
    g_assert_true ((again->W_skip != NULL) == (i / 2));
    if (i / 2)
      assert_same_memory (again->W_skip, 60, dictionary->W_skip, 60);
  }
}

/* What SAELens saved, loaded, saved and loaded again. */
static void
test_metadata_survives_a_round_trip (Scratch *scratch, gconstpointer data)
{
  g_autofree char *golden = golden_path ("saelens-topk-bdec1-rescale1");
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *config = scratch_path (scratch, "out/cfg.json");
  g_autofree char *text = NULL;
  g_autoptr (SaeDictionary) dictionary = sae_layouts_load (golden, NULL);
  g_autoptr (SaeDictionary) again = NULL;
  GError *error = NULL;

  g_hash_table_insert (dictionary->metadata, g_strdup ("hook_name"),
      g_strdup ("layer.3"));
  sae_layouts_save (dictionary, "saelens", path, &error);
  g_assert_no_error (error);
  again = sae_layouts_load (path, &error);
  g_assert_no_error (error);
  assert_same (dictionary, again);
  g_assert_cmpuint (g_hash_table_size (again->metadata), ==, 3);
  g_assert_cmpstr (g_hash_table_lookup (again->metadata, "hook_name"), ==,
      "layer.3");
  g_assert_cmpstr (g_hash_table_lookup (again->metadata, "sae_lens_version"),
      ==, "6.54.12");
  g_assert_true (g_file_get_contents (config, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, "\"rescale_acts_by_decoder_norm\": false"));
}

static void
test_refused_save_leaves_the_old_folder (Scratch *scratch, gconstpointer data)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary (3, 5, "top-k", 2);
  g_autoptr (SaeDictionary) old = make_dictionary (3, 5, "top-k", 2);
  g_autoptr (SaeDictionary) again = NULL;
  g_autofree char *path = scratch_path (scratch, "out");
  GError *error = NULL;

  g_assert_true (sae_layouts_save (old, "saelens", path, &error));
  dictionary->W_dec[4] = INFINITY;
  g_assert_false (sae_layouts_save (dictionary, "saelens", path, &error));
  scratch_assert_error (&error, SAE_ERROR_NON_FINITE,
      "W_dec: expected finite values");
  dictionary->W_dec[4] = 0;
  dictionary->b_dec[0] = NAN;
  g_assert_false (sae_layouts_save (dictionary, "saelens", path, &error));
  scratch_assert_error (&error, SAE_ERROR_NON_FINITE, "b_dec");
  dictionary->d_out = 4;
  g_assert_false (sae_layouts_save (dictionary, "saelens", path, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, "transcoder");
  again = sae_layouts_load (path, &error);
  g_assert_no_error (error);
  assert_same (old, again);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define PATH "/formats/saelens/"
  g_test_add_func (PATH "loads-what-saelens-saved",
      test_loads_what_saelens_saved);
#define ADD(name, test) scratch_add (PATH name, test)
  ADD ("refuses-other-tensors-by-name", test_refuses_other_tensors_by_name);
  ADD ("jumprelu-needs-its-threshold", test_jumprelu_needs_its_threshold);
  ADD ("gated-needs-its-tensors", test_gated_needs_its_tensors);
  ADD ("threshold-of-batch-top-k-is-every-latents",
      test_threshold_of_batch_top_k_is_every_latents);
  ADD ("folds-factors-of-finetuning", test_folds_factors_of_finetuning);
  ADD ("factors-of-finetuning-must-be-meant",
      test_factors_of_finetuning_must_be_meant);
  ADD ("refuses-non-finite-weights-by-place",
      test_refuses_non_finite_weights_by_place);
  ADD ("refuses-folding-that-overflows", test_refuses_folding_that_overflows);
  ADD ("folds-a-zero-row-to-a-silent-latent",
      test_folds_a_zero_row_to_a_silent_latent);
  ADD ("refuses-a-huge-config", test_refuses_a_huge_config);
  ADD ("sizes-that-the-file-lacks-cost-nothing",
      test_sizes_that_the_file_lacks_cost_nothing);
  ADD ("saved-dictionary-loads-bit-for-bit",
      test_saved_dictionary_loads_bit_for_bit);
  ADD ("saved-transcoder-loads-bit-for-bit",
      test_saved_transcoder_loads_bit_for_bit);
  ADD ("metadata-survives-a-round-trip", test_metadata_survives_a_round_trip);
  ADD ("refused-save-leaves-the-old-folder",
      test_refused_save_leaves_the_old_folder);
  return g_test_run ();
}
