/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SAELens' folder: cfg.json and sae_weights.safetensors (W_enc [d_in, d_sae],
 * W_dec [d_sae, d_in], b_enc [d_sae], b_dec [d_in]; for jumprelu threshold
 * [d_sae]). */
#pragma once

#include "layouts.h"

extern const SaeLayout sae_layout_saelens;
