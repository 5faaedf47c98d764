/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Nested dictionaries (Matryoshka; Bussmann et al. 2025): the first p latents
 * alone, for several p, must reconstruct as well as they can.
 *
 *   x_hat_p = latents[: p] W_dec[: p] + b_dec,  loss = Σ_p of its error
 */
#pragma once

#include "workspace.h"

#define SAE_MAX_PREFIXES 16

/* Reads "64,256,1024": ascending sizes below or at @d_sae, which is added when
 * it is not the last. "" gives none. */
gboolean sae_prefixes_parse (const char *text, guint d_sae,
    guint sizes[SAE_MAX_PREFIXES], guint *n, GError **error);

/* x_hat [n_prefixes, n_rows, d_out] of rows whose indices ascend. */
void sae_prefixes_decode (const SaeNet *net, SaeWorkspace *workspace,
    const SaeSparseRows *latents, const guint *sizes, guint n_prefixes,
    float *x_hat);
