/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as the index of weights in two files, a.safetensors with the tensor
 * x and b.safetensors with y. */
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include "safetensors-shards.h"
#include "scratch.h"

static char *weights, *index_path;

static void
write_shard (const char *name, const char *tensor)
{
  static const float value = 1;
  SaeTensorSource source = {tensor, 1, {1}, &value};
  g_autofree char *path = fuzz_path (name);
  int fd = open (path, O_WRONLY | O_CREAT, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (sae_safetensors_write (fd, path, &source, 1, NULL));
  close (fd);
}

static void
write_shards (void)
{
  weights = fuzz_path ("w.safetensors");
  index_path = g_strconcat (weights, ".index.json", NULL);
  write_shard ("a.safetensors", "x");
  write_shard ("b.safetensors", "y");
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeSafetensors) file = NULL;

  if (weights == NULL)
    write_shards ();
  scratch_write (index_path, data, size);
  file = sae_safetensors_open_sharded (weights, &error);
  fuzz_check_error (file != NULL, error);
  for (guint i = 0; file != NULL && i < sae_safetensors_get_n_tensors (file);
       i++) {
    float value;
    g_assert_true (sae_safetensors_read_float32 (file,
        sae_safetensors_get_nth (file, i), &value, NULL));
    g_assert_cmpfloat (value, ==, 1);
  }
  return 0;
}
