/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "stream.h"

#define F 16
#define PAIRS "uint32,float32", "2:1,2:1"
#define VIDEO(format, width, height, rate)                                     \
  "video/x-raw,format=" format ",width=" width ",height=" height               \
  ",framerate=" rate

static Stream
scope_new (const gchar *video, const gchar *property, guint value)
{
  Stream stream = stream_new ("saescope", property, value, NULL);

  gst_harness_set_sink_caps_str (stream.harness, video);
  return stream;
}

/* Frames of 64 × 48 that hold only the raster, a column a row. */
static Stream
bare_new (guint dict_size, guint rows_per_frame)
{
  Stream stream = stream_new ("saescope", "dict-size", dict_size,
      "rows-per-frame", rows_per_frame, "rows-per-column", 1, NULL);

  gst_harness_set_sink_caps_str (stream.harness,
      VIDEO ("BGRx", "64", "48", "25/1"));
  stream_send_dims (&stream, PAIRS);
  return stream;
}

static GstBuffer *
one_pair (guint32 index, float value)
{
  const guint32 indices[] = {index, 0};
  const float values[] = {value, 0};

  return gst_buffer_append (stream_buffer (indices, sizeof indices),
      stream_buffer (values, sizeof values));
}

static void
push_pair (Stream *stream, guint32 index, float value)
{
  g_assert_cmpint (stream_push (stream, one_pair (index, value)), ==,
      GST_FLOW_OK);
}

static void
send_eos (Stream *stream)
{
  gst_harness_push_event (stream->harness, gst_event_new_eos ());
}

/* @n rows of float32 [F], a latent each, at @time and as long as @duration. */
static void
push_rows (Stream *stream, guint first, guint n, GstClockTime time,
    GstClockTime duration)
{
  g_autofree float *codes = g_new0 (float, n *F);
  GstBuffer *buffer;

  for (guint r = 0; r < n; r++)
    codes[r * F + (first + r) % F] = 1 + (float) ((first + r) % 5);
  buffer = stream_buffer (codes, n * F * sizeof *codes);
  GST_BUFFER_PTS (buffer) = time;
  GST_BUFFER_DURATION (buffer) = duration;
  g_assert_cmpint (stream_push (stream, buffer), ==, GST_FLOW_OK);
}

static guint
count_frames (Stream *stream)
{
  return gst_harness_buffers_in_queue (stream->harness);
}

/* Pixels [height, width] of a frame of four bytes a pixel. */
static guint32 *
pull_pixels (Stream *stream)
{
  GstBuffer *frame = gst_harness_pull (stream->harness);
  guint32 *pixels = g_malloc (gst_buffer_get_size (frame));

  gst_buffer_extract (frame, 0, pixels, gst_buffer_get_size (frame));
  gst_buffer_unref (frame);
  return pixels;
}

static guint
brightness (guint32 pixel)
{
  return (pixel >> 16 & 255) + (pixel >> 8 & 255) + (pixel & 255);
}

/* Only the pixels (x, y) of @lit, which ends with −1, are. */
static void
expect_lit (const guint32 *pixels, const gint *lit)
{
  guint32 dark = pixels[0];

  for (gint y = 0; y < 48; y++)
    for (gint x = 0; x < 64; x++) {
      gboolean want = FALSE;
      for (const gint *at = lit; *at >= 0; at += 2)
        want = want || (at[0] == x && at[1] == y);
      if ((pixels[y * 64 + x] != dark) != want)
        g_error ("pixel %d, %d: expected it %s", x, y, want ? "lit" : "dark");
    }
}

/* --- when frames are made ------------------------------------------------- */

static void
expect_frame_times (Stream *stream, GstClockTime base, gint fps_n, gint fps_d,
    guint n)
{
  g_assert_cmpuint (count_frames (stream), ==, n);
  for (guint i = 0; i < n; i++) {
    GstBuffer *frame = gst_harness_pull (stream->harness);
    GstClockTime pts =
        base + gst_util_uint64_scale (i, GST_SECOND * (guint64) fps_d,
                   (guint64) fps_n);
    GstClockTime next =
        base + gst_util_uint64_scale (i + 1, GST_SECOND * (guint64) fps_d,
                   (guint64) fps_n);
    g_assert_cmpuint (GST_BUFFER_PTS (frame), ==, pts);
    g_assert_cmpuint (GST_BUFFER_DURATION (frame), ==, next - pts);
    gst_buffer_unref (frame);
  }
}

/* Two seconds of 100 rows each, from the third second on. */
static void
test_by_time (void)
{
  static const gint rates[][2] = {{5, 1}, {25, 1}, {30000, 1001}, {60, 1},
      {1, 3}, {240, 1}};

  for (guint i = 0; i < G_N_ELEMENTS (rates); i++) {
    g_autofree gchar *video =
        g_strdup_printf (VIDEO ("BGRx", "64", "48", "%d/%d"), rates[i][0],
            rates[i][1]);
    g_auto (Stream) stream = scope_new (video, "rows-per-column", 1);
    guint64 whole =
        gst_util_uint64_scale (2, (guint64) rates[i][0], (guint64) rates[i][1]);
    guint rest = 2 * rates[i][0] % rates[i][1] != 0;
    stream_send_dims (&stream, "float32", "16:5");
    for (guint b = 0; b < 40; b++)
      push_rows (&stream, b * 5, 5, (40 + b) * (guint64) (50 * GST_MSECOND),
          50 * GST_MSECOND);
    g_assert_cmpuint (count_frames (&stream), ==, whole);
    send_eos (&stream); /* what is left of the last frame */
    expect_frame_times (&stream, 2 * GST_SECOND, rates[i][0], rates[i][1],
        (guint) whole + rest);
  }
}

static void
test_by_rows (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("BGRx", "64", "48", "25/1"), "rows-per-frame", 10);
  const GstSegment *segment;
  GstEvent *event;

  stream_send_dims (&stream, "float32", "16:7");
  for (guint b = 0; b < 5; b++)
    push_rows (&stream, b * 7, 7, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  g_assert_cmpuint (count_frames (&stream), ==, 3);
  send_eos (&stream);
  expect_frame_times (&stream, 0, 25, 1, 4);
  event =
      gst_pad_get_sticky_event (stream.harness->sinkpad, GST_EVENT_SEGMENT, 0);
  gst_event_parse_segment (event, &segment);
  g_assert_cmpint (segment->format, ==, GST_FORMAT_TIME);
  gst_event_unref (event);
}

/* However fast rows come: frames lie on the grid, in order. */
static void
test_by_clock (void)
{
  g_auto (Stream) stream = stream_new ("saescope", "pace", 3 /* clock */, NULL);
  GstClockTime last = 0;
  guint n;

  gst_harness_set_sink_caps_str (stream.harness,
      VIDEO ("BGRx", "64", "48", "100/1"));
  stream_send_dims (&stream, "float32", "16:1");
  for (guint r = 0; r < 50; r++) {
    push_rows (&stream, r, 1, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
    g_usleep (1000);
  }
  send_eos (&stream);
  n = count_frames (&stream);
  g_assert_cmpuint (n, >=, 2);
  g_assert_cmpuint (n, <=, 50);
  for (guint i = 0; i < n; i++) {
    GstBuffer *frame = gst_harness_pull (stream.harness);
    g_assert_cmpuint (GST_BUFFER_PTS (frame) % (10 * GST_MSECOND), ==, 0);
    g_assert_true (i == 0 || GST_BUFFER_PTS (frame) > last);
    last = GST_BUFFER_PTS (frame);
    gst_buffer_unref (frame);
  }
}

static void
test_jump (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("BGRx", "64", "48", "10/1"), "rows-per-column", 1);
  const GstClockTime hours = 1000 * 3600 * GST_SECOND;
  GstBuffer *frame;

  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 0, 1, 0, 150 * GST_MSECOND);
  push_rows (&stream, 1, 1, hours, 100 * GST_MSECOND);
  push_rows (&stream, 2, 1, 0, 100 * GST_MSECOND); /* and back */
  send_eos (&stream);
  g_assert_cmpuint (count_frames (&stream), ==, 3);
  frame = gst_harness_pull (stream.harness);
  g_assert_cmpuint (GST_BUFFER_PTS (frame), ==, 0);
  gst_buffer_unref (frame);
  frame = gst_harness_pull (stream.harness);
  g_assert_cmpuint (GST_BUFFER_PTS (frame), ==, hours);
  gst_buffer_unref (frame);
}

static void
test_gap (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("BGRx", "64", "48", "10/1"), "rows-per-column", 1);
  g_autofree float *codes = g_new0 (float, F);
  g_autofree guint32 *pixels = NULL;
  GstBuffer *gap;

  codes[3] = 9;
  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 0, 1, 0, 100 * GST_MSECOND);
  gap = stream_buffer (codes, F * sizeof *codes);
  GST_BUFFER_PTS (gap) = 100 * GST_MSECOND;
  GST_BUFFER_DURATION (gap) = 200 * GST_MSECOND;
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  g_assert_cmpint (stream_push (&stream, gap), ==, GST_FLOW_OK);
  push_rows (&stream, 1, 1, 300 * GST_MSECOND, 100 * GST_MSECOND);
  g_assert_cmpuint (count_frames (&stream), ==, 4);
  for (guint i = 0; i < 3; i++)
    gst_buffer_unref (gst_harness_pull (stream.harness));
  pixels = pull_pixels (&stream);
  expect_lit (pixels, (gint[]){62, 0, 62, 1, 62, 2, 63, 3, 63, 4, 63, 5, -1});
}

static void
test_flush (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("BGRx", "64", "48", "10/1"), "rows-per-column", 1);

  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 0, 1, 0, 90 * GST_MSECOND);
  gst_harness_push_event (stream.harness, gst_event_new_flush_start ());
  gst_harness_push_event (stream.harness, gst_event_new_flush_stop (TRUE));
  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 1, 2, 5 * GST_SECOND, 200 * GST_MSECOND);
  send_eos (&stream);
  expect_frame_times (&stream, 5 * GST_SECOND, 10, 1, 2);
}

static void
test_no_rows (void)
{
  g_auto (Stream) stream = bare_new (F, 1);

  g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
  send_eos (&stream);
  g_assert_cmpuint (count_frames (&stream), ==, 0);
  stream_expect_no_error (&stream);
}

/* Downstream is late: frames that it would drop are not drawn, rows count. */
static void
test_qos (void)
{
  g_auto (Stream) stream = bare_new (F, 1);
  GstBuffer *frame;

  push_pair (&stream, 0, 1);
  gst_harness_push_upstream_event (stream.harness,
      gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 0.5, 40 * GST_MSECOND,
          20 * GST_MSECOND));
  for (guint r = 1; r < 5; r++)
    push_pair (&stream, r, 1);
  g_assert_cmpuint (count_frames (&stream), ==, 3); /* not 40, nor 80 ms */
  gst_buffer_unref (gst_harness_pull (stream.harness));
  frame = gst_harness_pull (stream.harness);
  g_assert_cmpuint (GST_BUFFER_PTS (frame), ==, 120 * GST_MSECOND);
  gst_buffer_unref (frame);
}

/* --- what is on them ------------------------------------------------------ */

static void
test_pixel (void)
{
  g_auto (Stream) stream = bare_new (48, 1);
  g_autofree guint32 *first = NULL, *second = NULL;

  push_pair (&stream, 17, 2);
  first = pull_pixels (&stream);
  expect_lit (first, (gint[]){63, 17, -1});
  push_pair (&stream, 47, 1);
  second = pull_pixels (&stream);
  expect_lit (second, (gint[]){62, 17, 63, 47, -1});
  g_assert_cmpuint (brightness (second[17 * 64 + 62]), >,
      brightness (second[47 * 64 + 63])); /* the stronger */
}

/* Two latents a line, or three lines a latent. */
static void
test_pixel_of_buckets (void)
{
  g_auto (Stream) many = bare_new (96, 1);
  g_auto (Stream) few = bare_new (16, 1);
  g_autofree guint32 *pixels = NULL;

  push_pair (&many, 35, 1);
  pixels = pull_pixels (&many);
  expect_lit (pixels, (gint[]){63, 17, -1});
  g_free (pixels);
  push_pair (&few, 5, 1);
  pixels = pull_pixels (&few);
  expect_lit (pixels, (gint[]){63, 15, 63, 16, 63, 17, -1});
}

/* Rows that share a column; the oldest column leaves on the left. */
static void
test_columns (void)
{
  g_auto (Stream) stream = stream_new ("saescope", "dict-size", 48,
      "rows-per-frame", 4, "rows-per-column", 2, NULL);
  g_autofree guint32 *pixels = NULL;

  gst_harness_set_sink_caps_str (stream.harness,
      VIDEO ("BGRx", "64", "48", "25/1"));
  stream_send_dims (&stream, PAIRS);
  for (guint r = 0; r < 4; r++)
    push_pair (&stream, r, 1);
  pixels = pull_pixels (&stream);
  expect_lit (pixels, (gint[]){62, 0, 62, 1, 63, 2, 63, 3, -1});
  for (guint r = 0; r < 124; r++)
    push_pair (&stream, 40, 1);
  while (count_frames (&stream) > 0) {
    g_free (pixels);
    pixels = pull_pixels (&stream);
  }
  g_assert_cmpuint (brightness (pixels[2 * 64 + 1]), >,
      brightness (pixels[5 * 64 + 1]));
  g_assert_cmpuint (brightness (pixels[40 * 64 + 2]), >,
      brightness (pixels[5 * 64 + 2]));
}

static void
expect_colour (const gchar *format, const guint8 *rgb, gint step, gint red,
    gint green, gint blue)
{
  g_autofree gchar *video =
      g_strdup_printf (VIDEO ("%s", "64", "48", "25/1"), format);
  g_auto (Stream) stream = scope_new (video, "rows-per-frame", 1);
  GstBuffer *frame;
  GstMapInfo map;
  const guint8 *pixel;
  gsize stride = (gsize) step * 64;

  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 5, 1, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  frame = gst_harness_pull (stream.harness);
  g_assert_true (gst_buffer_map (frame, &map, GST_MAP_READ));
  g_assert_cmpuint (map.size, ==, stride * 48);
  pixel = map.data + 16 * stride + (gsize) (63 * step);
  g_assert_cmpuint (pixel[red], ==, rgb[0]);
  g_assert_cmpuint (pixel[green], ==, rgb[1]);
  g_assert_cmpuint (pixel[blue], ==, rgb[2]);
  gst_buffer_unmap (frame, &map);
  gst_buffer_unref (frame);
}

static void
test_formats (void)
{
  static const guint8 lightest[] = {253, 252, 215};

  expect_colour ("BGRx", lightest, 4, 2, 1, 0);
  expect_colour ("BGRA", lightest, 4, 2, 1, 0);
  expect_colour ("RGBx", lightest, 4, 0, 1, 2);
  expect_colour ("RGBA", lightest, 4, 0, 1, 2);
  expect_colour ("xRGB", lightest, 4, 1, 2, 3);
  expect_colour ("RGB", lightest, 3, 0, 1, 2);
  expect_colour ("BGR", lightest, 3, 2, 1, 0);
}

static GBytes *
pull_frames (Stream *stream)
{
  GByteArray *all = g_byte_array_new ();

  while (count_frames (stream) > 0) {
    GstBuffer *frame = gst_harness_pull (stream->harness);
    GstMapInfo map;
    g_assert_true (gst_buffer_map (frame, &map, GST_MAP_READ));
    g_byte_array_append (all, map.data, (guint) map.size);
    gst_buffer_unmap (frame, &map);
    gst_buffer_unref (frame);
  }
  return g_byte_array_free_to_bytes (all);
}

static GBytes *
pull_all (Stream *stream)
{
  send_eos (stream);
  return pull_frames (stream);
}

static void
test_any_cut (void)
{
  g_autoptr (GBytes) want = NULL;

  for (guint cut = 1; cut < 60; cut += 7) {
    g_auto (Stream) stream =
        scope_new (VIDEO ("RGB", "400", "240", "25/1"), "rows-per-frame", 13);
    g_autoptr (GBytes) got = NULL;
    stream_send_dims (&stream, "float32", "16:1");
    for (guint r = 0; r < 60; r += cut)
      push_rows (&stream, r, MIN (cut, 60 - r), GST_CLOCK_TIME_NONE,
          GST_CLOCK_TIME_NONE);
    got = pull_all (&stream);
    g_assert_cmpuint (g_bytes_get_size (got), ==, 5 * 400 * 240 * 3);
    if (!want)
      want = g_bytes_ref (got);
    g_assert_true (g_bytes_equal (got, want));
  }
}

static void
test_two_cycles (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("RGB", "400", "240", "25/1"), "rows-per-frame", 13);
  g_autoptr (GBytes) first = NULL, second = NULL;

  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 0, 30, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  first = pull_frames (&stream);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 0, 30, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  second = pull_frames (&stream);
  g_assert_true (g_bytes_equal (first, second));
}

/* --- statistics of a trainer ---------------------------------------------- */

static void
push_stats (Stream *stream, const gchar *structure)
{
  GstStructure *s = gst_structure_from_string (structure, NULL);

  g_assert_nonnull (s);
  g_assert_true (gst_harness_push_event (stream->harness,
      gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, s)));
}

static GBytes *
picture_after (const gchar *const *events)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("RGB", "400", "240", "25/1"), "rows-per-frame", 4);

  stream_send_dims (&stream, "float32", "16:4");
  for (; *events; events++)
    push_stats (&stream, *events);
  push_rows (&stream, 0, 4, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  return pull_all (&stream);
}

static void
test_loss (void)
{
  static const gchar *const none[] = {NULL};
  static const gchar *const loss[] =
      {"sae-stats,rows=(guint64)9,loss=0.5,fvu=0.3",
          "sae-stats,rows=(guint64)9,loss=0.2,fvu=0.1", NULL};
  static const gchar *const useless[] = {"sae-stats",
      "sae-stats,rows=(guint64)0,loss=0.5", "sae-stats,rows=(guint64)9",
      "sae-stats,rows=9,loss=0.5", "sae-stats,rows=(guint64)9,loss=nan",
      "sae-stats,rows=(guint64)9,loss=inf",
      "sae-stats,rows=(guint64)9,loss=(string)x",
      "other,rows=(guint64)9,loss=0.5", NULL};
  g_autoptr (GBytes) without = picture_after (none);
  g_autoptr (GBytes) with = picture_after (loss);
  g_autoptr (GBytes) bad = picture_after (useless);

  g_assert_false (g_bytes_equal (without, with));
  g_assert_true (g_bytes_equal (without, bad));
}

/* Of a saetrainer, and on to whoever follows. */
static void
test_trainer_sends_events (void)
{
  g_auto (Stream) stream = stream_new ("saetrainer", "dict-size", 32, "top-k",
      2, "batch-size", 8, "normalize", 1, NULL);
  g_autofree float *x = stream_rows (1, 32, F);
  gboolean seen = FALSE;
  GstEvent *event;

  stream_send_dims (&stream, "float32", "16:32");
  stream_push_floats (&stream, x, 32 * F);
  send_eos (&stream);
  while ((event = gst_harness_try_pull_event (stream.harness))) {
    const GstStructure *s = gst_event_get_structure (event);
    gboolean is_stats = s && gst_structure_has_name (s, "sae-stats");
    double loss;
    if (is_stats)
      g_assert_true (gst_structure_get_double (s, "loss", &loss));
    g_assert_false (is_stats && GST_EVENT_IS_STICKY (event));
    seen = seen || is_stats;
    gst_event_unref (event);
  }
  g_assert_true (seen);
}

/* --- sizes and caps --------------------------------------------------------
 */

static void
test_sizes (void)
{
  static const gint sizes[][2] = {{16, 16}, {319, 200}, {320, 199}, {320, 200},
      {961, 541}, {16, 2000}, {2000, 16}, {1920, 1080}, {333, 1500}};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree gchar *video =
        g_strdup_printf (VIDEO ("RGB", "%d", "%d", "25/1"), sizes[i][0],
            sizes[i][1]);
    g_auto (Stream) stream = scope_new (video, "rows-per-frame", 3);
    gsize stride = ((gsize) sizes[i][0] * 3 + 3) / 4 * 4;
    GstBuffer *frame;
    stream_send_dims (&stream, "float32", "16:3");
    push_rows (&stream, 0, 3, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
    frame = gst_harness_pull (stream.harness);
    g_assert_cmpuint (gst_buffer_get_size (frame), ==,
        stride * (gsize) sizes[i][1]);
    gst_buffer_unref (frame);
  }
}

static void
test_default_size (void)
{
  g_auto (Stream) stream = scope_new ("video/x-raw", "rows-per-frame", 3);
  g_autoptr (GstCaps) caps = NULL;
  const GstStructure *s;
  gint width, height, fps_n, fps_d;

  stream_send_dims (&stream, "float32", "16:3");
  push_rows (&stream, 0, 3, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  caps = gst_pad_get_current_caps (stream.harness->sinkpad);
  s = gst_caps_get_structure (caps, 0);
  g_assert_true (
      gst_structure_get (s, "width", G_TYPE_INT, &width, "height", G_TYPE_INT,
          &height, "framerate", GST_TYPE_FRACTION, &fps_n, &fps_d, NULL));
  g_assert_cmpint (width, ==, 960);
  g_assert_cmpint (height, ==, 540);
  g_assert_cmpint (fps_n, ==, 25);
  g_assert_cmpint (fps_d, ==, 1);
}

/* Downstream wants other frames in the middle of the stream. */
static void
test_renegotiation (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("RGB", "400", "240", "25/1"), "rows-per-frame", 2);
  GstBuffer *frame;

  stream_send_dims (&stream, "float32", "16:2");
  push_rows (&stream, 0, 2, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  gst_buffer_unref (gst_harness_pull (stream.harness));
  gst_harness_set_sink_caps_str (stream.harness,
      VIDEO ("BGRx", "64", "48", "50/1"));
  gst_harness_push_upstream_event (stream.harness,
      gst_event_new_reconfigure ());
  for (guint i = 0; i < 2; i++)
    push_rows (&stream, 2, 2, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  for (guint i = 0; i < 2; i++) {
    frame = gst_harness_pull (stream.harness);
    g_assert_cmpuint (gst_buffer_get_size (frame), ==, 64 * 48 * 4);
    g_assert_cmpuint (GST_BUFFER_PTS (frame), ==, (40 + 20 * i) * GST_MSECOND);
    gst_buffer_unref (frame);
  }
}

/* Caps make frames of another size, and then no rows come for them. */
static void
test_renegotiation_before_eos (void)
{
  static const gchar *const sizes[][2] = {{VIDEO ("RGB", "800", "600", "25/1"),
                                              VIDEO ("RGB", "64", "48",
                                                  "25/1")},
      {VIDEO ("RGB", "64", "48", "25/1"), VIDEO ("RGB", "800", "600", "25/1")}};

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_auto (Stream) stream = scope_new (sizes[i][0], "rows-per-frame", 99);
    stream_send_dims (&stream, "float32", "16:2");
    push_rows (&stream, 0, 2, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
    gst_harness_set_sink_caps_str (stream.harness, sizes[i][1]);
    stream_send_dims (&stream, "float32", "16:3");
    send_eos (&stream);
    g_assert_cmpuint (count_frames (&stream), ==, 1);
    stream_expect_no_error (&stream);
  }
}

static void
test_other_dictionary (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("BGRx", "64", "48", "25/1"), "rows-per-frame", 1);
  float codes[48] = {[40] = 1};
  g_autofree guint32 *pixels = NULL;

  stream_send_dims (&stream, "float32", "16:1");
  push_rows (&stream, 0, 1, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  gst_buffer_unref (gst_harness_pull (stream.harness));
  stream_send_dims (&stream, "float32", "48:1");
  g_assert_cmpint (stream_push_floats (&stream, codes, 48), ==, GST_FLOW_OK);
  pixels = pull_pixels (&stream);
  expect_lit (pixels, (gint[]){63, 40, -1});
}

/* --- what is refused --------------------------------------------------------
 */

static void
expect_failure (Stream *stream, GstBuffer *buffer, GQuark domain, gint code,
    const gchar *part)
{
  g_assert_cmpint (stream_push (stream, buffer), ==, GST_FLOW_ERROR);
  stream_expect_error (stream, domain, code, part, NULL);
  g_assert_cmpuint (count_frames (stream), ==, 0);
}

static void
test_hostile (void)
{
  g_auto (Stream) index = bare_new (F, 1);
  g_auto (Stream) half = bare_new (F, 1);
  g_auto (Stream) nan = bare_new (F, 1);
  g_auto (Stream) unsized = bare_new (0, 1);

  expect_failure (&index, one_pair (F, 1), GST_STREAM_ERROR,
      GST_STREAM_ERROR_FORMAT, "16");
  expect_failure (&half, stream_buffer ("1234567", 7), GST_STREAM_ERROR,
      GST_STREAM_ERROR_FORMAT, "7");
  expect_failure (&nan, one_pair (1, NAN), GST_STREAM_ERROR,
      GST_STREAM_ERROR_FAILED, "finite");
  expect_failure (&unsized, one_pair (1, 1), GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "dict-size");
}

static void
test_wrong_caps (void)
{
  g_auto (Stream) stream =
      scope_new (VIDEO ("BGRx", "64", "48", "25/1"), "dict-size", 20);
  float codes[F] = {0};

  stream_send_dims (&stream, "float32", "16:1");
  g_assert_cmpint (stream_push_floats (&stream, codes, F), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "20", "16", NULL);
}

static void
test_fuzz (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (12);

  for (guint i = 0; i < 200; i++) {
    g_auto (Stream) stream = bare_new (F, 3);
    guint8 bytes[512];
    for (guint j = 0; j < sizeof bytes; j++)
      bytes[j] = (guint8) g_rand_int_range (random, 0, j % 4 == 0 ? 24 : 2);
    if (i % 2)
      stream_send_caps (&stream,
          gst_caps_from_string ("other/tensors,format=(string)sparse,"
                                "framerate=(fraction)0/1"));
    memcpy (bytes, &(guint32){0xfeedcced}, i % 2 ? 4 : 0);
    memcpy (bytes + 4, &(guint32){0xde001000}, i % 2 ? 4 : 0);
    stream_push (&stream,
        stream_buffer (bytes, (gsize) g_rand_int_range (random, 0, 512)));
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/saescope/" name, test)
  ADD ("by-time", test_by_time);
  ADD ("by-rows", test_by_rows);
  ADD ("by-clock", test_by_clock);
  ADD ("jump-makes-no-frames", test_jump);
  ADD ("gap", test_gap);
  ADD ("flush", test_flush);
  ADD ("no-rows", test_no_rows);
  ADD ("late-frames-left-out", test_qos);
  ADD ("pixel", test_pixel);
  ADD ("pixel-of-buckets", test_pixel_of_buckets);
  ADD ("columns", test_columns);
  ADD ("formats", test_formats);
  ADD ("any-cut-same-frames", test_any_cut);
  ADD ("two-cycles", test_two_cycles);
  ADD ("loss", test_loss);
  ADD ("trainer-sends-events", test_trainer_sends_events);
  ADD ("sizes", test_sizes);
  ADD ("default-size", test_default_size);
  ADD ("renegotiation", test_renegotiation);
  ADD ("renegotiation-before-eos", test_renegotiation_before_eos);
  ADD ("other-dictionary", test_other_dictionary);
  ADD ("hostile", test_hostile);
  ADD ("wrong-caps", test_wrong_caps);
  ADD ("fuzz", test_fuzz);
  return stream_run_tests ();
}
