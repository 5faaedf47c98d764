/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a file of tokens: byte 0 says whether as lines or as JSON. What
 * is accepted is written in both ways and must read as the same. */
#include "fuzz.h"

#include <string.h>

#include "json-text.h"
#include "sae-tokens.h"
#include "scratch.h"

static char *lines_path, *json_path;

static void
expect_same (SaeTokens *tokens, const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeTokens) again = NULL;

  scratch_write (path, text, strlen (text));
  again = sae_tokens_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_tokens_get_n_rows (again), ==,
      sae_tokens_get_n_rows (tokens));
  for (guint64 i = 0; i < sae_tokens_get_n_rows (tokens); i++)
    g_assert_cmpstr (sae_tokens_get_token (again, i), ==,
        sae_tokens_get_token (tokens, i));
}

/* Lines cannot say every token: line ends are theirs, and so is a mark of the
 * byte order at the beginning. */
static gboolean
fits_a_line (const char *token, guint64 row)
{
  return strchr (token, '\n') == NULL && !g_str_has_suffix (token, "\r") &&
         !(row == 0 && g_str_has_prefix (token, "\xef\xbb\xbf"));
}

static void
check_again (SaeTokens *tokens)
{
  g_autoptr (GString) lines = g_string_new (NULL);
  g_autofree char *json = NULL;
  json_t *array = json_array ();
  gboolean fit = TRUE;

  for (guint64 i = 0; i < sae_tokens_get_n_rows (tokens); i++) {
    const char *token = sae_tokens_get_token (tokens, i);
    g_assert_true (g_utf8_validate (token, -1, NULL));
    g_assert_cmpint (json_array_append_new (array, json_string (token)), ==, 0);
    g_string_append_printf (lines, "%s\n", token);
    fit = fit && fits_a_line (token, i);
  }
  g_assert_null (sae_tokens_get_token (tokens, sae_tokens_get_n_rows (tokens)));
  json = sae_json_write (array, JSON_COMPACT);
  json_decref (array);
  expect_same (tokens, json_path, json);
  if (fit)
    expect_same (tokens, lines_path, lines->str);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  gboolean is_json = fuzz_take_byte (&data, &size) % 2;
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeTokens) tokens = NULL;

  if (lines_path == NULL) {
    lines_path = fuzz_path ("tokens.txt");
    json_path = fuzz_path ("tokens.json");
  }
  scratch_write (is_json ? json_path : lines_path, data, size);
  tokens = sae_tokens_load (is_json ? json_path : lines_path, &error);
  fuzz_check_error (tokens != NULL, error);
  if (tokens != NULL)
    check_again (tokens);
  return 0;
}
