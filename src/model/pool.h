/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Worker threads that share out the tasks of one call. Which worker runs a
 * task never changes what the task computes. Workers without work sleep, but
 * for the first moment. */
#pragma once

#include <glib.h>

typedef struct _SaePool SaePool;

/* What anybody may ask for: each takes memory before it starts. */
#define SAE_MAX_THREADS 1024

/* One task: @task counts from 0; @worker (0 to n_threads − 1) tells which
 * scratch the task may use. */
typedef void (*SaePoolFunc) (guint task, guint worker, gpointer data);

/* @n_threads 0 is one for each processor. No thread starts here. */
SaePool *sae_pool_new (guint n_threads);
void sae_pool_free (SaePool *pool);
guint sae_pool_get_n_threads (const SaePool *pool);

/* Runs @func for every task below @n_tasks and returns when all are done. The
 * calling thread works too; the others are started at the first call that
 * has more than one task. One call at a time. */
void
sae_pool_run (SaePool *pool, guint n_tasks, SaePoolFunc func, gpointer data);
