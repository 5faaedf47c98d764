/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saetrainer refuses, and what may change. */
#include <string.h>

#include "sae-enum-types.h"
#include "training.h"

static void
expect_refused (Training *training, GstCaps *caps, GQuark domain, gint code,
    const gchar *part, const gchar *other_part)
{
  g_auto (Stream) stream = training_stream (training);
  float x[4 * D] = {0};

  g_object_set (stream.element, "input-size", D, NULL);
  stream_send_caps (&stream, caps);
  g_assert_cmpint (stream_push_floats (&stream, x, G_N_ELEMENTS (x)), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, domain, code, part, other_part, NULL);
  stream_expect_nothing (&stream);
}

static void
test_caps_refused (Training *training, gconstpointer data)
{
  static const struct {
    const gchar *types, *dims, *part, *other_part;
    gint code; /* of STREAM, or 0 for LIBRARY/SETTINGS */
  } cases[] = {
      {"float32", "17:4", "17", "16", 0},
      {"float32", "32:4", "32", "16", 0},
      {"float32", "4:16", "rows of 4", "rows of 16", 0},
      {"float32,uint8", "16:4,2:4", "mask", "rows of 2", 0},
      {"int8", "16:4", "tensor 0", "int8", GST_STREAM_ERROR_WRONG_TYPE},
      {"uint8", "16:4", "tensor 0", "uint8", GST_STREAM_ERROR_WRONG_TYPE},
      {"float32,int32", "16:4,16:4", "tensor 1", "int32",
          GST_STREAM_ERROR_WRONG_TYPE},
      {"uint32,float32", "16:4,16:4", "tensor 0", "uint32",
          GST_STREAM_ERROR_WRONG_TYPE},
      {"float32,float32,uint8", "16:4,16:4,1:4", "2", "3",
          GST_STREAM_ERROR_WRONG_TYPE},
      {"float32", "16:x", "dimensions", "16:x", GST_STREAM_ERROR_FORMAT},
      {"float32", "0:4", "dimensions", "0:4", GST_STREAM_ERROR_FORMAT},
      {"float99", "16:4", "types", "float99", GST_STREAM_ERROR_FORMAT},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    expect_refused (training, stream_caps (cases[i].types, cases[i].dims),
        cases[i].code ? GST_STREAM_ERROR : GST_LIBRARY_ERROR,
        cases[i].code ? cases[i].code : GST_LIBRARY_ERROR_SETTINGS,
        cases[i].part, cases[i].other_part);
}

static void
test_output_size_contradicts (Training *training, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new ("saetrainer", "output-size", 12, "dict-size", F, NULL);
  float x[4 * D] = {0};

  stream_send_dims (&stream, "float32,float32", "16:2,10:2");
  g_assert_cmpint (stream_push_floats (&stream, x, 2 * (D + 10)), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "output-size", "12", "10", NULL);
}

static void
test_half_rows (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  guint8 bytes[400] = {0};

  stream_send_dims (&stream, "float32", "16:4");
  g_assert_cmpint (stream_push (&stream, stream_buffer (bytes, 255)), ==,
      GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "multiple of 64 bytes", "255", NULL);
  stream_expect_nothing (&stream);
}

static void
test_mask_of_other_rows (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  guint8 bytes[4 * D * 4 + 3] = {0};

  stream_send_dims (&stream, "float32,uint8", "16:4,1:3");
  g_assert_cmpint (stream_push (&stream, stream_buffer (bytes, sizeof bytes)),
      ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "4",
      "3", NULL);
}

/* --- changes -------------------------------------------------------------- */

static void
push (Stream *stream, const gchar *types, const gchar *dims, gsize size,
    GstFlowReturn expected)
{
  gpointer zeros = g_malloc0 (size);

  stream_send_dims (stream, types, dims);
  g_assert_cmpint (stream_push (stream, stream_buffer (zeros, size)), ==,
      expected);
  g_free (zeros);
}

static void
test_width_changes (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  push (&stream, "float32", "16:4", 256, GST_FLOW_OK);
  push (&stream, "float32", "12:4", 192, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "16", "12", NULL);
  push (&stream, "float32", "16:9", 576, GST_FLOW_OK);
  stream_expect_no_error (&stream);
}

static void
test_width_changes_before_rows (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  push (&stream, "float32", "12:4", 0, GST_FLOW_OK);
  push (&stream, "float32", "16:4", 256, GST_FLOW_OK);
  stream_expect_no_error (&stream);
}

static void
test_flexible_width_changes (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  float x[2 * D] = {0};

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  for (guint width = D; width >= D / 2; width -= D / 2) {
    GstBuffer *buffer = gst_buffer_new ();
    gst_buffer_append_memory (buffer,
        stream_flexible (7, width, 2, x, 2 * width * sizeof *x));
    g_assert_cmpint (stream_push (&stream, buffer), ==,
        width == D ? GST_FLOW_OK : GST_FLOW_ERROR);
  }
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "16", "8", NULL);
}

/* Targets are held to the run as well: their rows are read by its width. */
static void
test_target_changes (Training *training, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new ("saetrainer", "dict-size", F, "top-k", K, NULL);

  push (&stream, "float32,float32", "16:4,20:4", 4 * 36 * 4, GST_FLOW_OK);
  push (&stream, "float32,float32", "16:4,2:4", 4 * 18 * 4,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "target", "20", "2", NULL);
  push (&stream, "float32", "16:4", 256, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "target", "20", "16", NULL);
  push (&stream, "float32,uint8", "16:4,1:4", 260, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "target", "20", "16", NULL);
  push (&stream, "float32,float32", "16:1,20:1", 36 * 4, GST_FLOW_OK);
  stream_expect_no_error (&stream);
}

/* A property that is changed under a run does not change the run. */
static void
test_sizes_set_while_running (Training *training, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new ("saetrainer", "dict-size", F, "top-k", K, NULL);

  push (&stream, "float32", "16:4", 256, GST_FLOW_OK);
  g_object_set (stream.element, "input-size", 4, "output-size", 99, NULL);
  push (&stream, "float32", "4:4", 64, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "16", "4", NULL);
  push (&stream, "float32", "16:5", 320, GST_FLOW_OK);
}

static void
test_types_change (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  for (guint i = 0; i < 300; i++) {
    push (&stream, "float32", "16:4", 256, GST_FLOW_OK);
    push (&stream, "float16", "16:2:2", 128, GST_FLOW_OK);
    push (&stream, "float64", "16", 128, GST_FLOW_OK);
    push (&stream, "float32,uint8", "16:4,1:4", 260, GST_FLOW_OK);
    push (&stream, "float32,float64", "16:4,16:4", 768, GST_FLOW_OK);
  }
  stream_expect_no_error (&stream);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/caps/" name, test)
  ADD ("refused", test_caps_refused);
  ADD ("output-size-contradicts", test_output_size_contradicts);
  ADD ("half-rows-fail", test_half_rows);
  ADD ("mask-of-other-rows-fails", test_mask_of_other_rows);
  ADD ("width-changes-refused", test_width_changes);
  ADD ("width-changes-before-rows", test_width_changes_before_rows);
  ADD ("width-changes-flexible-refused", test_flexible_width_changes);
  ADD ("target-changes-refused", test_target_changes);
  ADD ("sizes-set-while-running", test_sizes_set_while_running);
  ADD ("types-change", test_types_change);
  return stream_run_tests ();
}
