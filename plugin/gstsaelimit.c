/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaelimit.h"

#include <gst/gst.h>

#include "sae-error.h"

void
gst_sae_limit_install (GObjectClass *klass, guint id, guint64 standard,
    const gchar *blurb)
{
  g_object_class_install_property (klass, id,
      g_param_spec_uint64 ("max-bytes", "Most bytes", blurb, 0, G_MAXUINT64,
          standard,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
              (GParamFlags) GST_PARAM_MUTABLE_READY));
}

gboolean
gst_sae_limit_check (guint64 max_bytes, guint64 n, guint64 size,
    const gchar *what, GError **error)
{
  guint64 bytes;

  if (!g_uint64_checked_mul (&bytes, n, size))
    bytes = G_MAXUINT64;
  if (max_bytes == 0 || bytes <= max_bytes)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected at most %" G_GUINT64_FORMAT
      " bytes (max-bytes), the stream asks for %" G_GUINT64_FORMAT,
      what, max_bytes, bytes);
  return FALSE;
}
