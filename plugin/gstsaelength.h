/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How many rows a stream will have, asked of whoever knows. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Rows that upstream of @sink_pad will send in all, or 0 when nobody knows.
 * @row_size: bytes of a row; @rows: rows of a buffer; @fps_n/@fps_d: buffers a
 * second, 0/1 unknown. */
guint64 gst_sae_length_query (GstPad *sink_pad, gsize row_size, guint64 rows,
    gint fps_n, gint fps_d);

G_END_DECLS
