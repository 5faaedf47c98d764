/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaerowindex.h"

GstSaeRowUnits
gst_sae_row_index_get_times (const GstSaeRowIndex *index)
{
  GstSaeRowUnits times = index->units;

  if (times.rate_n <= 0) {
    times.rate_n = GST_SECOND;
    times.rate_d = 1;
  }
  return times;
}

gboolean
gst_sae_row_index_convert (const GstSaeRowIndex *index, GstFormat src_format,
    gint64 src, GstFormat dst_format, gint64 *dst)
{
  GstSaeRowUnits times = gst_sae_row_index_get_times (index);
  guint64 offset;
  gint64 row;

  *dst = 0;
  if (src_format == dst_format || src == -1) {
    *dst = src;
    return TRUE;
  }
  if (src < 0 || !index->layout.known)
    return src == 0;
  if (src_format == GST_FORMAT_BYTES)
    row = (gint64) gst_sae_layout_offset_to_row (&index->layout, (guint64) src);
  else if (!gst_sae_row_units_convert (&times, src_format, src,
               GST_FORMAT_DEFAULT, &row))
    return FALSE;
  if (dst_format != GST_FORMAT_BYTES)
    return gst_sae_row_units_convert (&times, GST_FORMAT_DEFAULT, row,
        dst_format, dst);
  offset = gst_sae_layout_row_to_offset (&index->layout, (guint64) row);
  if (offset > G_MAXINT64)
    return FALSE;
  *dst = (gint64) offset;
  return TRUE;
}

gint64
gst_sae_row_index_count_rows (const GstSaeRowIndex *index, GstPad *sink_pad)
{
  gint64 size = -1;

  if (!index->layout.known)
    return -1;
  if (!gst_pad_peer_query_duration (sink_pad, GST_FORMAT_BYTES, &size))
    size = -1;
  return gst_sae_layout_count_rows (&index->layout, size);
}

/* --- queries --- */

static gboolean
answer_position (const GstSaeRowIndex *index, GstQuery *query)
{
  GstFormat format;
  gint64 position;

  gst_query_parse_position (query, &format, NULL);
  if (!gst_sae_row_units_convert (&index->units, GST_FORMAT_DEFAULT,
          (gint64) index->position, format, &position))
    return FALSE;
  gst_query_set_position (query, format, position);
  return TRUE;
}

static gboolean
can_seek (GstPad *sink_pad)
{
  GstQuery *query;
  gboolean seekable = FALSE;

  if (GST_PAD_MODE (sink_pad) == GST_PAD_MODE_PULL)
    return TRUE;
  query = gst_query_new_seeking (GST_FORMAT_BYTES);
  if (gst_pad_peer_query (sink_pad, query))
    gst_query_parse_seeking (query, NULL, &seekable, NULL, NULL);
  gst_query_unref (query);
  return seekable;
}

static gboolean
answer_seeking (const GstSaeRowIndex *index, GstQuery *query, GstPad *sink_pad)
{
  GstFormat format;
  gint64 end;

  gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
  if (!gst_sae_row_units_convert (&index->units, GST_FORMAT_DEFAULT,
          gst_sae_row_index_count_rows (index, sink_pad), format, &end))
    return FALSE;
  gst_query_set_seeking (query, format, can_seek (sink_pad), 0, end);
  return TRUE;
}

gboolean
gst_sae_row_index_answer (const GstSaeRowIndex *index, GstQuery *query,
    GstPad *sink_pad)
{
  if (!index->layout.known)
    return FALSE;
  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_CONVERT:
      return gst_sae_row_units_answer_convert (&index->units, query);
    case GST_QUERY_DURATION:
      return gst_sae_row_units_answer_duration (&index->units, query,
          gst_sae_row_index_count_rows (index, sink_pad));
    case GST_QUERY_POSITION:
      return answer_position (index, query);
    case GST_QUERY_SEEKING:
      return answer_seeking (index, query, sink_pad);
    default:
      return FALSE;
  }
}

/* --- seeks --- */

gboolean
gst_sae_row_index_parse_seek (const GstSaeRowIndex *index, GstEvent *event,
    gint64 *start, gint64 *stop)
{
  gdouble rate;
  GstFormat format;
  GstSeekType start_type, stop_type;

  gst_event_parse_seek (event, &rate, &format, NULL, &start_type, start,
      &stop_type, stop);
  if (stop_type == GST_SEEK_TYPE_NONE)
    *stop = -1;
  return index->layout.known && rate > 0.0 && start_type == GST_SEEK_TYPE_SET &&
         stop_type != GST_SEEK_TYPE_END && *start >= 0 &&
         gst_sae_row_units_convert (&index->units, format, *start,
             GST_FORMAT_DEFAULT, start) &&
         gst_sae_row_units_convert (&index->units, format, *stop,
             GST_FORMAT_DEFAULT, stop) &&
         (*stop < 0 || *stop >= *start);
}

GstEvent *
gst_sae_row_index_make_seek (const GstSaeRowIndex *index, GstEvent *event,
    GstFormat format, gint64 start, gint64 stop)
{
  gdouble rate;
  GstSeekFlags flags;
  GstSeekType stop_type;
  GstEvent *made;

  gst_event_parse_seek (event, &rate, NULL, &flags, NULL, NULL, &stop_type,
      NULL);
  if (!gst_sae_row_index_convert (index, GST_FORMAT_DEFAULT, start, format,
          &start) ||
      !gst_sae_row_index_convert (index, GST_FORMAT_DEFAULT, stop, format,
          &stop))
    return NULL;
  made = gst_event_new_seek (rate, format, flags, GST_SEEK_TYPE_SET, start,
      stop_type, stop);
  gst_event_set_seqnum (made, gst_event_get_seqnum (event));
  return made;
}
