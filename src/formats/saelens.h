/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SAELens' folder: cfg.json and sae_weights.safetensors (W_enc [d_in, d_sae],
 * W_dec [d_sae, d_in], b_enc [d_sae], b_dec [d_in]; for jumprelu threshold
 * [d_sae]; for gated b_gate, r_mag and b_mag [d_sae] in the place of b_enc;
 * of a transcoder W_dec [d_sae, d_out], b_dec [d_out] and maybe W_skip [d_out,
 * d_in]).
 * Where statistics of the latents are at hand they are saved beside these, see
 * latent-stats.h; loading does not look at them. */
#pragma once

#include "layouts.h"

/* The weights in such a folder. */
#define SAE_SAELENS_WEIGHTS_FILE "sae_weights.safetensors"

extern const SaeLayout sae_layout_saelens;
