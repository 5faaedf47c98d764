/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The time that some buffers cover, for messages. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
  GstClockTime begin, end; /* GST_CLOCK_TIME_NONE before any */
} GstSaeSpan;

void gst_sae_span_reset (GstSaeSpan *span);
/* Buffers without a time leave it as it is. */
void gst_sae_span_add (GstSaeSpan *span, GstBuffer *buffer);
/* Adds the fields that messages of level have (timestamp, endtime, duration,
 * stream-time, running-time); nothing where there are no times. */
void gst_sae_span_write (const GstSaeSpan *span, const GstSegment *segment,
    GstStructure *s);

G_END_DECLS
