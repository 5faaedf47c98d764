/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saetrainer writes its dictionary as. */
#include <string.h>

#include "sae-model.h"
#include "training.h"

#define D_OUT 10

static void
set_layout (Stream *stream, const gchar *layout)
{
  gst_element_set_state (stream->element, GST_STATE_NULL);
  g_object_set (stream->element, "layout", layout, NULL);
}

static GstMemory *
wrap_rows (guint seed, guint d)
{
  gsize size = 24 * d * sizeof (float);
  float *rows = stream_rows (seed, 24, d);

  return gst_memory_new_wrapped (0, rows, size, 0, size, rows, g_free);
}

/* 24 rows of D with targets of @d_out. */
static GstBuffer *
transcoder_rows (guint d_out)
{
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer, wrap_rows (10, D));
  gst_buffer_append_memory (buffer, wrap_rows (11, d_out));
  return buffer;
}

/* Targets of another width have a layout, and come back as they were. */
static void
test_transcoder (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (SaeModel) got = NULL, want = NULL;
  g_autofree float *x = stream_rows (10, 24, D);
  g_autofree float *target = stream_rows (11, 24, D_OUT);
  g_autoptr (GBytes) got_W_dec = NULL, want_W_dec = NULL;
  g_autoptr (GError) error = NULL;

  set_layout (&stream, "sparsify");
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32,float32", "16:24,10:24");
  g_assert_cmpint (stream_push (&stream, transcoder_rows (D_OUT)), ==,
      GST_FLOW_OK);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  g_object_set (reference, "output-size", D_OUT, NULL);
  training_push (reference, x, target, 24);
  sae_trainer_flush (reference, NULL);
  want = sae_trainer_get_model (reference, NULL);
  got = sae_model_load (training->got, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_model_get_d_out (got), ==, D_OUT);
  got_W_dec = sae_model_get_W_dec (got);
  want_W_dec = sae_model_get_W_dec (want);
  g_assert_true (g_bytes_equal (got_W_dec, want_W_dec));
}

/* A skip connection is trained, and is in the folder. */
static void
test_skip (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (SaeModel) got = NULL, want = NULL;
  g_autofree float *x = stream_rows (10, 24, D);
  g_autofree float *target = stream_rows (11, 24, D);
  g_autoptr (GBytes) got_W_skip = NULL, want_W_skip = NULL;
  g_autoptr (GError) error = NULL;

  set_layout (&stream, "sparsify");
  g_object_set (stream.element, "skip-connection", TRUE, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32,float32", "16:24,16:24");
  g_assert_cmpint (stream_push (&stream, transcoder_rows (D)), ==, GST_FLOW_OK);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  g_object_set (reference, "skip-connection", TRUE, NULL);
  training_push (reference, x, target, 24);
  sae_trainer_flush (reference, NULL);
  want = sae_trainer_get_model (reference, NULL);
  got = sae_model_load (training->got, &error);
  g_assert_no_error (error);
  got_W_skip = sae_model_get_W_skip (got);
  want_W_skip = sae_model_get_W_skip (want);
  g_assert_nonnull (got_W_skip);
  g_assert_true (g_bytes_equal (got_W_skip, want_W_skip));
}

/* Both layouts hold the same weights, and the statistics stand beside. */
static void
test_same_weights (Training *training, gconstpointer data)
{
  static const gchar *const layouts[] = {"saelens", "sparsify"};
  g_autofree gchar *stats =
      g_build_filename (training->got, "latent_stats.safetensors", NULL);
  GBytes *W_dec[2];

  for (guint i = 0; i < 2; i++) {
    g_auto (Stream) stream = training_stream (training);
    g_autoptr (SaeModel) model = NULL;
    GstBuffer *buffer = gst_buffer_new_wrapped (stream_rows (10, 24, D),
        24 * D * sizeof (float));
    set_layout (&stream, layouts[i]);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    stream_send_dims (&stream, "float32", "16:24");
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
    stream_expect_no_error (&stream);
    model = sae_model_load (training->got, NULL);
    g_assert_nonnull (model);
    W_dec[i] = sae_model_get_W_dec (model);
    g_assert_true (g_file_test (stats, G_FILE_TEST_EXISTS));
  }
  g_assert_true (g_bytes_equal (W_dec[0], W_dec[1]));
  g_bytes_unref (W_dec[0]);
  g_bytes_unref (W_dec[1]);
}

/* Before anything is trained. */
static void
test_unknown (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  set_layout (&stream, "nonsense");
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "nonsense", "saelens", "sparsify", NULL);
  set_layout (&stream, "gemma-scope"); /* is only read */
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
}

/* A rule that the layout has no word for is refused with the caps. */
static void
test_rule (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);

  set_layout (&stream, "sparsify");
  gst_util_set_object_arg (G_OBJECT (stream.element), "sparsity",
      "batch-top-k");
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:24");
  g_assert_cmpint (stream_push (&stream,
                       gst_buffer_new_wrapped (stream_rows (10, 24, D),
                           24 * D * sizeof (float))),
      ==, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "location", "sparsity", "top-k", NULL);
}

/* More than can be read again is refused before anything is trained. */
static void
test_metadata (Training *training, gconstpointer data)
{
  g_auto (Stream) stream = training_stream (training);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autoptr (SaeModel) plain = NULL, full = NULL;
  g_autofree float *rows = stream_rows (10, 24, D);
  g_autofree gchar *most = g_strnfill (1024 * 1024 - 1500, 'x');
  g_autofree gchar *x = g_strnfill (1500, 'x');
  g_autofree gchar *more = g_strconcat ("more=", x, NULL);
  g_autoptr (GError) error = NULL;

  training_push (reference, rows, NULL, 24);
  plain = sae_trainer_get_model (reference, &error);
  g_assert_no_error (error);
  full = sae_model_with_metadata (plain, "most", most);
  sae_model_save (full, training->want, &error);
  g_assert_no_error (error);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  g_object_set (stream.element, "init-location", training->want, "metadata",
      more, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:24");
  g_assert_cmpint (stream_push (&stream,
                       gst_buffer_new_wrapped (stream_rows (10, 24, D),
                           24 * D * sizeof (float))),
      ==, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "location", "at most 1048576 bytes", NULL);
  g_assert_false (g_file_test (training->got, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/layout/" name, test)
  ADD ("targets-of-another-width-are-saved", test_transcoder);
  ADD ("skip-connection-is-trained-and-saved", test_skip);
  ADD ("every-layout-has-the-same-weights", test_same_weights);
  ADD ("unknown-is-refused-at-the-start", test_unknown);
  ADD ("rule-without-a-word-is-refused", test_rule);
  ADD ("metadata-too-large-are-refused", test_metadata);
  return stream_run_tests ();
}
