/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The JSON header of a safetensors file, as a list of tensors. */
#pragma once

#include "safetensors.h"

/* Parses the @size bytes of JSON at @text. @data_start is where tensor bytes
 * begin and @file_size where they must end. Returns SaeTensorEntry* sorted by
 * offset (transfer full), or NULL with @error set. The strings of __metadata__
 * are added to @metadata (char* to char*, freed by it). */
GPtrArray *
sae_safetensors_parse_header (const char *text, gsize size, guint64 data_start,
    guint64 file_size, const char *label, GHashTable *metadata, GError **error);
