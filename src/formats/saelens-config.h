/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SAELens' cfg.json, as SAELens 6 writes it for the architectures "standard",
 * "topk" and "jumprelu". */
#pragma once

#include "dictionary.h"

/* Largest cfg.json accepted, in bytes. */
#define SAE_SAELENS_MAX_CONFIG (1024 * 1024)

/* Parses the text of a cfg.json into a dictionary without arrays. Keys that
 * change what the model computes are applied or refused by name, and so are
 * keys that are not known; those that only steer training are skipped.
 * @rescale is set when the arrays must be folded by the decoder's norms
 * (rescale_acts_by_decoder_norm). @label stands for the path in errors. */
SaeDictionary *sae_saelens_config_parse (const char *text, gsize size,
    const char *label, gboolean *rescale, GError **error);

/* The text of the cfg.json for @dictionary, or NULL with @error set when the
 * format cannot express it. (transfer full) */
char *
sae_saelens_config_build (const SaeDictionary *dictionary, GError **error);
