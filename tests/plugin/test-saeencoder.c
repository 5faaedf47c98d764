/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saeencoder makes of buffers. */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "fault.h"
#include "noise.h"
#include "sae-enum-types.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4
#define SEED 7

static SaeModel *
reference_model (void)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  SaeModel *model = sae_model_new (config, SEED, SAE_INIT_TIED, NULL);

  g_assert_nonnull (model);
  return model;
}

static Stream
encoder_new (void)
{
  return stream_new ("saeencoder", "dict-size", F, "top-k", K, "seed",
      (guint64) SEED, NULL);
}

/* The pairs that the library makes of @x [n, D]. */
static void
expect_pairs (GstBuffer *buffer, const float *x, gsize n)
{
  g_autoptr (SaeModel) model = reference_model ();
  g_autoptr (GBytes) input = g_bytes_new (x, n * D * sizeof *x);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, input, NULL);
  g_autoptr (GBytes) index_bytes = stream_memory (buffer, 0);
  g_autoptr (GBytes) value_bytes = stream_memory (buffer, 1);
  const guint32 *index = g_bytes_get_data (index_bytes, NULL);
  const float *value = g_bytes_get_data (value_bytes, NULL);

  g_assert_cmpuint (g_bytes_get_size (index_bytes), ==, n * K * 4);
  for (guint r = 0; r < n; r++, index += K, value += K) {
    guint n_active;
    const guint32 *want = sae_latents_get_row_indices (latents, r, &n_active);
    const float *want_values =
        sae_latents_get_row_values (latents, r, &n_active);
    assert_same_memory (index, n_active * 4, want, n_active * 4);
    expect_same_bits ("values", value, want_values, n_active);
    for (guint i = n_active; i < K; i++) {
      g_assert_cmpuint (index[i], ==, 0);
      g_assert_true (value[i] == 0.0f && !signbit (value[i]));
    }
  }
}

static void
test_pairs (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (1, 40, D);
  GstBuffer *out;

  stream_send_dims (&stream, "float32", "16:40");
  g_assert_cmpint (stream_push_floats (&stream, x, 40 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  expect_pairs (out, x, 40);
  gst_buffer_unref (out);
}

static void
test_dense (void)
{
  g_auto (Stream) stream = stream_new ("saeencoder", "dict-size", F, "top-k", K,
      "seed", (guint64) SEED, "codes-format", 2, NULL);
  g_autofree float *x = stream_rows (1, 40, D);
  g_autoptr (SaeModel) model = reference_model ();
  g_autoptr (GBytes) input = g_bytes_new (x, 40 * D * sizeof *x);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, input, NULL);
  g_autoptr (GBytes) want = sae_latents_to_dense (latents, NULL);
  g_autoptr (GBytes) got = NULL;
  GstBuffer *out;

  stream_send_dims (&stream, "float32", "16:40");
  g_assert_cmpint (stream_push_floats (&stream, x, 40 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  expect_same_bytes ("dense codes", got, want);
  gst_buffer_unref (out);
}

/* Rows with no positive pre-activation have no latents: all slots unused. */
static void
test_fewer_than_k (void)
{
  g_auto (Stream) stream = encoder_new ();
  float x[2 * D] = {0};
  GstBuffer *out;

  x[D] = 1e-3f;
  stream_send_dims (&stream, "float32", "16:2");
  g_assert_cmpint (stream_push_floats (&stream, x, 2 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  expect_pairs (out, x, 2);
  gst_buffer_unref (out);
}

/* --- goldens -------------------------------------------------------------- */

static void
test_golden (gconstpointer data)
{
  const gchar *folder = data;
  g_autofree gchar *path =
      g_build_filename (g_getenv ("SAE_GOLDENS"), folder, NULL);
  g_auto (Stream) stream =
      stream_new ("saeencoder", "location", path, "codes-format", 2, NULL);
  gsize n_x, n_latents;
  g_autofree float *x = stream_load_golden (folder, "x.npy", &n_x);
  g_autofree float *want =
      stream_load_golden (folder, "latents.npy", &n_latents);
  g_autoptr (GBytes) got = NULL;
  GstBuffer *out;

  g_assert_cmpuint (n_x, ==, 40 * 48);
  g_assert_cmpuint (n_latents, ==, 40 * 320);
  stream_send_dims (&stream, "float32", "48:40");
  g_assert_cmpint (stream_push_floats (&stream, x, n_x), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  /* Sums of 48 products in another order: 48 · 2^-24 of the sum of their
   * magnitudes, which is a few times the largest result. */
  expect_close (folder, g_bytes_get_data (got, NULL), want, n_latents, 1e-5);
  gst_buffer_unref (out);
}

/* --- rows per buffer ------------------------------------------------------ */

/* Other elements announce one shape and send a multiple of it. */
static void
test_any_number_of_rows (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (2, 200, D);

  stream_send_dims (&stream, "float32", "16:8");
  for (guint n = 1; n <= 200; n += n < 40 ? 1 : 31) {
    GstBuffer *out;
    g_assert_cmpint (stream_push_floats (&stream, x, n * D), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    expect_pairs (out, x, n);
    gst_buffer_unref (out);
  }
}

static void
test_half_rows (void)
{
  static const gint differences[] = {-64, -4, -1, 1, 4, 63};

  for (guint i = 0; i < G_N_ELEMENTS (differences); i++) {
    g_auto (Stream) stream = encoder_new ();
    guint8 bytes[10 * D * 4] = {0};
    gsize size = (gsize) (8 * D * 4 + differences[i]);
    g_autofree gchar *got = g_strdup_printf ("%" G_GSIZE_FORMAT, size);
    if (size % (D * 4) == 0)
      continue;
    stream_send_dims (&stream, "float32", "16:8");
    g_assert_cmpint (stream_push (&stream, stream_buffer (bytes, size)), ==,
        GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "multiple of 64 bytes", got, NULL);
    stream_expect_nothing (&stream);
  }
}

static void
test_no_rows (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (3, 8, D);
  GstBuffer *empty = gst_buffer_new (), *out;

  GST_BUFFER_PTS (empty) = 5;
  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push (&stream, empty), ==, GST_FLOW_OK);
  g_assert_cmpint (stream_push (&stream, stream_buffer (NULL, 0)), ==,
      GST_FLOW_OK);
  g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 0);
  g_assert_cmpuint (GST_BUFFER_PTS (out), ==, 5);
  gst_buffer_unref (out);
  gst_buffer_unref (stream_pull (&stream));
  out = stream_pull (&stream);
  expect_pairs (out, x, 8);
  gst_buffer_unref (out);
  stream_expect_no_error (&stream);
}

/* --- types ---------------------------------------------------------------- */

static guint16
to_float16 (float value)
{
  _Float16 half = (_Float16) value;
  guint16 bits;

  memcpy (&bits, &half, sizeof bits);
  return bits;
}

static void
test_float16 (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (4, 20, D);
  guint16 halves[20 * D];
  GstBuffer *out;

  for (guint i = 0; i < 20 * D; i++) {
    halves[i] = to_float16 (x[i]);
    x[i] = (float) (_Float16) x[i];
  }
  stream_send_dims (&stream, "float16", "16:20");
  g_assert_cmpint (stream_push (&stream, stream_buffer (halves, sizeof halves)),
      ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  expect_pairs (out, x, 20);
  gst_buffer_unref (out);
}

static void
test_float64 (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (4, 20, D);
  double doubles[20 * D];
  GstBuffer *out;

  for (guint i = 0; i < 20 * D; i++)
    doubles[i] = (double) x[i] * (1 + 1e-9);
  stream_send_dims (&stream, "float64", "16:20");
  g_assert_cmpint (stream_push (&stream,
                       stream_buffer (doubles, sizeof doubles)),
      ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  expect_pairs (out, x, 20);
  gst_buffer_unref (out);
}

static void
test_flexible (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (5, 9, D);

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  for (guint n = 0; n <= 9; n++) {
    GstBuffer *buffer = gst_buffer_new (), *out;
    if (n > 0)
      gst_buffer_append_memory (buffer,
          stream_flexible (7, D, n, x, n * D * sizeof *x));
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    if (n > 0)
      expect_pairs (out, x, n);
    gst_buffer_unref (out);
  }
}

static void
test_flexible_refused (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (5, 9, D);
  GstBuffer *buffer = gst_buffer_new ();

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  gst_buffer_append_memory (buffer, stream_flexible (7, D, 2, x, 2 * D * 4));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  gst_buffer_unref (stream_pull (&stream));

  buffer = gst_buffer_new (); /* of another width */
  gst_buffer_append_memory (buffer, stream_flexible (7, 8, 2, x, 2 * 8 * 4));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "of 16", "of 8", NULL);
  buffer = gst_buffer_new (); /* with bytes missing */
  gst_buffer_append_memory (buffer, stream_flexible (7, D, 3, x, 2 * D * 4));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "192", "128", NULL);
  buffer = gst_buffer_new (); /* integers */
  gst_buffer_append_memory (buffer, stream_flexible (0, D, 2, x, 2 * D * 4));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "int32", NULL);
}

/* --- cuts ----------------------------------------------------------------- */

/* Memories of random sizes; the bytes begin at any address. */
static GstBuffer *
cut_randomly (Noise *noise, const guint8 *bytes, gsize size)
{
  gsize sizes[16];
  guint n = noise_below (noise, 16);

  for (guint i = 0; i < n; i++)
    sizes[i] = noise_below (noise, (guint) size / (n + 1) * 2 + 2);
  return stream_cut_buffer (bytes, size, sizes, n);
}

static void
test_cuts (void)
{
  g_auto (Stream) stream = encoder_new ();
  Noise noise = noise_new ();
  g_autofree float *x = stream_rows (6, 12, D);
  guint n_cuts = g_test_slow () ? 100000 : 5000;

  stream_send_dims (&stream, "float32", "16:4");
  for (guint i = 0; i < n_cuts; i++) {
    guint n = 1 + noise_below (&noise, 12);
    gint more =
        noise_below (&noise, 4) == 0 ? (gint) noise_below (&noise, 3) - 1 : 0;
    GstBuffer *out, *in = cut_randomly (&noise, (guint8 *) x,
                        (gsize) MIN ((gint) n * D * 4 + more, 12 * D * 4));
    gboolean whole = gst_buffer_get_size (in) % (D * 4) == 0;
    n = (guint) gst_buffer_get_size (in) / (D * 4);
    g_assert_cmpint (stream_push (&stream, in), ==,
        whole ? GST_FLOW_OK : GST_FLOW_ERROR);
    if (!whole) {
      stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
          NULL);
      continue;
    }
    out = stream_pull (&stream);
    expect_pairs (out, x, n);
    gst_buffer_unref (out);
  }
  fault_report (2, n_cuts, n_cuts, 0);
}

/* --- what else a buffer has ----------------------------------------------- */

static void
test_times_and_flags_kept (void)
{
  g_auto (Stream) stream = encoder_new ();
  float x[2 * D] = {1};
  GstBuffer *in = stream_buffer (x, sizeof x), *out;

  GST_BUFFER_PTS (in) = 1000;
  GST_BUFFER_DTS (in) = 900;
  GST_BUFFER_DURATION (in) = 50;
  GST_BUFFER_OFFSET (in) = 17;
  GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_MARKER);
  stream_send_dims (&stream, "float32", "16:2");
  g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  g_assert_cmpuint (GST_BUFFER_PTS (out), ==, 1000);
  g_assert_cmpuint (GST_BUFFER_DTS (out), ==, 900);
  g_assert_cmpuint (GST_BUFFER_DURATION (out), ==, 50);
  g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 17);
  g_assert_true (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_DISCONT));
  g_assert_true (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_MARKER));
  gst_buffer_unref (out);
}

static void
test_metas_kept (void)
{
  static const gchar *tags[] = {NULL};
  g_auto (Stream) stream = encoder_new ();
  float x[2 * D] = {1};
  GstBuffer *in = stream_buffer (x, sizeof x), *out;
  GstCaps *clock = gst_caps_new_empty_simple ("timestamp/x-unix");
  const GstMetaInfo *info = gst_meta_get_info ("TestLayerMeta");
  GstCustomMeta *meta;
  gint layer = 0;

  if (!info)
    gst_meta_register_custom ("TestLayerMeta", tags, NULL, NULL, NULL);
  meta = gst_buffer_add_custom_meta (in, "TestLayerMeta");
  gst_structure_set (gst_custom_meta_get_structure (meta), "layer", G_TYPE_INT,
      3, NULL);
  gst_buffer_add_reference_timestamp_meta (in, clock, 12345, 6);
  stream_send_dims (&stream, "float32", "16:2");
  g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  meta = gst_buffer_get_custom_meta (out, "TestLayerMeta");
  g_assert_nonnull (meta);
  g_assert_true (gst_structure_get_int (gst_custom_meta_get_structure (meta),
      "layer", &layer));
  g_assert_cmpint (layer, ==, 3);
  g_assert_nonnull (gst_buffer_get_reference_timestamp_meta (out, clock));
  gst_caps_unref (clock);
  gst_buffer_unref (out);
}

/* --- rows that are not finite --------------------------------------------- */

static const float bad_values[] = {NAN, INFINITY, -INFINITY};

static void
test_nonfinite_fails (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad_values); i++) {
    g_auto (Stream) stream = encoder_new ();
    g_autofree float *x = stream_rows (7, 8, D);
    x[3 * D + 5] = bad_values[i];
    stream_send_dims (&stream, "float32", "16:8");
    g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==,
        GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
        "finite", "row 3", NULL);
  }
  fault_report (5, G_N_ELEMENTS (bad_values), G_N_ELEMENTS (bad_values), 0);
}

static void
test_nonfinite_zeroed (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (7, 8, D);
  guint64 n_bad = 0;

  gst_util_set_object_arg (G_OBJECT (stream.element), "on-nonfinite", "zero");
  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < G_N_ELEMENTS (bad_values); i++) {
    GstBuffer *out;
    x[3 * D + 5] = bad_values[i];
    g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    x[3 * D + 5] = 0;
    memset (x + 3 * D, 0, D * sizeof *x); /* a row that fires nothing */
    expect_pairs (out, x, 8);
    gst_buffer_unref (out);
  }
  g_object_get (stream.element, "nonfinite-rows", &n_bad, NULL);
  g_assert_cmpuint (n_bad, ==, 3);
  fault_report (5, n_bad, n_bad, 0);
}

/* They are encoded, and whatever else is in them does not matter. */
static void
test_gap (void)
{
  static const gchar *formats[] = {"pairs", "sparse", "dense"};

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_auto (Stream) stream = encoder_new ();
    g_autofree float *x = stream_rows (7, 8, D);
    guint64 n_bad = 1;

    gst_util_set_object_arg (G_OBJECT (stream.element), "codes-format",
        formats[i]);
    stream_send_dims (&stream, "float32", "16:8");
    for (guint n = 0; n < 2; n++) {
      GstBuffer *in, *out;
      if (n > 0)
        x[3 * D + 5] = bad_values[i];
      in = stream_buffer (x, 8 * D * sizeof *x);
      GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_GAP);
      g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
      out = stream_pull (&stream);
      g_assert_true (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_GAP));
      if (n > 0)
        memset (x + 3 * D, 0, D * sizeof *x);
      if (i == 0)
        expect_pairs (out, x, 8);
      gst_buffer_unref (out);
    }
    g_object_get (stream.element, "nonfinite-rows", &n_bad, NULL);
    g_assert_cmpuint (n_bad, ==, 0);
    x[5] = NAN;
    g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==,
        GST_FLOW_ERROR);
  }
}

/* --- threads and flow ----------------------------------------------------- */

static void
test_threads_do_not_matter (void)
{
  g_autofree float *x = stream_rows (8, 300, D);

  for (guint n_threads = 0; n_threads <= 5; n_threads++) {
    g_auto (Stream) stream = stream_new ("saeencoder", "dict-size", F, "top-k",
        K, "seed", (guint64) SEED, "n-threads", n_threads, NULL);
    GstBuffer *out;
    stream_send_dims (&stream, "float32", "16:300");
    g_assert_cmpint (stream_push_floats (&stream, x, 300 * D), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    expect_pairs (out, x, 300);
    gst_buffer_unref (out);
  }
}

static void
test_buffers_are_not_shared (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (9, 64, D);
  GstBuffer *out[16];

  stream_send_dims (&stream, "float32", "16:4");
  for (guint i = 0; i < 16; i++)
    g_assert_cmpint (stream_push_floats (&stream, x + 4 * D * i, 4 * D), ==,
        GST_FLOW_OK);
  for (guint i = 0; i < 16; i++)
    out[i] = stream_pull (&stream);
  for (guint i = 0; i < 16; i++) {
    expect_pairs (out[i], x + 4 * D * i, 4);
    gst_buffer_unref (out[i]);
  }
}

static void
test_flush (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (10, 8, D);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  stream_send_dims (&stream, "float32", "16:4");
  for (guint i = 0; i < 200; i++) {
    GstBuffer *out;
    g_assert_cmpint (stream_push_floats (&stream, x, (1 + i % 8) * D), ==,
        GST_FLOW_OK);
    out = stream_pull (&stream);
    expect_pairs (out, x, 1 + i % 8);
    gst_buffer_unref (out);
    gst_harness_push_event (stream.harness, gst_event_new_flush_start ());
    g_assert_cmpint (stream_push_floats (&stream, x, D), ==, GST_FLOW_FLUSHING);
    gst_harness_push_event (stream.harness, gst_event_new_flush_stop (TRUE));
    gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
  }
  stream_expect_no_error (&stream);
}

static void
test_eos (void)
{
  g_auto (Stream) stream = encoder_new ();
  float x[D] = {1};

  stream_send_dims (&stream, "float32", "16:1");
  g_assert_cmpint (stream_push_floats (&stream, x, D), ==, GST_FLOW_OK);
  gst_buffer_unref (stream_pull (&stream));
  g_assert_true (gst_harness_push_event (stream.harness, gst_event_new_eos ()));
  g_assert_cmpint (stream_push_floats (&stream, x, D), ==, GST_FLOW_EOS);
}

int
main (int argc, char **argv)
{
  static const gchar *const goldens[] = {"saelens-standard-bdec0",
      "saelens-standard-bdec1", "saelens-topk-bdec0-rescale0",
      "saelens-topk-bdec0-rescale1", "saelens-topk-bdec1-rescale0",
      "saelens-topk-bdec1-rescale1"};

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (goldens); i++) {
    g_autofree gchar *path =
        g_strconcat ("/saeencoder/golden/", goldens[i], NULL);
    g_test_add_data_func (path, goldens[i], test_golden);
  }
#define ADD(name, test) g_test_add_func ("/saeencoder/" name, test)
  ADD ("pairs-are-the-library's", test_pairs);
  ADD ("dense-is-the-library's", test_dense);
  ADD ("fewer-than-k", test_fewer_than_k);
  ADD ("any-number-of-rows", test_any_number_of_rows);
  ADD ("half-rows-fail", test_half_rows);
  ADD ("no-rows-pass", test_no_rows);
  ADD ("float16-as-converted", test_float16);
  ADD ("float64-as-converted", test_float64);
  ADD ("flexible-as-static", test_flexible);
  ADD ("flexible-that-lies-fails", test_flexible_refused);
  ADD ("cuts-do-not-matter", test_cuts);
  ADD ("times-and-flags-kept", test_times_and_flags_kept);
  ADD ("metas-kept", test_metas_kept);
  ADD ("nonfinite-rows-fail", test_nonfinite_fails);
  ADD ("nonfinite-rows-zeroed", test_nonfinite_zeroed);
  ADD ("gaps-stay-gaps", test_gap);
  ADD ("threads-do-not-matter", test_threads_do_not_matter);
  ADD ("buffers-are-not-shared", test_buffers_are_not_shared);
  ADD ("flushes", test_flush);
  ADD ("eos", test_eos);
  return stream_run_tests ();
}
