/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * save, load and reset while saetrainer is in any state, and where a run
 * starts from. */
#include <string.h>

#include "training.h"

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

static gboolean
emit (Stream *stream, const gchar *action, const gchar *path)
{
  gboolean ok = FALSE;

  g_signal_emit_by_name (stream->element, action, path, &ok);
  return ok;
}

static void
expect_warning (Stream *stream, const gchar *part, const gchar *other_part)
{
  g_autoptr (GError) error = NULL;
  GstMessage *message = stream_pop (stream, GST_MESSAGE_WARNING);

  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, NULL);
  if (!strstr (error->message, part) || !strstr (error->message, other_part))
    g_error ("expected '%s' and '%s' in: %s", part, other_part, error->message);
  gst_message_unref (message);
  g_assert_null (gst_bus_pop_filtered (stream->bus, GST_MESSAGE_WARNING));
}

/* A dictionary that no run here starts with. (transfer full): its folder */
static gchar *
save_other (Training *training, guint d_in, guint d_sae)
{
  SaeConfig *config = sae_config_new (d_in, d_sae, K);
  gchar *path = stream_save_model (training->folder, "other", config, 99);

  sae_config_free (config);
  return path;
}

static SaeTrainer *
reference_from (const gchar *path)
{
  SaeTrainer *reference = training_reference ();
  g_autoptr (SaeModel) model = sae_model_load (path, NULL);
  GError *error = NULL;

  sae_trainer_start_from (reference, model, &error);
  g_assert_no_error (error);
  return reference;
}

static void
save_reference (Training *training, SaeTrainer *trainer)
{
  g_autoptr (SaeModel) model = sae_trainer_get_model (trainer, NULL);
  GError *error = NULL;

  sae_model_save (model, training->want, &error);
  g_assert_no_error (error);
}

/* Saves by the action, and asserts the bytes of @reference as it is now. */
static void
expect_saves (Training *training, Stream *stream, SaeTrainer *reference)
{
  save_reference (training, reference);
  g_assert_true (emit (stream, "save", training->got));
  training_expect_same_files (training);
}

/* --- save ----------------------------------------------------------------- */

static void
test_save_while_playing (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  stream_send_dims (&stream, "float32", "16:20");
  for (guint i = 0; i < 3; i++) {
    push_rows (&stream, i, 20);
    push_reference (reference, i, 20);
    expect_saves (training, &stream, reference);
  }
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

static void
test_save_when_stopped (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  push_reference (reference, 1, 20);
  gst_element_set_state (stream.element, GST_STATE_READY);
  training_finish (training, reference);
  training_expect_same_files (training);
  stream_remove_folder (g_strdup (training->got));
  g_assert_true (emit (&stream, "save", training->got));
  training_expect_same_files (training);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  g_assert_false (emit (&stream, "save", training->got));
  expect_warning (&stream, "READY", "NULL");
}

static void
test_save_that_fails (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *file = g_build_filename (training->folder, "file", NULL);

  g_assert_false (emit (&stream, "save", training->got));
  expect_warning (&stream, "Cannot save", "started run");
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_false (emit (&stream, "save", file));
  expect_warning (&stream, "Cannot save", file);
  g_assert_false (emit (&stream, "save", NULL));
  expect_warning (&stream, "Cannot save", "path");
  push_reference (reference, 1, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* What was saved inside location would keep it from being replaced at the end,
 * where that folder was not there before. */
static void
test_save_inside_location (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *inside = g_build_filename (training->got, "now", NULL);
  g_autofree gchar *beside = g_strconcat (training->got, "-now", NULL);

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_false (emit (&stream, "save", inside));
  expect_warning (&stream, inside, training->got);
  g_assert_false (emit (&stream, "save", training->folder));
  expect_warning (&stream, "a place of its own", training->got);
  g_assert_false (g_file_test (training->got, G_FILE_TEST_EXISTS));
  g_assert_true (emit (&stream, "save", beside));
  push_reference (reference, 1, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

typedef struct {
  Stream *stream;
  const gchar *save_to, *load_from;
  gint stop, n_done; /* atomic */
} Caller;

static gpointer
call_often (gpointer data)
{
  Caller *caller = data;

  while (!g_atomic_int_get (&caller->stop)) {
    if (caller->save_to) {
      g_autoptr (SaeModel) model = NULL;
      GError *error = NULL;
      g_assert_true (emit (caller->stream, "save", caller->save_to));
      model = sae_model_load (caller->save_to, &error);
      g_assert_no_error (error);
    }
    if (caller->load_from)
      g_assert_true (emit (caller->stream, "load", caller->load_from));
    if (caller->load_from && g_atomic_int_get (&caller->n_done) % 3 == 0)
      g_signal_emit_by_name (caller->stream->element, "reset");
    g_atomic_int_inc (&caller->n_done);
  }
  return NULL;
}

/* Another thread calls while rows come. */
static void
call_while_playing (Stream *stream, Caller *caller, SaeTrainer *reference)
{
  GThread *thread;

  caller->stream = stream;
  push_rows (stream, 0, 20);
  push_reference (reference, 0, 20);
  thread = g_thread_new ("caller", call_often, caller);
  for (guint i = 1; i < 20 || g_atomic_int_get (&caller->n_done) < 10; i++) {
    push_rows (stream, i, 20);
    push_reference (reference, i, 20);
  }
  g_atomic_int_set (&caller->stop, 1);
  g_thread_join (thread);
}

static void
test_save_from_another_thread (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *path = g_build_filename (training->folder, "now", NULL);
  Caller caller = {.save_to = path};

  stream_send_dims (&stream, "float32", "16:20");
  call_while_playing (&stream, &caller, reference);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* --- load ----------------------------------------------------------------- */

static void
test_load_while_playing (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autofree gchar *other = save_other (training, D, F);
  g_autoptr (SaeTrainer) reference = reference_from (other);
  guint64 steps = 99;

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 21);
  g_assert_true (emit (&stream, "load", other));
  g_object_get (stream.element, "steps", &steps, NULL);
  g_assert_cmpuint (steps, ==, 0);
  expect_saves (training, &stream, reference);
  push_rows (&stream, 2, 30);
  push_reference (reference, 2, 30);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* As many steps as in what was saved before: still something new. */
static void
test_load_after_save (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autofree gchar *other = save_other (training, D, F);
  g_autoptr (SaeTrainer) reference = reference_from (other);

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  g_assert_true (emit (&stream, "load", other));
  gst_harness_push_event (stream.harness, gst_event_new_stream_start ("more"));
  gst_harness_push_event (stream.harness, gst_event_new_flush_start ());
  gst_harness_push_event (stream.harness, gst_event_new_flush_stop (TRUE));
  {
    GstSegment segment;
    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
  }
  push_rows (&stream, 2, 20);
  push_reference (reference, 2, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* In READY, in PAUSED before caps, and between caps and rows. */
static void
test_load_before_rows (Training *training, gconstpointer data)
{
  g_autofree gchar *other = save_other (training, D, F);

  for (guint when = 0; when < 3; when++) {
    g_auto (Stream) stream = training_stream (training);
    g_autoptr (SaeTrainer) reference = reference_from (other);
    if (when == 0) {
      gst_element_set_state (stream.element, GST_STATE_READY);
      g_assert_true (emit (&stream, "load", other));
      gst_element_set_state (stream.element, GST_STATE_PLAYING);
    }
    if (when == 1)
      g_assert_true (emit (&stream, "load", other));
    stream_send_dims (&stream, "float32", "16:20");
    if (when == 2)
      g_assert_true (emit (&stream, "load", other));
    expect_saves (training, &stream, reference);
    push_rows (&stream, 2, 30);
    push_reference (reference, 2, 30);
    training_finish (training, reference);
    training_expect_equal (training, &stream);
  }
}

static void
test_next_run_starts_anew (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autofree gchar *other = save_other (training, D, F);
  g_autoptr (SaeTrainer) reference = training_reference ();

  g_assert_true (emit (&stream, "load", other));
  for (guint run = 0; run < 2; run++) {
    stream_send_dims (&stream, "float32", "16:20");
    push_rows (&stream, 1, 20);
    gst_element_set_state (stream.element, GST_STATE_READY);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    gst_pad_set_active (stream.harness->srcpad, FALSE);
    gst_pad_set_active (stream.harness->srcpad, TRUE);
  }
  push_reference (reference, 1, 20);
  training_finish (training, reference);
  stream_expect_no_error (&stream);
  training_expect_same_files (training);
}

static void
test_load_of_wrong_sizes (Training *training, gconstpointer data)
{
  static const struct {
    guint d_in, d_sae;
    const gchar *expected, *got;
  } cases[] = {{D, 2 * F, "64", "128"}, {D + 1, F, "16", "17"}};

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream = training_stream (training);
    g_autofree gchar *other =
        save_other (training, cases[i].d_in, cases[i].d_sae);
    g_autoptr (SaeTrainer) reference = training_reference ();

    stream_send_dims (&stream, "float32", "16:20");
    g_assert_false (emit (&stream, "load", other)); /* before rows */
    expect_warning (&stream, cases[i].expected, cases[i].got);
    for (guint push = 0; push < 2; push++) {
      push_rows (&stream, push, 20);
      push_reference (reference, push, 20);
      g_assert_false (emit (&stream, "load", other));
      expect_warning (&stream, cases[i].expected, cases[i].got);
      expect_saves (training, &stream, reference);
    }
    training_finish (training, reference);
    training_expect_equal (training, &stream);
    stream_remove_folder (g_strdup (other));
  }
}

static void
test_load_of_nothing (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *other = save_other (training, D, F);
  g_autofree gchar *weights =
      g_build_filename (other, "sae_weights.safetensors", NULL);

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  g_assert_false (emit (&stream, "load", training->want));
  expect_warning (&stream, "Cannot load", training->want);
  g_assert_true (g_file_set_contents (weights, "cut", -1, NULL));
  g_assert_false (emit (&stream, "load", other));
  expect_warning (&stream, "Cannot load", other);
  push_reference (reference, 1, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* Of whatever comes last there is a whole dictionary. */
static void
test_load_and_reset_from_another_thread (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *other = save_other (training, D, F);
  g_autofree gchar *path = g_build_filename (training->folder, "now", NULL);
  Caller caller = {.save_to = path, .load_from = other};

  stream_send_dims (&stream, "float32", "16:20");
  call_while_playing (&stream, &caller, reference);
  g_clear_object (&reference);
  g_signal_emit_by_name (stream.element, "reset");
  reference = training_reference ();
  push_rows (&stream, 7, 20);
  push_reference (reference, 7, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

/* --- reset ---------------------------------------------------------------- */

static void
test_reset (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();

  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 21);
  g_signal_emit_by_name (stream.element, "reset");
  push_rows (&stream, 2, 20);
  push_reference (reference, 2, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

static void
test_reset_forgets_load (Training *training, gconstpointer data)
{
  for (guint started = 0; started < 2; started++) {
    g_auto (Stream) stream = training_stream (training);
    g_autofree gchar *other = save_other (training, D, F);
    g_autoptr (SaeTrainer) reference = training_reference ();

    stream_send_dims (&stream, "float32", "16:20");
    g_assert_true (emit (&stream, "load", other));
    if (started)
      push_rows (&stream, 1, 20);
    g_signal_emit_by_name (stream.element, "reset");
    push_rows (&stream, 2, 20);
    push_reference (reference, 2, 20);
    training_finish (training, reference);
    training_expect_equal (training, &stream);
    stream_remove_folder (g_strdup (other));
  }
}

/* --- init-location -------------------------------------------------------- */

static Stream
stream_from (Training *training, const gchar *path)
{
  Stream stream = training_stream (training);

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "init-location", path, "dict-size", 0, "top-k",
      0, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  return stream;
}

static void
test_starts_from_init_location (Training *training, gconstpointer data)
{
  g_autofree gchar *other = save_other (training, D, F);
  g_auto (Stream) stream = stream_from (training, other);

  for (guint run = 0; run < 2; run++) {
    g_autoptr (SaeTrainer) reference = reference_from (other);
    stream_send_dims (&stream, "float32", "16:20");
    push_rows (&stream, run, 20);
    push_reference (reference, run, 20);
    gst_element_set_state (stream.element, GST_STATE_READY);
    training_finish (training, reference);
    stream_expect_no_error (&stream);
    training_expect_same_files (training);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    gst_pad_set_active (stream.harness->srcpad, FALSE);
    gst_pad_set_active (stream.harness->srcpad, TRUE);
  }
}

/* What a start that failed had read is not what the next one starts from. */
static void
test_init_location_after_failure (Training *training, gconstpointer data)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autofree gchar *first =
      stream_save_model (training->folder, "first", config, 98);
  g_autofree gchar *other = save_other (training, D, F);
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = reference_from (other);

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "init-location", first, "dict-size", 0, "top-k",
      0, "log-location", training->folder, NULL);
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      training->folder, NULL);
  g_object_set (stream.element, "init-location", other, "log-location", NULL,
      NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  gst_pad_set_active (stream.harness->srcpad, FALSE);
  gst_pad_set_active (stream.harness->srcpad, TRUE);
  stream_send_dims (&stream, "float32", "16:20");
  push_rows (&stream, 1, 20);
  push_reference (reference, 1, 20);
  training_finish (training, reference);
  training_expect_equal (training, &stream);
}

static void
test_init_location_contradicts (Training *training, gconstpointer data)
{
  static const struct {
    const gchar *property, *set, *has;
  } cases[] = {{"input-size", "17", "16"}, {"output-size", "17", "16"},
      {"dict-size", "65", "64"}};
  g_autofree gchar *other = save_other (training, D, F);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream =
        stream_new_alone ("saetrainer", "init-location", other, NULL);
    gst_util_set_object_arg (G_OBJECT (stream.element), cases[i].property,
        cases[i].set);
    g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED),
        ==, GST_STATE_CHANGE_FAILURE);
    stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        cases[i].property, cases[i].set, cases[i].has, NULL);
  }
}

static void
test_init_location_is_missing (Training *training, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new_alone ("saetrainer", "init-location", training->want, NULL);

  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND, training->want, NULL);
}

static void
test_init_location_of_other_width (Training *training, gconstpointer data)
{
  g_autofree gchar *other = save_other (training, D, F);
  g_auto (Stream) stream = stream_from (training, other);
  float x[4 * 12] = {0};

  stream_send_dims (&stream, "float32", "12:4");
  g_assert_cmpint (stream_push_floats (&stream, x, G_N_ELEMENTS (x)), ==,
      GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "rows of 16 (the dictionary to start from)", "rows of 12", NULL);
  stream_expect_nothing (&stream);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/actions/" name, test)
  ADD ("save-inside-location", test_save_inside_location);
  ADD ("save-while-playing", test_save_while_playing);
  ADD ("save-when-stopped", test_save_when_stopped);
  ADD ("save-that-fails", test_save_that_fails);
  ADD ("save-from-another-thread", test_save_from_another_thread);
  ADD ("load-while-playing", test_load_while_playing);
  ADD ("load-after-save", test_load_after_save);
  ADD ("load-before-rows", test_load_before_rows);
  ADD ("next-run-starts-anew", test_next_run_starts_anew);
  ADD ("load-of-wrong-sizes-changes-nothing", test_load_of_wrong_sizes);
  ADD ("load-of-nothing-changes-nothing", test_load_of_nothing);
  ADD ("load-and-reset-from-another-thread",
      test_load_and_reset_from_another_thread);
  ADD ("reset-starts-from-seed", test_reset);
  ADD ("reset-forgets-load", test_reset_forgets_load);
  ADD ("init-location-starts-run", test_starts_from_init_location);
  ADD ("init-location-after-a-start-that-failed",
      test_init_location_after_failure);
  ADD ("init-location-contradicts-sizes", test_init_location_contradicts);
  ADD ("init-location-is-missing", test_init_location_is_missing);
  ADD ("init-location-of-other-width", test_init_location_of_other_width);
  return stream_run_tests ();
}
