/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Σ_j x[j]·w[j] with the bits that are promised, written out plainly: 16 lanes
 * (index mod 16) of fused multiply-adds, added by halving. */
float plain_dot (const float *x, const float *w, gsize d);
