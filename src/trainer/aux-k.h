/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AuxK (Gao et al. 2024, appendix A.2): latents that have not fired for long
 * reconstruct what the others leave over, so that they get a gradient too.
 *
 *   e    = target − x_hat, held constant
 *   ê    = Σ_i z_i W_dec[i], z the k largest of relu(pre) among the dead
 *   aux  = Σ‖e − ê‖² / Σ‖e − mean e‖²     (the denominator held constant)
 *   loss = … + coeff·aux                  (reduction sum: coeff·d_out·aux)
 *
 * There is none for a batch whose e is all but the same in each row: with
 * hardly anything in the denominator, what it says drowns all else.
 *
 * Its gradients reach W_enc, b_enc and W_dec of the dead latents, and with
 * pre-bias b_dec, through the encoder. The encoder rows of the dead are copied
 * together: where few are dead, it costs little. */
#pragma once

#include "gradients.h"

typedef struct {
  guint n_dead;           /* in the last batch; 0: all below is void */
  double loss;            /* aux */
  SaeGradients gradients; /* of the dead alone, by their index */
  const guint32 *dead;    /* [n_dead]: ascending */

  /*< private >*/
  SaeNet encoder; /* of the dead, by their place among them */
  SaeNet net;     /* the whole, without b_dec */
  SaeWorkspace *workspace;
  SaeScratch scratch[8];
} SaeAuxK;

/* @workspace lends its threads. */
void sae_aux_k_init (SaeAuxK *aux, SaeWorkspace *workspace);
void sae_aux_k_clear (SaeAuxK *aux);

/* Begins a batch: finds the latents whose @last_fired [d_sae] is before
 * @alive_since. FALSE when memory is exhausted. */
gboolean sae_aux_k_find_dead (SaeAuxK *aux, const SaeNet *net,
    const guint64 *last_fired, guint64 alive_since, GError **error);

/* Gradients of @coeff·aux for the batch of @main, whose own are known: of its
 * @k best dead latents a row, if there are any. @target and @x_hat
 * [n, d_out]. */
gboolean
sae_aux_k_compute (SaeAuxK *aux, const SaeGradients *main, const float *target,
    const float *x_hat, guint k, double coeff, GError **error);

/* Whether latent @i of the whole dictionary has a gradient here. */
static inline gboolean
sae_aux_k_is_active (const SaeAuxK *aux, guint i)
{
  return aux->n_dead > 0 && sae_gradients_is_active (&aux->gradients, i);
}

/* Adds the gradients of such a latent's rows, of which either may be NULL.
 * @scratch: as long as the longer one. */
void sae_aux_k_add_row (const SaeAuxK *aux, guint i, float *W_enc_row,
    float *W_dec_row, float *scratch);

/* Adds those of b_enc [d_sae] and b_dec [d_out]. */
void sae_aux_k_add_biases (const SaeAuxK *aux, float *b_enc, float *b_dec);
