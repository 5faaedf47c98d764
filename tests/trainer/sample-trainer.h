/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A stream that a dictionary can learn, and trainers on it. */
#pragma once

#include "noise.h"
#include "sae-trainer.h"

/* Rows [n_rows, d]: each the sum of a few of 2·d fixed directions, and a mean,
 * times @scale. The directions come from d alone. (transfer full) */
GBytes *sparse_rows (Noise *noise, gsize n_rows, guint d, float scale);

/* Whether @rule is one that is trained: some only run. */
gboolean is_trained (SaeSparsity rule);

/* Pushes @x; fails the test on an error. */
void push_all (SaeTrainer *trainer, GBytes *x);

/* The trained weights, or NULL before the start; fails on an error. */
SaeModel *model_of (SaeTrainer *trainer);

/* Bytes of all four arrays in one, and of the thresholds of jump-relu.
 * (transfer full) */
GBytes *weights_of (SaeTrainer *trainer);
