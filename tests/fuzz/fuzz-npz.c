/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a .npz file, all of whose arrays are read. */
#include "fuzz.h"

#include <math.h>

#include "npz.h"
#include "scratch.h"

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
  fuzz_check_error (ok, error);
  for (gsize i = 0; ok && i < n; i++)
    g_assert_true (isfinite (values[i]));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *path = fuzz_path ("input.npz");
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeNpz) npz = NULL;

  scratch_write (path, data, size);
  npz = sae_npz_open (path, &error);
  fuzz_check_error (npz != NULL, error);
  for (guint i = 0; npz != NULL && i < sae_npz_get_n_arrays (npz); i++)
    read_array (npz, sae_npz_get_nth (npz, i));
  return 0;
}
