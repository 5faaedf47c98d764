/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <unistd.h>

#include <gst/check/gstharness.h>

#include "../same-memory.h"
#include "../formats/scratch.h"
#include "fault.h"
#include "rows.h"
#include "stream.h"

#define WIDTH 5
#define ROW (4 * WIDTH)
#define HEADER 128

/* How bytes come: pulled from a file, or pushed in blocks of some size. */
typedef struct {
  const gchar *name, *upstream;
} Mode;

static const Mode modes[] = {
    {"pull", "filesrc location=\"%s\""},
    {"push", "filesrc location=\"%s\" ! queue"},
    {"push-37", "filesrc location=\"%s\" blocksize=37 ! queue"},
    {"push-1", "filesrc location=\"%s\" blocksize=1 ! queue"},
};

static gchar *
describe (const Mode *mode, const gchar *path, const gchar *properties)
{
  g_autofree gchar *format = g_strdup (mode->upstream);
  g_auto (GStrv) parts = g_strsplit (format, "%s", 2);

  return g_strdup_printf ("%s%s%s ! saeparse name=parse %s ! appsink name=out "
                          "sync=false",
      parts[0], path, parts[1], properties);
}

static RowsTaken *
run (const Mode *mode, const gchar *path, const gchar *properties,
    gsize row_size)
{
  g_autofree gchar *description = describe (mode, path, properties);
  GError *error = NULL;
  RowsTaken *taken = rows_run (description, row_size, &error);

  g_assert_no_error (error);
  return taken;
}

/* --- what comes out ------------------------------------------------------- */

static void
test_types (Scratch *scratch, gconstpointer data)
{
  static const struct {
    const gchar *descr;
    gsize size;
  } types[] = {{"<f4", 4}, {"<f2", 2}, {"<f8", 8}};
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    rows_save_npy (path, types[i].descr, 0, 2000, WIDTH);
    for (guint m = 0; m < 3; m++) {
      g_autoptr (RowsTaken) taken =
          run (&modes[m], path, "rows-per-buffer=300", WIDTH * types[i].size);
      rows_taken_expect (taken, types[i].descr, 0, 2000, WIDTH);
      g_assert_cmpuint (taken->sizes->len, ==, 7);
      g_assert_cmpuint (rows_taken_size (taken, 6), ==, 200);
      for (guint j = 0; j < 7; j++) {
        g_assert_cmpuint (g_array_index (taken->offsets, guint64, j), ==,
            300 * j);
        g_assert_cmpuint (g_array_index (taken->times, GstClockTime, j), ==,
            GST_CLOCK_TIME_NONE);
      }
    }
  }
}

static void
test_raw (Scratch *scratch, gconstpointer data)
{
  static const struct {
    const gchar *descr, *dtype, *out;
    gsize size;
  } types[] = {{"<f4", "auto", "<f4", 4}, {"<f4", "float32", "<f4", 4},
      {"<f2", "float16", "<f2", 2}, {"<f8", "float64", "<f8", 8},
      {"bf16", "bfloat16", "<f4", 4}};
  g_autofree gchar *path = scratch_path (scratch, "a.raw");

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autofree gchar *properties =
        g_strdup_printf ("input-size=5 rows-per-buffer=40 dtype=%s",
            types[i].dtype);

    /* Values that bfloat16 has, too. */
    for (guint r = 0; r < 500; r++)
      rows_append (bytes, types[i].descr, r % 250, 1, WIDTH);
    rows_save (path, bytes);
    for (guint m = 0; m < 3; m++) {
      g_autoptr (RowsTaken) taken =
          run (&modes[m], path, properties, WIDTH * types[i].size);
      g_autoptr (GByteArray) want = g_byte_array_new ();
      rows_append (want, types[i].out, 0, 250, WIDTH);
      rows_append (want, types[i].out, 0, 250, WIDTH);
      assert_same_memory (taken->bytes->data, taken->bytes->len, want->data,
          want->len);
      g_assert_cmpuint (taken->sizes->len, ==, 13);
      g_assert_cmpuint (rows_taken_size (taken, 12), ==, 20);
      for (guint j = 0; j < taken->times->len; j++)
        g_assert_cmpuint (g_array_index (taken->times, GstClockTime, j), ==,
            GST_CLOCK_TIME_NONE);
    }
  }
}

static void
test_every_remainder (Scratch *scratch, gconstpointer data)
{
  guint n_runs = 0;
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  for (guint n = 0; n <= 9; n++) {
    rows_save_npy (path, "<f4", 0, n, WIDTH);
    for (guint per_buffer = 1; per_buffer <= 5; per_buffer++) {
      for (guint m = 0; m < 3; m++) {
        g_autofree gchar *properties =
            g_strdup_printf ("rows-per-buffer=%u", per_buffer);
        g_autoptr (RowsTaken) taken = run (&modes[m], path, properties, ROW);
        rows_taken_expect (taken, "<f4", 0, n, WIDTH);
        g_assert_cmpuint (taken->sizes->len, ==,
            (n + per_buffer - 1) / per_buffer);
        n_runs += n % per_buffer > 0;
      }
    }
  }
  fault_report (13, n_runs, n_runs, 0);
}

static void
test_three_dimensions (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  rows_append_header (bytes, "<f4", "(2, 3, 5)");
  rows_append (bytes, "<f4", 0, 6, WIDTH);
  rows_save (path, bytes);
  for (guint m = 0; m < G_N_ELEMENTS (modes); m++) {
    g_autoptr (RowsTaken) taken = run (&modes[m], path, "", ROW);
    rows_taken_expect (taken, "<f4", 0, 6, WIDTH);
  }
}

/* --- cuts, pushed by the test --------------------------------------------- */

typedef struct {
  Stream stream;
  RowsTaken *taken;
} Fed;

static Fed
feed_new (const gchar *property, guint value)
{
  Fed fed;
  GstSegment segment;

  fed.stream = stream_new ("saeparse", property, value, NULL);
  fed.taken = rows_taken_new ();
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (fed.stream.harness,
      gst_event_new_stream_start ("test"));
  gst_harness_push_event (fed.stream.harness, gst_event_new_segment (&segment));
  return fed;
}

static void
feed_take (Fed *fed, gsize row_size)
{
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (fed->stream.harness)) != NULL) {
    GstCaps *caps = gst_pad_get_current_caps (fed->stream.harness->sinkpad);
    rows_taken_add (fed->taken, buffer, caps, row_size);
    gst_caps_unref (caps);
    gst_buffer_unref (buffer);
  }
}

static void
feed_clear (Fed *fed)
{
  stream_clear (&fed->stream);
  rows_taken_free (fed->taken);
}

/* Pushes @bytes in pieces of random sizes, each in some memories. */
static GstFlowReturn
feed_pieces (Fed *fed, const GByteArray *bytes, guint largest)
{
  GstFlowReturn flow = GST_FLOW_OK;
  gsize done = 0;

  while (done < bytes->len && flow == GST_FLOW_OK) {
    gsize size = (gsize) g_test_rand_int_range (0, (gint32) largest + 1);
    gsize cuts[3];
    size = MIN (size, bytes->len - done);
    for (guint i = 0; i < G_N_ELEMENTS (cuts); i++)
      cuts[i] = (gsize) g_test_rand_int_range (0, (gint32) size + 1);
    flow = gst_harness_push (fed->stream.harness,
        stream_cut_buffer (bytes->data + done, size, cuts,
            (guint) g_test_rand_int_range (0, 4)));
    done += size;
  }
  return flow;
}

static void
test_any_cut (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 23, WIDTH);

  for (guint i = 0; i < 1000; i++) {
    Fed fed = feed_new ("rows-per-buffer", 4);

    g_assert_cmpint (feed_pieces (&fed, bytes, 1u << (1 + i % 9)), ==,
        GST_FLOW_OK);
    gst_harness_push_event (fed.stream.harness, gst_event_new_eos ());
    feed_take (&fed, ROW);
    stream_expect_no_error (&fed.stream);
    g_assert_cmpuint (fed.taken->sizes->len, ==, 6);
    g_assert_cmpuint (rows_taken_size (fed.taken, 5), ==, 3);
    {
      g_autoptr (GByteArray) want = g_byte_array_new ();
      rows_append (want, "<f4", 0, 23, WIDTH);
      assert_same_memory (fed.taken->bytes->data, fed.taken->bytes->len,
          want->data, want->len);
    }
    feed_clear (&fed);
  }
}

/* A frame that comes in memories of its own leaves in one. */
static void
test_one_memory (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 4, WIDTH);
  Fed fed = feed_new ("rows-per-buffer", 4);
  const gsize cut = 33;

  gst_harness_push (fed.stream.harness, stream_buffer (bytes->data, HEADER));
  gst_harness_push (fed.stream.harness,
      stream_cut_buffer (bytes->data + HEADER, 4 * ROW, &cut, 1));
  feed_take (&fed, ROW); /* asserts one memory */
  rows_taken_expect (fed.taken, "<f4", 0, 4, WIDTH);
  feed_clear (&fed);
}

/* After a flush and a segment that starts at any byte, the next whole rows. */
static void
test_segments (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 23, WIDTH);
  Fed fed = feed_new ("rows-per-buffer", 4);

  feed_pieces (&fed, bytes, 64);
  feed_take (&fed, ROW);
  for (guint i = 0; i < 2000; i++) {
    guint from = (guint) g_test_rand_int_range (0, (gint32) bytes->len);
    guint first = from <= HEADER ? 0 : (from - HEADER + ROW - 1) / ROW;
    g_autoptr (GByteArray) rest = g_byte_array_new ();
    GstSegment segment;

    rows_taken_free (fed.taken);
    fed.taken = rows_taken_new ();
    gst_harness_push_event (fed.stream.harness, gst_event_new_flush_start ());
    gst_harness_push_event (fed.stream.harness,
        gst_event_new_flush_stop (TRUE));
    gst_segment_init (&segment, GST_FORMAT_BYTES);
    segment.start = segment.time = segment.position = from;
    gst_harness_push_event (fed.stream.harness,
        gst_event_new_segment (&segment));
    g_byte_array_append (rest, bytes->data + from, bytes->len - from);
    g_assert_cmpint (feed_pieces (&fed, rest, 200), ==, GST_FLOW_OK);
    feed_take (&fed, ROW);
    {
      g_autoptr (GByteArray) want = g_byte_array_new ();
      rows_append (want, "<f4", first, 23 - first, WIDTH);
      assert_same_memory (fed.taken->bytes->data, fed.taken->bytes->len,
          want->data, want->len);
    }
    if (first < 23)
      g_assert_cmpuint (g_array_index (fed.taken->offsets, guint64, 0), ==,
          first);
  }
  stream_expect_no_error (&fed.stream);
  feed_clear (&fed);
}

/* A seek to the end brings no rows, and none are missing. */
static void
test_seek_to_end (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 23, WIDTH);
  Fed fed = feed_new ("rows-per-buffer", 4);
  GstSegment segment;

  gst_harness_push (fed.stream.harness,
      stream_buffer (bytes->data, HEADER + 9 * ROW));
  gst_harness_push_event (fed.stream.harness, gst_event_new_flush_start ());
  gst_harness_push_event (fed.stream.harness, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = segment.position = bytes->len;
  gst_harness_push_event (fed.stream.harness, gst_event_new_segment (&segment));
  gst_harness_push_event (fed.stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&fed.stream);
  feed_clear (&fed);
}

/* --- more than one file --------------------------------------------------- */

static void
test_files_in_a_row (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 23, WIDTH);

  rows_append_header (bytes, "<f4", "(0, 5)");
  rows_append_header (bytes, "<f4", "(7, 5)");
  rows_append (bytes, "<f4", 23, 7, WIDTH);
  rows_save (path, bytes);
  for (guint m = 0; m < G_N_ELEMENTS (modes); m++) {
    g_autoptr (RowsTaken) taken =
        run (&modes[m], path, "rows-per-buffer=5", ROW);
    rows_taken_expect (taken, "<f4", 0, 30, WIDTH);
    g_assert_cmpuint (taken->sizes->len, ==, 7);
    g_assert_cmpuint (g_array_index (taken->offsets, guint64, 6), ==, 28);
  }
}

static void
test_loop (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autofree gchar *description =
      g_strdup_printf ("multifilesrc location=\"%s\" loop=true num-buffers=5 ! "
                       "saeparse "
                       "rows-per-buffer=10 ! appsink name=out sync=false",
          path);
  g_autoptr (RowsTaken) taken = NULL;
  g_autoptr (GByteArray) want = g_byte_array_new ();
  GError *error = NULL;

  rows_save_npy (path, "<f4", 0, 23, WIDTH);
  taken = rows_run (description, ROW, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 5; i++)
    rows_append (want, "<f4", 0, 23, WIDTH);
  assert_same_memory (taken->bytes->data, taken->bytes->len, want->data,
      want->len);
  g_assert_cmpuint (taken->sizes->len, ==, 15);
  g_assert_cmpuint (g_array_index (taken->offsets, guint64, 14), ==, 112);
}

/* --- errors --------------------------------------------------------------- */

/* Of saeparse itself: upstream posts its own when a push fails. */
static GstBusSyncReply
count_errors (GstBus *bus, GstMessage *message, gpointer data)
{
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR &&
      g_str_has_prefix (GST_OBJECT_NAME (message->src), "parse"))
    g_atomic_int_inc ((gint *) data);
  return GST_BUS_PASS;
}

/* All rows that come, also those taken after the error was. */
static RowsTaken *
run_to_error (const Mode *mode, const gchar *path, const gchar *properties,
    GError **error, gint *n_errors)
{
  g_autofree gchar *description = describe (mode, path, properties);
  GstElement *pipeline = gst_parse_launch (description, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  RowsTaken *taken, *rest;

  *n_errors = 0;
  gst_bus_set_sync_handler (bus, count_errors, n_errors, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  taken = rows_collect (pipeline, 0, error);
  rest = rows_collect (pipeline, 0, NULL);
  g_byte_array_append (taken->bytes, rest->bytes->data, rest->bytes->len);
  rows_taken_free (rest);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  return taken;
}

static void
expect_failure (const gchar *path, const gchar *properties, GQuark domain,
    gint code, const gchar *part, const gchar *other)
{
  for (guint m = 0; m < 3; m++) {
    g_autoptr (RowsTaken) taken = NULL;
    g_autoptr (GError) error = NULL;
    gint n_errors;

    taken = run_to_error (&modes[m], path, properties, &error, &n_errors);
    g_assert_nonnull (error);
    if (!strstr (error->message, part) || !strstr (error->message, other))
      g_error ("%s: expected %s and %s in: %s", modes[m].name, part, other,
          error->message);
    g_assert_error (error, domain, code);
    g_assert_cmpint (n_errors, ==, 1);
  }
}

static void
test_bad_beginnings (Scratch *scratch, gconstpointer data)
{
  static const struct {
    const gchar *dict, *properties;
    gint is_type; /* STREAM/WRONG_TYPE, else STREAM/FORMAT */
    const gchar *part, *other;
  } cases[] = {
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 5), }", "", 1,
          "fortran_order", "expected False"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 5), }", "", 1,
          ">f4", "big-endian"},
      {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 5), }", "", 1,
          "float32, float16 or float64", "uint8"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", "", 1,
          "two or more dimensions", "has 1"},
      {"{'descr': '<f4', 'fortran_order': False, }", "", 0, "shape", "missing"},
      {"", "", 0, "byte 0", "npy"},
  };
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    const guint8 prefix[10] = "\x93NUMPY\x01\x00\x76";
    g_autofree gchar *text = g_strdup_printf ("%-117s\n", cases[i].dict);

    g_byte_array_append (bytes, prefix, sizeof prefix);
    g_byte_array_append (bytes, (const guint8 *) text, 118);
    rows_append (bytes, "<f4", 0, 1, WIDTH);
    rows_save (path, bytes);
    expect_failure (path, cases[i].properties, GST_STREAM_ERROR,
        cases[i].is_type ? GST_STREAM_ERROR_WRONG_TYPE
                         : GST_STREAM_ERROR_FORMAT,
        cases[i].part, cases[i].other);
  }
}

static void
test_contradictions (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autofree gchar *text = scratch_path (scratch, "a.txt");

  rows_save_npy (path, "<f4", 0, 23, WIDTH);
  scratch_write_text (text, "this is not an array of numbers at all");
  expect_failure (path, "input-size=6", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "expected 6", "rows of 5");
  expect_failure (path, "dtype=float16", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "expected float16", "has float32");
  expect_failure (text, "", GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "input-size", "not a .npy file");
  expect_failure (text, "input-size=2147483647", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "rows-per-buffer", "8589934588 bytes");
}

/* Every shorter length of a file: the whole rows that are there, one error. */
static void
test_truncated (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autoptr (GByteArray) whole = rows_npy ("<f4", 6, WIDTH);

  rows_save (path, whole);
  for (gint size = (gint) whole->len - 1; size > 0; size--) {
    guint n_rows = size < HEADER ? 0 : (guint) (size - HEADER) / ROW;
    g_assert_cmpint (truncate (path, size), ==, 0);
    for (guint m = 0; m < 3; m++) {
      g_autoptr (RowsTaken) taken = NULL;
      g_autoptr (GByteArray) want = g_byte_array_new ();
      g_autoptr (GError) error = NULL;
      gint n_errors;

      taken = run_to_error (&modes[m], path, "rows-per-buffer=4", &error,
          &n_errors);
      g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
      if (n_errors != 1)
        g_error ("%s of %d bytes: %d errors, the first: %s", modes[m].name,
            size, n_errors, error->message);
      rows_append (want, "<f4", 0, n_rows, WIDTH);
      assert_same_memory (taken->bytes->data, taken->bytes->len, want->data,
          want->len);
    }
  }
}

static void
test_part_of_raw_row (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.raw");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  rows_append (bytes, "<f4", 0, 7, WIDTH);
  g_byte_array_set_size (bytes, 7 * ROW - 1);
  rows_save (path, bytes);
  expect_failure (path, "input-size=5 rows-per-buffer=4", GST_STREAM_ERROR,
      GST_STREAM_ERROR_FORMAT, "row 6: expected 20 bytes (5 float32)",
      "after 19");
}

static void
test_trailing_garbage (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  for (guint extra = 1; extra < 40; extra += 6) {
    g_autoptr (GByteArray) bytes = rows_npy ("<f4", 7, WIDTH);
    for (guint i = 0; i < extra; i++)
      g_byte_array_append (bytes, (const guint8 *) "x", 1);
    rows_save (path, bytes);
    expect_failure (path, "rows-per-buffer=4", GST_STREAM_ERROR,
        GST_STREAM_ERROR_FORMAT, "byte 268",
        "end of the stream or another .npy file");
  }
}

static void
test_other_file (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 7, WIDTH);

  rows_append_header (bytes, "<f4", "(7, 6)");
  rows_append (bytes, "<f4", 0, 7, 6);
  rows_save (path, bytes);
  expect_failure (path, "", GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "rows of 5 float32", "got 6 float32");
}

static void
test_no_rows (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 0, WIDTH);
  Fed fed = feed_new ("rows-per-buffer", 4);
  g_autofree gchar *dims = NULL;

  feed_pieces (&fed, bytes, 50);
  gst_harness_push_event (fed.stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&fed.stream);
  stream_expect_nothing (&fed.stream);
  dims = stream_out_field (&fed.stream, "dimensions");
  g_assert_cmpstr (dims, ==, "5:4");
  feed_clear (&fed);
}

static void
test_nothing (void)
{
  Fed fed = feed_new ("input-size", 0);
  Fed raw = feed_new ("input-size", WIDTH);
  g_autofree gchar *dims = NULL;

  gst_harness_push_event (fed.stream.harness, gst_event_new_eos ());
  stream_expect_error (&fed.stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "empty", NULL);
  feed_clear (&fed);
  gst_harness_push_event (raw.stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&raw.stream);
  dims = stream_out_field (&raw.stream, "dimensions");
  g_assert_cmpstr (dims, ==, "5:256");
  feed_clear (&raw);
}

/* Bytes of a file changed at random: rows or one error, never more. */
static void
test_hostile (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 23, WIDTH);

  for (guint i = 0; i < 3000; i++) {
    g_autoptr (GByteArray) bad = g_byte_array_new ();
    Fed fed = feed_new ("rows-per-buffer", 4);
    GstMessage *message;
    guint n_errors = 0;

    g_byte_array_append (bad, bytes->data, bytes->len);
    for (gint n = g_test_rand_int_range (1, 4); n > 0; n--)
      bad->data[g_test_rand_int_range (0, HEADER)] =
          (guint8) g_test_rand_int_range (0, 256);
    feed_pieces (&fed, bad, 200);
    gst_harness_push_event (fed.stream.harness, gst_event_new_eos ());
    feed_take (&fed, 0);
    while ((message = stream_pop (&fed.stream, GST_MESSAGE_ERROR)) != NULL) {
      n_errors++;
      gst_message_unref (message);
    }
    g_assert_cmpuint (n_errors, <=, 1);
    feed_clear (&fed);
  }
}

/* --- seeks and queries ---------------------------------------------------- */

typedef struct {
  GstElement *pipeline, *parse;
} Running;

static Running
start (const Mode *mode, const gchar *path, const gchar *properties)
{
  g_autofree gchar *description = describe (mode, path, properties);
  Running running;
  GError *error = NULL;

  running.pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  running.parse = gst_bin_get_by_name (GST_BIN (running.pipeline), "parse");
  gst_element_set_state (running.pipeline, GST_STATE_PAUSED);
  g_assert_cmpint (gst_element_get_state (running.pipeline, NULL, NULL,
                       10 * GST_SECOND),
      ==, GST_STATE_CHANGE_SUCCESS);
  return running;
}

static void
finish (Running *running)
{
  gst_object_unref (running->parse);
  gst_element_set_state (running->pipeline, GST_STATE_NULL);
  gst_object_unref (running->pipeline);
}

static void
seek_about (const Mode *mode, const gchar *path, const gchar *properties,
    GstFormat format, gint64 unit, guint n_rows, GstSeekFlags flags)
{
  Running running = start (mode, path, properties);

  gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < 60; i++) {
    gint64 first = g_test_rand_int_range (0, (gint32) n_rows);
    gint64 last =
        g_test_rand_bit ()
            ? -1
            : g_test_rand_int_range ((gint32) first + 1, (gint32) n_rows + 1);
    g_autoptr (RowsTaken) taken = NULL;
    GError *error = NULL;

    g_assert_true (gst_element_seek (running.pipeline, 1.0, format,
        GST_SEEK_FLAG_FLUSH | flags, GST_SEEK_TYPE_SET, first * unit,
        GST_SEEK_TYPE_SET, last < 0 ? -1 : last * unit));
    taken = rows_collect (running.pipeline, ROW, &error);
    g_assert_no_error (error);
    rows_taken_expect (taken, "<f4", (guint64) first,
        (gsize) ((last < 0 ? n_rows : last) - first), WIDTH);
    g_assert_cmpuint (g_array_index (taken->offsets, guint64, 0), ==,
        (guint64) first);
    if (format == GST_FORMAT_TIME)
      g_assert_cmpuint (g_array_index (taken->times, GstClockTime, 0), ==,
          (guint64) (first * unit));
  }
  finish (&running);
}

static void
test_seeks (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autofree gchar *raw = scratch_path (scratch, "a.raw");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  rows_append (bytes, "<f4", 0, 300, WIDTH);
  rows_save (raw, bytes);
  rows_save_npy (path, "<f4", 0, 300, WIDTH);
  for (guint m = 0; m < 3; m++) {
    seek_about (&modes[m], path, "rows-per-buffer=7", GST_FORMAT_DEFAULT, 1,
        300, GST_SEEK_FLAG_NONE);
    seek_about (&modes[m], path, "rows-per-buffer=7", GST_FORMAT_DEFAULT, 1,
        300, GST_SEEK_FLAG_ACCURATE);
    seek_about (&modes[m], raw, "input-size=5 rows-per-buffer=7",
        GST_FORMAT_DEFAULT, 1, 300, GST_SEEK_FLAG_NONE);
    seek_about (&modes[m], path, "rows-per-buffer=7 rate=4/1",
        GST_FORMAT_DEFAULT, 1, 300, GST_SEEK_FLAG_NONE);
    seek_about (&modes[m], path, "rows-per-buffer=7 rate=4/1", GST_FORMAT_TIME,
        GST_SECOND / 4, 300, GST_SEEK_FLAG_NONE);
  }
}

/* Upstream need not send a segment where nothing follows. The seek is made at
 * the first rows, while all others are still to come. */
static void
test_seeks_without_rows (Scratch *scratch, gconstpointer data)
{
  static const struct {
    gint64 first, last;
  } seeks[] = {{20, -1}, {21, -1}, {20, 20}, {5, 5}};
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  rows_save_npy (path, "<f4", 0, 20, WIDTH);
  for (guint i = 0; i < 3 * G_N_ELEMENTS (seeks); i++) {
    guint s = i / 3;
    Running running = start (&modes[i % 3], path, "rows-per-buffer=4");
    g_autoptr (RowsTaken) none = NULL, rest = NULL;
    GError *error = NULL;

    g_assert_true (gst_element_seek (running.pipeline, 1.0, GST_FORMAT_DEFAULT,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, seeks[s].first,
        GST_SEEK_TYPE_SET, seeks[s].last));
    gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
    none = rows_collect (running.pipeline, ROW, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (none->sizes->len, ==, 0);
    g_assert_true (gst_element_seek (running.pipeline, 1.0, GST_FORMAT_DEFAULT,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 3, GST_SEEK_TYPE_SET, -1));
    rest = rows_collect (running.pipeline, ROW, &error);
    g_assert_no_error (error);
    rows_taken_expect (rest, "<f4", 3, 17, WIDTH);
    finish (&running);
  }
}

/* Whichever rows come between, those after the last seek are right. */
static void
test_flush_storm (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  guint n = g_test_slow () ? 10000 : 500;

  rows_save_npy (path, "<f4", 0, 2000, WIDTH);
  for (guint m = 0; m < 3; m++) {
    Running running = start (&modes[m], path, "rows-per-buffer=8");
    g_autoptr (RowsTaken) taken = NULL;
    GError *error = NULL;

    gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
    for (guint i = 0; i < n; i++)
      g_assert_true (gst_element_seek_simple (running.pipeline,
          GST_FORMAT_DEFAULT, GST_SEEK_FLAG_FLUSH,
          i == n - 1 ? 1001 : g_test_rand_int_range (0, 2000)));
    taken = rows_collect (running.pipeline, ROW, &error);
    g_assert_no_error (error);
    rows_taken_expect (taken, "<f4", 1001, 999, WIDTH);
    finish (&running);
    fault_report (12, n, n, 0);
  }
}

static void
test_refused_seeks (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  rows_save_npy (path, "<f4", 0, 20, WIDTH);
  for (guint m = 0; m < 2; m++) {
    Running running = start (&modes[m], path, "");
    g_assert_false (gst_element_seek_simple (running.pipeline, GST_FORMAT_TIME,
        GST_SEEK_FLAG_FLUSH, GST_SECOND));
    g_assert_false (
        gst_element_seek (running.pipeline, -1.0, GST_FORMAT_DEFAULT,
            GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, 10));
    g_assert_false (gst_element_seek (running.pipeline, 1.0, GST_FORMAT_DEFAULT,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 12, GST_SEEK_TYPE_SET, 8));
    finish (&running);
  }
}

/* Rows that are missing are no error behind the stop of a seek, but they are
 * one again when the next seek goes to the end. */
static void
test_stop_then_end (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  rows_save_npy (path, "<f4", 0, 100, WIDTH);
  g_assert_cmpint (truncate (path, HEADER + 50 * ROW), ==, 0);
  for (guint m = 0; m < 3; m++) {
    Running running = start (&modes[m], path, "rows-per-buffer=4");
    g_autoptr (RowsTaken) some = NULL, rest = NULL;
    GError *error = NULL;

    g_assert_true (gst_element_seek (running.pipeline, 1.0, GST_FORMAT_DEFAULT,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 5, GST_SEEK_TYPE_SET, 11));
    gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
    some = rows_collect (running.pipeline, ROW, &error);
    g_assert_no_error (error);
    rows_taken_expect (some, "<f4", 5, 6, WIDTH);
    g_assert_true (gst_element_seek (running.pipeline, 1.0, GST_FORMAT_DEFAULT,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 40, GST_SEEK_TYPE_SET, -1));
    rest = rows_collect (running.pipeline, ROW, &error);
    g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    g_clear_error (&error);
    finish (&running);
  }
}

static void
expect_value (GstElement *parse, GstFormat from, gint64 value, GstFormat to,
    gint64 expected)
{
  GstPad *pad = gst_element_get_static_pad (parse, "src");
  gint64 got = -7;

  g_assert_true (gst_pad_query_convert (pad, from, value, to, &got));
  g_assert_cmpint (got, ==, expected);
  gst_object_unref (pad);
}

static void
test_queries (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  rows_save_npy (path, "<f4", 0, 20, WIDTH);
  for (guint m = 0; m < 2; m++) {
    Running running = start (&modes[m], path, "rate=2/1 rows-per-buffer=6");
    GstPad *pad = gst_element_get_static_pad (running.parse, "src");
    GstQuery *query = gst_query_new_seeking (GST_FORMAT_DEFAULT);
    gboolean seekable;
    gint64 value, end;

    g_assert_true (gst_pad_query_duration (pad, GST_FORMAT_DEFAULT, &value));
    g_assert_cmpint (value, ==, 20);
    g_assert_true (gst_pad_query_duration (pad, GST_FORMAT_TIME, &value));
    g_assert_cmpint (value, ==, 10 * GST_SECOND);
    g_assert_true (gst_pad_query_duration (pad, GST_FORMAT_BYTES, &value));
    g_assert_cmpint (value, ==, 20 * ROW);
    expect_value (running.parse, GST_FORMAT_DEFAULT, 3, GST_FORMAT_BYTES,
        3 * ROW);
    expect_value (running.parse, GST_FORMAT_TIME, GST_SECOND,
        GST_FORMAT_DEFAULT, 2);
    g_assert_true (gst_pad_query_position (pad, GST_FORMAT_DEFAULT, &value));
    g_assert_cmpint (value % 6, ==, value == 20 ? 2 : 0);
    g_assert_true (gst_pad_query (pad, query));
    gst_query_parse_seeking (query, NULL, &seekable, NULL, &end);
    g_assert_true (seekable);
    g_assert_cmpint (end, ==, 20);
    gst_query_unref (query);
    gst_object_unref (pad);
    finish (&running);
  }
}

/* Where upstream knows no size, the header's declaration counts. */
static void
test_declared_duration (void)
{
  g_autoptr (GByteArray) bytes = rows_npy ("<f4", 23, WIDTH);
  Fed fed = feed_new ("rows-per-buffer", 4);
  gint64 value;

  feed_pieces (&fed, bytes, 64);
  g_assert_true (gst_element_query_duration (fed.stream.element,
      GST_FORMAT_DEFAULT, &value));
  g_assert_cmpint (value, ==, 23);
  g_assert_false (
      gst_element_query_duration (fed.stream.element, GST_FORMAT_TIME, &value));
  feed_clear (&fed);
}

static void
test_rate (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  rows_save_npy (path, "<f4", 0, 23, WIDTH);
  for (guint m = 0; m < 3; m++) {
    g_autoptr (RowsTaken) taken =
        run (&modes[m], path, "rate=3/1 rows-per-buffer=4", ROW);
    rows_taken_expect (taken, "<f4", 0, 23, WIDTH);
    for (guint i = 0; i < taken->times->len; i++)
      g_assert_cmpuint (g_array_index (taken->times, GstClockTime, i), ==,
          4 * i * (guint64) GST_SECOND / 3);
  }
}

/* --- states --------------------------------------------------------------- */

static void
test_cycles (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  rows_save_npy (path, "<f4", 0, 23, WIDTH);
  for (guint m = 0; m < 3; m++) {
    Running running = start (&modes[m], path, "rows-per-buffer=4");
    for (guint i = 0; i < 4; i++) {
      const gchar *descr = i % 2 ? "<f2" : "<f4";
      g_autoptr (RowsTaken) taken = NULL;
      GError *error = NULL;

      gst_element_set_state (running.pipeline, GST_STATE_NULL);
      rows_save_npy (path, descr, 0, 23 + i, WIDTH);
      gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
      taken = rows_collect (running.pipeline, i % 2 ? ROW / 2 : ROW, &error);
      g_assert_no_error (error);
      rows_taken_expect (taken, descr, 0, 23 + i, WIDTH);
    }
    rows_save_npy (path, "<f4", 0, 23, WIDTH);
    finish (&running);
  }
}

static GstPadProbeReturn
block (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_PAD_PROBE_OK; /* of a blocking probe: stay blocked */
}

static void
test_null_while_blocked (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");

  guint n = g_test_slow () ? 1000 : 60;

  rows_save_npy (path, "<f4", 0, 230, WIDTH);
  for (guint i = 0; i < n; i++) {
    g_autofree gchar *description =
        describe (&modes[i % 3], path, "rows-per-buffer=4");
    GstElement *pipeline = gst_parse_launch (description, NULL);
    GstElement *parse = gst_bin_get_by_name (GST_BIN (pipeline), "parse");
    GstPad *pad = gst_element_get_static_pad (parse, "src");

    gst_pad_add_probe (pad,
        GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, block, NULL,
        NULL);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    while (i % 2 == 0 && !gst_pad_is_blocking (pad))
      g_usleep (100);
    gst_element_set_state (pipeline, GST_STATE_NULL);
    gst_object_unref (pad);
    gst_object_unref (parse);
    gst_object_unref (pipeline);
  }
  fault_report (15, n, n, 0);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/plugin/saeparse/reads-each-float-type", test_types);
  scratch_add ("/plugin/saeparse/raw-rows", test_raw);
  scratch_add ("/plugin/saeparse/eos-at-every-remainder", test_every_remainder);
  scratch_add ("/plugin/saeparse/outer-dimensions-are-flattened",
      test_three_dimensions);
  g_test_add_func ("/plugin/saeparse/any-cut-reads-the-same", test_any_cut);
  g_test_add_func ("/plugin/saeparse/one-memory-a-tensor", test_one_memory);
  g_test_add_func ("/plugin/saeparse/alignment-follows-the-byte-offset",
      test_segments);
  scratch_add ("/plugin/saeparse/files-one-after-the-other",
      test_files_in_a_row);
  scratch_add ("/plugin/saeparse/multifilesrc-loop", test_loop);
  scratch_add ("/plugin/saeparse/refuses-bad-beginnings", test_bad_beginnings);
  scratch_add ("/plugin/saeparse/refuses-contradictions", test_contradictions);
  scratch_add ("/plugin/saeparse/truncated-gives-whole-rows-then-one-error",
      test_truncated);
  scratch_add ("/plugin/saeparse/part-of-a-raw-row", test_part_of_raw_row);
  scratch_add ("/plugin/saeparse/refuses-trailing-garbage",
      test_trailing_garbage);
  scratch_add ("/plugin/saeparse/refuses-another-file-of-other-rows",
      test_other_file);
  g_test_add_func ("/plugin/saeparse/no-rows-is-caps-then-eos", test_no_rows);
  g_test_add_func ("/plugin/saeparse/empty-stream", test_nothing);
  g_test_add_func ("/plugin/saeparse/hostile-header", test_hostile);
  g_test_add_func ("/plugin/saeparse/seek/to-the-end", test_seek_to_end);
  scratch_add ("/plugin/saeparse/seek/stop-is-no-end-but-the-end-is-one",
      test_stop_then_end);
  scratch_add ("/plugin/saeparse/seek/any-rows", test_seeks);
  scratch_add ("/plugin/saeparse/seek/no-rows", test_seeks_without_rows);
  scratch_add ("/plugin/saeparse/seek/flush-storm", test_flush_storm);
  scratch_add ("/plugin/saeparse/seek/refuses-time-and-backwards",
      test_refused_seeks);
  scratch_add ("/plugin/saeparse/queries-count-rows", test_queries);
  g_test_add_func ("/plugin/saeparse/duration-as-declared",
      test_declared_duration);
  scratch_add ("/plugin/saeparse/rate-gives-times", test_rate);
  scratch_add ("/plugin/saeparse/state-cycles", test_cycles);
  scratch_add ("/plugin/saeparse/null-while-blocked", test_null_while_blocked);
  return stream_run_tests ();
}
