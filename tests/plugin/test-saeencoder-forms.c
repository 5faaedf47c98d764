/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The forms in which saeencoder sends codes: which one is chosen, and that
 * their bytes are the latents that the library finds. */
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "fault.h"
#include "noise.h"
#include "sae-enum-types.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4

#define STATIC "other/tensors,format=(string)static,num_tensors=(int)"
#define PAIRS STATIC "2"
#define DENSE STATIC "1"
#define SPARSE "other/tensors,format=(string)sparse"
#define FLEXIBLE "other/tensors,format=(string)flexible"

static const gchar *const rules[] = {"top-k", "keep-all", "l1", "jump-relu",
    "group-max"};

/* Whether a rule never keeps more than k latents. */
static gboolean
has_pairs (const gchar *rule)
{
  return strcmp (rule, "top-k") == 0 || strcmp (rule, "group-max") == 0;
}

/* An encoder without a model on disk, of D, F and K. */
static Stream
encoder_new (const gchar *rule, const gchar *codes_format)
{
  Stream stream =
      stream_new ("saeencoder", "input-size", D, "dict-size", F, NULL);
  gboolean keep_all = strcmp (rule, "keep-all") == 0;
  gboolean has_k = keep_all || has_pairs (rule);

  gst_element_set_state (stream.element, GST_STATE_READY);
  gst_util_set_object_arg (G_OBJECT (stream.element), "codes-format",
      codes_format);
  gst_util_set_object_arg (G_OBJECT (stream.element), "sparsity",
      keep_all ? "top-k" : rule);
  if (keep_all)
    gst_util_set_object_arg (G_OBJECT (stream.element), "ties", "keep-all");
  if (has_k)
    g_object_set (stream.element, "top-k", K, NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  return stream;
}

/* The codes that the library finds for the same seed and sizes. */
static SaeLatents *
find_latents (const gchar *rule, const float *x, gsize n, GBytes **x_hat)
{
  gboolean keep_all = strcmp (rule, "keep-all") == 0;
  gboolean has_k = keep_all || has_pairs (rule);
  g_autoptr (SaeConfig) config = sae_config_new (D, F, has_k ? K : 0);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (GBytes) input = g_bytes_new (x, n * D * sizeof *x);
  g_autoptr (GBytes) own = NULL;
  SaeLatents *latents;
  GError *error = NULL;

  config->sparsity = strcmp (rule, "l1") == 0          ? SAE_SPARSITY_L1
                     : strcmp (rule, "jump-relu") == 0 ? SAE_SPARSITY_JUMP_RELU
                     : strcmp (rule, "group-max") == 0 ? SAE_SPARSITY_GROUP_MAX
                                                       : SAE_SPARSITY_TOP_K;
  config->ties = keep_all ? SAE_TIES_KEEP_ALL : SAE_TIES_LOWEST_INDEX;
  model = sae_model_new (config, 0, SAE_INIT_TIED, &error);
  g_assert_no_error (error);
  own = sae_model_forward (model, input, &latents, &error);
  g_assert_no_error (error);
  if (x_hat)
    *x_hat = g_steal_pointer (&own);
  return latents;
}

/* --- which form ----------------------------------------------------------- */

typedef enum { FORM_PAIRS, FORM_SPARSE, FORM_DENSE, FORM_FLEXIBLE } Form;

#define N_FORMS 4
static const gchar *const form_caps[N_FORMS] = {PAIRS, SPARSE, DENSE, FLEXIBLE};

static const struct {
  const gchar *codes_format;
  Form order[N_FORMS]; /* of what is offered, best first */
  guint n;
} orders_top_k[] =
    {
        {"auto", {FORM_PAIRS, FORM_SPARSE, FORM_DENSE, FORM_FLEXIBLE}, 4},
        {"pairs", {FORM_PAIRS, FORM_FLEXIBLE}, 2},
        {"sparse", {FORM_SPARSE}, 1},
        {"dense", {FORM_DENSE, FORM_FLEXIBLE}, 2},
},
  orders_others[] = {
      {"auto", {FORM_SPARSE, FORM_DENSE, FORM_FLEXIBLE}, 3},
      {"sparse", {FORM_SPARSE}, 1},
      {"dense", {FORM_DENSE, FORM_FLEXIBLE}, 2},
};

static gboolean
has_form (GstCaps *caps, Form form)
{
  g_autoptr (GstCaps) pattern = gst_caps_from_string (form_caps[form]);

  return gst_caps_can_intersect (caps, pattern);
}

static void
expect_form (Stream *stream, int form)
{
  g_autofree float *x = stream_rows (1, 8, D);
  GstFlowReturn flow = stream_push_floats (stream, x, 8 * D);
  GstCaps *caps;

  if (form < 0) {
    g_assert_cmpint (flow, ==, GST_FLOW_NOT_NEGOTIATED);
    return;
  }
  g_assert_cmpint (flow, ==, GST_FLOW_OK);
  caps = gst_pad_get_current_caps (stream->harness->sinkpad);
  g_assert_true (gst_caps_is_fixed (caps));
  g_assert_true (
      gst_structure_has_field (gst_caps_get_structure (caps, 0), "framerate"));
  for (int i = 0; i < N_FORMS; i++)
    g_assert_cmpint (has_form (caps, i), ==, i == form);
  gst_caps_unref (caps);
  gst_buffer_unref (stream_pull (stream));
}

/* Downstream takes a subset of the forms, in its own order: backwards. */
static void
expect_order (const gchar *rule, const gchar *codes_format, const Form *order,
    guint n)
{
  for (guint subset = 1; subset < 1u << N_FORMS; subset++) {
    g_auto (Stream) stream = encoder_new (rule, codes_format);
    g_autoptr (GString) caps = g_string_new (NULL);
    int want = -1;
    for (int i = N_FORMS - 1; i >= 0; i--)
      if (subset >> i & 1)
        g_string_append_printf (caps, "%s%s", caps->len ? "; " : "",
            form_caps[i]);
    for (guint i = n; i-- > 0;)
      if (subset >> order[i] & 1)
        want = (int) order[i];
    g_test_message ("%s, codes-format=%s, downstream takes %s: want %d", rule,
        codes_format, caps->str, want);
    gst_harness_set_sink_caps_str (stream.harness, caps->str);
    stream_send_dims (&stream, "float32", "16:8");
    expect_form (&stream, want);
  }
}

static void
test_order (void)
{
  for (guint r = 0; r < G_N_ELEMENTS (rules); r++)
    if (has_pairs (rules[r]))
      for (guint i = 0; i < G_N_ELEMENTS (orders_top_k); i++)
        expect_order (rules[r], orders_top_k[i].codes_format,
            orders_top_k[i].order, orders_top_k[i].n);
    else
      for (guint i = 0; i < G_N_ELEMENTS (orders_others); i++)
        expect_order (rules[r], orders_others[i].codes_format,
            orders_others[i].order, orders_others[i].n);
}

/* What NNStreamer's pads say: a range of rates, of numbers of tensors. */
static void
test_nnstreamer_templates (void)
{
  static const struct {
    const gchar *caps;
    Form form;
  } cases[] = {
      {"other/tensors,format=(string)sparse,framerate=(fraction)[0,max]",
          FORM_SPARSE},
      {"other/tensors,format=(string)flexible,framerate=(fraction)[0,max]",
          FORM_FLEXIBLE},
      {"other/tensors,format=(string)static,num_tensors=(int)[1,16],"
       "framerate=(fraction)[0,max]",
          FORM_PAIRS},
      {"other/tensor,framerate=(fraction)[0,max]; "
       "other/tensors,format=(string)static,num_tensors=(int)[1,16],"
       "framerate=(fraction)[0,max]; "
       "other/tensors,format=(string)flexible,framerate=(fraction)[0,max]",
          FORM_PAIRS},
      {"other/tensors,format=(string){static,flexible,sparse},"
       "framerate=(fraction)[0,max]",
          FORM_PAIRS},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream = encoder_new ("top-k", "auto");
    gst_harness_set_sink_caps_str (stream.harness, cases[i].caps);
    stream_send_dims (&stream, "float32", "16:8");
    expect_form (&stream, (int) cases[i].form);
  }
}

/* Upstream that tells no dimensions before the first buffer. */
static void
test_flexible_input (void)
{
  for (guint form = 0; form < N_FORMS; form++)
    for (guint r = form == FORM_PAIRS ? 3 : 0; r < 4; r++) {
      guint rule = (r + 1) % 4; /* pairs of top-k only, the last */
      g_auto (Stream) stream = encoder_new (rules[rule], "auto");
      g_autofree float *x = stream_rows (1, 8, D);
      GstBuffer *buffer = gst_buffer_new ();
      GstCaps *caps;
      gst_harness_set_sink_caps_str (stream.harness, form_caps[form]);
      stream_send_caps (&stream, gst_caps_from_string (FLEXIBLE));
      gst_buffer_append_memory (buffer,
          stream_flexible (7, D, 8, x, 8 * D * sizeof *x));
      g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
      caps = gst_pad_get_current_caps (stream.harness->sinkpad);
      g_assert_true (has_form (caps, form));
      gst_caps_unref (caps);
      gst_buffer_unref (stream_pull (&stream));
    }
}

/* 2^32 elements are as many as flat indices tell apart. */
static void
test_too_many_for_sparse (void)
{
  static const struct {
    const gchar *dims;
    guint d_sae;
    gboolean offered;
  } cases[] = {
      {"1:65536", 65536, TRUE},
      {"1:65537", 65536, FALSE},
      {"1:16777216", 256, TRUE},
      {"1:16777217", 2, FALSE},
      {"1:65535:65535", 2, FALSE},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream = stream_new ("saeencoder", "input-size", 1,
        "dict-size", cases[i].d_sae, "sparsity", SAE_SPARSITY_L1, NULL);
    GstCaps *caps;
    stream_send_dims (&stream, "float32", cases[i].dims);
    g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
    caps = gst_pad_get_current_caps (stream.harness->sinkpad);
    g_assert_true (
        has_form (caps, cases[i].offered ? FORM_SPARSE : FORM_DENSE));
    gst_caps_unref (caps);
    gst_buffer_unref (stream_pull (&stream));
  }
}

/* --- their bytes ---------------------------------------------------------- */

static const guint32 *
get_words (GstBuffer *buffer, guint index, GBytes **bytes)
{
  *bytes = stream_memory (buffer, index);
  return g_bytes_get_data (*bytes, NULL);
}

/* The 128 bytes before a tensor, word by word. */
static void
expect_header (const guint32 *words, guint32 type, guint32 width,
    guint32 n_rows, guint32 format, guint32 nnz)
{
  guint32 want[32] = {0xfeedcced, 0xde001000, type, width, n_rows};

  want[19] = format;
  want[20] = 4;
  want[21] = nnz;
  assert_same_memory (words, 128, want, sizeof want);
}

static void
expect_sparse (GstBuffer *buffer, SaeLatents *latents)
{
  guint n_rows = sae_latents_get_n_rows (latents);
  guint32 nnz = (guint32) sae_latents_get_nnz (latents), p = 0;
  g_autoptr (GBytes) bytes = NULL;
  const guint32 *words = get_words (buffer, 0, &bytes);

  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 1);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 128 + 8 * (gsize) nnz);
  expect_header (words, 7, F, n_rows, 2, nnz);
  for (guint r = 0; r < n_rows; r++) {
    guint n;
    const guint32 *index = sae_latents_get_row_indices (latents, r, &n);
    const float *value = sae_latents_get_row_values (latents, r, &n);
    for (guint i = 0; i < n; i++, p++) {
      assert_same_memory (words + 32 + p, 4, &value[i], 4);
      g_assert_cmpuint (words[32 + nnz + p], ==, r * F + index[i]);
    }
  }
}

static void
expect_pairs (const guint32 *index, const float *value, SaeLatents *latents)
{
  for (guint r = 0; r < sae_latents_get_n_rows (latents); r++) {
    guint n;
    const guint32 *want = sae_latents_get_row_indices (latents, r, &n);
    const float *want_value = sae_latents_get_row_values (latents, r, &n);
    for (guint i = 0; i < K; i++, index++, value++) {
      g_assert_cmpuint (*index, ==, i < n ? want[i] : 0);
      g_assert_true (*value == (i < n ? want_value[i] : 0));
    }
  }
}

static void
expect_flexible (GstBuffer *buffer, SaeLatents *latents, gboolean pairs)
{
  guint n_rows = sae_latents_get_n_rows (latents);
  g_autoptr (GBytes) first = NULL, second = NULL, dense = NULL;
  const guint32 *words = get_words (buffer, 0, &first), *more;

  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, pairs ? 2 : 1);
  if (pairs) {
    more = get_words (buffer, 1, &second);
    g_assert_cmpuint (g_bytes_get_size (first), ==, 128 + 4 * K * n_rows);
    g_assert_cmpuint (g_bytes_get_size (second), ==, 128 + 4 * K * n_rows);
    expect_header (words, 1, K, n_rows, 1, 0);
    expect_header (more, 7, K, n_rows, 1, 0);
    expect_pairs (words + 32, (const float *) (more + 32), latents);
    return;
  }
  dense = sae_latents_to_dense (latents, NULL);
  expect_header (words, 7, F, n_rows, 1, 0);
  assert_same_memory (words + 32, g_bytes_get_size (first) - 128,
      g_bytes_get_data (dense, NULL), g_bytes_get_size (dense));
}

/* Buffers of any number of rows, so that those of the pool are used again for
 * more and for fewer. */
static void
test_bytes (gconstpointer data)
{
  Form form = GPOINTER_TO_UINT (data);
  guint32 seed = 1;

  for (guint r = 0; r < G_N_ELEMENTS (rules); r++) {
    g_auto (Stream) stream = encoder_new (rules[r], "auto");
    Noise noise = noise_new ();
    gst_harness_set_sink_caps_str (stream.harness, form_caps[form]);
    stream_send_dims (&stream, "float32", "16:8");
    for (guint i = 0; i < 200; i++) {
      guint n = 1 + noise_below (&noise, 40);
      g_autofree float *x = stream_rows (seed++, n, D);
      g_autoptr (SaeLatents) latents = find_latents (rules[r], x, n, NULL);
      GstBuffer *buffer;
      g_assert_cmpint (stream_push_floats (&stream, x, n * D), ==, GST_FLOW_OK);
      buffer = stream_pull (&stream);
      if (form == FORM_SPARSE)
        expect_sparse (buffer, latents);
      else
        expect_flexible (buffer, latents, has_pairs (rules[r]));
      gst_buffer_unref (buffer);
    }
  }
}

/* An example that python's struct wrote: see the comment. */
static void
test_sparse_bytes_by_hand (void)
{
  /* W_enc of one latent each way: x = (2, -3) gives latents (2, 0), and
   * (-1, 4) gives (0, 4).
   * struct.pack("<21I10xx", …) + struct.pack("<ff", 2, 4) + pack("<II", 0, 3)
   */
  static const guint8 want_tail[16] = {0, 0, 0, 0x40, 0, 0, 0x80, 0x40, 0, 0, 0,
      0, 3, 0, 0, 0};
  static const float identity[] = {1, 0, 0, 1}, zero[] = {0, 0};
  float x[] = {2, -3, -1, 4};
  g_autoptr (SaeConfig) config = sae_config_new (2, 2, 0);
  g_autoptr (GBytes) weights = g_bytes_new (identity, sizeof identity);
  g_autoptr (GBytes) bias = g_bytes_new (zero, sizeof zero);
  g_autoptr (SaeModel) model = NULL;
  gchar *folder = stream_make_folder ();
  g_autofree gchar *path = g_build_filename (folder, "model", NULL);
  g_autoptr (GBytes) bytes = NULL;
  GError *error = NULL;
  GstBuffer *buffer;

  config->sparsity = SAE_SPARSITY_L1;
  model =
      sae_model_new_from_weights (config, weights, bias, weights, bias, &error);
  g_assert_no_error (error);
  g_assert_true (sae_model_save (model, path, NULL));
  g_auto (Stream) stream = stream_new ("saeencoder", "location", path, NULL);
  gst_harness_set_sink_caps_str (stream.harness, SPARSE);
  stream_send_dims (&stream, "float32", "2:2");
  g_assert_cmpint (stream_push_floats (&stream, x, 4), ==, GST_FLOW_OK);
  buffer = stream_pull (&stream);
  bytes = stream_memory (buffer, 0);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 144);
  expect_header (g_bytes_get_data (bytes, NULL), 7, 2, 2, 2, 2);
  assert_same_memory ((const guint8 *) g_bytes_get_data (bytes, NULL) + 128, 16,
      want_tail, 16);
  gst_buffer_unref (buffer);
  stream_remove_folder (folder);
}

static void
test_no_latents_at_all (void)
{
  g_auto (Stream) stream = encoder_new ("l1", "sparse");
  g_autofree float *x = g_new0 (float, 8 * D);
  GstBuffer *buffer;

  /* biases of an untrained model are 0 */
  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_OK);
  buffer = stream_pull (&stream);
  g_assert_cmpuint (gst_buffer_get_size (buffer), ==, 128);
  gst_buffer_unref (buffer);
}

static void
test_no_rows (void)
{
  for (guint form = 0; form < N_FORMS; form++) {
    g_auto (Stream) stream = encoder_new ("top-k", "auto");
    GstBuffer *buffer;
    gst_harness_set_sink_caps_str (stream.harness, form_caps[form]);
    stream_send_dims (&stream, "float32", "16:8");
    g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
    buffer = stream_pull (&stream);
    g_assert_cmpuint (gst_buffer_get_size (buffer), ==, 0);
    gst_buffer_unref (buffer);
  }
}

/* A buffer that comes back is used again, whatever its last size was. */
static void
test_buffers_are_used_again (gconstpointer data)
{
  Form form = GPOINTER_TO_UINT (data);
  g_auto (Stream) stream =
      encoder_new (form == FORM_SPARSE ? "l1" : "top-k", "auto");
  GQuark seen = g_quark_from_static_string ("test-seen");
  guint n_new = 0;

  gst_harness_set_sink_caps_str (stream.harness, form_caps[form]);
  stream_send_dims (&stream, "float32", "16:8");
  for (guint i = 0; i < 300; i++) {
    guint n = 1 + i * 7 % 32;
    g_autofree float *x = stream_rows (i + 1, n, D);
    GstBuffer *buffer;
    GstMiniObject *memory;
    g_assert_cmpint (stream_push_floats (&stream, x, n * D), ==, GST_FLOW_OK);
    buffer = stream_pull (&stream);
    memory = GST_MINI_OBJECT_CAST (gst_buffer_peek_memory (buffer, 0));
    if (!gst_mini_object_get_qdata (memory, seen))
      n_new++;
    gst_mini_object_set_qdata (memory, seen, memory, NULL);
    gst_buffer_unref (buffer);
  }
  /* Room doubles a few times at most. */
  g_assert_cmpuint (n_new, <=, 8);
}

static void
test_meta_and_times_kept (void)
{
  for (guint form = 0; form < N_FORMS; form++) {
    g_auto (Stream) stream = encoder_new ("top-k", "auto");
    g_autofree float *x = stream_rows (1, 8, D);
    GstBuffer *buffer = stream_buffer (x, 8 * D * sizeof *x);
    gst_harness_set_sink_caps_str (stream.harness, form_caps[form]);
    stream_send_dims (&stream, "float32", "16:8");
    GST_BUFFER_PTS (buffer) = 77;
    GST_BUFFER_OFFSET (buffer) = 5;
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    buffer = stream_pull (&stream);
    g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, 77);
    g_assert_true (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT));
    gst_buffer_unref (buffer);
  }
}

/* --- there and back ------------------------------------------------------- */

/* Every form is decoded to the bits that the library finds. */
static void
test_there_and_back (gconstpointer data)
{
  const gchar *rule = data;
  guint n_rows = g_test_slow () ? 250000 : 25000;
  Stream pairs[N_FORMS][2];
  guint first = has_pairs (rule) ? 0 : 1;
  Noise noise = noise_new ();
  guint32 seed = 1;

  for (guint form = first; form < N_FORMS; form++) {
    pairs[form][0] = encoder_new (rule, "auto");
    pairs[form][1] =
        stream_new ("saedecoder", "input-size", D, "dict-size", F, NULL);
    gst_harness_set_sink_caps_str (pairs[form][0].harness, form_caps[form]);
    stream_send_dims (&pairs[form][0], "float32", "16:8");
  }
  for (guint done = 0; done < n_rows;) {
    guint n = 1 + noise_below (&noise, 300);
    g_autofree float *x = stream_rows (seed++, n, D);
    g_autoptr (GBytes) want = NULL;
    G_GNUC_UNUSED g_autoptr (SaeLatents) latents =
        find_latents (rule, x, n, &want);
    for (guint form = first; form < N_FORMS; form++) {
      Stream *encoder = &pairs[form][0], *decoder = &pairs[form][1];
      g_autoptr (GBytes) x_hat = NULL;
      GstCaps *caps;
      GstBuffer *buffer;
      g_assert_cmpint (stream_push_floats (encoder, x, n * D), ==, GST_FLOW_OK);
      buffer = stream_pull (encoder);
      caps = gst_pad_get_current_caps (encoder->harness->sinkpad);
      stream_send_caps (decoder, caps);
      g_assert_cmpint (stream_push (decoder, buffer), ==, GST_FLOW_OK);
      buffer = stream_pull (decoder);
      x_hat = stream_memory (buffer, 0);
      expect_same_bytes (form_caps[form], x_hat, want);
      gst_buffer_unref (buffer);
    }
    done += n;
  }
  for (guint form = first; form < N_FORMS; form++) {
    stream_clear (&pairs[form][0]);
    stream_clear (&pairs[form][1]);
  }
}

/* saedecoder sends flexible tensors where nothing else is taken. */
static void
test_decoder_flexible (void)
{
  g_auto (Stream) stream =
      stream_new ("saedecoder", "input-size", D, "dict-size", F, NULL);
  guint32 flat[] = {3, F + 5};
  float values[] = {1, 2};

  gst_harness_set_sink_caps_str (stream.harness, FLEXIBLE);
  stream_send_caps (&stream, gst_caps_from_string (SPARSE));
  for (guint n = 2; n <= 3; n++) {
    GstBuffer *buffer = gst_buffer_new ();
    g_autoptr (GBytes) bytes = NULL;
    gst_buffer_append_memory (buffer, stream_sparse (F, n, values, flat, 2));
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    buffer = stream_pull (&stream);
    bytes = stream_memory (buffer, 0);
    g_assert_cmpuint (g_bytes_get_size (bytes), ==, 128 + 4 * D * n);
    expect_header (g_bytes_get_data (bytes, NULL), 7, D, n, 1, 0);
    gst_buffer_unref (buffer);
  }
}

/* --- changes -------------------------------------------------------------- */

static void
test_renegotiates (void)
{
  g_auto (Stream) stream = encoder_new ("top-k", "auto");
  Noise noise = noise_new ();

  for (guint i = 0; i < 1000; i++) {
    guint form = noise_below (&noise, N_FORMS), n = 1 + noise_below (&noise, 9);
    g_autofree float *x = stream_rows (i + 1, n, D);
    g_autoptr (SaeLatents) latents = find_latents ("top-k", x, n, NULL);
    g_autoptr (GBytes) index = NULL, value = NULL, dense = NULL, got = NULL;
    GstBuffer *buffer;
    gst_harness_set_sink_caps_str (stream.harness, form_caps[form]);
    stream_send_dims (&stream, "float32", i % 2 ? "16:8" : "16:3");
    g_assert_cmpint (stream_push_floats (&stream, x, n * D), ==, GST_FLOW_OK);
    buffer = stream_pull (&stream);
    switch ((Form) form) {
      case FORM_PAIRS:
        index = stream_memory (buffer, 0);
        value = stream_memory (buffer, 1);
        g_assert_cmpuint (g_bytes_get_size (index), ==, 4 * K * n);
        expect_pairs (g_bytes_get_data (index, NULL),
            g_bytes_get_data (value, NULL), latents);
        break;
      case FORM_SPARSE:
        expect_sparse (buffer, latents);
        break;
      case FORM_DENSE:
        dense = sae_latents_to_dense (latents, NULL);
        got = stream_memory (buffer, 0);
        expect_same_bytes ("dense", got, dense);
        break;
      case FORM_FLEXIBLE:
        expect_flexible (buffer, latents, TRUE);
        break;
    }
    gst_buffer_unref (buffer);
  }
  fault_report (3, 1000, 1000, 0);
}

/* --- what is refused ------------------------------------------------------ */

static void
test_sparse_activations_refused (void)
{
  g_auto (Stream) stream = encoder_new ("top-k", "auto");
  guint32 flat[] = {0};
  float values[] = {1};
  GstBuffer *buffer = gst_buffer_new ();

  stream_send_caps (&stream, gst_caps_from_string (SPARSE));
  gst_buffer_append_memory (buffer, stream_sparse (D, 1, values, flat, 1));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "expected format static or flexible, got sparse", NULL);
}

static void
test_nonfinite_rows_fail_when_sparse (void)
{
  g_auto (Stream) stream = encoder_new ("top-k", "sparse");
  g_autofree float *x = stream_rows (1, 8, D);

  x[3 * D + 1] = 0.0f / 0.0f;
  stream_send_dims (&stream, "float32", "16:8");
  g_assert_cmpint (stream_push_floats (&stream, x, 8 * D), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
      "Cannot process the buffer", "1 of 8 rows", NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/saeencoder/forms/" name, test)
#define ADD_FORM(name, test, form)                                             \
  g_test_add_data_func ("/saeencoder/forms/" name, GUINT_TO_POINTER (form),    \
      test)
  ADD ("least-bytes-first", test_order);
  ADD ("nnstreamer-templates", test_nnstreamer_templates);
  ADD ("flexible-input", test_flexible_input);
  ADD ("too-many-for-sparse", test_too_many_for_sparse);
  ADD_FORM ("bytes-of-sparse", test_bytes, FORM_SPARSE);
  ADD_FORM ("bytes-of-flexible", test_bytes, FORM_FLEXIBLE);
  ADD ("bytes-of-sparse-by-hand", test_sparse_bytes_by_hand);
  ADD ("no-latents-at-all", test_no_latents_at_all);
  ADD ("no-rows", test_no_rows);
  ADD_FORM ("used-again/sparse", test_buffers_are_used_again, FORM_SPARSE);
  ADD_FORM ("used-again/flexible", test_buffers_are_used_again, FORM_FLEXIBLE);
  ADD ("times-and-flags-kept", test_meta_and_times_kept);
  for (guint r = 0; r < G_N_ELEMENTS (rules); r++) {
    g_autofree gchar *path =
        g_strconcat ("/saeencoder/forms/there-and-back/", rules[r], NULL);
    g_test_add_data_func (path, rules[r], test_there_and_back);
  }
  ADD ("decoder-sends-flexible", test_decoder_flexible);
  ADD ("renegotiates-1000-times", test_renegotiates);
  ADD ("sparse-activations-refused", test_sparse_activations_refused);
  ADD ("nonfinite-rows-fail-when-sparse", test_nonfinite_rows_fail_when_sparse);
  return stream_run_tests ();
}
