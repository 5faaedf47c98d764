/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guarded.h"

#include <string.h>

#define PATTERN 0xa5
#define GUARD 256 /* bytes on either side; more than four SIMD registers */

Guarded
guarded_new (gsize n, gsize element, gsize offset)
{
  Guarded guarded = {.size = n * element};

  guarded.block_size = GUARD + offset * element + guarded.size + GUARD;
  guarded.block = g_malloc (guarded.block_size);
  memset (guarded.block, PATTERN, guarded.block_size);
  guarded.values = guarded.block + GUARD + offset * element;
  return guarded;
}

void
guarded_check (const Guarded *guarded, const char *what)
{
  const guint8 *begin = guarded->values, *end = begin + guarded->size;

  for (const guint8 *p = guarded->block; p < begin; p++)
    if (*p != PATTERN)
      g_error ("%s: wrote %d bytes before its output", what, (int) (begin - p));
  for (const guint8 *p = end; p < guarded->block + guarded->block_size; p++)
    if (*p != PATTERN)
      g_error ("%s: wrote %d bytes behind its output", what, (int) (p - end));
}

void
guarded_clear (Guarded *guarded)
{
  g_clear_pointer (&guarded->block, g_free);
}
