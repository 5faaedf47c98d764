/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The folder of EleutherAI's sparsify: cfg.json and sae.safetensors
 * (encoder.weight [d_sae, d_in], encoder.bias [d_sae], W_dec [d_sae, d_out],
 * b_dec [d_out], and with skip_connection W_skip [d_out, d_in]). */
#pragma once

#include "layouts.h"

/* The weights in such a folder. */
#define SAE_SPARSIFY_WEIGHTS_FILE "sae.safetensors"

extern const SaeLayout sae_layout_sparsify;
