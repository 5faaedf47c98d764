/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

#include <string.h>

#define MAX_TASKS 1000
/* Longer than anybody spins. */
#define PAUSE_MICROSECONDS 2000

typedef struct {
  gint runs[MAX_TASKS]; /* atomic */
  gint busy[64];        /* atomic, of each worker: tasks it is in */
  guint n_threads;
  GThread *caller;
  gboolean only_caller;
  gint spin;
} Round;

static void
run_task (guint task, guint worker, gpointer data)
{
  Round *round = data;

  g_assert_cmpuint (worker, <, round->n_threads);
  if (round->only_caller)
    g_assert_true (g_thread_self () == round->caller);
  g_assert_cmpint (g_atomic_int_add (&round->busy[worker], 1), ==, 0);
  for (volatile gint i = 0; i < round->spin; i++)
    ;
  g_atomic_int_inc (&round->runs[task]);
  g_atomic_int_add (&round->busy[worker], -1);
}

static void
run_round (SaePool *pool, guint n_tasks, gint spin, gboolean only_caller)
{
  Round round = {.n_threads = sae_pool_get_n_threads (pool),
      .caller = g_thread_self (),
      .only_caller = only_caller,
      .spin = spin};

  sae_pool_run (pool, n_tasks, run_task, &round);
  for (guint task = 0; task < MAX_TASKS; task++)
    g_assert_cmpint (round.runs[task], ==, task < n_tasks);
}

static void
test_each_once (void)
{
  for (guint n_threads = 1; n_threads <= 8; n_threads++) {
    SaePool *pool = sae_pool_new (n_threads);
    g_assert_cmpuint (sae_pool_get_n_threads (pool), ==, n_threads);
    for (guint n_tasks = 0; n_tasks < 40; n_tasks++)
      run_round (pool, n_tasks, (gint) (n_tasks % 5) * 100, n_threads == 1);
    run_round (pool, MAX_TASKS, 10, n_threads == 1);
    sae_pool_free (pool);
  }
}

static void
test_many_rounds (void)
{
  SaePool *pool = sae_pool_new (4);

  for (guint round = 0; round < 3000; round++)
    run_round (pool, round % 7, 0, FALSE);
  sae_pool_free (pool);
}

/* Workers have gone to sleep before each round, and the caller does while it
 * waits for the slowest of them. */
static void
test_rounds_after_sleep (void)
{
  SaePool *pool = sae_pool_new (3);

  for (guint round = 0; round < 50; round++) {
    g_usleep (PAUSE_MICROSECONDS);
    run_round (pool, 3, (gint) (round % 3) * 1000000, FALSE);
  }
  sae_pool_free (pool);
}

/* A task that ends when all are begun, so that it takes as many threads. */
static void
meet (guint task, guint worker, gpointer data)
{
  gint *n_begun = data; /* atomic */

  g_atomic_int_inc (n_begun);
  for (guint i = 0; i < 10000 && g_atomic_int_get (n_begun) < 3; i++)
    g_usleep (1000);
  g_assert_cmpint (g_atomic_int_get (n_begun), ==, 3);
}

static void
test_sleepers_are_woken (void)
{
  SaePool *pool = sae_pool_new (3);

  for (guint round = 0; round < 50; round++) {
    gint n_begun = 0;
    sae_pool_run (pool, 3, meet, &n_begun);
    g_usleep (round * PAUSE_MICROSECONDS / 50);
  }
  sae_pool_free (pool);
}

static gpointer
run_rounds (gpointer data)
{
  SaePool *pool = sae_pool_new (2);

  for (guint round = 0; round < 2000; round++)
    run_round (pool, 2 + round % 5, (gint) (round % 4) * 50, FALSE);
  sae_pool_free (pool);
  return NULL;
}

static void
test_pools_at_once (void)
{
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("test", run_rounds, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

/* The letter of a thread's state, as proc(5) has it. */
static char
thread_state (const char *name)
{
  g_autofree char *path = g_strconcat ("/proc/self/task/", name, "/stat", NULL);
  g_autofree char *text = NULL;
  const char *end;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  end = strrchr (text, ')');
  return end && end[1] ? end[2] : 0;
}

static guint
count_running (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  for (const char *name; dir && (name = g_dir_read_name (dir));)
    n += thread_state (name) == 'R';
  return n;
}

/* Sooner or later only the one that looks is running. */
static void
test_idle_sleeps (void)
{
  SaePool *pool = sae_pool_new (2); /* with more there might be no spinning */

  run_round (pool, 20, 100, FALSE);
  for (guint i = 0; i < 5000 && count_running () > 1; i++)
    g_usleep (1000);
  g_assert_cmpuint (count_running (), <=, 1);
  sae_pool_free (pool);
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

static void
test_no_thread_without_need (void)
{
  SaePool *pool;
  guint before = count_threads ();

  if (before == 0) {
    g_test_skip ("no /proc to count threads in");
    return;
  }
  pool = sae_pool_new (4);
  run_round (pool, 0, 0, TRUE);
  run_round (pool, 1, 0, TRUE);
  g_assert_cmpuint (count_threads (), ==, before);
  run_round (pool, 20, 0, FALSE);
  g_assert_cmpuint (count_threads (), ==, before + 3);
  sae_pool_free (pool);
  g_assert_cmpuint (count_threads (), ==, before);
}

static void
test_zero_is_all (void)
{
  SaePool *pool = sae_pool_new (0);

  g_assert_cmpuint (sae_pool_get_n_threads (pool), ==, g_get_num_processors ());
  sae_pool_free (pool);
  sae_pool_free (NULL);
}

static void
test_unused (void)
{
  for (guint i = 0; i < 100; i++)
    sae_pool_free (sae_pool_new (1 + i % 4));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/pool/runs-each-task-once", test_each_once);
  g_test_add_func ("/model/pool/many-short-rounds", test_many_rounds);
  g_test_add_func ("/model/pool/rounds-after-sleep", test_rounds_after_sleep);
  g_test_add_func ("/model/pool/sleepers-are-woken", test_sleepers_are_woken);
  g_test_add_func ("/model/pool/pools-at-once", test_pools_at_once);
  g_test_add_func ("/model/pool/sleeps-when-idle", test_idle_sleeps);
  g_test_add_func ("/model/pool/starts-no-thread-without-need",
      test_no_thread_without_need);
  g_test_add_func ("/model/pool/zero-is-one-each-processor", test_zero_is_all);
  g_test_add_func ("/model/pool/may-go-unused", test_unused);
  return g_test_run ();
}
