/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run has the same bits with a screen as without: the screen follows the
 * weights, whatever happens to them. */
#include "expect.h"
#include "model.h"
#include "sample-run.h"
#include "sample-trainer.h"
#include "screen.h"

/* Large enough for a screen. */
#define D 64
#define D_SAE 2100
#define ROWS 40
#define STEPS 24

static SaeRun *
run_new (const SaeTrainerOptions *options, SaeScreenPrecision precision)
{
  SaeRun *run = sample_run (options);

  run->workspace->choice.is_forced = TRUE;
  run->workspace->choice.forced = precision;
  return run;
}

/* Steps; some of them while others have the weights, some frozen. */
static void
train (SaeRun *run, Noise noise)
{
  g_autoptr (SaeModel) model = NULL;

  for (guint step = 0; step < STEPS; step++) {
    g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, 1);
    g_autoptr (GError) error = NULL;
    run->options.frozen = step == 0 || step % 5 == 4;
    sample_step (run, g_bytes_get_data (x, NULL), ROWS);
    if (step % 3)
      continue;
    g_clear_pointer (&model, sae_model_unref);
    model = sae_run_copy_model (run, &error);
    g_assert_no_error (error);
  }
}

static void
check_same (const SaeTrainerOptions *options)
{
  Noise noise = noise_new ();
  SaeRun *plain = run_new (options, SAE_SCREEN_NONE);

  expect_with ("rule %d, ties %d, clipped at %g, averaged over %g",
      options->sparsity, options->ties, options->grad_clip,
      (double) options->average);
  train (plain, noise);
  for (guint p = 0; p < SAE_SCREEN_NONE; p++) {
    SaeRun *run = run_new (options, p);
    train (run, noise);
    g_assert_nonnull (run->screen);
    for (guint i = 0; i < SAE_N_PARAMETERS; i++)
      expect_same_bits (sae_run_parameter_name (i), run->parameters[i].w,
          plain->parameters[i].w, run->parameters[i].n);
    g_assert_cmpfloat (run->total.loss, ==, plain->total.loss);
    g_assert_cmpuint (run->total.nnz, >=, STEPS * ROWS);
    sae_run_free (run);
  }
  sae_run_free (plain);
}

static void
test_same_bits (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_BATCH_TOP_K,
      SAE_SPARSITY_L1, SAE_SPARSITY_JUMP_RELU};

  for (guint i = 0; i < 4 * G_N_ELEMENTS (rules); i++) {
    SaeTrainerOptions options = sample_options (D, D_SAE, 8);
    options.sparsity = rules[i / 4];
    options = sae_trainer_options_resolve (&options);
    options.learning_rate = 0.02;
    options.grad_clip = i % 2;
    options.average = i & 2 ? 4 * ROWS : 0;
    options.n_threads = 2;
    options.dead_after = 3 * ROWS; /* so that some are revived */
    options.pre_bias = i % 2;
    check_same (&options);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/screened/same-bits", test_same_bits);
  return g_test_run ();
}
