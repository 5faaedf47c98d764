/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dictionary.h"
#include "scratch.h"

#define LARGEST SAE_DICTIONARY_MAX_SIZE

static void
test_checks_sizes_at_their_bounds (void)
{
  static const struct {
    guint64 d_in, d_out, d_sae;
    const char *refused; /* what the error names, or NULL */
  } rows[] = {
      {1, 1, 1, NULL},
      {768, 768, 24576, NULL},
      {LARGEST, 1, 1, NULL},
      {1, 1, LARGEST, NULL},
      {LARGEST, LARGEST, LARGEST, NULL},
      {0, 1, 1, "d_in: expected 1 to 268435456, got 0"},
      {1, 0, 1, "d_out: expected 1 to 268435456, got 0"},
      {1, 1, 0, "d_sae: expected 1 to 268435456, got 0"},
      {LARGEST + 1, 1, 1, "d_in: expected 1 to 268435456, got 268435457"},
      {1, 1, G_GUINT64_CONSTANT (1) << 31, "got 2147483648"},
      {G_MAXUINT64, 1, 1, "got 18446744073709551615"},
      {1, G_MAXINT64 / 4, 1, "d_out"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    GError *error = NULL;
    gboolean ok = sae_dictionary_check_sizes (rows[i].d_in, rows[i].d_out,
        rows[i].d_sae, &error);
    g_assert_cmpint (ok, ==, rows[i].refused == NULL);
    if (!ok)
      scratch_assert_error (&error, SAE_ERROR_SIZE, rows[i].refused);
  }
}

static void
test_allocates_zeros (void)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  GError *error = NULL;

  dictionary->d_in = 3;
  dictionary->d_out = 5;
  dictionary->d_sae = 7;
  g_assert_true (sae_dictionary_allocate (dictionary, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < 7 * 3; i++)
    g_assert_cmpfloat (dictionary->W_enc[i], ==, 0);
  for (guint i = 0; i < 7 * 5; i++)
    g_assert_cmpfloat (dictionary->W_dec[i], ==, 0);
  for (guint i = 0; i < 7; i++)
    g_assert_cmpfloat (dictionary->b_enc[i], ==, 0);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpfloat (dictionary->b_dec[i], ==, 0);
}

/* 2^58 bytes: within a gsize, beyond any memory. */
static void
test_reports_missing_memory (void)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  GError *error = NULL;

  dictionary->d_in = dictionary->d_out = dictionary->d_sae = LARGEST;
  g_assert_false (sae_dictionary_allocate (dictionary, &error));
  scratch_assert_error (&error, SAE_ERROR_NO_SPACE, "W_enc");
  g_assert_null (dictionary->W_enc);
  g_assert_null (dictionary->b_dec);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/formats/dictionary/checks-sizes-at-their-bounds",
      test_checks_sizes_at_their_bounds);
  g_test_add_func ("/formats/dictionary/allocates-zeros", test_allocates_zeros);
  g_test_add_func ("/formats/dictionary/reports-missing-memory",
      test_reports_missing_memory);
  return g_test_run ();
}
