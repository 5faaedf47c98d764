/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a dictionary on disk holds. */
#pragma once

#include <jansson.h>
#include <sae.h>

/* The layout of @path, or NULL when it is no dictionary. */
const char *sae_inspect_find_layout (const char *path);

/* All there is to say of it; with @verify also of its statistics all is read.
 * NULL with @error set when it does not load. */
json_t *
sae_inspect_dictionary (const char *path, gboolean verify, GError **error);
