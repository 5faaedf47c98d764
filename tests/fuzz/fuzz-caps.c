/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any texts as the fields of other/tensors caps: byte 0 says which of them are
 * there, byte 1 how many tensors, and lines are the texts. What is accepted
 * reads as the same when it is caps again, and makes the header of a .npy file
 * with its shape. */
#include "fuzz.h"

#include "buffers.h"
#include "gstsaenpyshape.h"
#include "gstsaetensors.h"

static const char *const fields[] = {"types", "dimensions", "format"};

static GstCaps *
make_caps (guint8 there, guint8 n_tensors, gchar **texts)
{
  GstCaps *caps =
      gst_caps_new_empty_simple (there & 64 ? "other/tensor" : "other/tensors");

  for (guint i = 0; i < G_N_ELEMENTS (fields) && texts[i] != NULL; i++) {
    g_autofree gchar *text = g_utf8_make_valid (texts[i], -1);
    if (there & 1u << i)
      gst_caps_set_simple (caps, fields[i], G_TYPE_STRING, text, NULL);
  }
  if (there & 8)
    gst_caps_set_simple (caps, "num_tensors", G_TYPE_INT, n_tensors, NULL);
  if (there & 16)
    gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, n_tensors - 8,
        1 + there / 128, NULL);
  if (there & 32)
    gst_caps_set_simple (caps, "num_tensors", G_TYPE_STRING, "2", NULL);
  return caps;
}

static void
check_tensor (const GstSaeTensor *tensor)
{
  gsize n_rows, size;

  g_assert_cmpuint (tensor->rank, >=, 1);
  g_assert_cmpuint (tensor->rank, <=, GST_SAE_MAX_RANK);
  for (guint i = 0; i < GST_SAE_MAX_RANK; i++)
    g_assert_cmpuint (tensor->dims[i], >=, 1);
  g_assert_true (tensor->rank == 1 || tensor->dims[tensor->rank - 1] > 1);
  g_assert_true (gst_sae_tensor_n_rows (tensor, &n_rows));
  g_assert_true (gst_sae_tensor_size (tensor, &size));
  g_assert_cmpuint (size / gst_sae_type_size (tensor->type) / tensor->dims[0],
      ==, n_rows);
}

static void
check_npy (const GstSaeTensor *tensor)
{
  GstSaeNpyShape shape = {.known = FALSE};
  SaeNpyHeader header;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok = gst_sae_npy_shape_accept (&shape, tensor, &error);

  fuzz_check_error (ok, error);
  if (!ok)
    return;
  g_assert_true (gst_sae_npy_shape_accept (&shape, tensor, NULL));
  bytes = gst_sae_npy_shape_make_header (&shape, 0, &error);
  fuzz_check_error (bytes != NULL, error);
  if (bytes == NULL)
    return;
  g_assert_true (sae_npy_header_parse (g_bytes_get_data (bytes, NULL),
      g_bytes_get_size (bytes), &header, &error));
  g_assert_cmpuint (header.rank, ==, shape.n_inner + 1);
  for (guint i = 0; i < shape.n_inner; i++)
    g_assert_cmpuint (header.shape[shape.n_inner - i], ==, tensor->dims[i]);
}

static void
check_again (const GstSaeTensors *tensors)
{
  g_autoptr (GstCaps) caps = gst_sae_tensors_to_caps (tensors);
  g_autoptr (GError) error = NULL;
  GstSaeTensors again;

  g_assert_true (gst_caps_is_fixed (caps));
  g_assert_true (gst_sae_tensors_from_caps (&again, caps, &error));
  g_assert_cmpint (again.format, ==, tensors->format);
  g_assert_cmpuint (again.n_tensors, ==, tensors->n_tensors);
  g_assert_cmpint (again.fps_n, ==, tensors->fps_n);
  g_assert_cmpint (again.fps_d, ==, tensors->fps_d);
  for (guint i = 0; i < again.n_tensors; i++) {
    check_tensor (&tensors->tensors[i]);
    check_npy (&tensors->tensors[i]);
    g_assert_true (
        gst_sae_tensor_equal (&again.tensors[i], &tensors->tensors[i]));
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  guint8 there = fuzz_take_byte (&data, &size);
  guint8 n_tensors = fuzz_take_byte (&data, &size);
  g_autofree gchar *text = g_strndup ((const gchar *) data, size);
  g_auto (GStrv) texts = g_strsplit (text, "\n", -1);
  g_autoptr (GstCaps) caps = NULL;
  g_autoptr (GError) error = NULL;
  GstSaeTensors tensors;
  gboolean ok;

  fuzz_init_gst ();
  caps = make_caps (there, n_tensors, texts);
  ok = gst_sae_tensors_from_caps (&tensors, caps, &error);
  fuzz_check_error (ok, error);
  if (ok)
    check_again (&tensors);
  return 0;
}
