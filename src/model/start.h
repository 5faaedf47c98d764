/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The weights that training starts from. */
#pragma once

#include "net.h"

/* Fills W_enc [d_sae, d_in] and W_dec [d_sae, d_out] from @seed, row by row,
 * the same bits whatever the sizes of other runs. */
void sae_start_weights (const SaeNet *net, SaeInit init, guint64 seed,
    float *W_enc, float *W_dec);
