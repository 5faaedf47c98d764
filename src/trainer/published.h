/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The dictionary that a run shows to others: averaged weights where it
 * averages, and jump-relu where it trains by batch-top-k. */
#pragma once

#include "run.h"

/* In units of s; holds until the next step. What it has to be made of is made
 * once after a step. FALSE when memory is exhausted. */
gboolean sae_run_get_published (SaeRun *run, SaeNet *net, GError **error);
