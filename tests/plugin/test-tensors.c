/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../same-memory.h"
#include "gstsaetensors.h"

#include <string.h>

#include "fault.h"
#include "stream.h"

#define N_CUTS 20000
#define N_CUTS_SLOW 200000

/* --- types and dims ------------------------------------------------------- */

static void
test_types (void)
{
  static const struct {
    const gchar *name;
    guint number;
    gsize size;
  } types[] = {{"int32", 0, 4}, {"uint32", 1, 4}, {"int16", 2, 2},
      {"uint16", 3, 2}, {"int8", 4, 1}, {"uint8", 5, 1}, {"float64", 6, 8},
      {"float32", 7, 4}, {"int64", 8, 8}, {"uint64", 9, 8}, {"float16", 10, 2}};
  GstSaeType type;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    g_assert_true (gst_sae_type_from_name (types[i].name, &type));
    g_assert_cmpuint (type, ==, types[i].number);
    g_assert_cmpuint (gst_sae_type_size (type), ==, types[i].size);
    g_assert_cmpstr (gst_sae_type_name (type), ==, types[i].name);
  }
  g_assert_false (gst_sae_type_from_name ("Float32", &type));
  g_assert_false (gst_sae_type_from_name ("", &type));
}

static void
test_dims (void)
{
  static const struct {
    const gchar *text, *again;
    guint rank;
    gsize n_rows;
  } good[] = {
      {"768", "768:1", 1, 1},
      {"768:1", "768:1", 1, 1},
      {"768:32", "768:32", 2, 32},
      {"768:32:1:1", "768:32", 2, 32},
      {" 768 : 32 ", "768:32", 2, 32},
      {"768:32:4", "768:32:4", 3, 128},
      {"768:1:4", "768:1:4", 3, 4},
      {"4294967295", "4294967295:1", 1, 1},
      {"1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:2", "1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:2", 16,
          2},
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    GstSaeTensor tensor = {.type = GST_SAE_FLOAT32};
    g_autofree gchar *again = NULL;
    GError *error = NULL;
    gsize n_rows;

    gst_sae_tensor_parse_dims (&tensor, good[i].text, &error);
    g_assert_no_error (error);
    again = gst_sae_tensor_dims_to_string (&tensor);
    g_assert_cmpstr (again, ==, good[i].again);
    g_assert_cmpuint (tensor.rank, ==, good[i].rank);
    g_assert_true (gst_sae_tensor_n_rows (&tensor, &n_rows));
    g_assert_cmpuint (n_rows, ==, good[i].n_rows);
    for (guint j = tensor.rank; j < GST_SAE_MAX_RANK; j++)
      g_assert_cmpuint (tensor.dims[j], ==, 1);
  }
}

static void
test_bad_dims (void)
{
  static const gchar *const bad[] = {"", ":", "768:", ":768", "0", "768:0",
      "-1", "+3", "3.5", "0x10", "4294967296", "7 68", "768;32", "a:b",
      "1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1", "4294967295:4294967295:4294967295",
      "99999999999999999999"};

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    GstSaeTensor tensor = {.type = GST_SAE_FLOAT32};
    GError *error = NULL;

    g_assert_false (gst_sae_tensor_parse_dims (&tensor, bad[i], &error));
    g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "dimensions"));
    g_clear_error (&error);
  }
}

static void
test_equal (void)
{
  GstSaeTensor a = {.type = GST_SAE_FLOAT32}, b = {.type = GST_SAE_FLOAT32};

  gst_sae_tensor_parse_dims (&a, "768:32", NULL);
  gst_sae_tensor_parse_dims (&b, "768:32:1:1", NULL);
  g_assert_true (gst_sae_tensor_equal (&a, &b));
  gst_sae_tensor_parse_dims (&b, "768:32:2", NULL);
  g_assert_false (gst_sae_tensor_equal (&a, &b));
  b = a;
  b.type = GST_SAE_FLOAT16;
  g_assert_false (gst_sae_tensor_equal (&a, &b));
}

static void
test_overflow (void)
{
  GstSaeTensor tensor = {.type = GST_SAE_FLOAT64, .rank = 3};
  gsize size;

  for (guint i = 0; i < GST_SAE_MAX_RANK; i++)
    tensor.dims[i] = i < 3 ? G_MAXUINT32 : 1;
  g_assert_false (gst_sae_tensor_size (&tensor, &size));
  g_assert_true (gst_sae_tensor_n_rows (&tensor, &size));
  tensor.rank = 2;
  tensor.dims[2] = 1;
  g_assert_false (gst_sae_tensor_size (&tensor, &size));
  tensor.dims[1] = 1u << 28;
  g_assert_true (gst_sae_tensor_size (&tensor, &size));
  g_assert_cmpuint (size, ==, (gsize) G_MAXUINT32 << 31);
}

/* --- caps ----------------------------------------------------------------- */

#define STATIC_CAPS "other/tensors,format=(string)static,"

static void
test_caps (void)
{
  static const struct {
    const gchar *caps, *again;
  } good[] = {
      {STATIC_CAPS "num_tensors=1,types=(string)float32,"
                   "dimensions=(string)768:32,framerate=30/1",
          STATIC_CAPS "num_tensors=1,types=(string)float32,"
                      "dimensions=(string)768:32,framerate=30/1"},
      {STATIC_CAPS "types=(string)float16,dimensions=(string)768",
          STATIC_CAPS "num_tensors=1,types=(string)float16,"
                      "dimensions=(string)768:1,framerate=0/1"},
      {STATIC_CAPS "num_tensors=2,types=(string)\"uint32,float32\","
                   "dimensions=(string)\"32:4, 32:4:1\"",
          STATIC_CAPS "num_tensors=2,types=(string)\"uint32,float32\","
                      "dimensions=(string)\"32:4,32:4\",framerate=0/1"},
      {STATIC_CAPS "num_tensors=2,types=(string)uint32.float32,"
                   "dimensions=(string)32:4.32:4",
          STATIC_CAPS "num_tensors=2,types=(string)\"uint32,float32\","
                      "dimensions=(string)\"32:4,32:4\",framerate=0/1"},
      {"other/tensors,types=(string)int8,dimensions=(string)3",
          STATIC_CAPS "num_tensors=1,types=(string)int8,"
                      "dimensions=(string)3:1,framerate=0/1"},
      {"other/tensors,format=(string)flexible",
          "other/tensors,format=(string)flexible,framerate=0/1"},
      {"other/tensors,format=(string)sparse,framerate=5/2",
          "other/tensors,format=(string)sparse,framerate=5/2"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    GstCaps *caps = gst_caps_from_string (good[i].caps);
    GstCaps *want = gst_caps_from_string (good[i].again);
    GstSaeTensors tensors;
    GError *error = NULL;
    GstCaps *again;

    gst_sae_tensors_from_caps (&tensors, caps, &error);
    g_assert_no_error (error);
    again = gst_sae_tensors_to_caps (&tensors);
    if (!gst_caps_is_equal (again, want))
      g_error ("%s became %s", good[i].caps, gst_caps_to_string (again));
    g_assert_true (gst_caps_is_fixed (again));
    gst_caps_unref (caps);
    gst_caps_unref (want);
    gst_caps_unref (again);
  }
}

static void
test_bad_caps (void)
{
  /* Caps, and what the error has to name. */
  static const gchar *const bad[][2] = {
      {"ANY", "other/tensors"},
      {"EMPTY", "other/tensors"},
      {"audio/x-raw", "audio/x-raw"},
      {"other/tensor,types=(string)float32", "other/tensors"},
      {"other/tensors,format=(string)flexible;audio/x-raw", "other/tensors"},
      {"other/tensors,format=(string)dense", "format"},
      {"other/tensors,format=(int)1", "format"},
      {"other/tensors,format=(string){static,flexible}", "format"},
      {STATIC_CAPS "dimensions=(string)3:4", "types"},
      {STATIC_CAPS "types=(string)float32", "dimensions"},
      {STATIC_CAPS "types=(string)float32,dimensions=(int)768", "(string)"},
      {STATIC_CAPS "types=(string)float32,dimensions=768:32", "(string)"},
      {STATIC_CAPS "types=(string)float32,dimensions=(string)0", "\"0\""},
      {STATIC_CAPS "types=(string)bfloat16,dimensions=(string)3", "bfloat16"},
      {STATIC_CAPS "types=(string){float32,float16},dimensions=(string)3",
          "types"},
      {STATIC_CAPS "num_tensors=2,types=(string)float32,dimensions=(string)3",
          "num_tensors 2"},
      {STATIC_CAPS "num_tensors=0,types=(string)float32,dimensions=(string)3",
          "num_tensors 0"},
      {STATIC_CAPS "num_tensors=-1,types=(string)float32,dimensions=(string)3",
          "num_tensors -1"},
      {STATIC_CAPS "num_tensors=(string)1,types=(string)float32,"
                   "dimensions=(string)3",
          "num_tensors"},
      {STATIC_CAPS "types=(string)\"float32,float32\",dimensions=(string)3",
          "2 types and 1 dimensions"},
      {STATIC_CAPS "types=(string)float32,dimensions=(string)3,"
                   "framerate=(int)3",
          "framerate"},
      {STATIC_CAPS "types=(string)float32,dimensions=(string)3,"
                   "framerate=[0/1,30/1]",
          "framerate"},
      {STATIC_CAPS "types=(string)float64,dimensions=(string)"
                   "\"4294967295:4294967295\"",
          "overflow"},
      {STATIC_CAPS "types=(string)\"int8,int8,int8,int8,int8,int8,int8,int8,"
                   "int8,int8,int8,int8,int8,int8,int8,int8,int8\","
                   "dimensions=(string)\"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\"",
          "16"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    GstCaps *caps = gst_caps_from_string (bad[i][0]);
    GstSaeTensors tensors;
    GError *error = NULL;

    g_assert_nonnull (caps);
    g_assert_false (gst_sae_tensors_from_caps (&tensors, caps, &error));
    g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
    if (!strstr (error->message, bad[i][1]))
      g_error ("%s: expected %s in: %s", bad[i][0], bad[i][1], error->message);
    g_clear_error (&error);
    gst_caps_unref (caps);
  }
}

/* --- headers -------------------------------------------------------------- */

static const guint32 golden_header[GST_SAE_HEADER_SIZE / 4] = {
    [0] = 0xfeedccedu,
    [1] = 0xde001000u,
    [2] = 7,
    [3] = 768,
    [4] = 32,
    [5] = 4,
    [19] = 2,
    [20] = 4,
    [21] = 99,
};

static void
test_header (void)
{
  GstSaeHeader header = {.format = GST_SAE_FORMAT_SPARSE, .nnz = 99};
  GstSaeHeader again;
  guint8 bytes[GST_SAE_HEADER_SIZE];
  GError *error = NULL;

  header.tensor.type = GST_SAE_FLOAT32;
  gst_sae_tensor_parse_dims (&header.tensor, "768:32:4", NULL);
  gst_sae_header_write (&header, bytes);
  assert_same_memory (bytes, sizeof bytes, golden_header, sizeof golden_header);
  gst_sae_header_read (&again, bytes, sizeof bytes, &error);
  g_assert_no_error (error);
  g_assert_true (gst_sae_tensor_equal (&header.tensor, &again.tensor));
  g_assert_cmpuint (again.nnz, ==, 99);
  g_assert_cmpint (again.format, ==, GST_SAE_FORMAT_SPARSE);
}

static void
expect_bad_header (guint word, guint32 value, const gchar *part)
{
  guint32 bytes[GST_SAE_HEADER_SIZE / 4];
  GstSaeHeader header;
  GError *error = NULL;

  memcpy (bytes, golden_header, sizeof bytes);
  bytes[word] = value;
  g_assert_false (gst_sae_header_read (&header, (const guint8 *) bytes,
      sizeof bytes, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, part));
  g_error_free (error);
}

static void
test_bad_header (void)
{
  GstSaeHeader header;
  GError *error = NULL;

  expect_bad_header (0, 0, "magic");
  expect_bad_header (0, 0xedccedfeu, "other byte order");
  expect_bad_header (1, 0xde002000u, "version");
  expect_bad_header (2, 11, "type");
  expect_bad_header (2, G_MAXUINT32, "type");
  expect_bad_header (19, 3, "format");
  expect_bad_header (3, 0, "dimension 0");
  expect_bad_header (4, 0, "dimension 2"); /* sizes behind the end */
  expect_bad_header (18, 5, "dimension 15");
  for (gsize size = 0; size < GST_SAE_HEADER_SIZE; size++) {
    g_assert_false (gst_sae_header_read (&header,
        (const guint8 *) golden_header, size, &error));
    g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
    g_clear_error (&error);
  }
}

static void
test_overflowing_header (void)
{
  guint32 words[GST_SAE_HEADER_SIZE / 4];
  GstSaeHeader header;
  GError *error = NULL;

  memcpy (words, golden_header, sizeof words);
  words[3] = words[4] = words[5] = G_MAXUINT32;
  g_assert_false (gst_sae_header_read (&header, (const guint8 *) words,
      sizeof words, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "overflow"));
  g_error_free (error);
}

static void
test_hostile_headers (void)
{
  guint n_accepted = 0;

  for (guint i = 0; i < N_CUTS; i++) {
    guint32 words[GST_SAE_HEADER_SIZE / 4];
    guint8 *bytes = (guint8 *) words;
    GstSaeHeader header;
    GError *error = NULL;
    gsize size, n_rows;

    memcpy (words, golden_header, sizeof words);
    for (gint n = g_test_rand_int_range (1, 5); n > 0; n--)
      bytes[g_test_rand_int_range (0, 88)] =
          (guint8) g_test_rand_int_range (0, 256);
    if (!gst_sae_header_read (&header, bytes, sizeof words, &error)) {
      g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
      g_error_free (error);
      continue;
    }
    n_accepted++;
    g_assert_cmpuint (header.tensor.rank, >=, 1);
    g_assert_cmpuint (header.tensor.rank, <=, GST_SAE_MAX_RANK);
    g_assert_cmpuint (header.tensor.type, <=, GST_SAE_FLOAT16);
    g_assert_true (gst_sae_tensor_size (&header.tensor, &size));
    g_assert_true (gst_sae_tensor_n_rows (&header.tensor, &n_rows));
    for (guint j = 0; j < header.tensor.rank; j++)
      g_assert_cmpuint (header.tensor.dims[j], >, 0);
  }
  g_assert_cmpuint (n_accepted, >, 0);
}

/* --- reader --------------------------------------------------------------- */

static void
set_caps (GstSaeTensors *tensors, const gchar *types, const gchar *dims)
{
  GstCaps *caps = stream_caps (types, dims);
  GError *error = NULL;

  gst_sae_tensors_from_caps (tensors, caps, &error);
  g_assert_no_error (error);
  gst_caps_unref (caps);
}

static guint8 *
make_bytes (gsize size)
{
  guint8 *bytes = g_malloc (MAX (size, 1));

  for (gsize i = 0; i < size; i++)
    bytes[i] = (guint8) g_test_rand_int ();
  return bytes;
}

/* @size bytes in 1 to 16 memories that begin at any address. */
static GstBuffer *
cut_anywhere (const guint8 *data, gsize size)
{
  GstBuffer *buffer = gst_buffer_new ();
  guint n = (guint) g_test_rand_int_range (1, 17);

  for (guint i = 0; i < n; i++) {
    gsize part = i + 1 == n ? size
                            : (gsize) g_test_rand_int_range (0,
                                  (gint32) MIN (size, 4096) + 1);
    gsize shift = (gsize) g_test_rand_int_range (0, 9);
    guint8 *copy = g_malloc (part + shift + 1);
    memcpy (copy + shift, data, part);
    gst_buffer_append_memory (buffer,
        gst_memory_new_wrapped (0, copy, part + shift, shift, part, copy,
            g_free));
    data += part;
    size -= part;
  }
  return buffer;
}

static const struct {
  const gchar *types, *dims;
} layouts[] = {
    {"float32", "5:4"},
    {"float16", "7"},
    {"float64", "3:2:4"},
    {"uint32,float32", "3:4,3:4"},
    {"float16,uint8", "5:6,1:6"},
    {"float32,float64,uint8", "2:4,3:2,1:8"},
};

static void
check_opened (const GstSaeReader *reader, const GstSaeTensors *tensors,
    const guint8 *bytes, gsize times)
{
  g_assert_cmpuint (reader->n_tensors, ==, tensors->n_tensors);
  for (guint i = 0; i < reader->n_tensors; i++) {
    const GstSaeTensor *tensor = &reader->tensors[i];
    gsize n_rows, size;
    gst_sae_tensor_n_rows (&tensors->tensors[i], &n_rows);
    gst_sae_tensor_size (&tensors->tensors[i], &size);
    /* Half the rows of the caps times @times. */
    g_assert_cmpuint (reader->n_rows[i], ==, n_rows * times / 2);
    g_assert_cmpuint (reader->size[i], ==, size * times / 2);
    assert_same_memory (reader->data[i], reader->size[i], bytes,
        size * times / 2);
    g_assert_cmpuint ((guintptr) reader->data[i] %
                          gst_sae_type_size (tensor->type),
        ==, 0);
    if (times > 0) {
      gst_sae_tensor_n_rows (tensor, &n_rows);
      g_assert_cmpuint (n_rows, ==, reader->n_rows[i]);
    }
    bytes += size * times / 2;
  }
}

static void
test_any_cut (void)
{
  GstSaeReader reader;
  guint n = g_test_slow () ? N_CUTS_SLOW : N_CUTS;

  gst_sae_reader_init (&reader);
  for (guint i = 0; i < n; i++) {
    guint layout = (guint) g_test_rand_int_range (0, G_N_ELEMENTS (layouts));
    gsize times = (gsize) g_test_rand_int_range (0, 9);
    gsize total = 0, size;
    g_autofree guint8 *bytes = NULL;
    GstSaeTensors tensors;
    GstBuffer *buffer;
    GError *error = NULL;

    if (strcmp (layouts[layout].dims, "7") == 0)
      times *= 2;
    set_caps (&tensors, layouts[layout].types, layouts[layout].dims);
    for (guint j = 0; j < tensors.n_tensors; j++) {
      gst_sae_tensor_size (&tensors.tensors[j], &size);
      total += size * times / 2;
    }
    bytes = make_bytes (total);
    buffer = cut_anywhere (bytes, total);
    gst_sae_reader_open (&reader, buffer, &tensors, &error);
    g_assert_no_error (error);
    check_opened (&reader, &tensors, bytes, times);
    gst_sae_reader_close (&reader);
    gst_buffer_unref (buffer);
  }
  gst_sae_reader_clear (&reader);
  fault_report (2, n, n, 0);
}

static void
test_any_size (void)
{
  GstSaeReader reader;
  guint n = g_test_slow () ? N_CUTS_SLOW : N_CUTS;

  gst_sae_reader_init (&reader);
  for (guint i = 0; i < n; i++) {
    gsize size = (gsize) g_test_rand_int_range (0, 400);
    g_autofree guint8 *bytes = make_bytes (size);
    GstBuffer *buffer = cut_anywhere (bytes, size);
    GstSaeTensors tensors;
    GError *error = NULL;
    gboolean whole = size % 20 == 0;

    set_caps (&tensors, "float32", "5:4");
    g_assert_true (
        gst_sae_reader_open (&reader, buffer, &tensors, &error) == whole);
    if (whole) {
      g_assert_cmpuint (reader.n_rows[0], ==, size / 20);
      gst_sae_reader_close (&reader);
    } else {
      g_autofree gchar *got = g_strdup_printf ("got %" G_GSIZE_FORMAT, size);
      g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
      g_assert_nonnull (strstr (error->message, "5 float32"));
      g_assert_nonnull (strstr (error->message, "multiple of 20"));
      g_assert_nonnull (strstr (error->message, got));
      g_assert_cmpuint (reader.n_maps, ==, 0);
      g_clear_error (&error);
    }
    gst_buffer_unref (buffer);
  }
  gst_sae_reader_clear (&reader);
  fault_report (2, n, n, 0);
}

static void
test_outer_dims (void)
{
  static const struct {
    const gchar *dims;
    guint n_rows;
    const gchar *become;
  } cases[] = {{"2:3:4", 12, "2:3:4"}, {"2:3:4", 24, "2:3:8"},
      {"2:3:4", 3, "2:3"}, {"2:3:4", 13, "2:13"}, {"2:3:4", 1, "2:1"},
      {"2:3:4", 0, "2:3:4"}, {"2", 5, "2:5"}, {"2:8", 5, "2:5"},
      {"2:8", 1, "2:1"}};

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree guint8 *bytes = make_bytes (cases[i].n_rows * 8);
    GstBuffer *buffer = stream_buffer (bytes, cases[i].n_rows * 8);
    g_autofree gchar *dims = NULL;
    GstSaeTensors tensors;
    GstSaeReader reader;
    GError *error = NULL;

    gst_sae_reader_init (&reader);
    set_caps (&tensors, "float32", cases[i].dims);
    gst_sae_reader_open (&reader, buffer, &tensors, &error);
    g_assert_no_error (error);
    dims = gst_sae_tensor_dims_to_string (&reader.tensors[0]);
    g_assert_cmpstr (dims, ==, cases[i].become);
    g_assert_cmpuint (reader.n_rows[0], ==, cases[i].n_rows);
    gst_sae_reader_clear (&reader);
    gst_buffer_unref (buffer);
  }
}

static void
test_in_place (void)
{
  guint8 *bytes = make_bytes (240);
  GstMemory *a = gst_memory_new_wrapped (0, bytes, 120, 0, 120, bytes, g_free);
  guint8 *more = make_bytes (120);
  GstBuffer *buffer = gst_buffer_new ();
  GstSaeTensors tensors;
  GstSaeReader reader;

  gst_buffer_append_memory (buffer, a);
  gst_buffer_append_memory (buffer,
      gst_memory_new_wrapped (0, more, 120, 0, 120, more, g_free));
  set_caps (&tensors, "uint32,float32", "3:10,3:10");
  gst_sae_reader_init (&reader);
  g_assert_true (gst_sae_reader_open (&reader, buffer, &tensors, NULL));
  g_assert_true (reader.data[0] == bytes);
  g_assert_true (reader.data[1] == more);
  g_assert_null (reader.scratch);
  gst_sae_reader_clear (&reader);
  gst_buffer_unref (buffer);
}

static void
test_scratch_kept (void)
{
  g_autofree guint8 *bytes = make_bytes (80);
  const gsize cuts[] = {3};
  GstBuffer *buffer = stream_cut_buffer (bytes, 80, cuts, 1);
  GstSaeTensors tensors;
  GstSaeReader reader;
  const guint8 *scratch = NULL;

  set_caps (&tensors, "float32", "5:4");
  gst_sae_reader_init (&reader);
  for (guint i = 0; i < 3; i++) {
    g_assert_true (gst_sae_reader_open (&reader, buffer, &tensors, NULL));
    g_assert_true (!scratch || scratch == reader.scratch);
    scratch = reader.scratch;
    gst_sae_reader_close (&reader);
  }
  gst_sae_reader_clear (&reader);
  gst_buffer_unref (buffer);
}

/* Memory that no one can map for reading. */
static void
test_unmappable (void)
{
  static const gsize cuts[] = {80, 7};
  guint n_refused = 0;

  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    g_autofree guint8 *bytes = make_bytes (80);
    GstBuffer *buffer = stream_cut_buffer (bytes, 80, &cuts[i], 1);
    GstMemory *memory = gst_buffer_peek_memory (buffer, 0);
    GstSaeTensors tensors;
    GstSaeReader reader;
    GError *error = NULL;

    /* A lock for writing alone keeps readers out. */
    g_assert_true (gst_mini_object_lock (GST_MINI_OBJECT_CAST (memory),
        GST_LOCK_FLAG_WRITE));
    gst_sae_reader_init (&reader);
    set_caps (&tensors, "float32", "5:4");
    g_assert_false (gst_sae_reader_open (&reader, buffer, &tensors, &error));
    g_assert_error (error, SAE_ERROR, SAE_ERROR_READ);
    g_assert_cmpuint (reader.n_maps, ==, 0);
    g_clear_error (&error);
    set_caps (&tensors, "float32", "5:4");
    tensors.format = GST_SAE_FORMAT_FLEXIBLE;
    g_assert_false (gst_sae_reader_open (&reader, buffer, &tensors, &error));
    g_assert_error (error, SAE_ERROR, SAE_ERROR_READ);
    g_clear_error (&error);
    n_refused += 2;
    gst_mini_object_unlock (GST_MINI_OBJECT_CAST (memory), GST_LOCK_FLAG_WRITE);
    gst_sae_reader_clear (&reader);
    gst_buffer_unref (buffer);
  }
  fault_report (2, n_refused, n_refused, 0);
}

/* --- flexible ------------------------------------------------------------- */

static void
append_flexible (GByteArray *bytes, guint type, const gchar *dims,
    const guint8 *data, gsize size)
{
  GstSaeHeader header = {.format = GST_SAE_FORMAT_FLEXIBLE};
  guint8 head[GST_SAE_HEADER_SIZE];

  header.tensor.type = type;
  g_assert_true (gst_sae_tensor_parse_dims (&header.tensor, dims, NULL));
  gst_sae_header_write (&header, head);
  g_byte_array_append (bytes, head, sizeof head);
  if (size > 0)
    g_byte_array_append (bytes, data, (guint) size);
}

static const GstSaeTensors flexible = {.format = GST_SAE_FORMAT_FLEXIBLE};

static void
test_flexible_any_cut (void)
{
  g_autofree guint8 *data = make_bytes (24 * 4);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  GstSaeReader reader;

  append_flexible (bytes, GST_SAE_FLOAT32, "6:4", data, 96);
  append_flexible (bytes, GST_SAE_UINT8, "1:4", data, 4);
  append_flexible (bytes, GST_SAE_FLOAT64, "2:3:2", data, 96);
  gst_sae_reader_init (&reader);
  for (guint i = 0; i < N_CUTS; i++) {
    GstBuffer *buffer = cut_anywhere (bytes->data, bytes->len);
    GError *error = NULL;

    gst_sae_reader_open (&reader, buffer, &flexible, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (reader.n_tensors, ==, 3);
    g_assert_cmpuint (reader.n_rows[0], ==, 4);
    g_assert_cmpuint (reader.n_rows[1], ==, 4);
    g_assert_cmpuint (reader.n_rows[2], ==, 6);
    assert_same_memory (reader.data[0], reader.size[0], data, 96);
    assert_same_memory (reader.data[1], reader.size[1], data, 4);
    assert_same_memory (reader.data[2], reader.size[2], data, 96);
    g_assert_cmpuint ((guintptr) reader.data[2] % 8, ==, 0);
    gst_sae_reader_close (&reader);
    gst_buffer_unref (buffer);
  }
  gst_sae_reader_clear (&reader);
}

static void
expect_flexible (GByteArray *bytes, gint n_tensors, const gchar *part)
{
  GstBuffer *buffer = stream_buffer (bytes->data, bytes->len);
  GstSaeReader reader;
  GError *error = NULL;

  gst_sae_reader_init (&reader);
  if (gst_sae_reader_open (&reader, buffer, &flexible, &error)) {
    g_assert_cmpint ((gint) reader.n_tensors, ==, n_tensors);
  } else {
    g_assert_cmpint (n_tensors, ==, -1);
    g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
    if (!strstr (error->message, part))
      g_error ("expected %s in: %s", part, error->message);
    g_assert_cmpuint (reader.n_maps, ==, 0);
    g_error_free (error);
  }
  gst_sae_reader_clear (&reader);
  gst_buffer_unref (buffer);
}

static void
test_flexible_sizes (void)
{
  g_autofree guint8 *data = make_bytes (100);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  expect_flexible (bytes, 0, NULL);
  append_flexible (bytes, GST_SAE_FLOAT32, "6:4", data, 0);
  expect_flexible (bytes, 1, NULL); /* a header alone: 0 rows */
  g_byte_array_append (bytes, data, 95);
  expect_flexible (bytes, -1, "expected 96 bytes");
  g_byte_array_append (bytes, data, 1);
  expect_flexible (bytes, 1, NULL);
  g_byte_array_append (bytes, data, 1);
  expect_flexible (bytes, -1, "tensor 1 at byte 224");
  g_byte_array_set_size (bytes, 0);
  for (guint i = 0; i < 16; i++)
    append_flexible (bytes, GST_SAE_UINT8, "3:1", data, 3);
  expect_flexible (bytes, 16, NULL);
  append_flexible (bytes, GST_SAE_UINT8, "3:1", data, 3);
  expect_flexible (bytes, -1, "at most 16 tensors");
  g_byte_array_set_size (bytes, 0);
  append_flexible (bytes, GST_SAE_FLOAT32, "4294967295:1073741824", data, 100);
  expect_flexible (bytes, -1, "4294967295:1073741824 float32");
}

static void
test_flexible_hostile (void)
{
  g_autofree guint8 *data = make_bytes (96);
  g_autoptr (GByteArray) good = g_byte_array_new ();
  GstSaeReader reader;

  append_flexible (good, GST_SAE_FLOAT32, "6:2", data, 48);
  append_flexible (good, GST_SAE_FLOAT16, "6:4", data, 48);
  gst_sae_reader_init (&reader);
  for (guint i = 0; i < N_CUTS; i++) {
    g_autofree guint8 *bytes = g_memdup2 (good->data, good->len);
    gsize size = (gsize) g_test_rand_int_range (0, (gint32) good->len + 1);
    GstBuffer *buffer;
    GError *error = NULL;

    if (g_test_rand_bit ())
      size = good->len;
    for (gint n = g_test_rand_int_range (0, 4); n > 0; n--)
      bytes[g_test_rand_int_range (0, (gint32) good->len)] =
          (guint8) g_test_rand_int_range (0, 256);
    buffer = cut_anywhere (bytes, size);
    if (gst_sae_reader_open (&reader, buffer, &flexible, &error)) {
      gsize end = 0;
      for (guint j = 0; j < reader.n_tensors; j++) {
        end += GST_SAE_HEADER_SIZE + reader.size[j];
        assert_same_memory (reader.data[j], reader.size[j],
            bytes + end - reader.size[j], reader.size[j]);
      }
      g_assert_cmpuint (end, ==, size);
      gst_sae_reader_close (&reader);
    } else {
      g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
      g_error_free (error);
    }
    gst_buffer_unref (buffer);
  }
  gst_sae_reader_clear (&reader);
}

static void
test_sparse_refused (void)
{
  GstSaeTensors tensors = {.format = GST_SAE_FORMAT_SPARSE};
  GstBuffer *buffer = stream_buffer ("1234", 4);
  GstSaeReader reader;
  GError *error = NULL;

  gst_sae_reader_init (&reader);
  g_assert_false (gst_sae_reader_open (&reader, buffer, &tensors, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED);
  g_error_free (error);
  gst_sae_reader_clear (&reader);
  gst_buffer_unref (buffer);
}

/* --- errors --------------------------------------------------------------- */

static void
test_post_error (void)
{
  const struct {
    gint code;
    GQuark domain;
    gint posted;
  } cases[] = {
      {SAE_ERROR_NOT_FOUND, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND},
      {SAE_ERROR_READ, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ},
      {SAE_ERROR_WRITE, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE},
      {SAE_ERROR_NO_SPACE, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_NO_SPACE_LEFT},
      {SAE_ERROR_FORMAT, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
      {SAE_ERROR_UNSUPPORTED, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE},
      {SAE_ERROR_SIZE, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS},
      {SAE_ERROR_NON_FINITE, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED},
      {SAE_ERROR_STATE, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED},
  };
  g_auto (Stream) stream = stream_new_alone ("identity", NULL, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gst_sae_element_post_error (stream.element, "here",
        g_error_new (SAE_ERROR, cases[i].code, "expected 100%%, got %d", 3));
    stream_expect_error (&stream, cases[i].domain, cases[i].posted,
        "here: expected 100%, got 3", NULL);
  }
  gst_sae_element_post_error (stream.element, NULL,
      g_error_new_literal (G_FILE_ERROR, G_FILE_ERROR_IO, "what %s is"));
  stream_expect_error (&stream, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED,
      "what %s is", NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/tensors/types-have-nnstreamer-numbers", test_types);
  g_test_add_func ("/plugin/tensors/dims/trailing-ones-are-trimmed", test_dims);
  g_test_add_func ("/plugin/tensors/dims/refuses-bad-text", test_bad_dims);
  g_test_add_func ("/plugin/tensors/dims/compares-numerically", test_equal);
  g_test_add_func ("/plugin/tensors/dims/overflow-is-seen", test_overflow);
  g_test_add_func ("/plugin/tensors/caps/read-and-written", test_caps);
  g_test_add_func ("/plugin/tensors/caps/refuses-naming-the-field",
      test_bad_caps);
  g_test_add_func ("/plugin/tensors/header/bytes", test_header);
  g_test_add_func ("/plugin/tensors/header/refuses-each-bad-word",
      test_bad_header);
  g_test_add_func ("/plugin/tensors/header/refuses-sizes-that-overflow",
      test_overflowing_header);
  g_test_add_func ("/plugin/tensors/header/hostile", test_hostile_headers);
  g_test_add_func ("/plugin/tensors/reader/any-cut-reads-the-same",
      test_any_cut);
  g_test_add_func ("/plugin/tensors/reader/half-rows-are-refused",
      test_any_size);
  g_test_add_func ("/plugin/tensors/reader/outer-dims-follow-the-rows",
      test_outer_dims);
  g_test_add_func ("/plugin/tensors/reader/one-memory-a-tensor-is-not-copied",
      test_in_place);
  g_test_add_func ("/plugin/tensors/reader/scratch-is-kept", test_scratch_kept);
  g_test_add_func ("/plugin/tensors/reader/failed-map-is-an-error",
      test_unmappable);
  g_test_add_func ("/plugin/tensors/reader/refuses-sparse",
      test_sparse_refused);
  g_test_add_func ("/plugin/tensors/flexible/any-cut-reads-the-same",
      test_flexible_any_cut);
  g_test_add_func ("/plugin/tensors/flexible/bytes-match-the-header",
      test_flexible_sizes);
  g_test_add_func ("/plugin/tensors/flexible/hostile", test_flexible_hostile);
  g_test_add_func ("/plugin/tensors/errors/domain-and-code-fit",
      test_post_error);
  return stream_run_tests ();
}
