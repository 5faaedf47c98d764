/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gemma Scope's layout and the archives under it, on the files that
 * make-npz.py has written. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "layouts.h"
#include "npz.h"
#include "scratch.h"

enum { D_IN = 3, D_SAE = 5 };

static char *
fixture (const char *name)
{
  return g_strdup_printf ("%s/%s.npz", FIXTURES, name);
}

static gboolean
is_supported (void)
{
  if (!sae_npz_is_supported ())
    g_test_skip ("built without libzip");
  return sae_npz_is_supported ();
}

/* As make-npz.py counts them. */
static void
check_arrays (const SaeDictionary *dictionary)
{
  g_assert_cmpuint (dictionary->d_in, ==, D_IN);
  g_assert_cmpuint (dictionary->d_out, ==, D_IN);
  g_assert_cmpuint (dictionary->d_sae, ==, D_SAE);
  g_assert_cmpuint (dictionary->k, ==, 0);
  g_assert_cmpstr (dictionary->sparsity, ==, "jump-relu");
  g_assert_false (dictionary->pre_bias);
  for (guint i = 0; i < D_SAE; i++) {
    g_assert_cmpfloat (dictionary->b_enc[i], ==, i);
    g_assert_cmpfloat (dictionary->threshold[i], ==, i - 1.5);
    for (guint j = 0; j < D_IN; j++) {
      g_assert_cmpfloat (dictionary->W_enc[i * D_IN + j], ==,
          j * D_SAE + i + 0.25);
      g_assert_cmpfloat (dictionary->W_dec[i * D_IN + j], ==,
          i * D_IN + j - 7.5);
      g_assert_cmpfloat (dictionary->b_dec[j], ==, -(double) j);
    }
  }
}

static void
test_loads (void)
{
  static const char *const names[] = {"plain", "deflated", "zip64", "half",
      "double"};

  for (guint i = 0; is_supported () && i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = fixture (names[i]);
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    check_arrays (dictionary);
  }
}

static void
test_transcoder (void)
{
  g_autofree char *path = fixture ("transcoder");
  g_autoptr (SaeDictionary) dictionary = NULL;

  if (!is_supported ())
    return;
  dictionary = sae_layouts_load (path, NULL);
  g_assert_cmpuint (dictionary->d_in, ==, 3);
  g_assert_cmpuint (dictionary->d_out, ==, 2);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpfloat (dictionary->W_dec[i], ==, i);
}

static const struct {
  const char *name;
  SaeError code;
  const char *part;
} hostile[] = {
    {"bzip2", SAE_ERROR_UNSUPPORTED, "stored or deflated"},
    {"no-threshold", SAE_ERROR_SIZE, "threshold: expected [5], file has no"},
    {"one-more", SAE_ERROR_UNSUPPORTED, "file also has 'scale'"},
    {"not-npy", SAE_ERROR_FORMAT, "README: expected a .npy file"},
    {"twice", SAE_ERROR_FORMAT, "twice.npz"},
    {"too-many", SAE_ERROR_UNSUPPORTED, "at most 64 arrays, found 65"},
    {"turned", SAE_ERROR_SIZE, "W_dec: expected [5, 5], file has [3, 5]"},
    {"integers", SAE_ERROR_SIZE, "b_dec: expected [3], file has uint32"},
    {"row", SAE_ERROR_SIZE, "W_enc: expected a matrix"},
    {"fortran", SAE_ERROR_UNSUPPORTED, "W_enc: npy fortran_order"},
    {"nan", SAE_ERROR_NON_FINITE, "W_dec: expected finite"},
    {"empty", SAE_ERROR_SIZE, "W_enc: expected a matrix, file has no"},
    {"short-array", SAE_ERROR_FORMAT, "W_enc: expected 60 bytes after"},
    {"long-array", SAE_ERROR_FORMAT, "W_enc: expected 60 bytes after"},
    {"short-header", SAE_ERROR_FORMAT, "W_enc: npy header: declared"},
    {"bomb", SAE_ERROR_UNSUPPORTED, "expected arrays of at most 33554432"},
    {"declared", SAE_ERROR_FORMAT, "cannot unpack to the declared"},
    {"spoilt", SAE_ERROR_FORMAT, "threshold: CRC error"},
};

/* Names the file, what was expected and what came. */
static void
test_hostile (void)
{
  for (guint i = 0; is_supported () && i < G_N_ELEMENTS (hostile); i++) {
    g_autofree char *path = fixture (hostile[i].name);
    GError *error = NULL;
    g_assert_null (sae_layouts_load (path, &error));
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, path));
    scratch_assert_error (&error, (gint) hostile[i].code, hostile[i].part);
  }
}

/* In the file alone and in a folder. */
static void
test_truncated (Scratch *scratch, gconstpointer name)
{
  g_autofree char *path = fixture (name);
  g_autofree char *copy = scratch_path (scratch, "params.npz");
  g_autofree char *whole = NULL;
  gsize full;

  g_assert_true (g_file_get_contents (path, &whole, &full, NULL));
  for (gsize size = 0; is_supported () && size < full; size++) {
    GError *error = NULL;
    scratch_write (copy, whole, size);
    g_assert_null (sae_layouts_load (size % 2 ? copy : scratch->path, &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, copy);
  }
}

/* Every byte changed, in one of three ways: never a crash, and what is loaded
 * has its checksums (those of names and dates are not checked). */
static void
test_flipped (Scratch *scratch, gconstpointer name)
{
  g_autofree char *path = fixture (name);
  g_autofree char *copy = scratch_path (scratch, "params.npz");
  g_autofree char *whole = NULL;
  const char flips[] = {1, 0x40, (char) 0xff};
  gsize full;

  g_assert_true (g_file_get_contents (path, &whole, &full, NULL));
  for (gsize i = 0; is_supported () && i < full; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SaeDictionary) dictionary = NULL;
    whole[i] ^= flips[i % sizeof flips];
    scratch_write (copy, whole, full);
    whole[i] ^= flips[i % sizeof flips];
    dictionary = sae_layouts_load (copy, &error);
    g_assert_true ((dictionary == NULL) == (error != NULL));
    if (dictionary != NULL)
      check_arrays (dictionary);
  }
}

/* Opening a FIFO without a writer must not hang. */
static void
test_other_things (Scratch *scratch, gconstpointer data)
{
  g_autofree char *fifo = scratch_path (scratch, "fifo.npz");
  g_autofree char *text = scratch_path (scratch, "text.npz");
  GError *error = NULL;

  if (!is_supported ())
    return;
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_null (sae_layouts_load (fifo, &error));
  scratch_assert_error (&error, SAE_ERROR_READ, "regular file");
  scratch_write_text (text, "no archive");
  g_assert_null (sae_layouts_load (text, &error));
  scratch_assert_error (&error, SAE_ERROR_FORMAT, "as a zip archive");
}

static void
test_without_libzip (void)
{
  g_autofree char *path = fixture ("plain");
  GError *error = NULL;

  if (sae_npz_is_supported ()) {
    g_test_skip ("built with libzip");
    return;
  }
  g_assert_null (sae_layouts_load (path, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, "libzip");
}

#define PATH "/formats/npz/"

static void
add (const char *path, const char *name,
    void (*test) (Scratch *, gconstpointer))
{
  g_test_add (path, Scratch, name, scratch_set_up, test, scratch_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func (PATH "loads-what-numpy-saved", test_loads);
  g_test_add_func (PATH "d_out-is-that-of-W_dec", test_transcoder);
  g_test_add_func (PATH "hostile-files-are-refused-by-name", test_hostile);
  g_test_add_func (PATH "without-libzip-is-said", test_without_libzip);
  add (PATH "every-shorter-length-is-refused/stored", "plain", test_truncated);
  add (PATH "every-shorter-length-is-refused/deflated", "deflated",
      test_truncated);
  add (PATH "every-flipped-byte-is-survived/stored", "plain", test_flipped);
  add (PATH "every-flipped-byte-is-survived/deflated", "deflated",
      test_flipped);
  scratch_add (PATH "other-things-are-no-archives", test_other_things);
  return g_test_run ();
}
