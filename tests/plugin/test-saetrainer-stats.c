/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Messages, properties, and what saetrainer asks upstream. */
#include <gst/controller/gstdirectcontrolbinding.h>
#include <gst/controller/gstinterpolationcontrolsource.h>
#include <math.h>
#include <string.h>

#include "sae-enum-types.h"
#include "training.h"

static void
push_rows (Stream *stream, guint32 seed, gsize n, GstClockTime pts,
    GstClockTime duration)
{
  g_autofree float *x = stream_rows (seed, n, D);
  GstBuffer *buffer = stream_buffer (x, n * D * sizeof *x);

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  g_assert_cmpint (stream_push (stream, buffer), ==, GST_FLOW_OK);
}

static guint64
get_uint64 (const GstStructure *s, const gchar *field)
{
  guint64 value = G_MAXUINT64;

  if (!gst_structure_get_uint64 (s, field, &value))
    g_error ("no uint64 %s", field);
  return value;
}

static double
get_double (const GstStructure *s, const gchar *field)
{
  double value = NAN;

  if (!gst_structure_get_double (s, field, &value))
    g_error ("no double %s", field);
  return value;
}

static const GstStructure *
get_total (const GstStructure *s)
{
  g_assert_true (
      gst_structure_has_field_typed (s, "total", GST_TYPE_STRUCTURE));
  return gst_value_get_structure (gst_structure_get_value (s, "total"));
}

/* --- messages ------------------------------------------------------------- */

static const gchar *const counters[] = {"rows", "steps", "skipped-rows"};
static const gchar *const figures[] = {"loss", "mse", "l1", "fvu",
    "explained-variance", "cosine", "norm-ratio", "l0", "dead-fraction",
    "gradient-norm", "learning-rate", "rows-per-second"};

static void
expect_figures (const GstStructure *s)
{
  for (guint i = 0; i < G_N_ELEMENTS (counters); i++)
    get_uint64 (s, counters[i]);
  for (guint i = 0; i < G_N_ELEMENTS (figures); i++)
    g_assert_true (isfinite (get_double (s, figures[i])));
}

static void
test_fields (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (GstStructure) final = NULL;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20, 100, 50);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  final = training_final_stats (&stream);
  expect_figures (final);
  expect_figures (get_total (final));
  g_assert_cmpuint (get_uint64 (final, "total-rows"), ==, 20);
  g_assert_cmpuint (get_uint64 (final, "dropped-rows"), ==, 0);
  g_assert_cmpuint (get_uint64 (final, "timestamp"), ==, 100);
  g_assert_cmpuint (get_uint64 (final, "endtime"), ==, 150);
  g_assert_cmpuint (get_uint64 (final, "duration"), ==, 50);
  g_assert_cmpuint (get_uint64 (final, "stream-time"), ==, 100);
  g_assert_cmpuint (get_uint64 (final, "running-time"), ==, 100);
}

/* Ctrl-C must not cost the last figures: one final message, at EOS or when the
 * element is stopped before it. */
static void
test_final_when_stopped (Training *training, gconstpointer data)
{
  for (guint eos = 0; eos < 2; eos++) {
    g_auto (Stream) stream = training_stream (training);
    g_autoptr (GstStructure) final = NULL;
    stream_send_dims (&stream, "float32", "16:20");
    push_rows (&stream, 1, 20, 0, 10);
    if (eos)
      gst_harness_push_event (stream.harness, gst_event_new_eos ());
    gst_element_set_state (stream.element, GST_STATE_READY);
    final = training_final_stats (&stream);
    g_assert_cmpuint (get_uint64 (final, "total-rows"), ==, 20);
    g_assert_cmpuint (get_uint64 (final, "steps"), ==, 3); /* 8 + 8 + 4 */
  }
}

/* Each message is of the rows since the one before; total is of all. */
static void
test_since_last_and_total (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  guint64 sum = 0;

  g_object_set (stream.element, "stats-interval", (guint64) 1, NULL);
  stream_send_dims (&stream, "float32", "16:16");
  for (guint i = 0; i < 20; i++) {
    g_autofree float *x = stream_rows (i, 2 * BATCH, D);
    g_autoptr (SaeMetrics) total = NULL;
    GstMessage *message;
    push_rows (&stream, i, 2 * BATCH, i * 10, 10);
    g_usleep (1);
    training_push (reference, x, NULL, 2 * BATCH);
    total = sae_trainer_get_metrics (reference);
    while ((message = stream_pop (&stream, GST_MESSAGE_ELEMENT)) != NULL) {
      const GstStructure *s = gst_message_get_structure (message);
      gboolean final = TRUE;
      gst_structure_get_boolean (s, "final", &final);
      g_assert_false (final);
      sum += get_uint64 (s, "rows");
      g_assert_cmpuint (get_uint64 (s, "total-rows"), ==, sum);
      g_assert_cmpuint (get_uint64 (get_total (s), "rows"), ==, total->rows);
      g_assert_true (get_double (get_total (s), "fvu") == total->fvu);
      g_assert_true (get_double (get_total (s), "loss") == total->loss);
      gst_message_unref (message);
    }
  }
  g_assert_cmpuint (sum, >, 0);
}

/* An application may keep what it reads. */
static void
test_kept_messages (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  GList *kept = NULL;
  guint n = 1300;

  g_object_set (stream.element, "stats-interval", (guint64) 1, NULL);
  stream_send_dims (&stream, "float32", "16:1");
  for (guint i = 0; i < n; i++) {
    GstMessage *message;
    push_rows (&stream, i, 1, i, 1);
    g_usleep (1);
    while ((message = stream_pop (&stream, GST_MESSAGE_ELEMENT)) != NULL)
      kept = g_list_prepend (kept, message);
  }
  g_assert_cmpuint (g_list_length (kept), >=, n - 1);
  g_list_free_full (kept, (GDestroyNotify) gst_message_unref);
}

static GstPadProbeReturn
count_finals (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Stream *stream = data;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_EOS)
    gst_structure_free (training_final_stats (stream));
  return GST_PAD_PROBE_OK;
}

static void
test_final_before_eos (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  gst_pad_add_probe (stream.harness->sinkpad,
      GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, count_finals, &stream, NULL);
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20, 0, 1);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  gst_element_set_state (stream.element, GST_STATE_NULL);
  g_assert_null (stream_pop (&stream, GST_MESSAGE_ELEMENT));
}

static void
test_interval_0_is_final_only (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  g_object_set (stream.element, "stats-interval", (guint64) 0, NULL);
  stream_send_dims (&stream, "float32", "16:20");
  for (guint i = 0; i < 100; i++)
    push_rows (&stream, i, 20, i, 1);
  g_assert_null (stream_pop (&stream, GST_MESSAGE_ELEMENT));
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  gst_structure_free (training_final_stats (&stream));
}

static void
test_no_times (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (GstStructure) final = NULL;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  final = training_final_stats (&stream);
  g_assert_false (gst_structure_has_field (final, "timestamp"));
}

/* --- properties ----------------------------------------------------------- */

static void
test_stats_property (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (GstStructure) before = NULL;
  g_autoptr (GstStructure) after = NULL;
  guint64 steps = 0, rows = 0;

  g_object_get (stream.element, "stats", &before, NULL);
  expect_figures (before);
  g_assert_cmpuint (get_uint64 (before, "rows"), ==, 0);
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 2 * BATCH + 1, 0, 1);
  g_object_get (stream.element, "stats", &after, "steps", &steps, "rows", &rows,
      NULL);
  expect_figures (after);
  g_assert_cmpuint (get_uint64 (after, "rows"), ==, 2 * BATCH);
  g_assert_cmpuint (steps, ==, 2);
  g_assert_cmpuint (rows, ==, 2 * BATCH);
}

static GBytes *
weights_of (const gchar *folder)
{
  return stream_load_file (folder, "sae_weights.safetensors");
}

/* Frozen rows are measured and change nothing. */
static void
test_frozen (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (GstStructure) final = NULL;
  g_autoptr (GBytes) got = NULL;
  g_autoptr (GBytes) want = NULL;
  g_autofree float *x = stream_rows (1, 24, D);

  training_push (reference, x, NULL, 24);
  training_finish (training, reference);
  stream_send_dims (&stream, "float32", "16:24");
  push_rows (&stream, 1, 24, 0, 1);
  g_object_set (stream.element, "frozen", TRUE, NULL);
  push_rows (&stream, 2, 40, 1, 1);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  final = training_final_stats (&stream);
  g_assert_cmpuint (get_uint64 (final, "total-rows"), ==, 64);
  g_assert_cmpuint (get_uint64 (final, "steps"), ==, 3);
  got = weights_of (training->got);
  want = weights_of (training->want);
  g_assert_true (g_bytes_equal (got, want));
}

static void
test_mutability (Training *training, gconstpointer data)
{
  static const gchar *const live[] = {"learning-rate", "l1-coeff", "frozen",
      "stats-interval"};
  static const gchar *const ready[] = {"location", "dict-size", "top-k",
      "input-size", "sparsity", "seed", "batch-size", "optimizer", "total-rows",
      "n-threads"};
  static const gchar *const read_only[] = {"stats", "steps", "rows"};
  g_auto (Stream) stream = training_stream (training);
  GObjectClass *klass = G_OBJECT_GET_CLASS (stream.element);

  for (guint i = 0; i < G_N_ELEMENTS (live); i++)
    g_assert_true (g_object_class_find_property (klass, live[i])->flags &
                   GST_PARAM_MUTABLE_PLAYING);
  for (guint i = 0; i < G_N_ELEMENTS (ready); i++) {
    GParamSpec *pspec = g_object_class_find_property (klass, ready[i]);
    g_assert_true (pspec->flags & GST_PARAM_MUTABLE_READY);
    g_assert_false (pspec->flags & GST_PARAM_MUTABLE_PLAYING);
  }
  for (guint i = 0; i < G_N_ELEMENTS (read_only); i++)
    g_assert_false (g_object_class_find_property (klass, read_only[i])->flags &
                    G_PARAM_WRITABLE);
}

/* Properties that are not live hold from the next start on. */
static void
test_ready_properties_wait (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (1, 24, D);

  training_push (reference, x, NULL, 24);
  training_finish (training, reference);
  stream_send_dims (&stream, "float32", "16:24");
  push_rows (&stream, 1, 12, 0, 1);
  g_object_set (stream.element, "dict-size", 2 * F, "top-k", 1, "batch-size", 3,
      "seed", (guint64) 9, "optimizer", SAE_OPTIMIZER_SGD, "pre-bias", TRUE,
      NULL);
  g_assert_cmpint (stream_push_floats (&stream, x + 12 * D, 12 * D), ==,
      GST_FLOW_OK);
  training_expect_equal (training, &stream);
}

static void
test_learning_rate_is_live (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (GstStructure) stats = NULL;

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "warmup-rows", (gint64) 0, "learning-rate",
      0.001, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:24");
  push_rows (&stream, 1, BATCH, 0, 1);
  g_object_set (stream.element, "learning-rate", 0.25, NULL);
  push_rows (&stream, 2, BATCH, 0, 1);
  g_object_get (stream.element, "stats", &stats, NULL);
  g_assert_true (get_double (stats, "learning-rate") == 0.25);
}

/* A curve over stream time. */
static void
test_controlled (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  GstControlSource *curve = gst_interpolation_control_source_new ();
  GstTimedValueControlSource *points = GST_TIMED_VALUE_CONTROL_SOURCE (curve);

  g_object_set (curve, "mode", GST_INTERPOLATION_MODE_LINEAR, NULL);
  gst_timed_value_control_source_set (points, 0, 0.0);
  gst_timed_value_control_source_set (points, 10 * GST_SECOND, 0.5);
  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "warmup-rows", (gint64) 0, NULL);
  g_assert_true (gst_object_add_control_binding (GST_OBJECT (stream.element),
      gst_direct_control_binding_new_absolute (GST_OBJECT (stream.element),
          "learning-rate", curve)));
  gst_object_unref (curve);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 1; i < 10; i++) {
    g_autoptr (GstStructure) stats = NULL;
    push_rows (&stream, i, BATCH, i * GST_SECOND, GST_SECOND);
    g_object_get (stream.element, "stats", &stats, NULL);
    g_assert_cmpfloat_with_epsilon (get_double (stats, "learning-rate"),
        0.05 * i, 1e-9);
    /* Without a time the value stays. */
    g_clear_pointer (&stats, gst_structure_free);
    push_rows (&stream, i, BATCH, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
    g_object_get (stream.element, "stats", &stats, NULL);
    g_assert_cmpfloat_with_epsilon (get_double (stats, "learning-rate"),
        0.05 * i, 1e-9);
  }
}

/* --- length of the stream ------------------------------------------------- */

/* What the test's source pad answers; 0 is no answer. */
typedef struct {
  gint64 row_bytes; /* DEFAULT to BYTES */
  gint64 rows;      /* duration in DEFAULT */
  gint64 time;      /* duration in TIME */
} Upstream;

static gboolean
answer (GstPad *pad, GstObject *parent, GstQuery *query)
{
  const Upstream *upstream = g_object_get_data (G_OBJECT (pad), "upstream");
  GstFormat from, to;
  gint64 value;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_CONVERT:
      gst_query_parse_convert (query, &from, &value, &to, NULL);
      if (!upstream->row_bytes || from != GST_FORMAT_DEFAULT ||
          to != GST_FORMAT_BYTES)
        return FALSE;
      gst_query_set_convert (query, from, value, to,
          value * upstream->row_bytes);
      return TRUE;
    case GST_QUERY_DURATION:
      gst_query_parse_duration (query, &from, NULL);
      value = from == GST_FORMAT_DEFAULT ? upstream->rows
              : from == GST_FORMAT_TIME  ? upstream->time
                                         : 0;
      gst_query_set_duration (query, from, value);
      return value != 0;
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

/* Trains @n rows where upstream answers so, and asserts the bytes of a run
 * whose total-rows was set to @expected. */
static void
expect_length (Training *training, Upstream upstream, const gchar *framerate,
    guint64 set, guint64 expected)
{
  const gsize n = 10 * BATCH;
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (1, n, D);
  GstCaps *caps = stream_caps ("float32", "16:20");
  guint64 total = 0;

  gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION,
      framerate ? atoi (framerate) : 0, 1, NULL);
  g_object_set_data (G_OBJECT (stream.harness->srcpad), "upstream", &upstream);
  gst_pad_set_query_function (stream.harness->srcpad, answer);
  g_object_set (stream.element, "total-rows", set, NULL);
  gst_element_set_state (stream.element, GST_STATE_READY);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_caps (&stream, caps);
  for (gsize r = 0; r < n; r += 20)
    g_assert_cmpint (stream_push_floats (&stream, x + r * D, 20 * D), ==,
        GST_FLOW_OK);
  g_object_set (reference, "total-rows", expected, NULL);
  training_push (reference, x, NULL, n);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  g_object_get (stream.element, "total-rows", &total, NULL);
  g_assert_cmpuint (total, ==, set);
}

static void
test_length (Training *training, gconstpointer data)
{
  /* rows, where one of them is a row of ours */
  expect_length (training, (Upstream){64, 100, 0}, NULL, 0, 100);
  /* or something else, which says nothing about rows */
  expect_length (training, (Upstream){32, 100, 0}, NULL, 0, 0);
  expect_length (training, (Upstream){0, 100, 0}, NULL, 0, 0);
  /* 4 buffers of 20 rows a second, 2 seconds */
  expect_length (training, (Upstream){0, 0, 2 * GST_SECOND}, "4", 0, 160);
  expect_length (training, (Upstream){32, 100, 2 * GST_SECOND}, "4", 0, 160);
  expect_length (training, (Upstream){0, 0, 2 * GST_SECOND}, NULL, 0, 0);
  /* what was set wins */
  expect_length (training, (Upstream){64, 100, 0}, NULL, 120, 120);
  expect_length (training, (Upstream){0, 0, 0}, NULL, 0, 0);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/" name, test)
  ADD ("final-when-stopped", test_final_when_stopped);
  ADD ("stats/fields", test_fields);
  ADD ("stats/since-last-and-total", test_since_last_and_total);
  ADD ("stats/those-that-are-kept-do-not-wait", test_kept_messages);
  ADD ("stats/final-once-before-eos", test_final_before_eos);
  ADD ("stats/interval-0-is-final-only", test_interval_0_is_final_only);
  ADD ("stats/no-times", test_no_times);
  ADD ("stats/property", test_stats_property);
  ADD ("properties/frozen", test_frozen);
  ADD ("properties/mutability", test_mutability);
  ADD ("properties/ready-ones-wait", test_ready_properties_wait);
  ADD ("properties/learning-rate-is-live", test_learning_rate_is_live);
  ADD ("properties/controlled", test_controlled);
  ADD ("length-from-upstream", test_length);
  return stream_run_tests ();
}
