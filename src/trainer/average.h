/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Exponential moving average of the parameters (Polyak and Juditsky 1992;
 * in the form of Tarvainen and Valpola 2017). At a learning rate that stays
 * up, weights jitter around a better place than any they are at; their mean is
 * near it, so that a run of unknown length has a good dictionary at every
 * moment. */
#pragma once

#include "run.h"

/* Whether the run averages. */
gboolean sae_average_is_on (const SaeTrainerOptions *options);

/* Takes the parameters into the average, now and then; after each step. */
void sae_average_step (SaeRun *run);
