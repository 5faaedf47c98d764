/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a .npy header. What is accepted is written again and must read
 * as the same. */
#include "fuzz.h"

#include <string.h>

#include "npy.h"

static void
check_again (const SaeNpyHeader *header)
{
  g_autoptr (GBytes) bytes = sae_npy_header_build (header, 0, NULL);
  SaeNpyHeader again;

  g_assert_nonnull (bytes);
  g_assert_true (sae_npy_header_parse (g_bytes_get_data (bytes, NULL),
      g_bytes_get_size (bytes), &again, NULL));
  g_assert_cmpint (again.dtype, ==, header->dtype);
  g_assert_cmpuint (again.rank, ==, header->rank);
  g_assert_true (memcmp (again.shape, header->shape, sizeof again.shape) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  SaeNpyHeader header;
  gsize header_size = sae_npy_header_size (data, size, &error);
  gboolean ok;

  g_assert_true ((header_size == 0) == (error != NULL));
  g_clear_error (&error);
  ok = sae_npy_header_parse (data, size, &header, &error);
  fuzz_check_error (ok, error);
  if (!ok)
    return 0;
  g_assert_cmpuint (header.header_size, ==, header_size);
  g_assert_cmpuint (header_size, <=, size);
  g_assert_cmpuint (sae_npy_header_row_elements (&header), >, 0);
  check_again (&header);
  return 0;
}
