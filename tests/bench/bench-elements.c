/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-elements.h"

#include "bench-report.h"

/* The error that was posted, or that @otherwise happened. */
static void
take_error (GstBus *bus, const char *otherwise, GError **error)
{
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);

  if (message) {
    gst_message_parse_error (message, error, NULL);
    gst_message_unref (message);
  } else {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "%s",
        otherwise);
  }
}

/* Caps of rows of @d floats. */
static GstCaps *
make_caps (guint d, guint n_rows)
{
  g_autofree char *dimensions = g_strdup_printf ("%u:%u", d, n_rows);

  return gst_caps_new_simple ("other/tensors", "format", G_TYPE_STRING,
      "static", "num_tensors", G_TYPE_INT, 1, "types", G_TYPE_STRING, "float32",
      "dimensions", G_TYPE_STRING, dimensions, "framerate", GST_TYPE_FRACTION,
      0, 1, NULL);
}

static void
send_start (GstPad *source, guint d, guint n_rows)
{
  GstCaps *caps = make_caps (d, n_rows);
  GstSegment segment;

  gst_pad_push_event (source, gst_event_new_stream_start ("bench"));
  gst_pad_push_event (source, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (source, gst_event_new_segment (&segment));
}

gboolean
bench_elements_open (BenchElements *elements, const char *description, guint d,
    guint n_rows, GError **error)
{
  GstPad *sink;

  elements->pipeline =
      gst_parse_bin_from_description (description, FALSE, error);
  if (!elements->pipeline)
    return FALSE;
  gst_object_ref_sink (elements->pipeline);
  elements->bus = gst_bus_new ();
  gst_element_set_bus (elements->pipeline, elements->bus);
  sink = gst_bin_find_unlinked_pad (GST_BIN (elements->pipeline), GST_PAD_SINK);
  elements->source = gst_pad_new ("source", GST_PAD_SRC);
  gst_object_ref_sink (elements->source);
  gst_pad_link_full (elements->source, sink, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (sink);
  gst_pad_set_active (elements->source, TRUE);
  if (gst_element_set_state (elements->pipeline, GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE) {
    take_error (elements->bus, "the elements do not start", error);
    return FALSE;
  }
  send_start (elements->source, d, n_rows);
  return TRUE;
}

gboolean
bench_elements_push (BenchElements *elements, GstBuffer *buffer, GError **error)
{
  GstFlowReturn flow = gst_pad_push (elements->source, gst_buffer_ref (buffer));

  if (flow == GST_FLOW_OK)
    return TRUE;
  take_error (elements->bus, gst_flow_get_name (flow), error);
  return FALSE;
}

void
bench_elements_clear (BenchElements *elements)
{
  if (elements->source)
    gst_pad_set_active (elements->source, FALSE);
  if (elements->pipeline) {
    gst_element_set_state (elements->pipeline, GST_STATE_NULL);
    gst_element_set_bus (elements->pipeline, NULL);
  }
  g_clear_pointer (&elements->source, gst_object_unref);
  g_clear_pointer (&elements->pipeline, gst_object_unref);
  g_clear_pointer (&elements->bus, gst_object_unref);
}

/* --- whole pipelines --- */

static GstPadProbeReturn
note_first (GstPad *pad, GstPadProbeInfo *info, gpointer time)
{
  *(BenchTime *) time = bench_now ();
  return GST_PAD_PROBE_REMOVE;
}

/* Waits for the end; the seconds that passed since @first. */
static double
play (GstElement *pipeline, const BenchTime *first, GError **error)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;
  BenchTime time = {0};
  gboolean ended;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  bench_add_since (&time, *first);
  ended = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
  if (!ended)
    gst_message_parse_error (message, error, NULL);
  gst_message_unref (message);
  gst_object_unref (bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return ended ? time.wall : -1;
}

double
bench_elements_run (const char *description, GError **error)
{
  GstElement *pipeline = gst_parse_launch_full (description, NULL,
      GST_PARSE_FLAG_FATAL_ERRORS, error);
  GstElement *source;
  GstPad *pad;
  BenchTime first = {0};
  double seconds;

  if (!pipeline)
    return -1;
  source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  pad = gst_element_get_static_pad (source, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, note_first, &first, NULL);
  seconds = play (pipeline, &first, error);
  gst_object_unref (pad);
  gst_object_unref (source);
  gst_object_unref (pipeline);
  return seconds;
}
