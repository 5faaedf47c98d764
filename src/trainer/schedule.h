/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "options.h"

/* Learning rate for @options whose own is 0. */
double sae_schedule_default_rate (const SaeTrainerOptions *options);

/* Effective learning rate of a step on rows @rows … @rows + @n − 1 of the run:
 * option × warm-up × schedule. @options are resolved. */
double
sae_schedule_rate (const SaeTrainerOptions *options, guint64 rows, guint64 n);
