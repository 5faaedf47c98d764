/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Saving, stopping, starting again. */
#include <string.h>

#include <glib/gstdio.h>

#include "fault.h"
#include "sae-enum-types.h"
#include "training.h"

/* How long anything may hang before that is a failure. */
#define PATIENCE (60 * G_TIME_SPAN_SECOND)

static void
push_rows (Stream *stream, guint32 seed, gsize n)
{
  g_autofree float *x = stream_rows (seed, n, D);

  g_assert_cmpint (stream_push_floats (stream, x, n * D), ==, GST_FLOW_OK);
}

static void
push_reference (SaeTrainer *trainer, guint32 seed, gsize n)
{
  g_autofree float *x = stream_rows (seed, n, D);

  training_push (trainer, x, NULL, n);
}

static void
test_saves_at_eos (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeModel) model = NULL;
  GError *error = NULL;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_false (g_file_test (training->got, G_FILE_TEST_EXISTS));
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  model = sae_model_load (training->got, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_model_get_d_in (model), ==, D);
  g_assert_cmpuint (sae_model_get_d_sae (model), ==, F);
  g_assert_cmpuint (sae_model_get_k (model), ==, K);
}

static void
test_saves_when_stopped (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  push_reference (reference, 1, 21);
  training_finish (training, reference);
  stream_send_dims (&stream, "float32", "16:21");
  push_rows (&stream, 1, 21);
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_READY), ==,
      GST_STATE_CHANGE_SUCCESS);
  stream_expect_no_error (&stream);
  training_expect_same_files (training);
}

/* Half a row fails the stream; what was trained before is not lost. */
static void
test_saves_after_error (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  push_reference (reference, 1, 20);
  training_finish (training, reference);
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_cmpint (stream_push (&stream, stream_buffer (reference, 7)), ==,
      GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "7",
      NULL);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  training_expect_same_files (training);
}

static void
test_saves_once (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_remove_folder (g_strdup (training->got));
  gst_element_set_state (stream.element, GST_STATE_READY);
  g_assert_false (g_file_test (training->got, G_FILE_TEST_EXISTS));
}

static void
expect_warning (Stream *stream, gboolean expected)
{
  g_autoptr (GstMessage) message = stream_pop (stream, GST_MESSAGE_WARNING);

  g_assert_true ((message != NULL) == expected);
}

static void
test_nothing_trained (Training *training, gconstpointer data)
{
  for (guint i = 0; i < 4; i++) {
    g_auto (Stream) stream = training_stream (training);
    g_object_set (stream.element, "frozen", i == 3, NULL);
    if (i > 0)
      stream_send_dims (&stream, "float32", "16:20");
    if (i == 2)
      g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==,
          GST_FLOW_OK);
    if (i == 3)
      push_rows (&stream, 1, 20);
    if (i > 0)
      gst_harness_push_event (stream.harness, gst_event_new_eos ());
    /* who waited for a dictionary is told; who measured did not */
    expect_warning (&stream, i == 1 || i == 2);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    stream_expect_no_error (&stream);
    g_assert_false (g_file_test (training->got, G_FILE_TEST_EXISTS));
  }
}

/* --- places that cannot be written ---------------------------------------- */

static void
expect_no_start (const gchar *location, const gchar *part)
{
  g_auto (Stream) stream =
      stream_new_alone ("saetrainer", "location", location, NULL);

  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      part, NULL);
}

static void
test_probes_at_start (Training *training, gconstpointer data)
{
  g_autofree gchar *file = g_build_filename (training->folder, "file", NULL);
  g_autofree gchar *inside = g_build_filename (file, "out", NULL);
  g_autofree gchar *others =
      g_build_filename (training->got, "thesis.tex", NULL);

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  expect_no_start ("", "expected a path");
  expect_no_start (file, file);
  expect_no_start (inside, file);
  g_assert_cmpint (g_mkdir (training->got, 0700), ==, 0);
  g_assert_true (g_file_set_contents (others, "", 0, NULL));
  expect_no_start (training->got, training->got);
  g_assert_true (g_file_test (others, G_FILE_TEST_EXISTS));
}

/* Somebody puts files in the way while it trains: one error, EOS goes on, and
 * the element stops; what was in the way stays, and what was trained is beside
 * it. */
static void
test_final_save_fails (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *others =
      g_build_filename (training->got, "thesis.tex", NULL);
  g_autofree gchar *taken = g_strconcat (training->got, "-saved", NULL);
  g_autofree gchar *aside = g_strconcat (training->got, "-saved-2", NULL);
  GstEvent *eos;

  g_assert_cmpint (g_mkdir (taken, 0700), ==, 0); /* by somebody else */

  push_reference (reference, 1, 20);
  training_finish (training, reference);

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_cmpint (g_mkdir (training->got, 0700), ==, 0);
  g_assert_true (g_file_set_contents (others, "", 0, NULL));
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      training->got, aside, NULL);
  eos = gst_pad_get_sticky_event (stream.harness->sinkpad, GST_EVENT_EOS, 0);
  g_assert_nonnull (eos);
  gst_event_unref (eos);
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  stream_expect_no_error (&stream);
  g_assert_true (g_file_test (others, G_FILE_TEST_EXISTS));
  g_free (g_steal_pointer (&training->got));
  training->got = g_steal_pointer (&aside);
  training_expect_same_files (training);
  g_assert_cmpint (g_rmdir (taken), ==, 0);
}

/* A run writes where it was told to when it started, as a path was then. */
static void
test_places_are_those_of_the_start (Training *training, gconstpointer data)
{
  static const gchar *const names[] = {"log", "metrics", "checkpoint"};
  g_autofree gchar *before = g_get_current_dir ();
  g_autofree gchar *elsewhere =
      g_build_filename (training->folder, "elsewhere", NULL);
  g_autoptr (SaeTrainer) reference = training_reference ();
  Stream stream = training_stream (training);
  GDir *folder;

  push_reference (reference, 1, 40);
  training_finish (training, reference);
  g_assert_cmpint (g_mkdir (elsewhere, 0700), ==, 0);
  g_assert_cmpint (g_chdir (training->folder), ==, 0);
  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "location", "got", "log-location", names[0],
      "metrics-location", names[1], "checkpoint-location", names[2],
      "checkpoint-interval", (guint64) 10, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  gst_pad_set_active (stream.harness->srcpad, FALSE);
  gst_pad_set_active (stream.harness->srcpad, TRUE);
  stream_send_dims (&stream, "float32", "16:40");
  g_assert_cmpint (g_chdir (elsewhere), ==, 0);
  g_object_set (stream.element, "location", "/nowhere", "layout", "nonsense",
      "checkpoint-location", NULL, NULL);
  push_rows (&stream, 1, 40);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  gst_element_set_state (stream.element, GST_STATE_NULL);
  stream_expect_no_error (&stream);
  stream_clear (&stream);
  g_assert_cmpint (g_chdir (before), ==, 0);
  training_expect_same_files (training);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GBytes) file = stream_load_file (training->folder, names[i]);
    g_assert_cmpuint (g_bytes_get_size (file), >, 0);
  }
  folder = g_dir_open (elsewhere, 0, NULL);
  g_assert_null (g_dir_read_name (folder));
  g_dir_close (folder);
}

/* The place is free again when the element stops. */
static void
test_failed_save_is_tried_again (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  push_reference (reference, 1, 20);
  training_finish (training, reference);
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_true (g_file_set_contents (training->got, "", 0, NULL));
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      training->got, NULL);
  g_remove (training->got);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  stream_expect_no_error (&stream);
  training_expect_same_files (training);
}

/* That nothing was trained goes without saying after an error. */
static void
test_errors_are_told_once (Training *training, gconstpointer data)
{
  for (guint i = 0; i < 2; i++) {
    g_auto (Stream) stream = training_stream (training);
    if (i == 0)
      g_object_set (stream.element, "top-k", F + 1, NULL);
    stream_send_dims (&stream, "float32", i ? "16:20:2:2" : "16:20");
    if (i == 0) {
      g_autofree float *x = stream_rows (1, 20, D);
      g_assert_cmpint (stream_push_floats (&stream, x, 20 * D), ==,
          GST_FLOW_ERROR);
    } else {
      stream_send_dims (&stream, "int8", "16:20");
    }
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    g_assert_cmpuint (stream_count (&stream, GST_MESSAGE_WARNING), ==, 0);
    gst_element_set_state (stream.element, GST_STATE_NULL);
  }
}

static void
test_metadata (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeModel) model = NULL;

  g_object_set (stream.element, "metadata",
      "model_name=MiniLM, hook_name = encoder.layer.3 ", NULL);
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  model = sae_model_load (training->got, NULL);
  g_assert_cmpstr (sae_model_get_metadata (model, "model_name"), ==, "MiniLM");
  g_assert_cmpstr (sae_model_get_metadata (model, "hook_name"), ==,
      "encoder.layer.3");
}

static const struct {
  const gchar *metadata, *part;
} malformed[] = {
    {"MiniLM", "key=value"},
    {"a=b,c", "key=value"},
    {"=x", "key=value"},
    {"a=b,,c=d", "key=value"},
    {"a=b,values=3", "values"},
    {"__x=3", "__x"},
    {"a=b\xff", "UTF-8"},
};

static void
test_metadata_malformed (Training *training, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (malformed); i++) {
    g_auto (Stream) stream = stream_new_alone ("saetrainer", "metadata",
        malformed[i].metadata, NULL);
    g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PLAYING),
        ==, GST_STATE_CHANGE_FAILURE);
    stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "metadata", malformed[i].part, NULL);
  }
}

/* What could not be saved in the end is not taken, and said at once. */
static void
test_metadata_malformed_while_playing (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeModel) model = NULL;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_object_set (stream.element, "metadata", "model_name=MiniLM", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (malformed); i++) {
    g_object_set (stream.element, "metadata", malformed[i].metadata, NULL);
    expect_warning (&stream, TRUE);
  }
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  model = sae_model_load (training->got, NULL);
  g_assert_cmpstr (sae_model_get_metadata (model, "model_name"), ==, "MiniLM");
}

/* --- flush, EOS and after ------------------------------------------------- */

static void
flush (Stream *stream)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (stream->harness, gst_event_new_flush_start ());
  gst_harness_push_event (stream->harness, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (stream->harness, gst_event_new_segment (&segment));
}

#define N_FLUSHES 10000

static void
test_flush_drops_partial_batch (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (GstStructure) final = NULL;
  guint64 dropped = 0, expected = 0;

  stream_send_dims (&stream, "float32", "16:20");
  for (guint i = 0; i < N_FLUSHES; i++) {
    gsize n = 1 + i * 7 % 23;
    gsize whole = n / BATCH * BATCH;
    g_autofree float *x = stream_rows (i, n, D);
    push_rows (&stream, i, n);
    training_push (reference, x, NULL, whole);
    expected += n - whole;
    flush (&stream);
  }
  push_rows (&stream, 999, 5);
  push_reference (reference, 999, 5);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  final = training_final_stats (&stream);
  gst_structure_get_uint64 (final, "dropped-rows", &dropped);
  g_assert_cmpuint (dropped, ==, expected);
  fault_report (12, N_FLUSHES, N_FLUSHES, 0);
}

static void
test_segments_change_nothing (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  static const GstFormat formats[] = {GST_FORMAT_BYTES, GST_FORMAT_TIME,
      GST_FORMAT_DEFAULT};

  stream_send_dims (&stream, "float32", "16:5");
  for (guint i = 0; i < 9; i++) {
    GstSegment segment;
    gst_segment_init (&segment, formats[i % 3]);
    gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
    push_rows (&stream, i, 5);
    push_reference (reference, i, 5);
  }
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

static void
test_data_after_eos (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (GstStructure) first = NULL;
  g_autoptr (GstStructure) second = NULL;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  first = training_final_stats (&stream);
  push_reference (reference, 1, 20);
  sae_trainer_flush (reference, NULL);

  gst_harness_push_event (stream.harness, gst_event_new_stream_start ("more"));
  flush (&stream);
  push_rows (&stream, 2, 13);
  push_reference (reference, 2, 13);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
  second = training_final_stats (&stream);
}

static void
test_starts_anew (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  push_reference (reference, 1, 20);
  training_finish (training, reference);
  for (guint i = 0; i < 3; i++) {
    stream_send_dims (&stream, "float32", "16:20");
    push_rows (&stream, i == 2 ? 1 : 5, 20);
    gst_element_set_state (stream.element,
        i == 1 ? GST_STATE_NULL : GST_STATE_READY);
    if (i == 2)
      break;
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    gst_pad_set_active (stream.harness->srcpad, FALSE);
    gst_pad_set_active (stream.harness->srcpad, TRUE);
  }
  stream_expect_no_error (&stream);
  training_expect_same_files (training);
}

/* Another width in the next run, though the first one told its own. */
static void
test_other_width_after_restart (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  float x[5 * 12] = {1, 2, 3};
  guint input_size = 99;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_get (stream.element, "input-size", &input_size, NULL);
  g_assert_cmpuint (input_size, ==, 0);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "12:5");
  g_assert_cmpint (stream_push_floats (&stream, x, 60), ==, GST_FLOW_OK);
  stream_expect_no_error (&stream);
}

static void
test_state_storm (Training *training, gconstpointer data)
{
  GstElement *element =
      gst_object_ref_sink (gst_element_factory_make ("saetrainer", NULL));
  guint n = g_test_slow () ? 10000 : 200;

  g_object_set (element, "location", training->got, "dict-size", F, "top-k", K,
      "n-threads", 2, NULL);
  for (guint i = 0; i < n; i++) {
    Stream stream = {gst_harness_new_with_element (element, "sink", "src"),
        element, NULL};
    stream_send_dims (&stream, "float32", "16:9");
    push_rows (&stream, i, 9);
    gst_element_set_state (element, i % 2 ? GST_STATE_NULL : GST_STATE_READY);
    gst_element_set_state (element, GST_STATE_NULL);
    gst_harness_teardown (stream.harness);
  }
  gst_object_unref (element);
  fault_report (14, n, n, 0);
}

/* --- downstream ----------------------------------------------------------- */

static GstPadProbeReturn
return_flow (GstPad *pad, GstPadProbeInfo *info, gpointer flow)
{
  gst_buffer_unref (GST_PAD_PROBE_INFO_BUFFER (info));
  GST_PAD_PROBE_INFO_FLOW_RETURN (info) = GPOINTER_TO_INT (flow);
  return GST_PAD_PROBE_HANDLED;
}

static void
test_flow_returned (Training *training, gconstpointer data)
{
  static const GstFlowReturn flows[] = {GST_FLOW_ERROR, GST_FLOW_FLUSHING,
      GST_FLOW_EOS, GST_FLOW_NOT_NEGOTIATED, GST_FLOW_CUSTOM_ERROR};

  for (guint i = 0; i < G_N_ELEMENTS (flows); i++) {
    g_auto (Stream) stream = training_stream (training);
    float x[D] = {1};
    gst_pad_add_probe (stream.harness->sinkpad, GST_PAD_PROBE_TYPE_BUFFER,
        return_flow, GINT_TO_POINTER (flows[i]), NULL);
    stream_send_dims (&stream, "float32", "16:1");
    g_assert_cmpint (stream_push_floats (&stream, x, D), ==, flows[i]);
    stream_expect_no_error (&stream);
  }
}

typedef struct {
  GMutex lock;
  GCond cond;
  gboolean blocked; /* lock */
} Block;

static GstPadProbeReturn
block (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Block *b = data;

  g_mutex_lock (&b->lock);
  b->blocked = TRUE;
  g_cond_signal (&b->cond);
  g_mutex_unlock (&b->lock);
  return GST_PAD_PROBE_OK; /* stays blocked */
}

/* The run has a thread of its own, pushing into a blocked pad. */
static void
stop_while_blocked (Training *training)
{
  GError *error = NULL;
  g_autofree gchar *launch = g_strdup_printf (
      "fakesrc sizetype=fixed sizemax=640 filltype=zero ! capsfilter "
      "caps=\"other/tensors,format=(string)static,num_tensors=(int)1,"
      "types=(string)float32,dimensions=(string)16:10,framerate=0/1\" ! "
      "saetrainer dict-size=%d top-k=%d batch-size=8 location=%s name=t ! "
      "fakesink",
      F, K, training->got);
  GstElement *pipeline = gst_parse_launch (launch, &error);
  g_autoptr (GstElement) trainer =
      gst_bin_get_by_name (GST_BIN (pipeline), "t");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (trainer, "src");
  Block b = {.blocked = FALSE};
  gint64 begin;

  g_assert_no_error (error);
  g_mutex_init (&b.lock);
  g_cond_init (&b.cond);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER,
      block, &b, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_mutex_lock (&b.lock);
  while (!b.blocked)
    g_cond_wait (&b.cond, &b.lock);
  g_mutex_unlock (&b.lock);
  begin = g_get_monotonic_time ();
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_assert_cmpint (g_get_monotonic_time () - begin, <, PATIENCE);
  gst_object_unref (pipeline);
  g_mutex_clear (&b.lock);
  g_cond_clear (&b.cond);
}

static void
test_null_while_blocked (Training *training, gconstpointer data)
{
  guint n = g_test_slow () ? 1000 : 20;

  for (guint i = 0; i < n; i++) {
    g_autoptr (SaeModel) model = NULL;
    stop_while_blocked (training);
    model = sae_model_load (training->got, NULL);
    g_assert_nonnull (model); /* the batch before the block was trained */
    stream_remove_folder (g_strdup (training->got));
  }
  fault_report (15, n, n, 0);
}

/* A sink that complains of late buffers. */
static void
test_qos_ignored (Training *training, gconstpointer data)
{
  for (guint qos = 0; qos < 2; qos++) {
    g_auto (Stream) stream = training_stream (training);
    g_autoptr (GstStructure) final = NULL;
    guint64 rows = 0;
    g_object_set (stream.element, "qos", qos, NULL);
    stream_send_dims (&stream, "float32", "16:4");
    gst_harness_push_upstream_event (stream.harness,
        gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 5.0, GST_SECOND, 0));
    for (guint i = 0; i < 10; i++) {
      g_autofree float *x = stream_rows (i, 4, D);
      GstBuffer *buffer = stream_buffer (x, 4 * D * sizeof *x);
      GST_BUFFER_PTS (buffer) = i;
      GST_BUFFER_DURATION (buffer) = 1;
      g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    }
    g_assert_cmpuint (gst_harness_buffers_in_queue (stream.harness), ==, 10);
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    final = training_final_stats (&stream);
    gst_structure_get_uint64 (final, "total-rows", &rows);
    g_assert_cmpuint (rows, ==, 40);
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/life/" name, test)
  ADD ("saves-at-eos", test_saves_at_eos);
  ADD ("saves-when-stopped", test_saves_when_stopped);
  ADD ("saves-after-error", test_saves_after_error);
  ADD ("saves-once", test_saves_once);
  ADD ("nothing-trained-nothing-written", test_nothing_trained);
  ADD ("probes-at-start", test_probes_at_start);
  ADD ("final-save-fails", test_final_save_fails);
  ADD ("places-are-those-of-the-start", test_places_are_those_of_the_start);
  ADD ("errors-are-told-once", test_errors_are_told_once);
  ADD ("failed-save-is-tried-again", test_failed_save_is_tried_again);
  ADD ("metadata", test_metadata);
  ADD ("metadata-malformed", test_metadata_malformed);
  ADD ("metadata-malformed-while-playing",
      test_metadata_malformed_while_playing);
  ADD ("flush-drops-partial-batch", test_flush_drops_partial_batch);
  ADD ("segments-change-nothing", test_segments_change_nothing);
  ADD ("data-after-eos", test_data_after_eos);
  ADD ("starts-anew", test_starts_anew);
  ADD ("other-width-after-restart", test_other_width_after_restart);
  ADD ("state-storm", test_state_storm);
  ADD ("flow-returned", test_flow_returned);
  ADD ("null-while-blocked", test_null_while_blocked);
  ADD ("qos-ignored", test_qos_ignored);
  return stream_run_tests ();
}
