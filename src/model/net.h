/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The numbers of an autoencoder without their owner: what an immutable model
 * and a trainer in the middle of a run have in common. */
#pragma once

#include "floats.h"
#include "kernels.h"
#include "sae-enums.h"

typedef struct _SaeScreen SaeScreen;

typedef struct {
  guint d_in, d_out, d_sae;
  guint k;
  SaeSparsity sparsity;
  SaeTies ties;
  gboolean pre_bias;
  SaeInputNorm input_norm;
  const float *W_enc;         /* [d_sae, d_in]: row i reads latent i */
  const float *b_enc;         /* [d_sae] */
  const float *W_dec;         /* [d_sae, d_out]: row i writes latent i */
  const float *b_dec;         /* [d_out] */
  const float *threshold;     /* [d_sae]; jump-relu only, else NULL */
  const float *r_mag, *b_mag; /* [d_sae]; gated only, else NULL */
  const float *W_skip;        /* [d_out, d_in]: x_hat += W_skip x; or NULL */
  const SaeScreen *screen;    /* of W_enc as it is now; NULL without one */
} SaeNet;

/* Checks the sizes and the rule against each other: d_in, d_out, d_sae in
 * range, 1 ≤ k ≤ d_sae for top-k and group-max, k groups of one size for the
 * latter, d_in = d_out with pre-bias and where rows are normalised, d_in ≥ 2
 * for layer-norm. Refuses batch-top-k, which no model has. The arrays are not
 * looked at. */
gboolean sae_net_check (const SaeNet *net, GError **error);
