/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The 24 golden runs: forward pass, losses, gradients and the weights after
 * ten steps, through the parts that a step is made of and through the
 * properties that everybody has.
 *
 * Tolerances are relative to the largest magnitude of a tensor. One float32
 * rounding is 6e-8. A pre-activation is a sum of 48 products in 16 lanes (8
 * roundings), a reconstruction one of at most some 160 active latents (l1):
 * 2e-6 is some 30 roundings. A gradient sums 40 products of two such numbers,
 * one of them a difference that cancels about half of its digits' head: 5e-6.
 * After ten steps of either kind: 1e-5. */
#include <string.h>

#include "expect.h"
#include "gemm.h"
#include "golden.h"
#include "run.h"
#include "sae-trainer.h"

#define FORWARD 2e-6
#define GRADIENT 5e-6
#define WEIGHTS 1e-5

#define N_WEIGHTS 4 /* no thresholds in these runs */

static const char *const parameters[N_WEIGHTS] = {"W_enc", "b_enc", "W_dec",
    "b_dec"};

static void
expect_tensor (const Golden *golden, const char *prefix, guint which,
    const float *got, gsize n, double tolerance)
{
  g_autofree char *name = g_strconcat (prefix, parameters[which], NULL);

  expect_close (name, got, golden_tensor (golden, name, n), n, tolerance);
}

static void
test_forward (gconstpointer data)
{
  const Golden *golden = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) model = golden_start (golden);
  g_autoptr (GBytes) x = golden_rows (golden, 0);
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) x_hat = sae_model_forward (model, x, &latents, &error);
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, &error);

  g_assert_no_error (error);
  expect_close ("latents0", g_bytes_get_data (dense, NULL),
      golden_tensor (golden, "latents0", 40 * 320), 40 * 320, FORWARD);
  expect_close ("x_hat0", g_bytes_get_data (x_hat, NULL),
      golden_tensor (golden, "x_hat0", 40 * 48), 40 * 48, FORWARD);
}

/* Total, mse and l1 of a step, as the golden has them. */
static void
expect_losses (const Golden *golden, guint step, double loss, double mse,
    double l1)
{
  const float *want = golden_tensor (golden, "losses", 30) + 3 * step;
  /* weights after some steps are off by WEIGHTS, the error squared by twice
   * that at most; the first step has only the forward pass behind it */
  double tolerance = step == 0 ? 2 * FORWARD : 2 * WEIGHTS;

  expect_within ("loss", loss, want[0], tolerance * want[0]);
  expect_within ("mse", mse, want[1], tolerance * want[1]);
  expect_within ("l1", l1, want[2], tolerance * want[2]);
}

/* Gradients of W_enc and W_dec, row by row. */
static void
expect_row_gradients (const Golden *golden, const SaeGradients *gradients)
{
  g_autofree float *W_enc = g_new (float, 320 * 48);
  g_autofree float *W_dec = g_new (float, 320 * 48);

  for (guint i = 0; i < 320; i++)
    sae_gradients_row (gradients, i, W_enc + i * 48, W_dec + i * 48);
  expect_tensor (golden, "grad_", 0, W_enc, 320 * 48, GRADIENT);
  expect_tensor (golden, "grad_", 2, W_dec, 320 * 48, GRADIENT);
}

/* The same by blocks of latents, where those are dense. */
static void
expect_block_gradients (const Golden *golden, const SaeGradients *gradients)
{
  g_autofree float *W_enc = g_new (float, 320 * 48);
  g_autofree float *W_dec = g_new (float, 320 * 48);
  g_autofree float *scratch =
      g_new (float, sae_gradients_block_scratch (gradients));

  if (!gradients->dense || !sae_gemm_is_there ())
    return;
  for (guint i = 0; i < 320; i += SAE_GRADIENTS_BLOCK)
    sae_gradients_block (gradients, i, i + SAE_GRADIENTS_BLOCK, scratch,
        W_enc + i * 48, W_dec + i * 48);
  expect_tensor (golden, "grad_", 0, W_enc, 320 * 48, GRADIENT);
  expect_tensor (golden, "grad_", 2, W_dec, 320 * 48, GRADIENT);
}

static void
expect_gradients (const Golden *golden, const SaeGradients *gradients)
{
  expect_losses (golden, 0, gradients->loss, gradients->mse, gradients->l1);
  expect_tensor (golden, "grad_", 1, gradients->b_enc, 320, GRADIENT);
  expect_tensor (golden, "grad_", 3, gradients->b_dec, 48, GRADIENT);
  expect_row_gradients (golden, gradients);
  expect_block_gradients (golden, gradients);
}

/* A frozen step computes gradients and leaves the weights; ten steps follow. */
static void
test_run (gconstpointer data)
{
  const Golden *golden = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) start = golden_start (golden);
  SaeRun *run = sae_run_new (&golden->options, start, &error);

  g_assert_no_error (error);
  expect_with ("%s", golden->name);
  run->options.frozen = TRUE;
  for (guint step = 0; step < golden->steps; step++) {
    g_autoptr (GBytes) rows = golden_rows (golden, step);
    const float *x = g_bytes_get_data (rows, NULL);
    if (step == 0) {
      sae_run_step (run, x, x, 40, &error);
      expect_gradients (golden, &run->gradients);
      run->options.frozen = FALSE;
    }
    sae_run_step (run, x, x, 40, &error);
    g_assert_no_error (error);
    expect_losses (golden, step, run->gradients.loss, run->gradients.mse,
        run->gradients.l1);
  }
  for (guint i = 0; i < N_WEIGHTS; i++)
    expect_tensor (golden, "final_", i, run->parameters[i].w,
        run->parameters[i].n, WEIGHTS);
  sae_run_free (run);
}

static SaeTrainer *
trainer_of (const SaeTrainerOptions *o)
{
  return g_object_new (SAE_TYPE_TRAINER, "reduction", o->reduction, "normalize",
      SAE_NORMALIZE_NONE, "decoder-norm", SAE_DECODER_NORM_FREE, "schedule",
      SAE_SCHEDULE_CONSTANT, "warmup-rows", (gint64) 0, "batch-size",
      o->batch_size, "optimizer", o->optimizer, "momentum", o->momentum,
      "beta1", o->beta1, "beta2", o->beta2, "epsilon", o->epsilon,
      "learning-rate", o->learning_rate, "l1-coeff", o->l1_coeff,
      "l1-warmup-rows", (gint64) 0, "average", (gint64) 0, "decoder-rate", 1.0,
      NULL);
}

/* Metrics are always per row and value, whatever the loss is. */
static void
expect_metrics (const Golden *golden, guint step, const SaeMetrics *m)
{
  gboolean sum = golden->options.reduction == SAE_REDUCTION_SUM;
  const float *want = golden_tensor (golden, "losses", 30) + 3 * step;

  g_assert_cmpuint (m->rows, ==, 40);
  g_assert_cmpuint (m->steps, ==, step + 1);
  expect_within ("loss", m->loss, want[0], 2 * WEIGHTS * want[0]);
  expect_within ("mse", m->mse, sum ? want[1] / 48 : want[1],
      2 * WEIGHTS * want[1]);
  if (!sum) /* of the sum, latents are weighted by decoder norms */
    expect_within ("l1", m->l1, want[2] * 320, 2 * WEIGHTS * want[2] * 320);
  g_assert_cmpfloat (m->learning_rate, ==, golden->options.learning_rate);
}

static void
expect_model (const Golden *golden, SaeModel *model)
{
  GBytes *(*const getters[]) (SaeModel *) = {sae_model_get_W_enc,
      sae_model_get_b_enc, sae_model_get_W_dec, sae_model_get_b_dec};

  for (guint i = 0; i < N_WEIGHTS; i++) {
    g_autoptr (GBytes) bytes = getters[i](model);
    expect_tensor (golden, "final_", i, g_bytes_get_data (bytes, NULL),
        g_bytes_get_size (bytes) / sizeof (float), WEIGHTS);
  }
}

/* Steps of 40 rows, or the same rows pushed in pieces of 7. */
static void
give_rows (SaeTrainer *trainer, GBytes *x, gboolean push, GError **error)
{
  gsize row = 48 * sizeof (float);

  if (!push) {
    sae_trainer_step (trainer, x, NULL, error);
    return;
  }
  for (gsize at = 0; at < 40; at += 7) {
    gsize n = MIN (7, 40 - at);
    g_autoptr (GBytes) piece = g_bytes_new_from_bytes (x, at * row, n * row);
    sae_trainer_push (trainer, piece, NULL, error);
  }
}

static void
train_public (const Golden *golden, gboolean push)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) start = golden_start (golden);
  g_autoptr (SaeTrainer) trainer = trainer_of (&golden->options);
  g_autoptr (SaeModel) model = NULL;

  sae_trainer_start_from (trainer, start, &error);
  g_assert_no_error (error);
  for (guint step = 0; step < golden->steps; step++) {
    g_autoptr (GBytes) x = golden_rows (golden, step);
    g_autoptr (SaeMetrics) metrics = NULL;
    give_rows (trainer, x, push, &error);
    g_assert_no_error (error);
    metrics = sae_trainer_take_metrics (trainer);
    expect_with ("%s, step %u", golden->name, step);
    expect_metrics (golden, step, metrics);
  }
  model = sae_trainer_get_model (trainer, &error);
  g_assert_no_error (error);
  expect_model (golden, model);
}

static void
test_public (gconstpointer data)
{
  train_public (data, FALSE);
  train_public (data, TRUE);
}

static void
add (const char *what, const Golden *golden, GTestDataFunc test)
{
  g_autofree char *path =
      g_strdup_printf ("/trainer/goldens/%s/%s", golden->name, what);

  g_test_add_data_func (path, golden, test);
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) goldens = NULL;

  g_test_init (&argc, &argv, NULL);
  goldens = golden_load_all ("training");
  g_assert_cmpuint (goldens->len, ==, 24);
  for (guint i = 0; i < goldens->len; i++) {
    add ("forward", goldens->pdata[i], test_forward);
    add ("gradients-and-weights", goldens->pdata[i], test_run);
    add ("through-properties", goldens->pdata[i], test_public);
  }
  return g_test_run ();
}
