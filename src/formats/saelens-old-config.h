/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cfg.json from before SAELens 6: all keys at the top level, those of the
 * language model and of the training run among them. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Whether @root is one: its version says so, or it has none (as
 * handle_config_defaulting() of SAELens decides it). */
gboolean sae_saelens_config_is_old (json_t *root);

/* Whether @key of such a file says how the dictionary was trained, and nothing
 * about what it computes. */
gboolean sae_saelens_old_key_is_of_training (const char *key);

/* The name that SAELens 6 gives @key of such a file in its metadata; NULL
 * where it does not belong there. */
const char *sae_saelens_old_key_in_metadata (const char *key);

/* Its keys that belong into the metadata, under their names of today. NULL when
 * memory is exhausted. */
json_t *sae_saelens_old_metadata (json_t *root);

/* Whether the hook point's name is one of hook_z, whose rows SAELens reshapes
 * without being told. */
gboolean sae_saelens_old_is_hook_z (json_t *root);
