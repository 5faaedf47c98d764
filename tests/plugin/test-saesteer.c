/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saesteer makes of buffers, and of edits that change meanwhile. */
#include <float.h>
#include <gst/controller/gstdirectcontrolbinding.h>
#include <gst/controller/gstinterpolationcontrolsource.h>
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "noise.h"
#include "sae-edits.h"
#include "sae-model-store.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4
#define SEED 7

static SaeModel *
reference_model (void)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  SaeModel *model = sae_model_new (config, SEED, SAE_INIT_TIED, NULL);

  g_assert_nonnull (model);
  return model;
}

static Stream
steer_new (const gchar *latents)
{
  return stream_new ("saesteer", "dict-size", F, "top-k", K, "seed",
      (guint64) SEED, "latents", latents, NULL);
}

/* y [n, D] by the library, which tests/model compares with the formula. */
static float *
reference (const gchar *latents, const float *x, gsize n)
{
  g_autoptr (SaeModel) model = reference_model ();
  g_autoptr (SaeEdits) edits = sae_edits_new_from_text (latents, NULL);
  g_autoptr (GBytes) input = g_bytes_new (x, n * D * sizeof *x);
  g_autoptr (GBytes) y = sae_model_steer (model, input, edits, NULL);

  g_assert_nonnull (y);
  return g_memdup2 (g_bytes_get_data (y, NULL), n * D * sizeof *x);
}

/* Latents of which some rows have one, and some have not. */
static guint
find_latent (const float *x, gsize n, guint from)
{
  g_autoptr (SaeModel) model = reference_model ();
  g_autoptr (GBytes) input = g_bytes_new (x, n * D * sizeof *x);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, input, NULL);
  g_autoptr (GBytes) bytes = sae_latents_to_dense (latents, NULL);
  const float *dense = g_bytes_get_data (bytes, NULL);

  for (guint i = from; i < F; i++) {
    gsize active = 0;
    for (gsize r = 0; r < n; r++)
      active += dense[r * F + i] > 0;
    if (active > 0 && active < n)
      return i;
  }
  g_assert_not_reached ();
}

/* Pushes rows and expects these to come out, in one memory. */
static void
expect_rows (Stream *stream, const float *x, const float *want, gsize n)
{
  g_autoptr (GBytes) got = NULL;
  GstBuffer *out;

  g_assert_cmpint (stream_push_floats (stream, x, n * D), ==, GST_FLOW_OK);
  out = stream_pull (stream);
  got = stream_memory (out, 0);
  g_assert_cmpuint (g_bytes_get_size (got), ==, n * D * sizeof *x);
  expect_same_bits ("y", g_bytes_get_data (got, NULL), want, n * D);
  gst_buffer_unref (out);
}

static void
expect_edits (Stream *stream, const gchar *latents, const float *x, gsize n)
{
  g_autofree float *want = reference (latents, x, n);

  expect_rows (stream, x, want, n);
}

/* Pushes a buffer and expects the same one, by its address. */
static void
expect_passed_on (Stream *stream, GstBuffer *in)
{
  GstBuffer *out;

  g_assert_cmpint (stream_push (stream, in), ==, GST_FLOW_OK);
  out = gst_harness_try_pull (stream->harness);
  g_assert_true (out == in);
  gst_buffer_unref (out);
}

/* --- edits ---------------------------------------------------------------- */

static void
test_every_form (void)
{
  static const gchar *const forms[] = {"*0", "*2", "*-1.5", "+3.5", "-3.5",
      "*2+1", "*0.5-2", "=4", "=-4", ">0.5", "<0.25", "*3+1>2<2.5"};
  g_autofree float *x = stream_rows (1, 40, D);
  guint latent = find_latent (x, 40, 0);

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++) {
    g_autofree gchar *text = g_strdup_printf ("%u:%s", latent, forms[i]);
    g_auto (Stream) stream = steer_new (text);
    stream_send_dims (&stream, "float32", "16:40");
    expect_edits (&stream, text, x, 40);
  }
}

static void
test_several (void)
{
  const gchar *text = "0:*0,1:+3.5,2:*0,3:*2-1,5:=4,8:*0,13:*0,63:-1";
  g_auto (Stream) stream = steer_new (text);
  g_autofree float *x = stream_rows (2, 200, D);

  stream_send_dims (&stream, "float32", "16:8");
  for (guint n = 1; n <= 200; n += n < 20 ? 1 : 31)
    expect_edits (&stream, text, x, n);
}

static void
test_golden_model (void)
{
  const gchar *folder = "saelens-jumprelu";
  g_autofree gchar *path =
      g_build_filename (g_getenv ("SAE_GOLDENS"), folder, NULL);
  g_auto (Stream) stream =
      stream_new ("saesteer", "location", path, "output", 1, NULL);
  gsize n_x, n_x_hat;
  g_autofree float *x = stream_load_golden (folder, "x.npy", &n_x);
  g_autofree float *x_hat = stream_load_golden (folder, "x_hat.npy", &n_x_hat);
  g_autoptr (GBytes) got = NULL;
  GstBuffer *out;

  g_assert_cmpuint (n_x, ==, n_x_hat);
  stream_send_dims (&stream, "float32", "48:40");
  g_assert_cmpint (stream_push_floats (&stream, x, n_x), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  for (gsize i = 0; i < n_x; i++)
    x_hat[i] = x[i] - x_hat[i];
  /* Sums of some decoder rows in another order, of numbers a few times as
   * large as their difference. */
  expect_close (folder, g_bytes_get_data (got, NULL), x_hat, n_x, 1e-5);
  gst_buffer_unref (out);
}

/* --- what does not change ------------------------------------------------- */

static void
test_no_edits_pass_buffers_on (void)
{
  static const gchar *const none[] = {NULL, "", "3:*1,4:+0"};
  g_autofree float *x = stream_rows (3, 8, D);

  for (guint i = 0; i < G_N_ELEMENTS (none); i++) {
    g_auto (Stream) stream = steer_new (none[i]);
    stream_send_dims (&stream, "float32", "16:8");
    expect_passed_on (&stream, stream_buffer (x, 8 * D * sizeof *x));
  }
}

/* Whatever there is in a buffer, if none of its rows has the latent. */
static void
test_inactive_pass_buffers_on (void)
{
  g_autofree float *x = stream_rows (3, 30, D);
  g_autofree gchar *text = g_strdup_printf ("%u:*0", find_latent (x, 30, 0));
  g_autofree float *want = reference (text, x, 30);
  g_auto (Stream) stream = steer_new (text);
  guint n_passed = 0;

  stream_send_dims (&stream, "float32", "16:1");
  for (guint r = 0; r < 30; r++) {
    const float *row = x + r * D;
    gboolean same = memcmp (row, want + r * D, D * sizeof *x) == 0;
    if (same)
      expect_passed_on (&stream, stream_buffer (row, D * sizeof *x));
    else
      expect_rows (&stream, row, want + r * D, 1);
    n_passed += same ? 1 : 0;
  }
  g_assert_cmpuint (n_passed, >, 0);
  g_assert_cmpuint (n_passed, <, 30);
}

/* Also one that others hold, in memories cut anywhere. */
static void
test_inputs_are_not_written (void)
{
  static const gsize sizes[] = {3, 100, 64};
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (3, 8, D);
  g_autofree float *want = reference ("3:=5", x, 8);
  GstBuffer *in = stream_cut_buffer (x, 8 * D * sizeof *x, sizes, 3), *out;
  g_autoptr (GBytes) got = NULL;
  g_autofree guint8 *bytes = g_malloc (8 * D * sizeof *x);

  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push (&stream, gst_buffer_ref (in)), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  expect_same_bits ("y", g_bytes_get_data (got, NULL), want, 8 * D);
  gst_buffer_extract (in, 0, bytes, 8 * D * sizeof *x);
  assert_same_memory (bytes, 8 * D * sizeof *x, x, 8 * D * sizeof *x);
  gst_buffer_unref (out);
  gst_buffer_unref (in);
}

static void
test_gaps_pass (void)
{
  g_autofree float *x = stream_rows (3, 8, D);

  for (guint output = 0; output < 2; output++) {
    g_auto (Stream) stream = steer_new ("3:=5");
    GstBuffer *gap = stream_buffer (x, 8 * D * sizeof *x);
    g_object_set (stream.element, "output", output, NULL);
    GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
    stream_send_dims (&stream, "float32", "16:8");
    expect_passed_on (&stream, gap);
    expect_passed_on (&stream, gst_buffer_new ());
    expect_passed_on (&stream, stream_buffer (NULL, 0));
    gst_harness_push_event (stream.harness, gst_event_new_gap (0, 1));
    stream_expect_no_error (&stream);
  }
}

/* Nothing is read of a gap, so it need not be rows. */
static void
test_gaps_of_anything_pass (void)
{
  static const gchar *const caps[] = {
      "other/tensors,format=(string)static,num_tensors=(int)1,"
      "types=(string)float32,dimensions=(string)16:8,framerate=(fraction)0/1",
      "other/tensors,format=(string)flexible,framerate=(fraction)0/1",
  };

  for (guint i = 0; i < G_N_ELEMENTS (caps); i++) {
    g_auto (Stream) stream = steer_new ("3:=5");
    GstBuffer *gap = stream_buffer ("xyz", 3);
    GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
    stream_send_caps (&stream, gst_caps_from_string (caps[i]));
    expect_passed_on (&stream, gap);
    stream_expect_no_error (&stream);
  }
}

/* --- types ---------------------------------------------------------------- */

/* Rows without the latent keep their bits, which float32 could not hold. */
static void
test_float64 (void)
{
  g_autofree float *x = stream_rows (4, 30, D);
  g_autofree gchar *text = g_strdup_printf ("%u:*0", find_latent (x, 30, 0));
  g_autofree float *y = reference (text, x, 30);
  g_auto (Stream) stream = steer_new (text);
  double in[30 * D];
  const double *got;
  g_autoptr (GBytes) bytes = NULL;
  GstBuffer *out;

  for (guint i = 0; i < 30 * D; i++)
    in[i] = (double) x[i] * (1 + 1e-12);
  stream_send_dims (&stream, "float64", "16:30");
  g_assert_cmpint (stream_push (&stream, stream_buffer (in, sizeof in)), ==,
      GST_FLOW_OK);
  out = stream_pull (&stream);
  bytes = stream_memory (out, 0);
  got = g_bytes_get_data (bytes, NULL);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, sizeof in);
  for (guint r = 0; r < 30; r++) {
    gboolean same = memcmp (x + r * D, y + r * D, D * sizeof *x) == 0;
    for (guint j = r * D; j < (r + 1) * D; j++)
      if (same)
        g_assert_true (got[j] == in[j]);
      else /* within the rounding of y */
        expect_within ("y", got[j], (double) y[j],
            2e-7 * (1 + fabs ((double) y[j]) + fabs (in[j])));
  }
  gst_buffer_unref (out);
}

static guint16
to_float16 (float value)
{
  _Float16 half = (_Float16) value;
  guint16 bits;

  memcpy (&bits, &half, sizeof bits);
  return bits;
}

/* y is rounded once, from float32. */
static void
test_float16 (void)
{
  g_autofree float *x = stream_rows (4, 30, D);
  g_autofree float *y = NULL;
  g_autofree gchar *text = NULL;
  g_auto (Stream) stream = {NULL};
  guint16 in[30 * D], want[30 * D];
  g_autoptr (GBytes) got = NULL;
  GstBuffer *out;

  for (guint i = 0; i < 30 * D; i++) {
    in[i] = to_float16 (x[i]);
    x[i] = (float) (_Float16) x[i];
  }
  text = g_strdup_printf ("%u:*2,5:+1", find_latent (x, 30, 6));
  y = reference (text, x, 30);
  stream = steer_new (text);
  for (guint i = 0; i < 30 * D; i++)
    want[i] = to_float16 (y[i]);
  stream_send_dims (&stream, "float16", "16:30");
  g_assert_cmpint (stream_push (&stream, stream_buffer (in, sizeof in)), ==,
      GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  assert_same_memory (g_bytes_get_data (got, NULL), g_bytes_get_size (got),
      want, sizeof want);
  gst_buffer_unref (out);
}

/* Flexible tensors stay flexible, with the very header that they had. */
static void
test_flexible (void)
{
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (5, 9, D);
  g_autofree float *want = reference ("3:=5", x, 9);

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible,"
                            "framerate=(fraction)0/1"));
  expect_passed_on (&stream, gst_buffer_new ());
  for (guint n = 9; n > 0; n--) {
    GstBuffer *in = gst_buffer_new (), *out;
    GstMemory *memory = stream_flexible (7, D, n, x, n * D * sizeof *x);
    g_autoptr (GBytes) before = NULL, after = NULL;
    const guint8 *y;
    gst_buffer_append_memory (in, memory);
    before = stream_memory (in, 0);
    g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
    out = gst_harness_pull (stream.harness);
    after = stream_memory (out, 0);
    y = g_bytes_get_data (after, NULL);
    g_assert_cmpuint (g_bytes_get_size (after), ==,
        128 + n * D * sizeof (float));
    assert_same_memory (y, 128, g_bytes_get_data (before, NULL), 128);
    expect_same_bits ("y", (const float *) (gconstpointer) (y + 128), want,
        n * D);
    gst_buffer_unref (out);
  }
  g_object_set (stream.element, "latents", NULL, NULL);
  {
    GstBuffer *in = gst_buffer_new ();
    gst_buffer_append_memory (in, stream_flexible (7, D, 2, x, 2 * D * 4));
    expect_passed_on (&stream, in);
  }
}

/* --- output=error --------------------------------------------------------- */

static void
test_error_is_x_less_x_hat (void)
{
  g_auto (Stream) stream = steer_new ("3:=5"); /* plays no part */
  g_autofree float *x = stream_rows (6, 50, D);
  g_autoptr (SaeModel) model = reference_model ();
  g_autoptr (GBytes) input = g_bytes_new (x, 50 * D * sizeof *x);
  g_autoptr (GBytes) x_hat = sae_model_forward (model, input, NULL, NULL);
  const float *values = g_bytes_get_data (x_hat, NULL);
  g_autofree float *want = g_new (float, 50 * D);

  for (guint i = 0; i < 50 * D; i++)
    want[i] = x[i] - values[i];
  g_object_set (stream.element, "output", 1, NULL);
  stream_send_dims (&stream, "float32", "16:50");
  expect_rows (&stream, x, want, 50);
  g_object_set (stream.element, "output", 0, NULL); /* while it plays */
  expect_edits (&stream, "3:=5", x, 50);
}

/* --- rows that are not finite --------------------------------------------- */

static guint64
get_nonfinite (Stream *stream)
{
  guint64 n;

  g_object_get (stream->element, "nonfinite-rows", &n, NULL);
  return n;
}

/* They pass with their bits, and the stream goes on. */
static void
test_nonfinite_pass (void)
{
  for (guint output = 0; output < 2; output++) {
    g_auto (Stream) stream = steer_new ("3:=5");
    g_autofree float *x = stream_rows (7, 8, D);
    g_autoptr (GBytes) got = NULL;
    const float *y;
    GstBuffer *out;
    x[2 * D + 5] = NAN;
    x[6 * D] = -INFINITY;
    g_object_set (stream.element, "output", output, NULL);
    stream_send_dims (&stream, "float32", "16:8");
    g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    got = stream_memory (out, 0);
    y = g_bytes_get_data (got, NULL);
    for (guint r = 0; r < 8; r++)
      g_assert_true ((memcmp (y + r * D, x + r * D, D * sizeof *x) == 0) ==
                     (r == 2 || r == 6));
    gst_buffer_unref (out);
    g_assert_cmpuint (get_nonfinite (&stream), ==, 2);
    stream_expect_no_error (&stream);
  }
}

static void
test_overflow_passes (void)
{
  g_auto (Stream) stream = steer_new ("0:=3.4e38,1:=3.4e38");
  GString *text = g_string_new (NULL);
  g_autofree float *x = stream_rows (7, 8, D);

  for (guint i = 0; i < F; i++)
    g_string_append_printf (text, "%s%u:=3.4e38", i ? "," : "", i);
  g_object_set (stream.element, "latents", text->str, NULL);
  stream_send_dims (&stream, "float32", "16:8");
  expect_passed_on (&stream, stream_buffer (x, 8 * D * sizeof *x));
  g_assert_cmpuint (get_nonfinite (&stream), ==, 8);
  g_string_free (text, TRUE);
}

/* An activation and a change may be finite, and their sum not. */
static void
test_sum_overflow_passes (void)
{
  g_auto (Stream) stream = steer_new ("3:+1e38");
  g_autoptr (SaeModel) model = reference_model ();
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
  const float *w = (const float *) g_bytes_get_data (W_dec, NULL) + 3 * D;
  g_autofree float *x = stream_rows (7, 8, D);
  g_autoptr (GBytes) got = NULL;
  const float *y;
  GstBuffer *out;

  x[2 * D] = w[0] < 0 ? -FLT_MAX : FLT_MAX;
  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  y = g_bytes_get_data (got, NULL);
  for (guint r = 0; r < 8; r++)
    g_assert_true (
        (memcmp (y + r * D, x + r * D, D * sizeof *x) == 0) == (r == 2));
  gst_buffer_unref (out);
  g_assert_cmpuint (get_nonfinite (&stream), ==, 1);
  stream_expect_no_error (&stream);
}

/* What float32 holds may be too large for float16. */
static void
test_half_overflow_passes (void)
{
  for (guint output = 0; output < 2; output++) {
    const gchar *latents = output ? "" : "3:+1000";
    g_auto (Stream) stream = steer_new (latents);
    g_autoptr (SaeModel) model = reference_model ();
    g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
    const float *w = (const float *) g_bytes_get_data (W_dec, NULL) + 3 * D;
    g_autofree float *x = stream_rows (7, 8, D);
    guint16 in[8 * D];
    g_autoptr (GBytes) got = NULL;
    const guint16 *y;
    GstBuffer *out;
    for (guint i = 0; i < 8 * D; i++)
      in[i] = to_float16 (x[i]);
    for (guint j = 0; j < D; j++)
      in[2 * D + j] = to_float16 (w[j] < 0 ? -65504 : 65504);
    g_object_set (stream.element, "output", output, NULL);
    stream_send_dims (&stream, "float16", "16:8");
    g_assert_cmpint (stream_push (&stream, stream_buffer (in, sizeof in)), ==,
        GST_FLOW_OK);
    out = stream_pull (&stream);
    got = stream_memory (out, 0);
    y = g_bytes_get_data (got, NULL);
    for (guint i = 0; i < 8 * D; i++)
      g_assert_cmpuint (y[i] & 0x7c00, !=, 0x7c00);
    if (output == 0)
      for (guint r = 0; r < 8; r++)
        g_assert_true (
            (memcmp (y + r * D, in + r * D, D * sizeof *in) == 0) == (r == 2));
    gst_buffer_unref (out);
    if (output == 0)
      g_assert_cmpuint (get_nonfinite (&stream), ==, 1);
    stream_expect_no_error (&stream);
  }
}

/* --- changes while it plays ----------------------------------------------- */

static void
test_latents_change (void)
{
  static const gchar *const texts[] = {"3:=5", "3:=5,9:*0", "9:*2", "", "1:+1"};
  g_auto (Stream) stream = steer_new ("3:*0");
  g_autofree float *x = stream_rows (8, 20, D);

  stream_send_dims (&stream, "float32", "16:20");
  expect_edits (&stream, "3:*0", x, 20);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree gchar *text = NULL;
    g_object_set (stream.element, "latents", texts[i], NULL);
    g_object_get (stream.element, "latents", &text, NULL);
    g_assert_cmpstr (text, ==, texts[i]);
    expect_edits (&stream, texts[i], x, 20);
  }
}

/* What is wrong is a warning, and the edits that were there stay. */
static void
test_bad_latents_warn (void)
{
  static const struct {
    const gchar *text, *part;
  } cases[] = {
      {"17", "':' after the index at the end of \"17\""},
      {"17:*0,4:x", "at character 9"},
      {"64:*0", "below dict-size 64, got 64"},
      {"3:>2<1", "at least 2 and at most 1"},
  };
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (8, 20, D);

  stream_send_dims (&stream, "float32", "16:20");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstMessage *message;
    g_autoptr (GError) error = NULL;
    g_autofree gchar *text = NULL;
    expect_edits (&stream, "3:=5", x, 20);
    while ((message = gst_bus_pop (stream.bus)) != NULL)
      gst_message_unref (message);
    g_object_set (stream.element, "latents", cases[i].text, NULL);
    message = stream_pop (&stream, GST_MESSAGE_WARNING);
    g_assert_nonnull (message);
    gst_message_parse_warning (message, &error, NULL);
    g_assert_nonnull (strstr (error->message, cases[i].part));
    gst_message_unref (message);
    g_object_get (stream.element, "latents", &text, NULL);
    g_assert_cmpstr (text, ==, "3:=5");
  }
}

static void
test_bad_latents_fail_the_start (void)
{
  g_auto (Stream) stream =
      stream_new_alone ("saesteer", "latents", "3:", "dict-size", F, NULL);
  g_autofree gchar *text = NULL;

  g_object_get (stream.element, "latents", &text, NULL);
  g_assert_cmpstr (text, ==, "3:");
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "latents: expected", "at the end of \"3:\"", NULL);
  g_object_set (stream.element, "latents", "3:*0", NULL);
  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), !=,
      GST_STATE_CHANGE_FAILURE);
}

/* Which latents there are is known when the model is. */
static void
test_latents_beyond_the_model (void)
{
  g_auto (Stream) stream = steer_new ("3:*0,64:*0");

  stream_send_dims (&stream, "float32", "16:8");
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "latents: expected indices below dict-size 64, got 64", NULL);
}

/* --- children ------------------------------------------------------------- */

static void
test_children_are_the_edits (void)
{
  g_auto (Stream) stream = steer_new ("9:*2,3:=5");
  GstChildProxy *proxy = GST_CHILD_PROXY (stream.element);
  g_autofree float *x = stream_rows (8, 20, D);
  g_autofree gchar *text = NULL;
  double scale, offset, min, max;
  GObject *child;
  guint latent;

  g_assert_cmpuint (gst_child_proxy_get_children_count (proxy), ==, 2);
  child = gst_child_proxy_get_child_by_index (proxy, 0);
  g_object_get (child, "latent", &latent, "scale", &scale, "offset", &offset,
      "min", &min, "max", &max, NULL);
  g_assert_cmpuint (latent, ==, 3);
  g_assert_cmpstr (GST_OBJECT_NAME (child), ==, "latent-3");
  g_assert_true (GST_OBJECT_PARENT (child) == GST_OBJECT (stream.element));
  g_assert_true (scale == 0 && offset == 5);
  g_assert_true (min == (double) -G_MAXFLOAT && max == (double) G_MAXFLOAT);
  gst_child_proxy_set (proxy, "latent-3::scale", 1.0, "latent-3::offset", -2.0,
      "latent-9::min", 0.5, "latent-9::max", 2.0, "latent-12::offset", 0.25,
      NULL);
  g_object_get (stream.element, "latents", &text, NULL);
  g_assert_cmpstr (text, ==, "3:-2,9:*2>0.5<2,12:+0.25");
  stream_send_dims (&stream, "float32", "16:20");
  expect_edits (&stream, text, x, 20);
  gst_child_proxy_get (proxy, "latent-12::offset", &offset, NULL);
  g_assert_true (offset == 0.25);
  g_object_unref (child);
}

typedef struct {
  guint n_added, n_removed;
  gchar *last;
} Counted;

static void
count_added (GstChildProxy *proxy, GObject *child, gchar *name,
    Counted *counted)
{
  counted->n_added++;
  g_free (counted->last);
  counted->last = g_strdup (name);
}

static void
count_removed (GstChildProxy *proxy, GObject *child, gchar *name,
    Counted *counted)
{
  counted->n_removed++;
  g_free (counted->last);
  counted->last = g_strdup (name);
}

/* The same latent stays the same object; others come and go. */
static void
test_children_come_and_go (void)
{
  g_auto (Stream) stream = steer_new ("9:*2,3:=5");
  GstChildProxy *proxy = GST_CHILD_PROXY (stream.element);
  GObject *before = gst_child_proxy_get_child_by_name (proxy, "latent-9");
  GObject *after, *gone = gst_child_proxy_get_child_by_name (proxy, "latent-3");
  Counted counted = {0};

  g_signal_connect (proxy, "child-added", G_CALLBACK (count_added), &counted);
  g_signal_connect (proxy, "child-removed", G_CALLBACK (count_removed),
      &counted);
  g_object_set (stream.element, "latents", "9:*3,12:*0", NULL);
  g_assert_cmpuint (counted.n_added, ==, 1);
  g_assert_cmpuint (counted.n_removed, ==, 1);
  g_assert_cmpstr (counted.last, ==, "latent-3");
  g_assert_null (GST_OBJECT_PARENT (gone));
  g_object_unref (gone);
  after = gst_child_proxy_get_child_by_name (proxy, "latent-9");
  g_assert_true (after == before);
  g_object_unref (before);
  g_object_unref (after);
  g_assert_cmpuint (gst_child_proxy_get_children_count (proxy), ==, 2);
  after = gst_child_proxy_get_child_by_name (proxy, "latent-20");
  g_assert_cmpstr (counted.last, ==, "latent-20");
  g_object_unref (after);
  g_assert_cmpuint (gst_child_proxy_get_children_count (proxy), ==, 3);
  g_free (counted.last);
}

static void
test_no_such_child (void)
{
  static const gchar *const names[] = {"latent-", "latent-x", "latent--1",
      "latent-1x", "latent-4294967295", "latent- 1", "lat-1", "latent", "",
      "latent-64"};
  g_auto (Stream) stream = steer_new ("3:*0");
  GstChildProxy *proxy = GST_CHILD_PROXY (stream.element);

  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_null (gst_child_proxy_get_child_by_name (proxy, names[i]));
  g_assert_null (gst_child_proxy_get_child_by_index (proxy, 1));
}

/* --- control sources ------------------------------------------------------ */

static GstControlSource *
animate (Stream *stream, const gchar *child, const gchar *property,
    double first, double last, GstClockTime end)
{
  GObject *edit =
      gst_child_proxy_get_child_by_name (GST_CHILD_PROXY (stream->element),
          child);
  GstControlSource *curve = gst_interpolation_control_source_new ();
  GstTimedValueControlSource *points = GST_TIMED_VALUE_CONTROL_SOURCE (curve);

  g_object_set (curve, "mode", GST_INTERPOLATION_MODE_LINEAR, NULL);
  gst_timed_value_control_source_set (points, 0, first);
  gst_timed_value_control_source_set (points, end, last);
  g_assert_true (gst_object_add_control_binding (GST_OBJECT (edit),
      gst_direct_control_binding_new_absolute (GST_OBJECT (edit), property,
          curve)));
  g_object_unref (edit);
  return curve;
}

static void
push_at (Stream *stream, const float *x, gsize n, GstClockTime time,
    const gchar *latents)
{
  g_autofree float *want = reference (latents, x, n);
  GstBuffer *in = stream_buffer (x, n * D * sizeof *x), *out;
  g_autoptr (GBytes) got = NULL;

  GST_BUFFER_PTS (in) = time;
  g_assert_cmpint (stream_push (stream, in), ==, GST_FLOW_OK);
  out = stream_pull (stream);
  got = stream_memory (out, 0);
  expect_same_bits ("y", g_bytes_get_data (got, NULL), want, n * D);
  gst_buffer_unref (out);
}

/* A ramp is followed at the stream time of each buffer. */
static void
test_ramp (void)
{
  g_auto (Stream) stream = steer_new ("9:*2");
  g_autofree float *x = stream_rows (9, 20, D);
  GstControlSource *curve =
      animate (&stream, "latent-3", "offset", 0, 8, 16 * GST_SECOND);
  GstSegment segment;

  stream_send_dims (&stream, "float32", "16:20");
  for (guint t = 0; t <= 16; t++) {
    g_autofree gchar *text =
        g_strdup_printf ("9:*2,3:+%u.%u", t / 2, t % 2 * 5);
    push_at (&stream, x, 20, t * GST_SECOND, text);
  }
  /* without a time, or in bytes, the last value stays */
  push_at (&stream, x, 20, GST_CLOCK_TIME_NONE, "9:*2,3:+8");
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
  push_at (&stream, x, 20, 0, "9:*2,3:+8");
  /* a segment moves stream time */
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = 4 * GST_SECOND;
  segment.time = 10 * GST_SECOND;
  gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
  push_at (&stream, x, 20, 5 * GST_SECOND, "9:*2,3:+5.5");
  gst_object_unref (curve);
}

/* Edits that go take their curves along. */
static void
test_removal_ends_a_ramp (void)
{
  g_auto (Stream) stream = steer_new ("9:*2");
  g_autofree float *x = stream_rows (9, 20, D);
  GstControlSource *curve =
      animate (&stream, "latent-9", "scale", 0, 2, 2 * GST_SECOND);

  stream_send_dims (&stream, "float32", "16:20");
  push_at (&stream, x, 20, GST_SECOND, "9:*1");
  g_object_set (stream.element, "latents", "3:*0", NULL);
  push_at (&stream, x, 20, GST_SECOND, "3:*0");
  g_object_set (stream.element, "latents", "9:*2", NULL);
  push_at (&stream, x, 20, GST_SECOND, "9:*2");
  gst_object_unref (curve);
}

/* --- caps, events, states ------------------------------------------------- */

/* New caps go first when the number of rows changes, also for buffers that are
 * passed on: stream_pull() compares. */
static void
test_caps_follow_the_rows (void)
{
  static const guint rows[] = {8, 3, 3, 200, 8, 1};
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (9, 200, D);

  stream_send_dims (&stream, "float32", "16:8");
  for (guint edited = 0; edited < 2; edited++) {
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
      g_autofree gchar *want = g_strdup_printf ("16:%u", rows[i]), *dims = NULL;
      expect_edits (&stream, edited ? "" : "3:=5", x, rows[i]);
      dims = stream_out_field (&stream, "dimensions");
      g_assert_cmpstr (dims, ==, want);
    }
    g_object_set (stream.element, "latents", "", NULL);
  }
}

static void
test_caps_change (void)
{
  static const gchar *const types[] = {"float32", "float64", "float16"};
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (9, 40, D);
  double zeros[40 * D] = {0};

  for (guint i = 0; i < 30; i++) {
    g_autofree gchar *dims = g_strdup_printf ("16:%u", i + 1), *got = NULL;
    const gchar *type = types[i % 3];
    gsize size = i % 3 == 0 ? 4 : i % 3 == 1 ? 8 : 2;
    stream_send_dims (&stream, type, dims);
    g_assert_cmpint (stream_push (&stream,
                         stream_buffer (zeros, (i + 1) * D * size)),
        ==, GST_FLOW_OK);
    gst_buffer_unref (stream_pull (&stream));
    got = stream_out_field (&stream, "types");
    g_assert_cmpstr (got, ==, type);
  }
  stream_send_dims (&stream, "float32", "16:4:5");
  expect_edits (&stream, "3:=5", x, 20);
  {
    g_autofree gchar *dims = stream_out_field (&stream, "dimensions");
    g_assert_cmpstr (dims, ==, "16:4:5");
  }
}

static void
test_caps_refused (void)
{
  static const struct {
    const gchar *types, *dims, *part;
    gint code;
  } cases[] = {
      {"int32", "16:8", "int32", GST_STREAM_ERROR_WRONG_TYPE},
      {"float32,float32", "16:8,16:8", "got 2", GST_STREAM_ERROR_WRONG_TYPE},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream = steer_new ("3:=5");
    stream_send_dims (&stream, cases[i].types, cases[i].dims);
    stream_expect_error (&stream, GST_STREAM_ERROR, cases[i].code,
        cases[i].part, NULL);
  }
  for (guint i = 0; i < 3; i++) {
    static const gchar *const types[] = {"float32", "float64", "float16"};
    g_auto (Stream) stream = stream_new ("saesteer", "dict-size", F, "top-k", K,
        "input-size", D, NULL);
    stream_send_dims (&stream, types[i], "8:8");
    stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "expected rows of 16 (input-size), got rows of 8", NULL);
  }
}

static void
test_half_rows (void)
{
  g_auto (Stream) stream = steer_new ("");
  guint8 bytes[8 * D * 4 + 4] = {0};

  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push (&stream, stream_buffer (bytes, sizeof bytes)),
      ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "multiple of 64 bytes", "516", NULL);
  stream_expect_nothing (&stream);
}

/* What goes on in other elements' caps goes on here: trailing ones. */
static void
test_trailing_ones (void)
{
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (9, 8, D);
  g_autofree gchar *dims = NULL;

  gst_harness_set_sink_caps (stream.harness,
      stream_caps ("float32", "16:8:1:1"));
  stream_send_dims (&stream, "float32", "16:8");
  expect_edits (&stream, "3:=5", x, 8);
  dims = stream_out_field (&stream, "dimensions");
  g_assert_cmpstr (dims, ==, "16:8:1:1");
}

static void
test_times_flags_and_metas_kept (void)
{
  g_auto (Stream) stream = steer_new ("3:=5");
  float x[2 * D] = {1};
  GstBuffer *in = stream_buffer (x, sizeof x), *out;
  GstCaps *clock = gst_caps_new_empty_simple ("timestamp/x-unix");

  GST_BUFFER_PTS (in) = 1000;
  GST_BUFFER_DTS (in) = 900;
  GST_BUFFER_DURATION (in) = 50;
  GST_BUFFER_OFFSET (in) = 17;
  GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_MARKER);
  gst_buffer_add_reference_timestamp_meta (in, clock, 12345, 6);
  stream_send_dims (&stream, "float32", "16:2");
  g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
  out = stream_pull (&stream);
  g_assert_true (out != in);
  g_assert_cmpuint (GST_BUFFER_PTS (out), ==, 1000);
  g_assert_cmpuint (GST_BUFFER_DTS (out), ==, 900);
  g_assert_cmpuint (GST_BUFFER_DURATION (out), ==, 50);
  g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 17);
  g_assert_true (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_DISCONT));
  g_assert_true (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_MARKER));
  g_assert_nonnull (gst_buffer_get_reference_timestamp_meta (out, clock));
  gst_caps_unref (clock);
  gst_buffer_unref (out);
}

static void
test_flush_and_eos (void)
{
  g_auto (Stream) stream = steer_new ("3:=5");
  g_autofree float *x = stream_rows (9, 8, D);
  GstSegment segment;

  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < 100; i++) {
    expect_edits (&stream, "3:=5", x, 8);
    gst_harness_push_event (stream.harness, gst_event_new_flush_start ());
    gst_harness_push_event (stream.harness, gst_event_new_flush_stop (TRUE));
    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_harness_push_event (stream.harness, gst_event_new_segment (&segment));
  }
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_EOS);
  stream_expect_no_error (&stream);
}

/* Edits and their curves outlive a stop; rows are counted anew. */
static void
test_two_cycles (void)
{
  g_auto (Stream) stream = steer_new ("9:*2");
  g_autofree float *x = stream_rows (9, 20, D);
  GstControlSource *curve =
      animate (&stream, "latent-3", "offset", 0, 8, 8 * GST_SECOND);

  for (guint cycle = 0; cycle < 3; cycle++) {
    float bad[D] = {NAN};
    stream_send_dims (&stream, "float32", "16:20");
    push_at (&stream, x, 20, 3 * GST_SECOND, "9:*2,3:+3");
    g_assert_cmpint (stream_push_floats (&stream, bad, D), ==, GST_FLOW_OK);
    gst_buffer_unref (stream_pull (&stream));
    g_assert_cmpuint (get_nonfinite (&stream), ==, 1);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    gst_pad_set_active (stream.harness->srcpad, FALSE);
    gst_pad_set_active (stream.harness->srcpad, TRUE);
    stream_expect_no_error (&stream);
  }
  gst_object_unref (curve);
}

/* --- live models ---------------------------------------------------------- */

static Stream
live_new (SaeModelStore *store, const gchar *latents)
{
  Stream stream = stream_new_alone ("saesteer", "model-name", "m", "latents",
      latents, NULL);
  GstContext *context = gst_context_new ("sae.model-store", TRUE);

  gst_structure_set (gst_context_writable_structure (context), "store",
      SAE_TYPE_MODEL_STORE, store, NULL);
  gst_element_set_context (stream.element, context);
  gst_context_unref (context);
  stream.harness = gst_harness_new_with_element (stream.element, "sink", "src");
  return stream;
}

static void
publish (SaeModelStore *store, const SaeConfig *config, guint64 seed)
{
  GError *error = NULL;
  g_autoptr (SaeModel) model =
      sae_model_new (config, seed, SAE_INIT_TIED, &error);

  g_assert_no_error (error);
  sae_model_store_publish (store, "m", model, &error);
  g_assert_no_error (error);
}

/* Each buffer is steered by the latest version. */
static void
test_live_model (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autofree float *x = stream_rows (9, 20, D);
  g_auto (Stream) stream = live_new (store, "3:=5");

  publish (store, config, SEED + 1);
  stream_send_dims (&stream, "float32", "16:20");
  g_assert_cmpint (stream_push_floats (&stream, x, 20 * D), ==, GST_FLOW_OK);
  gst_buffer_unref (stream_pull (&stream));
  publish (store, config, SEED);
  expect_edits (&stream, "3:=5", x, 20);
}

/* What is written instead of what was read has to be of its kind. */
static void
test_transcoders_are_refused (void)
{
  const SaeConfig wide = {D, D + 1, F, K, SAE_SPARSITY_TOP_K};
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  g_auto (Stream) stream = live_new (store, "3:=5");

  publish (store, &wide, SEED);
  stream_send_dims (&stream, "float32", "16:20");
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "a transcoder from 16 to 17", NULL);
}

static void
test_skip_connections_are_refused (void)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autofree float *x = stream_rows (9, 20, D);
  g_autoptr (GBytes) W_skip = g_bytes_new (x, D * D * sizeof *x);
  g_autoptr (SaeModel) plain = sae_model_new (config, 1, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) model = sae_model_with_skip (plain, W_skip, NULL);

  for (guint output = 0; output < 2; output++) {
    g_autoptr (SaeModelStore) store = sae_model_store_new ();
    g_auto (Stream) stream = live_new (store, "3:=5");
    sae_model_store_publish (store, "m", model, NULL);
    g_object_set (stream.element, "output", output, NULL);
    stream_send_dims (&stream, "float32", "16:20");
    g_assert_cmpint (stream_push_floats (&stream, x, 20 * D), ==,
        GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
        "a transcoder with a skip connection", NULL);
  }
}

/* --- many ----------------------------------------------------------------- */

/* Any edits, in any order, by text and by children: what the library makes. */
static void
test_random_changes (void)
{
  g_auto (Stream) stream = steer_new ("");
  Noise noise = noise_new ();
  g_autofree float *x = stream_rows (10, 40, D);
  guint n_changes = g_test_slow () ? 20000 : 1000;

  stream_send_dims (&stream, "float32", "16:1");
  for (guint i = 0; i < n_changes; i++) {
    g_autofree gchar *name =
        g_strdup_printf ("latent-%u", noise_below (&noise, F));
    g_autofree gchar *text = NULL;
    static const gchar *const properties[] = {"scale", "offset"};
    g_autofree gchar *path =
        g_strdup_printf ("%s::%s", name, properties[noise_below (&noise, 2)]);
    if (noise_below (&noise, 8) == 0) {
      g_autofree gchar *some = g_strdup_printf ("%u:*0,%u:=1.5",
          noise_below (&noise, 20), 20 + noise_below (&noise, 20));
      g_object_set (stream.element, "latents", some, NULL);
    } else {
      gst_child_proxy_set (GST_CHILD_PROXY (stream.element), path,
          (double) noise_normal (&noise), NULL);
    }
    g_object_get (stream.element, "latents", &text, NULL);
    expect_edits (&stream, text, x, 1 + noise_below (&noise, 40));
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(path, test) g_test_add_func ("/saesteer/" path, test)
  ADD ("edits/every-form", test_every_form);
  ADD ("edits/several", test_several);
  ADD ("untouched/no-edits-pass-buffers-on", test_no_edits_pass_buffers_on);
  ADD ("untouched/inactive-pass-buffers-on", test_inactive_pass_buffers_on);
  ADD ("untouched/inputs-are-not-written", test_inputs_are_not_written);
  ADD ("untouched/gaps-pass", test_gaps_pass);
  ADD ("untouched/gaps-of-anything-pass", test_gaps_of_anything_pass);
  ADD ("types/float64", test_float64);
  ADD ("types/float16", test_float16);
  ADD ("types/flexible", test_flexible);
  ADD ("error/x-less-x-hat", test_error_is_x_less_x_hat);
  ADD ("error/golden", test_golden_model);
  ADD ("nonfinite/pass", test_nonfinite_pass);
  ADD ("nonfinite/overflow-passes", test_overflow_passes);
  ADD ("nonfinite/overflow-of-a-sum-passes", test_sum_overflow_passes);
  ADD ("nonfinite/overflow-of-float16-passes", test_half_overflow_passes);
  ADD ("latents/change", test_latents_change);
  ADD ("latents/bad-ones-warn", test_bad_latents_warn);
  ADD ("latents/bad-ones-fail-the-start", test_bad_latents_fail_the_start);
  ADD ("latents/beyond-the-model", test_latents_beyond_the_model);
  ADD ("children/are-the-edits", test_children_are_the_edits);
  ADD ("children/come-and-go", test_children_come_and_go);
  ADD ("children/no-such-child", test_no_such_child);
  ADD ("control/ramp", test_ramp);
  ADD ("control/removal-ends-a-ramp", test_removal_ends_a_ramp);
  ADD ("caps/follow-the-rows", test_caps_follow_the_rows);
  ADD ("caps/change", test_caps_change);
  ADD ("caps/refused", test_caps_refused);
  ADD ("caps/half-rows", test_half_rows);
  ADD ("caps/trailing-ones", test_trailing_ones);
  ADD ("times-flags-and-metas-kept", test_times_flags_and_metas_kept);
  ADD ("flush-and-eos", test_flush_and_eos);
  ADD ("two-cycles", test_two_cycles);
  ADD ("live/latest-version", test_live_model);
  ADD ("live/transcoders-are-refused", test_transcoders_are_refused);
  ADD ("live/skip-connections-are-refused", test_skip_connections_are_refused);
  ADD ("random-changes", test_random_changes);
  return stream_run_tests ();
}
