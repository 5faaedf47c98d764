/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a buffer of tensors: byte 0 chooses the caps, byte 1 says how
 * many cuts there are, each of which is two bytes, and the rest is the buffer.
 * Where it is cut makes no difference, and what is accepted fits its bytes. */
#include "fuzz.h"

#include <string.h>

#include "buffers.h"
#include "gstsaetensors.h"

#define MAX_CUTS 20 /* a buffer holds 16 memories, and joins more */

static const char *const static_dims[] = {"3:2", "2:3", "5:1:2:3"};

static GstSaeTensors
choose_caps (guint8 choice)
{
  GstSaeTensors caps = {.format = GST_SAE_FORMAT_FLEXIBLE, .fps_d = 1};

  if (choice % 5 == 1)
    caps.format = GST_SAE_FORMAT_SPARSE;
  if (choice % 5 < 2)
    return caps;
  caps.format = GST_SAE_FORMAT_STATIC;
  caps.n_tensors = choice % 5 - 1;
  for (guint i = 0; i < caps.n_tensors; i++) {
    caps.tensors[i].type = (GstSaeType) ((choice / 5u + i) % 11);
    g_assert_true (
        gst_sae_tensor_parse_dims (&caps.tensors[i], static_dims[i], NULL));
  }
  return caps;
}

static int
compare_sizes (const void *a, const void *b)
{
  gsize x = *(const gsize *) a, y = *(const gsize *) b;

  return x < y ? -1 : x > y;
}

static GstBuffer *
make_cut_buffer (const guint8 *data, gsize size, gsize *cuts, guint n)
{
  GstBuffer *buffer = gst_buffer_new ();
  gsize at = 0;

  qsort (cuts, n, sizeof *cuts, compare_sizes);
  for (guint i = 0; i < n; i++) {
    fuzz_append (buffer, data + at, cuts[i] - at);
    at = cuts[i];
  }
  fuzz_append (buffer, data + at, size - at);
  return buffer;
}

static void
check_header_again (const GstSaeReader *reader, guint index)
{
  GstSaeHeader header = {reader->tensors[index], reader->format, reader->nnz};
  guint8 bytes[GST_SAE_HEADER_SIZE];
  GstSaeHeader again;

  gst_sae_header_write (&header, bytes);
  g_assert_true (gst_sae_header_read (&again, bytes, sizeof bytes, NULL));
  g_assert_true (gst_sae_tensor_equal (&again.tensor, &header.tensor));
  g_assert_cmpint (again.format, ==, header.format);
  g_assert_cmpuint (again.nnz, ==, header.nnz);
}

static void
check_tensor (const GstSaeReader *reader, guint index)
{
  const GstSaeTensor *tensor = &reader->tensors[index];
  gsize item = gst_sae_type_size (tensor->type), size, n_rows;

  g_assert_cmpuint (tensor->rank, >=, 1);
  g_assert_cmpuint (tensor->rank, <=, GST_SAE_MAX_RANK);
  g_assert_true (
      reader->size[index] == 0 || (guintptr) reader->data[index] % item == 0);
  check_header_again (reader, index);
  if (reader->format == GST_SAE_FORMAT_SPARSE) {
    g_assert_cmpuint (reader->size[index], ==,
        reader->nnz * (item + sizeof (guint32)));
    return;
  }
  g_assert_cmpuint (reader->size[index], ==,
      reader->n_rows[index] * tensor->dims[0] * item);
  if (reader->n_rows[index] == 0) /* dims cannot say that */
    return;
  g_assert_true (gst_sae_tensor_n_rows (tensor, &n_rows));
  g_assert_true (gst_sae_tensor_size (tensor, &size));
  g_assert_cmpuint (n_rows, ==, reader->n_rows[index]);
  g_assert_cmpuint (size, ==, reader->size[index]);
}

/* Every byte belongs to a tensor or its header. */
static void
check_tensors (const GstSaeReader *reader, gsize size)
{
  gsize header =
      reader->format == GST_SAE_FORMAT_STATIC ? 0 : GST_SAE_HEADER_SIZE;

  for (guint i = 0; i < reader->n_tensors; i++) {
    check_tensor (reader, i);
    g_assert_cmpuint (size, >=, header + reader->size[i]);
    size -= header + reader->size[i];
  }
  g_assert_cmpuint (size, ==, 0);
}

static void
expect_same (const GstSaeReader *a, const GstSaeReader *b)
{
  g_assert_cmpuint (a->n_tensors, ==, b->n_tensors);
  g_assert_cmpuint (a->nnz, ==, b->nnz);
  for (guint i = 0; i < a->n_tensors; i++) {
    g_assert_true (gst_sae_tensor_equal (&a->tensors[i], &b->tensors[i]));
    g_assert_cmpuint (a->n_rows[i], ==, b->n_rows[i]);
    g_assert_cmpuint (a->size[i], ==, b->size[i]);
    g_assert_true (
        a->size[i] == 0 || memcmp (a->data[i], b->data[i], a->size[i]) == 0);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static GstSaeReader whole, cut; /* their scratch is kept, as elements do */
  GstSaeTensors caps = choose_caps (fuzz_take_byte (&data, &size));
  guint n = fuzz_take_byte (&data, &size) % (MAX_CUTS + 1);
  gsize cuts[MAX_CUTS];
  g_autoptr (GError) error = NULL, cut_error = NULL;
  GstBuffer *whole_buffer, *cut_buffer;
  gboolean ok;

  fuzz_init_gst ();
  for (guint i = 0; i < n; i++)
    cuts[i] =
        fuzz_take_byte (&data, &size) * 256u + fuzz_take_byte (&data, &size);
  for (guint i = 0; i < n; i++)
    cuts[i] %= size + 1;
  whole_buffer = gst_buffer_new ();
  fuzz_append (whole_buffer, data, size);
  cut_buffer = make_cut_buffer (data, size, cuts, n);
  ok = gst_sae_reader_open_any (&whole, whole_buffer, &caps, &error);
  fuzz_check_error (ok, error);
  g_assert_true (
      gst_sae_reader_open_any (&cut, cut_buffer, &caps, &cut_error) == ok);
  if (ok) {
    check_tensors (&whole, size);
    expect_same (&whole, &cut);
  } else {
    g_assert_cmpstr (error->message, ==, cut_error->message);
  }
  gst_sae_reader_close (&whole);
  gst_sae_reader_close (&cut);
  gst_buffer_unref (whole_buffer);
  gst_buffer_unref (cut_buffer);
  return 0;
}
