/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a step adds to the meters and to the counters of its latents. */
#pragma once

#include "run.h"

/* Adds the batch of @run->gradients, with its @target [n, d_out]. Its loss is
 * added apart. */
void sae_measure_batch (SaeRun *run, const float *target,
    const SaeSparseRows *latents);
