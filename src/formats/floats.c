/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "floats.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64
/* Arrays of several of these are asked for in them: rows of the weights are
 * gathered from all over, and the processor knows where only so many pages
 * are. */
#define HUGE_PAGE (2u << 20)

static gboolean
is_large (gsize bytes)
{
  return bytes >= 2 * HUGE_PAGE;
}

/* A hint, which a system may have no use for. */
static void
ask_for_huge_pages (void *floats, gsize bytes)
{
#ifdef MADV_HUGEPAGE
  if (is_large (bytes))
    (void) madvise (floats, bytes, MADV_HUGEPAGE);
#endif
}

float *
sae_floats_new (gsize rows, gsize columns, const char *what, GError **error)
{
  gsize n, bytes;
  void *floats = NULL;

  if (!g_size_checked_mul (&n, rows, columns) ||
      !g_size_checked_mul (&bytes, n, sizeof (float)) ||
      posix_memalign (&floats, is_large (bytes) ? HUGE_PAGE : ALIGNMENT,
          MAX (bytes, ALIGNMENT)) != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s [%" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT "]: no memory for it", what,
        rows, columns);
    return NULL;
  }
  ask_for_huge_pages (floats, bytes);
  memset (floats, 0, MAX (bytes, ALIGNMENT));
  return floats;
}
