/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a .npz file, all of whose arrays are read. */
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "npz.h"

static char *path;

static void
remove_file (void)
{
  g_remove (path);
  g_clear_pointer (&path, g_free);
}

/* In memory where that is possible: a disk would be the slowest part. */
static void
make_file (void)
{
  gboolean in_memory = g_access ("/dev/shm", W_OK) == 0;
  int fd;

  path = g_build_filename (in_memory ? "/dev/shm" : g_get_tmp_dir (),
      "sae-fuzz-XXXXXX", NULL);
  fd = g_mkstemp (path);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  atexit (remove_file);
}

static void
read_array (SaeNpz *npz, const SaeNpzArray *array)
{
  g_autoptr (GError) error = NULL;
  gsize n = (gsize) (array->header.shape[0] *
                     sae_npy_header_row_elements (&array->header));
  g_autofree float *values = NULL;
  gboolean ok;

  if (!sae_dtype_is_float (array->header.dtype) ||
      n > SAE_NPZ_SMALL_SIZE / sizeof (float))
    return;
  values = g_new (float, n);
  ok = sae_npz_read (npz, array, array->header.rank == 2, values, &error);
  g_assert_true (ok == (error == NULL));
  for (gsize i = 0; ok && i < n; i++)
    g_assert_true (isfinite (values[i]));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeNpz) npz = NULL;

  if (path == NULL)
    make_file ();
  g_assert_true (
      g_file_set_contents (path, (const char *) data, (gssize) size, NULL));
  npz = sae_npz_open (path, &error);
  g_assert_true ((npz == NULL) == (error != NULL));
  for (guint i = 0; npz != NULL && i < sae_npz_get_n_arrays (npz); i++)
    read_array (npz, sae_npz_get_nth (npz, i));
  if (error != NULL)
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
  return 0;
}
