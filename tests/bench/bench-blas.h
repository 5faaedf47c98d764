/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Libraries of dense float32 products, to compare with. Each is opened at its
 * first use, so that one that is not asked for changes nothing. */
#pragma once

#include <glib.h>

typedef struct {
  const char *name;
  /* Opens it, with just so many threads. */
  gboolean (*open) (guint n_threads, GError **error);
  /* Text that says which build it is. (transfer full) */
  char *(*describe) (void);
  /* y [n, d_sae] = x [n, d_in] Wᵀ, W [d_sae, d_in] */
  void (*product) (const float *x, gsize n, const float *W, gsize d_sae,
      gsize d_in, float *y);
  /* y [d_sae] = W x; NULL where the library has none. */
  void (*sgemv) (const float *x, const float *W, gsize d_sae, gsize d_in,
      float *y);
} BenchBlas;

/* Ends with a NULL. */
extern const BenchBlas *const bench_blas[];
