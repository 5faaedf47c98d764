/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The forward pass of a step: latents by the rule that is trained, and their
 * reconstructions. */
#pragma once

#include "run.h"

/* By @run->step_net: x less b_dec, where the encoder wants it so, into
 * gradients.x; @latents, held by the run until its next step; and x_hat
 * [n_prefixes, n, d_out] into the run's scratch. Where dense products pay
 * and there are any, gradients.dense is set. */
gboolean sae_forward (SaeRun *run, const float *x, gsize n,
    SaeSparseRows *latents, GError **error);
