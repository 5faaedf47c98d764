/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: sae-accepts < FILES: safetensors files, each behind 4 bytes of its
 * length (little-endian). Says of each in a line: "accepted", its tensors and
 * their bytes, or why not. */
#include <stdio.h>
#include <stdlib.h>

#include "safetensors.h"

static void
say (const guint8 *data, gsize size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeSafetensors) file =
      sae_safetensors_open_bytes (bytes, "file", &error);
  guint64 n_bytes = 0;
  guint n = file ? sae_safetensors_get_n_tensors (file) : 0;

  for (guint i = 0; i < n; i++)
    n_bytes += sae_safetensors_get_nth (file, i)->size;
  if (file)
    printf ("accepted %u %" G_GUINT64_FORMAT "\n", n, n_bytes);
  else
    printf ("%s\n", g_strdelimit (error->message, "\n\r", ' '));
}

int
main (void)
{
  guint8 length[4];

  while (fread (length, sizeof length, 1, stdin) == 1) {
    gsize size =
        length[0] | length[1] << 8 | length[2] << 16 | (gsize) length[3] << 24;
    g_autofree guint8 *data = g_malloc (MAX (size, 1));
    if (size > 0 && fread (data, size, 1, stdin) != 1)
      return EXIT_FAILURE;
    say (data, size);
  }
  return EXIT_SUCCESS;
}
