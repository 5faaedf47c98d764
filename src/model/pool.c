/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A call is a round. Workers enter it while it is open, and the caller closes
 * it once no task is left: a worker that the system has not run by then is not
 * waited for. All of that is one atomic word; lock and conditions are for
 * those that sleep. Whoever waits spins first, for no longer than waking up
 * takes, since the next round of a step is near. */
#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>

/* About what it costs to go to sleep and be woken. */
#define SPIN_MICROSECONDS 50
#define PAUSES_PER_LOOK 32

/* SaePool.state: the round's number, whether it is open, how many workers are
 * in it. */
#define ROUND(number) ((guint64) (guint32) (number) << 32)
#define NUMBER(state) ((guint32) ((state) >> 32))
#define OPEN ((guint64) 1 << 31)
#define INSIDE(state) ((guint32) (state) & ~(guint32) OPEN)

typedef struct {
  SaePool *pool;
  guint worker;
  GThread *thread;
} Worker;

struct _SaePool {
  guint n_threads, n_processors;
  Worker *workers; /* n_threads − 1; worker 0 is the caller */
  guint n_started;
  guint n_forks; /* when they were */

  _Atomic guint64 state;
  _Atomic guint n_asleep;         /* workers */
  _Atomic gboolean caller_asleep; /* until no worker is inside */
  _Atomic gboolean stop;
  GMutex lock; /* held to change what sleepers wait for, or to wake them */
  GCond work_there, work_done;

  _Atomic guint next_task;
  /* written before a round opens, read inside it */
  guint n_tasks;
  SaePoolFunc func;
  gpointer data;
};

/* Of all pools of the process. */
static _Atomic guint n_workers;
/* In the child of a fork no worker is left. */
static guint n_forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
count_fork (void)
{
  n_forks++;
  atomic_store (&n_workers, 0);
}

static void
watch_forks (void)
{
  pthread_atfork (NULL, NULL, count_fork);
}

static void
init_waiting (SaePool *pool)
{
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->work_there);
  g_cond_init (&pool->work_done);
}

/* What they held or were inside of is as they left it. */
static void
forget_lost_workers (SaePool *pool)
{
  if (pool->n_started == 0 || pool->n_forks == n_forks)
    return;
  pool->n_started = 0;
  atomic_store (&pool->state, 0);
  atomic_store (&pool->n_asleep, 0);
  atomic_store (&pool->caller_asleep, FALSE);
  init_waiting (pool);
}

/* --- waiting -------------------------------------------------------------- */

/* What is waited for; TRUE when it is there. */
typedef gboolean (*Condition) (SaePool *pool, guint32 seen);

static gboolean
is_round_there (SaePool *pool, guint32 seen)
{
  return NUMBER (atomic_load (&pool->state)) != seen ||
         atomic_load (&pool->stop);
}

static gboolean
is_round_over (SaePool *pool, guint32 seen)
{
  return INSIDE (atomic_load (&pool->state)) == 0;
}

static inline void
pause_a_little (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/* Where threads have to share processors, the one waited for may need ours. */
static gboolean
may_spin (const SaePool *pool)
{
  return atomic_load_explicit (&n_workers, memory_order_relaxed) <
         pool->n_processors;
}

static gboolean
spin (SaePool *pool, Condition condition, guint32 seen)
{
  gint64 until;

  if (condition (pool, seen))
    return TRUE;
  if (!may_spin (pool))
    return FALSE;
  until = g_get_monotonic_time () + SPIN_MICROSECONDS;
  do {
    for (guint i = 0; i < PAUSES_PER_LOOK; i++) {
      pause_a_little ();
      if (condition (pool, seen))
        return TRUE;
    }
  } while (g_get_monotonic_time () < until);
  return FALSE;
}

/* --- workers -------------------------------------------------------------- */

static void
run_tasks (SaePool *pool, guint worker)
{
  for (;;) {
    guint task =
        atomic_fetch_add_explicit (&pool->next_task, 1, memory_order_relaxed);
    if (task >= pool->n_tasks)
      return;
    pool->func (task, worker, pool->data);
  }
}

/* Counts the worker in; FALSE when the round is over. */
static gboolean
enter (SaePool *pool, guint32 *seen)
{
  guint64 state = atomic_load (&pool->state);
  gboolean entered = FALSE;

  while (!entered && (state & OPEN))
    entered = atomic_compare_exchange_weak (&pool->state, &state, state + 1);
  *seen = NUMBER (state);
  return entered;
}

static void
leave (SaePool *pool)
{
  guint64 state = atomic_fetch_sub (&pool->state, 1) - 1;

  if (INSIDE (state) != 0 || !atomic_load (&pool->caller_asleep))
    return;
  g_mutex_lock (&pool->lock);
  g_cond_signal (&pool->work_done);
  g_mutex_unlock (&pool->lock);
}

/* The sleeper says that it sleeps before it looks once more, and whoever
 * changes what it waits for changes that before it looks for sleepers: one of
 * them sees the other. */
static void
sleep_until_round (SaePool *pool, guint32 seen)
{
  g_mutex_lock (&pool->lock);
  atomic_fetch_add (&pool->n_asleep, 1);
  while (!is_round_there (pool, seen))
    g_cond_wait (&pool->work_there, &pool->lock);
  atomic_fetch_sub (&pool->n_asleep, 1);
  g_mutex_unlock (&pool->lock);
}

static gpointer
work (gpointer data)
{
  Worker *self = data;
  SaePool *pool = self->pool;
  guint32 seen = 0;

  for (;;) {
    if (!spin (pool, is_round_there, seen))
      sleep_until_round (pool, seen);
    if (atomic_load (&pool->stop))
      return NULL;
    if (enter (pool, &seen)) {
      run_tasks (pool, self->worker);
      leave (pool);
    }
  }
}

/* Where the system refuses a thread, those that there are do the work. */
static void
start_workers (SaePool *pool)
{
  pthread_once (&once, watch_forks);
  pool->n_forks = n_forks;
  while (pool->n_started + 1 < pool->n_threads) {
    Worker *worker = &pool->workers[pool->n_started];
    worker->pool = pool;
    worker->worker = pool->n_started + 1;
    worker->thread = g_thread_try_new ("sae-pool", work, worker, NULL);
    if (!worker->thread)
      break;
    pool->n_started++;
    atomic_fetch_add (&n_workers, 1);
  }
}

/* --- the pool ------------------------------------------------------------- */

SaePool *
sae_pool_new (guint n_threads)
{
  SaePool *pool = g_new0 (SaePool, 1);

  pool->n_processors = g_get_num_processors ();
  pool->n_threads = n_threads ? n_threads : pool->n_processors;
  pool->workers = g_new0 (Worker, pool->n_threads);
  init_waiting (pool);
  return pool;
}

void
sae_pool_free (SaePool *pool)
{
  if (!pool)
    return;
  forget_lost_workers (pool);
  g_mutex_lock (&pool->lock);
  atomic_store (&pool->stop, TRUE);
  g_cond_broadcast (&pool->work_there);
  g_mutex_unlock (&pool->lock);
  for (guint i = 0; i < pool->n_started; i++)
    g_thread_join (pool->workers[i].thread);
  atomic_fetch_sub (&n_workers, pool->n_started);
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

static void
open_round (SaePool *pool)
{
  guint32 number = NUMBER (atomic_load (&pool->state)) + 1;

  atomic_store_explicit (&pool->next_task, 0, memory_order_relaxed);
  atomic_store (&pool->state, ROUND (number) | OPEN);
  if (atomic_load (&pool->n_asleep) == 0)
    return;
  g_mutex_lock (&pool->lock);
  g_cond_broadcast (&pool->work_there);
  g_mutex_unlock (&pool->lock);
}

static void
close_round (SaePool *pool)
{
  atomic_fetch_and (&pool->state, ~OPEN);
  if (spin (pool, is_round_over, 0))
    return;
  g_mutex_lock (&pool->lock);
  atomic_store (&pool->caller_asleep, TRUE);
  while (!is_round_over (pool, 0))
    g_cond_wait (&pool->work_done, &pool->lock);
  atomic_store (&pool->caller_asleep, FALSE);
  g_mutex_unlock (&pool->lock);
}

void
sae_pool_run (SaePool *pool, guint n_tasks, SaePoolFunc func, gpointer data)
{
  if (n_tasks <= 1 || pool->n_threads == 1) {
    for (guint task = 0; task < n_tasks; task++)
      func (task, 0, data);
    return;
  }
  forget_lost_workers (pool);
  if (pool->n_started == 0)
    start_workers (pool);
  pool->n_tasks = n_tasks;
  pool->func = func;
  pool->data = data;
  open_round (pool);
  run_tasks (pool, 0);
  close_round (pool);
}
