/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The "metadata" object of SAELens' cfg.json: free keys of the user's, and
 * under the key "gst_sae" those of our options that the format lacks. */
#pragma once

#include <jansson.h>

#include "dictionary.h"

/* A key of cfg.json's top level that the dictionary keeps in its metadata, when
 * it is "hook_z"; it is not written there. */
#define SAE_SAELENS_RESHAPE_KEY "reshape_activations"

/* Fills the dictionary's metadata and ties from the JSON object.
 *
 * A string value is kept as it is. Any other value is kept as "json:" and its
 * JSON text, and so is a string that would read as such, so that saving gives
 * back what was loaded. */
gboolean sae_saelens_metadata_parse (json_t *metadata,
    SaeDictionary *dictionary, const char *label, GError **error);

/* The reverse; keys are sorted. (transfer full), NULL with @error set. */
json_t *
sae_saelens_metadata_build (const SaeDictionary *dictionary, GError **error);
