/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * When a frame is due, and its timestamp. Frames lie on a grid of the
 * framerate, whose beginning moves where the stream jumps. */
#pragma once

#include "gstsaescope.h"

G_BEGIN_DECLS

typedef struct {
  GstSaeScopePace pace; /* AUTO until the first buffer */
  gint fps_n, fps_d;
  guint rows_per_frame;

  GstClockTime base; /* where frame 0 begins; NONE before the first row */
  guint64 frame;     /* the one that rows go into */
  guint rows;        /* in it */
  gint64 started;    /* monotonic µs, of the first row */
} GstSaeScopeTiming;

/* A new stream, or a seek: all is open again. */
void gst_sae_scope_timing_reset (GstSaeScopeTiming *timing,
    GstSaeScopePace pace, guint rows_per_frame);
/* Frames go on from where they are at another rate. */
void gst_sae_scope_timing_set_rate (GstSaeScopeTiming *timing, gint fps_n,
    gint fps_d);

/* Before the first buffer, at @pts (may be NONE) of a segment that begins at
 * @start. */
void gst_sae_scope_timing_begin (GstSaeScopeTiming *timing, GstClockTime pts,
    GstClockTime start);

/* Whether the frame has to be made before a row at @time (NONE: as the last
 * one) goes in; ask again after gst_sae_scope_timing_next(). A jump in time
 * moves the grid. */
gboolean
gst_sae_scope_timing_is_due (GstSaeScopeTiming *timing, GstClockTime time);
/* A row went in. */
void gst_sae_scope_timing_add_row (GstSaeScopeTiming *timing);

GstClockTime gst_sae_scope_timing_get_pts (const GstSaeScopeTiming *timing);
GstClockTime
gst_sae_scope_timing_get_duration (const GstSaeScopeTiming *timing);
/* The frame was made, or left out. */
void gst_sae_scope_timing_next (GstSaeScopeTiming *timing);

G_END_DECLS
