/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What queries and seeks have to know of rows in a stream of bytes. A copy is
 * taken under the lock and asked outside of it. */
#pragma once

#include "gstsaelayout.h"

G_BEGIN_DECLS

typedef struct {
  GstSaeLayout layout;
  GstSaeRowUnits units; /* of rows as sent */
  guint64 position;     /* rows up to the last one sent */
} GstSaeRowIndex;

/* Units in which every row has a time: where rows have none, 1 ns each.
 * GstBaseParse seeks in nothing but time; this one stays between it and us. */
GstSaeRowUnits gst_sae_row_index_get_times (const GstSaeRowIndex *index);

/* Between bytes of the stream, rows, and times as above; *@dst is always set.
 */
gboolean gst_sae_row_index_convert (const GstSaeRowIndex *index,
    GstFormat src_format, gint64 src, GstFormat dst_format, gint64 *dst);

/* Rows of the stream that @sink_pad receives, or -1. */
gint64
gst_sae_row_index_count_rows (const GstSaeRowIndex *index, GstPad *sink_pad);

/* Answers CONVERT, DURATION, POSITION and SEEKING in rows, bytes as sent and,
 * with a rate, time. */
gboolean gst_sae_row_index_answer (const GstSaeRowIndex *index, GstQuery *query,
    GstPad *sink_pad);

/* The row where a SEEK event starts and the one where it stops (-1 for none, or
 * when the stop is to stay as it is). FALSE when it cannot be done: backwards,
 * relative, to a stop before the start, or in a unit that rows lack. */
gboolean gst_sae_row_index_parse_seek (const GstSaeRowIndex *index,
    GstEvent *event, gint64 *start, gint64 *stop);

/* @event as a seek to these rows, in bytes of the stream or in times as above.
 * (transfer full) */
GstEvent *gst_sae_row_index_make_seek (const GstSaeRowIndex *index,
    GstEvent *event, GstFormat format, gint64 start, gint64 stop);

G_END_DECLS
