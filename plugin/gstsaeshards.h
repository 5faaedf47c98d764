/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The rows of many .npy files as one array. */
#pragma once

#include "gstsaerows.h"

G_BEGIN_DECLS

typedef struct _GstSaeShards GstSaeShards;

/* Opens each file once to read and check its header; all must agree in
 * element type and width. @error names the file, and what it has. */
GstSaeShards *gst_sae_shards_new (const GPtrArray *paths, GError **error);
void gst_sae_shards_free (GstSaeShards *shards);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstSaeShards, gst_sae_shards_free)

/* Type, width and size of a row, and the number of all rows. */
const GstSaeNpyRows *gst_sae_shards_get_rows (const GstSaeShards *shards);

/* Reads @n rows from @first on, all below n_rows, into @dst in the machine's
 * byte order. A file that shrank or changed its shape is SAE_ERROR_READ. At
 * most 128 files are open at a time. Not for two threads at once. */
gboolean gst_sae_shards_read (GstSaeShards *shards, guint64 first, gsize n,
    guint8 *dst, GError **error);

G_END_DECLS
