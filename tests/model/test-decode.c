/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Decoding: the promised bits for codes in any order and of any kind, and
 * nothing done for codes that are not what they should be. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "fault.h"
#include "sample.h"

/* Codes of rows in memory of exactly their size. */
typedef struct {
  gsize n_rows;
  gsize *offsets;
  guint32 *indices;
  float *values;
} Codes;

static void
codes_clear (Codes *codes)
{
  g_free (codes->offsets);
  g_free (codes->indices);
  g_free (codes->values);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Codes, codes_clear)

/* Up to @most entries a row, distinct and ascending. */
static Codes
random_codes (Noise *noise, gsize n_rows, guint d_sae, guint most)
{
  Codes codes = {n_rows, g_new0 (gsize, n_rows + 1),
      g_new (guint32, n_rows * most + 1), g_new (float, n_rows *most + 1)};
  gsize n = 0;

  for (gsize r = 0; r < n_rows; r++) {
    guint left = noise_below (noise, most + 1);
    for (guint i = 0; i < d_sae && left; i++)
      if (noise_below (noise, d_sae - i) < left) {
        codes.indices[n] = i;
        codes.values[n++] = noise_normal (noise);
        left--;
      }
    codes.offsets[r + 1] = n;
  }
  return codes;
}

/* (transfer full) */
static float *
decode (SaeModel *model, SaeWorkspace *workspace, const Codes *codes)
{
  g_autoptr (GError) error = NULL;
  float *x_hat = g_new (float, codes->n_rows *sae_model_get_d_out (model) + 1);

  sae_model_decode_rows (model, workspace, codes->offsets, codes->indices,
      codes->values, codes->n_rows, x_hat, &error);
  g_assert_no_error (error);
  return x_hat;
}

/* The codes as a matrix [n_rows, d_sae]. (transfer full) */
static float *
to_dense (const Codes *codes, guint d_sae)
{
  float *dense = g_new0 (float, codes->n_rows *d_sae + 1);

  for (gsize r = 0; r < codes->n_rows; r++)
    for (gsize p = codes->offsets[r]; p < codes->offsets[r + 1]; p++)
      dense[r * d_sae + codes->indices[p]] += codes->values[p];
  return dense;
}

static void
test_plain (void)
{
  Noise noise = noise_new ();

  for (guint i = 0; i < 60; i++) {
    SaeConfig config = {.d_in = 5,
        .d_out = 1 + noise_below (&noise, 300),
        .d_sae = 1 + noise_below (&noise, 200),
        .k = 1};
    g_autoptr (SaeModel) model = sample_model (&noise, &config);
    g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1 + i % 4);
    g_auto (Codes) codes = random_codes (&noise, noise_below (&noise, 90),
        config.d_sae, 1 + noise_below (&noise, config.d_sae));
    g_autofree float *dense = to_dense (&codes, config.d_sae);
    g_autofree float *got = decode (model, workspace, &codes);
    g_autofree float *want = g_new (float, config.d_out);
    expect_with ("d_out %u, d_sae %u, seed %u", config.d_out, config.d_sae,
        noise.seed);
    for (gsize r = 0; r < codes.n_rows; r++) {
      sample_decode (sae_model_get_net (model), dense + r * config.d_sae, want);
      expect_same_bits ("x_hat", got + r * config.d_out, want, config.d_out);
    }
  }
}

/* n fused multiply-adds and one sum: at most n + 1 roundings of 2^−24, each
 * of at most the sum of the magnitudes (Higham 2002, lemma 3.1). */
static void
test_float64 (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 60, .d_sae = 400, .k = 1};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  const SaeNet *net = sae_model_get_net (model);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_auto (Codes) codes = random_codes (&noise, 50, 400, 100);
  g_autofree float *x_hat = decode (model, workspace, &codes);

  for (gsize r = 0; r < 50; r++)
    for (guint j = 0; j < 60; j++) {
      double sum = net->b_dec[j], magnitudes = fabs (sum);
      gsize n = codes.offsets[r + 1] - codes.offsets[r];
      for (gsize p = codes.offsets[r]; p < codes.offsets[r + 1]; p++) {
        double term =
            (double) codes.values[p] * net->W_dec[codes.indices[p] * 60 + j];
        sum += term;
        magnitudes += fabs (term);
      }
      expect_within ("x_hat", x_hat[r * 60 + j], sum,
          1.001 * (double) (n + 1) * 0x1p-24 * magnitudes);
    }
}

/* Shuffles a row's entries; equal indices keep their order. */
static void
shuffle_row (Noise *noise, Codes *codes, gsize row)
{
  gsize first = codes->offsets[row], n = codes->offsets[row + 1] - first;
  guint32 *index = codes->indices + first;
  float *value = codes->values + first;

  for (gsize swaps = 0; n > 1 && swaps < 4 * n; swaps++) {
    gsize i = noise_below (noise, (guint) n - 1);
    if (index[i] == index[i + 1])
      continue;
    guint32 swapped_index = index[i];
    float swapped_value = value[i];
    index[i] = index[i + 1];
    value[i] = value[i + 1];
    index[i + 1] = swapped_index;
    value[i + 1] = swapped_value;
  }
}

static void
test_any_order (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 70, .d_sae = 300, .k = 1};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);

  guint n = g_test_slow () ? 15000 : 100;

  for (guint i = 0; i < n; i++) {
    g_auto (Codes) codes = random_codes (&noise, 70, 300, 40);
    for (gsize p = 1; i % 2 && p < codes.offsets[70]; p++)
      if (noise_below (&noise, 4) == 0 &&
          codes.indices[p] > codes.indices[p - 1])
        codes.indices[p] = codes.indices[p - 1]; /* still ascending */
    g_autofree float *sorted = decode (model, workspace, &codes);
    for (gsize r = 0; r < 70; r++)
      shuffle_row (&noise, &codes, r);
    g_autofree float *shuffled = decode (model, workspace, &codes);
    expect_with ("seed %u", noise.seed);
    expect_same_bits ("x_hat", shuffled, sorted, 70 * 70);
  }
  fault_report (29, n * 70, n * 70, 0);
}

/* Small integers: v·w + v'·w is exact, so equal to (v + v')·w. */
static void
test_duplicates_add (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 30, .d_sae = 20, .k = 1};
  g_autoptr (SaeModel) model =
      sample_model_of (&noise, NOISE_INTEGERS, &config);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  guint32 indices[100];
  float values[100], summed[20] = {0}, x_hat[30], want[30];

  for (guint i = 0; i < 100; i++) {
    indices[i] = noise_below (&noise, 20);
    values[i] = noise_value (&noise, NOISE_INTEGERS);
    summed[indices[i]] += values[i];
  }
  g_assert_true (sae_model_decode_rows (model, workspace, (gsize[]){0, 100},
      indices, values, 1, x_hat, NULL));
  sample_decode (sae_model_get_net (model), summed, want);
  expect_same_bits ("x_hat", x_hat, want, 30);
}

/* Index 0 with value 0 adds nothing, at the end of a row or within it. */
static void
test_unused_slots (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 30, .d_sae = 20, .k = 1};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  const gsize offsets[] = {0, 2, 6, 11, 14, 14};
  const guint32 indices[] = {3, 7, 3, 7, 0, 0, 0, 3, 0, 7, 0, 0, 0, 0};
  const float values[] = {1, 2, 1, 2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0};
  float x_hat[5 * 30];

  g_assert_true (sae_model_decode_rows (model, workspace, offsets, indices,
      values, 5, x_hat, NULL));
  expect_same_bits ("at the end", x_hat + 30, x_hat, 30);
  expect_same_bits ("within", x_hat + 60, x_hat, 30);
  for (guint row = 3; row < 5; row++)
    expect_same_bits ("nothing but unused", x_hat + 30 * row,
        sae_model_get_net (model)->b_dec, 30);
}

static void
test_dense (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 50, .d_sae = 170, .k = 1};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  const guint sizes[] = {0, 1, 33, 200};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    g_auto (Codes) codes = random_codes (&noise, sizes[i], 170, 60);
    g_autofree float *want = decode (model, workspace, &codes);
    g_autofree float *dense = to_dense (&codes, 170);
    g_autofree float *got = g_new (float, sizes[i] * 50 + 1);
    sae_model_decode_dense (model, workspace, dense, sizes[i], got, &error);
    g_assert_no_error (error);
    expect_same_bits ("x_hat", got, want, (gsize) sizes[i] * 50);
  }
}

/* Refused, and nothing written. */
static void
check_refused (const gsize *offsets, const guint32 *indices, gsize n_rows,
    const char *message)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 3, .d_sae = 10, .k = 1};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  g_autoptr (GError) error = NULL;
  const float values[] = {1, 2, 3, 4};
  float x_hat[12] = {0}, zeros[12] = {0};

  g_assert_false (sae_model_decode_rows (model, workspace, offsets, indices,
      values, n_rows, x_hat, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_FORMAT, message);
  expect_same_bits ("x_hat", x_hat, zeros, 12);
}

static void
test_hostile (void)
{
  check_refused ((gsize[]){0, 2, 4}, (guint32[]){1, 2, 9, 10}, 2,
      "expected indices below dict-size 10, got 10 in row 1");
  check_refused ((gsize[]){0, 2, 4}, (guint32[]){1, G_MAXUINT32, 9, 0}, 2,
      "got 4294967295 in row 0");
  check_refused ((gsize[]){0, 3, 1, 4}, (guint32[]){1, 2, 3, 4}, 3,
      "expected rising offsets, got 1 after 3 in row 1");
  check_refused ((gsize[]){0, G_MAXSIZE, 4}, (guint32[]){1, 2, 3, 4}, 2,
      "expected rising offsets");
}

static void
test_other_size (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 3, .d_sae = 10, .k = 1};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) dense = sample_floats (&noise, NOISE_UNIFORM, 11);
  g_autoptr (SaeLatents) latents = sae_latents_new_from_dense (11, dense, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_decode (model, latents, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "expected 10 of them, got 11");
}

static void
test_forward (void)
{
  const guint sizes[] = {0, 1, 50, 200};
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 21, .d_out = 34, .d_sae = 150, .k = 9};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) x = sample_rows (&noise, sizes[i], 21);
    g_autoptr (SaeLatents) latents = sae_model_encode (model, x, &error);
    g_autoptr (GBytes) x_hat = sae_model_decode (model, latents, &error);
    g_autoptr (SaeLatents) forward_latents = NULL;
    g_autoptr (GBytes) forward =
        sae_model_forward (model, x, &forward_latents, &error);
    g_autoptr (GBytes) alone = sae_model_forward (model, x, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (g_bytes_get_size (x_hat), ==,
        (gsize) sizes[i] * 34 * sizeof (float));
    expect_same_bytes ("forward", forward, x_hat);
    expect_same_bytes ("forward without latents", alone, x_hat);
    g_autoptr (GBytes) a = sae_latents_get_values (latents);
    g_autoptr (GBytes) b = sae_latents_get_values (forward_latents);
    expect_same_bytes ("latents", b, a);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/decode/has-the-promised-bits", test_plain);
  g_test_add_func ("/model/decode/float64-within-the-bound", test_float64);
  g_test_add_func ("/model/decode/any-order-same-bits", test_any_order);
  g_test_add_func ("/model/decode/duplicates-add-up", test_duplicates_add);
  g_test_add_func ("/model/decode/unused-slots-add-nothing", test_unused_slots);
  g_test_add_func ("/model/decode/dense-codes-same-bits", test_dense);
  g_test_add_func ("/model/decode/refuses-hostile-codes", test_hostile);
  g_test_add_func ("/model/decode/refuses-codes-of-another-size",
      test_other_size);
  g_test_add_func ("/model/forward/is-encode-and-decode", test_forward);
  return g_test_run ();
}
