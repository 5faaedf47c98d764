/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Nested dictionaries: the sizes as text, their reconstructions, and training
 * with them. */
#include "../same-memory.h"
#include "prefixes.h"

#include <math.h>
#include <string.h>

#include "expect.h"
#include "model.h"
#include "sample-run.h"
#include "sample-trainer.h"

#define D 7
#define D_SAE 60
#define ROWS 70 /* more than one task */
#define WIDTH 16

typedef struct {
  const char *text;
  guint n, sizes[SAE_MAX_PREFIXES];
} Parsed;

static void
test_parse (void)
{
  const Parsed good[] = {{"", 0, {0}}, {"320", 1, {320}}, {"1", 2, {1, 320}},
      {"40,120,320", 3, {40, 120, 320}}, {" 40 , 120 ", 3, {40, 120, 320}},
      {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,320", 16,
          {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 320}},
      {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", 16,
          {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 320}}};

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (GError) error = NULL;
    guint sizes[SAE_MAX_PREFIXES], n = 99;
    g_assert_true (sae_prefixes_parse (good[i].text, 320, sizes, &n, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (n, ==, good[i].n);
    assert_same_memory (sizes, n * sizeof *sizes, good[i].sizes,
        n * sizeof *sizes);
  }
}

/* The error names what was expected and what was there. */
static void
test_refuse (void)
{
  static const char *const bad[] = {"0", "0,5", "5,5", "9,3", "321", "320,321",
      "a", "5,", ",5", "5,,9", ",", " ", "-3", "+3", "5 6", "5;6", "0x10",
      "5.0", "99999999999999999999", "5,6 …",
      "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
      "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,320"};

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *quoted = g_strdup_printf ("got '%s'", bad[i]);
    guint sizes[SAE_MAX_PREFIXES], n;
    g_test_message ("'%s'", bad[i]);
    g_assert_false (sae_prefixes_parse (bad[i], 320, sizes, &n, &error));
    g_assert_nonnull (strstr (error->message, "dict-size 320"));
    expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, quoted);
  }
}

/* Refused at the start: bad sizes, text that is too long to be kept, and rules
 * that have no k. */
static void
test_start_refuses (void)
{
  g_autofree char *filled = g_strnfill (300, '1');
  const char *const texts[] = {"9,3", filled, "8,16"};

  for (guint i = 0; i < 3; i++) {
    g_autoptr (SaeTrainer) trainer = sae_trainer_new (WIDTH, 64, 4);
    g_autoptr (GError) error = NULL;
    g_object_set (trainer, "prefixes", texts[i], "sparsity",
        i == 2 ? SAE_SPARSITY_L1 : SAE_SPARSITY_TOP_K, NULL);
    g_assert_false (sae_trainer_start (trainer, &error));
    expect_error (&error, SAE_ERROR,
        i == 2 ? SAE_ERROR_UNSUPPORTED : SAE_ERROR_SIZE, "prefixes");
  }
}

/* latents[: size] W_dec[: size] + b_dec, densely; whole numbers, so exact. */
static void
expect_prefix (const WholeNet *whole, const SaeSparseRows *latents, guint size,
    const float *got)
{
  for (gsize r = 0; r < ROWS; r++) {
    float want[D];
    memcpy (want, whole->b_dec, sizeof want);
    for (gsize p = latents->offsets[r]; p < latents->offsets[r + 1]; p++)
      for (guint j = 0; latents->index[p] < size && j < D; j++)
        want[j] += latents->value[p] * whole->W_dec[latents->index[p] * D + j];
    expect_with ("prefix %u, row %" G_GSIZE_FORMAT, size, r);
    expect_same_bits ("x_hat", got + r * D, want, D);
  }
}

static void
test_decode (void)
{
  const guint sizes[] = {1, 20, 21, D_SAE};
  Noise noise = noise_new ();
  g_auto (WholeNet) whole = whole_net_new (&noise, D, D_SAE, 9);
  g_autofree float *x = whole_numbers (&noise, ROWS * D);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  g_autoptr (GError) error = NULL;
  SaeSparseRows latents;
  float x_hat[4 * ROWS * D];

  sae_net_encode (&whole.net, workspace, x, ROWS, &latents, &error);
  g_assert_no_error (error);
  sae_prefixes_decode (&whole.net, workspace, &latents, sizes, 4, x_hat);
  for (guint p = 0; p < 4; p++)
    expect_prefix (&whole, &latents, sizes[p], x_hat + p * ROWS * D);
}

/* Trains with those prefixes. (transfer full) */
static SaeTrainer *
train (const char *prefixes, SaeSparsity sparsity)
{
  Noise noise = {.state = 61};
  g_autoptr (GBytes) x = sparse_rows (&noise, 3000, WIDTH, 1);
  SaeTrainer *trainer = sae_trainer_new (WIDTH, 100, 5);

  g_object_set (trainer, "prefixes", prefixes, "sparsity", sparsity,
      "batch-size", 60u, "normalize", SAE_NORMALIZE_NONE, "warmup-rows",
      (gint64) 0, "n-threads", 2u, "aux-k", (gint64) 4, "dead-after",
      (guint64) 600, NULL);
  push_all (trainer, x);
  return trainer;
}

/* One prefix that is all of it: as without any, bit for bit. */
static void
test_whole_is_plain (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_BATCH_TOP_K};

  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    g_autoptr (SaeTrainer) nested = train ("100", rules[i]);
    g_autoptr (SaeTrainer) plain = train ("", rules[i]);
    g_autoptr (GBytes) got = weights_of (nested);
    g_autoptr (GBytes) want = weights_of (plain);
    expect_with ("rule %d", rules[i]);
    expect_same_bytes ("weights", got, want);
  }
}

/* fvu of the reconstruction by the first @size latents alone. */
static double
prefix_fvu (SaeModel *model, guint size)
{
  Noise noise = {.state = 62};
  g_autoptr (GBytes) x = sparse_rows (&noise, 1000, WIDTH, 1);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, x, NULL);
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, NULL);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  g_autofree float *kept =
      g_memdup2 (g_bytes_get_data (dense, NULL), g_bytes_get_size (dense));
  float *x_hat = g_new (float, 1000 * WIDTH);
  g_autoptr (GBytes) bytes =
      g_bytes_new_take (x_hat, 1000 * WIDTH * sizeof (float));

  for (gsize r = 0; r < 1000; r++)
    for (guint i = size; i < 100; i++)
      kept[r * 100 + i] = 0;
  g_assert_true (
      sae_model_decode_dense (model, workspace, kept, 1000, x_hat, NULL));
  return sae_fvu (x, bytes, WIDTH);
}

/* The first latents alone explain more than they do without being asked; and
 * rows stay of unit norm. */
static void
test_trains (void)
{
  g_autoptr (SaeTrainer) nested = train ("10,30", SAE_SPARSITY_TOP_K);
  g_autoptr (SaeTrainer) plain = train ("", SAE_SPARSITY_TOP_K);
  g_autoptr (SaeModel) nested_model = model_of (nested);
  g_autoptr (SaeModel) plain_model = model_of (plain);
  const SaeNet *net = sae_model_get_net (nested_model);
  double with = prefix_fvu (nested_model, 10);
  double without = prefix_fvu (plain_model, 10);

  g_test_message ("fvu of 10 latents: %g nested, %g plain", with, without);
  g_assert_cmpfloat (with, <, 0.9 * without);
  for (guint i = 0; i < 100; i++) {
    double norm2 = 0;
    for (guint j = 0; j < WIDTH; j++)
      norm2 += (double) net->W_dec[i * WIDTH + j] * net->W_dec[i * WIDTH + j];
    expect_within ("norm", sqrt (norm2), 1, 1e-6);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/prefixes/reads-sizes", test_parse);
  g_test_add_func ("/trainer/prefixes/bad-text-is-refused-by-name",
      test_refuse);
  g_test_add_func ("/trainer/prefixes/start-refuses", test_start_refuses);
  g_test_add_func ("/trainer/prefixes/decodes-as-dense-products", test_decode);
  g_test_add_func ("/trainer/prefixes/all-of-it-is-plain", test_whole_is_plain);
  g_test_add_func ("/trainer/prefixes/first-latents-explain-more", test_trains);
  return g_test_run ();
}
