/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Models and rows of random numbers, and the forward pass written out plainly
 * for them: what is promised, without blocks, threads or SIMD. */
#pragma once

#include "model.h"
#include "noise.h"

/* float32 [n] of @kind. (transfer full) */
GBytes *sample_floats (Noise *noise, NoiseKind kind, gsize n);
/* About normal, variance 1. (transfer full) */
GBytes *sample_rows (Noise *noise, gsize n_rows, gsize d);

/* Weights of about unit rows, biases of about 0.1; with jump-relu, thresholds
 * of about 0.5, half of them negative; with gated, r_mag and b_mag of about
 * 0.5. (transfer full) */
SaeModel *sample_model (Noise *noise, const SaeConfig *config);
/* Weights and biases of @kind, thresholds as above. (transfer full) */
SaeModel *
sample_model_of (Noise *noise, NoiseKind kind, const SaeConfig *config);

/* latents [d_sae], dense, of one row @x [d_in]. */
void sample_encode (const SaeNet *net, const float *x, float *latents);
/* What a difference of x_hat of the row @x is scaled by at the end. */
float sample_scale (const SaeNet *net, const float *x);
/* x_hat [d_out] of one row of dense @latents [d_sae]. */
void sample_decode (const SaeNet *net, const float *latents, float *x_hat);
/* pre in place → latents: relu, then the rule by sorting the whole row. */
void sample_sparsify (const SaeNet *net, float *pre);
