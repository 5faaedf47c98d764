/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-words.h"

#include <string.h>

/* Beside letters and digits, what neither the parser nor a shell minds. A '!'
 * or a '.' alone would mean something, but not after "property=". */
#define PLAIN "_-./:,+@%"

static gboolean
is_plain (const char *text, const char *also)
{
  for (; *text; text++)
    if (!g_ascii_isalnum (*text) && !strchr (PLAIN, *text) &&
        !strchr (also, *text))
      return FALSE;
  return TRUE;
}

/* Whether gst_value_deserialize() takes @text for itself: text in quotes and
 * the word NULL mean something else. */
static gboolean
is_taken_as_it_is (const char *text)
{
  return *text && *text != '"' && strcmp (text, "NULL") != 0;
}

/* Everything but letters that mean nothing as three octal digits, which
 * gst_value_deserialize() reads in a quoted string; it takes no other bytes
 * but ASCII there. */
static char *
quote_bytes (const char *value)
{
  GString *text = g_string_new ("\"");

  for (; *value; value++) {
    char one[2] = {*value, '\0'};
    if (is_plain (one, ""))
      g_string_append_c (text, *value);
    else
      g_string_append_printf (text, "\\%03o", (guchar) *value);
  }
  g_string_append_c (text, '"');
  return g_string_free (text, FALSE);
}

/* For the parser, which takes a pair of quotes off and then a backslash before
 * every letter that has one. */
static char *
quote_for_parser (const char *text)
{
  GString *quoted = g_string_new ("\"");

  for (; *text; text++) {
    if (*text == '\\' || *text == '"')
      g_string_append_c (quoted, '\\');
    g_string_append_c (quoted, *text);
  }
  g_string_append_c (quoted, '"');
  return g_string_free (quoted, FALSE);
}

char *
sae_launch_assignment (const char *property, const char *value)
{
  gboolean as_it_is = is_taken_as_it_is (value);
  g_autofree char *bytes = NULL, *quoted = NULL;

  if (as_it_is && is_plain (value, "="))
    return g_strconcat (property, "=", value, NULL);
  bytes = as_it_is ? g_strdup (value) : quote_bytes (value);
  quoted = quote_for_parser (bytes);
  return g_strconcat (property, "=", quoted, NULL);
}

char *
sae_launch_list_assignment (const char *property, const char *const *values)
{
  GString *list = g_string_new ("<");
  g_autofree char *quoted = NULL;
  const char *comma = "";

  for (; *values; values++, comma = ",") {
    g_autofree char *bytes = quote_bytes (*values);
    g_string_append_printf (list, "%s(string)%s", comma, bytes);
  }
  g_string_append_c (list, '>');
  quoted = quote_for_parser (list->str);
  g_string_free (list, TRUE);
  return g_strconcat (property, "=", quoted, NULL);
}

char *
sae_launch_shell_line (const char *program, const char *const *words)
{
  GString *line = g_string_new (program);

  for (; *words; words++) {
    /* A lone '!' is taken as it is by every shell. */
    gboolean plain = is_plain (*words, "=") || strcmp (*words, "!") == 0;
    g_autofree char *quoted = plain ? NULL : g_shell_quote (*words);
    g_string_append_printf (line, " %s", plain ? *words : quoted);
  }
  return g_string_free (line, FALSE);
}
