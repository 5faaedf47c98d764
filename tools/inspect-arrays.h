/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files of arrays that are no dictionary: .npy and .safetensors. */
#pragma once

#include <jansson.h>
#include <sae.h>

/* What the header of @path says; with @verify every number is read, and one
 * that is not finite, or too large for float32, is an error. NULL with @error
 * set. */
json_t *sae_inspect_npy (const char *path, gboolean verify, GError **error);
json_t *
sae_inspect_safetensors (const char *path, gboolean verify, GError **error);

/* Either, by how the file begins. */
json_t *sae_inspect_file (const char *path, gboolean verify, GError **error);
