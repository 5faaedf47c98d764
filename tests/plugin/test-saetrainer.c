/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saetrainer learns from which rows. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "fault.h"
#include "noise.h"
#include "sae-enum-types.h"
#include "training.h"

static void
push_split (Stream *stream, const float *x, gsize n, gsize rows)
{
  for (gsize r = 0; r < n; r += rows)
    g_assert_cmpint (stream_push_floats (stream, x + r * D,
                         MIN (rows, n - r) * D),
        ==, GST_FLOW_OK);
}

static void
test_same_buffers (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autofree float *x = stream_rows (1, 50, D);

  stream_send_dims (&stream, "float32", "16:5");
  for (guint i = 0; i < 10; i++) {
    GstBuffer *in = stream_buffer (x + i * 5 * D, 5 * D * sizeof *x), *out;
    GstMemory *memory = gst_buffer_peek_memory (in, 0);
    gst_buffer_ref (in); /* a buffer that nobody may write to */
    g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    g_assert_true (out == in && gst_buffer_peek_memory (out, 0) == memory);
    gst_buffer_unref (out);
    gst_buffer_unref (in);
  }
}

/* Nine thousand rows: more than the scale is taken from. */
static void
test_any_split (Training *training, gconstpointer data)
{
  static const gsize splits[] = {1, 3, 8, 100, 999, 1000, 9001};
  const gsize n = 9001;
  g_autofree float *x = stream_rows (2, n, D);
  g_autoptr (SaeTrainer) reference = training_reference ();

  g_object_set (reference, "normalize", SAE_NORMALIZE_AUTO, NULL);
  training_push (reference, x, NULL, n);
  training_finish (training, reference);
  for (guint i = 0; i < G_N_ELEMENTS (splits); i++) {
    g_auto (Stream) stream = stream_new ("saetrainer", "location",
        training->got, "dict-size", F, "top-k", K, "batch-size", BATCH, "seed",
        (guint64) 3, "n-threads", 1 + i % 3, NULL);
    stream_send_dims (&stream, "float32", "16:100");
    push_split (&stream, x, n, splits[i]);
    training_expect_equal (training, &stream);
  }
}

static void
test_remainders (Training *training, gconstpointer data)
{
  g_autofree float *x = stream_rows (3, 4 * BATCH, D);

  for (gsize rest = 0; rest < BATCH; rest++)
    for (gsize rows = 1; rows <= 11; rows += 5) {
      g_auto (Stream) stream = training_stream (training);
      g_autoptr (SaeTrainer) reference = training_reference ();
      g_autoptr (GstStructure) final = NULL;
      guint64 steps = 0;
      training_push (reference, x, NULL, 3 * BATCH + rest);
      training_finish (training, reference);
      stream_send_dims (&stream, "float32", "16:1");
      push_split (&stream, x, 3 * BATCH + rest, rows);
      training_expect_equal (training, &stream);
      final = training_final_stats (&stream);
      gst_structure_get_uint64 (final, "steps", &steps);
      g_assert_cmpuint (steps, ==, 3 + (rest > 0));
      if (rest > 0)
        fault_report (13, 1, 1, 0);
    }
}

static void
test_float16 (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (4, 50, D);
  _Float16 halves[50 * D];

  for (guint i = 0; i < 50 * D; i++)
    x[i] = (float) (halves[i] = (_Float16) x[i]);
  training_push (reference, x, NULL, 50);
  training_finish (training, reference);
  stream_send_dims (&stream, "float16", "16:50");
  g_assert_cmpint (stream_push (&stream, stream_buffer (halves, sizeof halves)),
      ==, GST_FLOW_OK);
  training_expect_equal (training, &stream);
}

static void
test_float64 (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (4, 50, D);
  double doubles[50 * D];

  for (guint i = 0; i < 50 * D; i++)
    doubles[i] = x[i];
  training_push (reference, x, NULL, 50);
  training_finish (training, reference);
  stream_send_dims (&stream, "float64", "16:50");
  g_assert_cmpint (stream_push (&stream,
                       stream_buffer (doubles, sizeof doubles)),
      ==, GST_FLOW_OK);
  training_expect_equal (training, &stream);
}

static void
test_flexible (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (5, 55, D);
  gsize at = 0;

  training_push (reference, x, NULL, 55);
  training_finish (training, reference);
  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  for (guint n = 1; n <= 10; at += n++) {
    GstBuffer *buffer = gst_buffer_new ();
    g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
    gst_buffer_append_memory (buffer,
        stream_flexible (7, D, n, x + at * D, n * D * sizeof *x));
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  }
  g_assert_cmpuint (at, ==, 55);
  training_expect_equal (training, &stream);
}

/* --- rows that are left out ----------------------------------------------- */

static void
test_gap (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (6, 60, D);

  stream_send_dims (&stream, "float32", "16:5");
  for (guint i = 0; i < 12; i++) {
    GstBuffer *buffer = stream_buffer (x + i * 5 * D, 5 * D * sizeof *x);
    if (i % 3 == 1)
      GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_GAP);
    else
      training_push (reference, x + i * 5 * D, NULL, 5);
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  }
  g_assert_cmpuint (gst_harness_buffers_in_queue (stream.harness), ==, 12);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* One memory a tensor, or all in one. */
static GstBuffer *
two_tensors (gconstpointer first, gsize first_size, gconstpointer second,
    gsize second_size, gboolean joined)
{
  GstBuffer *buffer = gst_buffer_append (stream_buffer (first, first_size),
      stream_buffer (second, second_size));

  if (joined)
    gst_buffer_replace_all_memory (buffer, gst_buffer_get_all_memory (buffer));
  return buffer;
}

static void
test_mask (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (GstStructure) final = NULL;
  g_autofree float *x = stream_rows (7, 60, D);
  Noise noise = {.state = 1};
  guint64 rows = 0, n_kept = 0;

  stream_send_dims (&stream, "float32,uint8", "16:6,1:6");
  for (guint i = 0; i < 10; i++) {
    guint8 mask[6];
    for (guint r = 0; r < 6; r++) {
      mask[r] =
          (guint8) (noise_below (&noise, 2) * (1 + noise_below (&noise, 255)));
      if (mask[r]) {
        training_push (reference, x + (i * 6 + r) * D, NULL, 1);
        n_kept++;
      } else { /* padding may be anything */
        x[(i * 6 + r) * D] = NAN;
      }
    }
    g_assert_cmpint (stream_push (&stream,
                         two_tensors (x + i * 6 * D, 6 * D * sizeof *x, mask,
                             sizeof mask, i % 2)),
        ==, GST_FLOW_OK);
  }
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  final = training_final_stats (&stream);
  gst_structure_get_uint64 (final, "total-rows", &rows);
  g_assert_cmpuint (rows, ==, n_kept);
}

static void
test_nonfinite (Training *training, gconstpointer data)
{
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (GstStructure) final = NULL;
  g_autofree float *x = stream_rows (8, 3000, D);
  Noise noise = {.state = 2};
  guint64 n_bad = 0, skipped = 0;

  for (guint r = 0; r < 3000; r++)
    if (noise_below (&noise, 10) == 0)
      x[r * D + noise_below (&noise, D)] = bad[n_bad++ % 3];
    else
      training_push (reference, x + r * D, NULL, 1);
  stream_send_dims (&stream, "float32", "16:100");
  push_split (&stream, x, 3000, 77);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  final = training_final_stats (&stream);
  gst_structure_get_uint64 (final, "skipped-rows", &skipped);
  g_assert_cmpuint (skipped, ==, n_bad);
}

static void
test_no_rows (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (9, 20, D);

  stream_send_dims (&stream, "float32", "16:5");
  for (guint i = 0; i < 4; i++) {
    g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
    push_split (&stream, x + i * 5 * D, 5, 5);
  }
  g_assert_cmpuint (gst_harness_buffers_in_queue (stream.harness), ==, 8);
  training_push (reference, x, NULL, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* --- targets -------------------------------------------------------------- */

#define D_OUT 10

static double
get_double (const GstStructure *s, const gchar *field)
{
  double value = -1;

  g_assert_true (gst_structure_get_double (s, field, &value));
  return value;
}

static void
push_transcoder (Stream *stream, const float *x, const float *target,
    GstFlowReturn expected)
{
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (stream_push (stream,
                         two_tensors (x + i * 6 * D, 6 * D * sizeof *x,
                             target + i * 6 * D_OUT, 6 * D_OUT * sizeof *target,
                             i % 2)),
        ==, expected);
}

static void
test_transcoder (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (GstStructure) final = NULL;
  g_autofree float *x = stream_rows (10, 60, D);
  g_autofree float *target = stream_rows (11, 60, D_OUT);

  gst_element_set_state (stream.element, GST_STATE_NULL);
  g_object_set (stream.element, "location", NULL, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  g_object_set (reference, "output-size", D_OUT, NULL);
  training_push (reference, x, target, 60);
  sae_trainer_flush (reference, NULL);
  stream_send_dims (&stream, "float32,float32", "16:6,10:6");
  push_transcoder (&stream, x, target, GST_FLOW_OK);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  final = training_final_stats (&stream);
  metrics = sae_trainer_get_metrics (reference);
  g_assert_cmpuint (metrics->steps, ==, 8);
  g_assert_true (get_double (final, "mse") == metrics->mse);
  g_assert_true (get_double (final, "gradient-norm") == metrics->gradient_norm);
}

/* SAELens has a layout for it, if not with top-k. */
static void
test_transcoder_is_saved (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autofree float *x = stream_rows (10, 60, D);
  g_autofree float *target = stream_rows (11, 60, D_OUT);
  g_autofree gchar *location = NULL;
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (GError) error = NULL;

  gst_element_set_state (stream.element, GST_STATE_NULL);
  gst_util_set_object_arg (G_OBJECT (stream.element), "sparsity", "jump-relu");
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  g_object_get (stream.element, "location", &location, NULL);
  stream_send_dims (&stream, "float32,float32", "16:6,10:6");
  push_transcoder (&stream, x, target, GST_FLOW_OK);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  model = sae_model_load (location, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_model_get_d_in (model), ==, D);
  g_assert_cmpuint (sae_model_get_d_out (model), ==, D_OUT);
}

/* What could not be saved at the end is refused at the start. */
static void
test_transcoder_that_has_no_layout (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autofree float *x = stream_rows (10, 60, D);
  g_autofree float *target = stream_rows (11, 60, D_OUT);

  stream_send_dims (&stream, "float32,float32", "16:6,10:6");
  push_transcoder (&stream, x, target, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "location", "16", "10", NULL);
}

/* A target as wide as the input may come and go. */
static void
test_target_of_input_width (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (10, 30, D);
  g_autofree float *target = stream_rows (11, 30, D);

  for (guint i = 0; i < 3; i++) {
    const float *rows = x + i * 10 * D, *targets = target + i * 10 * D;
    if (i == 1) {
      training_push (reference, rows, targets, 10);
      stream_send_dims (&stream, "float32,float32", "16:10,16:10");
      g_assert_cmpint (stream_push (&stream,
                           two_tensors (rows, 640, targets, 640, FALSE)),
          ==, GST_FLOW_OK);
    } else {
      training_push (reference, rows, NULL, 10);
      stream_send_dims (&stream, "float32", "16:10");
      push_split (&stream, rows, 10, 10);
    }
  }
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/" name, test)
  ADD ("same-buffers-pass", test_same_buffers);
  ADD ("any-split-same-bytes", test_any_split);
  ADD ("partial-batch-at-eos", test_remainders);
  ADD ("float16-as-converted", test_float16);
  ADD ("float64-as-converted", test_float64);
  ADD ("flexible-as-static", test_flexible);
  ADD ("gap-left-out", test_gap);
  ADD ("masked-rows-left-out", test_mask);
  ADD ("nonfinite-rows-skipped-and-counted", test_nonfinite);
  ADD ("no-rows-pass", test_no_rows);
  ADD ("transcoder", test_transcoder);
  ADD ("transcoder-is-saved", test_transcoder_is_saved);
  ADD ("transcoder-that-has-no-layout", test_transcoder_that_has_no_layout);
  ADD ("target-of-input-width", test_target_of_input_width);
  return stream_run_tests ();
}
