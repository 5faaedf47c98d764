/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The moving average of the weights, and the dictionary that a run shows. */
#include "average.h"

#include <math.h>
#include <string.h>

#include "expect.h"
#include "model.h"
#include "published.h"
#include "sample-run.h"
#include "sample-trainer.h"

#define D 12
#define D_SAE 40
#define ROWS 20
#define STEPS 100
#define EVERY 8 /* steps between two that are averaged */

/* --- the average ---------------------------------------------------------- */

static SaeTrainerOptions
options_of (gint64 average)
{
  SaeTrainerOptions o = sample_options (D, D_SAE, 4);

  o.learning_rate = 5e-3;
  o.average = average;
  return o;
}

static void
step (SaeRun *run, Noise *noise)
{
  g_autoptr (GBytes) x = sparse_rows (noise, ROWS, D, 1);

  sample_step (run, g_bytes_get_data (x, NULL), ROWS);
}

/* Σ share·w over the steps that were averaged, each share what the later ones
 * left of 1 − exp (−rows between / horizon). */
static void
check_closed_form (gint64 average)
{
  Noise noise = noise_new ();
  SaeTrainerOptions options = options_of (average);
  SaeRun *run = sample_run (&options);
  double want[D_SAE * D] = {0};

  for (guint t = 1; t <= STEPS; t++) {
    double horizon = average > 0 ? (double) average : 0.1 * t * ROWS;
    double share = t == EVERY ? 1 : 1 - exp (-EVERY * ROWS / horizon);
    step (run, &noise);
    for (guint j = 0; t % EVERY == 0 && j < D_SAE * D; j++)
      want[j] = (1 - share) * want[j] + share * run->net.W_enc[j];
  }
  expect_with ("average %d, seed %u", (int) average, noise.seed);
  /* a dozen steps, each off by a rounding of its share and one of its sum */
  expect_close_to_doubles ("W_enc", run->parameters[SAE_W_ENC].average, want,
      D_SAE * D, 2e-6);
  sae_run_free (run);
}

static void
test_closed_form (void)
{
  check_closed_form (700); /* as given */
  check_closed_form (-1);  /* a tenth of the rows so far */
}

/* What is averaged is not what is trained. */
static void
test_leaves_weights (void)
{
  Noise noise = noise_new (), same = noise;
  SaeTrainerOptions without = options_of (0), with = options_of (-1);
  SaeRun *plain = sample_run (&without), *averaged = sample_run (&with);

  for (guint t = 0; t < STEPS; t++) {
    step (plain, &noise);
    step (averaged, &same);
  }
  g_assert_null (plain->parameters[SAE_W_ENC].average);
  for (guint i = 0; i < SAE_THRESHOLD; i++)
    expect_same_bits ("weights", averaged->parameters[i].w,
        plain->parameters[i].w, plain->parameters[i].n);
  sae_run_free (plain);
  sae_run_free (averaged);
}

/* --- what is shown -------------------------------------------------------- */

static SaeTrainer *
trainer_of (SaeSparsity sparsity, gint64 average)
{
  SaeTrainer *trainer = sae_trainer_new (D, D_SAE, 4);

  g_object_set (trainer, "sparsity", sparsity, "average", average, "batch-size",
      (guint) ROWS, "warmup-rows", (gint64) 0, "n-threads", 1u, NULL);
  return trainer;
}

/* Beyond the rows that the scale is taken from. (transfer full) */
static SaeTrainer *
train (SaeSparsity sparsity, gint64 average)
{
  Noise noise = {.state = 71};
  g_autoptr (GBytes) x = sparse_rows (&noise, 12000, D, 8);
  SaeTrainer *trainer = trainer_of (sparsity, average);

  push_all (trainer, x);
  return trainer;
}

/* A mean of unit vectors is shorter than 1; what is shown is not. */
static void
test_unit_rows (void)
{
  g_autoptr (SaeTrainer) trainer = train (SAE_SPARSITY_TOP_K, -1);
  g_autoptr (SaeModel) model = model_of (trainer);
  const SaeNet *net = sae_model_get_net (model);

  for (guint i = 0; i < D_SAE; i++) {
    double norm2 = 0;
    for (guint j = 0; j < D; j++)
      norm2 += (double) net->W_dec[i * D + j] * net->W_dec[i * D + j];
    expect_within ("norm", sqrt (norm2), 1, 1e-6);
  }
}

/* The average and not the latest weights. */
static void
test_shows_average (void)
{
  Noise noise = noise_new ();
  SaeTrainerOptions options = options_of (700);
  SaeRun *run = sample_run (&options);
  SaeNet net;

  for (guint t = 1; t <= STEPS; t++) {
    step (run, &noise);
    g_assert_true (sae_run_get_published (run, &net, NULL));
    g_assert_true ((net.W_enc == run->net.W_enc) == (t < EVERY));
  }
  expect_same_bits ("W_enc", net.W_enc, run->parameters[SAE_W_ENC].average,
      D_SAE * D);
  expect_same_bits ("b_dec", net.b_dec, run->parameters[SAE_B_DEC].average, D);
  sae_run_free (run);
}

/* Rows come alone afterwards: one threshold for all, in the stream's units. */
static void
test_batch_top_k (void)
{
  g_autoptr (SaeTrainer) trainer = train (SAE_SPARSITY_BATCH_TOP_K, 0);
  g_autoptr (SaeModel) model = model_of (trainer);
  g_autoptr (SaeMetrics) metrics = sae_trainer_get_metrics (trainer);
  const SaeNet *net = sae_model_get_net (model);
  Noise noise = {.state = 72};
  g_autoptr (GBytes) x = sparse_rows (&noise, 4000, D, 8);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, x, NULL);
  double l0;

  g_assert_cmpint (net->sparsity, ==, SAE_SPARSITY_JUMP_RELU);
  g_assert_cmpfloat (metrics->threshold, >, 0.1 * 8);
  for (guint i = 0; i < D_SAE; i++)
    g_assert_cmpfloat (net->threshold[i], ==, (float) metrics->threshold);
  l0 = (double) sae_latents_get_nnz (latents) / 4000;
  expect_within ("l0", l0, 4, 0.4); /* as many as in training, on average */
}

/* Rows that a frozen trainer measures are measured by the model it gives. */
static void
check_frozen (SaeSparsity sparsity, gint64 average)
{
  Noise noise = {.state = 73};
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, 8);
  g_autoptr (SaeTrainer) trainer = train (sparsity, average);
  g_autoptr (SaeModel) model = model_of (trainer);
  g_autoptr (GBytes) before = weights_of (trainer), after = NULL;
  G_GNUC_UNUSED g_autoptr (SaeMetrics) taken =
      sae_trainer_take_metrics (trainer);
  g_autoptr (SaeMetrics) got = NULL, want = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) x_hat = sae_model_forward (model, x, &latents, NULL);

  g_object_set (trainer, "frozen", TRUE, NULL);
  push_all (trainer, x);
  got = sae_trainer_take_metrics (trainer);
  want = sae_measure (x, x_hat, D, latents, NULL);
  expect_with ("rule %d, average %d", sparsity, (int) average);
  g_assert_cmpuint (got->rows, ==, ROWS);
  g_assert_cmpfloat (got->l0, ==, want->l0);
  expect_within ("mse", got->mse, want->mse, 1e-6 * want->mse);
  expect_within ("fvu", got->fvu, want->fvu, 1e-6 * want->fvu);
  expect_within ("l1", got->l1, want->l1, 1e-6 * want->l1);
  after = weights_of (trainer);
  expect_same_bytes ("weights", after, before);
}

static void
test_frozen (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_L1,
      SAE_SPARSITY_JUMP_RELU, SAE_SPARSITY_BATCH_TOP_K};

  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    check_frozen (rules[i], 0);
    check_frozen (rules[i], -1);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/average/in-closed-form", test_closed_form);
  g_test_add_func ("/trainer/average/leaves-the-weights", test_leaves_weights);
  g_test_add_func ("/trainer/published/is-the-average", test_shows_average);
  g_test_add_func ("/trainer/published/averaged-rows-are-unit", test_unit_rows);
  g_test_add_func ("/trainer/published/batch-top-k-as-jump-relu",
      test_batch_top_k);
  g_test_add_func ("/trainer/published/frozen-measures-the-model", test_frozen);
  return g_test_run ();
}
