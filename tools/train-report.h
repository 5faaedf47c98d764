/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is said when a run is over. */
#pragma once

#include "train-options.h"
#include "train-run.h"

/* @held_out is NULL without held-out rows. */
void sae_train_report_print (const SaeTrainOptions *options, const SaeRun *run,
    const SaeRun *held_out);
