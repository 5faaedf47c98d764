/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A dictionary that is read while it is trained: what is published when, who
 * reads it, and how they find each other. */
#include "sae-enum-types.h"
#include "sae-model-store.h"
#include "training.h"

#include "expect.h"

#define CONTEXT "sae.model-store"
#define SEED 3

typedef struct {
  Training training;
  SaeModelStore *store;
} Live;

static void
set_up (Live *live, gconstpointer data)
{
  training_set_up (&live->training, NULL);
  live->store = sae_model_store_new ();
}

static void
tear_down (Live *live, gconstpointer data)
{
  sae_model_store_unref (live->store);
  training_tear_down (&live->training, NULL);
}

static GstContext *
context_of (SaeModelStore *store)
{
  GstContext *context = gst_context_new (CONTEXT, TRUE);

  gst_structure_set (gst_context_writable_structure (context), "store",
      SAE_TYPE_MODEL_STORE, store, NULL);
  return context;
}

static void
give_store (Stream *stream, SaeModelStore *store)
{
  g_autoptr (GstContext) context = context_of (store);

  gst_element_set_context (stream->element, context);
}

static void
play (Stream *stream)
{
  stream->harness =
      gst_harness_new_with_element (stream->element, "sink", "src");
}

/* A trainer that publishes as m, every BATCH rows. */
static Stream
trainer_alone (Live *live)
{
  Stream stream =
      stream_new_alone ("saetrainer", "name", "trainer0", "model-name", "m",
          "dict-size", F, "top-k", K, "batch-size", BATCH, "seed",
          (guint64) SEED, "normalize", SAE_NORMALIZE_NONE, "publish-interval",
          (guint64) BATCH, "location", live->training.got, NULL);

  give_store (&stream, live->store);
  return stream;
}

static Stream
trainer_new (Live *live)
{
  Stream stream = trainer_alone (live);

  play (&stream);
  return stream;
}

static Stream
encoder_new (Live *live)
{
  Stream stream = stream_new_alone ("saeencoder", "model-name", "m", NULL);

  give_store (&stream, live->store);
  play (&stream);
  return stream;
}

static void
expect_same_model (SaeModel *got, SaeModel *want)
{
  g_autoptr (GBytes) got_enc = sae_model_get_W_enc (got);
  g_autoptr (GBytes) want_enc = sae_model_get_W_enc (want);
  g_autoptr (GBytes) got_dec = sae_model_get_W_dec (got);
  g_autoptr (GBytes) want_dec = sae_model_get_W_dec (want);
  g_autoptr (GBytes) got_bias = sae_model_get_b_dec (got);
  g_autoptr (GBytes) want_bias = sae_model_get_b_dec (want);

  expect_same_bytes ("W_enc", got_enc, want_enc);
  expect_same_bytes ("W_dec", got_dec, want_dec);
  expect_same_bytes ("b_dec", got_bias, want_bias);
}

static void
expect_published (Live *live, gint64 version, SaeTrainer *reference)
{
  g_autoptr (SaeModel) got = sae_model_store_lookup (live->store, "m");
  g_autoptr (SaeModel) want = sae_trainer_get_model (reference, NULL);

  g_assert_cmpint (sae_model_store_get_version (live->store, "m"), ==, version);
  g_assert_nonnull (got);
  expect_same_model (got, want);
}

static SaeTrainer *
reference_new (void)
{
  SaeTrainer *reference = training_reference ();

  g_assert_true (sae_trainer_start (reference, NULL));
  return reference;
}

static gint64
version_of (Stream *stream)
{
  gint64 version;

  g_object_get (stream->element, "model-version", &version, NULL);
  return version;
}

/* --- what is published when ----------------------------------------------- */

static void
test_version_0 (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_new (live);
  g_autoptr (SaeTrainer) reference = reference_new ();

  g_assert_cmpint (version_of (&stream), ==, -1);
  stream_send_dims (&stream, "float32", "16:8");
  expect_published (live, 0, reference);
  g_assert_cmpint (version_of (&stream), ==, 0);
}

/* Flexible caps tell no width: the first buffer does. */
static void
test_version_0_flexible (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_new (live);
  g_autoptr (SaeTrainer) reference = reference_new ();
  g_autofree float *x = stream_rows (1, BATCH - 1, D);
  GstBuffer *buffer = gst_buffer_new ();

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible,"
                            "framerate=(fraction)0/1"));
  g_assert_cmpint (sae_model_store_get_version (live->store, "m"), ==, -1);
  gst_buffer_append_memory (buffer,
      stream_flexible (7, D, BATCH - 1, x, (BATCH - 1) * D * sizeof *x));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  expect_published (live, 0, reference);
}

/* However the stream is cut. */
static void
test_intervals (Live *live, gconstpointer data)
{
  gsize cuts[] = {3 * BATCH, 5, 1, BATCH + 2, 2 * BATCH};
  g_auto (Stream) stream = trainer_new (live);
  g_autoptr (SaeTrainer) reference = reference_new ();
  g_autofree float *x = stream_rows (1, 8 * BATCH, D);
  gsize at = 0;

  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    gsize whole;
    stream_push_floats (&stream, x + at * D, cuts[i] * D);
    at += cuts[i];
    whole = at / BATCH * BATCH;
    if (whole > sae_trainer_get_rows (reference))
      training_push (reference, x + sae_trainer_get_rows (reference) * D, NULL,
          whole - sae_trainer_get_rows (reference));
    expect_published (live, (gint64) (at / BATCH), reference);
  }
  g_assert_cmpuint (at, ==, 7 * BATCH);
  stream_expect_no_error (&stream);
}

static void
test_no_interval (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_new (live);
  g_autoptr (SaeTrainer) reference = reference_new ();
  g_autofree float *x = stream_rows (1, 4 * BATCH + 3, D);

  g_object_set (stream.element, "publish-interval", (guint64) 0, NULL);
  stream_send_dims (&stream, "float32", "16:8");
  stream_push_floats (&stream, x, (4 * BATCH + 3) * D);
  g_assert_cmpint (version_of (&stream), ==, 0);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  training_push (reference, x, NULL, 4 * BATCH + 3);
  g_assert_true (sae_trainer_flush (reference, NULL));
  expect_published (live, 1, reference);
}

/* Nothing that is trained depends on it. */
static void
test_same_bytes (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_new (live);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree float *x = stream_rows (1, 10 * BATCH + 5, D);

  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < 5; i++)
    stream_push_floats (&stream, x + i * (2 * BATCH + 1) * D,
        (2 * BATCH + 1) * D);
  training_push (reference, x, NULL, 10 * BATCH + 5);
  training_finish (&live->training, reference);
  training_expect_equal (&live->training, &stream);
  g_assert_cmpint (version_of (&stream), ==, 11);
}

/* Stopped before EOS, the last rows are in the last version. */
static void
test_stopped (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_new (live);
  g_autoptr (SaeModel) saved = NULL, last = NULL;
  g_autofree float *x = stream_rows (1, BATCH + 5, D);

  stream_send_dims (&stream, "float32", "16:8");
  stream_push_floats (&stream, x, (BATCH + 5) * D);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  saved = sae_model_load (live->training.got, NULL);
  last = sae_model_store_lookup (live->store, "m");
  g_assert_cmpint (sae_model_store_get_version (live->store, "m"), ==, 2);
  expect_same_model (last, saved);
}

static void
test_from_dictionary (Live *live, gconstpointer data)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, 40, 3);
  g_autofree gchar *path =
      stream_save_model (live->training.folder, "start", config, 9);
  g_autoptr (SaeModel) model = sae_model_load (path, NULL);
  g_autoptr (SaeConfig) promised = NULL;
  g_autoptr (SaeModel) got = NULL;
  g_auto (Stream) stream = trainer_alone (live);

  g_object_set (stream.element, "init-location", path, "dict-size", 0, NULL);
  gst_element_set_state (stream.element, GST_STATE_READY);
  promised = sae_model_store_get_config (live->store, "m");
  g_assert_cmpuint (promised->d_sae, ==, 0); /* the file is not read yet */
  play (&stream);
  got = sae_model_store_lookup (live->store, "m"); /* before any caps */
  g_assert_nonnull (got);
  expect_same_model (got, model);
}

/* What load and reset start from is published at once. */
static void
test_actions (Live *live, gconstpointer data)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autofree gchar *path =
      stream_save_model (live->training.folder, "other", config, 9);
  g_autoptr (SaeModel) other = sae_model_load (path, NULL);
  g_autoptr (SaeTrainer) reference = reference_new ();
  g_auto (Stream) stream = trainer_new (live);
  g_autofree float *x = stream_rows (1, BATCH, D);
  g_autoptr (SaeModel) got = NULL;
  gboolean ok;

  stream_send_dims (&stream, "float32", "16:8");
  for (gint64 version = 0; version < 6; version += 3) {
    g_signal_emit_by_name (stream.element, "load", path, &ok);
    g_assert_true (ok);
    got = sae_model_store_lookup (live->store, "m");
    expect_same_model (got, other);
    g_clear_pointer (&got, sae_model_unref);
    g_signal_emit_by_name (stream.element, "reset");
    expect_published (live, version + 2, reference);
    stream_push_floats (&stream, x, BATCH * D); /* and on from there */
  }
  g_assert_cmpint (version_of (&stream), ==, 6);
}

/* --- the name ------------------------------------------------------------- */

static void
test_second_trainer (Live *live, gconstpointer data)
{
  g_auto (Stream) first = trainer_alone (live);
  g_auto (Stream) second = trainer_alone (live);

  g_object_set (second.element, "name", "trainer1", "location", NULL, NULL);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpint (gst_element_set_state (first.element, GST_STATE_READY), ==,
        GST_STATE_CHANGE_SUCCESS);
    g_assert_cmpint (gst_element_set_state (second.element, GST_STATE_READY),
        ==, GST_STATE_CHANGE_FAILURE);
    stream_expect_error (&second, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY,
        "model-name", "'m'", "trainer0", NULL);
    gst_element_set_state (first.element, GST_STATE_NULL);
    g_assert_cmpint (gst_element_set_state (second.element, GST_STATE_PAUSED),
        !=, GST_STATE_CHANGE_FAILURE);
    gst_element_set_state (second.element, GST_STATE_NULL);
  }
}

/* Properties may change in READY: the claim follows at the next start. */
static void
test_other_name_in_ready (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_alone (live);
  g_autofree gchar *of_m = NULL, *of_n = NULL;
  g_autoptr (SaeConfig) config = NULL;

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, "model-name", "n", "dict-size", 2 * F, NULL);
  gst_element_set_state (stream.element, GST_STATE_PAUSED);
  of_m = sae_model_store_get_holder (live->store, "m");
  of_n = sae_model_store_get_holder (live->store, "n");
  config = sae_model_store_get_config (live->store, "n");
  g_assert_cmpstr (of_m, ==, NULL);
  g_assert_cmpstr (of_n, ==, "trainer0");
  g_assert_cmpuint (config->d_sae, ==, 2 * F);
}

static void
test_promise (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_alone (live);
  g_autoptr (SaeConfig) config = NULL;

  g_object_set (stream.element, "sparsity", SAE_SPARSITY_BATCH_TOP_K, NULL);
  gst_element_set_state (stream.element, GST_STATE_READY);
  config = sae_model_store_get_config (live->store, "m");
  g_assert_cmpuint (config->d_in, ==, 0);
  g_assert_cmpuint (config->d_sae, ==, F);
  g_assert_cmpint (config->sparsity, ==, SAE_SPARSITY_JUMP_RELU);
  gst_element_set_state (stream.element, GST_STATE_NULL);
  g_assert_null (sae_model_store_get_config (live->store, "m"));
}

/* --- readers -------------------------------------------------------------- */

/* Pairs as @model would give them. */
static void
expect_codes (Stream *stream, SaeModel *model, const float *x, gsize n)
{
  g_autoptr (GBytes) rows = g_bytes_new (x, n * D * sizeof *x);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, rows, NULL);
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, NULL);
  const float *want = g_bytes_get_data (dense, NULL);
  GstBuffer *buffer = stream_pull (stream);
  g_autoptr (GBytes) indices = stream_memory (buffer, 0);
  g_autoptr (GBytes) values = stream_memory (buffer, 1);
  const guint32 *index = g_bytes_get_data (indices, NULL);
  const float *value = g_bytes_get_data (values, NULL);
  guint k = sae_model_get_k (model), d_sae = sae_model_get_d_sae (model);

  g_assert_cmpuint (g_bytes_get_size (values), ==, n * k * sizeof *value);
  for (gsize i = 0; i < n * k; i++)
    if (value[i] != 0)
      g_assert_cmpfloat (value[i], ==, want[i / k * d_sae + index[i]]);
  gst_buffer_unref (buffer);
}

static void
push_and_expect (Live *live, Stream *encoder, const float *x)
{
  g_autoptr (SaeModel) model = NULL;

  stream_push_floats (encoder, x, BATCH * D);
  model = sae_model_store_lookup (live->store, "m");
  g_assert_nonnull (model);
  expect_codes (encoder, model, x, BATCH);
  g_assert_cmpint (version_of (encoder), ==,
      sae_model_store_get_version (live->store, "m"));
}

static void
test_reads_latest (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = trainer_new (live);
  g_auto (Stream) encoder = encoder_new (live);
  g_autofree float *x = stream_rows (1, BATCH, D);

  stream_send_dims (&trainer, "float32", "16:8");
  stream_send_dims (&encoder, "float32", "16:8");
  for (guint i = 0; i < 5; i++) {
    push_and_expect (live, &encoder, x);
    push_and_expect (live, &encoder, x); /* the same version again */
    stream_push_floats (&trainer, x, BATCH * D);
  }
  stream_expect_no_error (&encoder);
}

/* It has the first version made, in the bits that the trainer would have. */
static void
test_reader_is_first (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = trainer_new (live);
  g_auto (Stream) encoder = encoder_new (live);
  g_autoptr (SaeTrainer) reference = reference_new ();
  g_autofree float *x = stream_rows (1, 2 * BATCH, D);

  stream_send_dims (&encoder, "float32", "16:8");
  push_and_expect (live, &encoder, x);
  expect_published (live, 0, reference);
  stream_send_dims (&trainer, "float32", "16:8");
  expect_published (live, 0, reference); /* not once more */
  stream_push_floats (&trainer, x, 2 * BATCH * D);
  training_push (reference, x, NULL, 2 * BATCH);
  expect_published (live, 2, reference);
}

/* A reader's rows are not the trainer's: he is right, and the reader is told.
 */
static void
test_reader_of_other_width (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = trainer_new (live);
  g_auto (Stream) encoder = encoder_new (live);
  g_autoptr (SaeTrainer) reference = reference_new ();
  g_autofree float *x = stream_rows (1, 16, 8);

  stream_send_dims (&encoder, "float32", "8:16");
  stream_push_floats (&encoder, x, 8 * 16);
  stream_send_dims (&trainer, "float32", "16:8");
  expect_published (live, 1, reference);
  g_assert_cmpint (stream_push_floats (&encoder, x, 8 * 16), !=, GST_FLOW_OK);
  stream_expect_error (&encoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "rows of 16", "rows of 8", NULL);
}

static void
test_left_with_the_last (Live *live, gconstpointer data)
{
  g_autofree float *x = stream_rows (1, BATCH, D);
  g_auto (Stream) encoder = encoder_new (live);

  for (guint cycle = 0; cycle < 3; cycle++) {
    g_auto (Stream) trainer = trainer_new (live);
    gint64 last;
    if (cycle == 0)
      stream_send_dims (&encoder, "float32", "16:8");
    stream_send_dims (&trainer, "float32", "16:8");
    stream_push_floats (&trainer, x, BATCH * D);
    push_and_expect (live, &encoder, x);
    last = version_of (&encoder);
    g_assert_cmpint (last, ==, 2 * cycle + 1);
    gst_element_set_state (trainer.element, GST_STATE_NULL);
    push_and_expect (live, &encoder, x);
    g_assert_cmpint (version_of (&encoder), ==, last);
    /* A new claim that has nothing to show yet takes nothing away. */
    gst_element_set_state (trainer.element, GST_STATE_READY);
    push_and_expect (live, &encoder, x);
    gst_element_set_state (trainer.element, GST_STATE_NULL);
  }
  stream_expect_no_error (&encoder);
}

/* Both go through NULL and start again, with the store that they have. */
static void
test_cycles (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = trainer_alone (live);
  g_auto (Stream) encoder =
      stream_new_alone ("saeencoder", "model-name", "m", NULL);
  g_autofree float *x = stream_rows (1, BATCH, D);

  give_store (&encoder, live->store);
  play (&trainer);
  play (&encoder);
  for (guint cycle = 0; cycle < 3; cycle++) {
    gst_element_set_state (encoder.element, GST_STATE_PLAYING);
    gst_element_set_state (trainer.element, GST_STATE_PLAYING);
    stream_send_dims (&encoder, "float32", "16:8");
    stream_send_dims (&trainer, "float32", "16:8");
    push_and_expect (live, &encoder, x);
    stream_push_floats (&trainer, x, BATCH * D);
    push_and_expect (live, &encoder, x);
    g_assert_cmpint (version_of (&encoder), ==, 2 * cycle + 1);
    gst_element_set_state (encoder.element, GST_STATE_NULL);
    gst_element_set_state (trainer.element, GST_STATE_NULL);
  }
  stream_expect_no_error (&encoder);
  stream_expect_no_error (&trainer);
}

/* At EOS the version is the dictionary that is saved. */
static void
test_eos_is_saved (Live *live, gconstpointer data)
{
  static const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_L1,
      SAE_SPARSITY_JUMP_RELU, SAE_SPARSITY_BATCH_TOP_K};
  g_autofree float *x = stream_rows (1, 9 * BATCH + 3, D);

  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    g_auto (Stream) trainer = trainer_alone (live);
    g_auto (Stream) by_name = encoder_new (live), by_path = {NULL};
    g_object_set (trainer.element, "sparsity", rules[i], NULL);
    play (&trainer);
    stream_send_dims (&trainer, "float32", "16:8");
    stream_push_floats (&trainer, x, (9 * BATCH + 3) * D);
    gst_harness_push_event (trainer.harness, gst_event_new_eos ());
    by_path = stream_new ("saeencoder", "location", live->training.got, NULL);
    stream_send_dims (&by_name, "float32", "16:8");
    stream_send_dims (&by_path, "float32", "16:8");
    for (guint b = 0; b < 9; b++) {
      GstBuffer *got, *want;
      stream_push_floats (&by_name, x + b * BATCH * D, BATCH * D);
      stream_push_floats (&by_path, x + b * BATCH * D, BATCH * D);
      got = stream_pull (&by_name);
      want = stream_pull (&by_path);
      g_assert_cmpuint (gst_buffer_n_memory (got), ==,
          rules[i] == SAE_SPARSITY_TOP_K ? 2 : 1);
      for (guint m = 0; m < gst_buffer_n_memory (got); m++) {
        g_autoptr (GBytes) a = stream_memory (got, m);
        g_autoptr (GBytes) z = stream_memory (want, m);
        expect_same_bytes ("latents", a, z);
      }
      gst_buffer_unref (got);
      gst_buffer_unref (want);
    }
  }
}

static SaeModel *
model_new (guint d_in, guint d_sae, guint k, guint64 seed)
{
  g_autoptr (SaeConfig) config = sae_config_new (d_in, d_sae, k);

  if (k == 0)
    config->sparsity = SAE_SPARSITY_L1;
  return sae_model_new (config, seed, SAE_INIT_TIED, NULL);
}

static void
publish (Live *live, SaeModel *model)
{
  g_assert_cmpint (sae_model_store_publish (live->store, "m", model, NULL), >=,
      0);
  sae_model_unref (model);
}

/* The application publishes: other sizes and another rule, in mid-stream. */
static void
test_application (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = encoder_new (live);
  g_autofree float *x = stream_rows (1, BATCH, D);
  g_autofree gchar *before = NULL, *pairs = NULL, *sparse = NULL;
  GstBuffer *buffer;

  publish (live, model_new (D, F, K, 1));
  stream_send_dims (&encoder, "float32", "16:8");
  push_and_expect (live, &encoder, x);
  before = stream_out_field (&encoder, "dimensions");
  g_assert_cmpstr (before, ==, "4:8,4:8");
  publish (live, model_new (D, 2 * F, K + 1, 2));
  push_and_expect (live, &encoder, x);
  pairs = stream_out_field (&encoder, "dimensions");
  g_assert_cmpstr (pairs, ==, "5:8,5:8");
  publish (live, model_new (D, F, 0, 3)); /* l1 has no pairs */
  stream_push_floats (&encoder, x, BATCH * D);
  buffer = stream_pull (&encoder);
  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 1);
  gst_buffer_unref (buffer);
  sparse = stream_out_field (&encoder, "format");
  g_assert_cmpstr (sparse, ==, "sparse");
  publish (live, model_new (D, F, K, 1));
  push_and_expect (live, &encoder, x);
  stream_expect_no_error (&encoder);
}

static void
test_application_other_width (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = encoder_new (live);
  g_autofree float *x = stream_rows (1, BATCH, D);

  publish (live, model_new (D, F, K, 1));
  stream_send_dims (&encoder, "float32", "16:8");
  push_and_expect (live, &encoder, x);
  publish (live, model_new (D + 1, F, K, 2));
  g_assert_cmpint (stream_push_floats (&encoder, x, BATCH * D), !=,
      GST_FLOW_OK);
  stream_expect_error (&encoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "rows of 17", "rows of 16", NULL);
}

/* What was set holds for each version. */
static void
test_own_top_k (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = stream_new_alone ("saeencoder", "model-name", "m",
      "top-k", 2, "dict-size", F, NULL);
  g_autofree float *x = stream_rows (1, BATCH, D);

  give_store (&encoder, live->store);
  play (&encoder);
  publish (live, model_new (D, F, K, 1));
  stream_send_dims (&encoder, "float32", "16:8");
  for (guint64 seed = 1; seed < 3; seed++) {
    g_autoptr (SaeModel) model = model_new (D, F, 2, seed);
    stream_push_floats (&encoder, x, BATCH * D);
    expect_codes (&encoder, model, x, BATCH);
    publish (live, model_new (D, F, K, seed + 1));
  }
  publish (live, model_new (D, 2 * F, K, 1));
  g_assert_cmpint (stream_push_floats (&encoder, x, BATCH * D), !=,
      GST_FLOW_OK);
  stream_expect_error (&encoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "dict-size", "64", "128", NULL);
}

static void
test_decoder (Live *live, gconstpointer data)
{
  g_auto (Stream) decoder =
      stream_new_alone ("saedecoder", "model-name", "m", NULL);
  g_autoptr (SaeModel) model = NULL;
  float codes[2 * F] = {[3] = 1, [F + 5] = 2};
  g_autoptr (GBytes) dense = g_bytes_new_static (codes, sizeof codes);
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) want = NULL, got = NULL;
  GstBuffer *buffer;

  give_store (&decoder, live->store);
  play (&decoder);
  for (guint64 seed = 1; seed < 3; seed++) {
    publish (live, model_new (D, F, K, seed));
    if (seed == 1)
      stream_send_dims (&decoder, "float32", "64:2");
    stream_push_floats (&decoder, codes, 2 * F);
    buffer = stream_pull (&decoder);
    got = stream_memory (buffer, 0);
    gst_buffer_unref (buffer);
    model = sae_model_store_lookup (live->store, "m");
    latents = sae_latents_new_from_dense (F, dense, NULL);
    want = sae_model_decode (model, latents, NULL);
    expect_same_bytes ("x_hat", got, want);
    g_clear_pointer (&got, g_bytes_unref);
    g_clear_pointer (&want, g_bytes_unref);
    g_clear_pointer (&latents, sae_latents_unref);
    g_clear_pointer (&model, sae_model_unref);
  }
}

/* --- what goes wrong ------------------------------------------------------ */

static void
test_nobody_claims (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = encoder_new (live);
  g_autofree float *x = stream_rows (1, BATCH, D);
  g_autoptr (SaeModel) model = model_new (D, F, K, 1);

  sae_model_store_publish (live->store, "another", model, NULL);
  stream_send_dims (&encoder, "float32", "16:8");
  g_assert_cmpint (stream_push_floats (&encoder, x, BATCH * D), !=,
      GST_FLOW_OK);
  stream_expect_error (&encoder, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND, "'m'", "another", NULL);
}

static void
test_both (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = stream_new_alone ("saeencoder", "model-name", "m",
      "location", live->training.got, NULL);

  g_assert_cmpint (gst_element_set_state (encoder.element, GST_STATE_PAUSED),
      ==, GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&encoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "location and model-name", "got both", NULL);
}

/* Caps tell no more than the buffer does. */
static void
test_top_k_of_no_model (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = stream_new_alone ("saeencoder", "model-name", "m",
      "top-k", F + 1, "codes-format", 2 /* dense */, NULL);
  g_autofree float *x = stream_rows (1, BATCH, D);

  give_store (&encoder, live->store);
  play (&encoder);
  publish (live, model_new (D, F, K, 1));
  stream_send_dims (&encoder, "float32", "16:8");
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (stream_push_floats (&encoder, x, BATCH * D), !=,
        GST_FLOW_OK);
  stream_expect_error (&encoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "top-k", "65", "64", NULL);
}

/* A version that cannot be run is not passed over in favour of the one before,
 * and stands in the way of none that follows. */
static void
test_refused_version (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder =
      stream_new_alone ("saeencoder", "model-name", "m", "dict-size", F, NULL);
  g_autofree float *x = stream_rows (1, BATCH, D);

  give_store (&encoder, live->store);
  play (&encoder);
  publish (live, model_new (D, F, K, 1));
  stream_send_dims (&encoder, "float32", "16:8");
  push_and_expect (live, &encoder, x);
  publish (live, model_new (D, 2 * F, K, 1));
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpint (stream_push_floats (&encoder, x, BATCH * D), !=,
        GST_FLOW_OK);
    stream_expect_error (&encoder, GST_LIBRARY_ERROR,
        GST_LIBRARY_ERROR_SETTINGS, "dict-size", "64", "128", NULL);
  }
  publish (live, model_new (D, F, K, 2));
  push_and_expect (live, &encoder, x);
}

/* A holder that knows nothing yet. */
static void
test_sizes_not_known (Live *live, gconstpointer data)
{
  g_auto (Stream) encoder = encoder_new (live);
  G_GNUC_UNUSED g_autoptr (SaeModelClaim) claim =
      sae_model_store_claim (live->store, "m", "someone", NULL, NULL);
  g_autofree float *x = stream_rows (1, BATCH, D);

  stream_send_dims (&encoder, "float32", "16:8");
  g_assert_cmpint (stream_push_floats (&encoder, x, BATCH * D), !=,
      GST_FLOW_OK);
  stream_expect_error (&encoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED,
      "'m'", "sizes", NULL);
}

/* A decoder's codes do not tell how wide the rows are. */
static void
test_decoder_is_first (Live *live, gconstpointer data)
{
  G_GNUC_UNUSED g_auto (Stream) trainer = trainer_new (live);
  g_auto (Stream) decoder =
      stream_new_alone ("saedecoder", "model-name", "m", NULL);
  float codes[2 * F] = {0};

  give_store (&decoder, live->store);
  play (&decoder);
  stream_send_dims (&decoder, "float32", "64:2");
  g_assert_cmpint (stream_push_floats (&decoder, codes, 2 * F), !=,
      GST_FLOW_OK);
  stream_expect_error (&decoder, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "input-size", NULL);
}

/* --- the context ---------------------------------------------------------- */

static SaeModelStore *
store_of (GstContext *context)
{
  SaeModelStore *store = NULL;

  g_assert_true (gst_structure_get (gst_context_get_structure (context),
      "store", SAE_TYPE_MODEL_STORE, &store, NULL));
  return store;
}

static void
test_context_is_made (Live *live, gconstpointer data)
{
  static const gchar *const elements[] = {"saetrainer", "saeencoder",
      "saedecoder"};

  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    g_auto (Stream) stream =
        stream_new_alone (elements[i], "model-name", "m", NULL);
    g_autoptr (GstMessage) need = NULL, have = NULL;
    g_autoptr (GstContext) context = NULL;
    g_autoptr (SaeModelStore) store = NULL;
    const gchar *type;
    for (guint cycle = 0; cycle < 2; cycle++) {
      gst_element_set_state (stream.element, GST_STATE_READY);
      gst_element_set_state (stream.element, GST_STATE_NULL);
    }
    need = stream_pop (&stream, GST_MESSAGE_NEED_CONTEXT);
    g_assert_true (gst_message_parse_context_type (need, &type));
    g_assert_cmpstr (type, ==, CONTEXT);
    have = stream_pop (&stream, GST_MESSAGE_HAVE_CONTEXT);
    gst_message_parse_have_context (have, &context);
    g_assert_true (gst_context_is_persistent (context));
    store = store_of (context);
    g_assert_nonnull (store);
    /* It is kept, and asked for only once. */
    g_assert_null (stream_pop (&stream, GST_MESSAGE_NEED_CONTEXT));
  }
}

/* An application that has the context only when its elements are READY. */
static void
test_context_in_ready (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = stream_new_alone ("saetrainer", "model-name", "m",
      "dict-size", F, "input-size", D, NULL);
  g_auto (Stream) encoder =
      stream_new_alone ("saeencoder", "model-name", "m", NULL);
  g_autofree float *x = stream_rows (1, BATCH, D);

  gst_element_set_state (trainer.element, GST_STATE_READY);
  gst_element_set_state (encoder.element, GST_STATE_READY);
  give_store (&trainer, live->store);
  give_store (&encoder, live->store);
  play (&trainer);
  play (&encoder);
  stream_send_dims (&encoder, "float32", "16:8");
  push_and_expect (live, &encoder, x);
  stream_expect_no_error (&encoder);
}

static void
test_context_is_not_asked_for (Live *live, gconstpointer data)
{
  g_auto (Stream) given = trainer_alone (live);
  g_auto (Stream) without = stream_new_alone ("saeencoder", "seed", 1, NULL);

  gst_element_set_state (given.element, GST_STATE_READY);
  gst_element_set_state (without.element, GST_STATE_READY);
  g_assert_null (stream_pop (&given, GST_MESSAGE_NEED_CONTEXT));
  g_assert_null (stream_pop (&without, GST_MESSAGE_NEED_CONTEXT));
}

/* A context of this type without a store does no harm. */
static void
test_context_hostile (Live *live, gconstpointer data)
{
  g_auto (Stream) stream = trainer_alone (live);
  g_autoptr (GstContext) empty = gst_context_new (CONTEXT, TRUE);
  g_autoptr (GstContext) text = gst_context_new (CONTEXT, TRUE);
  g_autoptr (GstContext) null = context_of (NULL);
  g_autoptr (GstContext) other = gst_context_new ("other", TRUE);
  g_autofree gchar *holder = NULL;

  gst_structure_set (gst_context_writable_structure (text), "store",
      G_TYPE_STRING, "none", NULL);
  gst_element_set_context (stream.element, empty);
  gst_element_set_context (stream.element, text);
  gst_element_set_context (stream.element, null);
  gst_element_set_context (stream.element, other);
  gst_element_set_state (stream.element, GST_STATE_READY);
  holder = sae_model_store_get_holder (live->store, "m");
  g_assert_cmpstr (holder, ==, "trainer0");
}

static void
expect_answer (Stream *stream, const gchar *pad_name, SaeModelStore *want)
{
  g_autoptr (GstPad) pad =
      gst_element_get_static_pad (stream->element, pad_name);
  GstQuery *query = gst_query_new_context (CONTEXT);
  g_autoptr (SaeModelStore) got = NULL;
  GstContext *context;

  g_assert_cmpint (gst_pad_query (pad, query), ==, want != NULL);
  if (want) {
    gst_query_parse_context (query, &context);
    got = store_of (context);
    g_assert_true (got == want);
  }
  gst_query_unref (query);
}

static void
test_context_is_told (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = trainer_new (live);
  g_auto (Stream) encoder = encoder_new (live);
  g_auto (Stream) without = stream_new ("saeencoder", "seed", 1, NULL);

  for (guint i = 0; i < 2; i++) {
    const gchar *pad = i ? "sink" : "src";
    expect_answer (&trainer, pad, live->store);
    expect_answer (&encoder, pad, live->store);
    expect_answer (&without, pad, NULL);
  }
}

/* One that asks, linked on either side to one that has a store; no bin. */
static void
test_context_of_neighbours (Live *live, gconstpointer data)
{
  for (guint i = 0; i < 2; i++) {
    g_auto (Stream) given = trainer_alone (live);
    g_auto (Stream) asks =
        stream_new_alone ("saetrainer", "model-name", "n", NULL);
    GstElement *first = i ? given.element : asks.element;
    GstElement *second = i ? asks.element : given.element;
    g_autofree gchar *holder = NULL;
    g_assert_true (gst_element_link (first, second));
    gst_element_set_state (asks.element, GST_STATE_READY);
    g_assert_null (stream_pop (&asks, GST_MESSAGE_NEED_CONTEXT));
    holder = sae_model_store_get_holder (live->store, "n");
    g_assert_nonnull (holder);
    gst_element_set_state (asks.element, GST_STATE_NULL);
    gst_element_unlink (first, second);
  }
}

/* --- pipelines ------------------------------------------------------------ */

static GstElement *
parse (const gchar *description)
{
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (description, &error);

  g_assert_no_error (error);
  return pipeline;
}

static void
expect_eos (GstElement *pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus,
      60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

  g_assert_nonnull (message);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    g_autoptr (GError) error = NULL;
    gst_message_parse_error (message, &error, NULL);
    g_error ("%s", error->message);
  }
}

#define SOURCE                                                                 \
  "fakesrc num-buffers=200 sizetype=fixed sizemax=512 filltype=pattern ! "     \
  "other/tensors,format=(string)static,num_tensors=(int)1,"                    \
  "types=(string)float16,dimensions=(string)16:16,framerate=(fraction)0/1 "
#define TRAINER                                                                \
  "saetrainer model-name=m dict-size=64 top-k=4 batch-size=16 "                \
  "publish-interval=64 normalize=none "
#define ENCODER "saeencoder on-nonfinite=zero model-name=m "

/* Preroll included, whichever comes first. */
static void
test_one_pipeline (Live *live, gconstpointer data)
{
  static const gchar *const descriptions[] = {
      SOURCE "! tee name=t t. ! queue ! " TRAINER "! fakesink "
             "t. ! queue ! " ENCODER "! fakesink",
      SOURCE "! tee name=t t. ! queue ! " ENCODER "! fakesink "
             "t. ! queue ! " TRAINER "! fakesink",
      SOURCE "! " TRAINER "! " ENCODER "! saedecoder model-name=m ! fakesink",
      SOURCE "! " ENCODER "! saedecoder model-name=m ! " TRAINER "! fakesink",
      SOURCE "! " TRAINER "! queue max-size-buffers=1 ! " ENCODER "! fakesink",
  };

  for (guint i = 0; i < G_N_ELEMENTS (descriptions); i++) {
    GstElement *pipeline = parse (descriptions[i]);
    for (guint cycle = 0; cycle < 2; cycle++) {
      gst_element_set_state (pipeline, GST_STATE_PLAYING);
      expect_eos (pipeline);
      gst_element_set_state (pipeline, GST_STATE_NULL);
    }
    gst_object_unref (pipeline);
  }
}

/* The application's store: one pipeline trains, another one reads. */
static void
test_two_pipelines (Live *live, gconstpointer data)
{
  GstElement *train = parse (SOURCE "! " TRAINER "! fakesink");
  GstElement *read = parse (SOURCE "! saeencoder name=e on-nonfinite=zero "
                                   "model-name=m ! fakesink");
  g_autoptr (GstContext) context = context_of (live->store);
  g_autoptr (GstElement) encoder = gst_bin_get_by_name (GST_BIN (read), "e");
  Stream reader = {.element = encoder};

  gst_element_set_context (train, context);
  gst_element_set_context (read, context);
  gst_element_set_state (read, GST_STATE_READY); /* before the trainer */
  gst_element_set_state (train, GST_STATE_PLAYING);
  gst_element_set_state (read, GST_STATE_PLAYING);
  expect_eos (train);
  expect_eos (read);
  g_assert_cmpint (sae_model_store_get_version (live->store, "m"), >=, 50);
  gst_element_set_state (train, GST_STATE_NULL);
  /* Once more, with what was left. */
  gst_element_set_state (read, GST_STATE_NULL);
  gst_element_set_state (read, GST_STATE_PLAYING);
  expect_eos (read);
  g_assert_cmpint (version_of (&reader), ==,
      sae_model_store_get_version (live->store, "m"));
  gst_element_set_state (read, GST_STATE_NULL);
  gst_object_unref (train);
  gst_object_unref (read);
}

/* --- readers while it trains ---------------------------------------------- */

#define N_READERS 4
#define N_LOOKUPS 30000 /* each, at least */

typedef struct {
  Live *live;
  gint training;       /* atomic */
  guint64 sums[10000]; /* of each version; atomic, 0 where not seen */
} Watch;

static guint64
checksum (SaeModel *model)
{
  guint64 sum = 14695981039346656037u; /* FNV-1a over the words of W_dec */
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (model);
  GBytes *both[] = {W_dec, W_enc};

  for (guint a = 0; a < 2; a++) {
    gsize size;
    const guint32 *words = g_bytes_get_data (both[a], &size);
    for (gsize i = 0; i < size / 4; i++)
      sum = (sum ^ words[i]) * 1099511628211u;
  }
  return sum | 1;
}

/* Two who see a version see the same one, whenever they look. */
static void
see (Watch *watch, gint64 version, SaeModel *model)
{
  guint64 sum = checksum (model);
  guint64 before = 0;

  g_assert_cmpint (version, <, G_N_ELEMENTS (watch->sums));
  if (!__atomic_compare_exchange_n (&watch->sums[version], &before, sum, FALSE,
          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    g_assert_cmphex (before, ==, sum);
}

static gpointer
watch_versions (gpointer data)
{
  Watch *watch = data;
  gint64 before = -1, version = -1;

  for (guint i = 0; i < N_LOOKUPS || g_atomic_int_get (&watch->training); i++) {
    g_autoptr (SaeModel) model =
        sae_model_store_request (watch->live->store, "m", D, &version, NULL);
    g_assert_nonnull (model);
    g_assert_cmpint (version, >=, before);
    if (version != before || i % 256 == 0)
      see (watch, version, model);
    before = version;
  }
  return NULL;
}

static gpointer
encode_all_the_time (gpointer data)
{
  Watch *watch = data;
  g_auto (Stream) encoder = encoder_new (watch->live);
  g_autofree float *x = stream_rows (5, BATCH, D);

  stream_send_dims (&encoder, "float32", "16:8");
  while (g_atomic_int_get (&watch->training)) {
    stream_push_floats (&encoder, x, BATCH * D);
    gst_buffer_unref (stream_pull (&encoder));
  }
  stream_expect_no_error (&encoder);
  return NULL;
}

static void
test_readers_while_training (Live *live, gconstpointer data)
{
  g_auto (Stream) trainer = trainer_new (live);
  Watch *watch = g_new0 (Watch, 1);
  g_autofree float *x = stream_rows (1, 50 * BATCH, D);
  GThread *threads[N_READERS + 2];
  guint seen = 0, n_buffers = g_test_slow () ? 180 : 40;

  watch->live = live;
  watch->training = 1;
  stream_send_dims (&trainer, "float32", "16:8");
  for (guint i = 0; i < N_READERS; i++)
    threads[i] = g_thread_new ("watch", watch_versions, watch);
  for (guint i = 0; i < 2; i++)
    threads[N_READERS + i] =
        g_thread_new ("encode", encode_all_the_time, watch);
  for (guint i = 1; i <= n_buffers; i++) {
    stream_push_floats (&trainer, x, 50 * BATCH * D);
    while (!__atomic_load_n (&watch->sums[50 * i], __ATOMIC_SEQ_CST))
      g_thread_yield (); /* for as long as no reader had its turn */
  }
  g_atomic_int_set (&watch->training, 0);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (version_of (&trainer), ==, 50 * n_buffers);
  for (guint i = 0; i < G_N_ELEMENTS (watch->sums); i++)
    seen += watch->sums[i] != 0;
  g_test_message ("%u of %u versions seen", seen, 50 * n_buffers + 1);
  g_assert_cmpuint (seen, >=, n_buffers);
  g_free (watch);
  stream_expect_no_error (&trainer);
}

#define add(path, test) g_test_add (path, Live, NULL, set_up, test, tear_down)

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  add ("/live/published/version-0-with-the-caps", test_version_0);
  add ("/live/published/version-0-of-flexible-rows", test_version_0_flexible);
  add ("/live/published/at-each-interval-whatever-the-cut", test_intervals);
  add ("/live/published/first-and-last-without-interval", test_no_interval);
  add ("/live/published/training-has-the-same-bytes", test_same_bytes);
  add ("/live/published/last-when-stopped", test_stopped);
  add ("/live/published/dictionary-to-start-from", test_from_dictionary);
  add ("/live/published/after-load-and-reset", test_actions);
  add ("/live/name/second-trainer-is-refused", test_second_trainer);
  add ("/live/name/another-one-in-ready", test_other_name_in_ready);
  add ("/live/name/promises-sizes", test_promise);
  add ("/live/readers/run-the-latest", test_reads_latest);
  add ("/live/readers/who-comes-first-has-it-made", test_reader_is_first);
  add ("/live/readers/of-other-width", test_reader_of_other_width);
  add ("/live/readers/left-with-the-last", test_left_with_the_last);
  add ("/live/readers/through-cycles", test_cycles);
  add ("/live/readers/last-version-is-what-is-saved", test_eos_is_saved);
  add ("/live/readers/application-changes-sizes", test_application);
  add ("/live/readers/application-changes-width", test_application_other_width);
  add ("/live/readers/own-top-k", test_own_top_k);
  add ("/live/readers/decoder", test_decoder);
  add ("/live/errors/nobody-claims", test_nobody_claims);
  add ("/live/errors/location-and-name", test_both);
  add ("/live/errors/top-k-of-no-model", test_top_k_of_no_model);
  add ("/live/errors/refused-version", test_refused_version);
  add ("/live/errors/sizes-not-known", test_sizes_not_known);
  add ("/live/errors/decoder-is-first", test_decoder_is_first);
  add ("/live/context/is-made-and-told", test_context_is_made);
  add ("/live/context/in-ready", test_context_in_ready);
  add ("/live/context/is-not-asked-for-without-need",
      test_context_is_not_asked_for);
  add ("/live/context/without-a-store", test_context_hostile);
  add ("/live/context/queries-are-answered", test_context_is_told);
  add ("/live/context/from-a-neighbour", test_context_of_neighbours);
  add ("/live/pipelines/one", test_one_pipeline);
  add ("/live/pipelines/two", test_two_pipelines);
  add ("/live/readers-while-training", test_readers_while_training);
  return stream_run_tests ();
}
