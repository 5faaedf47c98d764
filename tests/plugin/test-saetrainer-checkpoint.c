/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checkpoints on a stream: taken at the same row for any cut, written beside
 * it, and resumed to the same bytes. */
#include <glib/gstdio.h>
#include <unistd.h>

#include "expect.h"
#include "sae-enum-types.h"
#include "training.h"

#define ROWS 203
#define PATIENCE (10 * G_TIME_SPAN_SECOND)

static gchar *
checkpoint_path (Training *training)
{
  return g_build_filename (training->folder, "checkpoint", NULL);
}

/* @rows: kept from other runs' batches in the mixer. */
static Stream
checkpointed (Training *training, guint64 interval, SaeResume resume,
    guint64 shuffle)
{
  g_autofree gchar *path = checkpoint_path (training);
  Stream stream = training_stream (training);

  /* Settings of a run hold from its start on. */
  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "checkpoint-location", path,
      "checkpoint-interval", interval, "resume", resume, "shuffle-rows",
      shuffle, "n-threads", 1u, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  gst_pad_set_active (stream.harness->srcpad, FALSE);
  gst_pad_set_active (stream.harness->srcpad, TRUE);
  stream_send_dims (&stream, "float32", "16:20");
  return stream;
}

static void
push (Stream *stream, gsize from, gsize to, gsize cut)
{
  g_autofree float *x = stream_rows (3, ROWS, D);

  for (gsize at = from; at < to; at += cut)
    g_assert_cmpint (stream_push_floats (stream, x + at * D,
                         MIN (cut, to - at) * D),
        ==, GST_FLOW_OK);
}

/* What the library makes of all rows in one go. */
static void
make_reference (Training *training, guint64 shuffle)
{
  g_autofree float *x = stream_rows (3, ROWS, D);
  g_autoptr (SaeTrainer) reference = training_reference ();

  g_object_set (reference, "shuffle-rows", shuffle, NULL);
  training_push (reference, x, NULL, ROWS);
  training_finish (training, reference);
}

static guint64
rows_in (const gchar *path)
{
  g_autoptr (SaeCheckpoint) checkpoint = sae_checkpoint_load (path, NULL);

  return checkpoint ? sae_checkpoint_get_rows (checkpoint) : 0;
}

/* The file once it is of @rows. */
static GBytes *
wait_for (Training *training, guint64 rows)
{
  g_autofree gchar *path = checkpoint_path (training);
  gint64 end = g_get_monotonic_time () + PATIENCE;

  while (rows_in (path) != rows) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
  return stream_load_file (training->folder, "checkpoint");
}

static void
test_resumes (Training *training, gconstpointer data)
{
  static const guint64 shuffle[] = {0, 30};

  for (guint i = 0; i < 2 * 2 * 3; i++) {
    const gsize stops[] = {1, 64, 117};
    gsize stop = stops[i % 3];
    gboolean replay = i / 3 % 2;
    make_reference (training, shuffle[i / 6]);
    { /* ended by EOS, or stopped as Ctrl-C does */
      g_auto (Stream) stream = checkpointed (training, replay ? 0 : 50,
          SAE_RESUME_NO, shuffle[i / 6]);
      push (&stream, 0, stop, 20);
      if (replay)
        gst_harness_push_event (stream.harness, gst_event_new_eos ());
      gst_element_set_state (stream.element, GST_STATE_NULL);
      stream_expect_no_error (&stream);
    }
    {
      g_auto (Stream) stream = checkpointed (training, 17,
          replay ? SAE_RESUME_REPLAY : SAE_RESUME_CONTINUE, shuffle[i / 6]);
      push (&stream, replay ? 0 : stop, ROWS, 7);
      expect_with ("stopped after %u rows, %s", (guint) stop,
          replay ? "replayed" : "continued");
      training_expect_equal (training, &stream);
    }
    stream_remove_folder (checkpoint_path (training));
    stream_remove_folder (g_strdup (training->got));
    stream_remove_folder (g_strdup (training->want));
  }
}

static void
test_same_row_for_any_cut (Training *training, gconstpointer data)
{
  static const gsize cuts[] = {100, 1, 7, 13, 39};
  g_autoptr (GBytes) want = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    g_auto (Stream) stream = checkpointed (training, 39, SAE_RESUME_NO, 10);
    g_autoptr (GBytes) got = NULL;
    push (&stream, 0, 40, cuts[i]);
    got = wait_for (training, 39);
    if (want)
      expect_same_bytes ("checkpoint", got, want);
    else
      want = g_bytes_ref (got);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    g_bytes_unref (wait_for (training, 40));
    stream_remove_folder (checkpoint_path (training));
  }
}

/* The last one is of the state before EOS trains what does not fill a batch:
 * with more data the run goes on as if never stopped. */
static void
test_last_one_is_before_the_last_batch (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = checkpointed (training, 0, SAE_RESUME_NO, 0);
  g_autofree gchar *path = checkpoint_path (training);
  g_autoptr (SaeCheckpoint) checkpoint = NULL;

  push (&stream, 0, 20, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  checkpoint = sae_checkpoint_load (path, NULL); /* there when EOS has gone */
  g_assert_nonnull (checkpoint);
  g_assert_cmpuint (sae_checkpoint_get_rows (checkpoint), ==, 20);
  g_assert_cmpuint (sae_checkpoint_get_steps (checkpoint), ==, 20 / BATCH);
  g_assert_cmpint (g_remove (path), ==, 0);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
test_no_file_starts_anew (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = checkpointed (training, 0, SAE_RESUME_REPLAY, 0);
  g_autoptr (GstMessage) info = stream_pop (&stream, GST_MESSAGE_INFO);

  g_assert_nonnull (info);
  make_reference (training, 0);
  push (&stream, 0, ROWS, 20);
  training_expect_equal (training, &stream);
}

/* A stream that ends before the run is where it was is another one: nothing
 * that the run has is replaced, whether it is said, with no row at all too, or
 * the element is just stopped, or it has failed before. */
static void
test_replay_of_a_shorter_stream (Training *training, gconstpointer data)
{
  enum { ENDS, HAS_NO_ROWS, IS_STOPPED, FAILS };

  for (guint how = ENDS; how <= FAILS; how++) {
    g_autoptr (GBytes) weights = NULL, checkpoint = NULL, after = NULL;
    g_autoptr (GBytes) checkpoint_after = NULL;
    {
      g_auto (Stream) stream = checkpointed (training, 0, SAE_RESUME_NO, 0);
      g_object_set (stream.element, "average", (gint64) 0, NULL);
      push (&stream, 0, ROWS, 20);
      gst_harness_push_event (stream.harness, gst_event_new_eos ());
    }
    weights = stream_load_file (training->got, "sae_weights.safetensors");
    checkpoint = stream_load_file (training->folder, "checkpoint");
    {
      g_auto (Stream) stream = checkpointed (training, 0, SAE_RESUME_REPLAY, 0);
      g_object_set (stream.element, "average", (gint64) 0, NULL);
      if (how != HAS_NO_ROWS)
        push (&stream, 0, 100, 20);
      if (how == FAILS)
        g_assert_cmpint (stream_push (&stream, stream_buffer (training, 7)), ==,
            GST_FLOW_ERROR);
      if (how != IS_STOPPED)
        gst_harness_push_event (stream.harness, gst_event_new_eos ());
      if (how == FAILS)
        stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
            "7", NULL);
      else if (how != IS_STOPPED)
        stream_expect_error (&stream, GST_LIBRARY_ERROR,
            GST_LIBRARY_ERROR_SETTINGS, "expected the 203 rows of",
            how == ENDS ? "ended after 100" : "ended after 0", NULL);
      gst_element_set_state (stream.element, GST_STATE_NULL);
      stream_expect_no_error (&stream);
    }
    after = stream_load_file (training->got, "sae_weights.safetensors");
    checkpoint_after = stream_load_file (training->folder, "checkpoint");
    expect_same_bytes ("weights", after, weights);
    expect_same_bytes ("checkpoint", checkpoint_after, checkpoint);
  }
}

static void
expect_no_start (Training *training, const gchar *path, SaeResume resume,
    GQuark domain, gint code, const gchar *part)
{
  g_auto (Stream) stream = stream_new_alone ("saetrainer",
      "checkpoint-location", path, "resume", resume, NULL);

  for (guint i = 0; i < 2; i++) {
    g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED),
        ==, GST_STATE_CHANGE_FAILURE);
    stream_expect_error (&stream, domain, code, part, NULL);
    gst_element_set_state (stream.element, GST_STATE_NULL);
  }
}

static void
test_found_out_at_the_start (Training *training, gconstpointer data)
{
  g_autofree gchar *path = checkpoint_path (training);
  g_autofree gchar *inside = g_build_filename (path, "x", NULL);

  g_assert_true (g_file_set_contents (path, "no checkpoint at all", -1, NULL));
  expect_no_start (training, path, SAE_RESUME_CONTINUE, GST_STREAM_ERROR,
      GST_STREAM_ERROR_FORMAT, path);
  expect_no_start (training, NULL, SAE_RESUME_CONTINUE, GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "checkpoint-location");
  expect_no_start (training, training->folder, SAE_RESUME_NO,
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE, "found a folder");
  expect_no_start (training, inside, SAE_RESUME_NO, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_WRITE, path);
}

/* A mistyped path costs nobody a file; half a checkpoint is still one. */
static void
test_other_files_are_refused (Training *training, gconstpointer data)
{
  static const gchar *const contents[] = {"x", "a thesis, much work in all",
      "\x93NUMPY and many numbers that took a week"};
  g_autofree gchar *path = checkpoint_path (training);

  for (guint i = 0; i < G_N_ELEMENTS (contents); i++) {
    g_autofree gchar *after = NULL;
    g_assert_true (g_file_set_contents (path, contents[i], -1, NULL));
    expect_no_start (training, path, SAE_RESUME_NO, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_WRITE, "another file");
    g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
    g_assert_cmpstr (after, ==, contents[i]);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
  for (guint i = 0; i < 2; i++) {
    g_auto (Stream) stream = checkpointed (training, 0, SAE_RESUME_NO, 0);
    push (&stream, 0, 20, 20);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    stream_expect_no_error (&stream);
    g_assert_cmpuint (rows_in (path), ==, 20);
    g_assert_cmpint (truncate (path, 200), ==, 0);
  }
}

static void
test_contradiction (Training *training, gconstpointer data)
{
  for (guint i = 0; i < 2; i++) {
    g_auto (Stream) stream = checkpointed (training, 0,
        i ? SAE_RESUME_CONTINUE : SAE_RESUME_NO, 5 * i);
    g_autofree float *x = stream_rows (3, 20, D);
    g_assert_cmpint (stream_push_floats (&stream, x, 20 * D), ==,
        i ? GST_FLOW_ERROR : GST_FLOW_OK);
    if (i)
      stream_expect_error (&stream, GST_LIBRARY_ERROR,
          GST_LIBRARY_ERROR_SETTINGS, "shuffle-rows",
          "expected the checkpoint's 0, got 5", NULL);
    gst_element_set_state (stream.element, GST_STATE_NULL);
  }
}

/* The disk goes away and comes back: one WARNING, the training is as if
 * nothing had been, and what could not be written is when the element stops. */
static void
test_failed_write (Training *training, gconstpointer data)
{
  g_autofree gchar *path = checkpoint_path (training);
  g_auto (Stream) stream = checkpointed (training, 20, SAE_RESUME_NO, 0);

  make_reference (training, 0);
  g_assert_cmpint (g_mkdir (path, 0700), ==, 0); /* in the way */
  push (&stream, 0, ROWS, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  training_expect_same_files (training);
  g_assert_cmpuint (stream_count (&stream, GST_MESSAGE_WARNING), ==, 1);
  stream_expect_no_error (&stream);
  g_assert_cmpint (g_rmdir (path), ==, 0);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  stream_expect_no_error (&stream);
  g_assert_cmpuint (stream_count (&stream, GST_MESSAGE_WARNING), ==, 0);
  g_assert_cmpuint (rows_in (path), ==, ROWS);
}

static void
flush (Stream *stream)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (stream->harness, gst_event_new_flush_start ());
  gst_harness_push_event (stream->harness, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (stream->harness, gst_event_new_segment (&segment));
}

/* Rows that a flush dropped are not in a checkpoint that comes later, though
 * no row came in between. */
static void
test_flush (Training *training, gconstpointer data)
{
  g_autofree float *x = stream_rows (3, ROWS, D);
  g_autoptr (SaeTrainer) reference = training_reference ();

  training_push (reference, x, NULL, 16);
  training_push (reference, x + 20 * D, NULL, ROWS - 20);
  training_finish (training, reference);
  {
    g_auto (Stream) stream = checkpointed (training, 20, SAE_RESUME_NO, 0);
    push (&stream, 0, 20, 20);
    g_bytes_unref (wait_for (training, 20));
    flush (&stream);
    gst_element_set_state (stream.element, GST_STATE_NULL);
  }
  {
    g_auto (Stream) stream = checkpointed (training, 0, SAE_RESUME_CONTINUE, 0);
    push (&stream, 20, ROWS, 20);
    training_expect_equal (training, &stream);
  }
}

/* Each checkpoint of a stream that is slower than its writer is written; all
 * of them load. */
static void
test_many (Training *training, gconstpointer data)
{
  g_autofree gchar *path = checkpoint_path (training);
  g_auto (Stream) stream = checkpointed (training, 1, SAE_RESUME_NO, 0);
  guint64 rows = 0;

  for (gsize at = 0; at < ROWS; at += 5) {
    guint64 now = rows_in (path);
    push (&stream, at, MIN (at + 5, ROWS), 5);
    g_assert_cmpuint (now, >=, rows);
    rows = now;
  }
  gst_element_set_state (stream.element, GST_STATE_NULL);
  stream_expect_no_error (&stream);
  g_assert_cmpuint (rows_in (path), ==, ROWS);
}

/* What is loaded before the first rows comes before what was resumed. */
static void
test_load_comes_first (Training *training, gconstpointer data)
{
  g_autofree gchar *folder = NULL;
  const SaeConfig config = {.d_in = D, .d_sae = F, .k = K};

  folder = stream_save_model (training->folder, "model", &config, 8);
  for (guint i = 0; i < 2; i++) {
    g_auto (Stream) stream =
        checkpointed (training, 0, i ? SAE_RESUME_CONTINUE : SAE_RESUME_NO, 0);
    gboolean loaded = FALSE;
    if (i)
      g_signal_emit_by_name (stream.element, "load", folder, &loaded);
    g_assert_cmpint (loaded, ==, (gint) i);
    push (&stream, 0, 100, 20);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    stream_expect_no_error (&stream);
    g_bytes_unref (wait_for (training, 100)); /* not 200 */
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/checkpoint/" name, test)
  ADD ("replay-of-a-shorter-stream", test_replay_of_a_shorter_stream);
  ADD ("resumed-runs-end-in-the-same-bytes", test_resumes);
  ADD ("taken-at-the-same-row-for-any-cut", test_same_row_for_any_cut);
  ADD ("the-last-one-is-before-the-last-batch",
      test_last_one_is_before_the_last_batch);
  ADD ("no-file-starts-anew", test_no_file_starts_anew);
  ADD ("found-out-at-the-start", test_found_out_at_the_start);
  ADD ("other-files-are-refused", test_other_files_are_refused);
  ADD ("contradicting-options-are-an-error", test_contradiction);
  ADD ("failed-write-is-a-warning", test_failed_write);
  ADD ("flushed-rows-do-not-come-back", test_flush);
  ADD ("many", test_many);
  ADD ("load-comes-first", test_load_comes_first);
  return stream_run_tests ();
}
