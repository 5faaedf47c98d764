/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as the index of weights in two files, a.safetensors with the tensor
 * x and b.safetensors with y. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "safetensors-shards.h"

static char *folder, *weights, *index_path;

static void
remove_folder (void)
{
  static const char *const names[] = {"a.safetensors", "b.safetensors",
      "w.safetensors.index.json"};

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    g_remove (path);
  }
  g_rmdir (folder);
  g_free (folder);
  g_free (weights);
  g_free (index_path);
}

static void
write_shard (const char *name, const char *tensor)
{
  static const float value = 1;
  SaeTensorSource source = {tensor, 1, {1}, &value};
  g_autofree char *path = g_build_filename (folder, name, NULL);
  int fd = g_open (path, O_WRONLY | O_CREAT, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (sae_safetensors_write (fd, path, &source, 1, NULL));
  close (fd);
}

/* In memory where that is possible: a disk would be the slowest part. */
static void
make_folder (void)
{
  gboolean in_memory = g_access ("/dev/shm", W_OK) == 0;

  folder = g_build_filename (in_memory ? "/dev/shm" : g_get_tmp_dir (),
      "sae-fuzz-XXXXXX", NULL);
  g_assert_nonnull (g_mkdtemp (folder));
  weights = g_build_filename (folder, "w.safetensors", NULL);
  index_path = g_strconcat (weights, ".index.json", NULL);
  write_shard ("a.safetensors", "x");
  write_shard ("b.safetensors", "y");
  atexit (remove_folder);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeSafetensors) file = NULL;
  FILE *index;

  if (folder == NULL)
    make_folder ();
  index = g_fopen (index_path, "wb");
  g_assert_nonnull (index);
  g_assert_true (size == 0 || fwrite (data, size, 1, index) == 1);
  fclose (index);
  file = sae_safetensors_open_sharded (weights, &error);
  g_assert_true ((file == NULL) == (error != NULL));
  if (error != NULL)
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
  for (guint i = 0; file != NULL && i < sae_safetensors_get_n_tensors (file);
       i++) {
    float value;
    g_assert_true (sae_safetensors_read_float32 (file,
        sae_safetensors_get_nth (file, i), &value, NULL));
    g_assert_cmpfloat (value, ==, 1);
  }
  return 0;
}
