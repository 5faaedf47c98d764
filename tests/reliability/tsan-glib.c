/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded under ThreadSanitizer, it tells it what GLib's and GStreamer's
 * locks and references order, which it cannot see: those libraries are not
 * built with it, and GLib's locks are system calls of their own. Each function
 * does what the real one does. */
#include <dlfcn.h>
#include <glib-object.h>
#include <gst/gst.h>

void __tsan_acquire (void *place) __attribute__ ((weak));
void __tsan_release (void *place) __attribute__ ((weak));

#undef g_once_init_enter
#undef g_once_init_leave

static void
acquire (gconstpointer place)
{
  if (__tsan_acquire)
    __tsan_acquire ((void *) place);
}

static void
release (gconstpointer place)
{
  if (__tsan_release)
    __tsan_release ((void *) place);
}

#define REAL(call)                                                             \
  static __typeof__ (call) *real;                                              \
  if (!real)                                                                   \
  real = (__typeof__ (call) *) dlsym (RTLD_NEXT, #call)

#define AFTER(call, type)                                                      \
  void call (type *place)                                                      \
  {                                                                            \
    REAL (call);                                                               \
    real (place);                                                              \
    acquire (place);                                                           \
  }
#define BEFORE(call, type)                                                     \
  void call (type *place)                                                      \
  {                                                                            \
    REAL (call);                                                               \
    release (place);                                                           \
    real (place);                                                              \
  }
#define TRY(call, type)                                                        \
  gboolean call (type *place)                                                  \
  {                                                                            \
    REAL (call);                                                               \
    if (!real (place))                                                         \
      return FALSE;                                                            \
    acquire (place);                                                           \
    return TRUE;                                                               \
  }

AFTER (g_mutex_lock, GMutex)
BEFORE (g_mutex_unlock, GMutex)
TRY (g_mutex_trylock, GMutex)
AFTER (g_rec_mutex_lock, GRecMutex)
BEFORE (g_rec_mutex_unlock, GRecMutex)
TRY (g_rec_mutex_trylock, GRecMutex)
AFTER (g_rw_lock_reader_lock, GRWLock)
BEFORE (g_rw_lock_reader_unlock, GRWLock)
AFTER (g_rw_lock_writer_lock, GRWLock)
BEFORE (g_rw_lock_writer_unlock, GRWLock)

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  REAL (g_cond_wait);
  release (mutex);
  real (cond, mutex);
  acquire (mutex);
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 until)
{
  gboolean woken;
  REAL (g_cond_wait_until);
  release (mutex);
  woken = real (cond, mutex, until);
  acquire (mutex);
  return woken;
}

gboolean
g_once_init_enter (volatile void *location)
{
  gboolean first;
  REAL (g_once_init_enter);
  first = real (location);
  acquire ((gconstpointer) location);
  return first;
}

void
g_once_init_leave (volatile void *location, gsize result)
{
  REAL (g_once_init_leave);
  release ((gconstpointer) location);
  real (location, result);
}

/* Who drops a reference is done with what it is of, before the last one is. */
#define UNREF(call, type)                                                      \
  void call (type *place)                                                      \
  {                                                                            \
    REAL (call);                                                               \
    release (place);                                                           \
    acquire (place);                                                           \
    real (place);                                                              \
  }
UNREF (g_bytes_unref, GBytes)
UNREF (gst_mini_object_unref, GstMiniObject)

void
g_object_unref (gpointer object)
{
  REAL (g_object_unref);
  release (object);
  acquire (object);
  real (object);
}

void
gst_object_unref (gpointer object)
{
  REAL (gst_object_unref);
  release (object);
  acquire (object);
  real (object);
}

/* What is pushed to a pool of threads is done before one of them takes it. */
typedef struct {
  GFunc func;
  gpointer data;
} Task;

static void
run_task (gpointer data, gpointer task_data)
{
  Task *task = task_data;

  acquire (task);
  task->func (data, task->data);
}

GThreadPool *
g_thread_pool_new (GFunc func, gpointer data, gint max_threads,
    gboolean exclusive, GError **error)
{
  Task *task = g_new (Task, 1); /* as long as the program */
  REAL (g_thread_pool_new);
  *task = (Task){func, data};
  return real (run_task, task, max_threads, exclusive, error);
}

gboolean
g_thread_pool_push (GThreadPool *pool, gpointer data, GError **error)
{
  REAL (g_thread_pool_push);
  if (pool->func == run_task)
    release (pool->user_data);
  return real (pool, data, error);
}

/* What goes back to a pool comes out of it elsewhere. */
GstFlowReturn
gst_buffer_pool_acquire_buffer (GstBufferPool *pool, GstBuffer **buffer,
    GstBufferPoolAcquireParams *params)
{
  GstFlowReturn flow;
  REAL (gst_buffer_pool_acquire_buffer);
  flow = real (pool, buffer, params);
  acquire (pool);
  return flow;
}

void
gst_buffer_pool_release_buffer (GstBufferPool *pool, GstBuffer *buffer)
{
  REAL (gst_buffer_pool_release_buffer);
  release (pool);
  real (pool, buffer);
}
