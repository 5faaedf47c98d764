/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SAELens' cfg.json, as SAELens 3 to 6 write it for the architectures
 * "standard", "topk", "jumprelu" and "gated", the transcoders of SAELens 6, and
 * in the middle of a training run "batchtopk" and "matryoshka_batchtopk". */
#pragma once

#include "dictionary.h"

/* Largest cfg.json accepted, in bytes. */
#define SAE_SAELENS_MAX_CONFIG (1024 * 1024)

/* What is folded into the arrays when they are loaded. */
typedef struct {
  gboolean rescale;       /* rescale_acts_by_decoder_norm */
  gboolean finetuned;     /* latents are scaled before they are decoded */
  gboolean one_threshold; /* of batch-top-k, a scalar */
} SaeSaelensFolding;

/* Parses the text of a cfg.json into a dictionary without arrays. Keys that
 * change what the model computes are applied or refused by name, and so are
 * keys that are not known; those that only steer training are skipped.
 * reshape_activations is kept in the metadata, unless it is "none". @label
 * stands for the path in errors. */
SaeDictionary *sae_saelens_config_parse (const char *text, gsize size,
    const char *label, SaeSaelensFolding *folding, GError **error);

/* The text of the cfg.json for @dictionary, or NULL with @error set when the
 * format cannot express it. (transfer full) */
char *
sae_saelens_config_build (const SaeDictionary *dictionary, GError **error);
