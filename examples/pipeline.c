/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Training in a pipeline, with statistics from the bus.
 *
 *   cc pipeline.c $(pkg-config --cflags --libs gstreamer-1.0)
 *   ./a.out train.npy dictionary/
 *
 * The program does not use libsae: elements, properties and messages are all
 * that it needs.
 */
#include <gst/gst.h>

static void
print_stats (const GstStructure *stats)
{
  guint64 rows = 0;
  gdouble fvu = 0, l0 = 0, speed = 0;

  /* fvu and l0 are of the rows since the last message. */
  gst_structure_get (stats, "total-rows", G_TYPE_UINT64, &rows, "fvu",
      G_TYPE_DOUBLE, &fvu, "l0", G_TYPE_DOUBLE, &l0, "rows-per-second",
      G_TYPE_DOUBLE, &speed, NULL);
  g_print ("%8" G_GUINT64_FORMAT " rows   %6.0f rows/s   fvu %.4f   l0 %.1f\n",
      rows, speed, fvu, l0);
}

/* Prints statistics until the end; returns whether it was a good one. */
static gboolean
follow (GstBus *bus)
{
  for (;;) {
    g_autoptr (GstMessage) message =
        gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
            GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
      return TRUE; /* the trainer saved before it let EOS pass */
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
      g_autoptr (GError) error = NULL;
      g_autofree gchar *debug = NULL;

      gst_message_parse_error (message, &error, &debug);
      g_printerr ("%s: %s\n%s\n", GST_MESSAGE_SRC_NAME (message),
          error->message, debug);
      return FALSE;
    }
    if (gst_message_has_name (message, "sae-stats"))
      print_stats (gst_message_get_structure (message));
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = NULL, source = NULL, trainer = NULL;
  g_autoptr (GstBus) bus = NULL;
  gboolean ok;

  gst_init (&argc, &argv);
  if (argc != 3) {
    g_printerr ("Usage: %s ACTIVATIONS.npy DICTIONARY-FOLDER\n", argv[0]);
    return 2;
  }
  pipeline = gst_parse_launch ("saesrc name=source epochs=4 shuffle=true ! "
                               "saetrainer name=trainer dict-size=1024 "
                               "top-k=16 stats-interval=500000000 ! fakesink",
      &error);
  if (error) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  trainer = gst_bin_get_by_name (GST_BIN (pipeline), "trainer");
  bus = gst_element_get_bus (pipeline);
  /* Not pasted into the description: a path may hold anything. */
  g_object_set (source, "location", argv[1], NULL);
  g_object_set (trainer, "location", argv[2], NULL);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  ok = follow (bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return ok ? 0 : 1;
}
