/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The options of a run as text, in a checkpoint. */
#pragma once

#include "options.h"

/* A JSON object of strings by the names of the properties. (transfer full) */
char *sae_trainer_options_to_text (const SaeTrainerOptions *options);

/* Makes @options, as they were set, those of the run that @text is from: what
 * is left open (0, -1, auto) takes the value there; what was set has to be the
 * same, or the error names it. Free are those that may change while a run goes
 * on (SAE_PARAM_LIVE); n-threads, which changes no bits; and total-rows, which
 * makes the rest of the run another length. With @from_model, pre-bias and
 * ties are left open too: they came with the model. */
gboolean sae_trainer_options_adopt (SaeTrainerOptions *options,
    const char *text, gboolean from_model, const char *label, GError **error);
