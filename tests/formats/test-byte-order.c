/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files are little-endian on every machine: what is written are these bytes,
 * and these bytes are what is read. */
#include <fcntl.h>
#include <unistd.h>

#include "../same-memory.h"
#include "dtype.h"
#include "fault.h"
#include "npy.h"
#include "safetensors.h"
#include "scratch.h"

#define HEADER                                                                 \
  "{\"W\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"

/* 56 bytes of header with its padding; 1.5 and -2. */
static const char tensors[] = "\x38\0\0\0\0\0\0\0" HEADER "  "
                              "\0\0\xc0\x3f\0\0\0\xc0";
/* Each is [1.5, -2]. */
static const struct {
  SaeDtype dtype;
  const char *bytes;
} numbers[] = {
    {SAE_DTYPE_FLOAT32, "\0\0\xc0\x3f\0\0\0\xc0"},
    {SAE_DTYPE_FLOAT16, "\0\x3e\0\xc0"},
    {SAE_DTYPE_BFLOAT16, "\xc0\x3f\0\xc0"},
    {SAE_DTYPE_FLOAT64, "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0"},
};
static const float values[] = {1.5f, -2};

static void
test_safetensors (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  const SaeTensorSource source = {"W", 1, {2}, values};
  g_autofree char *written = NULL;
  g_autoptr (SaeSafetensors) file = NULL;
  int fd = open (path, O_WRONLY | O_CREAT, 0600);
  float read[2];
  gsize size;

  g_assert_true (sae_safetensors_write (fd, path, &source, 1, NULL));
  close (fd);
  g_assert_true (g_file_get_contents (path, &written, &size, NULL));
  assert_same_memory (written, size, tensors, sizeof tensors - 1);
  scratch_write (path, tensors, sizeof tensors - 1);
  file = sae_safetensors_open (path, NULL);
  g_assert_true (sae_safetensors_read_float32 (file,
      sae_safetensors_get_nth (file, 0), read, NULL));
  assert_same_memory (read, sizeof read, values, sizeof values);
  fault_report (39, 2, 2, 0);
}

static void
test_npy (void)
{
  const SaeNpyHeader header = {.dtype = SAE_DTYPE_FLOAT32,
      .rank = 2,
      .shape = {3, 258}};
  g_autoptr (GBytes) bytes = sae_npy_header_build (&header, 0, NULL);
  const char *written = g_bytes_get_data (bytes, NULL);
  SaeNpyHeader read;

  /* 128 bytes in all, of which 10 are before the length ends. */
  assert_same_memory (written, 10, "\x93NUMPY\1\0\x76\0", 10);
  g_assert_true (g_str_has_prefix (written + 10, "{'descr': '<f4', "));
  g_assert_true (sae_npy_header_parse ((const guint8 *) written,
      g_bytes_get_size (bytes), &read, NULL));
  g_assert_cmpuint (read.shape[1], ==, 258);
  fault_report (39, 2, 2, 0);
}

static void
test_numbers (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    float read[2];
    sae_dtype_to_float32 (numbers[i].dtype, numbers[i].bytes, 2, read);
    assert_same_memory (read, sizeof read, values, sizeof values);
  }
  fault_report (39, G_N_ELEMENTS (numbers), G_N_ELEMENTS (numbers), 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/formats/byte-order/safetensors", test_safetensors);
  g_test_add_func ("/formats/byte-order/npy", test_npy);
  g_test_add_func ("/formats/byte-order/numbers", test_numbers);
  return g_test_run ();
}
