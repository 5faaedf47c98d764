/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../same-memory.h"
#include "npy.h"
#include "scratch.h"

static char *
fixture_path (const char *name)
{
  return g_strdup_printf ("%s/%s.npy", FIXTURES, name);
}

static double
element (SaeDtype dtype, const guint8 *bytes, gsize i)
{
  guint32 whole;
  float value;

  bytes += i * sae_dtype_size (dtype);
  if (dtype == SAE_DTYPE_UINT8)
    return *bytes;
  if (dtype == SAE_DTYPE_UINT32) {
    memcpy (&whole, bytes, sizeof whole);
    return GUINT32_FROM_LE (whole);
  }
  sae_dtype_to_float32 (dtype, bytes, 1, &value);
  return value;
}

/* --- what numpy wrote --- */

typedef struct {
  const char *name;
  SaeDtype dtype;
  guint rank;
  guint64 shape[3];
} Fixture;

/* clang-format off */
#define SHAPES(prefix, dtype) \
  {prefix "-3x4", dtype, 2, {3, 4}}, {prefix "-7", dtype, 1, {7}}, \
  {prefix "-0x5", dtype, 2, {0, 5}}, {prefix "-2x3x4", dtype, 3, {2, 3, 4}}
static const Fixture fixtures[] = {
    SHAPES ("f4", SAE_DTYPE_FLOAT32), SHAPES ("f8", SAE_DTYPE_FLOAT64),
    SHAPES ("f2", SAE_DTYPE_FLOAT16), SHAPES ("u4", SAE_DTYPE_UINT32),
    SHAPES ("u1", SAE_DTYPE_UINT8),
    {"version-2", SAE_DTYPE_FLOAT32, 2, {3, 4}},
    {"version-3", SAE_DTYPE_FLOAT32, 2, {3, 4}},
};
/* clang-format on */

static void
check_fixture (const Fixture *fixture)
{
  g_autofree char *path = fixture_path (fixture->name);
  GError *error = NULL;
  SaeNpyHeader header;
  guint8 bytes[256];
  gsize n = 1;
  int fd = sae_npy_open (path, &header, &error);

  g_assert_no_error (error);
  g_assert_cmpint (header.dtype, ==, fixture->dtype);
  g_assert_cmpuint (header.rank, ==, fixture->rank);
  for (guint i = 0; i < fixture->rank; i++) {
    g_assert_cmpuint (header.shape[i], ==, fixture->shape[i]);
    n *= fixture->shape[i];
  }
  g_assert_cmpuint (sae_npy_header_row_elements (&header) * fixture->shape[0],
      ==, n);
  g_assert_cmpint (read (fd, bytes, sizeof bytes), ==,
      (gssize) (n * sae_dtype_size (header.dtype)));
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat (element (header.dtype, bytes, i), ==, (double) i);
  close (fd);
}

static void
test_opens_what_numpy_wrote (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (fixtures); i++)
    check_fixture (&fixtures[i]);
}

static void
test_builds_the_header_that_numpy_writes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (fixtures); i++) {
    g_autofree char *path = fixture_path (fixtures[i].name);
    g_autofree char *data = NULL;
    g_autoptr (GBytes) built = NULL;
    SaeNpyHeader header = {fixtures[i].dtype, fixtures[i].rank};
    GError *error = NULL;

    if (g_str_has_prefix (fixtures[i].name, "version"))
      continue;
    memcpy (header.shape, fixtures[i].shape, sizeof fixtures[i].shape);
    built = sae_npy_header_build (&header, 0, &error);
    g_assert_no_error (error);
    g_file_get_contents (path, &data, NULL, &error);
    g_assert_no_error (error);
    assert_same_memory (g_bytes_get_data (built, NULL),
        g_bytes_get_size (built), data, g_bytes_get_size (built));
  }
}

static void
test_refuses_by_name_what_numpy_may_write (void)
{
  static const struct {
    const char *name;
    gint code;
    const char *part;
  } rows[] = {
      {"fortran-order", SAE_ERROR_UNSUPPORTED, "fortran_order"},
      {"big-endian", SAE_ERROR_UNSUPPORTED, "'>f4', which is big-endian"},
      {"int64", SAE_ERROR_UNSUPPORTED, "'<i8'"},
      {"structured", SAE_ERROR_UNSUPPORTED, "structured"},
      {"scalar", SAE_ERROR_SIZE, "at least one dimension, got ()"},
      {"no-columns", SAE_ERROR_SIZE, "(3, 0)"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = fixture_path (rows[i].name);
    SaeNpyHeader header;
    GError *error = NULL;
    g_assert_cmpint (sae_npy_open (path, &header, &error), ==, -1);
    g_assert_nonnull (strstr (error->message, path));
    scratch_assert_error (&error, rows[i].code, rows[i].part);
  }
}

/* --- headers made here --- */

static GBytes *
wrap_dict (const char *dict, guint8 major)
{
  gsize prefix = major == 1 ? 10 : 12;
  gsize size = strlen (dict);
  guint8 *data = g_malloc (prefix + size);

  memcpy (data, "\x93NUMPY", 6);
  data[6] = major;
  data[7] = 0;
  for (gsize i = 8; i < prefix; i++)
    data[i] = (guint8) (size >> 8 * (i - 8));
  memcpy (data + prefix, dict, size);
  return g_bytes_new_take (data, prefix + size);
}

static gboolean
parse (GBytes *bytes, SaeNpyHeader *header, GError **error)
{
  return sae_npy_header_parse (g_bytes_get_data (bytes, NULL),
      g_bytes_get_size (bytes), header, error);
}

static void
test_takes_any_order_and_spacing (void)
{
  static const char *const dicts[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n",
      "{'shape': (3, 4), 'descr': '<f4', 'fortran_order': False}\n",
      "{\"fortran_order\":False,\"shape\":(3,4,),\"descr\":\"<f4\"}    \n",
      ("  { 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 3L , 4L ) "
       "} \n"),
  };
  for (guint i = 0; i < G_N_ELEMENTS (dicts); i++) {
    for (guint8 major = 1; major <= 3; major++) {
      g_autoptr (GBytes) bytes = wrap_dict (dicts[i], major);
      SaeNpyHeader header;
      GError *error = NULL;
      parse (bytes, &header, &error);
      g_assert_no_error (error);
      g_assert_cmpint (header.dtype, ==, SAE_DTYPE_FLOAT32);
      g_assert_cmpuint (header.rank, ==, 2);
      g_assert_cmpuint (header.shape[0], ==, 3);
      g_assert_cmpuint (header.shape[1], ==, 4);
      g_assert_cmpuint (header.header_size, ==, g_bytes_get_size (bytes));
    }
  }
}

static void
test_refuses_other_dicts (void)
{
#define REST "'fortran_order': False, 'shape': (3, 4)"
#define DICT(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape
  static const struct {
    const char *dict;
    gint code;
    const char *part;
  } rows[] = {
      {"   \n", SAE_ERROR_FORMAT, "expected '{'"},
      {"[1]\n", SAE_ERROR_FORMAT, "expected '{', found \"[1]"},
      {"{}\n", SAE_ERROR_FORMAT, "the key 'descr' is missing"},
      {"{" REST "}\n", SAE_ERROR_FORMAT, "'descr' is missing"},
      {"{'descr': '<f4', 'shape': (3,)}\n", SAE_ERROR_FORMAT,
          "'fortran_order' is missing"},
      {"{'descr': '<f4', 'fortran_order': False}\n", SAE_ERROR_FORMAT,
          "'shape' is missing"},
      {"{'descr': '<f4', 'descr': '<f4', " REST "}\n", SAE_ERROR_FORMAT,
          "duplicate key 'descr'"},
      {"{'descr': '<f4', 'extra': 1, " REST "}\n", SAE_ERROR_FORMAT,
          "unknown key 'extra'"},
      {"{'descr': '<f4' " REST "}\n", SAE_ERROR_FORMAT, "',' or '}'"},
      {"{'descr' '<f4', " REST "}\n", SAE_ERROR_FORMAT, "expected ':'"},
      {"{'descr': '<f4\\x34', " REST "}\n", SAE_ERROR_FORMAT, "plain quoted"},
      {"{'descr': '<f4, ", SAE_ERROR_FORMAT, "plain quoted"},
      {"{'descr': \"<f4', " REST "}\n", SAE_ERROR_FORMAT, "plain quoted"},
      {"{'descr': 4, " REST "}\n", SAE_ERROR_FORMAT, "a string for 'descr'"},
      {"{'descr': '', " REST "}\n", SAE_ERROR_UNSUPPORTED, "has ''"},
      {"{'descr': '=f4', " REST "}\n", SAE_ERROR_UNSUPPORTED, "'=f4'"},
      {"{'descr': '|O', " REST "}\n", SAE_ERROR_UNSUPPORTED, "'|O'"},
      {"{'descr': '<V2', " REST "}\n", SAE_ERROR_UNSUPPORTED, "'<V2'"},
      {"{'descr': [('x', '<f4')], " REST "}\n", SAE_ERROR_UNSUPPORTED,
          "structured"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}\n",
          SAE_ERROR_FORMAT, "True or False"},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (3,)}\n",
          SAE_ERROR_UNSUPPORTED, "fortran_order: expected False"},
      {DICT ("()}\n"), SAE_ERROR_SIZE, "at least one dimension"},
      {DICT ("(3)}\n"), SAE_ERROR_FORMAT, "a tuple"},
      {DICT ("[3, 4]}\n"), SAE_ERROR_FORMAT, "expected '('"},
      {DICT ("(3, -4)}\n"), SAE_ERROR_FORMAT, "0 or more"},
      {DICT ("(3, 04)}\n"), SAE_ERROR_FORMAT, "a size"},
      {DICT ("(3, 4.0)}\n"), SAE_ERROR_FORMAT, "',' or ')'"},
      {DICT ("(3, None)}\n"), SAE_ERROR_FORMAT, "a size"},
      {DICT ("(3 4)}\n"), SAE_ERROR_FORMAT, "',' or ')'"},
      {DICT ("(,)}\n"), SAE_ERROR_FORMAT, "a size"},
      {DICT ("(3, 4"), SAE_ERROR_FORMAT, "',' or ')'"},
      {DICT ("(99999999999999999999,)}\n"), SAE_ERROR_FORMAT, "below 2^63"},
      {DICT ("(2305843009213693952,)}\n"), SAE_ERROR_SIZE, "2^63 bytes"},
      {DICT ("(4294967296, 4294967296)}\n"), SAE_ERROR_SIZE, "2^63 bytes"},
      {DICT ("(0, 4294967296, 4294967296)}\n"), SAE_ERROR_SIZE, "2^63 bytes"},
      {DICT ("(2, 0)}\n"), SAE_ERROR_SIZE, "at least one element"},
      {DICT ("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}\n"), SAE_ERROR_FORMAT,
          "at most 16"},
      {DICT ("(3, 4)}"), SAE_ERROR_FORMAT, "a newline"},
      {DICT ("(3, 4)}\n\n"), SAE_ERROR_FORMAT, "nothing after"},
      {DICT ("(3, 4)} x\n"), SAE_ERROR_FORMAT, "a newline"},
      {DICT ("(3, 4)}\t\n"), SAE_ERROR_FORMAT, "a newline"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GBytes) bytes = wrap_dict (rows[i].dict, 1);
    SaeNpyHeader header;
    GError *error = NULL;
    g_assert_false (parse (bytes, &header, &error));
    scratch_assert_error (&error, rows[i].code, rows[i].part);
  }
}

static void
test_refuses_other_prefixes (void)
{
  static const struct {
    const char *prefix;
    gint code;
    const char *part;
  } rows[] = {
      {"\x93NUMPX\1\0\x80\0{'de", SAE_ERROR_FORMAT, "not a .npy file"},
      {"PK\3\4\1\0\x80\0{'descr", SAE_ERROR_FORMAT, "not a .npy file"},
      {"\x93NUMPY\0\0\x80\0{'de", SAE_ERROR_UNSUPPORTED, "got 0.0"},
      {"\x93NUMPY\4\0\x80\0{'de", SAE_ERROR_UNSUPPORTED, "got 4.0"},
      {"\x93NUMPY\1\1\x80\0{'de", SAE_ERROR_UNSUPPORTED, "got 1.1"},
      {"\x93NUMPY\1\0\0\0{'de", SAE_ERROR_FORMAT, "declared 10"},
      {"\x93NUMPY\1\0\xff\xff{'d", SAE_ERROR_FORMAT, "declared 65545"},
      {"\x93NUMPY\2\0\xff\xff\xff\xff", SAE_ERROR_FORMAT,
          "declared 4294967307"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    GError *error = NULL;
    g_assert_cmpuint (sae_npy_header_size ((const guint8 *) rows[i].prefix, 12,
                          &error),
        ==, 0);
    scratch_assert_error (&error, rows[i].code, rows[i].part);
  }
}

static void
test_header_refuses_every_shorter_length (void)
{
  SaeNpyHeader header = {SAE_DTYPE_FLOAT16, 3, {5, 6, 7}};
  g_autoptr (GBytes) bytes = sae_npy_header_build (&header, 0, NULL);
  gsize full = g_bytes_get_size (bytes);

  for (gsize size = 0; size < full; size++) {
    /* A block of its own, so that a sanitizer sees a read past the end. */
    g_autofree guint8 *part = g_memdup2 (g_bytes_get_data (bytes, NULL), size);
    GError *error = NULL;
    g_assert_false (sae_npy_header_parse (part, size, &header, &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, "npy");
  }
}

/* --- building --- */

static void
test_header_size_does_not_depend_on_the_rows (void)
{
  static const guint64 rows[] = {0, 9, 1000, 123456789012, G_MAXINT64 / 3072};

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    SaeNpyHeader header = {SAE_DTYPE_FLOAT32, 2, {rows[i], 768}}, again;
    g_autoptr (GBytes) bytes = sae_npy_header_build (&header, 0, NULL);
    GError *error = NULL;
    g_assert_cmpuint (g_bytes_get_size (bytes), ==, 128);
    parse (bytes, &again, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (again.shape[0], ==, rows[i]);
  }
}

static void
test_header_grows_to_what_is_asked (void)
{
  SaeNpyHeader header = {SAE_DTYPE_UINT32, 1, {3}}, again;
  g_autoptr (GBytes) bytes = sae_npy_header_build (&header, 129, NULL);
  GError *error = NULL;

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 192);
  g_assert_true (parse (bytes, &again, &error));
  g_assert_null (sae_npy_header_build (&header, 65537, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, "asked for 65537");
  g_assert_null (sae_npy_header_build (&header, G_MAXSIZE, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, "asked for");
}

static void
test_build_refuses_what_the_format_lacks (void)
{
  SaeNpyHeader header = {SAE_DTYPE_BFLOAT16, 1, {3}};
  GError *error = NULL;

  g_assert_null (sae_npy_header_build (&header, 0, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, "bfloat16");
  header = (SaeNpyHeader){SAE_DTYPE_FLOAT32, 0, {0}};
  g_assert_null (sae_npy_header_build (&header, 0, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, "at least one dimension");
  header = (SaeNpyHeader){SAE_DTYPE_FLOAT32, 17, {1}};
  g_assert_null (sae_npy_header_build (&header, 0, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, "at most 16 dimensions");
}

/* --- files --- */

static void
test_file_must_hold_exactly_what_it_declares (Scratch *scratch,
    gconstpointer data)
{
  SaeNpyHeader header = {SAE_DTYPE_FLOAT32, 2, {3, 4}};
  g_autoptr (GBytes) bytes = sae_npy_header_build (&header, 0, NULL);
  g_autofree char *path = scratch_path (scratch, "x.npy");
  guint8 file[128 + 49] = {0};
  GError *error = NULL;

  memcpy (file, g_bytes_get_data (bytes, NULL), 128);
  for (gsize size = 0; size <= sizeof file; size++) {
    int fd;
    scratch_write (path, file, size);
    fd = sae_npy_open (path, &header, &error);
    if (size == 128 + 48) {
      g_assert_no_error (error);
      g_assert_cmpint (lseek (fd, 0, SEEK_CUR), ==, 128);
      close (fd);
      continue;
    }
    g_assert_cmpint (fd, ==, -1);
    if (size >= 128) {
      g_autofree char *part =
          g_strdup_printf ("file has %" G_GSIZE_FORMAT, size);
      g_assert_nonnull (strstr (error->message, "expected 176 bytes"));
      g_assert_nonnull (strstr (error->message, part));
    }
    scratch_assert_error (&error, SAE_ERROR_FORMAT, path);
  }
}

static void
test_open_refuses_what_is_no_file (Scratch *scratch, gconstpointer data)
{
  g_autofree char *missing = scratch_path (scratch, "missing.npy");
  g_autofree char *fifo = scratch_path (scratch, "fifo.npy");
  SaeNpyHeader header;
  GError *error = NULL;

  g_assert_cmpint (sae_npy_open (missing, &header, &error), ==, -1);
  scratch_assert_error (&error, SAE_ERROR_NOT_FOUND, "missing.npy");
  g_assert_cmpint (sae_npy_open (scratch->path, &header, &error), ==, -1);
  scratch_assert_error (&error, SAE_ERROR_READ, "found a folder");
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (sae_npy_open (fifo, &header, &error), ==, -1);
  scratch_assert_error (&error, SAE_ERROR_READ, "expected a regular file");
  g_assert_cmpint (sae_npy_open ("/dev/zero", &header, &error), ==, -1);
  scratch_assert_error (&error, SAE_ERROR_READ, "expected a regular file");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/formats/npy/" name, test)
  ADD ("opens-what-numpy-wrote", test_opens_what_numpy_wrote);
  ADD ("builds-the-header-that-numpy-writes",
      test_builds_the_header_that_numpy_writes);
  ADD ("refuses-by-name-what-numpy-may-write",
      test_refuses_by_name_what_numpy_may_write);
  ADD ("takes-any-order-and-spacing", test_takes_any_order_and_spacing);
  ADD ("refuses-other-dicts", test_refuses_other_dicts);
  ADD ("refuses-other-prefixes", test_refuses_other_prefixes);
  ADD ("header-refuses-every-shorter-length",
      test_header_refuses_every_shorter_length);
  ADD ("header-size-does-not-depend-on-the-rows",
      test_header_size_does_not_depend_on_the_rows);
  ADD ("header-grows-to-what-is-asked", test_header_grows_to_what_is_asked);
  ADD ("build-refuses-what-the-format-lacks",
      test_build_refuses_what_the_format_lacks);
  scratch_add ("/formats/npy/file-must-hold-exactly-what-it-declares",
      test_file_must_hold_exactly_what_it_declares);
  scratch_add ("/formats/npy/open-refuses-what-is-no-file",
      test_open_refuses_what_is_no_file);
  return g_test_run ();
}
