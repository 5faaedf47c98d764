/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fail-allocations.h"

#include <errno.h>
#include <stdlib.h>

#define EXPORTED __attribute__ ((visibility ("default")))

/* glibc's allocator under its other names */
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *old, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);

static gint countdown; /* atomic */
static gint failed;    /* atomic */

void
fail_allocation (guint nth)
{
  g_atomic_int_set (&failed, 0);
  g_atomic_int_set (&countdown, (gint) nth);
}

gboolean
fail_allocation_end (void)
{
  g_atomic_int_set (&countdown, 0);
  return g_atomic_int_get (&failed);
}

static gboolean
fails (size_t size)
{
  if (size < LARGE_ALLOCATION || g_atomic_int_get (&countdown) == 0 ||
      !g_atomic_int_dec_and_test (&countdown))
    return FALSE;
  g_atomic_int_set (&failed, 1);
  errno = ENOMEM;
  return TRUE;
}

EXPORTED void *
malloc (size_t size)
{
  return fails (size) ? NULL : __libc_malloc (size);
}

EXPORTED void *
calloc (size_t n, size_t size)
{
  return fails (n * size) ? NULL : __libc_calloc (n, size);
}

EXPORTED void *
realloc (void *old, size_t size)
{
  return fails (size) ? NULL : __libc_realloc (old, size);
}

EXPORTED int
posix_memalign (void **result, size_t alignment, size_t size)
{
  if (fails (size))
    return ENOMEM;
  *result = __libc_memalign (alignment, size);
  return *result ? 0 : ENOMEM;
}

EXPORTED void *
aligned_alloc (size_t alignment, size_t size)
{
  return fails (size) ? NULL : __libc_memalign (alignment, size);
}
