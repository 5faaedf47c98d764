/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include <errno.h>
#include <stdio.h>

gboolean
sae_output_finish (const char *program)
{
  gboolean failed_before = ferror (stdout);

  errno = 0;
  if (fflush (stdout) == 0 && !failed_before)
    return TRUE;
  g_printerr ("%s: standard output: %s\n", program,
      errno ? g_strerror (errno) : "not all could be written");
  return FALSE;
}
