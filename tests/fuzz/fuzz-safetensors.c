/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as a safetensors file. Every tensor of what is accepted lies
 * within the file and is read. */
#include "fuzz.h"

#include <math.h>

#include "safetensors.h"

/* More elements than a file of a fuzzer's size can hold come from shapes with
 * a 0 in them only, which have none. */
static void
check_read (SaeSafetensors *file, const SaeTensorEntry *entry)
{
  g_autofree float *values = g_new (float, entry->n_elements + 1);
  g_autoptr (GError) error = NULL;
  gboolean read = sae_safetensors_read_float32 (file, entry, values, &error);

  g_assert_true (read == (error == NULL));
  for (gsize i = 0; read && i < entry->n_elements; i++)
    g_assert_true (isfinite (values[i]));
  if (read && entry->rank == 2)
    g_assert_true (sae_safetensors_read_transposed (file, entry, values, NULL));
}

static void
check_tensors (SaeSafetensors *file, guint64 size)
{
  guint n = sae_safetensors_get_n_tensors (file);
  guint64 end = 0;

  for (guint i = 0; i < n; i++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (file, i);
    g_assert_true (sae_safetensors_find (file, entry->name) == entry);
    g_assert_cmpuint (entry->offset, <=, size);
    g_assert_cmpuint (entry->size, <=, size - entry->offset);
    if (i > 0)
      g_assert_cmpuint (entry->offset, ==, end);
    end = entry->offset + entry->size;
    check_read (file, entry);
  }
  if (n > 0)
    g_assert_cmpuint (end, ==, size);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeSafetensors) file =
      sae_safetensors_open_bytes (bytes, "input", &error);

  fuzz_check_error (file != NULL, error);
  if (file != NULL)
    check_tensors (file, size);
  return 0;
}
