/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which latents two dictionaries have in common. */
#pragma once

#include <jansson.h>
#include <sae.h>

/* {"a": …, "b": …}, each with the share above 0.9 and the quantiles of the best
 * cosines; with @matches the match of every latent, too. NULL with @error. */
json_t *sae_inspect_compare (const char *a, const char *b, gboolean matches,
    gboolean quiet, GError **error);
void sae_inspect_print_comparison (const char *a, const char *b,
    const json_t *facts);
