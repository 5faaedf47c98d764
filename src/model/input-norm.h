/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a model does to a row before it encodes it, and undoes in its
 * reconstruction. Sums are in float64 and in one order. */
#pragma once

#include "sae-enums.h"

/* What was taken from a row: x_hat·scale + mean undoes it. */
typedef struct {
  float mean, scale;
} SaeRowNorm;

/* Whether rows have statistics of their own, which decoding needs. */
gboolean sae_input_norm_is_per_row (SaeInputNorm norm);
/* Its nick. */
const char *sae_input_norm_get_name (SaeInputNorm norm);

/* @y [d] = the normalised @x [d], less @b_dec [d] where that is not NULL. Of a
 * row that has a NaN, an infinity or numbers too large for its statistics, @y
 * has a NaN, and mean and scale are 0. */
SaeRowNorm sae_input_norm_apply (SaeInputNorm norm, const float *x, gsize d,
    const float *b_dec, float *y);

void sae_input_norm_undo (float *x_hat, gsize d, const SaeRowNorm *norm);
