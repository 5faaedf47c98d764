/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "options.h"

/* Effective learning rate of a step on rows @rows … @rows + @n − 1 of the run:
 * option × warm-up × schedule. @options are resolved. */
double
sae_schedule_rate (const SaeTrainerOptions *options, guint64 rows, guint64 n);

/* Latents kept per row by a step that begins after @rows rows: from k_start to
 * k in a straight line, rounded. */
guint sae_schedule_k (const SaeTrainerOptions *options, guint64 rows);

/* Share of the L1 coefficient that a step on rows @rows … @rows + @n − 1 has.
 */
double sae_schedule_l1_warmup (const SaeTrainerOptions *options, guint64 rows,
    guint64 n);
