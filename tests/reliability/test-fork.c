/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Processes that fork when the library has been at work, as data loaders do. */
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "noise.h"
#include "sae-model.h"
#include "sae-trainer.h"

#define D 16
#define F 256
#define BATCH 64
#define N_STEPS 3
#define N_TIMES 100
/* Seconds that a child may hang before that is a failure. */
#define PATIENCE 60

static GBytes *
make_rows (void)
{
  Noise noise = noise_new ();
  float *x = g_new (float, BATCH *D);

  noise_fill (&noise, NOISE_UNIFORM, x, BATCH * D);
  return g_bytes_new_take (x, BATCH * D * sizeof *x);
}

/* Dense rules multiply by a library that has threads of its own. */
static SaeTrainer *
make_trainer (SaeSparsity sparsity)
{
  SaeTrainer *trainer = sae_trainer_new (D, F, 4);

  g_object_set (trainer, "n-threads", 3, "batch-size", BATCH, "sparsity",
      sparsity, NULL);
  return trainer;
}

static void
step (SaeTrainer *trainer, GBytes *x)
{
  GError *error = NULL;

  sae_trainer_step (trainer, x, NULL, &error);
  g_assert_no_error (error);
}

/* What the dictionary as it is makes of @x. */
static GBytes *
forward (SaeTrainer *trainer, GBytes *x)
{
  GError *error = NULL;
  g_autoptr (SaeModel) model = sae_trainer_get_model (trainer, &error);
  GBytes *x_hat;

  g_assert_no_error (error);
  x_hat = sae_model_forward (model, x, NULL, &error);
  g_assert_no_error (error);
  return x_hat;
}

static GBytes *
train_without_fork (SaeSparsity sparsity, GBytes *x)
{
  g_autoptr (SaeTrainer) trainer = make_trainer (sparsity);

  for (guint i = 0; i < N_STEPS; i++)
    step (trainer, x);
  return forward (trainer, x);
}

/* The rest of the run, and its end; 0 if it ends as without a fork. */
static int
finish_in_child (SaeTrainer *trainer, GBytes *x, GBytes *want)
{
  g_autoptr (GBytes) got = NULL;

  for (guint i = 1; i < N_STEPS; i++)
    step (trainer, x);
  got = forward (trainer, x);
  g_object_unref (trainer);
  return g_bytes_equal (got, want) ? 0 : 1;
}

static gboolean
wait_for (pid_t child)
{
  int status = -1;

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static gboolean
train_in_child (SaeTrainer *trainer, GBytes *x, GBytes *want)
{
  pid_t child = fork ();

  g_assert_cmpint (child, >=, 0);
  if (child == 0) {
    alarm (PATIENCE);
    _exit (finish_in_child (trainer, x, want));
  }
  return wait_for (child);
}

/* Threads of the parent are not in the child. */
static void
test_child_goes_on (gconstpointer data)
{
  SaeSparsity sparsity = GPOINTER_TO_INT (data);
  g_autoptr (GBytes) x = make_rows ();
  g_autoptr (GBytes) want = train_without_fork (sparsity, x);
  guint survived = 0;

  for (guint i = 0; i < N_TIMES; i++) {
    g_autoptr (SaeTrainer) trainer = make_trainer (sparsity);
    step (trainer, x);
    survived += train_in_child (trainer, x, want) ? 1 : 0;
    if (i % 10 == 0) { /* and the parent has its own still */
      g_autoptr (GBytes) got = NULL;
      for (guint j = 1; j < N_STEPS; j++)
        step (trainer, x);
      got = forward (trainer, x);
      g_assert_true (g_bytes_equal (got, want));
    }
  }
  fault_report (37, N_TIMES, survived, 0);
  g_assert_cmpuint (survived, ==, N_TIMES);
}

/* A child that never uses what its parent made, but frees it. */
static void
test_child_frees (void)
{
  g_autoptr (GBytes) x = make_rows ();
  guint survived = 0;

  for (guint i = 0; i < N_TIMES; i++) {
    g_autoptr (SaeTrainer) trainer = make_trainer (SAE_SPARSITY_TOP_K);
    pid_t child;
    step (trainer, x);
    child = fork ();
    if (child == 0) {
      alarm (PATIENCE);
      g_object_unref (trainer);
      _exit (0);
    }
    survived += wait_for (child) ? 1 : 0;
  }
  fault_report (37, N_TIMES, survived, 0);
  g_assert_cmpuint (survived, ==, N_TIMES);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/reliability/fork/child-goes-on/top-k",
      GINT_TO_POINTER (SAE_SPARSITY_TOP_K), test_child_goes_on);
  g_test_add_data_func ("/reliability/fork/child-goes-on/l1",
      GINT_TO_POINTER (SAE_SPARSITY_L1), test_child_goes_on);
  g_test_add_func ("/reliability/fork/child-frees", test_child_frees);
  return g_test_run ();
}
