/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * JSON from files that nobody vouches for, and JSON into files. */
#pragma once

#include <jansson.h>

#include "sae-error.h"

/* Memory that the parsed form of one text may take. Texts whose values could
 * take more are refused before they are parsed. */
#define SAE_JSON_MAX_MEMORY (48u * 1024 * 1024)

/* Deepest nesting accepted; that of the reference safetensors reader. */
#define SAE_JSON_MAX_DEPTH 127

/* Parses one JSON object; duplicate keys, comments, -0 for an integer and
 * anything after it but white space are refused. @label stands before every
 * error. (transfer full): json_decref(). */
json_t *
sae_json_read (const char *text, gsize size, const char *label, GError **error);

/* Any JSON value that a string of such a text has in it, within the same
 * limits; NULL when it is none, or asks for more. (transfer full) */
json_t *sae_json_read_value (const char *text);

/* A text from a file as an error message shows it: at most 80 characters, no
 * control characters. (transfer full) */
char *sae_json_shorten (const char *text);

/* Sets @error to "LABEL: KEY: expected EXPECTED, found" and what @value is
 * (NULL: nothing). Always FALSE. */
gboolean sae_json_refuse (const json_t *value, const char *label,
    const char *key, SaeError code, const char *expected, GError **error);

/* @value as an integer from @least to @most, or as a flag; otherwise FALSE with
 * sae_json_refuse()'s error: SAE_ERROR_SIZE, SAE_ERROR_FORMAT. */
gboolean
sae_json_get_number (const json_t *value, const char *label, const char *key,
    guint32 least, guint32 most, guint32 *number, GError **error);
gboolean sae_json_get_flag (const json_t *value, const char *label,
    const char *key, gboolean *flag, GError **error);

/* The text of a configuration file, a line feed at its end: takes @root (NULL:
 * there was no memory for it), @flags are jansson's. It is one that can be read
 * again, of at most @max_size bytes: compact where it would be none otherwise,
 * and an error where it still is none. SAE_ERROR_NO_SPACE when memory is
 * exhausted. (transfer full): g_free(). */
char *sae_json_write_config (json_t *root, size_t flags, gsize max_size,
    GError **error);

/* The value as text; @flags are jansson's for dumping. NULL when it does not
 * work out (no memory). (transfer full): g_free(). */
char *sae_json_write (const json_t *value, size_t flags);
