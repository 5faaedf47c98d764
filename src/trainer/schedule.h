/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "options.h"

/* Effective learning rate of a step on rows @rows … @rows + @n − 1 of the run:
 * option × warm-up × schedule. @options are resolved. */
double
sae_schedule_rate (const SaeTrainerOptions *options, guint64 rows, guint64 n);
