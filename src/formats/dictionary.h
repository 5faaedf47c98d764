/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A dictionary as files hold it, in the one orientation used inside:
 * W_enc [d_sae, d_in] (row i reads latent i), W_dec [d_sae, d_out] (row i
 * writes latent i), b_enc [d_sae], b_dec [d_out], all float32 row-major. */
#pragma once

#include "latent-stats.h"

typedef struct {
  guint32 d_in, d_out, d_sae;
  guint32 k;      /* 0 where the rule has none */
  char *sparsity; /* nick of the rule: "top-k", "l1", "jump-relu", … */
  char *ties;     /* nick: "lowest-index" or "keep-all" */
  gboolean pre_bias;
  gboolean skip; /* whether there is a skip connection */
  /* Nick of what is done to rows first: "none", "layer-norm",
   * "constant-norm", "expected-average"; NULL for none. */
  char *input_norm;
  float *W_enc, *b_enc, *W_dec, *b_dec; /* g_free() */
  float *threshold; /* [d_sae], g_free(); with "jump-relu" only, else NULL */
  /* [d_sae], g_free(); with "gated" only, whose b_enc is the gate's bias */
  float *r_mag, *b_mag;
  float *W_skip; /* [d_out, d_in], g_free(); where @skip, else NULL */
  /* Text key to text value, shown in and kept through cfg.json's metadata:
   * the model's name, the hook point, … (gchar*, gchar*); never NULL. */
  GHashTable *metadata;
  /* Borrowed, or NULL: saved beside the weights, never loaded. */
  const SaeLatentStats *stats;
} SaeDictionary;

SaeDictionary *sae_dictionary_new (void);
/* Allocates the arrays, zeroed, from d_in, d_out, d_sae and the rule (which
 * says whether there are thresholds) and @skip: checks every product and fails
 * with SAE_ERROR_SIZE or SAE_ERROR_NO_SPACE, never aborts. */
gboolean sae_dictionary_allocate (SaeDictionary *dictionary, GError **error);
void sae_dictionary_free (SaeDictionary *dictionary);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeDictionary, sae_dictionary_free)

/* Largest d_in, d_out or d_sae accepted. */
#define SAE_DICTIONARY_MAX_SIZE (1u << 28)

/* Refuses sizes of 0 or above SAE_DICTIONARY_MAX_SIZE, and products
 * d_sae * d or d_out * d_in that overflow gsize bytes, with SAE_ERROR_SIZE. */
gboolean sae_dictionary_check_sizes (guint64 d_in, guint64 d_out, guint64 d_sae,
    GError **error);
