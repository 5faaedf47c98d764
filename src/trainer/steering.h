/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The L1 coefficient that gives a wanted number of active latents. */
#pragma once

#include "options.h"
#include "workspace.h"

/* Where steering begins. */
double sae_steering_start (const SaeTrainerOptions *options);

/* The coefficient after a batch with these latents: it grows while more than
 * @target_l0 latents a row are active and shrinks while fewer are. */
double sae_steering_next (double coeff, const SaeSparseRows *latents,
    double target_l0);

/* The coefficient for a batch with these latents where it acts on thresholds,
 * which follow late: @coeff, and more or less of it (also below 0) in
 * proportion to how far this batch is off. */
double sae_steering_push (const SaeTrainerOptions *options, double coeff,
    const SaeSparseRows *latents);
