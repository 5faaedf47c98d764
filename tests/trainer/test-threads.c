/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A trainer that many threads push to, look at and turn the knobs of; and
 * trainers beside each other. */
#include <math.h>

#include "expect.h"
#include "gemm.h"
#include "sample-trainer.h"

#define D 12
#define PUSHES 200
#define ROWS_PER_PUSH 30

typedef struct {
  SaeTrainer *trainer;
  GBytes *x;
  gint running; /* atomic: threads that still push */
} Shared;

static gpointer
push_rows (gpointer data)
{
  Shared *shared = data;

  for (guint i = 0; i < PUSHES; i++)
    push_all (shared->trainer, shared->x);
  g_atomic_int_add (&shared->running, -1);
  return NULL;
}

/* Each model is a whole one: finite, and of unit decoder rows. */
static gpointer
read_models (gpointer data)
{
  Shared *shared = data;

  while (g_atomic_int_get (&shared->running) > 0) {
    g_autoptr (SaeModel) model = model_of (shared->trainer);
    g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
    const float *w = g_bytes_get_data (W_dec, NULL);
    for (guint i = 0; i < 40; i++) {
      double sum = 0;
      for (guint j = 0; j < D; j++)
        sum += (double) w[i * D + j] * w[i * D + j];
      expect_within ("norm of a decoder row", sqrt (sum), 1, 1e-6);
    }
  }
  return NULL;
}

/* Never more rows or steps than a moment later. */
static gpointer
read_metrics (gpointer data)
{
  Shared *shared = data;
  guint64 rows = 0, steps = 0;

  while (g_atomic_int_get (&shared->running) > 0) {
    g_autoptr (SaeMetrics) metrics = sae_trainer_get_metrics (shared->trainer);
    g_autoptr (SaeMetrics) taken = sae_trainer_take_metrics (shared->trainer);
    g_assert_cmpuint (metrics->rows, >=, rows);
    g_assert_cmpuint (metrics->steps, >=, steps);
    g_assert_cmpuint (taken->rows, <=, 2 * PUSHES * ROWS_PER_PUSH);
    rows = metrics->rows;
    steps = sae_trainer_get_steps (shared->trainer);
  }
  return NULL;
}

static gpointer
turn_knobs (gpointer data)
{
  Shared *shared = data;
  gboolean frozen = FALSE;

  while (g_atomic_int_get (&shared->running) > 0) {
    double rate;
    guint64 rows;
    frozen = !frozen;
    g_object_set (shared->trainer, "learning-rate", frozen ? 1e-3 : 2e-3,
        "l1-coeff", 1e-3, "frozen", frozen, "top-k", frozen ? 4u : 5u, NULL);
    g_object_get (shared->trainer, "learning-rate", &rate, "rows", &rows, NULL);
    g_assert_true (rate == 1e-3 || rate == 2e-3);
  }
  return NULL;
}

static void
test_threads (void)
{
  const GThreadFunc funcs[] = {push_rows, push_rows, read_models, read_metrics,
      turn_knobs, turn_knobs};
  Noise noise = noise_new ();
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 40, 4);
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS_PER_PUSH, D, 1);
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (GError) error = NULL;
  Shared shared = {trainer, x, 2};
  GThread *threads[G_N_ELEMENTS (funcs)];

  g_object_set (trainer, "batch-size", 50u, "normalize", SAE_NORMALIZE_NONE,
      "n-threads", 2u, NULL);
  g_assert_true (sae_trainer_start (trainer, &error));
  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    threads[i] = g_thread_new ("test", funcs[i], &shared);
  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    g_thread_join (threads[i]);
  g_assert_true (sae_trainer_flush (trainer, &error));
  metrics = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (metrics->rows, ==, 2 * PUSHES * ROWS_PER_PUSH);
}

/* --- several trainers ----------------------------------------------------- */

#define N_TRAINERS 3

/* One of them; the rules differ. (transfer full) */
static GBytes *
train_alone (guint which)
{
  const SaeSparsity rules[N_TRAINERS] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_L1,
      SAE_SPARSITY_JUMP_RELU};
  Noise noise = {.state = 3};
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, 200, 4);
  g_autoptr (GBytes) x = sparse_rows (&noise, 4000, D, 1);

  g_object_set (trainer, "sparsity", rules[which], "batch-size", 100u,
      "n-threads", 2u, "normalize", SAE_NORMALIZE_NONE, NULL);
  for (guint pass = 0; pass < 5; pass++)
    push_all (trainer, x);
  return weights_of (trainer);
}

typedef struct {
  guint which;
  GBytes *weights;
  gint *running; /* atomic */
} Alone;

static gpointer
train_one (gpointer data)
{
  Alone *alone = data;

  alone->weights = train_alone (alone->which);
  g_atomic_int_add (alone->running, -1);
  return NULL;
}

static guint
count_threads (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (dir && g_dir_read_name (dir))
    n++;
  return n;
}

static gpointer
do_nothing (gpointer data)
{
  return NULL;
}

/* Each gives the bytes that it gives alone, and all together have no more
 * threads than were asked for. */
static void
test_several (void)
{
  Alone alone[N_TRAINERS];
  GThread *threads[N_TRAINERS];
  gint running = N_TRAINERS;
  guint before, most = 0;

  /* a sanitizer may start one of its own with the first */
  g_thread_join (g_thread_new ("test", do_nothing, NULL));
  /* and OpenBLAS, which l1 begins with, has some that it does not use */
  sae_gemm_is_there ();
  before = count_threads ();
  for (guint i = 0; i < N_TRAINERS; i++) {
    alone[i] = (Alone){i, NULL, &running};
    threads[i] = g_thread_new ("test", train_one, &alone[i]);
  }
  while (g_atomic_int_get (&running) > 0) {
    most = MAX (most, count_threads ());
    g_usleep (500);
  }
  for (guint i = 0; i < N_TRAINERS; i++) {
    g_autoptr (GBytes) want = train_alone (i);
    g_autoptr (GBytes) got = NULL;
    g_thread_join (threads[i]);
    got = alone[i].weights;
    expect_with ("trainer %u", i);
    expect_same_bytes ("weights", got, want);
  }
  g_assert_cmpuint (most, <=, before + 2 * N_TRAINERS);
  g_assert_cmpuint (count_threads (), ==, before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/threads/push-read-and-set-at-once", test_threads);
  g_test_add_func ("/trainer/threads/several-do-not-meet", test_several);
  return g_test_run ();
}
