/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * x_hat = latents W_dec + b_dec by dense products, for batches in which so many
 * latents are active that this is quicker than one decoder row after another:
 * the beginning of l1 training. */
#pragma once

#include "workspace.h"

/* Whether one in eight or more of all latents is active. */
gboolean sae_dense_decode_pays (const SaeSparseRows *latents, guint d_sae);

/* Where sae_gemm_is_there(). @scratch is kept by the caller.
 * FALSE when memory is exhausted. */
gboolean sae_dense_decode (const SaeNet *net, SaeWorkspace *workspace,
    const SaeSparseRows *latents, float *x_hat, SaeScratch *scratch,
    GError **error);
