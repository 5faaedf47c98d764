/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "error-text.h"

gboolean
sae_error_show (gboolean ok, GError **error)
{
  char *valid;

  if (ok || error == NULL || *error == NULL ||
      g_utf8_validate ((*error)->message, -1, NULL))
    return ok;
  valid = g_utf8_make_valid ((*error)->message, -1);
  g_free ((*error)->message);
  (*error)->message = valid;
  return ok;
}
