/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One optimiser step on gradients that are known: for every latent the
 * decoder's gradient along its unit row is removed, the norm over all
 * parameters taken, then clipped, given to the optimiser, and the row made
 * unit again. A row goes through all of it while it is in cache; only a norm
 * that clips has to be known before the first update, and then the gradients of
 * the active latents are kept until it is. */
#pragma once

#include "run.h"

/* The step of @run->gradients and @run->aux over @n rows. Sets learning_rate
 * and gradient_norm (before clipping). */
gboolean sae_update (SaeRun *run, gsize n, GError **error);

/* Makes the row @w of @d numbers a unit vector; one of zeros stays. */
void sae_update_make_unit (float *w, gsize d);
