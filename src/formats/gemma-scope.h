/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gemma Scope's params.npz (Lieberum et al. 2024): W_enc [d_in, d_sae], W_dec
 * [d_sae, d_out], b_enc, threshold [d_sae] and b_dec [d_out] of a jump-relu
 * dictionary, whose b_dec is not subtracted from the input. The path is that
 * file's, of any name that ends in .npz, or that of a folder with a params.npz.
 * Read only. */
#pragma once

#include "layouts.h"

extern const SaeLayout sae_layout_gemma_scope;
