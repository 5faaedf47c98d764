/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Properties that follow the stream, and switches while it plays. */
#include <gst/controller/gstdirectcontrolbinding.h>
#include <gst/controller/gstinterpolationcontrolsource.h>
#include <math.h>
#include <string.h>

#include "sae-enum-types.h"
#include "training.h"

#define ROW_TIME 1000 /* ns */
#define N 203         /* rows: 25 batches and a rest */

/* A straight line from @first at 0 to @last at the end of N rows. */
static GstControlSource *
add_curve (GstElement *element, const gchar *property, double first,
    double last)
{
  GstControlSource *curve = gst_interpolation_control_source_new ();
  GstTimedValueControlSource *points = GST_TIMED_VALUE_CONTROL_SOURCE (curve);

  g_object_set (curve, "mode", GST_INTERPOLATION_MODE_LINEAR, NULL);
  gst_timed_value_control_source_set (points, 0, first);
  gst_timed_value_control_source_set (points, N * ROW_TIME, last);
  g_assert_true (gst_object_add_control_binding (GST_OBJECT (element),
      gst_direct_control_binding_new_absolute (GST_OBJECT (element), property,
          curve)));
  return curve;
}

static double
value_at (GstControlSource *curve, gsize row)
{
  double value = NAN;

  g_assert_true (gst_control_source_get_value (curve, row * ROW_TIME, &value));
  return value;
}

static Stream
stream_for (Training *training, SaeSparsity sparsity)
{
  Stream stream = training_stream (training);

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "warmup-rows", (gint64) 0, "sparsity", sparsity,
      NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  return stream;
}

static SaeTrainer *
reference_for (SaeSparsity sparsity)
{
  SaeTrainer *reference = training_reference ();

  g_object_set (reference, "warmup-rows", (gint64) 0, "sparsity", sparsity,
      NULL);
  return reference;
}

static void
push (Stream *stream, GstBuffer *buffer, gsize first, gsize n)
{
  GST_BUFFER_PTS (buffer) = first * ROW_TIME;
  GST_BUFFER_DURATION (buffer) = n * ROW_TIME;
  g_assert_cmpint (stream_push (stream, buffer), ==, GST_FLOW_OK);
}

/* Each batch has the value of the time of its first row, wherever buffers
 * end. */
static void
test_value_of_first_row (Training *training, gconstpointer data)
{
  static const gsize cuts[] = {1, 3, BATCH, 20, 64, N};
  static const struct {
    const gchar *property;
    SaeSparsity sparsity;
    double first, last;
  } cases[] = {{"learning-rate", SAE_SPARSITY_TOP_K, 0.001, 0.1},
      {"l1-coeff", SAE_SPARSITY_L1, 0.0, 2.0}};
  g_autofree float *x = stream_rows (1, N, D);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    for (guint cut = 0; cut < G_N_ELEMENTS (cuts); cut++) {
      g_auto (Stream) stream = stream_for (training, cases[i].sparsity);
      g_autoptr (SaeTrainer) reference = reference_for (cases[i].sparsity);
      GstControlSource *curve = add_curve (stream.element, cases[i].property,
          cases[i].first, cases[i].last);
      stream_send_dims (&stream, "float32", "16:1");
      for (gsize r = 0; r < N; r += cuts[cut]) {
        gsize n = MIN (cuts[cut], N - r);
        push (&stream, stream_buffer (x + r * D, n * D * sizeof *x), r, n);
      }
      for (gsize r = 0; r < N; r += BATCH) {
        g_object_set (reference, cases[i].property, value_at (curve, r), NULL);
        training_push (reference, x + r * D, NULL, MIN (BATCH, N - r));
      }
      training_finish (training, reference);
      training_expect_equal (training, &stream);
      gst_object_unref (curve);
    }
}

/* Rows that a mask or a NaN leaves out take time all the same. */
static void
test_left_out_rows_take_time (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = stream_for (training, SAE_SPARSITY_TOP_K);
  g_autoptr (SaeTrainer) reference = reference_for (SAE_SPARSITY_TOP_K);
  GstControlSource *curve =
      add_curve (stream.element, "learning-rate", 0.001, 0.1);
  g_autofree float *x = stream_rows (1, N, D);
  guint8 mask[N];
  gsize n_trained = 0;

  for (gsize r = 0; r < N; r++) {
    mask[r] = r % 5 != 0;
    if (r % 7 == 0)
      x[r * D] = NAN;
    if (!mask[r] || r % 7 == 0)
      continue;
    if (n_trained++ % BATCH == 0)
      g_object_set (reference, "learning-rate", value_at (curve, r), NULL);
    training_push (reference, x + r * D, NULL, 1);
  }
  stream_send_dims (&stream, "float32,uint8", "16:1,1:1");
  for (gsize r = 0; r < N; r += 29) {
    gsize n = MIN (29, N - r);
    push (&stream,
        gst_buffer_append (stream_buffer (x + r * D, n * D * sizeof *x),
            stream_buffer (mask + r, n)),
        r, n);
  }
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  gst_object_unref (curve);
}

/* Buffers without a time, or in a segment of another format, keep the value
 * that was there; a segment moves stream time. */
static void
test_no_time_keeps_the_value (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = stream_for (training, SAE_SPARSITY_TOP_K);
  g_autoptr (SaeTrainer) reference = reference_for (SAE_SPARSITY_TOP_K);
  GstControlSource *curve =
      add_curve (stream.element, "learning-rate", 0.001, 0.1);
  g_autofree float *x = stream_rows (1, 4 * BATCH, D);
  GstSegment segment;
  static const gsize times[] = {40, 40, 40, 100};

  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < 4; i++) {
    const float *rows = x + i * BATCH * D;
    GstBuffer *buffer = stream_buffer (rows, BATCH * D * sizeof *x);
    gst_segment_init (&segment, i == 2 ? GST_FORMAT_BYTES : GST_FORMAT_TIME);
    if (i == 3) {
      segment.start = 40 * ROW_TIME;
      segment.time = 100 * ROW_TIME;
    }
    gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
    if (i == 1)
      g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    else
      push (&stream, buffer, 40, BATCH);
    g_object_set (reference, "learning-rate", value_at (curve, times[i]), NULL);
    training_push (reference, rows, NULL, BATCH);
  }
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  gst_object_unref (curve);
}

/* --- frozen --------------------------------------------------------------- */

static GBytes *
save_weights (Stream *stream, const gchar *path)
{
  gboolean ok = FALSE;

  g_signal_emit_by_name (stream->element, "save", path, &ok);
  g_assert_true (ok);
  return stream_load_file (path, "sae_weights.safetensors");
}

static double
get_double (const GstStructure *s, const gchar *field)
{
  double value = NAN;

  g_assert_true (gst_structure_get_double (s, field, &value));
  return value;
}

static guint64
get_count (const GstStructure *s, const gchar *field)
{
  guint64 value = G_MAXUINT64;

  g_assert_true (gst_structure_get_uint64 (s, field, &value));
  return value;
}

/* Frozen in mid-stream, and back: weights keep their bits meanwhile, all rows
 * are measured, and what comes after is trained as if nothing had been. */
static void
test_frozen_in_mid_stream (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (GBytes) before = NULL;
  g_autoptr (GstStructure) total = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autofree float *x = stream_rows (1, 120, D);

  stream_send_dims (&stream, "float32", "16:40");
  for (guint i = 0; i < 3; i++) {
    g_object_set (stream.element, "frozen", i == 1, NULL);
    g_object_set (reference, "frozen", i == 1, NULL);
    for (guint part = 0; part < 5; part++) {
      const float *rows = x + (i * 40 + part * 8) * D;
      g_assert_cmpint (stream_push_floats (&stream, rows, 8 * D), ==,
          GST_FLOW_OK);
      training_push (reference, rows, NULL, 8);
      if (i == 1) {
        g_autoptr (GBytes) now = save_weights (&stream, training->want);
        g_assert_true (g_bytes_equal (now, before));
      }
    }
    if (i == 0)
      before = save_weights (&stream, training->want);
  }
  g_object_get (stream.element, "stats", &total, NULL);
  metrics = sae_trainer_get_metrics (reference);
  g_assert_cmpuint (get_count (total, "rows"), ==, 120);
  g_assert_cmpuint (get_count (total, "steps"), ==, 80 / BATCH);
  g_assert_true (get_double (total, "fvu") == metrics->fvu);
  g_assert_true (get_double (total, "l0") == metrics->l0);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* The totals of a frozen run are those of the model over the same rows. */
static void
test_frozen_totals (Training *training, gconstpointer data)
{
  g_autofree gchar *path = NULL;
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;
  g_autoptr (GstStructure) total = NULL;
  g_autoptr (GBytes) rows = NULL;
  g_autoptr (GBytes) x_hat = NULL;
  g_auto (Stream) stream = {NULL};
  float *x = stream_rows (4, N, D);

  path = stream_save_model (training->folder, "model", config, 5);
  rows = g_bytes_new_take (x, N * D * sizeof *x);
  model = sae_model_load (path, NULL);
  x_hat = sae_model_forward (model, rows, &latents, NULL);
  metrics = sae_measure (rows, x_hat, D, latents, NULL);
  stream = stream_new ("saetrainer", "init-location", path, "frozen", TRUE,
      "batch-size", BATCH, NULL);
  stream_send_dims (&stream, "float32", "16:7");
  for (gsize r = 0; r < N; r += 7)
    g_assert_cmpint (stream_push_floats (&stream, x + r * D, 7 * D), ==,
        GST_FLOW_OK);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  g_object_get (stream.element, "stats", &total, NULL);
  g_assert_cmpuint (get_count (total, "rows"), ==, N);
  g_assert_cmpuint (get_count (total, "steps"), ==, 0);
  g_assert_cmpfloat_with_epsilon (get_double (total, "mse"), metrics->mse,
      1e-6 * metrics->mse);
  g_assert_cmpfloat_with_epsilon (get_double (total, "fvu"), metrics->fvu,
      1e-6);
  g_assert_cmpfloat_with_epsilon (get_double (total, "l0"), metrics->l0, 1e-9);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/control/" name, test)
  ADD ("value-of-first-row-of-batch", test_value_of_first_row);
  ADD ("left-out-rows-take-time", test_left_out_rows_take_time);
  ADD ("no-time-keeps-the-value", test_no_time_keeps_the_value);
  ADD ("frozen-in-mid-stream", test_frozen_in_mid_stream);
  ADD ("frozen-totals-are-the-models", test_frozen_totals);
  return stream_run_tests ();
}
