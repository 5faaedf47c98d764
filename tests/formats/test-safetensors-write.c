/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <unistd.h>

#include "../same-memory.h"
#include "safetensors.h"
#include "scratch.h"

static void
test_written_file_reads_back (Scratch *scratch, gconstpointer data)
{
  static const float a[6] = {0, 1, -2, 3.5f, -0.0f, 0x1p-149f};
  static const float b[1] = {7};
  const SaeTensorSource tensors[] = {
      {"W", 2, {3, 2}, a, .transposed = TRUE},
      {"W_plain", 2, {2, 3}, a},
      {"b", 0, {0}, b},
      {"empty", 1, {0}, NULL},
  };
  static const float turned[6] = {0, 3.5f, 1, -0.0f, -2, 0x1p-149f};
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  g_autoptr (SaeSafetensors) file = NULL;
  const SaeTensorEntry *entry;
  GError *error = NULL;
  float values[6];
  int fd = open (path, O_WRONLY | O_CREAT, 0666);

  g_assert_true (sae_safetensors_write (fd, path, tensors,
      G_N_ELEMENTS (tensors), &error));
  g_assert_no_error (error);
  close (fd);
  file = sae_safetensors_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_safetensors_get_n_tensors (file), ==, 4);
  entry = sae_safetensors_find (file, "W");
  g_assert_cmpuint (entry->offset % 8, ==, 0);
  g_assert_cmpuint (entry->shape[0], ==, 3);
  g_assert_true (sae_safetensors_read_float32 (file, entry, values, &error));
  assert_same_memory (values, sizeof values, turned, sizeof turned);
  entry = sae_safetensors_find (file, "W_plain");
  g_assert_true (sae_safetensors_read_float32 (file, entry, values, &error));
  assert_same_memory (values, sizeof values, a, sizeof a);
  entry = sae_safetensors_find (file, "b");
  g_assert_cmpuint (entry->rank, ==, 0);
  g_assert_true (sae_safetensors_read_float32 (file, entry, values, &error));
  g_assert_cmpfloat (values[0], ==, 7);
}

static void
test_written_bytes_are_the_formats (Scratch *scratch, gconstpointer data)
{
  static const float x[2] = {1, -2.5f};
  const SaeTensorSource tensor = {"x", 1, {2}, x};
  static const char header[] =
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  ";
  static const guint8 tail[] = {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0};
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  g_autofree char *written = NULL;
  GError *error = NULL;
  gsize size;
  int fd = open (path, O_WRONLY | O_CREAT, 0666);

  g_assert_true (sae_safetensors_write (fd, path, &tensor, 1, &error));
  close (fd);
  g_file_get_contents (path, &written, &size, NULL);
  g_assert_cmpuint (size, ==, 8 + sizeof header - 1 + sizeof tail);
  assert_same_memory (written, 8, "\x38\0\0\0\0\0\0\0", 8);
  assert_same_memory (written + 8, sizeof header - 1, header,
      sizeof header - 1);
  assert_same_memory (written + size - 8, 8, tail, 8);
}

static void
test_full_disk_is_an_error (void)
{
  static const float x[1024];
  const SaeTensorSource tensors[] = {{"x", 1, {1024}, x},
      {"y", 2, {2, 512}, x, .transposed = TRUE}};
  GError *error = NULL;
  int fd = open ("/dev/full", O_WRONLY);

  for (guint i = 0; i < 2; i++) {
    g_assert_false (
        sae_safetensors_write (fd, "/dev/full", &tensors[i], 1, &error));
    scratch_assert_error (&error, SAE_ERROR_NO_SPACE, "/dev/full");
  }
  close (fd);
}

static void
test_write_refuses_sizes_that_wrap (void)
{
  static const float x[1];
  const SaeTensorSource tensor = {"x", 2,
      {G_MAXUINT32, (guint64) G_MAXUINT32 * 2}, x};
  GError *error = NULL;

  g_assert_false (sae_safetensors_write (-1, "the file", &tensor, 1, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, "the file");
}

static void
test_metadata_and_raw_dtypes (Scratch *scratch, gconstpointer data)
{
  static const guint64 u[2] = {1, G_MAXUINT64};
  static const double d[1] = {-0.1};
  static const guint8 b[3] = {7, 8, 255};
  const SaeTensorSource tensors[] = {
      {.name = "u", .rank = 1, .shape = {2}, .dtype = "U64", .bytes = u},
      {.name = "d", .rank = 1, .shape = {1}, .dtype = "F64", .bytes = d},
      {.name = "b", .rank = 1, .shape = {3}, .dtype = "U8", .bytes = b},
  };
  const char *metadata[] = {"format", "a \"quoted\" text", "b", "", NULL};
  static const char header[] =
      "{\"__metadata__\":{\"format\":\"a \\\"quoted\\\" text\",\"b\":\"\"},"
      "\"u\":{\"dtype\":\"U64\",\"shape\":[2],\"data_offsets\":[0,16]},"
      "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[16,24]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[24,27]}}";
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  g_autofree char *written = NULL;
  g_autoptr (SaeSafetensors) file = NULL;
  GError *error = NULL;
  guint64 u_read[2];
  int fd = open (path, O_WRONLY | O_CREAT, 0666);

  g_assert_true (sae_safetensors_write_with_metadata (fd, path, metadata,
      tensors, G_N_ELEMENTS (tensors), &error));
  g_assert_no_error (error);
  close (fd);
  g_assert_true (g_file_get_contents (path, &written, NULL, NULL));
  assert_same_memory (written + 8, sizeof header - 1, header,
      sizeof header - 1);
  file = sae_safetensors_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (sae_safetensors_get_metadata (file, "format"), ==,
      "a \"quoted\" text");
  g_assert_cmpstr (sae_safetensors_get_metadata (file, "b"), ==, "");
  g_assert_null (sae_safetensors_get_metadata (file, "u"));
  g_assert_true (sae_safetensors_read_bytes (file,
      sae_safetensors_find (file, "u"), u_read, &error));
  assert_same_memory (u_read, sizeof u_read, u, sizeof u);
}

static void
test_refuses_unknown_dtypes (void)
{
  static const char *const dtypes[] = {"F4", "f32", ""};

  for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++) {
    const SaeTensorSource tensor = {.name = "x",
        .rank = 1,
        .shape = {2},
        .dtype = dtypes[i],
        .bytes = "1234"};
    GError *error = NULL;
    g_assert_false (sae_safetensors_write (-1, "the file", &tensor, 1, &error));
    scratch_assert_error (&error, SAE_ERROR_SIZE, "dtypes of whole bytes");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define PATH "/formats/safetensors-write/"
  scratch_add (PATH "file-reads-back", test_written_file_reads_back);
  scratch_add (PATH "bytes-are-the-formats",
      test_written_bytes_are_the_formats);
  scratch_add (PATH "metadata-and-raw-dtypes", test_metadata_and_raw_dtypes);
  g_test_add_func (PATH "refuses-unknown-dtypes", test_refuses_unknown_dtypes);
  g_test_add_func (PATH "full-disk-is-an-error", test_full_disk_is_an_error);
  g_test_add_func (PATH "refuses-sizes-that-wrap",
      test_write_refuses_sizes_that_wrap);
  return g_test_run ();
}
