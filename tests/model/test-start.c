/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "model.h"

static SaeModel *
start (guint d_in, guint d_sae, SaeSparsity sparsity, guint d_out, guint64 seed,
    SaeInit init)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeConfig) config = sae_config_new (d_in, d_sae, 4);
  SaeModel *model;

  config->sparsity = sparsity;
  config->d_out = d_out;
  model = sae_model_new (config, seed, init, &error);
  g_assert_no_error (error);
  return model;
}

static double
norm (const float *row, gsize d)
{
  double sum = 0;

  for (gsize j = 0; j < d; j++)
    sum += (double) row[j] * row[j];
  return sqrt (sum);
}

static void
expect_norms (const char *what, const float *rows, guint n, guint d,
    double want)
{
  for (guint i = 0; i < n; i++) /* each element is rounded once */
    expect_within (what, norm (rows + (gsize) i * d, d), want, 1e-6 * want);
}

static void
expect_zero_biases (const SaeNet *net)
{
  for (guint i = 0; i < net->d_sae; i++)
    g_assert_cmpfloat (net->b_enc[i], ==, 0);
  for (guint j = 0; j < net->d_out; j++)
    g_assert_cmpfloat (net->b_dec[j], ==, 0);
}

static void
test_tied_top_k (void)
{
  g_autoptr (SaeModel) model =
      start (37, 300, SAE_SPARSITY_TOP_K, 0, 5, SAE_INIT_TIED);
  const SaeNet *net = sae_model_get_net (model);

  expect_norms ("W_dec row", net->W_dec, 300, 37, 1);
  expect_same_bits ("W_enc", net->W_enc, net->W_dec, 300 * 37);
  expect_zero_biases (net);
}

static void
test_tied_l1 (void)
{
  g_autoptr (SaeModel) model =
      start (32, 256, SAE_SPARSITY_L1, 0, 5, SAE_INIT_TIED);
  const SaeNet *net = sae_model_get_net (model);

  expect_norms ("W_dec row", net->W_dec, 256, 32, 1);
  for (gsize i = 0; i < 256 * 32; i++) /* 2·32/256 is a power of two */
    g_assert_cmpfloat (net->W_enc[i], ==, 0.25f * net->W_dec[i]);
  expect_zero_biases (net);
}

/* A transcoder's encoder cannot be its decoder. */
static void
test_tied_transcoder (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_L1,
      SAE_SPARSITY_JUMP_RELU};
  const double gains[] = {1, 2 * 24.0 / 100, 1};

  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    g_autoptr (SaeModel) model =
        start (24, 100, rules[i], 40, 6, SAE_INIT_TIED);
    const SaeNet *net = sae_model_get_net (model);
    expect_norms ("W_dec row", net->W_dec, 100, 40, 1);
    expect_norms ("W_enc row", net->W_enc, 100, 24, gains[i]);
  }
}

/* Dot products of independent directions have mean 0 and variance 1/d. */
static void
test_directions (void)
{
  const guint d = 48, n = 500;
  g_autoptr (SaeModel) model =
      start (d, n, SAE_SPARSITY_TOP_K, 0, 7, SAE_INIT_TIED);
  const float *W = sae_model_get_net (model)->W_dec;
  double sum = 0, sum2 = 0, pairs = n / 2;

  for (guint i = 0; i + 1 < n; i += 2) {
    double product = 0;
    for (guint j = 0; j < d; j++)
      product += (double) W[i * d + j] * W[(i + 1) * d + j];
    sum += product;
    sum2 += product * product;
  }
  expect_within ("mean", sum / pairs, 0, 5 / sqrt (d * pairs));
  expect_within ("variance", d * sum2 / pairs, 1, 5 * sqrt (2 / pairs));
}

/* Uniform in ±limit: mean 0, variance limit²/3. */
static void
check_glorot (const char *what, const float *W, guint n, double limit)
{
  double sum = 0, sum2 = 0, largest = 0;

  for (guint i = 0; i < n; i++) {
    sum += W[i];
    sum2 += (double) W[i] * W[i];
    largest = MAX (largest, fabs (W[i]));
  }
  g_assert_cmpfloat (largest, <=, limit * (1 + 1e-7));
  g_assert_cmpfloat (largest, >, limit * 0.99);
  expect_within (what, sum / n, 0, 5 * limit / sqrt (3.0 * n));
  expect_within (what, sum2 / n, limit * limit / 3,
      5 * limit * limit * sqrt (4.0 / 45 / n));
}

static void
test_glorot (void)
{
  const guint d_in = 40, d_out = 56, d_sae = 300;
  g_autoptr (SaeModel) model =
      start (d_in, d_sae, SAE_SPARSITY_L1, d_out, 8, SAE_INIT_GLOROT);
  const SaeNet *net = sae_model_get_net (model);
  double product = 0, limit_in = sqrt (6.0 / (d_in + d_sae)),
         limit_out = sqrt (6.0 / (d_out + d_sae));

  check_glorot ("W_enc", net->W_enc, (gsize) d_in * d_sae, limit_in);
  check_glorot ("W_dec", net->W_dec, (gsize) d_out * d_sae, limit_out);
  expect_zero_biases (net);
  for (guint i = 0; i < d_sae; i++) /* independent of each other */
    for (guint j = 0; j < d_in; j++)
      product += (double) net->W_enc[i * d_in + j] * net->W_dec[i * d_out + j];
  expect_within ("W_enc·W_dec", product, 0,
      5 * limit_in * limit_out / 3 * sqrt (d_in * d_sae));
}

static void
check_same (const SaeModel *a, const SaeModel *b, gboolean same)
{
  const SaeNet *x = sae_model_get_net ((SaeModel *) a);
  const SaeNet *y = sae_model_get_net ((SaeModel *) b);
  gsize n = (gsize) x->d_in * MIN (x->d_sae, y->d_sae) * sizeof (float);

  g_assert_cmpint (memcmp (x->W_enc, y->W_enc, n) == 0, ==, same);
  g_assert_cmpint (memcmp (x->W_dec, y->W_dec, n) == 0, ==, same);
}

static void
test_seeds (void)
{
  const SaeInit inits[] = {SAE_INIT_TIED, SAE_INIT_GLOROT};

  for (guint i = 0; i < G_N_ELEMENTS (inits); i++) {
    g_autoptr (SaeModel) a = start (20, 90, SAE_SPARSITY_L1, 0, 1, inits[i]);
    g_autoptr (SaeModel) b = start (20, 90, SAE_SPARSITY_L1, 0, 1, inits[i]);
    g_autoptr (SaeModel) c = start (20, 90, SAE_SPARSITY_L1, 0, 2, inits[i]);
    g_autoptr (SaeModel) d =
        start (20, 90, SAE_SPARSITY_L1, 0, G_MAXUINT64, inits[i]);
    check_same (a, b, TRUE);
    check_same (a, c, FALSE);
    check_same (a, d, FALSE);
    check_same (c, d, FALSE);
  }
}

/* Row i comes from the seed and i, whatever the number of latents. */
static void
test_rows_stand_alone (void)
{
  g_autoptr (SaeModel) few =
      start (20, 10, SAE_SPARSITY_TOP_K, 0, 3, SAE_INIT_TIED);
  g_autoptr (SaeModel) many =
      start (20, 90, SAE_SPARSITY_TOP_K, 0, 3, SAE_INIT_TIED);

  check_same (few, many, TRUE);
}

/* The first numbers of seed 1, d 5, d_sae 4, from an implementation of the
 * formulas in Python. */
static const float tied_W_dec[] = {-0x1.316eb80000000p-3f,
    0x1.3029b00000000p-4f, 0x1.0da8740000000p-4f, 0x1.4d03760000000p-1f,
    0x1.79eef80000000p-1f, 0x1.1452f80000000p-6f, 0x1.408c980000000p-1f,
    0x1.70fa340000000p-3f, -0x1.a91b6c0000000p-3f, 0x1.7583fc0000000p-1f,
    0x1.b507ec0000000p-2f, -0x1.ed21920000000p-2f, 0x1.c71daa0000000p-2f,
    0x1.3f07800000000p-1f, -0x1.8b00b60000000p-7f, 0x1.5db6960000000p-7f,
    0x1.25441e0000000p-1f, 0x1.e4d5ce0000000p-5f, 0x1.eb642c0000000p-4f,
    -0x1.9e06d00000000p-1f};
static const float glorot_W_dec[] = {-0x1.9af7220000000p-4f,
    -0x1.407c700000000p-2f, 0x1.2f55400000000p-1f, 0x1.39dd160000000p-1f,
    -0x1.c9d2900000000p-4f, 0x1.5d9c280000000p-4f, -0x1.846d520000000p-2f,
    -0x1.707e900000000p-1f, -0x1.43bbd40000000p-2f, 0x1.4957a80000000p-8f,
    0x1.7007d00000000p-1f, -0x1.fb03c40000000p-2f, 0x1.035fee0000000p-1f,
    -0x1.08fbe60000000p-4f, -0x1.8e9eae0000000p-2f, -0x1.3466ce0000000p-1f,
    -0x1.ba7eee0000000p-5f, 0x1.1094660000000p-4f, 0x1.3b5a3c0000000p-2f,
    0x1.4e482e0000000p-8f};
static const float glorot_W_enc[] = {0x1.420c300000000p-1f,
    -0x1.8eb5be0000000p-2f, -0x1.61cc300000000p-4f, 0x1.642a6c0000000p-2f,
    -0x1.d7697e0000000p-2f, 0x1.3c05ee0000000p-1f, 0x1.0abf300000000p-1f,
    0x1.83ca460000000p-2f, -0x1.ce48400000000p-3f, 0x1.5538f60000000p-4f,
    -0x1.ba6b800000000p-2f, -0x1.642e140000000p-3f, 0x1.54d86a0000000p-1f,
    0x1.54913c0000000p-2f, 0x1.11e1160000000p-1f, 0x1.4acfba0000000p-3f,
    -0x1.da4de00000000p-3f, -0x1.4c122a0000000p-2f, 0x1.57271a0000000p-4f,
    0x1.f497dc0000000p-2f};

/* What a seed means must never change. */
static void
test_seed_1 (void)
{
  g_autoptr (SaeModel) tied =
      start (5, 4, SAE_SPARSITY_TOP_K, 0, 1, SAE_INIT_TIED);
  g_autoptr (SaeModel) glorot =
      start (5, 4, SAE_SPARSITY_TOP_K, 0, 1, SAE_INIT_GLOROT);

  expect_same_bits ("tied W_dec", sae_model_get_net (tied)->W_dec, tied_W_dec,
      20);
  expect_same_bits ("glorot W_dec", sae_model_get_net (glorot)->W_dec,
      glorot_W_dec, 20);
  expect_same_bits ("glorot W_enc", sae_model_get_net (glorot)->W_enc,
      glorot_W_enc, 20);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/start/top-k-is-tied-unit-rows", test_tied_top_k);
  g_test_add_func ("/model/start/l1-encoder-has-its-gain", test_tied_l1);
  g_test_add_func ("/model/start/transcoder-rows-are-unit",
      test_tied_transcoder);
  g_test_add_func ("/model/start/directions-are-uniform", test_directions);
  g_test_add_func ("/model/start/glorot-bounds-and-moments", test_glorot);
  g_test_add_func ("/model/start/same-seed-same-bytes", test_seeds);
  g_test_add_func ("/model/start/rows-do-not-depend-on-others",
      test_rows_stand_alone);
  g_test_add_func ("/model/start/seed-1-is-what-it-was", test_seed_1);
  return g_test_run ();
}
