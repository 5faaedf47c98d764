/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "floats.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

float *
sae_floats_new (gsize rows, gsize columns, const char *what, GError **error)
{
  gsize n, bytes;
  void *floats = NULL;

  if (!g_size_checked_mul (&n, rows, columns) ||
      !g_size_checked_mul (&bytes, n, sizeof (float)) ||
      posix_memalign (&floats, ALIGNMENT, MAX (bytes, ALIGNMENT)) != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s [%" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT "]: no memory for it", what,
        rows, columns);
    return NULL;
  }
  memset (floats, 0, MAX (bytes, ALIGNMENT));
  return floats;
}
