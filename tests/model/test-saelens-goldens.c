/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dictionaries that other libraries saved, with what these make of some
 * rows. */
#include <unistd.h>

#include "expect.h"
#include "model.h"
#include "npy.h"
#include "npz.h"

static const char *const folders[] = {"saelens-jumprelu",
    "saelens-standard-bdec0", "saelens-standard-bdec1",
    "saelens-topk-bdec0-rescale0", "saelens-topk-bdec0-rescale1",
    "saelens-topk-bdec1-rescale0", "saelens-topk-bdec1-rescale1",
    "sparsify-topk", "sparsify-groupmax", "gemma-scope"};

/* A float32 matrix of @rows (0: any) from a .npy file. (transfer full) */
static GBytes *
read_npy (const char *folder, const char *name, guint64 columns)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_build_filename (folder, name, NULL);
  SaeNpyHeader header;
  int fd = sae_npy_open (path, &header, &error);
  gsize size;
  float *values;

  g_assert_no_error (error);
  g_assert_cmpint (header.dtype, ==, SAE_DTYPE_FLOAT32);
  g_assert_cmpuint (header.rank, ==, 2);
  g_assert_cmpuint (header.shape[1], ==, columns);
  size = header.shape[0] * columns * sizeof (float);
  values = g_malloc (size);
  g_assert_cmpint (read (fd, values, size), ==, (gssize) size);
  close (fd);
  return g_bytes_new_take (values, size);
}

static void
expect_close_bytes (const char *what, GBytes *got, GBytes *want)
{
  g_assert_cmpuint (g_bytes_get_size (got), ==, g_bytes_get_size (want));
  expect_close (what, g_bytes_get_data (got, NULL),
      g_bytes_get_data (want, NULL), g_bytes_get_size (got) / sizeof (float),
      1e-5);
}

static void
test_folder (gconstpointer data)
{
  g_autofree char *folder =
      g_build_filename (g_getenv ("SAE_GOLDENS"), data, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) got_latents = NULL, got_x_hat = NULL;
  g_autoptr (GBytes) x = NULL, want_latents = NULL, want_x_hat = NULL;
  g_autoptr (SaeModel) model = sae_model_load (folder, &error);

  if (!sae_npz_is_supported () && g_str_equal (data, "gemma-scope")) {
    expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "libzip");
    g_test_skip ("built without libzip");
    return;
  }
  g_assert_no_error (error);
  x = read_npy (folder, "x.npy", sae_model_get_d_in (model));
  want_latents = read_npy (folder, "latents.npy", sae_model_get_d_sae (model));
  want_x_hat = read_npy (folder, "x_hat.npy", sae_model_get_d_out (model));
  got_x_hat = sae_model_forward (model, x, &latents, &error);
  g_assert_no_error (error);
  got_latents = sae_latents_to_dense (latents, &error);
  g_assert_no_error (error);
  expect_with ("%s", folder);
  expect_close_bytes ("latents", got_latents, want_latents);
  expect_close_bytes ("x_hat", got_x_hat, want_x_hat);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *path =
        g_strconcat ("/model/saelens-goldens/", folders[i], NULL);
    g_test_add_data_func (path, folders[i], test_folder);
  }
  return g_test_run ();
}
