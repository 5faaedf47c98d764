/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "noise.h"
#include "sae-enum-types.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4
#define SEED 7
#define N 20

static Stream
decoder_new (void)
{
  return stream_new ("saedecoder", "input-size", D, "dict-size", F, "top-k", K,
      "seed", (guint64) SEED, NULL);
}

/* N rows of pairs, and what the library makes of them. */
typedef struct {
  guint32 index[N * K];
  float value[N * K];
  SaeLatents *latents;
  GBytes *x_hat;
} Codes;

static Codes
codes_new (void)
{
  Codes codes;
  Noise noise = {.state = 5};
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autoptr (SaeModel) model =
      sae_model_new (config, SEED, SAE_INIT_TIED, NULL);
  g_autoptr (GBytes) index = NULL;
  g_autoptr (GBytes) value = NULL;

  for (guint r = 0; r < N; r++)
    for (guint i = 0; i < K; i++) {
      codes.index[r * K + i] = i * (F / K) + noise_below (&noise, F / K);
      codes.value[r * K + i] = fabsf (noise_normal (&noise));
    }
  codes.index[K - 1] = 0; /* an unused slot */
  codes.value[K - 1] = 0;
  index = g_bytes_new (codes.index, sizeof codes.index);
  value = g_bytes_new (codes.value, sizeof codes.value);
  codes.latents = sae_latents_new_from_pairs (N, F, index, value, NULL);
  codes.x_hat = sae_model_decode (model, codes.latents, NULL);
  g_assert_nonnull (codes.x_hat);
  return codes;
}

static void
codes_clear (Codes *codes)
{
  sae_latents_unref (codes->latents);
  g_bytes_unref (codes->x_hat);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Codes, codes_clear)

static GstBuffer *
pairs_buffer (const guint32 *index, const float *value, gsize n)
{
  GstBuffer *buffer = stream_buffer (index, n * sizeof *index);

  return gst_buffer_append (buffer, stream_buffer (value, n * sizeof *value));
}

static void
expect_x_hat (Stream *stream, GBytes *want)
{
  GstBuffer *out = stream_pull (stream);
  g_autoptr (GBytes) got = stream_memory (out, 0);
  g_autofree gchar *dims = stream_out_field (stream, "dimensions");

  g_assert_cmpstr (dims, ==, "16:20");
  expect_same_bytes ("x_hat", got, want);
  gst_buffer_unref (out);
}

static void
test_pairs (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();

  stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
  g_assert_cmpint (stream_push (&stream,
                       pairs_buffer (codes.index, codes.value, N * K)),
      ==, GST_FLOW_OK);
  expect_x_hat (&stream, codes.x_hat);
}

static void
test_gap (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();

  stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
  for (guint gap = 0; gap < 2; gap++) {
    GstBuffer *in = pairs_buffer (codes.index, codes.value, N * K), *out;
    if (gap)
      GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_GAP);
    g_assert_cmpint (stream_push (&stream, in), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    g_assert_cmpint (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_GAP), ==,
        gap);
    gst_buffer_unref (out);
  }
}

/* gdp, tcp and shm deliver one memory, and any address. */
static void
test_pairs_in_one_memory (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();
  guint8 bytes[sizeof codes.index + sizeof codes.value + 4];

  stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
  for (guint offset = 0; offset < 4; offset++) {
    GstBuffer *buffer;
    memcpy (bytes + offset, codes.index, sizeof codes.index);
    memcpy (bytes + offset + sizeof codes.index, codes.value,
        sizeof codes.value);
    buffer = stream_buffer (bytes, sizeof bytes);
    gst_buffer_resize (buffer, offset, sizeof bytes - 4);
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
    expect_x_hat (&stream, codes.x_hat);
  }
}

static void
test_pairs_cut_anywhere (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();
  guint8 bytes[sizeof codes.index + sizeof codes.value];

  memcpy (bytes, codes.index, sizeof codes.index);
  memcpy (bytes + sizeof codes.index, codes.value, sizeof codes.value);
  stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
  for (gsize cut = 0; cut <= sizeof bytes; cut++) {
    gsize sizes[] = {cut / 2, cut - cut / 2};
    g_assert_cmpint (stream_push (&stream,
                         stream_cut_buffer (bytes, sizeof bytes, sizes, 2)),
        ==, GST_FLOW_OK);
    expect_x_hat (&stream, codes.x_hat);
  }
}

static void
test_pairs_flexible (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();
  GstBuffer *buffer = gst_buffer_new ();

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  gst_buffer_append_memory (buffer,
      stream_flexible (1, K, N, codes.index, sizeof codes.index));
  gst_buffer_append_memory (buffer,
      stream_flexible (7, K, N, codes.value, sizeof codes.value));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_OK);
  expect_x_hat (&stream, codes.x_hat);
}

static void
push_dense (Stream *stream, const Codes *codes, gboolean flexible)
{
  g_autoptr (GBytes) dense = sae_latents_to_dense (codes->latents, NULL);
  gsize size;
  gconstpointer data = g_bytes_get_data (dense, &size);
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer, stream_flexible (7, F, N, data, size));
  if (!flexible)
    gst_buffer_resize (buffer, 128, (gssize) size);
  g_assert_cmpint (stream_push (stream, buffer), ==, GST_FLOW_OK);
}

static void
test_dense (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();

  stream_send_dims (&stream, "float32", "64:20");
  push_dense (&stream, &codes, FALSE);
  expect_x_hat (&stream, codes.x_hat);
}

static void
test_dense_flexible (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  push_dense (&stream, &codes, TRUE);
  expect_x_hat (&stream, codes.x_hat);
}

/* --- order ---------------------------------------------------------------- */

static void
swap (Codes *codes, guint a, guint b)
{
  guint32 index = codes->index[a];
  float value = codes->value[a];

  codes->index[a] = codes->index[b];
  codes->value[a] = codes->value[b];
  codes->index[b] = index;
  codes->value[b] = value;
}

static void
test_any_order (void)
{
  g_auto (Stream) stream = decoder_new ();
  g_auto (Codes) codes = codes_new ();
  Noise noise = noise_new ();

  stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
  for (guint i = 0; i < 300; i++) {
    for (guint r = 0; r < N; r++)
      for (guint j = K - 1; j > 0; j--)
        swap (&codes, r * K + j, r * K + noise_below (&noise, j + 1));
    g_assert_cmpint (stream_push (&stream,
                         pairs_buffer (codes.index, codes.value, N * K)),
        ==, GST_FLOW_OK);
    expect_x_hat (&stream, codes.x_hat);
  }
}

/* A value in halves, at the same index twice, is exact in any sum. */
static void
test_duplicates_add_up (void)
{
  g_auto (Stream) stream = decoder_new ();
  guint32 twice[] = {9, 3, 9, 3}, once[] = {3, 9, 0, 0};
  float halves[] = {0.25f, 0.5f, 0.5f, 0.125f};
  float sums[] = {0.625f, 0.75f, 0, 0};
  GstBuffer *out;
  g_autoptr (GBytes) got = NULL;
  g_autoptr (GBytes) want = NULL;

  stream_send_dims (&stream, "uint32,float32", "4:1,4:1");
  g_assert_cmpint (stream_push (&stream, pairs_buffer (twice, halves, 4)), ==,
      GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  gst_buffer_unref (out);
  g_assert_cmpint (stream_push (&stream, pairs_buffer (once, sums, 4)), ==,
      GST_FLOW_OK);
  out = stream_pull (&stream);
  want = stream_memory (out, 0);
  gst_buffer_unref (out);
  expect_close ("x_hat", g_bytes_get_data (got, NULL),
      g_bytes_get_data (want, NULL), D, 4 * 0x1p-24);
}

/* --- what is refused ------------------------------------------------------ */

static void
test_index_out_of_range (void)
{
  static const guint32 bad[] = {F, F + 1, 0x7fffffff, 0x80000000, 0xffffffff};

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_auto (Stream) stream = decoder_new ();
    g_auto (Codes) codes = codes_new ();
    g_autofree gchar *index = g_strdup_printf ("%u", bad[i]);
    codes.index[7 * K + 2] = bad[i];
    stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
    g_assert_cmpint (stream_push (&stream,
                         pairs_buffer (codes.index, codes.value, N * K)),
        ==, GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "64", index, "row 7", NULL);
    stream_expect_nothing (&stream);
  }
}

static void
expect_refused (const gchar *types, const gchar *dims, GQuark domain, gint code,
    const gchar *part, const gchar *other_part)
{
  g_auto (Stream) stream = decoder_new ();
  guint8 zeros[8 * F] = {0};

  stream_send_dims (&stream, types, dims);
  g_assert_cmpint (stream_push (&stream, stream_buffer (zeros, sizeof zeros)),
      ==, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, domain, code, part, other_part, NULL);
}

static void
test_caps_refused (void)
{
  GQuark library = GST_LIBRARY_ERROR, format = GST_STREAM_ERROR;

  expect_refused ("float32", "63:1", library, GST_LIBRARY_ERROR_SETTINGS, "64",
      "63");
  expect_refused ("uint32,float32", "4:2,5:2", library,
      GST_LIBRARY_ERROR_SETTINGS, "4", "5");
  expect_refused ("uint32,float32", "4:2,4:3", library,
      GST_LIBRARY_ERROR_SETTINGS, "4:2", "4:3");
  expect_refused ("float32,uint32", "4:2,4:2", format,
      GST_STREAM_ERROR_WRONG_TYPE, "uint32 and float32", "first of float32");
  expect_refused ("int32,float32", "4:2,4:2", format,
      GST_STREAM_ERROR_WRONG_TYPE, "uint32 and float32", "int32");
  expect_refused ("uint8", "64:2", format, GST_STREAM_ERROR_WRONG_TYPE,
      "float32 (dense)", "uint8");
  expect_refused ("uint32,float32,float32", "4:2,4:2,4:2", format,
      GST_STREAM_ERROR_WRONG_TYPE, "uint32 and float32", "3");
}

static void
test_half_pairs (void)
{
  g_auto (Stream) stream = decoder_new ();
  guint8 bytes[sizeof (guint32) * 2 * K * N] = {0};

  stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
  g_assert_cmpint (stream_push (&stream,
                       stream_buffer (bytes, sizeof bytes - 4)),
      ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "multiple of 32 bytes", "636", NULL);
}

static void
test_no_width (void)
{
  g_auto (Stream) stream = stream_new ("saedecoder", "dict-size", F, NULL);
  guint8 zeros[8 * K] = {0};

  stream_send_dims (&stream, "uint32,float32", "4:1,4:1");
  g_assert_cmpint (stream_push (&stream, stream_buffer (zeros, sizeof zeros)),
      ==, GST_FLOW_NOT_NEGOTIATED);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "input-size", "location", NULL);
}

/* Flexible tensors do not tell before the first buffer. */
static void
test_no_width_flexible (void)
{
  g_auto (Stream) stream = stream_new ("saedecoder", "dict-size", F, NULL);
  g_auto (Codes) codes = codes_new ();
  GstBuffer *buffer = gst_buffer_new ();

  stream_send_caps (&stream,
      gst_caps_from_string ("other/tensors,format=(string)flexible"));
  gst_buffer_append_memory (buffer,
      stream_flexible (1, K, N, codes.index, sizeof codes.index));
  gst_buffer_append_memory (buffer,
      stream_flexible (7, K, N, codes.value, sizeof codes.value));
  g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_ERROR);
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "input-size", "location", NULL);
}

static void
test_no_rows (void)
{
  static const gchar *const caps[] = {
      "other/tensors,format=(string)flexible",
      "other/tensors,format=(string)static,num_tensors=(int)2,"
      "types=(string)\"uint32,float32\",dimensions=(string)\"4:20,4:20\"",
      "other/tensors,format=(string)static,num_tensors=(int)1,"
      "types=(string)float32,dimensions=(string)64:20",
  };

  for (guint i = 0; i < G_N_ELEMENTS (caps); i++) {
    g_auto (Stream) stream = decoder_new ();
    GstBuffer *out;
    stream_send_caps (&stream, gst_caps_from_string (caps[i]));
    g_assert_cmpint (stream_push (&stream, gst_buffer_new ()), ==, GST_FLOW_OK);
    out = stream_pull (&stream);
    g_assert_cmpuint (gst_buffer_get_size (out), ==, 0);
    gst_buffer_unref (out);
  }
}

/* One ERROR of the element for each of what is no codes of this model. */
static void
test_sparse_that_lies (void)
{
  static const struct {
    guint word;
    guint32 value;
    gint code;
    const gchar *part;
  } cases[] = {
      {21, 3, GST_STREAM_ERROR_FORMAT, "expected 24 bytes"},
      {21, 0xffffffff, GST_STREAM_ERROR_FORMAT, "34359738360 bytes"},
      {4, 0xffffffff, GST_STREAM_ERROR_FORMAT, "2^32 elements"},
      {4, 1, GST_STREAM_ERROR_FORMAT, "below 1 rows of 64"},
      {0, 0, GST_STREAM_ERROR_FORMAT, "magic"},
      {32, 0x7f800000, GST_STREAM_ERROR_FAILED, "infinity for latent 3"},
      {33, 0xffc00000, GST_STREAM_ERROR_FAILED, "NaN for latent 5 in row 1"},
      {34, 2 * F, GST_STREAM_ERROR_FORMAT, "got 128 at place 0"},
      {2, 1, GST_STREAM_ERROR_WRONG_TYPE, "float32 (sparse)"},
  };
  static const float values[] = {1, 2};
  static const guint32 flat[] = {3, F + 5};

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Stream) stream = decoder_new ();
    GstBuffer *buffer = gst_buffer_new ();
    gst_buffer_append_memory (buffer, stream_sparse (F, 2, values, flat, 2));
    gst_buffer_fill (buffer, 4 * cases[i].word, &cases[i].value, 4);
    stream_send_caps (&stream,
        gst_caps_from_string ("other/tensors,format=(string)sparse"));
    g_assert_cmpint (stream_push (&stream, buffer), ==, GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, cases[i].code,
        cases[i].part, NULL);
    stream_expect_nothing (&stream);
  }
}

static void
test_nonfinite_values (void)
{
  static const float bad[] = {0.0f / 0.0f, 1e38f * 10, -1e38f * 10};

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    for (guint dense = 0; dense < 2; dense++) {
      g_auto (Stream) stream = decoder_new ();
      g_auto (Codes) codes = codes_new ();
      g_autofree float *all = g_new0 (float, N *F);
      all[7 * F + 9] = codes.value[7 * K + 2] = bad[i];
      stream_send_dims (&stream, dense ? "float32" : "uint32,float32",
          dense ? "64:20" : "4:20,4:20");
      g_assert_cmpint (stream_push (&stream,
                           dense ? stream_buffer (all, N * F * sizeof *all)
                                 : pairs_buffer (codes.index, codes.value,
                                       N * K)),
          ==, GST_FLOW_ERROR);
      stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
          "expected finite values", "row 7", NULL);
    }
}

/* --- hostile -------------------------------------------------------------- */

static void
drain (Stream *stream)
{
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (stream->harness)) != NULL)
    gst_buffer_unref (buffer);
  gst_bus_set_flushing (stream->bus, TRUE);
  gst_bus_set_flushing (stream->bus, FALSE);
}

/* Random bytes, random sizes, random cuts: an error or a result, no crash. */
static void
fuzz_static (Stream *stream, Noise *noise)
{
  guint8 bytes[256];
  gsize size = noise_below (noise, 8) ? 32 * noise_below (noise, 9)
                                      : noise_below (noise, sizeof bytes);
  gsize cut = noise_below (noise, 64);
  gboolean small = noise_below (noise, 2) == 1;

  for (gsize i = 0; i < size; i++)
    bytes[i] = (guint8) noise_bits (noise);
  for (gsize i = 0; small && i < size / 8; i++) {
    guint32 index = noise_below (noise, F + 1);
    memcpy (bytes + 4 * i, &index, sizeof index);
  }
  stream_push (stream, stream_cut_buffer (bytes, size, &cut, 1));
}

/* The same with a header, some of whose words are right. */
static void
fuzz_flexible (Stream *stream, Noise *noise)
{
  static const guint32 words[] = {0, 1, 4, 16, 63, 64, 65, 0x7fffffff,
      0x80000000, 0xffffffff};
  guint32 bytes[96] = {0xfeedccedu, 0xde001000u, 1, K, 2};
  gsize size = 0;

  bytes[8 + 24] = 0;
  memcpy (bytes + 40, bytes, 5 * sizeof *bytes);
  bytes[42] = 7;
  for (guint i = noise_below (noise, 6); i > 0; i--)
    bytes[noise_below (noise, 84)] = noise_below (noise, 2)
                                         ? words[noise_below (noise, 10)]
                                         : (guint32) noise_bits (noise);
  size = noise_below (noise, 4) ? 4 * 80 : noise_below (noise, sizeof bytes);
  stream_push (stream, stream_buffer (bytes, size));
}

/* The same with values and places behind it. */
static void
fuzz_sparse (Stream *stream, Noise *noise)
{
  static const guint32 words[] = {0, 1, 2, 3, 16, 63, 64, 65, 127, 128,
      0x7fffffff, 0x80000000, 0xffffffff};
  guint32 bytes[32 + 6] = {0xfeedccedu, 0xde001000u, 7, F, 2};
  gsize size =
      noise_below (noise, 8) ? sizeof bytes : noise_below (noise, sizeof bytes);

  bytes[21] = 3;
  for (guint i = 0; i < 3; i++) {
    bytes[32 + i] = 0x3f800000;
    bytes[35 + i] = noise_below (noise, 2 * F);
  }
  for (guint i = noise_below (noise, 4); i > 0; i--)
    bytes[noise_below (noise, 38)] = noise_below (noise, 2)
                                         ? words[noise_below (noise, 13)]
                                         : (guint32) noise_bits (noise);
  if (bytes[4] > 1000) /* no room for so many rows in a test */
    bytes[4] |= 0x80000000;
  stream_push (stream, stream_buffer (bytes, size));
}

static void
fuzz (const gchar *caps, void (*push) (Stream *, Noise *))
{
  g_auto (Stream) stream = decoder_new ();
  Noise noise = noise_new ();

  stream_send_caps (&stream, gst_caps_from_string (caps));
  for (guint i = 0; i < 10000; i++) {
    push (&stream, &noise);
    drain (&stream);
  }
}

static void
test_fuzz_pairs (void)
{
  fuzz ("other/tensors,format=(string)static,num_tensors=(int)2,"
        "types=(string)\"uint32,float32\",dimensions=(string)\"4:2,4:2\"",
      fuzz_static);
}

static void
test_fuzz_dense (void)
{
  fuzz ("other/tensors,format=(string)static,num_tensors=(int)1,"
        "types=(string)float32,dimensions=(string)64:1",
      fuzz_static);
}

static void
test_fuzz_flexible (void)
{
  fuzz ("other/tensors,format=(string)flexible", fuzz_flexible);
}

static void
test_fuzz_sparse (void)
{
  fuzz ("other/tensors,format=(string)sparse", fuzz_sparse);
}

/* --- goldens -------------------------------------------------------------- */

static void
test_golden (gconstpointer data)
{
  const gchar *folder = data;
  g_autofree gchar *path =
      g_build_filename (g_getenv ("SAE_GOLDENS"), folder, NULL);
  g_auto (Stream) stream = stream_new ("saedecoder", "location", path, NULL);
  gsize n_latents, n_x_hat;
  g_autofree float *latents =
      stream_load_golden (folder, "latents.npy", &n_latents);
  g_autofree float *want = stream_load_golden (folder, "x_hat.npy", &n_x_hat);
  g_autoptr (GBytes) got = NULL;
  GstBuffer *out;

  stream_send_dims (&stream, "float32", "320:40");
  g_assert_cmpint (stream_push_floats (&stream, latents, n_latents), ==,
      GST_FLOW_OK);
  out = stream_pull (&stream);
  got = stream_memory (out, 0);
  g_assert_cmpuint (g_bytes_get_size (got), ==, n_x_hat * 4);
  /* Sums of as many products as latents are active, in another order. */
  expect_close (folder, g_bytes_get_data (got, NULL), want, n_x_hat, 1e-5);
  gst_buffer_unref (out);
}

/* Codes do not carry what the skip connection reads. */
static void
test_skip_fails (void)
{
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autoptr (SaeModel) plain =
      sae_model_new (config, SEED, SAE_INIT_TIED, NULL);
  g_autoptr (GBytes) W_skip =
      g_bytes_new_take (g_new0 (float, D *D), D * D * sizeof (float));
  g_autoptr (SaeModel) model = sae_model_with_skip (plain, W_skip, NULL);
  gchar *folder = stream_make_folder ();
  g_autofree gchar *path = g_build_filename (folder, "skip", NULL);
  g_auto (Codes) codes = codes_new ();

  g_assert_true (sae_model_save_as (model, path, "sparsify", NULL));
  {
    g_auto (Stream) stream = stream_new ("saedecoder", "location", path, NULL);
    stream_send_dims (&stream, "uint32,float32", "4:20,4:20");
    g_assert_cmpint (stream_push (&stream,
                         pairs_buffer (codes.index, codes.value, N * K)),
        ==, GST_FLOW_ERROR);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
        "W_skip", NULL);
  }
  stream_remove_folder (folder);
}

int
main (int argc, char **argv)
{
  static const gchar *const goldens[] = {"saelens-standard-bdec0",
      "saelens-standard-bdec1", "saelens-topk-bdec0-rescale0",
      "saelens-topk-bdec0-rescale1", "saelens-topk-bdec1-rescale0",
      "saelens-topk-bdec1-rescale1"};

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (goldens); i++) {
    g_autofree gchar *path =
        g_strconcat ("/saedecoder/golden/", goldens[i], NULL);
    g_test_add_data_func (path, goldens[i], test_golden);
  }
#define ADD(name, test) g_test_add_func ("/saedecoder/" name, test)
  ADD ("pairs", test_pairs);
  ADD ("gaps-stay-gaps", test_gap);
  ADD ("pairs-in-one-memory", test_pairs_in_one_memory);
  ADD ("pairs-cut-anywhere", test_pairs_cut_anywhere);
  ADD ("pairs-flexible", test_pairs_flexible);
  ADD ("dense", test_dense);
  ADD ("dense-flexible", test_dense_flexible);
  ADD ("any-order-same-bits", test_any_order);
  ADD ("duplicates-add-up", test_duplicates_add_up);
  ADD ("index-out-of-range-fails", test_index_out_of_range);
  ADD ("sparse-that-lies-fails", test_sparse_that_lies);
  ADD ("values-that-are-not-finite-fail", test_nonfinite_values);
  ADD ("caps-refused", test_caps_refused);
  ADD ("half-pairs-fail", test_half_pairs);
  ADD ("no-width-fails", test_no_width);
  ADD ("no-width-flexible-fails", test_no_width_flexible);
  ADD ("no-rows-pass", test_no_rows);
  ADD ("skip-connection-fails", test_skip_fails);
  ADD ("fuzz/pairs", test_fuzz_pairs);
  ADD ("fuzz/dense", test_fuzz_dense);
  ADD ("fuzz/flexible", test_fuzz_flexible);
  ADD ("fuzz/sparse", test_fuzz_sparse);
  return stream_run_tests ();
}
