/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

typedef struct {
  SaePool *pool;
  guint worker;
  GThread *thread;
} Worker;

struct _SaePool {
  guint n_threads;
  Worker *workers; /* n_threads − 1; worker 0 is the caller */
  guint n_started;

  gint next_task; /* atomic */

  GMutex lock;
  GCond work_there; /* round, stop */
  GCond work_done;  /* n_busy */
  guint64 round;    /* lock */
  guint n_busy;     /* lock */
  gboolean stop;    /* lock */

  /* written before a round begins, read during it */
  guint n_tasks;
  SaePoolFunc func;
  gpointer data;
};

static void
run_tasks (SaePool *pool, guint worker)
{
  for (;;) {
    guint task = (guint) g_atomic_int_add (&pool->next_task, 1);
    if (task >= pool->n_tasks)
      return;
    pool->func (task, worker, pool->data);
  }
}

static gpointer
work (gpointer data)
{
  Worker *self = data;
  SaePool *pool = self->pool;
  guint64 seen = 0;

  g_mutex_lock (&pool->lock);
  for (;;) {
    while (pool->round == seen && !pool->stop)
      g_cond_wait (&pool->work_there, &pool->lock);
    if (pool->stop)
      break;
    seen = pool->round;
    g_mutex_unlock (&pool->lock);
    run_tasks (pool, self->worker);
    g_mutex_lock (&pool->lock);
    if (--pool->n_busy == 0)
      g_cond_signal (&pool->work_done);
  }
  g_mutex_unlock (&pool->lock);
  return NULL;
}

SaePool *
sae_pool_new (guint n_threads)
{
  SaePool *pool = g_new0 (SaePool, 1);

  pool->n_threads = n_threads ? n_threads : g_get_num_processors ();
  pool->workers = g_new0 (Worker, pool->n_threads);
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->work_there);
  g_cond_init (&pool->work_done);
  return pool;
}

void
sae_pool_free (SaePool *pool)
{
  if (!pool)
    return;
  g_mutex_lock (&pool->lock);
  pool->stop = TRUE;
  g_cond_broadcast (&pool->work_there);
  g_mutex_unlock (&pool->lock);
  for (guint i = 0; i < pool->n_started; i++)
    g_thread_join (pool->workers[i].thread);
  g_cond_clear (&pool->work_done);
  g_cond_clear (&pool->work_there);
  g_mutex_clear (&pool->lock);
  g_free (pool->workers);
  g_free (pool);
}

guint
sae_pool_get_n_threads (const SaePool *pool)
{
  return pool->n_threads;
}

/* Where the system refuses a thread, those that there are do the work. */
static void
start_workers (SaePool *pool)
{
  while (pool->n_started + 1 < pool->n_threads) {
    Worker *worker = &pool->workers[pool->n_started];
    worker->pool = pool;
    worker->worker = pool->n_started + 1;
    worker->thread = g_thread_try_new ("sae-pool", work, worker, NULL);
    if (!worker->thread)
      break;
    pool->n_started++;
  }
}

void
sae_pool_run (SaePool *pool, guint n_tasks, SaePoolFunc func, gpointer data)
{
  if (n_tasks <= 1 || pool->n_threads == 1) {
    for (guint task = 0; task < n_tasks; task++)
      func (task, 0, data);
    return;
  }

  g_mutex_lock (&pool->lock);
  pool->n_tasks = n_tasks;
  pool->func = func;
  pool->data = data;
  g_atomic_int_set (&pool->next_task, 0);
  if (pool->n_started == 0)
    start_workers (pool);
  pool->n_busy = pool->n_started;
  pool->round++;
  g_cond_broadcast (&pool->work_there);
  g_mutex_unlock (&pool->lock);

  run_tasks (pool, 0);

  g_mutex_lock (&pool->lock);
  while (pool->n_busy > 0)
    g_cond_wait (&pool->work_done, &pool->lock);
  g_mutex_unlock (&pool->lock);
}
