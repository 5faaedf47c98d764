/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <unistd.h>

#include <gst/app/gstappsrc.h>
#include <gst/check/gstharness.h>

#include "../same-memory.h"
#include "../formats/scratch.h"
#include "rows.h"
#include "stream.h"

#define WIDTH 5
#define ROW (4 * WIDTH)
#define HEADER 128

/* --- through filesink ----------------------------------------------------- */

typedef struct {
  gchar *path;
  GstElement *pipeline, *src, *encoder;
  GstBus *bus;
  gboolean broken; /* the stream does not flow any more */
} File;

static File
file_new (Scratch *scratch, const gchar *properties)
{
  File file = {.path = scratch_path (scratch, "out.npy")};
  g_autofree gchar *description =
      g_strdup_printf ("appsrc name=src format=time ! saenpyenc name=enc %s ! "
                       "filesink location=\"%s\"",
          properties, file.path);

  file.pipeline = gst_parse_launch (description, NULL);
  file.src = gst_bin_get_by_name (GST_BIN (file.pipeline), "src");
  file.encoder = gst_bin_get_by_name (GST_BIN (file.pipeline), "enc");
  file.bus = gst_element_get_bus (file.pipeline);
  gst_element_set_state (file.pipeline, GST_STATE_PLAYING);
  return file;
}

static void
file_push (File *file, GstCaps *caps, GstBuffer *buffer)
{
  GstSample *sample = gst_sample_new (buffer, caps, NULL, NULL);

  gst_app_src_push_sample (GST_APP_SRC (file->src), sample);
  gst_sample_unref (sample);
  gst_caps_unref (caps);
  gst_buffer_unref (buffer);
}

static void
file_push_rows (File *file, const gchar *type, const gchar *descr,
    const gchar *dims, guint first, guint n)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  rows_append (bytes, descr, first, n, WIDTH);
  file_push (file, stream_caps (type, dims),
      stream_buffer (bytes->data, bytes->len));
}

/* EOS, then what is in the file. */
static GBytes *
file_finish (File *file, GError **error)
{
  GstMessage *message;
  gchar *data;
  gsize size;

  gst_app_src_end_of_stream (GST_APP_SRC (file->src));
  message = gst_bus_timed_pop_filtered (file->bus, 20 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, error, NULL);
  gst_message_unref (message);
  gst_element_set_state (file->pipeline, GST_STATE_NULL);
  gst_object_unref (file->src);
  gst_object_unref (file->encoder);
  gst_object_unref (file->bus);
  gst_object_unref (file->pipeline);
  g_assert_true (g_file_get_contents (file->path, &data, &size, NULL));
  g_free (file->path);
  return g_bytes_new_take (data, size);
}

/* The bytes of a .npy file: a header that says this, and then this data. */
static void
expect_npy (const guint8 *data, gsize size, const gchar *descr,
    const gchar *shape, gconstpointer want, gsize want_size)
{
  g_autofree gchar *dict =
      g_strdup_printf ("{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
          descr, shape);

  g_assert_cmpuint (size, >=, HEADER);
  assert_same_memory (data, 8, "\x93NUMPY\x01\x00", 8);
  g_assert_cmpuint (data[8] + 256u * data[9], ==, HEADER - 10);
  g_assert_cmpint (data[HEADER - 1], ==, '\n');
  if (strncmp ((const gchar *) data + 10, dict, strlen (dict)) != 0)
    g_error ("expected %s, got %.118s", dict, (const gchar *) data + 10);
  assert_same_memory (data + HEADER, size - HEADER, want, want_size);
}

static void
expect_rows (GBytes *file, const gchar *descr, const gchar *shape,
    guint64 first, gsize n)
{
  g_autoptr (GByteArray) want = g_byte_array_new ();
  gsize size;
  const guint8 *data = g_bytes_get_data (file, &size);

  rows_append (want, descr, first, n, WIDTH);
  expect_npy (data, size, descr, shape, want->data, want->len);
}

static void
finish_and_expect (File *file, const gchar *descr, const gchar *shape,
    gsize n_rows)
{
  GError *error = NULL;
  g_autoptr (GBytes) bytes = file_finish (file, &error);

  g_assert_no_error (error);
  expect_rows (bytes, descr, shape, 0, n_rows);
}

static void
finish_and_fail (File *file, GQuark domain, gint code, const gchar *part,
    const gchar *other)
{
  g_autoptr (GError) error = NULL;
  G_GNUC_UNUSED g_autoptr (GBytes) bytes = file_finish (file, &error);

  g_assert_error (error, domain, code);
  if (!strstr (error->message, part) || !strstr (error->message, other))
    g_error ("expected %s and %s in: %s", part, other, error->message);
}

/* --- shapes and types ----------------------------------------------------- */

static void
test_types (Scratch *scratch, gconstpointer data)
{
  static const gchar *const types[][2] = {{"float32", "<f4"},
      {"float64", "<f8"}, {"float16", "<f2"}, {"uint32", "<u4"},
      {"uint8", "|u1"}};

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    File file = file_new (scratch, "");
    file_push_rows (&file, types[i][0], types[i][1], "5:4", 0, 4);
    file_push_rows (&file, types[i][0], types[i][1], "5:4", 4, 4);
    file_push_rows (&file, types[i][0], types[i][1], "5:3", 8, 3);
    finish_and_expect (&file, types[i][1], "(11, 5)", 11);
  }
}

static void
test_other_rows_than_caps (Scratch *scratch, gconstpointer data)
{
  File file = file_new (scratch, "");

  file_push_rows (&file, "float32", "<f4", "5", 0, 1);
  file_push_rows (&file, "float32", "<f4", "5", 1, 9);
  file_push_rows (&file, "float32", "<f4", "5:4", 10, 3);
  file_push_rows (&file, "float32", "<f4", "5:4", 13, 0);
  finish_and_expect (&file, "<f4", "(13, 5)", 13);
}

static void
test_inner_dims (Scratch *scratch, gconstpointer data)
{
  File file = file_new (scratch, "");

  file_push_rows (&file, "float32", "<f4", "5:3:2", 0, 6);
  file_push_rows (&file, "float32", "<f4", "5:3:1", 6, 3);
  file_push_rows (&file, "float32", "<f4", "5:6", 9, 6);
  file_push_rows (&file, "float32", "<f4", "5:3:4", 15, 12);
  finish_and_expect (&file, "<f4", "(9, 3, 5)", 27);
}

static void
test_inner_dims_change (Scratch *scratch, gconstpointer data)
{
  static const struct {
    const gchar *dims;
    guint n;
    const gchar *part, *other;
  } cases[] = {
      {"5:4:2", 8, "items of float32 5:3", "5:4:2"},
      {"5:4", 4, "multiple of 3 rows", "got 4"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    File file = file_new (scratch, "");
    file_push_rows (&file, "float32", "<f4", "5:3:2", 0, 6);
    file_push_rows (&file, "float32", "<f4", cases[i].dims, 6, cases[i].n);
    finish_and_fail (&file, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        cases[i].part, cases[i].other);
  }
}

static void
test_width_and_type_change (Scratch *scratch, gconstpointer data)
{
  File width = file_new (scratch, ""), type;

  file_push_rows (&width, "float32", "<f4", "5:2", 0, 2);
  file_push_rows (&width, "float32", "<f4", "10:1", 2, 2);
  finish_and_fail (&width, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "float32 5:1", "float32 10:1");
  type = file_new (scratch, "");
  file_push_rows (&type, "float32", "<f4", "5:2", 0, 2);
  file_push_rows (&type, "float16", "<f2", "5:2", 2, 2);
  finish_and_fail (&type, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "float32 5:1", "float16 5:2");
}

static void
test_unsupported_type (Scratch *scratch, gconstpointer data)
{
  File file = file_new (scratch, "");

  file_push_rows (&file, "int32", "<u4", "5:2", 0, 2);
  finish_and_fail (&file, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "uint32", "got int32");
}

static void
push_pair (File *file, guint n)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree gchar *dims = g_strdup_printf ("5:%u,5:%u", n, n);
  gsize cut;

  rows_append (bytes, "<u4", 0, n, WIDTH);
  cut = bytes->len;
  rows_append (bytes, "<f4", 0, n, WIDTH);
  file_push (file, stream_caps ("uint32,float32", dims),
      stream_cut_buffer (bytes->data, bytes->len, &cut, 1));
}

static void
test_one_of_many (Scratch *scratch, gconstpointer data)
{
  File first = file_new (scratch, "tensor=0"), second, third;

  push_pair (&first, 7);
  finish_and_expect (&first, "<u4", "(7, 5)", 7);
  second = file_new (scratch, "tensor=1");
  push_pair (&second, 7);
  finish_and_expect (&second, "<f4", "(7, 5)", 7);
  third = file_new (scratch, "tensor=2");
  push_pair (&third, 7);
  finish_and_fail (&third, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "expected one of the stream's 2", "got 2");
}

static void
push_flexible (File *file, guint type, const gchar *descr, guint first, guint n)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  GstBuffer *buffer = gst_buffer_new ();

  rows_append (bytes, descr, first, n, WIDTH);
  gst_buffer_append_memory (buffer,
      stream_flexible (type, WIDTH, n, bytes->data, bytes->len));
  gst_buffer_append_memory (buffer,
      stream_flexible (type, WIDTH, n, bytes->data, bytes->len));
  file_push (file,
      gst_caps_from_string ("other/tensors,format=(string)flexible"), buffer);
}

static void
test_flexible (Scratch *scratch, gconstpointer data)
{
  for (guint tensor = 0; tensor < 2; tensor++) {
    g_autofree gchar *properties = g_strdup_printf ("tensor=%u", tensor);
    File file = file_new (scratch, properties);
    push_flexible (&file, 10, "<f2", 0, 3);
    push_flexible (&file, 10, "<f2", 3, 8);
    finish_and_expect (&file, "<f2", "(11, 5)", 11);
  }
}

static void
test_bad_buffers (Scratch *scratch, gconstpointer data)
{
  File half = file_new (scratch, ""), flexible;

  file_push (&half, stream_caps ("float32", "5:4"), stream_buffer ("123", 3));
  finish_and_fail (&half, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "multiple of 20 bytes", "got 3");
  flexible = file_new (scratch, "");
  file_push (&flexible,
      gst_caps_from_string ("other/tensors,format=(string)flexible"),
      stream_buffer ("123", 3));
  finish_and_fail (&flexible, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "expected 128 bytes", "got 3");
}

/* The rows before an error are all in the file, and load. */
static void
test_error_keeps_rows (Scratch *scratch, gconstpointer data)
{
  static const gchar *const dims[] = {"5:4", "10:4"};

  for (guint i = 0; i < G_N_ELEMENTS (dims); i++) {
    File file = file_new (scratch, "");
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = NULL;
    guint first = 0;

    for (guint n = 4; n > 0; first += n--)
      file_push_rows (&file, "float32", "<f4", "5:4", first, n);
    file_push (&file, stream_caps ("float32", dims[i]),
        stream_buffer ("123", 3));
    bytes = file_finish (&file, &error);
    g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    expect_rows (bytes, "<f4", "(10, 5)", 0, 10);
  }
}

static void
test_no_buffers (Scratch *scratch, gconstpointer data)
{
  File file = file_new (scratch, "");
  g_autoptr (GBytes) bytes = NULL;
  GError *error = NULL;
  GstCaps *caps = stream_caps ("float16", "5:4");

  gst_app_src_set_caps (GST_APP_SRC (file.src), caps);
  gst_caps_unref (caps);
  finish_and_expect (&file, "<f2", "(0, 5)", 0);
  file = file_new (scratch, "");
  caps = gst_caps_from_string ("other/tensors,format=(string)flexible");
  gst_app_src_set_caps (GST_APP_SRC (file.src), caps);
  gst_caps_unref (caps);
  bytes = file_finish (&file, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 0);
}

/* --- what follows can seek or not ----------------------------------------- */

static gboolean
answer_seeking (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_SEEKING)
    return gst_pad_query_default (pad, parent, query);
  gst_query_set_seeking (query, GST_FORMAT_BYTES, TRUE, 0, -1);
  return TRUE;
}

/* What a file would hold: buffers written where segments say. */
static GByteArray *
replay (Stream *stream, guint *n_headers)
{
  GByteArray *file = g_byte_array_new ();
  GstBuffer *buffer;

  *n_headers = 0;
  while ((buffer = gst_harness_try_pull (stream->harness)) != NULL) {
    guint offset = (guint) GST_BUFFER_OFFSET (buffer);
    GstMapInfo map;

    gst_buffer_map (buffer, &map, GST_MAP_READ);
    *n_headers += GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_HEADER);
    if (file->len < offset + map.size)
      g_byte_array_set_size (file, offset + (guint) map.size);
    memcpy (file->data + offset, map.data, map.size);
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
  }
  return file;
}

static GstFlowReturn
push_rows (Stream *stream, guint first, guint n)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  rows_append (bytes, "<f4", first, n, WIDTH);
  return stream_push (stream, stream_buffer (bytes->data, bytes->len));
}

/* Nothing has ended after 44 rows, but what the header says loads. */
static void
test_header_interval (void)
{
  static const struct {
    guint64 interval;
    const gchar *shape;
    guint n_headers;
  } cases[] = {
      {10, "(40, 5)", 6},    /* and 0, 4, 8, 16, 28 */
      {65536, "(32, 5)", 5}, /* and 0, 4, 8, 16 */
      {0, "(0, 5)", 1},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream =
        stream_new ("saenpyenc", "header-interval", cases[i].interval, NULL);
    g_autoptr (GByteArray) file = NULL;
    g_autoptr (GByteArray) want = g_byte_array_new ();
    guint n_headers;

    gst_pad_set_query_function (stream.harness->sinkpad, answer_seeking);
    stream_send_dims (&stream, "float32", "5:4");
    for (guint r = 0; r < 44; r += 4)
      g_assert_cmpint (push_rows (&stream, r, 4), ==, GST_FLOW_OK);
    file = replay (&stream, &n_headers);
    rows_append (want, "<f4", 0, 44, WIDTH);
    expect_npy (file->data, file->len, "<f4", cases[i].shape, want->data,
        want->len);
    g_assert_cmpuint (n_headers, ==, cases[i].n_headers);
  }
}

static void
test_cannot_seek (void)
{
  g_auto (Stream) stream = stream_new ("saenpyenc", NULL, NULL);

  stream_send_dims (&stream, "float32", "5:4");
  stream_expect_no_error (&stream);
  g_assert_cmpint (push_rows (&stream, 0, 4), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      "rows", "seek", NULL);
  g_assert_cmpint (push_rows (&stream, 0, 4), ==, GST_FLOW_ERROR);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  stream_expect_nothing (&stream);
}

static void
test_declared_rows (void)
{
  g_auto (Stream) stream = stream_new ("saenpyenc", "rows", (guint64) 10, NULL);
  g_autoptr (GByteArray) file = NULL;
  g_autoptr (GByteArray) want = g_byte_array_new ();
  guint n_headers;

  stream_send_dims (&stream, "float32", "5:4");
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (push_rows (&stream, 2 * i, 2), ==, GST_FLOW_OK);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  file = replay (&stream, &n_headers);
  rows_append (want, "<f4", 0, 10, WIDTH);
  expect_npy (file->data, file->len, "<f4", "(10, 5)", want->data, want->len);
  g_assert_cmpuint (n_headers, ==, 1);
}

static void
test_wrong_declaration (void)
{
  g_auto (Stream) more = stream_new ("saenpyenc", "rows", (guint64) 5, NULL);
  g_auto (Stream) fewer = stream_new ("saenpyenc", "rows", (guint64) 5, NULL);

  stream_send_dims (&more, "float32", "5:4");
  g_assert_cmpint (push_rows (&more, 0, 4), ==, GST_FLOW_OK);
  g_assert_cmpint (push_rows (&more, 4, 4), ==, GST_FLOW_ERROR);
  stream_expect_error (&more, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "expected 5", "got 8", NULL);
  stream_send_dims (&fewer, "float32", "5:4");
  g_assert_cmpint (push_rows (&fewer, 0, 4), ==, GST_FLOW_OK);
  gst_harness_push_event (fewer.harness, gst_event_new_eos ());
  stream_expect_error (&fewer, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "expected 5", "after 4", NULL);
}

static void
test_declaration_corrected (Scratch *scratch, gconstpointer data)
{
  File file = file_new (scratch, "rows=100");
  GstMessage *warning;

  file_push_rows (&file, "float32", "<f4", "5:4", 0, 4);
  gst_app_src_end_of_stream (GST_APP_SRC (file.src));
  warning = gst_bus_timed_pop_filtered (file.bus, 20 * GST_SECOND,
      GST_MESSAGE_WARNING);
  g_assert_nonnull (warning);
  gst_message_unref (warning);
  finish_and_expect (&file, "<f4", "(4, 5)", 4);
}

static void
test_fdsink (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  int fds[2];

  rows_save_npy (path, "<f4", 0, 20, WIDTH);
  g_assert_cmpint (pipe (fds), ==, 0);
  for (guint declared = 0; declared < 2; declared++) {
    g_autofree gchar *description =
        g_strdup_printf ("saesrc location=\"%s\" ! saenpyenc rows=%u ! fdsink "
                         "fd=%d",
            path, 20 * declared, fds[1]);
    GstElement *pipeline = gst_parse_launch (description, NULL);
    GstBus *bus = gst_element_get_bus (pipeline);
    GstMessage *message;

    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    message = gst_bus_timed_pop_filtered (bus, 20 * GST_SECOND,
        GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    g_assert_cmpint (GST_MESSAGE_TYPE (message), ==,
        declared ? GST_MESSAGE_EOS : GST_MESSAGE_ERROR);
    gst_message_unref (message);
    gst_element_set_state (pipeline, GST_STATE_NULL);
    gst_object_unref (bus);
    gst_object_unref (pipeline);
  }
  {
    guint8 got[HEADER + 20 * ROW];
    g_autoptr (GByteArray) want = g_byte_array_new ();

    g_assert_cmpint (read (fds[0], got, sizeof got), ==, sizeof got);
    rows_append (want, "<f4", 0, 20, WIDTH);
    expect_npy (got, sizeof got, "<f4", "(20, 5)", want->data, want->len);
  }
  close (fds[0]);
  close (fds[1]);
}

/* --- sparse tensors ------------------------------------------------------- */

#define SPARSE "other/tensors,format=(string)sparse"

static void
push_sparse (File *file, guint width, guint n_rows, const float *values,
    const guint32 *flat, guint32 nnz)
{
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer,
      stream_sparse (width, n_rows, values, flat, nnz));
  file_push (file, gst_caps_from_string (SPARSE), buffer);
}

static void
test_sparse (Scratch *scratch, gconstpointer data)
{
  static const float values[] = {1.5f, -2, 8}, more[] = {0.25f};
  static const guint32 flat[] = {1, 4, 12}, last[] = {5};
  static const float want[6][5] = {{0, 1.5f, 0, 0, -2}, {0}, {0, 0, 8}, {0},
      {0}, {0.25f}};
  File file = file_new (scratch, "");
  g_autoptr (GBytes) bytes = NULL;
  GError *error = NULL;
  gsize size;

  push_sparse (&file, 5, 3, values, flat, 3);
  push_sparse (&file, 5, 1, NULL, NULL, 0);
  push_sparse (&file, 5, 2, more, last, 1);
  bytes = file_finish (&file, &error);
  g_assert_no_error (error);
  expect_npy (g_bytes_get_data (bytes, &size), g_bytes_get_size (bytes), "<f4",
      "(6, 5)", want, sizeof want);
}

/* Rows larger than a piece, and pieces of several rows. */
static void
test_sparse_in_pieces (Scratch *scratch, gconstpointer data)
{
  static const struct {
    guint width, n_rows;
    const gchar *shape;
  } cases[] = {{1500000, 3, "(3, 1500000)"}, {100000, 25, "(25, 100000)"}};

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint n = cases[i].width * cases[i].n_rows, next = 0;
    g_autofree float *want = g_new0 (float, n);
    guint32 flat[200];
    float values[200];
    File file = file_new (scratch, "");
    g_autoptr (GBytes) bytes = NULL;
    GError *error = NULL;
    for (guint p = 0; p < 200; p++) {
      flat[p] = next += 1 + (guint) g_test_rand_int_range (0, (gint) n / 256);
      want[flat[p]] = values[p] = (float) p + 1;
    }
    push_sparse (&file, cases[i].width, cases[i].n_rows, values, flat, 200);
    bytes = file_finish (&file, &error);
    g_assert_no_error (error);
    expect_npy (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "<f4",
        cases[i].shape, want, n * sizeof *want);
  }
}

static void
test_bad_sparse (Scratch *scratch, gconstpointer data)
{
  static const float values[] = {1};
  static const guint32 flat[] = {10};
  File file = file_new (scratch, "");
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;

  push_sparse (&file, 5, 2, values, flat, 1);
  bytes = file_finish (&file, &error);
  g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "below 2 rows of 5"));
}

/* --- cuts, flushes, states ------------------------------------------------ */

static void
test_any_cut (void)
{
  for (guint i = 0; i < 300; i++) {
    g_auto (Stream) stream =
        stream_new ("saenpyenc", "rows", (guint64) 12, NULL);
    g_autoptr (GByteArray) want = g_byte_array_new ();
    g_autoptr (GByteArray) file = NULL;
    gsize cuts[15];
    guint n_headers;

    rows_append (want, "<f4", 0, 12, WIDTH);
    for (guint j = 0; j < G_N_ELEMENTS (cuts); j++)
      cuts[j] = (gsize) g_test_rand_int_range (0, 40);
    stream_send_dims (&stream, "float32", "5:12");
    g_assert_cmpint (stream_push (&stream,
                         stream_cut_buffer (want->data, want->len, cuts,
                             (guint) g_test_rand_int_range (0, 16))),
        ==, GST_FLOW_OK);
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    stream_expect_no_error (&stream);
    file = replay (&stream, &n_headers);
    expect_npy (file->data, file->len, "<f4", "(12, 5)", want->data, want->len);
  }
}

/* filesink empties its file at a flush: header and rows begin anew. */
static void
test_flush (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autofree gchar *out = scratch_path (scratch, "out.npy");
  g_autofree gchar *description =
      g_strdup_printf ("saesrc location=\"%s\" rows-per-buffer=8 ! saenpyenc ! "
                       "filesink location=\"%s\"",
          path, out);
  GstElement *pipeline;
  GstBus *bus;
  GstMessage *message;
  g_autofree gchar *content = NULL;
  g_autoptr (GByteArray) want = g_byte_array_new ();
  gsize size;

  rows_save_npy (path, "<f4", 0, 200, WIDTH);
  pipeline = gst_parse_launch (description, NULL);
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  g_assert_cmpint (gst_element_get_state (pipeline, NULL, NULL,
                       20 * GST_SECOND),
      ==, GST_STATE_CHANGE_SUCCESS);
  g_assert_true (gst_element_seek_simple (pipeline, GST_FORMAT_DEFAULT,
      GST_SEEK_FLAG_FLUSH, 150));
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, 20 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_assert_true (g_file_get_contents (out, &content, &size, NULL));
  rows_append (want, "<f4", 150, 50, WIDTH);
  expect_npy ((guint8 *) content, size, "<f4", "(50, 5)", want->data,
      want->len);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

static void
test_cycles (Scratch *scratch, gconstpointer data)
{
  static const gchar *const descrs[] = {"<f4", "<f2", "<f4"};
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autofree gchar *out = scratch_path (scratch, "out.npy");
  g_autofree gchar *description =
      g_strdup_printf ("filesrc location=\"%s\" ! saeparse rows-per-buffer=8 ! "
                       "saenpyenc ! "
                       "filesink location=\"%s\"",
          path, out);
  GstElement *pipeline = gst_parse_launch (description, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);

  for (guint i = 0; i < G_N_ELEMENTS (descrs); i++) {
    g_autoptr (GByteArray) want = g_byte_array_new ();
    g_autofree gchar *content = NULL;
    GstMessage *message;
    gsize size;

    rows_save_npy (path, descrs[i], 0, 20, WIDTH);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    message = gst_bus_timed_pop_filtered (bus, 20 * GST_SECOND,
        GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
    gst_message_unref (message);
    gst_element_set_state (pipeline, GST_STATE_NULL);
    g_assert_true (g_file_get_contents (out, &content, &size, NULL));
    rows_append (want, descrs[i], 0, 20, WIDTH);
    expect_npy ((guint8 *) content, size, descrs[i], "(20, 5)", want->data,
        want->len);
  }
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/plugin/saenpyenc/writes-each-type", test_types);
  scratch_add ("/plugin/saenpyenc/counts-rows-not-caps",
      test_other_rows_than_caps);
  scratch_add ("/plugin/saenpyenc/inner-dimensions-are-kept", test_inner_dims);
  scratch_add ("/plugin/saenpyenc/refuses-other-inner-dimensions",
      test_inner_dims_change);
  scratch_add ("/plugin/saenpyenc/refuses-other-width-or-type",
      test_width_and_type_change);
  scratch_add ("/plugin/saenpyenc/refuses-other-types", test_unsupported_type);
  scratch_add ("/plugin/saenpyenc/one-tensor-of-many", test_one_of_many);
  scratch_add ("/plugin/saenpyenc/flexible", test_flexible);
  scratch_add ("/plugin/saenpyenc/refuses-half-rows", test_bad_buffers);
  scratch_add ("/plugin/saenpyenc/error-keeps-rows", test_error_keeps_rows);
  scratch_add ("/plugin/saenpyenc/no-buffers-is-no-rows", test_no_buffers);
  g_test_add_func ("/plugin/saenpyenc/header-is-kept-true",
      test_header_interval);
  g_test_add_func ("/plugin/saenpyenc/refuses-sink-that-cannot-seek",
      test_cannot_seek);
  g_test_add_func ("/plugin/saenpyenc/declared-rows-need-no-seek",
      test_declared_rows);
  g_test_add_func ("/plugin/saenpyenc/refuses-wrong-declaration",
      test_wrong_declaration);
  scratch_add ("/plugin/saenpyenc/wrong-declaration-is-corrected-in-files",
      test_declaration_corrected);
  scratch_add ("/plugin/saenpyenc/fdsink-into-a-pipe", test_fdsink);
  scratch_add ("/plugin/saenpyenc/sparse-becomes-dense", test_sparse);
  scratch_add ("/plugin/saenpyenc/sparse-in-pieces", test_sparse_in_pieces);
  scratch_add ("/plugin/saenpyenc/refuses-sparse-that-lies", test_bad_sparse);
  g_test_add_func ("/plugin/saenpyenc/any-cut-writes-the-same", test_any_cut);
  scratch_add ("/plugin/saenpyenc/flush-begins-anew", test_flush);
  scratch_add ("/plugin/saenpyenc/state-cycles", test_cycles);
  return stream_run_tests ();
}
