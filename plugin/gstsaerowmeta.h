/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Codes of a model that normalises its rows (SaeInputNorm) carry what it took
 * from each: without it no decoder can give back rows of the stream's units.
 * It is on the buffer, beside the codes, so that these are the same as other
 * models' are. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
  GstMeta meta;

  gsize n_rows;
  float *norms; /* [n_rows, 2]: mean and scale; x_hat·scale + mean */

  /*< private >*/
  gsize capacity; /* rows */
} GstSaeRowMeta;

#define GST_SAE_ROW_META_API_TYPE (gst_sae_row_meta_api_get_type ())
GType gst_sae_row_meta_api_get_type (void);
/* Registers "GstSaeRowMeta". Whole buffers are copied with it, parts of them
 * (which have other rows) without. From GStreamer 1.24 on it can be serialized,
 * and so goes through unixfdsink. */
const GstMetaInfo *gst_sae_row_meta_get_info (void);

/* NULL where @buffer has none. */
const GstSaeRowMeta *gst_sae_row_meta_get (GstBuffer *buffer);

/* Gives @buffer, which is of a pool of the caller's, a copy of @norms [n_rows,
 * 2], or with NULL none. The memory stays with the buffer, in the pool too.
 * FALSE when there is none. */
gboolean
gst_sae_row_meta_set (GstBuffer *buffer, const float *norms, gsize n_rows);

G_END_DECLS
