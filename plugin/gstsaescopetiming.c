/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaescopetiming.h"

/* A longer pause is a jump: no frames are made for it. */
#define LONGEST_PAUSE GST_SECOND

void
gst_sae_scope_timing_reset (GstSaeScopeTiming *timing, GstSaeScopePace pace,
    guint rows_per_frame)
{
  timing->pace = pace;
  timing->rows_per_frame = MAX (rows_per_frame, 1);
  timing->base = GST_CLOCK_TIME_NONE;
  timing->frame = 0;
  timing->rows = 0;
}

/* Start of a frame, counted from the base. */
static GstClockTime
time_of_frame (const GstSaeScopeTiming *timing, guint64 frame)
{
  return gst_util_uint64_scale (frame, GST_SECOND * (guint64) timing->fps_d,
      (guint64) timing->fps_n);
}

void
gst_sae_scope_timing_set_rate (GstSaeScopeTiming *timing, gint fps_n,
    gint fps_d)
{
  if (timing->fps_n > 0 && GST_CLOCK_TIME_IS_VALID (timing->base)) {
    timing->base += time_of_frame (timing, timing->frame);
    timing->frame = 0;
  }
  timing->fps_n = fps_n;
  timing->fps_d = fps_d;
}

void
gst_sae_scope_timing_begin (GstSaeScopeTiming *timing, GstClockTime pts,
    GstClockTime start)
{
  if (GST_CLOCK_TIME_IS_VALID (timing->base))
    return;
  if (timing->pace == GST_SAE_SCOPE_PACE_AUTO)
    timing->pace = GST_CLOCK_TIME_IS_VALID (pts) ? GST_SAE_SCOPE_PACE_TIME
                                                 : GST_SAE_SCOPE_PACE_ROWS;
  timing->base = GST_CLOCK_TIME_IS_VALID (pts)     ? pts
                 : GST_CLOCK_TIME_IS_VALID (start) ? start
                                                   : 0;
  timing->started = g_get_monotonic_time ();
}

static gboolean
is_due_by_time (GstSaeScopeTiming *timing, GstClockTime time)
{
  GstClockTime end;

  if (!GST_CLOCK_TIME_IS_VALID (time))
    return FALSE;
  end = timing->base + time_of_frame (timing, timing->frame + 1);
  if (time < end)
    return FALSE;
  if (time - end <= LONGEST_PAUSE || timing->rows > 0)
    return TRUE;
  timing->base = time;
  timing->frame = 0;
  return FALSE;
}

/* The frame is that of now: those that nobody was there to fill are none. */
static gboolean
is_due_by_clock (GstSaeScopeTiming *timing)
{
  guint64 ns = (guint64) (g_get_monotonic_time () - timing->started) * 1000;
  guint64 now = gst_util_uint64_scale (ns, (guint64) timing->fps_n,
      GST_SECOND * (guint64) timing->fps_d);

  if (now <= timing->frame)
    return FALSE;
  if (timing->rows > 0)
    return TRUE;
  timing->frame = now;
  return FALSE;
}

gboolean
gst_sae_scope_timing_is_due (GstSaeScopeTiming *timing, GstClockTime time)
{
  switch (timing->pace) {
    case GST_SAE_SCOPE_PACE_TIME:
      return is_due_by_time (timing, time);
    case GST_SAE_SCOPE_PACE_CLOCK:
      return is_due_by_clock (timing);
    default:
      return timing->rows >= timing->rows_per_frame;
  }
}

void
gst_sae_scope_timing_add_row (GstSaeScopeTiming *timing)
{
  timing->rows++;
}

GstClockTime
gst_sae_scope_timing_get_pts (const GstSaeScopeTiming *timing)
{
  return timing->base + time_of_frame (timing, timing->frame);
}

/* To the start of the next frame: no gaps by rounding. */
GstClockTime
gst_sae_scope_timing_get_duration (const GstSaeScopeTiming *timing)
{
  return time_of_frame (timing, timing->frame + 1) -
         time_of_frame (timing, timing->frame);
}

void
gst_sae_scope_timing_next (GstSaeScopeTiming *timing)
{
  timing->frame++;
  timing->rows = 0;
}
