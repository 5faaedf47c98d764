/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Training of jump-relu (Rajamanoharan et al. 2024, "Jumping ahead"):
 * latents = pre·H(pre − θ) for pre > 0, and the penalty is λ times the mean
 * number of active latents. Neither has a gradient for θ; in its place stand
 * the pseudo-derivatives of equations 11 and 12, with the rectangle kernel
 * K(u) = 1 for |u| < 1/2 and the bandwidth ε:
 *
 *   ∂latent/∂θ = −(θ/ε)·K((pre − θ)/ε)
 *   ∂H/∂θ      = −(1/ε)·K((pre − θ)/ε)
 *
 * so that, over the rows s whose pre is within the window around θ_i,
 *
 *   ∂loss/∂θ_i = −(1/ε)·Σ_s (θ_i·g_s·W_dec[i] + λ/n)
 *
 * What is trained is log θ, which keeps θ positive. */
#pragma once

#include "gradients.h"

typedef struct {
  const float *theta; /* [d_sae]: exp (log θ) */
  float *gradient;    /* [d_sae]: of log θ; NULL for other rules */

  /*< private >*/
  SaeSparseRows window;
  SaeScratch scratch[12];
} SaeThresholds;

void sae_thresholds_clear (SaeThresholds *thresholds);

/* Takes θ from @log_theta [d_sae], after bringing it back to where θ is from
 * 1e-6 to 1e6. FALSE when memory is exhausted. */
gboolean sae_thresholds_set (SaeThresholds *thresholds, float *log_theta,
    guint d_sae, GError **error);

/* latents of @x [n, d_in] by those θ; keeps what is in the windows of width
 * @bandwidth for the gradient. */
gboolean sae_thresholds_encode (SaeThresholds *thresholds, const SaeNet *net,
    SaeWorkspace *workspace, const float *x, gsize n, double bandwidth,
    SaeSparseRows *latents, GError **error);

/* The gradient of that batch, whose other gradients are known. */
gboolean sae_thresholds_compute (SaeThresholds *thresholds,
    const SaeGradients *gradients, double bandwidth, GError **error);
