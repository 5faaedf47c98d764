/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Training runs that PyTorch's autograd did in float64 (tests/goldens). */
#pragma once

#include "options.h"
#include "sae-model.h"

typedef struct {
  char *name;
  SaeTrainerOptions options;
  guint steps, rows_per_step;
  guint gradient_step; /* whose gradients are stored */
  guint row_step;      /* of its own matrices every so many rows are stored */
  GHashTable *tensors; /* name to GBytes of float32 */
} Golden;

/* Every run of @folder, by name. Free with g_ptr_array_unref(). */
GPtrArray *golden_load_all (const char *folder);

/* A tensor of exactly @n values. */
const float *golden_tensor (const Golden *golden, const char *name, gsize n);

gboolean golden_has (const Golden *golden, const char *name);

/* The weights that the run started from. (transfer full) */
SaeModel *golden_start (const Golden *golden);

/* Rows of step @step. (transfer full) */
GBytes *golden_rows (const Golden *golden, guint step);
