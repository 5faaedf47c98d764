/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "training.h"

#include "expect.h"
#include "sae-enum-types.h"

#define SEED 3

void
training_set_up (Training *training, gconstpointer data)
{
  training->folder = stream_make_folder ();
  training->got = g_build_filename (training->folder, "got", NULL);
  training->want = g_build_filename (training->folder, "want", NULL);
}

void
training_tear_down (Training *training, gconstpointer data)
{
  stream_remove_folder (training->folder);
  g_free (training->got);
  g_free (training->want);
}

Stream
training_stream (Training *training)
{
  return stream_new ("saetrainer", "location", training->got, "dict-size", F,
      "top-k", K, "batch-size", BATCH, "seed", (guint64) SEED, "normalize",
      SAE_NORMALIZE_NONE, NULL);
}

SaeTrainer *
training_reference (void)
{
  SaeTrainer *trainer = sae_trainer_new (D, F, K);

  g_object_set (trainer, "batch-size", BATCH, "seed", (guint64) SEED,
      "normalize", SAE_NORMALIZE_NONE, NULL);
  return trainer;
}

void
training_push (SaeTrainer *trainer, const float *x, const float *target,
    gsize n)
{
  GError *error = NULL;

  sae_trainer_push_rows (trainer, x, target, n, &error);
  g_assert_no_error (error);
}

void
training_finish (Training *training, SaeTrainer *trainer)
{
  g_autoptr (SaeModel) model = NULL;
  GError *error = NULL;

  sae_trainer_flush (trainer, &error);
  g_assert_no_error (error);
  model = sae_trainer_get_model (trainer, &error);
  g_assert_no_error (error);
  sae_model_save (model, training->want, &error);
  g_assert_no_error (error);
}

void
training_expect_same_files (Training *training)
{
  static const gchar *const names[] = {"sae_weights.safetensors", "cfg.json"};

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GBytes) got = stream_load_file (training->got, names[i]);
    g_autoptr (GBytes) want = stream_load_file (training->want, names[i]);
    expect_same_bytes (names[i], got, want);
  }
}

void
training_expect_equal (Training *training, Stream *stream)
{
  g_assert_true (
      gst_harness_push_event (stream->harness, gst_event_new_eos ()));
  stream_expect_no_error (stream);
  training_expect_same_files (training);
}

GstStructure *
training_final_stats (Stream *stream)
{
  GstStructure *final = NULL;
  GstMessage *message;

  while ((message = stream_pop (stream, GST_MESSAGE_ELEMENT)) != NULL) {
    const GstStructure *s = gst_message_get_structure (message);
    gboolean is_final = FALSE;
    g_assert_true (gst_structure_has_name (s, "sae-stats"));
    g_assert_true (gst_structure_get_boolean (s, "final", &is_final));
    if (is_final) {
      g_assert_null (final);
      final = gst_structure_copy (s);
    }
    gst_message_unref (message);
  }
  g_assert_nonnull (final);
  return final;
}
