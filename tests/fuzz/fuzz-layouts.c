/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as the files of any layout in the list: byte 0 selects the
 * layout, and each of its files is 4 bytes of length (little-endian, at most
 * what is left) and content. */
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "layouts.h"

static char *folder;

static void
remove_folder (void)
{
  const SaeLayout *const *layouts = sae_layouts_list ();
  for (guint i = 0; layouts[i] != NULL; i++) {
    for (guint j = 0; layouts[i]->files[j] != NULL; j++) {
      g_autofree char *path =
          g_build_filename (folder, layouts[i]->files[j], NULL);
      g_remove (path);
    }
  }
  g_rmdir (folder);
  g_clear_pointer (&folder, g_free);
}

/* In memory where that is possible: a disk would be the slowest part. */
static void
make_folder (void)
{
  gboolean in_memory = g_access ("/dev/shm", W_OK) == 0;
  folder = g_build_filename (in_memory ? "/dev/shm" : g_get_tmp_dir (),
      "sae-fuzz-XXXXXX", NULL);
  g_assert_nonnull (g_mkdtemp (folder));
  atexit (remove_folder);
}

static void
write_file (const char *name, const uint8_t **data, size_t *size)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  FILE *file = g_fopen (path, "wb");
  guint32 length = 0;

  g_assert_nonnull (file);
  if (*size >= 4) {
    memcpy (&length, *data, 4);
    *data += 4;
    *size -= 4;
  }
  length = (guint32) MIN (GUINT32_FROM_LE (length), *size);
  if (length > 0)
    g_assert_cmpuint (fwrite (*data, length, 1, file), ==, 1);
  fclose (file);
  *data += length;
  *size -= length;
}

static void
check_finite (const float *values, gsize n)
{
  for (gsize i = 0; i < n; i++)
    g_assert_true (isfinite (values[i]));
}

static void
check_dictionary (const SaeDictionary *dictionary)
{
  gsize d_in = dictionary->d_in, d_out = dictionary->d_out;
  gsize d_sae = dictionary->d_sae;

  g_assert_true (sae_dictionary_check_sizes (d_in, d_out, d_sae, NULL));
  g_assert_nonnull (dictionary->sparsity);
  g_assert_cmpuint (dictionary->k, <=, d_sae);
  check_finite (dictionary->W_enc, d_sae * d_in);
  check_finite (dictionary->W_dec, d_sae * d_out);
  check_finite (dictionary->b_enc, d_sae);
  check_finite (dictionary->b_dec, d_out);
  g_assert_true ((dictionary->threshold != NULL) ==
                 g_str_equal (dictionary->sparsity, "jump-relu"));
  if (dictionary->threshold != NULL)
    check_finite (dictionary->threshold, d_sae);
  g_assert_true ((dictionary->r_mag != NULL) ==
                 g_str_equal (dictionary->sparsity, "gated"));
  g_assert_true ((dictionary->b_mag != NULL) == (dictionary->r_mag != NULL));
  if (dictionary->r_mag != NULL) {
    check_finite (dictionary->r_mag, d_sae);
    check_finite (dictionary->b_mag, d_sae);
  }
  g_assert_true ((dictionary->W_skip != NULL) == dictionary->skip);
  if (dictionary->skip)
    check_finite (dictionary->W_skip, d_out * d_in);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const SaeLayout *const *layouts = sae_layouts_list ();
  const SaeLayout *layout;
  g_autoptr (SaeDictionary) dictionary = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  if (folder == NULL)
    make_folder ();
  while (layouts[n] != NULL)
    n++;
  layout = layouts[size > 0 ? data[0] % n : 0];
  data += size > 0;
  size -= size > 0;
  for (guint i = 0; layout->files[i] != NULL; i++)
    write_file (layout->files[i], &data, &size);
  dictionary = layout->load (folder, &error);
  g_assert_true ((dictionary == NULL) == (error != NULL));
  if (dictionary != NULL)
    check_dictionary (dictionary);
  else
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
  return 0;
}
