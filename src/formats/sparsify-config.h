/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The cfg.json of sparsify 1: its SparseCoderConfig, and d_in. */
#pragma once

#include "dictionary.h"

/* Largest cfg.json accepted, in bytes. */
#define SAE_SPARSIFY_MAX_CONFIG (1024 * 1024)

/* Parses the text of a cfg.json into a dictionary without arrays. Keys that
 * change latents or reconstruction are applied or refused by name, and so are
 * keys that are not known. @label stands for the path in errors. */
SaeDictionary *sae_sparsify_config_parse (const char *text, gsize size,
    const char *label, GError **error);

/* The text of the cfg.json for @dictionary, or NULL with @error set when the
 * format cannot express it. (transfer full) */
char *
sae_sparsify_config_build (const SaeDictionary *dictionary, GError **error);
