/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Codes of dictionaries that normalise their rows: what was taken from these
 * goes with the buffers, and without it they are not decoded. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "rows.h"
#include "stream.h"

#define D 48
#define N 40
#define LAYER_NORM "saelens-topk-norm-layer_norm"

static const gchar *const folders[] = {LAYER_NORM,
    "saelens-topk-norm-constant_norm_rescale",
    "saelens-topk-norm-expected_average_only_in", "saelens-gated"};

static gchar *
path_of (const gchar *folder)
{
  return g_build_filename (g_getenv ("SAE_GOLDENS"), folder, NULL);
}

static Stream
element_of (const gchar *element, const gchar *folder)
{
  g_autofree gchar *path = path_of (folder);

  return stream_new (element, "location", path, NULL);
}

static void
expect_golden (const gchar *folder, const float *x_hat, gsize n_rows)
{
  gsize n;
  g_autofree float *want = stream_load_golden (folder, "x_hat.npy", &n);

  expect_close ("x_hat", x_hat, want, n_rows * D, 1e-5);
}

/* The codes of the golden's rows, from an encoder of @folder. */
static GstBuffer *
encode_golden (const gchar *folder)
{
  g_auto (Stream) encoder = element_of ("saeencoder", folder);
  gsize n;
  g_autofree float *x = stream_load_golden (folder, "x.npy", &n);

  g_assert_cmpuint (n, ==, N * D);
  stream_send_dims (&encoder, "float32", "48:40");
  g_assert_cmpint (stream_push_floats (&encoder, x, n), ==, GST_FLOW_OK);
  return stream_pull (&encoder);
}

static Stream
decoder_of (const gchar *folder, GstBuffer *codes)
{
  Stream decoder = element_of ("saedecoder", folder);

  if (gst_buffer_n_memory (codes) == 2)
    stream_send_dims (&decoder, "uint32,float32", "8:40,8:40");
  else
    stream_send_caps (&decoder,
        gst_caps_from_string ("other/tensors,format=(string)sparse,"
                              "framerate=(fraction)0/1"));
  return decoder;
}

static void
expect_decoded (const gchar *folder, GstBuffer *codes)
{
  g_auto (Stream) decoder = decoder_of (folder, codes);
  g_autoptr (GBytes) x_hat = NULL;
  GstBuffer *out;

  g_assert_cmpint (stream_push (&decoder, codes), ==, GST_FLOW_OK);
  out = stream_pull (&decoder);
  x_hat = stream_memory (out, 0);
  expect_golden (folder, g_bytes_get_data (x_hat, NULL), N);
  g_assert_null (
      gst_buffer_get_meta (out, g_type_from_name ("GstSaeRowMetaAPI")));
  gst_buffer_unref (out);
}

static gboolean
has_norms (GstBuffer *buffer)
{
  return gst_buffer_get_meta (buffer, g_type_from_name ("GstSaeRowMetaAPI")) !=
         NULL;
}

static void
test_decodes_what_was_encoded (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    GstBuffer *codes = encode_golden (folders[i]);
    expect_with ("%s", folders[i]);
    g_assert_cmpint (has_norms (codes), ==, i < 2);
    expect_decoded (folders[i], codes);
  }
}

/* What tee, queue and elements that write do to buffers. */
static void
test_copies_keep_it (void)
{
  GstBuffer *codes = encode_golden (LAYER_NORM);
  GstBuffer *shallow = gst_buffer_copy (codes);
  GstBuffer *deep = gst_buffer_copy_deep (codes);
  GstBuffer *whole =
      gst_buffer_copy_region (codes, GST_BUFFER_COPY_ALL, 0, (gsize) -1);
  GstBuffer *writable = gst_buffer_make_writable (gst_buffer_ref (shallow));

  gst_buffer_unref (codes); /* back in its pool, or gone with it */
  expect_decoded (LAYER_NORM, shallow);
  expect_decoded (LAYER_NORM, deep);
  expect_decoded (LAYER_NORM, whole);
  expect_decoded (LAYER_NORM, writable);
}

/* Where nothing but saesteer edits, x stays x. */
static void
test_steers_in_the_units_of_the_stream (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree gchar *path = path_of (folders[i]);
    g_autoptr (GError) error = NULL;
    G_GNUC_UNUSED g_autoptr (SaeModel) model = sae_model_load (path, &error);
    g_auto (Stream) steer =
        stream_new ("saesteer", "location", path, "output", 1, NULL);
    gsize n;
    g_autofree float *x = stream_load_golden (folders[i], "x.npy", &n);
    g_autoptr (GBytes) out = NULL;
    GstBuffer *buffer;
    g_assert_no_error (error);
    stream_send_dims (&steer, "float32", "48:40");
    g_assert_cmpint (stream_push_floats (&steer, x, n), ==, GST_FLOW_OK);
    buffer = stream_pull (&steer);
    out = stream_memory (buffer, 0);
    gst_buffer_unref (buffer);
    for (gsize j = 0; j < n; j++)
      x[j] -= ((const float *) g_bytes_get_data (out, NULL))[j];
    expect_golden (folders[i], x, N);
  }
}

static void
expect_refused (GstBuffer *codes, const gchar *dims, gint code,
    const gchar *part)
{
  g_auto (Stream) decoder = element_of ("saedecoder", LAYER_NORM);

  stream_send_dims (&decoder, "uint32,float32", dims);
  g_assert_cmpint (stream_push (&decoder, codes), ==, GST_FLOW_ERROR);
  stream_expect_error (&decoder, GST_STREAM_ERROR, code, part, NULL);
}

#if GST_CHECK_VERSION(1, 24, 0)
/* To another process and back; bytes that are no whole rows are none. */
static void
test_is_serialized (void)
{
  GstBuffer *codes = encode_golden (LAYER_NORM);
  GstBuffer *other = gst_buffer_new ();
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint32 consumed;

  g_assert_true (
      gst_meta_serialize_simple (gst_buffer_get_meta (codes,
                                     g_type_from_name ("GstSaeRowMetaAPI")),
          bytes));
  for (guint i = 0; i < 2; i++)
    gst_buffer_append_memory (other, gst_buffer_get_memory (codes, i));
  gst_buffer_unref (codes);
  g_assert_nonnull (
      gst_meta_deserialize (other, bytes->data, bytes->len, &consumed));
  g_assert_cmpuint (consumed, ==, bytes->len);
  expect_decoded (LAYER_NORM, other);
  for (guint n = 0; n < bytes->len; n++) {
    g_autoptr (GstBuffer) empty = gst_buffer_new ();
    g_assert_null (gst_meta_deserialize (empty, bytes->data, n, &consumed));
  }
}
#endif

/* Memories without their buffer: files, sockets, other elements' buffers. */
static void
test_refuses_codes_without_it (void)
{
  GstBuffer *codes = encode_golden (LAYER_NORM);
  GstBuffer *bare = gst_buffer_new ();

  for (guint i = 0; i < 2; i++)
    gst_buffer_append_memory (bare, gst_buffer_get_memory (codes, i));
  gst_buffer_unref (codes);
  expect_refused (bare, "8:40,8:40", GST_STREAM_ERROR_WRONG_TYPE,
      "normalises its rows (layer-norm) and needs the mean and the scale");
}

/* A part of the rows has lost it; fewer rows than it is of are refused. */
static void
test_refuses_other_rows (void)
{
  GstBuffer *codes = encode_golden (LAYER_NORM);
  g_autoptr (GstBuffer) part = gst_buffer_copy_region (codes,
      (GstBufferCopyFlags) GST_BUFFER_COPY_ALL, 0, 20 * 8 * 4);
  GstBuffer *fewer = gst_buffer_copy (codes);

  g_assert_false (has_norms (part));
  gst_buffer_remove_all_memory (fewer);
  for (guint i = 0; i < 2; i++) {
    GstMemory *memory = gst_buffer_get_memory (codes, i);
    gst_buffer_append_memory (fewer, gst_memory_share (memory, 0, 20 * 8 * 4));
    gst_memory_unref (memory);
  }
  gst_buffer_unref (codes);
  g_assert_true (has_norms (fewer));
  expect_refused (fewer, "8:20,8:20", GST_STREAM_ERROR_FORMAT,
      "expected mean and scale of 20 rows, got those of 40");
}

/* Pooled buffers come again with other rows, and other numbers of them. */
static void
test_pooled_buffers_are_told_anew (void)
{
  g_auto (Stream) encoder = element_of ("saeencoder", LAYER_NORM);
  g_auto (Stream) decoder = element_of ("saedecoder", LAYER_NORM);
  gsize n;
  g_autofree float *x = stream_load_golden (LAYER_NORM, "x.npy", &n);
  g_autofree float *want = stream_load_golden (LAYER_NORM, "x_hat.npy", &n);

  stream_send_dims (&encoder, "float32", "48:5");
  stream_send_dims (&decoder, "uint32,float32", "8:5,8:5");
  for (gsize at = 0, rows = 5; at < N; at += rows) {
    g_autoptr (GBytes) x_hat = NULL;
    GstBuffer *out;
    rows = MIN (rows, N - at);
    g_assert_cmpint (stream_push_floats (&encoder, x + at * D, rows * D), ==,
        GST_FLOW_OK);
    g_assert_cmpint (stream_push (&decoder, stream_pull (&encoder)), ==,
        GST_FLOW_OK);
    out = stream_pull (&decoder);
    x_hat = stream_memory (out, 0);
    expect_close ("x_hat", g_bytes_get_data (x_hat, NULL), want + at * D,
        rows * D, 2e-5);
    gst_buffer_unref (out);
  }
}

/* Whole pipelines: queues, branches, and every form of codes. */
static void
test_pipelines (void)
{
  static const gchar *const between[] = {"queue", "tee ! queue ! identity",
      "queue ! other/tensors,types=(string)float32 ! queue",
      "other/tensors,format=(string)sparse ! queue"};
  enum { N_BETWEEN = G_N_ELEMENTS (between) };

  for (guint i = 0; i < G_N_ELEMENTS (folders) * N_BETWEEN; i++) {
    const gchar *folder = folders[i / N_BETWEEN];
    g_autofree gchar *path = path_of (folder);
    g_autoptr (GError) error = NULL;
    g_autoptr (RowsTaken) taken = NULL;
    g_autofree gchar *description = g_strdup_printf (
        "saesrc location=%s/x.npy rows-per-buffer=7 ! saeencoder location=%s ! "
        "%s ! saedecoder location=%s ! appsink name=out sync=false",
        path, path, between[i % N_BETWEEN], path);
    taken = rows_run (description, D * sizeof (float), &error);
    g_assert_no_error (error);
    expect_with ("%s", description);
    g_assert_cmpuint (taken->bytes->len, ==, N * D * sizeof (float));
    expect_golden (folder, (const float *) (gpointer) taken->bytes->data, N);
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/plugin/saerowmeta/" name, test)
  ADD ("decodes-what-was-encoded", test_decodes_what_was_encoded);
  ADD ("copies-keep-it", test_copies_keep_it);
#if GST_CHECK_VERSION(1, 24, 0)
  ADD ("is-serialized", test_is_serialized);
#endif
  ADD ("refuses-codes-without-it", test_refuses_codes_without_it);
  ADD ("refuses-other-rows", test_refuses_other_rows);
  ADD ("pooled-buffers-are-told-anew", test_pooled_buffers_are_told_anew);
  ADD ("pipelines", test_pipelines);
  ADD ("steers-in-the-units-of-the-stream",
      test_steers_in_the_units_of_the_stream);
  return stream_run_tests ();
}
