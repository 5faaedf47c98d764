/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "comma-locale.h"

#include <locale.h>
#include <string.h>

gboolean
comma_locale_enter (const char *folder)
{
  g_autofree char *locale = g_build_filename (folder, "de_DE.UTF-8", NULL);
  const char *const command[] = {"localedef", "-i", "de_DE", "-f", "UTF-8",
      locale, NULL};

  g_spawn_sync (NULL, (char **) command, NULL,
      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
      NULL, NULL);
  g_setenv ("LOCPATH", folder, TRUE);
  return setlocale (LC_ALL, "de_DE.UTF-8") != NULL &&
         strcmp (localeconv ()->decimal_point, ",") == 0;
}
