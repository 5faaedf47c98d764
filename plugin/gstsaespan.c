/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaespan.h"

void
gst_sae_span_reset (GstSaeSpan *span)
{
  span->begin = span->end = GST_CLOCK_TIME_NONE;
}

void
gst_sae_span_add (GstSaeSpan *span, GstBuffer *buffer)
{
  GstClockTime begin = GST_BUFFER_PTS (buffer), end = begin;

  if (!GST_CLOCK_TIME_IS_VALID (begin))
    return;
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    end += GST_BUFFER_DURATION (buffer);
  if (!GST_CLOCK_TIME_IS_VALID (span->begin) || begin < span->begin)
    span->begin = begin;
  if (!GST_CLOCK_TIME_IS_VALID (span->end) || end > span->end)
    span->end = end;
}

void
gst_sae_span_write (const GstSaeSpan *span, const GstSegment *segment,
    GstStructure *s)
{
  GstClockTime begin = span->begin, end = span->end;

  if (!GST_CLOCK_TIME_IS_VALID (begin) || segment->format != GST_FORMAT_TIME)
    return;
  gst_structure_set (s, "timestamp", GST_TYPE_CLOCK_TIME, begin, "endtime",
      GST_TYPE_CLOCK_TIME, end, "duration", GST_TYPE_CLOCK_TIME, end - begin,
      "stream-time", GST_TYPE_CLOCK_TIME,
      gst_segment_to_stream_time (segment, GST_FORMAT_TIME, begin),
      "running-time", GST_TYPE_CLOCK_TIME,
      gst_segment_to_running_time (segment, GST_FORMAT_TIME, begin), NULL);
}
