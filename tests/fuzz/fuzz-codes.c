/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a buffer of codes. The first one chooses the caps, the second
 * where the rest is cut into two memories. What is accepted must be as
 * promised, and must read as the same when it is written as sparse and as
 * dense codes. */
#include "../same-memory.h"
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "buffers.h"
#include "gstsaecodesreader.h"

#define D_SAE 8
#define MAX_ROWS_AGAIN 64

static const GstSaeTensor two_slots = {GST_SAE_UINT32, 2,
    {2, 3, [2 ... GST_SAE_MAX_RANK - 1] = 1}};
static const GstSaeTensor two_values = {GST_SAE_FLOAT32, 2,
    {2, 3, [2 ... GST_SAE_MAX_RANK - 1] = 1}};
static const GstSaeTensor wide = {GST_SAE_FLOAT32, 2,
    {D_SAE, 3, [2 ... GST_SAE_MAX_RANK - 1] = 1}};

static GstSaeTensors
choose_caps (guint8 choice)
{
  GstSaeTensors caps = {.format = GST_SAE_FORMAT_SPARSE, .fps_d = 1};

  switch (choice % 4) {
    case 1:
      caps.format = GST_SAE_FORMAT_FLEXIBLE;
      break;
    case 2:
      caps.format = GST_SAE_FORMAT_STATIC;
      caps.n_tensors = 2;
      caps.tensors[0] = two_slots;
      caps.tensors[1] = two_values;
      break;
    case 3:
      caps.format = GST_SAE_FORMAT_STATIC;
      caps.n_tensors = 1;
      caps.tensors[0] = wide;
      break;
  }
  return caps;
}

static GstBuffer *
make_buffer (const uint8_t *data, size_t size, guint8 cut)
{
  GstBuffer *buffer = gst_buffer_new ();
  size_t first = cut == 0 ? size : MIN (cut, size);

  fuzz_append (buffer, data, first);
  if (first < size)
    fuzz_append (buffer, data + first, size - first);
  return buffer;
}

static void
check_rows (const GstSaeCodesReader *reader)
{
  g_assert_cmpuint (reader->offsets[0], ==, 0);
  for (gsize r = 0; r < reader->n_rows; r++) {
    g_assert_cmpuint (reader->offsets[r], <=, reader->offsets[r + 1]);
    for (gsize p = reader->offsets[r]; p < reader->offsets[r + 1]; p++) {
      g_assert_cmpuint (reader->indices[p], <, D_SAE);
      g_assert_true (isfinite (reader->values[p]) && reader->values[p] != 0);
      if (p > reader->offsets[r])
        g_assert_cmpuint (reader->indices[p - 1], <, reader->indices[p]);
    }
  }
}

static void
expect_same (const GstSaeCodesReader *a, const guint8 *bytes, gsize size,
    guint8 choice)
{
  GstSaeTensors caps = choose_caps (choice);
  GstBuffer *buffer = make_buffer (bytes, size, 0);
  GstSaeCodesReader b;
  gsize nnz = a->offsets[a->n_rows];

  gst_sae_codes_reader_init (&b);
  g_assert_true (gst_sae_codes_reader_open (&b, buffer, &caps, D_SAE, NULL));
  g_assert_cmpuint (b.n_rows, ==, a->n_rows);
  assert_same_memory (b.offsets, (b.n_rows + 1) * sizeof (gsize), a->offsets,
      (a->n_rows + 1) * sizeof (gsize));
  if (nnz > 0) {
    assert_same_memory (b.indices, 4 * nnz, a->indices, 4 * nnz);
    assert_same_memory (b.values, 4 * nnz, a->values, 4 * nnz);
  }
  gst_sae_codes_reader_clear (&b);
  gst_buffer_unref (buffer);
}

static void
check_again (const GstSaeCodesReader *reader)
{
  gsize n_rows = reader->n_rows, nnz = reader->offsets[n_rows];
  g_autofree float *dense = g_new0 (float, n_rows *D_SAE);
  g_autofree guint32 *sparse = g_new0 (guint32, 32 + 2 * nnz);
  GstSaeHeader header = {wide, GST_SAE_FORMAT_SPARSE, (guint32) nnz};

  header.tensor.dims[1] = (guint32) n_rows;
  gst_sae_header_write (&header, (guint8 *) sparse);
  for (gsize r = 0; r < n_rows; r++)
    for (gsize p = reader->offsets[r]; p < reader->offsets[r + 1]; p++) {
      dense[r * D_SAE + reader->indices[p]] = reader->values[p];
      memcpy (&sparse[32 + p], &reader->values[p], 4);
      sparse[32 + nnz + p] = (guint32) r * D_SAE + reader->indices[p];
    }
  expect_same (reader, (guint8 *) sparse, 128 + 8 * nnz, 0);
  expect_same (reader, (guint8 *) dense, n_rows * D_SAE * 4, 3);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static GstSaeCodesReader reader; /* its scratch is kept, as elements do */
  g_autoptr (GError) error = NULL;
  GstSaeTensors caps = choose_caps (fuzz_take_byte (&data, &size));
  guint8 cut = fuzz_take_byte (&data, &size);
  GstBuffer *buffer;
  gboolean ok;

  fuzz_init_gst ();
  buffer = make_buffer (data, size, cut);
  ok = gst_sae_codes_reader_open (&reader, buffer, &caps, D_SAE, &error);
  fuzz_check_error (ok, error);
  if (!ok)
    g_assert_cmpuint (reader.n_rows, ==, 0);
  else
    check_rows (&reader);
  if (ok && reader.n_rows > 0 && reader.n_rows <= MAX_ROWS_AGAIN)
    check_again (&reader);
  gst_buffer_unref (buffer);
  return 0;
}
