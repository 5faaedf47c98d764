/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include <errno.h>
#include <stdio.h>

char *
sae_output_printable (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *shown = g_string_new (NULL);

  for (const char *at = valid; *at; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    g_string_append_unichar (shown, g_unichar_iscntrl (c) ? '?' : c);
  }
  return g_string_free (shown, FALSE);
}

char *
sae_output_format (const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);

  return sae_output_printable (text);
}

void
sae_output_complain (const char *program, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start (args, format);
  shown = sae_output_format (format, args);
  va_end (args);
  g_printerr ("%s: %s\n", program, shown);
}

gboolean
sae_output_finish (const char *program)
{
  gboolean failed_before = ferror (stdout);

  errno = 0;
  if (fflush (stdout) == 0 && !failed_before)
    return TRUE;
  sae_output_complain (program, "standard output: %s",
      errno ? g_strerror (errno) : "not all could be written");
  return FALSE;
}
