/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A folder that is no dictionary: the arrays in it. */
#pragma once

#include <jansson.h>
#include <sae.h>

/* Facts of each .npy and .safetensors file; NULL with @error when there is
 * none or one is wrong. */
json_t *sae_inspect_folder (const char *path, gboolean verify, GError **error);
