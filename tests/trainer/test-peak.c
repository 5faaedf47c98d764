/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The largest resident set of a run, each in a process of its own: a quarter
 * more than weights and optimiser state, and 64 MiB. What options and calls
 * add is what docs/training.md says ("Memory"). */
#include <stdlib.h>
#include <string.h>

#include "peak.h"
#include "sae-trainer.h"
#include "sample-trainer.h"
#include "scratch.h"
#include "set-options.h"

#define D 768
#define D_SAE 24576
#define MIB ((gsize) 1 << 20)
#define WEIGHTS (sizeof (float) * (2 * (gsize) D * D_SAE + D_SAE + D))
#define ROWS_OF(n) ((n) * (gsize) D * sizeof (float))
/* What one that is active costs in l1, where half of all are at the start. */
#define ACTIVE_BYTES 28

/* What is done besides training. */
typedef enum { NOTHING, KEEP_TWO_MODELS, KEEP_A_CHECKPOINT, SAVE } Extra;

typedef struct {
  const char *name, *options;
  guint batch, n_steps;
  guint n_states; /* the weights, and the moments of the optimiser */
  gsize more;     /* bytes that the options or the extra may add */
  Extra extra;
} Run;

/* Batches so large that a matrix [rows, latents] would not fit. */
static const Run runs[] = {
    {"top-k", "top-k=32 normalize=auto", 2048, 5, 3, 0, NOTHING},
    {"sgd", "top-k=32 optimizer=sgd", 256, 2, 2, 0, NOTHING},
    {"dead-latents", "top-k=1 dead-after=1 pre-bias=true", 1024, 3, 3, 0,
        NOTHING},
    {"prefixes", "top-k=32 prefixes=256,1024,4096,8192", 2048, 2, 3, 0,
        NOTHING},
    {"batch-top-k", "sparsity=batch-top-k top-k=32", 2048, 2, 3, 0, NOTHING},
    {"jump-relu", "sparsity=jump-relu", 1024, 2, 3, 0, NOTHING},
    {"l1", "sparsity=l1", 256, 2, 3, 0, NOTHING},
    {"l1-large-batch", "sparsity=l1", 1024, 2, 3,
        ACTIVE_BYTES *(gsize) 1024 * D_SAE / 2, NOTHING},
    {"shuffle-rows", "top-k=32 shuffle-rows=32768", 256, 130, 3,
        ROWS_OF (32768), NOTHING},
    {"average", "top-k=32 average=4096", 64, 9, 3, WEIGHTS, NOTHING},
    {"grad-clip", "top-k=32 grad-clip=1", 1024, 2, 3, WEIGHTS, NOTHING},
    {"publish", "top-k=32", 64, 4, 3, 2 * WEIGHTS, KEEP_TWO_MODELS},
    {"checkpoint", "top-k=32", 64, 3, 3, 3 * WEIGHTS, KEEP_A_CHECKPOINT},
    {"save", "top-k=32 optimizer=sgd", 64, 2, 2, 0, SAVE},
};

static void
expect_peak (gsize bound)
{
  gsize peak = peak_read ();

  g_printerr ("# %" G_GSIZE_FORMAT " MiB of at most %" G_GSIZE_FORMAT "\n",
      peak / MIB, bound / MIB);
  g_assert_cmpuint (peak, <=, bound);
}

static GBytes *
random_rows (Noise *noise, guint n)
{
  float *x = g_new (float, n *D);

  for (gsize i = 0; i < (gsize) n * D; i++)
    x[i] = noise_uniform (noise);
  return g_bytes_new_take (x, ROWS_OF (n));
}

/* What is kept from step to step. */
typedef struct {
  SaeModel *model, *before;
  SaeCheckpoint *checkpoint;
} Kept;

static void
keep (Kept *kept, const Run *run, SaeTrainer *trainer)
{
  g_autoptr (GError) error = NULL;

  if (run->extra == KEEP_TWO_MODELS) {
    g_clear_pointer (&kept->before, sae_model_unref);
    kept->before = g_steal_pointer (&kept->model);
    kept->model = model_of (trainer);
  } else if (run->extra == KEEP_A_CHECKPOINT) {
    g_clear_pointer (&kept->checkpoint, sae_checkpoint_unref);
    kept->checkpoint = sae_trainer_checkpoint (trainer, &error);
  }
  g_assert_no_error (error);
}

static void
kept_clear (Kept *kept)
{
  g_clear_pointer (&kept->model, sae_model_unref);
  g_clear_pointer (&kept->before, sae_model_unref);
  g_clear_pointer (&kept->checkpoint, sae_checkpoint_unref);
}

static void
save (SaeTrainer *trainer)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("test-peak-XXXXXX", &error);
  g_autofree char *path = g_build_filename (folder, "dictionary", NULL);

  g_assert_no_error (error);
  sae_trainer_save (trainer, NULL, path, &error);
  scratch_remove (folder);
  g_assert_no_error (error);
}

static void
train (const Run *run)
{
  Noise noise = noise_new ();
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, D_SAE, 0);
  Kept kept = {0};

  set_options (trainer, "average=0 n-threads=2 normalize=none");
  g_object_set (trainer, "batch-size", run->batch, NULL);
  set_options (trainer, run->options);
  for (guint step = 0; step < run->n_steps; step++) {
    g_autoptr (GBytes) x = random_rows (&noise, run->batch);
    push_all (trainer, x);
    keep (&kept, run, trainer);
  }
  if (run->extra == SAVE)
    save (trainer);
  g_assert_cmpuint (sae_trainer_get_steps (trainer), >, 0);
  kept_clear (&kept);
}

static gboolean
run_in_subprocess (void)
{
  if (g_test_subprocess ())
    return FALSE;
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_test_trap_assert_passed ();
  return TRUE;
}

static void
test_training (gconstpointer data)
{
  const Run *run = data;
  gsize state = run->n_states * WEIGHTS;

  if (run_in_subprocess ())
    return;
  train (run);
  expect_peak (state + state / 4 + 64 * MIB + run->more);
}

#define MODEL_ROWS 4096

/* The weights once, the rows and what they become; no matrix
 * [rows, latents], which would be 384 MiB. */
static void
test_model (void)
{
  const SaeConfig config = {.d_in = D, .d_sae = D_SAE, .k = 32};
  Noise noise = noise_new ();
  g_autoptr (GBytes) x = NULL, x_hat = NULL;
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeLatents) latents = NULL;

  if (run_in_subprocess ())
    return;
  x = random_rows (&noise, MODEL_ROWS);
  model = sae_model_new (&config, 1, SAE_INIT_TIED, NULL);
  x_hat = sae_model_forward (model, x, &latents, NULL);
  g_assert_nonnull (x_hat);
  expect_peak (WEIGHTS + WEIGHTS / 4 + 2 * ROWS_OF (MODEL_ROWS) + 64 * MIB);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (runs); i++) {
    g_autofree char *path = g_strconcat ("/trainer/peak/", runs[i].name, NULL);
    g_test_add_data_func (path, &runs[i], test_training);
  }
  g_test_add_func ("/trainer/peak/a-model-that-runs", test_model);
  return g_test_run ();
}
