/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-tokens.h"

#include <string.h>

#include "error-text.h"
#include "json-text.h"
#include "regular-file.h"

/* More text than this is no list of tokens for a page. */
#define MAX_FILE_SIZE ((gsize) 1 << 28)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct _SaeTokens {
  gatomicrefcount ref_count;
  gsize n;
  char *text;    /* valid UTF-8; the tokens back to back, each ended by NUL */
  gsize *starts; /* [n], in text */
};

G_DEFINE_BOXED_TYPE (SaeTokens, sae_tokens, sae_tokens_ref, sae_tokens_unref)

/* @text (transfer full) has @n tokens, each ended by NUL. NULL when memory is
 * exhausted. */
static SaeTokens *
take_text (char *text, gsize n, GError **error)
{
  gsize *starts = g_try_new (gsize, MAX (n, 1));
  SaeTokens *tokens;
  const char *next = text;

  if (!starts) {
    g_free (text);
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no memory for %" G_GSIZE_FORMAT " tokens", n);
    return NULL;
  }
  tokens = g_new0 (SaeTokens, 1);
  g_atomic_ref_count_init (&tokens->ref_count);
  tokens->n = n;
  tokens->text = text;
  tokens->starts = starts;
  for (gsize i = 0; i < n; i++, next += strlen (next) + 1)
    starts[i] = (gsize) (next - text);
  return tokens;
}

static void
append_token (GString *text, const char *token)
{
  g_autofree char *valid = g_utf8_make_valid (token, -1);

  g_string_append_len (text, valid, (gssize) strlen (valid) + 1);
}

/**
 * sae_tokens_new:
 * @tokens: (array zero-terminated=1): the token of each row
 *
 * Bytes that are not UTF-8 are replaced by U+FFFD.
 *
 * Returns: (transfer full): tokens
 * Since: 0.1
 */
SaeTokens *
sae_tokens_new (const gchar *const *tokens)
{
  GString *text = g_string_new (NULL);
  gsize n = 0;

  for (; tokens[n]; n++)
    append_token (text, tokens[n]);
  return take_text (g_string_free (text, FALSE), n, NULL);
}

/* Text may be long, and GLib's own functions end the program where there is no
 * memory. */
static char *
try_text (const char *path, gsize size, GError **error)
{
  char *text = g_try_malloc (size + 1);

  if (!text)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: no memory for %" G_GSIZE_FORMAT " bytes of tokens", path, size);
  return text;
}

/* The next byte of @text that is no UTF-8; its end when there is none. */
static const char *
find_invalid (const char *text, const char *end)
{
  const char *invalid;

  g_utf8_validate_len (text, (gsize) (end - text), &invalid);
  return invalid;
}

/* As g_utf8_make_valid(). */
static char *
make_valid (const char *text, gsize size, const char *path, GError **error)
{
  const char *end = text + size, *invalid;
  gsize n_invalid = 0;
  char *valid, *out;

  for (const char *in = text; (invalid = find_invalid (in, end)) < end;
       in = invalid + 1)
    n_invalid++;
  out = valid = try_text (path, size + 2 * n_invalid, error);
  if (!valid)
    return NULL;
  for (; (invalid = find_invalid (text, end)) < end; text = invalid + 1) {
    out = mempcpy (out, text, (gsize) (invalid - text));
    out = mempcpy (out, REPLACEMENT, 3);
  }
  out = mempcpy (out, text, (gsize) (end - text));
  *out = '\0';
  return valid;
}

/* @text is one token a line; the last line may lack its end. */
static SaeTokens *
split_lines (const char *text, gsize size, const char *path, GError **error)
{
  g_autofree char *valid = make_valid (text, size, path, error);
  gsize n = 0, length = valid ? strlen (valid) : 0;
  char *out = valid;

  if (!valid)
    return NULL;
  for (const char *in = valid; in < valid + length; n++) {
    const char *end = strchr (in, '\n');
    const char *next = end ? end + 1 : valid + length;
    gsize size_of_line = (gsize) ((end ? end : next) - in);
    if (size_of_line > 0 && in[size_of_line - 1] == '\r')
      size_of_line--;
    memmove (out, in, size_of_line);
    out += size_of_line;
    *out++ = '\0'; /* in the place of the line's end, or of the text's */
    in = next;
  }
  return take_text (g_steal_pointer (&valid), n, error);
}

static SaeTokens *
take_array (const json_t *array, const char *path, GError **error)
{
  gsize i, size = 0;
  const json_t *token;
  char *text, *out;

  if (!json_is_array (array)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: expected a JSON array of strings", path);
    return NULL;
  }
  json_array_foreach (array, i, token)
  {
    if (!json_is_string (token)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "%s: expected a JSON array of strings, element %" G_GSIZE_FORMAT
          " is none",
          path, i);
      return NULL;
    }
    size += json_string_length (token) + 1;
  }
  out = text = try_text (path, size, error);
  if (!text)
    return NULL;
  json_array_foreach (array, i, token) out =
      mempcpy (out, json_string_value (token), json_string_length (token) + 1);
  return take_text (text, json_array_size (array), error);
}

/* The reader of JSON, which bounds what hostile text may cost, takes objects
 * only. */
static SaeTokens *
parse_json (const char *text, gsize size, const char *path, GError **error)
{
  static const char begin[] = "{\"tokens\":";
  gsize length = strlen (begin) + size + 1;
  g_autofree char *object = try_text (path, length, error);
  json_t *root;
  SaeTokens *tokens = NULL;

  if (!object)
    return NULL;
  memcpy (object, begin, strlen (begin));
  memcpy (object + strlen (begin), text, size);
  memcpy (object + length - 1, "}", 2);
  root = sae_json_read (object, length, path, error);
  /* Text that closes the array may go on with members of its own. */
  if (root)
    tokens = take_array (json_object_size (root) == 1
                             ? json_object_get (root, "tokens")
                             : NULL,
        path, error);
  json_decref (root);
  return tokens;
}

static SaeTokens *
load (const gchar *path, GError **error)
{
  g_autoptr (GBytes) file = sae_regular_file_load (path, MAX_FILE_SIZE, error);
  const char *text;
  gsize size;

  if (!file)
    return NULL;
  text = g_bytes_get_data (file, &size);
  if (size >= 3 && memcmp (text, BYTE_ORDER_MARK, 3) == 0) {
    text += 3;
    size -= 3;
  }
  return g_str_has_suffix (path, ".json")
             ? parse_json (text, size, path, error)
             : split_lines (size ? text : "", size, path, error);
}

/**
 * sae_tokens_load:
 * @path: (type filename): a file with one token a line; or, where its name ends
 *   in .json, an array of strings
 * @error: return location
 *
 * Reads the tokens of a stream: line i, from 0, is that of row i. Bytes that
 * are not UTF-8 are replaced by U+FFFD.
 *
 * Returns: (transfer full): tokens
 * Since: 0.1
 */
SaeTokens *
sae_tokens_load (const gchar *path, GError **error)
{
  SaeTokens *tokens = load (path, error);

  sae_error_show (tokens != NULL, error);
  return tokens;
}

/**
 * sae_tokens_ref:
 * @tokens: tokens
 *
 * Returns: (transfer full): @tokens, with one more reference
 * Since: 0.1
 */
SaeTokens *
sae_tokens_ref (SaeTokens *tokens)
{
  g_atomic_ref_count_inc (&tokens->ref_count);
  return tokens;
}

/**
 * sae_tokens_unref:
 * @tokens: (transfer full): tokens
 *
 * Drops a reference; the last one frees the memory.
 *
 * Since: 0.1
 */
void
sae_tokens_unref (SaeTokens *tokens)
{
  if (!g_atomic_ref_count_dec (&tokens->ref_count))
    return;
  g_free (tokens->text);
  g_free (tokens->starts);
  g_free (tokens);
}

/**
 * sae_tokens_get_n_rows:
 * @tokens: tokens
 *
 * Returns: number of rows that have a token
 * Since: 0.1
 */
guint64
sae_tokens_get_n_rows (SaeTokens *tokens)
{
  return tokens->n;
}

/**
 * sae_tokens_get_token:
 * @tokens: tokens
 * @row: a row
 *
 * Returns: (transfer none) (nullable): the row's token; %NULL for a row that
 *   has none
 * Since: 0.1
 */
const gchar *
sae_tokens_get_token (SaeTokens *tokens, guint64 row)
{
  return row < tokens->n ? tokens->text + tokens->starts[row] : NULL;
}
