/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#include "../same-memory.h"
#include "fault.h"
#include "json-text.h"
#include "safetensors.h"
#include "scratch.h"

/* A file with that header, and @n_data bytes that count up. */
static GBytes *
build_file (const char *header, gsize n_data)
{
  GByteArray *file = g_byte_array_new ();
  guint64 length = GUINT64_TO_LE ((guint64) strlen (header));

  g_byte_array_append (file, (const guint8 *) &length, 8);
  g_byte_array_append (file, (const guint8 *) header, (guint) strlen (header));
  for (gsize i = 0; i < n_data; i++) {
    guint8 byte = (guint8) i;
    g_byte_array_append (file, &byte, 1);
  }
  return g_byte_array_free_to_bytes (file);
}

static SaeSafetensors *
open_file (const char *header, gsize n_data, GError **error)
{
  g_autoptr (GBytes) bytes = build_file (header, n_data);
  return sae_safetensors_open_bytes (bytes, "the file", error);
}

#define T(dtype, shape, begin, end)                                            \
  "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin     \
  "," #end "]}"

/* --- the accept set of the reference reader --- */

static void
test_opens_what_the_format_allows (void)
{
  static const struct {
    const char *header;
    gsize n_data;
    guint n_tensors;
  } rows[] = {
      {"{}", 0, 0},
      {"{}      ", 0, 0},
      {"{\"a\":" T ("F32", "[2]", 0, 8) "}", 8, 1},
      {"{\"a\":" T ("F32", "[]", 0, 4) "}", 4, 1},
      {"{\"a\":" T ("F32", "[0]", 0, 0) "}", 0, 1},
      {"{\"a\":" T ("F32", "[3,0,5]", 0, 0) "}", 0, 1},
      {"{\"a\":" T ("U8", "[3]", 0, 3) ",\"b\":" T ("F64", "[1]", 3, 11) "}",
          11, 2},
      /* in any order, and empty ones at the same offset */
      {"{\"b\":" T ("F32", "[1]", 4, 8) ",\"a\":" T ("F32", "[1]", 0,
           4) ",\"c\":" T ("F32", "[0]", 4, 4) "}",
          8, 3},
      {"{\"__metadata__\":{\"format\":\"pt\"},\"a\":" T ("BF16", "[1]", 0,
           2) "}",
          2, 1},
      {"{\"__metadata__\":null}", 0, 0},
      {"{\"\":" T ("I8", "[1]", 0, 1) "}", 1, 1},
      /* keys that a later version may add */
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],"
       "\"x\":[[{}],-0.5,-0e1,1e-0,-1]}}",
          4, 1},
      /* every dtype */
      {"{\"a\":" T ("BOOL", "[1]", 0, 1) ",\"b\":" T ("I16", "[1]", 1,
           3) ",\"c\":" T ("U16", "[1]", 3, 5) ",\"d\":" T ("I32", "[]", 5,
           9) ",\"e\":" T ("U32", "[1]", 9, 13) ",\"f\":" T ("I64", "[1]", 13,
           21) ",\"g\":" T ("U64", "[1]", 21, 29) ",\"h\":" T ("C64", "[1]", 29,
           37) ",\"i\":" T ("F8_E5M2", "[1]", 37, 38) ",\"j\":" T ("F8_E4M3",
           "[1]", 38,
           39) ",\"k\":" T ("F8_E8M0", "[1]", 39, 40) ",\"l\":" T ("F6_E2M3",
           "[4]", 40, 43) ",\"m\":" T ("F6_E3M2", "[4]", 43,
           46) ",\"n\":" T ("F4", "[2]", 46, 47) ",\"o\":" T ("F8_E4M3FNUZ",
           "[1]", 47, 48) ",\"p\":" T ("F8_E5M2FNUZ", "[1]", 48, 49) "}",
          49, 16},
      {"{\"a\":" T ("F32", "[1,1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, 1},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    GError *error = NULL;
    g_autoptr (SaeSafetensors) file =
        open_file (rows[i].header, rows[i].n_data, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (sae_safetensors_get_n_tensors (file), ==,
        rows[i].n_tensors);
  }
}

static void
test_refuses_what_the_format_forbids (void)
{
  static const struct {
    const char *header;
    gsize n_data;
    const char *part;
  } rows[] = {
      {"", 0, "begins with '{'"},
      {" {}", 0, "begins with '{'"},
      {"[]", 0, "begins with '{'"},
      {"{", 0, "not valid JSON"},
      {"{}x", 0, "not valid JSON"},
      {"{}{}", 0, "not valid JSON"},
      {"{/**/}", 0, "not valid JSON"},
      {"{\"a\":1,}", 0, "not valid JSON"},
      {"{\"\xff\":1}", 0, "not valid JSON"},
      {"{\"a\":" T ("F32", "[1]", 0, 4) ",\"a\":" T ("F32", "[1]", 0, 4) "}", 4,
          "duplicate"},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],"
       "\"data_offsets\":[0,4]}}",
          4, "duplicate"},
      {"{\"a\":1}", 0, "'a': expected a JSON object"},
      {"{\"a\":{}}", 0, "dtype: expected"},
      {"{\"a\":" T ("F33", "[1]", 0, 4) "}", 4, "found F33"},
      {"{\"a\":" T ("f32", "[1]", 0, 4) "}", 4, "found f32"},
      {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
          "found none"},
      {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
          "shape: expected an array"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
      {"{\"a\":" T ("F32", "1", 0, 4) "}", 4, "shape: expected an array"},
      {"{\"a\":" T ("F32", "[1.0]", 0, 4) "}", 4, "integers of 0 or more"},
      {"{\"a\":" T ("F32", "[-0]", 0, 0) "}", 0, "found -0"},
      {"{\"a\":" T ("F32", "[-1]", 0, 4) "}", 4, "integers of 0 or more"},
      {"{\"a\":" T ("F32", "[\"1\"]", 0, 4) "}", 4, "integers of 0 or more"},
      {"{\"a\":" T ("F32", "[1]", -4, 0) "}", 4, "data_offsets: expected two"},
      {"{\"a\":" T ("F32", "[1]", 4, 0) "}", 4, "the end at 4 or later"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
          "data_offsets: expected two"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,2,4]}}", 4,
          "data_offsets: expected two"},
      {"{\"a\":" T ("F32", "[2]", 0, 4) "}", 4, "expected 8 bytes"},
      {"{\"a\":" T ("F32", "[1]", 0, 8) "}", 8, "expected 4 bytes"},
      {"{\"a\":" T ("F4", "[1]", 0, 0) "}", 0,
          "whole bytes, found 1 elements of F4"},
      {"{\"a\":" T ("F6_E2M3", "[1]", 0, 1) "}", 1, "whole bytes"},
      /* holes, overlaps, too much, too little */
      {"{\"a\":" T ("F32", "[1]", 4, 8) "}", 8, "begin at 0"},
      {"{\"a\":" T ("U8", "[2]", 0, 2) ",\"b\":" T ("U8", "[2]", 1, 3) "}", 3,
          "begin at 2, where the one before ends, found 1"},
      {"{\"a\":" T ("U8", "[2]", 0, 2) ",\"b\":" T ("U8", "[2]", 0, 2) "}", 2,
          "begin at 2"},
      {"{\"a\":" T ("U8", "[1]", 0, 1) ",\"b\":" T ("U8", "[1]", 2, 3) "}", 3,
          "begin at 1"},
      {"{\"a\":" T ("U8", "[2]", 0, 2) "}", 3, "file has 3"},
      {"{\"a\":" T ("U8", "[2]", 0, 2) "}", 1, "file has 1"},
      {"{}", 1, "expected 0 bytes of tensors at offset 10, file has 1"},
      /* products that wrap */
      {"{\"a\":" T ("F32", "[4294967296,4294967296]", 0, 0) "}", 0, "2^64"},
      {"{\"a\":" T ("F32", "[4611686018427387904]", 0, 0) "}", 0,
          "fewer than 2^64 bits"},
      {"{\"a\":" T ("U8", "[1]", 0, 9223372036854775807) "}", 1,
          "expected 1 bytes"},
      {"{\"a\":" T ("U8", "[18446744073709551616]", 0, 0) "}", 0, "JSON"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: 'a'"},
      {"{\"__metadata__\":[]}", 0, "__metadata__: expected a JSON object"},
      {"{\"__metadata__\":\"a\"}", 0, "__metadata__: expected a JSON object"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    GError *error = NULL;
    g_assert_null (open_file (rows[i].header, rows[i].n_data, &error));
    g_assert_nonnull (strstr (error->message, "the file: "));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, rows[i].part);
  }
  fault_report (25, G_N_ELEMENTS (rows), G_N_ELEMENTS (rows), 0);
}

/* Wherever it stands. */
static void
test_refuses_nul (void)
{
  static const char header[] = "{\"a\":" T ("U8", "[1]", 0, 1) "}";

  for (guint at = 0; at <= strlen (header); at++) {
    g_autoptr (GString) with_nul = g_string_new (header);
    guint64 length;
    g_autoptr (GBytes) bytes = NULL;
    GError *error = NULL;
    g_string_insert_len (with_nul, at, "", 1);
    length = GUINT64_TO_LE ((guint64) with_nul->len);
    g_string_append_c (with_nul, 'x');
    g_string_prepend_len (with_nul, (const char *) &length, 8);
    bytes = g_bytes_new (with_nul->str, with_nul->len);
    g_assert_null (sae_safetensors_open_bytes (bytes, "the file", &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT,
        at == 0 ? "begins with '{'" : "NUL");
  }
  fault_report (25, sizeof header, sizeof header, 0);
}

static void
test_refuses_deep_nesting (void)
{
  GString *header = g_string_new ("{\"a\":");
  GError *error = NULL;

  for (guint i = 0; i < SAE_JSON_MAX_DEPTH; i++)
    g_string_append_c (header, '[');
  g_assert_null (open_file (header->str, 0, &error));
  scratch_assert_error (&error, SAE_ERROR_FORMAT, "nested 128 deep");
  g_string_free (header, TRUE);
}

static void
test_refuses_header_lengths_beyond_the_file (void)
{
  static const guint64 lengths[] = {3, 9, 100000001, G_MAXINT64,
      G_MAXUINT64 - 7, G_MAXUINT64};

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    guint64 length = GUINT64_TO_LE (lengths[i]);
    guint8 data[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    g_autoptr (GBytes) bytes = NULL;
    g_autofree char *found =
        g_strdup_printf ("found %" G_GUINT64_FORMAT, lengths[i]);
    GError *error = NULL;
    memcpy (data, &length, 8);
    bytes = g_bytes_new (data, sizeof data);
    g_assert_null (sae_safetensors_open_bytes (bytes, "the file", &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, found);
  }
  fault_report (25, G_N_ELEMENTS (lengths), G_N_ELEMENTS (lengths), 0);
}

#define TWO                                                                    \
  "{\"x\":" T ("F32", "[2,3]", 0, 24) ",\"y\":" T ("F16", "[5]", 24, 34) "}"

static void
test_refuses_every_shorter_length (Scratch *scratch, gconstpointer data)
{
  g_autoptr (GBytes) bytes = build_file (TWO, 34);
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  GError *error = NULL;

  for (gsize size = 0; size < g_bytes_get_size (bytes); size++) {
    scratch_write (path, g_bytes_get_data (bytes, NULL), size);
    g_assert_null (sae_safetensors_open (path, &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, path);
  }
}

/* --- reading --- */

static GBytes *
build_floats (const char *header, const void *data, gsize size)
{
  g_autoptr (GBytes) head = build_file (header, 0);
  GByteArray *file = g_bytes_unref_to_array (g_steal_pointer (&head));
  g_byte_array_append (file, data, (guint) size);
  return g_byte_array_free_to_bytes (file);
}

/* 1, -2.5 and 0.15625 in each type. */
static void
test_reads_every_floating_type (void)
{
  static const struct {
    const char *header;
    guint8 data[24];
    gsize size;
  } rows[] = {
      {"{\"x\":" T ("F32", "[3]", 0, 12) "}",
          {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0, 0, 0, 0x20, 0x3e}, 12},
      {"{\"x\":" T ("F64", "[3]", 0, 24) "}",
          {0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0x04, 0xc0, 0, 0, 0,
              0, 0, 0, 0xc4, 0x3f},
          24},
      {"{\"x\":" T ("F16", "[3]", 0, 6) "}",
          {0x00, 0x3c, 0x00, 0xc1, 0x00, 0x31}, 6},
      {"{\"x\":" T ("BF16", "[3]", 0, 6) "}",
          {0x80, 0x3f, 0x20, 0xc0, 0x20, 0x3e}, 6},
  };
  static const float expected[] = {1, -2.5f, 0.15625f};

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GBytes) bytes =
        build_floats (rows[i].header, rows[i].data, rows[i].size);
    GError *error = NULL;
    g_autoptr (SaeSafetensors) file =
        sae_safetensors_open_bytes (bytes, "the file", &error);
    const SaeTensorEntry *entry;
    float values[3];
    g_assert_no_error (error);
    entry = sae_safetensors_find (file, "x");
    g_assert_true (sae_safetensors_read_float32 (file, entry, values, &error));
    assert_same_memory (values, sizeof values, expected, sizeof expected);
    values[0] = 0;
    g_assert_true (
        sae_safetensors_read_range (file, entry, 1, 1, values, &error));
    g_assert_cmpfloat (values[0], ==, expected[1]);
  }
}

static void
test_reads_the_transpose (void)
{
  enum { ROWS = 37, COLUMNS = 5 };
  guint16 halves[ROWS * COLUMNS];
  float values[COLUMNS * ROWS];
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (SaeSafetensors) file = NULL;
  GError *error = NULL;

  for (guint i = 0; i < ROWS * COLUMNS; i++)
    halves[i] = GUINT16_TO_LE ((guint16) (0x6400 + i)); /* 1024 + i */
  bytes = build_floats ("{\"x\":" T ("F16", "[37,5]", 0, 370) "}", halves,
      sizeof halves);
  file = sae_safetensors_open_bytes (bytes, "the file", &error);
  g_assert_no_error (error);
  g_assert_true (sae_safetensors_read_transposed (file,
      sae_safetensors_find (file, "x"), values, &error));
  for (guint row = 0; row < ROWS; row++)
    for (guint column = 0; column < COLUMNS; column++)
      g_assert_cmpfloat (values[column * ROWS + row], ==,
          (float) (1024 + row * COLUMNS + column));
}

static void
test_refuses_to_read_other_types_by_name (void)
{
  static const struct {
    const char *dtype, *header;
    gsize n_data;
  } rows[] = {
      {"I64", "{\"x\":" T ("I64", "[1]", 0, 8) "}", 8},
      {"BOOL", "{\"x\":" T ("BOOL", "[1]", 0, 1) "}", 1},
      {"F8_E4M3", "{\"x\":" T ("F8_E4M3", "[1]", 0, 1) "}", 1},
      {"U8", "{\"x\":" T ("U8", "[1]", 0, 1) "}", 1},
      {"U32", "{\"x\":" T ("U32", "[1]", 0, 4) "}", 4},
      {"F32", "{\"x\":" T ("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    GError *error = NULL;
    g_autoptr (SaeSafetensors) file =
        open_file (rows[i].header, rows[i].n_data, &error);
    const SaeTensorEntry *entry;
    float values[2];
    g_assert_no_error (error);
    entry = sae_safetensors_find (file, "x");
    g_assert_cmpstr (entry->dtype_name, ==, rows[i].dtype);
    g_assert_false (sae_safetensors_read_float32 (file, entry, values, &error));
    scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, rows[i].dtype);
    g_assert_false (
        sae_safetensors_read_transposed (file, entry, values, &error));
    scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, "tensor 'x'");
  }
}

static void
check_refused_values (const char *header, const void *data, gsize size,
    const char *part)
{
  g_autoptr (GBytes) bytes = build_floats (header, data, size);
  g_autoptr (SaeSafetensors) file = NULL;
  GError *error = NULL;
  float values[6];

  file = sae_safetensors_open_bytes (bytes, "the file", &error);
  g_assert_no_error (error);
  g_assert_false (sae_safetensors_read_float32 (file,
      sae_safetensors_find (file, "x"), values, &error));
  scratch_assert_error (&error, SAE_ERROR_NON_FINITE, part);
}

static void
test_refuses_non_finite_values_by_place (void)
{
  static const guint8 nan_half[12] = {[11] = 0x7e};
  static const guint8 infinite[24] = {[19] = 0xff, [18] = 0x80};
  static const guint8 too_large[8] = {0, 0, 0, 0, 0, 0, 0xf0, 0x47};

  check_refused_values ("{\"x\":" T ("F16", "[2,3]", 0, 12) "}", nan_half, 12,
      "tensor 'x': expected finite float32 values, found a NaN at [1, 2]");
  check_refused_values ("{\"x\":" T ("F32", "[2,3]", 0, 24) "}", infinite, 24,
      "found an infinity at [1, 1]");
  /* 2^128: finite in the file, not in float32 */
  check_refused_values ("{\"x\":" T ("F64", "[]", 0, 8) "}", too_large, 8,
      "found an infinity at []");
}

static void
test_file_truncated_after_opening_is_an_error (Scratch *scratch,
    gconstpointer data)
{
  g_autoptr (GBytes) bytes = build_file (TWO, 34);
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  gsize size = g_bytes_get_size (bytes);

  for (gsize cut = 1; cut <= size; cut++) {
    g_autoptr (SaeSafetensors) file = NULL;
    GError *error = NULL;
    float values[6];
    scratch_write (path, g_bytes_get_data (bytes, NULL), size);
    file = sae_safetensors_open (path, &error);
    g_assert_no_error (error);
    g_assert_cmpint (truncate (path, (off_t) (size - cut)), ==, 0);
    g_assert_false (sae_safetensors_read_float32 (file,
        sae_safetensors_find (file, "y"), values, &error));
    scratch_assert_error (&error, SAE_ERROR_READ, "the file ends there");
  }
}

/* --- memory --- */

static glong
peak_kilobytes (void)
{
  struct rusage usage;
  getrusage (RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static gboolean
counts_more_than_ours (void)
{
#if defined(__SANITIZE_ADDRESS__)
  return TRUE;
#elif defined(RUNNING_ON_VALGRIND)
  return RUNNING_ON_VALGRIND != 0;
#else
  return FALSE;
#endif
}

/* A header of @size bytes made of @part over and over, then @size of it. */
static void
open_repeated (const char *start, const char *part, gsize size)
{
  GString *header = g_string_new (start);
  g_autoptr (GBytes) bytes = NULL;
  GError *error = NULL;

  while (header->len < size)
    g_string_append (header, part);
  bytes = build_file (header->str, 0);
  g_string_free (header, TRUE);
  g_assert_null (sae_safetensors_open_bytes (bytes, "the file", &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
}

static void
hostile_header_in_child (gconstpointer data)
{
  static const struct {
    const char *start, *part;
    gsize size;
  } rows[] = {
      {"{\"a\":[", "[],", 430000}, /* just within the limit */
      {"{\"a\":[", "{},", 430000}, {"{\"a\":[", "{\"\":1},", 730000},
      {"{\"a\":[", "{\"\":[]},", 570000}, {"{\"a\":[", "1,", 830000},
      {"{\"a\":\"", "x", (12 << 20) - 300},
      {"{\"a\":\"", "\\n", (12 << 20) - 300}, {"{\"", "x", (12 << 20) - 300},
      {"{\"a\":[", "[],", 12 << 20}, /* beyond it */
  };
  glong before = peak_kilobytes ();

  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed ();
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    open_repeated (rows[i].start, rows[i].part, rows[i].size);
  /* The files themselves are in memory here: 12 MB, and 16 MB as GString. */
  if (!counts_more_than_ours ())
    g_assert_cmpint (peak_kilobytes () - before, <, (64 + 28) * 1024);
}

/* A file of which only the length is there. */
static void
test_large_header_is_refused_unread (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x.safetensors");
  guint64 length = GUINT64_TO_LE ((guint64) SAE_SAFETENSORS_MAX_HEADER);
  GError *error = NULL;

  scratch_write (path, &length, 8);
  g_assert_cmpint (truncate (path, 200000000), ==, 0);
  g_assert_null (sae_safetensors_open (path, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED,
      "header of 100000000 bytes");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define PATH "/formats/safetensors/"
#define ADD(name, test) g_test_add_func (PATH name, test)
  ADD ("opens-what-the-format-allows", test_opens_what_the_format_allows);
  ADD ("refuses-what-the-format-forbids", test_refuses_what_the_format_forbids);
  ADD ("refuses-nul", test_refuses_nul);
  ADD ("refuses-deep-nesting", test_refuses_deep_nesting);
  ADD ("refuses-header-lengths-beyond-the-file",
      test_refuses_header_lengths_beyond_the_file);
  scratch_add (PATH "refuses-every-shorter-length",
      test_refuses_every_shorter_length);
  ADD ("reads-every-floating-type", test_reads_every_floating_type);
  ADD ("reads-the-transpose", test_reads_the_transpose);
  ADD ("refuses-to-read-other-types-by-name",
      test_refuses_to_read_other_types_by_name);
  ADD ("refuses-non-finite-values-by-place",
      test_refuses_non_finite_values_by_place);
  scratch_add (PATH "file-truncated-after-opening-is-an-error",
      test_file_truncated_after_opening_is_an_error);
  g_test_add_data_func (PATH "hostile-headers-cost-bounded-memory", NULL,
      hostile_header_in_child);
  scratch_add (PATH "large-header-is-refused-unread",
      test_large_header_is_refused_unread);
  return g_test_run ();
}
