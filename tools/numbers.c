/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "numbers.h"

#include <string.h>

char *
sae_number_grouped (guint64 number)
{
  g_autofree char *digits = g_strdup_printf ("%" G_GUINT64_FORMAT, number);
  gsize n = strlen (digits);
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < n; i++) {
    if (i > 0 && (n - i) % 3 == 0)
      g_string_append_c (text, ',');
    g_string_append_c (text, digits[i]);
  }
  return g_string_free (text, FALSE);
}

char *
sae_number_duration (double seconds)
{
  guint64 s = (guint64) CLAMP (seconds + 0.5, 0.0, 1e15);

  if (s < 60)
    return g_strdup_printf ("%d s", (int) s);
  if (s < 3600)
    return g_strdup_printf ("%d:%02d", (int) (s / 60), (int) (s % 60));
  return g_strdup_printf ("%" G_GUINT64_FORMAT ":%02d:%02d", s / 3600,
      (int) (s / 60 % 60), (int) (s % 60));
}
