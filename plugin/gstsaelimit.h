/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The property max-bytes: how much a stream may ask for. A header of 128 bytes
 * can stand for more rows and latents than memory holds. */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/* Where codes come in; and where activations do, whose rows are really there,
 * and become many latents or make weights. */
#define GST_SAE_MAX_BYTES_CODES (G_GUINT64_CONSTANT (1) << 30)
#define GST_SAE_MAX_BYTES_ROWS (G_GUINT64_CONSTANT (4) << 30)

void gst_sae_limit_install (GObjectClass *klass, guint id, guint64 standard,
    const gchar *blurb);

/* Whether @n times @size bytes are within @max_bytes (0: no limit);
 * SAE_ERROR_SIZE, with @what they are for, when not. */
gboolean gst_sae_limit_check (guint64 max_bytes, guint64 n, guint64 size,
    const gchar *what, GError **error);

G_END_DECLS
