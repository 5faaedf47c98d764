/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "python-literal.h"

#include <string.h>

#define MAX_QUOTED 40

static char *
quote_text (const SaeLiteral *text)
{
  GString *quoted = g_string_new (NULL);
  for (const char *p = text->at; p < text->end; p++) {
    if (quoted->len == MAX_QUOTED) {
      g_string_append (quoted, "...");
      break;
    }
    g_string_append_c (quoted, g_ascii_isprint (*p) ? *p : '?');
  }
  return g_string_free (quoted, FALSE);
}

gboolean
sae_literal_fail (const SaeLiteral *text, const char *expected, GError **error)
{
  g_autofree char *found = quote_text (text);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "npy header: expected %s, found \"%s\"", expected, found);
  return FALSE;
}

gboolean
sae_literal_peek (SaeLiteral *text, char c)
{
  while (text->at < text->end && *text->at == ' ')
    text->at++;
  return text->at < text->end && *text->at == c;
}

gboolean
sae_literal_accept (SaeLiteral *text, char c)
{
  if (!sae_literal_peek (text, c))
    return FALSE;
  text->at++;
  return TRUE;
}

gboolean
sae_literal_expect (SaeLiteral *text, char c, GError **error)
{
  char expected[] = {'\'', c, '\'', '\0'};
  return sae_literal_accept (text, c) ||
         sae_literal_fail (text, expected, error);
}

char *
sae_literal_string (SaeLiteral *text, const char *expected, GError **error)
{
  const char *start, *p;
  char quote;

  if (!sae_literal_peek (text, '\'') && !sae_literal_peek (text, '"')) {
    sae_literal_fail (text, expected, error);
    return NULL;
  }
  quote = *text->at;
  start = p = text->at + 1;
  while (p < text->end && *p != quote && *p != '\\' && g_ascii_isprint (*p))
    p++;
  if (p == text->end || *p != quote) {
    sae_literal_fail (text, "a plain quoted string", error);
    return NULL;
  }
  text->at = p + 1;
  return g_strndup (start, (gsize) (p - start));
}

gboolean
sae_literal_size (SaeLiteral *text, guint64 *size, GError **error)
{
  const char *p;

  if (sae_literal_peek (text, '-'))
    return sae_literal_fail (text, "a size of 0 or more", error);
  *size = 0;
  for (p = text->at; p < text->end && g_ascii_isdigit (*p); p++)
    if (!g_uint64_checked_mul (size, *size, 10) ||
        !g_uint64_checked_add (size, *size, (guint64) (*p - '0')))
      return sae_literal_fail (text, "a size below 2^63", error);
  if (p == text->at || (*text->at == '0' && p > text->at + 1))
    return sae_literal_fail (text, "a size", error);
  if (p < text->end && *p == 'L')
    p++;
  text->at = p;
  return TRUE;
}

static gboolean
accept_word (SaeLiteral *text, const char *word)
{
  gsize length = strlen (word);
  if (!sae_literal_peek (text, word[0]) ||
      (gsize) (text->end - text->at) < length ||
      memcmp (text->at, word, length) != 0)
    return FALSE;
  text->at += length;
  return TRUE;
}

gboolean
sae_literal_bool (SaeLiteral *text, gboolean *value, GError **error)
{
  *value = accept_word (text, "True");
  return *value || accept_word (text, "False") ||
         sae_literal_fail (text, "True or False", error);
}
