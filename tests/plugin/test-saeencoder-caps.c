/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saeencoder negotiates. */
#include "sae-enum-types.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4

/* An encoder without a model on disk, of D, F and K. */
static Stream
encoder_new (void)
{
  return stream_new ("saeencoder", "input-size", D, "dict-size", F, "top-k", K,
      NULL);
}

static void
push_rows (Stream *stream, gsize n)
{
  g_autofree float *x = stream_rows (1, n, D);

  g_assert_cmpint (stream_push_floats (stream, x, n * D), ==, GST_FLOW_OK);
}

static void
expect_out (Stream *stream, const gchar *types, const gchar *dimensions)
{
  g_autofree gchar *got_types = stream_out_field (stream, "types");
  g_autofree gchar *got_dims = stream_out_field (stream, "dimensions");

  g_assert_cmpstr (got_types, ==, types);
  g_assert_cmpstr (got_dims, ==, dimensions);
  gst_buffer_unref (stream_pull (stream));
}

/* Lets downstream take only @caps. */
static void
restrict_downstream (Stream *stream, const gchar *caps)
{
  gst_harness_set_sink_caps_str (stream->harness, caps);
}

static void
test_pairs_preferred (void)
{
  g_auto (Stream) stream = encoder_new ();

  stream_send_dims (&stream, "float32", "16:8");
  push_rows (&stream, 8);
  expect_out (&stream, "uint32,float32", "4:8,4:8");
}

/* Dense codes are as good to saedecoder, and what BaseTransform likes. */
static void
test_pairs_preferred_by_decoder (void)
{
  GstHarness *harness = gst_harness_new_parse (
      "saeencoder name=e dict-size=64 top-k=4 ! saedecoder input-size=16 "
      "dict-size=64 top-k=4");
  Stream stream = {harness, NULL, NULL};
  GstElement *encoder = gst_bin_get_by_name (GST_BIN (harness->element), "e");
  GstPad *pad = gst_element_get_static_pad (encoder, "src");
  GstCaps *caps;

  stream_send_dims (&stream, "float32", "16:8");
  push_rows (&stream, 8);
  gst_buffer_unref (stream_pull (&stream));
  caps = gst_pad_get_current_caps (pad);
  g_assert_cmpstr (gst_structure_get_string (gst_caps_get_structure (caps, 0),
                       "types"),
      ==, "uint32,float32");
  gst_caps_unref (caps);
  gst_object_unref (pad);
  gst_object_unref (encoder);
  gst_harness_teardown (harness);
}

static void
test_format_forced (void)
{
  static const struct {
    const gchar *nick, *types, *dimensions;
  } cases[] = {
      {"auto", "uint32,float32", "4:8,4:8"},
      {"pairs", "uint32,float32", "4:8,4:8"},
      {"dense", "float32", "64:8"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream = stream_new ("saeencoder", "dict-size", F, NULL);
    gst_util_set_object_arg (G_OBJECT (stream.element), "codes-format",
        cases[i].nick);
    g_object_set (stream.element, "top-k", K, NULL);
    gst_element_set_state (stream.element, GST_STATE_READY);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    stream_send_dims (&stream, "float32", "16:8");
    push_rows (&stream, 8);
    expect_out (&stream, cases[i].types, cases[i].dimensions);
  }
}

static void
test_pairs_forced (gconstpointer rule)
{
  g_auto (Stream) stream =
      stream_new ("saeencoder", "dict-size", F, "codes-format", 1, NULL);
  g_autofree float *x = stream_rows (1, 8, D);

  gst_element_set_state (stream.element, GST_STATE_READY);
  gst_util_set_object_arg (G_OBJECT (stream.element), "sparsity", rule);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "codes-format", "pairs", rule, NULL);
}

static void
test_downstream_restricts (void)
{
  g_auto (Stream) stream = encoder_new ();

  restrict_downstream (&stream,
      "other/tensors,format=(string)static,num_tensors=(int)1");
  stream_send_dims (&stream, "float32", "16:8");
  push_rows (&stream, 8);
  expect_out (&stream, "float32", "64:8");
}

static void
test_flexible_downstream_restricts (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (1, 8, D);
  GstBuffer *buffer = gst_buffer_new ();

  restrict_downstream (&stream,
      "other/tensors,format=(string)static,num_tensors=(int)1");
  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  gst_buffer_append_memory (buffer,
      stream_flexible (7, D, 8, x, 8 * D * sizeof *x));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  expect_out (&stream, "float32", "64:8");
}

/* Each element writes trailing ones in its own way. */
static void
test_rank_variants (void)
{
  static const gchar *const sink_dims[] = {"16:1", "16:1:1", "16:1:1:1", "16"};
  static const gchar *const src_dims[] = {"4:1,4:1", "4:1:1,4:1:1",
      "4:1:1:1,4:1:1:1"};

  for (guint i = 0; i < G_N_ELEMENTS (sink_dims); i++)
    for (guint j = 0; j < G_N_ELEMENTS (src_dims); j++) {
      g_auto (Stream) stream = encoder_new ();
      g_autofree gchar *caps = g_strdup_printf (
          "other/tensors,format=(string)static,num_tensors=(int)2,"
          "types=(string)\"uint32,float32\",dimensions=(string)\"%s\"",
          src_dims[j]);
      restrict_downstream (&stream, caps);
      stream_send_dims (&stream, "float32", sink_dims[i]);
      push_rows (&stream, 1);
      expect_out (&stream, "uint32,float32", src_dims[j]);
    }
}

/* A peer that writes four dimensions gets four whatever the rows. */
static void
test_rank_variant_stays_when_rows_change (void)
{
  g_auto (Stream) stream = encoder_new ();

  restrict_downstream (&stream,
      "other/tensors,format=(string)static,num_tensors=(int)2,"
      "types=(string)\"uint32,float32\","
      "dimensions=(string){ \"4:8:1:1,4:8:1:1\", \"4:3:1:1,4:3:1:1\" }");
  stream_send_dims (&stream, "float32", "16:8");
  push_rows (&stream, 8);
  expect_out (&stream, "uint32,float32", "4:8:1:1,4:8:1:1");
  push_rows (&stream, 3);
  expect_out (&stream, "uint32,float32", "4:3:1:1,4:3:1:1");
}

static void
test_other_rows_refused_downstream (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (1, 3, D);

  restrict_downstream (&stream,
      "other/tensors,format=(string)static,num_tensors=(int)1,"
      "types=(string)float32,dimensions=(string)64:8");
  stream_send_dims (&stream, "float32", "16:8");
  push_rows (&stream, 8);
  expect_out (&stream, "float32", "64:8");
  g_assert_cmpint (stream_push_floats (&stream, x, 3 * D), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "64:3", NULL);
}

static void
test_outer_dimensions_kept (void)
{
  g_auto (Stream) stream = encoder_new ();

  stream_send_dims (&stream, "float32", "16:5:3");
  push_rows (&stream, 15);
  expect_out (&stream, "uint32,float32", "4:5:3,4:5:3");
  push_rows (&stream, 10);
  expect_out (&stream, "uint32,float32", "4:5:2,4:5:2");
  push_rows (&stream, 7); /* no whole batch of 5 */
  expect_out (&stream, "uint32,float32", "4:7,4:7");
}

static void
test_framerate_copied (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree gchar *framerate = NULL;
  GstCaps *caps = stream_caps ("float32", "16:8");

  gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, 25, 2, NULL);
  stream_send_caps (&stream, caps);
  push_rows (&stream, 8);
  framerate = stream_out_field (&stream, "framerate");
  g_assert_cmpstr (framerate, ==, "25/2");
}

static void
test_framerate_missing (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree gchar *framerate = NULL;
  GstCaps *caps = stream_caps ("float32", "16:8");

  gst_structure_remove_field (gst_caps_get_structure (caps, 0), "framerate");
  stream_send_caps (&stream, caps);
  push_rows (&stream, 8);
  framerate = stream_out_field (&stream, "framerate");
  g_assert_cmpstr (framerate, ==, "0/1");
}

/* --- what is refused ------------------------------------------------------ */

static void
expect_refused (GstCaps *caps, GQuark domain, gint code, const gchar *part,
    const gchar *other_part)
{
  g_auto (Stream) stream = encoder_new ();
  float x[4 * D] = {0};

  stream_send_caps (&stream, caps);
  g_assert_cmpint (stream_push_floats (&stream, x, G_N_ELEMENTS (x)), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, domain, code, part, other_part, NULL);
  stream_expect_nothing (&stream);
}

static void
test_other_width (void)
{
  static const guint widths[] = {1, 4, 15, 17, 32, 160, 4096};

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint rows = 1; rows <= 3; rows++) {
      g_autofree gchar *dims = g_strdup_printf ("%u:%u", widths[i], rows);
      g_autofree gchar *width = g_strdup_printf ("of %u", widths[i]);
      expect_refused (stream_caps ("float32", dims), GST_LIBRARY_ERROR,
          GST_LIBRARY_ERROR_SETTINGS, "of 16", width);
    }
}

static void
test_other_type (void)
{
  static const gchar *const types[] = {"int32", "uint32", "int16", "uint16",
      "int8", "uint8", "int64", "uint64"};

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    expect_refused (stream_caps (types[i], "16:4"), GST_STREAM_ERROR,
        GST_STREAM_ERROR_WRONG_TYPE, "float32, float16 or float64", types[i]);
}

static void
test_two_tensors (void)
{
  expect_refused (stream_caps ("float32,float32", "16:4,16:4"),
      GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE, "1 tensor", "2");
  expect_refused (stream_caps ("uint32,float32", "16:4,16:4"), GST_STREAM_ERROR,
      GST_STREAM_ERROR_WRONG_TYPE, "1 tensor", "2");
}

static void
test_malformed (void)
{
  static const gchar *const dims[] = {"", "16:", "0:4", "16:0", "a:b", "-16:4",
      "16:4:4294967296", "16.5:4", "1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1"};

  for (guint i = 0; i < G_N_ELEMENTS (dims); i++)
    expect_refused (stream_caps ("float32", dims[i]), GST_STREAM_ERROR,
        GST_STREAM_ERROR_FORMAT, "dimensions", "got");
  expect_refused (stream_caps ("float32", "16:4294967295:4294967295:4"),
      GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "dimensions", "expected");
}

/* "dimensions=768:32" on a command line is no string but a flag set. */
static void
test_no_string (void)
{
  GstCaps *caps = stream_caps ("float32", NULL);

  gst_caps_set_simple (caps, "dimensions", G_TYPE_INT, 16, NULL);
  expect_refused (caps, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "dimensions=(string)", "gint");
}

static void
test_missing_fields (void)
{
  static const gchar *const fields[] = {"types", "dimensions"};

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    GstCaps *caps = stream_caps ("float32", "16:4");
    gst_structure_remove_field (gst_caps_get_structure (caps, 0), fields[i]);
    expect_refused (caps, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, fields[i],
        "missing");
  }
}

static void
test_contradictory_count (void)
{
  GstCaps *caps = stream_caps ("float32", "16:4");

  gst_caps_set_simple (caps, "num_tensors", G_TYPE_INT, 2, NULL);
  expect_refused (caps, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "num_tensors 2", "1 types");
}

/* --- changes -------------------------------------------------------------- */

static void
test_renegotiates_back_and_forth (void)
{
  static const gchar *const types[] = {"float32", "float16", "float64"};
  static const gsize sizes[] = {4, 2, 8};
  g_auto (Stream) stream = encoder_new ();
  guint8 zeros[9 * D * 8] = {0};

  for (guint i = 0; i < 1000; i++) {
    guint rows = 1 + i % 9, type = i % 3, declared = 1 + i * 7 % 5;
    g_autofree gchar *dims = g_strdup_printf ("16:%u", declared);
    g_autofree gchar *expected = g_strdup_printf ("4:%u,4:%u", rows, rows);
    stream_send_dims (&stream, types[type], dims);
    g_assert_cmpint (stream_push (&stream,
                         stream_buffer (zeros, rows * D * sizes[type])),
        ==, GST_FLOW_OK);
    expect_out (&stream, "uint32,float32", expected);
  }
}

static void
test_static_to_flexible (void)
{
  g_auto (Stream) stream = encoder_new ();
  g_autofree float *x = stream_rows (1, 5, D);

  for (guint i = 0; i < 20; i++) {
    GstBuffer *buffer = gst_buffer_new ();
    stream_send_caps (&stream,
        gst_caps_from_string ("other/tensors,format=(string)flexible"));
    gst_buffer_append_memory (buffer,
        stream_flexible (7, D, 5, x, 5 * D * sizeof *x));
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    expect_out (&stream, "uint32,float32", "4:5,4:5");
    stream_send_dims (&stream, "float32", "16:8");
    push_rows (&stream, 8);
    expect_out (&stream, "uint32,float32", "4:8,4:8");
  }
}

static void
test_downstream_reconfigures (void)
{
  g_auto (Stream) stream = encoder_new ();

  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < 100; i++) {
    restrict_downstream (&stream,
        i % 2 ? "other/tensors,format=(string)static,num_tensors=(int)1"
              : "other/tensors,format=(string)static,num_tensors=(int)2");
    push_rows (&stream, 1 + i % 3);
    g_autofree gchar *dims =
        g_strdup_printf (i % 2 ? "64:%u" : "4:%1$u,4:%1$u", 1 + i % 3);
    expect_out (&stream, i % 2 ? "float32" : "uint32,float32", dims);
  }
}

/* Queries tell no form that this model does not have. */
static void
test_queries_tell_the_truth (void)
{
  g_auto (Stream) stream = stream_new ("saeencoder", "dict-size", F, "sparsity",
      SAE_SPARSITY_L1, NULL);
  GstCaps *caps = gst_pad_peer_query_caps (stream.harness->sinkpad, NULL);

  g_assert_cmpuint (gst_caps_get_size (caps), ==, 3);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpstr (gst_structure_get_string (gst_caps_get_structure (caps, i),
                         "types"),
        ==, i == 1 ? "float32" : NULL);
  gst_caps_unref (caps);
  caps = gst_pad_peer_query_caps (stream.harness->srcpad, NULL);
  g_assert_false (
      gst_structure_has_field (gst_caps_get_structure (caps, 0), "dimensions"));
  gst_caps_unref (caps);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/saeencoder/caps/" name, test)
  ADD ("pairs-preferred", test_pairs_preferred);
  ADD ("pairs-preferred-by-decoder", test_pairs_preferred_by_decoder);
  ADD ("codes-format-forces", test_format_forced);
  g_test_add_data_func ("/saeencoder/caps/pairs-of-l1-refused", "l1",
      test_pairs_forced);
  g_test_add_data_func ("/saeencoder/caps/pairs-of-jump-relu-refused",
      "jump-relu", test_pairs_forced);
  ADD ("downstream-restricts", test_downstream_restricts);
  ADD ("downstream-restricts-flexible", test_flexible_downstream_restricts);
  ADD ("trailing-ones-are-the-same", test_rank_variants);
  ADD ("trailing-ones-stay", test_rank_variant_stays_when_rows_change);
  ADD ("rows-that-downstream-refuses", test_other_rows_refused_downstream);
  ADD ("outer-dimensions-kept", test_outer_dimensions_kept);
  ADD ("framerate-copied", test_framerate_copied);
  ADD ("framerate-missing-is-0", test_framerate_missing);
  ADD ("refuses-other-width", test_other_width);
  ADD ("refuses-other-type", test_other_type);
  ADD ("refuses-two-tensors", test_two_tensors);
  ADD ("refuses-malformed-dimensions", test_malformed);
  ADD ("refuses-dimensions-that-are-no-string", test_no_string);
  ADD ("refuses-missing-fields", test_missing_fields);
  ADD ("refuses-contradictory-count", test_contradictory_count);
  ADD ("renegotiates-1000-times", test_renegotiates_back_and_forth);
  ADD ("static-to-flexible-and-back", test_static_to_flexible);
  ADD ("downstream-reconfigures", test_downstream_reconfigures);
  ADD ("queries-tell-the-truth", test_queries_tell_the_truth);
  return stream_run_tests ();
}
