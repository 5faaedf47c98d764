/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Outputs of kernels, with a pattern before and behind that nothing may
 * write to. */
#pragma once

#include <glib.h>

typedef struct {
  void *values; /* n of them, then slack */
  gsize size;   /* bytes that may be written */
  guint8 *block;
  gsize block_size;
} Guarded;

/* Room for @n elements of @element bytes; @offset elements past an aligned
 * place. */
Guarded guarded_new (gsize n, gsize element, gsize offset);
/* Fails when a byte before or behind was written. */
void guarded_check (const Guarded *guarded, const char *what);
void guarded_clear (Guarded *guarded);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Guarded, guarded_clear)
