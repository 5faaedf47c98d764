/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaelength.h"

/* What DEFAULT means is an element's own affair; it means rows where one of
 * them is as many bytes as a row of ours. */
static gboolean
default_is_rows (GstPad *sink_pad, gsize row_size)
{
  gint64 bytes = 0;

  return gst_pad_peer_query_convert (sink_pad, GST_FORMAT_DEFAULT, 1,
             GST_FORMAT_BYTES, &bytes) &&
         bytes > 0 && (gsize) bytes == row_size;
}

guint64
gst_sae_length_query (GstPad *sink_pad, gsize row_size, guint64 rows,
    gint fps_n, gint fps_d)
{
  gint64 duration = 0;

  if (default_is_rows (sink_pad, row_size) &&
      gst_pad_peer_query_duration (sink_pad, GST_FORMAT_DEFAULT, &duration) &&
      duration > 0)
    return (guint64) duration;
  if (fps_n > 0 && fps_d > 0 &&
      gst_pad_peer_query_duration (sink_pad, GST_FORMAT_TIME, &duration) &&
      duration > 0)
    return rows * gst_util_uint64_scale ((guint64) duration, (guint64) fps_n,
                      (guint64) fps_d * GST_SECOND);
  return 0;
}
