/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gradients of the loss of one batch, for the active latents only, since the
 * others have none. With g = ∂loss/∂x_hat and, over active (s, i),
 *
 *   q_si     = ∂loss/∂pre_si = g_s·W_dec[i] + L1 term
 *   W_enc[i] : Σ_s q_si x_s
 *   b_enc[i] : Σ_s q_si
 *   W_dec[i] : Σ_s h_si g_s + L1 term
 *   b_dec    : Σ_s g_s − [pre_bias] Σ_i (Σ_s q_si) W_enc[i]
 *
 * The loss is that of SaeReduction:
 *
 *   mean : Σ‖t − x̂‖²/(n·d_out) + l1_coeff·Σ h/(n·d_sae)
 *   sum  : Σ‖t − x̂‖²/n + l1_coeff·Σ h_si ‖W_dec,i‖/n
 *
 * or, where the penalty counts latents (jump-relu), l1_coeff·Σ [h > 0]/n, which
 * has no gradient here (see thresholds.h).
 *
 * Nested dictionaries (Matryoshka; Bussmann et al. 2025) have one
 * reconstruction for each prefix of the latents, and the sum of their errors as
 * the loss. Latent i takes part in all prefixes longer than i, so that its g is
 * the sum of theirs: suffix sums, one array [n, d_out] a prefix. */
#pragma once

#include "workspace.h"

typedef struct {
  /* of the batch */
  const SaeNet *net;
  SaeWorkspace *workspace;
  const float *x; /* [n, d_in], less b_dec with pre-bias */
  gsize n;
  SaeReduction reduction;
  double error_weight; /* of Σ‖t − x̂‖² in the loss */
  double l1_coeff;
  gboolean counts;       /* the penalty is on the number of latents */
  gboolean without_bias; /* x̂ is without b_dec */
  const guint *prefixes; /* sizes, ascending, d_sae last; NULL: only that */
  guint n_prefixes;
  gboolean dense; /* blocks with many active latents may use dense products */

  /* results */
  const float *g;        /* [n_prefixes, n, d_out]: of latents from prefix on */
  const gsize *first;    /* [d_sae + 1]: places of latent i in the next three */
  const guint32 *row;    /* rows in which it is active, ascending */
  const float *h, *q;    /* its value there, and ∂loss/∂pre */
  const float *b_enc;    /* [d_sae] */
  const float *b_dec;    /* [d_out] */
  const float *l1_decay; /* [d_sae]: the L1 term of W_dec[i] is this times it */
  double loss, mse, l1;  /* the whole and its parts, l1 without coefficient */
  double bound;          /* no number of a gradient is larger than this */
  const SaeRowSums *sums; /* [n]: of the targets and the whole x̂ */

  /*< private >*/
  SaeScratch scratch[13];
} SaeGradients;

/* error_weight of a loss that is a mean over rows. */
double
sae_gradients_error_weight (SaeReduction reduction, gsize n, guint d_out);

void sae_gradients_clear (SaeGradients *gradients);

/* Everything but the rows of W_enc and W_dec, for the batch in the first
 * fields: @target [n, d_out] and @x_hat [n_prefixes, n, d_out]. FALSE when
 * memory is exhausted. */
gboolean
sae_gradients_compute (SaeGradients *gradients, const SaeSparseRows *latents,
    const float *target, const float *x_hat, GError **error);

/* Whether latent @i was active in the batch. */
static inline gboolean
sae_gradients_is_active (const SaeGradients *gradients, guint i)
{
  return gradients->first[i + 1] > gradients->first[i];
}

/* Latents of a block that are handled together. */
#define SAE_GRADIENTS_BLOCK 64

/* Whether latents @first … @last − 1 are active so often that dense products
 * are quicker than one row of theirs after another. */
gboolean sae_gradients_block_is_dense (const SaeGradients *gradients,
    guint first, guint last);

/* Floats of scratch that a dense block needs. */
gsize sae_gradients_block_scratch (const SaeGradients *gradients);

/* Gradients of the rows of a dense block: W_enc [last − first, d_in], W_dec
 * [last − first, d_out]. Either may be NULL. */
void sae_gradients_block (const SaeGradients *gradients, guint first,
    guint last, float *scratch, float *W_enc_rows, float *W_dec_rows);

/* Gradients of row @i of W_enc [d_in] and W_dec [d_out]. Either may be NULL. */
void sae_gradients_row (const SaeGradients *gradients, guint i,
    float *W_enc_row, float *W_dec_row);
