/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Codes of any form, read as compressed rows. */
#include "../same-memory.h"
#include "gstsaecodesreader.h"

#include <math.h>
#include <string.h>

#include "fault.h"
#include "noise.h"
#include "stream.h"

/* What the words of a sparse buffer are, in the example below. */
enum {
  AT_MAGIC = 0,
  AT_VERSION = 1,
  AT_TYPE = 2,
  AT_WIDTH = 3,
  AT_ROWS = 4,
  AT_FORMAT = 19,
  AT_NNZ = 21,
  AT_VALUES = 32,
  AT_FLAT = 35,
  N_WORDS = 38,
};

/* Three rows of eight latents, the second without any, by hand. */
#define N 3
#define F 8
#define NNZ 3
static const gsize want_offsets[N + 1] = {0, 2, 2, 3};
static const guint32 want_indices[NNZ] = {2, 7, 0};
static const float want_values[NNZ] = {1.5f, -2.0f, 0.25f};

static const guint32 pair_indices[N * 2] = {2, 7, 0, 0, 0, 0};
static const float pair_values[N * 2] = {1.5f, -2.0f, 0, 0, 0.25f, 0};
static const float dense[N * F] = {0, 0, 1.5f, 0, 0, 0, 0, -2.0f, 0, 0, 0, 0, 0,
    0, 0, 0, 0.25f};
static const guint32 flat[NNZ] = {2, 7, 16};

static const gchar *const caps_of_forms[] = {
    "other/tensors,format=(string)static,num_tensors=(int)2,"
    "types=(string)\"uint32,float32\",dimensions=(string)\"2:3,2:3\"",
    "other/tensors,format=(string)static,num_tensors=(int)1,"
    "types=(string)float32,dimensions=(string)8:3",
    "other/tensors,format=(string)sparse",
    "other/tensors,format=(string)flexible",
    "other/tensors,format=(string)flexible",
};

static GstBuffer *
make_form (guint form)
{
  GstBuffer *buffer = gst_buffer_new ();

  switch (form) {
    case 0:
      gst_buffer_unref (buffer);
      buffer = stream_buffer (pair_indices, sizeof pair_indices);
      return gst_buffer_append (buffer,
          stream_buffer (pair_values, sizeof pair_values));
    case 1:
      gst_buffer_unref (buffer);
      return stream_buffer (dense, sizeof dense);
    case 2:
      gst_buffer_append_memory (buffer,
          stream_sparse (F, N, want_values, flat, NNZ));
      return buffer;
    case 3:
      gst_buffer_append_memory (buffer,
          stream_flexible (1, 2, N, pair_indices, sizeof pair_indices));
      gst_buffer_append_memory (buffer,
          stream_flexible (7, 2, N, pair_values, sizeof pair_values));
      return buffer;
    default:
      gst_buffer_append_memory (buffer,
          stream_flexible (7, F, N, dense, sizeof dense));
      return buffer;
  }
}

static GstSaeTensors
parse_caps (const gchar *text)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (text);
  GstSaeTensors tensors;
  GError *error = NULL;

  gst_sae_tensors_from_caps (&tensors, caps, &error);
  g_assert_no_error (error);
  return tensors;
}

static void
read_ok (GstSaeCodesReader *reader, const gchar *caps, GstBuffer *buffer,
    guint d_sae)
{
  GstSaeTensors tensors = parse_caps (caps);
  GError *error = NULL;

  gst_sae_codes_reader_open (reader, buffer, &tensors, d_sae, &error);
  g_assert_no_error (error);
  gst_buffer_unref (buffer);
}

static void
expect_example (const GstSaeCodesReader *reader)
{
  g_assert_cmpuint (reader->n_rows, ==, N);
  assert_same_memory (reader->offsets, (N + 1) * sizeof (gsize), want_offsets,
      sizeof want_offsets);
  assert_same_memory (reader->indices, NNZ * sizeof (guint32), want_indices,
      sizeof want_indices);
  assert_same_memory (reader->values, NNZ * sizeof (float), want_values,
      sizeof want_values);
}

/* All bytes of @buffer as one block; (transfer full) of both. */
static GBytes *
take_bytes (GstBuffer *buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  guint8 *data = g_malloc (MAX (size, 1));

  gst_buffer_extract (buffer, 0, data, size);
  gst_buffer_unref (buffer);
  return g_bytes_new_take (data, size);
}

static void
test_forms (void)
{
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 0; form < G_N_ELEMENTS (caps_of_forms); form++) {
    read_ok (&reader, caps_of_forms[form], make_form (form), F);
    expect_example (&reader);
    g_assert_cmpuint (reader.shape.dims[1], ==, N);
    gst_sae_codes_reader_close (&reader);
  }
  gst_sae_codes_reader_clear (&reader);
}

/* In two memories cut at every byte, so that most numbers lie unaligned. */
static void
test_any_cut (void)
{
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 0; form < G_N_ELEMENTS (caps_of_forms); form++) {
    g_autoptr (GBytes) bytes = take_bytes (make_form (form));
    gsize size;
    gconstpointer data = g_bytes_get_data (bytes, &size);
    for (gsize cut = 0; cut <= size; cut++) {
      read_ok (&reader, caps_of_forms[form],
          stream_cut_buffer (data, size, &cut, 1), F);
      expect_example (&reader);
    }
  }
  gst_sae_codes_reader_clear (&reader);
}

/* One memory that begins at any byte of a larger one. */
static void
test_any_offset (void)
{
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 0; form < G_N_ELEMENTS (caps_of_forms); form++) {
    g_autoptr (GBytes) bytes = take_bytes (make_form (form));
    gsize size;
    gconstpointer data = g_bytes_get_data (bytes, &size);
    for (gsize offset = 0; offset < 8; offset++) {
      guint8 *block = g_malloc (size + offset);
      memcpy (block + offset, data, size);
      read_ok (&reader, caps_of_forms[form],
          gst_buffer_new_wrapped_full (0, block, size + offset, offset, size,
              block, g_free),
          F);
      expect_example (&reader);
    }
  }
  gst_sae_codes_reader_clear (&reader);
}

/* What the header says of its format decides nothing. */
static void
test_header_format_ignored (void)
{
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 2; form < G_N_ELEMENTS (caps_of_forms); form++)
    for (guint32 word = 0; word < 3; word++) {
      GstBuffer *buffer = make_form (form);
      gst_buffer_fill (buffer, 76, &word, sizeof word);
      read_ok (&reader, caps_of_forms[form], buffer, F);
      expect_example (&reader);
    }
  gst_sae_codes_reader_clear (&reader);
}

static void
test_d_sae_not_known (void)
{
  static const guint told[] = {0, F, F, 0, F};
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 0; form < G_N_ELEMENTS (caps_of_forms); form++) {
    read_ok (&reader, caps_of_forms[form], make_form (form), 0);
    expect_example (&reader);
    g_assert_cmpuint (reader.d_sae, ==, told[form]);
  }
  gst_sae_codes_reader_clear (&reader);
}

static void
test_no_rows (void)
{
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 0; form < G_N_ELEMENTS (caps_of_forms); form++) {
    read_ok (&reader, caps_of_forms[form], make_form (form), F);
    read_ok (&reader, caps_of_forms[form], gst_buffer_new (), F);
    g_assert_cmpuint (reader.n_rows, ==, 0);
    g_assert_cmpuint (reader.offsets[0], ==, 0);
  }
  gst_sae_codes_reader_clear (&reader);
}

/* A sparse tensor of nothing but a header has its rows all the same. */
static void
test_no_latents (void)
{
  GstBuffer *buffer = gst_buffer_new ();
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  gst_buffer_append_memory (buffer, stream_sparse (F, 5, NULL, NULL, 0));
  read_ok (&reader, caps_of_forms[2], buffer, F);
  g_assert_cmpuint (reader.n_rows, ==, 5);
  for (guint r = 0; r <= 5; r++)
    g_assert_cmpuint (reader.offsets[r], ==, 0);
  gst_sae_codes_reader_clear (&reader);
}

/* --- any order, and duplicates -------------------------------------------- */

#define MAX_ROWS 12
#define MAX_SLOTS 12
#define WIDTH 32

typedef struct {
  guint n_rows, slots, n;
  guint32 index[MAX_ROWS * MAX_SLOTS]; /* [n_rows, slots] */
  guint32 flat[MAX_ROWS * MAX_SLOTS];  /* the same, rows mixed */
  float value[MAX_ROWS * MAX_SLOTS];
  float flat_value[MAX_ROWS * MAX_SLOTS];
  float sum[MAX_ROWS * WIDTH]; /* of each row and latent, as they come */
} Draw;

/* Small integers and halves: many zeros, and sums that cancel. */
static float
draw_value (Noise *noise)
{
  return ((float) noise_below (noise, 9) - 4) / 2 *
         (noise_below (noise, 8) ? 1.0f : 1e-8f);
}

static void
mix_entries (Draw *draw, Noise *noise)
{
  guint next[MAX_ROWS] = {0};

  for (guint p = 0; p < draw->n; p++) {
    guint r = noise_below (noise, draw->n_rows), from;
    while (next[r] == draw->slots)
      r = (r + 1) % draw->n_rows;
    from = r * draw->slots + next[r]++;
    draw->flat[p] = r * WIDTH + draw->index[from];
    draw->flat_value[p] = draw->value[from];
  }
}

static void
draw_codes (Draw *draw, Noise *noise)
{
  guint d = 1 + noise_below (noise, WIDTH);

  draw->n_rows = 1 + noise_below (noise, MAX_ROWS);
  draw->slots = 1 + noise_below (noise, MAX_SLOTS);
  draw->n = draw->n_rows * draw->slots;
  memset (draw->sum, 0, sizeof draw->sum);
  for (guint p = 0; p < draw->n; p++) {
    draw->index[p] = noise_below (noise, d);
    draw->value[p] = draw_value (noise);
    draw->sum[p / draw->slots * WIDTH + draw->index[p]] += draw->value[p];
  }
  mix_entries (draw, noise);
}

static void
expect_sums (const GstSaeCodesReader *reader, const Draw *draw)
{
  gsize p = 0;

  g_assert_cmpuint (reader->n_rows, ==, draw->n_rows);
  for (guint r = 0; r < draw->n_rows; r++) {
    g_assert_cmpuint (reader->offsets[r], ==, p);
    for (guint32 i = 0; i < WIDTH; i++) {
      float sum = draw->sum[r * WIDTH + i];
      if (sum == 0)
        continue;
      g_assert_cmpuint (reader->indices[p], ==, i);
      g_assert_true (reader->values[p] == sum);
      p++;
    }
  }
  g_assert_cmpuint (reader->offsets[draw->n_rows], ==, p);
}

static void
test_any_order (void)
{
  guint n_rows = g_test_slow () ? 1000000 : 100000;
  GstSaeCodesReader reader;
  Noise noise = noise_new ();

  gst_sae_codes_reader_init (&reader);
  for (guint done = 0; done < n_rows;) {
    Draw draw;
    g_autofree gchar *caps = NULL;
    GstBuffer *pairs, *sparse = gst_buffer_new (), *all;

    draw_codes (&draw, &noise);
    caps = g_strdup_printf (
        "other/tensors,format=(string)static,num_tensors=(int)2,"
        "types=(string)\"uint32,float32\",dimensions=(string)\"%u:1,%u:1\"",
        draw.slots, draw.slots);
    pairs = gst_buffer_append (stream_buffer (draw.index, 4 * draw.n),
        stream_buffer (draw.value, 4 * draw.n));
    read_ok (&reader, caps, pairs, WIDTH);
    expect_sums (&reader, &draw);

    gst_buffer_append_memory (sparse,
        stream_sparse (WIDTH, draw.n_rows, draw.flat_value, draw.flat, draw.n));
    read_ok (&reader, caps_of_forms[2], sparse, WIDTH);
    expect_sums (&reader, &draw);

    all = gst_buffer_new ();
    gst_buffer_append_memory (all, stream_flexible (7, WIDTH, draw.n_rows,
                                       draw.sum, 4 * WIDTH * draw.n_rows));
    read_ok (&reader, caps_of_forms[3], all, WIDTH);
    expect_sums (&reader, &draw);
    done += draw.n_rows;
  }
  gst_sae_codes_reader_clear (&reader);
  fault_report (29, n_rows, n_rows, 0);
}

/* --- what is refused ------------------------------------------------------ */

static void
expect_refused (GstSaeCodesReader *reader, const gchar *caps, GstBuffer *buffer,
    gint code, const gchar *part)
{
  GstSaeTensors tensors = parse_caps (caps);
  g_autoptr (GError) error = NULL;

  g_assert_false (
      gst_sae_codes_reader_open (reader, buffer, &tensors, F, &error));
  if (!error || !strstr (error->message, part))
    g_error ("expected '%s' in '%s'", part, error ? error->message : "");
  g_assert_error (error, SAE_ERROR, code);
  g_assert_cmpuint (reader->n_rows, ==, 0);
  gst_buffer_unref (buffer);
}

static void
test_hostile_sparse (void)
{
  static const struct {
    guint at;
    guint32 word;
    gsize size; /* 0 for all */
    gint code;
    const gchar *part;
  } cases[] = {
      /* nnz against the size */
      {AT_NNZ, 2, 0, SAE_ERROR_FORMAT, "expected 16 bytes"},
      {AT_NNZ, 4, 0, SAE_ERROR_FORMAT, "expected 32 bytes"},
      {AT_NNZ, 0, 0, SAE_ERROR_FORMAT, "expected 0 bytes"},
      {AT_NNZ, 0x20000003, 0, SAE_ERROR_FORMAT, "4294967320 bytes"},
      {AT_NNZ, 0xffffffff, 0, SAE_ERROR_FORMAT, "34359738360 bytes"},
      {AT_NNZ, NNZ, 128 + 23, SAE_ERROR_FORMAT, "got 23"},
      {AT_NNZ, NNZ, 128 + 12, SAE_ERROR_FORMAT, "got 12"},
      {AT_NNZ, NNZ, 128, SAE_ERROR_FORMAT, "got 0"},
      {AT_NNZ, NNZ, 127, SAE_ERROR_FORMAT, "expected 128 bytes, got 127"},
      {AT_NNZ, NNZ, 1, SAE_ERROR_FORMAT, "expected 128 bytes, got 1"},
      /* indices */
      {AT_FLAT, N * F, 0, SAE_ERROR_FORMAT, "below 3 rows of 8"},
      {AT_FLAT + 2, N * F, 0, SAE_ERROR_FORMAT, "got 24 at place 2"},
      {AT_FLAT + 1, 0x80000000, 0, SAE_ERROR_FORMAT, "got 2147483648"},
      {AT_FLAT + 1, 0xffffffff, 0, SAE_ERROR_FORMAT, "got 4294967295"},
      {AT_ROWS, 2, 0, SAE_ERROR_FORMAT, "below 2 rows of 8"},
      /* sizes that wrap or that nothing stands behind */
      {AT_WIDTH, 7, 0, SAE_ERROR_SIZE, "expected rows of 8 (dict-size), got"},
      {AT_WIDTH, 0, 0, SAE_ERROR_FORMAT, "dimension 0"},
      {AT_WIDTH, 0x20000001, 0, SAE_ERROR_SIZE, "rows of 536870913"},
      {AT_ROWS, 0x20000001, 0, SAE_ERROR_FORMAT, "2^32 elements"},
      {AT_ROWS, 0xffffffff, 0, SAE_ERROR_FORMAT, "2^32 elements"},
      {AT_ROWS, (1u << 24) + 1, 0, SAE_ERROR_FORMAT, "at most 16777216 rows"},
      {AT_ROWS + 2, 5, 0, SAE_ERROR_FORMAT, "dimension 3"},
      {AT_ROWS + 1, 0xffffffff, 0, SAE_ERROR_FORMAT, "2^32 elements"},
      /* not a header */
      {AT_MAGIC, 0, 0, SAE_ERROR_FORMAT, "magic"},
      {AT_MAGIC, 0xedccedfe, 0, SAE_ERROR_FORMAT, "other byte order"},
      {AT_VERSION, 0xde002000, 0, SAE_ERROR_FORMAT, "version"},
      {AT_TYPE, 11, 0, SAE_ERROR_FORMAT, "type"},
      {AT_TYPE, 0xffffffff, 0, SAE_ERROR_FORMAT, "type"},
      {AT_FORMAT, 3, 0, SAE_ERROR_FORMAT, "format"},
      /* other types: of the same size, of another one */
      {AT_TYPE, 1, 0, SAE_ERROR_UNSUPPORTED, "first of uint32"},
      {AT_TYPE, 6, 0, SAE_ERROR_FORMAT, "expected 36 bytes"},
      /* values */
      {AT_VALUES, 0x7fc00000, 0, SAE_ERROR_NON_FINITE, "NaN for latent 2"},
      {AT_VALUES + 2, 0xff800000, 0, SAE_ERROR_NON_FINITE,
          "infinity for latent 0 in row 2"},
  };
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) bytes = take_bytes (make_form (2));
    guint32 words[N_WORDS];
    memcpy (words, g_bytes_get_data (bytes, NULL), sizeof words);
    words[cases[i].at] = cases[i].word;
    g_test_message ("case %u", i);
    expect_refused (&reader, caps_of_forms[2],
        stream_buffer (words, cases[i].size ? cases[i].size : sizeof words),
        cases[i].code, cases[i].part);
  }
  gst_sae_codes_reader_clear (&reader);
}

/* More than one tensor is not codes. */
static void
test_two_sparse_tensors (void)
{
  GstBuffer *buffer = gst_buffer_append (make_form (2), make_form (2));
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  expect_refused (&reader, caps_of_forms[2], buffer, SAE_ERROR_FORMAT,
      "expected 24 bytes after a header of 3 values");
  gst_sae_codes_reader_clear (&reader);
}

static void
test_index_out_of_range (void)
{
  static const guint32 bad[] = {F, F + 1, 0x7fffffff, 0x80000000, 0xffffffff};
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    GstBuffer *buffer = make_form (0), *flexible = make_form (3);
    gst_buffer_fill (buffer, 8, &bad[i], 4);
    expect_refused (&reader, caps_of_forms[0], buffer, SAE_ERROR_FORMAT,
        "row 1");
    gst_buffer_fill (flexible, 128 + 8, &bad[i], 4);
    expect_refused (&reader, caps_of_forms[3], flexible, SAE_ERROR_FORMAT,
        "row 1");
  }
  gst_sae_codes_reader_clear (&reader);
}

/* The place of the first value of each form. */
static void
test_non_finite (void)
{
  static const gsize at[] = {24, 8, 128, 128 + 24 + 128, 128 + 8};
  static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  for (guint form = 0; form < G_N_ELEMENTS (caps_of_forms); form++)
    for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
      GstBuffer *buffer = make_form (form);
      gst_buffer_fill (buffer, at[form], &bad[i], 4);
      expect_refused (&reader, caps_of_forms[form], buffer,
          SAE_ERROR_NON_FINITE, "for latent 2 in row 0");
    }
  gst_sae_codes_reader_clear (&reader);
}

static void
test_sum_not_finite (void)
{
  float values[] = {3e38f, 3e38f};
  guint32 twice[] = {5, 5};
  GstBuffer *buffer = gst_buffer_new ();
  GstSaeCodesReader reader;

  gst_sae_codes_reader_init (&reader);
  gst_buffer_append_memory (buffer, stream_sparse (F, N, values, twice, 2));
  expect_refused (&reader, caps_of_forms[2], buffer, SAE_ERROR_NON_FINITE,
      "infinity for latent 5 in row 0");
  gst_sae_codes_reader_clear (&reader);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/plugin/codes-reader/" name, test)
  ADD ("every-form-is-the-same-rows", test_forms);
  ADD ("any-cut", test_any_cut);
  ADD ("any-offset", test_any_offset);
  ADD ("format-of-headers-decides-nothing", test_header_format_ignored);
  ADD ("dict-size-not-known", test_d_sae_not_known);
  ADD ("no-rows", test_no_rows);
  ADD ("no-latents", test_no_latents);
  ADD ("any-order-and-duplicates", test_any_order);
  ADD ("hostile-sparse-refused", test_hostile_sparse);
  ADD ("two-sparse-tensors-refused", test_two_sparse_tensors);
  ADD ("index-out-of-range-refused", test_index_out_of_range);
  ADD ("non-finite-refused", test_non_finite);
  ADD ("sum-not-finite-refused", test_sum_not_finite);
  return stream_run_tests ();
}
