/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens-metadata.h"

#include <string.h>

#include "json-text.h"

#define OWN_KEY "gst_sae"
#define JSON_PREFIX "json:"
#define VERSION_KEY "sae_lens_version"
/* The layout that is written; SAELens reads a file without a version as one
 * from before 6.0, and drops what it does not know from there. */
#define LAYOUT_VERSION "6.0.0"

/* --- values --- */

/* The value that text kept as "json:…" stands for, or NULL when it is just a
 * string. */
static json_t *
decode_value (const char *text)
{
  if (!g_str_has_prefix (text, JSON_PREFIX))
    return NULL;
  return sae_json_read_value (text + strlen (JSON_PREFIX));
}

static char *
encode_value (const json_t *value)
{
  const char *string = json_string_value (value);
  json_t *misread = string != NULL ? decode_value (string) : NULL;
  g_autofree char *text = NULL;

  if (string != NULL && misread == NULL)
    return g_strdup (string);
  json_decref (misread);
  text = sae_json_write (value, JSON_COMPACT | JSON_ENCODE_ANY);
  return text == NULL ? NULL : g_strconcat (JSON_PREFIX, text, NULL);
}

/* --- reading --- */

static gboolean
fail (SaeError code, const char *label, const char *key, const char *reason,
    GError **error)
{
  g_autofree char *shown = sae_json_shorten (key);
  g_set_error (error, SAE_ERROR, (gint) code, "%s: metadata: %s: %s", label,
      shown, reason);
  return FALSE;
}

static gboolean
parse_own (json_t *own, SaeDictionary *dictionary, const char *label,
    GError **error)
{
  const char *key;
  json_t *value;

  if (!json_is_object (own))
    return fail (SAE_ERROR_FORMAT, label, OWN_KEY, "expected a JSON object",
        error);
  json_object_foreach (own, key, value)
  {
    const char *ties = json_string_value (value);
    if (strcmp (key, "ties") != 0)
      return fail (SAE_ERROR_UNSUPPORTED, label, key, "not known in gst_sae",
          error);
    if (ties == NULL ||
        (strcmp (ties, "lowest-index") != 0 && strcmp (ties, "keep-all") != 0))
      return fail (SAE_ERROR_UNSUPPORTED, label, key,
          "expected \"lowest-index\" or \"keep-all\"", error);
    g_free (dictionary->ties);
    dictionary->ties = g_strdup (ties);
  }
  return TRUE;
}

gboolean
sae_saelens_metadata_parse (json_t *metadata, SaeDictionary *dictionary,
    const char *label, GError **error)
{
  const char *key;
  json_t *value;

  json_object_foreach (metadata, key, value)
  {
    char *text;
    if (strcmp (key, OWN_KEY) == 0) {
      if (!parse_own (value, dictionary, label, error))
        return FALSE;
      continue;
    }
    text = encode_value (value);
    if (text == NULL)
      return fail (SAE_ERROR_NO_SPACE, label, key, "no memory", error);
    g_hash_table_insert (dictionary->metadata, g_strdup (key), text);
  }
  return TRUE;
}

/* --- writing --- */

/* Keys that SAELens cannot take: it hands them to a constructor as keyword
 * arguments and sets them as attributes of an object with these methods. */
static gboolean
is_reserved (const char *key)
{
  static const char *const names[] = {OWN_KEY, "self", "from_dict", "get",
      "items", "keys", "to_dict", "values", NULL};
  return g_strv_contains (names, key) || g_str_has_prefix (key, "__");
}

static gboolean
set_value (json_t *metadata, const char *key, const char *text, GError **error)
{
  json_t *value;

  if (!g_utf8_validate (key, -1, NULL))
    return fail (SAE_ERROR_FORMAT, "saelens", "a key", "expected UTF-8", error);
  if (is_reserved (key))
    return fail (SAE_ERROR_UNSUPPORTED, "saelens", key,
        "a key that SAELens keeps for itself", error);
  value = decode_value (text);
  if (value == NULL)
    value = json_string (text);
  return json_object_set_new (metadata, key, value) == 0 ||
         fail (SAE_ERROR_FORMAT, "saelens", key, "expected UTF-8", error);
}

static gboolean
stands_at_top (const char *key, const char *value)
{
  return strcmp (key, SAE_SAELENS_RESHAPE_KEY) == 0 &&
         strcmp (value, "hook_z") == 0;
}

static gboolean
set_user_values (json_t *metadata, const SaeDictionary *dictionary,
    GError **error)
{
  g_autoptr (GList) keys =
      g_list_sort (g_hash_table_get_keys (dictionary->metadata),
          (GCompareFunc) strcmp);

  for (GList *key = keys; key != NULL; key = key->next)
    if (!stands_at_top (key->data,
            g_hash_table_lookup (dictionary->metadata, key->data)) &&
        !set_value (metadata, key->data,
            g_hash_table_lookup (dictionary->metadata, key->data), error))
      return FALSE;
  return TRUE;
}

/* A version from before 6 would make SAELens read another layout. */
static gboolean
set_version (json_t *metadata)
{
  const char *version =
      json_string_value (json_object_get (metadata, VERSION_KEY));

  if (version != NULL && g_ascii_strtoull (version, NULL, 10) >= 6)
    return TRUE;
  return json_object_set_new (metadata, VERSION_KEY,
             json_string (LAYOUT_VERSION)) == 0;
}

json_t *
sae_saelens_metadata_build (const SaeDictionary *dictionary, GError **error)
{
  const char *ties =
      dictionary->ties != NULL ? dictionary->ties : "lowest-index";
  json_t *metadata = json_object ();

  if (metadata != NULL && !set_user_values (metadata, dictionary, error)) {
    json_decref (metadata);
    return NULL;
  }
  if (metadata != NULL && set_version (metadata) &&
      json_object_set_new (metadata, OWN_KEY,
          json_pack ("{s:s}", "ties", ties)) == 0)
    return metadata;
  json_decref (metadata);
  fail (SAE_ERROR_NO_SPACE, "saelens", OWN_KEY, "no memory", error);
  return NULL;
}
