/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which model saeencoder and saedecoder run, and their states. */
#include <string.h>

#include <glib/gstdio.h>

#include "expect.h"
#include "sae-enum-types.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4

typedef struct {
  gchar *folder;
  gchar *top_k; /* dictionaries in it */
  gchar *l1;
  gchar *jump_relu;
  gchar *pre_bias;
} Models;

static void
set_up (Models *models, gconstpointer data)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);

  models->folder = stream_make_folder ();
  models->top_k = stream_save_model (models->folder, "top-k", config, 7);
  config->pre_bias = TRUE;
  models->pre_bias = stream_save_model (models->folder, "pre-bias", config, 7);
  config->pre_bias = FALSE;
  config->sparsity = SAE_SPARSITY_L1;
  models->l1 = stream_save_model (models->folder, "l1", config, 7);
  config->sparsity = SAE_SPARSITY_JUMP_RELU;
  models->jump_relu =
      stream_save_model (models->folder, "jump-relu", config, 7);
}

static void
tear_down (Models *models, gconstpointer data)
{
  stream_remove_folder (models->folder);
  g_free (models->top_k);
  g_free (models->l1);
  g_free (models->jump_relu);
  g_free (models->pre_bias);
}

static const gchar *const elements[] = {"saeencoder", "saedecoder"};

/* The element does not start, and says why once. */
static void
expect_no_start (Stream *stream, GQuark domain, gint code, const gchar *part,
    const gchar *other_part)
{
  g_assert_cmpint (gst_element_set_state (stream->element, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
  stream_expect_error (stream, domain, code, part, other_part, NULL);
}

static void
test_missing (Models *models, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    g_auto (Stream) stream =
        stream_new_alone (elements[i], "location", "/nowhere/at/all", NULL);
    expect_no_start (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
        "/nowhere/at/all", NULL);
  }
}

/* Files that a dictionary needs, cut or overwritten. */
static void
test_corrupt (Models *models, gconstpointer data)
{
  static const gchar *const names[] = {"cfg.json", "sae_weights.safetensors"};

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *path = g_build_filename (models->top_k, names[i], NULL);
    g_autoptr (GBytes) whole = stream_load_file (models->top_k, names[i]);
    gsize size;
    const gchar *bytes = g_bytes_get_data (whole, &size);
    for (guint j = 0; j < G_N_ELEMENTS (elements); j++) {
      g_auto (Stream) stream =
          stream_new_alone (elements[j], "location", models->top_k, NULL);
      g_assert_true (
          g_file_set_contents (path, bytes, (gssize) size - 3, NULL));
      expect_no_start (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
          names[i], NULL);
      /* What failed once works when the file is there. */
      g_assert_true (g_file_set_contents (path, bytes, (gssize) size, NULL));
      gst_element_set_state (stream.element, GST_STATE_NULL);
      g_assert_cmpint (gst_element_set_state (stream.element,
                           GST_STATE_PLAYING),
          !=, GST_STATE_CHANGE_FAILURE);
    }
  }
}

static void
test_contradictions (Models *models, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    struct {
      const gchar *location, *property, *value, *part, *other_part;
    } cases[] = {
        {models->top_k, "input-size", "17", "17", "16"},
        {models->top_k, "dict-size", "65", "65", "64"},
        {models->top_k, "sparsity", "l1", "l1", "top-k"},
        {models->top_k, "top-k", "65", "65", "64"},
        {models->l1, "sparsity", "top-k", "top-k", "l1"},
        {models->l1, "top-k", "8", "top-k", "l1"},
        {models->jump_relu, "top-k", "8", "top-k: set to 8", "jump-relu"},
        {models->jump_relu, "sparsity", "l1", "l1", "jump-relu"},
        {models->jump_relu, "sparsity", "batch-top-k", "batch-top-k",
            "jump-relu"},
        {models->top_k, "pre-bias", "true", "pre-bias", "true"},
        {models->pre_bias, "pre-bias", "false", "pre-bias", "false"},
    };
    for (guint j = 0; j < G_N_ELEMENTS (cases); j++) {
      g_auto (Stream) stream =
          stream_new_alone (elements[i], "location", cases[j].location, NULL);
      gst_util_set_object_arg (G_OBJECT (stream.element), cases[j].property,
          cases[j].value);
      expect_no_start (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          cases[j].part, cases[j].other_part);
    }
  }
}

/* Without a location, what was set can only contradict itself. */
static void
test_contradictions_of_properties (Models *models, gconstpointer data)
{
  static const gchar *const rules[] = {"l1", "jump-relu"};

  for (guint i = 0; i < G_N_ELEMENTS (elements); i++)
    for (guint j = 0; j < G_N_ELEMENTS (rules); j++) {
      g_auto (Stream) stream =
          stream_new_alone (elements[i], "dict-size", F, "top-k", K, NULL);
      gst_util_set_object_arg (G_OBJECT (stream.element), "sparsity", rules[j]);
      expect_no_start (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "top-k: set to 4", rules[j]);
    }
}

/* Dense codes there and back are what the library computes. */
static void
test_jump_relu_there_and_back (Models *models, gconstpointer data)
{
  g_auto (Stream) encoder = stream_new ("saeencoder", "location",
      models->jump_relu, "codes-format", 2, NULL);
  g_auto (Stream) decoder =
      stream_new ("saedecoder", "location", models->jump_relu, NULL);
  g_autoptr (SaeModel) model = sae_model_load (models->jump_relu, NULL);
  g_autofree float *x = stream_rows (1, 10, D);
  g_autoptr (GBytes) input = g_bytes_new (x, 10 * D * sizeof *x);
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) want_x_hat =
      sae_model_forward (model, input, &latents, NULL);
  g_autoptr (GBytes) want_codes = sae_latents_to_dense (latents, NULL);
  g_autoptr (GBytes) codes = NULL, x_hat = NULL;
  GstBuffer *out;

  stream_send_dims (&encoder, "float32", "16:10");
  g_assert_cmpint (stream_push_floats (&encoder, x, 10 * D), ==, GST_FLOW_OK);
  out = stream_pull (&encoder);
  codes = stream_memory (out, 0);
  expect_same_bytes ("codes", codes, want_codes);
  stream_send_dims (&decoder, "float32", "64:10");
  g_assert_cmpint (stream_push (&decoder, out), ==, GST_FLOW_OK);
  out = stream_pull (&decoder);
  x_hat = stream_memory (out, 0);
  expect_same_bytes ("x_hat", x_hat, want_x_hat);
  gst_buffer_unref (out);
}

/* Thresholds of the file matter: half of what l1 lets through stays. */
static void
test_thresholds_are_used (Models *models, gconstpointer data)
{
  g_autoptr (SaeModel) zero = sae_model_load (models->jump_relu, NULL);
  g_autofree float *high = g_new0 (float, F);
  g_autoptr (GBytes) threshold = NULL;
  g_autoptr (SaeModel) model = NULL;
  g_autofree float *x = stream_rows (1, 10, D);
  GstBuffer *out;

  for (guint i = 0; i < F; i += 2)
    high[i] = 1e6f;
  threshold = g_bytes_new (high, F * sizeof *high);
  model = sae_model_with_threshold (zero, threshold, NULL);
  g_assert_true (sae_model_save (model, models->jump_relu, NULL));
  g_auto (Stream) stream = stream_new ("saeencoder", "location",
      models->jump_relu, "codes-format", 2, NULL);
  stream_send_dims (&stream, "float32", "16:10");
  g_assert_cmpint (stream_push_floats (&stream, x, 10 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  g_autoptr (GBytes) codes = stream_memory (out, 0);
  const float *latents = g_bytes_get_data (codes, NULL);
  gboolean active[2] = {FALSE, FALSE};
  for (guint i = 0; i < 10 * F; i++)
    active[i % 2] |= latents[i] > 0;
  g_assert_false (active[0]);
  g_assert_true (active[1]);
  gst_buffer_unref (out);
}

/* Whatever was set to what the model has is no contradiction. */
static void
test_agreement (Models *models, gconstpointer data)
{
  g_auto (Stream) stream = stream_new_alone ("saeencoder", "location",
      models->pre_bias, "input-size", D, "dict-size", F, "top-k", K, "sparsity",
      SAE_SPARSITY_TOP_K, "pre-bias", TRUE, NULL);

  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PLAYING),
      !=, GST_STATE_CHANGE_FAILURE);
  stream_expect_no_error (&stream);
}

static void
test_other_top_k (Models *models, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new ("saeencoder", "location", models->top_k, "top-k", 9, NULL);
  g_autoptr (SaeConfig) config = sae_config_new (D, F, 9);
  g_autoptr (SaeModel) model = sae_model_new (config, 7, SAE_INIT_TIED, NULL);
  g_autofree float *x = stream_rows (1, 10, D);
  g_autoptr (GBytes) input = g_bytes_new (x, 10 * D * sizeof *x);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, input, NULL);
  GstBuffer *out;

  stream_send_dims (&stream, "float32", "16:10");
  g_assert_cmpint (stream_push_floats (&stream, x, 10 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  for (guint r = 0; r < 10; r++) {
    g_autoptr (GBytes) values = stream_memory (out, 1);
    guint n_active;
    const float *want = sae_latents_get_row_values (latents, r, &n_active);
    expect_same_bits ("values",
        (const float *) g_bytes_get_data (values, NULL) + r * 9, want,
        n_active);
  }
  gst_buffer_unref (out);
}

/* --- without a location --------------------------------------------------- */

static void
test_untrained_warns (Models *models, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new ("saeencoder", "dict-size", F, "top-k", K, NULL);
  float x[D] = {1};
  GstMessage *message;

  stream_send_dims (&stream, "float32", "16:1");
  g_assert_cmpint (stream_push_floats (&stream, x, D), ==, GST_FLOW_OK);
  message = stream_pop (&stream, GST_MESSAGE_WARNING);
  g_assert_nonnull (message);
  gst_message_unref (message);
  g_assert_cmpint (stream_push_floats (&stream, x, D), ==, GST_FLOW_OK);
  g_assert_null (stream_pop (&stream, GST_MESSAGE_WARNING));
}

static GBytes *
encode_untrained (guint64 seed)
{
  g_auto (Stream) stream = stream_new ("saeencoder", "dict-size", F, "top-k", K,
      "seed", seed, "codes-format", 2, NULL);
  g_autofree float *x = stream_rows (1, 10, D);
  GBytes *codes;
  GstBuffer *out;

  stream_send_dims (&stream, "float32", "16:10");
  g_assert_cmpint (stream_push_floats (&stream, x, 10 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  codes = stream_memory (out, 0);
  gst_buffer_unref (out);
  return codes;
}

static void
test_seed_decides (Models *models, gconstpointer data)
{
  g_autoptr (GBytes) once = encode_untrained (3);
  g_autoptr (GBytes) again = encode_untrained (3);
  g_autoptr (GBytes) other = encode_untrained (4);

  expect_same_bytes ("codes of one seed", again, once);
  g_assert_false (g_bytes_equal (once, other));
}

static void
test_more_than_there_are (Models *models, gconstpointer data)
{
  g_auto (Stream) stream =
      stream_new ("saeencoder", "dict-size", F, "top-k", F + 1, NULL);
  float x[D] = {1};

  stream_send_dims (&stream, "float32", "16:1");
  g_assert_cmpint (stream_push_floats (&stream, x, D), <, GST_FLOW_OK);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "64", "65", NULL);
}

/* 2^28 latents of 2^20 floats: refused before anything is allocated. */
static void
test_too_large (Models *models, gconstpointer data)
{
  g_auto (Stream) stream = stream_new ("saeencoder", "dict-size", 1 << 28,
      "max-bytes", G_GUINT64_CONSTANT (0), NULL);
  gsize size = (1 << 20) * sizeof (float);
  gpointer zeros = g_malloc0 (size);

  stream_send_dims (&stream, "float32", "1048576:1");
  g_assert_cmpint (stream_push (&stream, stream_buffer (zeros, size)), ==,
      GST_FLOW_ERROR);
  g_free (zeros);
  stream_expect_error (&stream, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NO_SPACE_LEFT, "268435456", NULL);
}

/* --- states --------------------------------------------------------------- */

/* One run through all states, with data in it. */
static void
run_once (GstElement *element, const gchar *types, const gchar *dims,
    gsize size)
{
  GstHarness *harness = gst_harness_new_with_element (element, "sink", "src");
  Stream stream = {harness, element, NULL};
  gpointer zeros = g_malloc0 (size);

  stream_send_dims (&stream, types, dims);
  g_assert_cmpint (stream_push (&stream, stream_buffer (zeros, size)), ==,
      GST_FLOW_OK);
  g_free (zeros);
  gst_buffer_unref (stream_pull (&stream));
  gst_element_set_state (element, GST_STATE_NULL);
  gst_harness_teardown (harness);
}

static void
test_states (Models *models, gconstpointer data)
{
  guint n = g_test_slow () ? 10000 : 200;

  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    GstElement *element =
        gst_object_ref_sink (gst_element_factory_make (elements[i], NULL));
    g_object_set (element, "location", models->top_k, NULL);
    for (guint j = 0; j < n; j++)
      run_once (element, i ? "uint32,float32" : "float32",
          i ? "4:3,4:3" : "16:3", i ? 3 * K * 8 : 3 * D * 4);
    gst_object_unref (element);
  }
}

/* A second start takes the properties as they are then. */
static void
test_restart_takes_location (Models *models, gconstpointer data)
{
  GstElement *element =
      gst_object_ref_sink (gst_element_factory_make ("saeencoder", NULL));
  GstHarness *harness;

  run_once (element, "float32", "8:3", 3 * 8 * 4);
  run_once (element, "float32", "12:3", 3 * 12 * 4);
  g_object_set (element, "location", models->l1, "codes-format", 2, NULL);
  harness = gst_harness_new_with_element (element, "sink", "src");
  {
    Stream stream = {harness, element, NULL};
    float x[D] = {1};
    g_autofree gchar *dims = NULL;
    stream_send_dims (&stream, "float32", "16:1");
    g_assert_cmpint (stream_push_floats (&stream, x, D), ==, GST_FLOW_OK);
    gst_buffer_unref (stream_pull (&stream));
    dims = stream_out_field (&stream, "dimensions");
    g_assert_cmpstr (dims, ==, "64:1");
  }
  gst_harness_teardown (harness);
  gst_object_unref (element);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test)                                                        \
  g_test_add ("/saefilter/" name, Models, NULL, set_up, test, tear_down)
  ADD ("location-missing", test_missing);
  ADD ("location-corrupt", test_corrupt);
  ADD ("contradictions-name-both", test_contradictions);
  ADD ("contradictions-without-location", test_contradictions_of_properties);
  ADD ("jump-relu-there-and-back", test_jump_relu_there_and_back);
  ADD ("thresholds-are-used", test_thresholds_are_used);
  ADD ("agreement-is-fine", test_agreement);
  ADD ("other-top-k-allowed", test_other_top_k);
  ADD ("untrained-warns-once", test_untrained_warns);
  ADD ("seed-decides", test_seed_decides);
  ADD ("top-k-above-dict-size", test_more_than_there_are);
  ADD ("too-large-refused", test_too_large);
  ADD ("states-200-times", test_states);
  ADD ("restart-takes-location", test_restart_takes_location);
  return stream_run_tests ();
}
