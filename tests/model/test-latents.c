/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "sample.h"

#define BYTES(type, ...)                                                       \
  g_bytes_new ((type[]){__VA_ARGS__}, sizeof ((type[]){__VA_ARGS__}))

/* Three rows: {1: 0.5, 3: −2}, {}, {4: 7}. */
static SaeLatents *
three_rows (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) offsets = BYTES (guint64, 0, 2, 2, 3);
  g_autoptr (GBytes) indices = BYTES (guint32, 1, 3, 4);
  g_autoptr (GBytes) values = BYTES (float, 0.5f, -2, 7);
  SaeLatents *latents =
      sae_latents_new (3, 5, offsets, indices, values, &error);

  g_assert_no_error (error);
  return latents;
}

static void
check_row (SaeLatents *latents, guint row, guint n, const guint32 *indices,
    const float *values)
{
  guint n_indices = 77, n_values = 77;
  const guint32 *index = sae_latents_get_row_indices (latents, row, &n_indices);
  const float *value = sae_latents_get_row_values (latents, row, &n_values);

  g_assert_cmpuint (n_indices, ==, n);
  g_assert_cmpuint (n_values, ==, n);
  assert_same_memory (index, n * sizeof *index, indices, n * sizeof *indices);
  expect_same_bits ("values", value, values, n);
}

static void
test_rows (void)
{
  g_autoptr (SaeLatents) latents = three_rows ();
  g_autoptr (GBytes) offsets = sae_latents_get_offsets (latents);
  g_autoptr (GBytes) indices = sae_latents_get_indices (latents);
  g_autoptr (GBytes) values = sae_latents_get_values (latents);

  g_assert_cmpuint (sae_latents_get_n_rows (latents), ==, 3);
  g_assert_cmpuint (sae_latents_get_d_sae (latents), ==, 5);
  g_assert_cmpuint (sae_latents_get_nnz (latents), ==, 3);
  g_assert_cmpuint (g_bytes_get_size (offsets), ==, 4 * 8);
  g_assert_cmpuint (g_bytes_get_size (indices), ==, 3 * 4);
  g_assert_cmpuint (g_bytes_get_size (values), ==, 3 * 4);
  check_row (latents, 0, 2, (guint32[]){1, 3}, (float[]){0.5f, -2});
  check_row (latents, 1, 0, NULL, NULL);
  check_row (latents, 2, 1, (guint32[]){4}, (float[]){7});
}

static void
test_dense (void)
{
  static const float want[15] = {0, 0.5f, 0, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      7};
  g_autoptr (SaeLatents) latents = three_rows ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, &error);
  g_autoptr (SaeLatents) back = sae_latents_new_from_dense (5, dense, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (dense), ==, sizeof want);
  expect_same_bits ("dense", g_bytes_get_data (dense, NULL), want, 15);
  g_assert_cmpuint (sae_latents_get_n_rows (back), ==, 3);
  check_row (back, 0, 2, (guint32[]){1, 3}, (float[]){0.5f, -2});
  check_row (back, 1, 0, NULL, NULL);
  check_row (back, 2, 1, (guint32[]){4}, (float[]){7});
}

static void
test_dense_adds_duplicates (void)
{
  g_autoptr (GBytes) indices = BYTES (guint32, 2, 0, 2, 0);
  g_autoptr (GBytes) values = BYTES (float, 1, 0, 4, 0);
  g_autoptr (SaeLatents) latents =
      sae_latents_new_from_pairs (1, 3, indices, values, NULL);
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, NULL);

  expect_same_bits ("dense", g_bytes_get_data (dense, NULL), (float[]){0, 0, 5},
      3);
}

static void
test_pairs (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) indices = BYTES (guint32, 1, 4, 2, 0);
  g_autoptr (GBytes) values = BYTES (float, 3, 5, 6, 0);
  g_autoptr (SaeLatents) latents =
      sae_latents_new_from_pairs (2, 5, indices, values, &error);

  g_assert_no_error (error);
  check_row (latents, 0, 2, (guint32[]){1, 4}, (float[]){3, 5});
  check_row (latents, 1, 2, (guint32[]){2, 0}, (float[]){6, 0});
}

/* Rows mixed, one without latents, one latent twice. */
static void
test_sparse (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) values = BYTES (float, 3, 5, 6, 7, 8);
  g_autoptr (GBytes) places = BYTES (guint32, 14, 1, 10, 4, 10);
  g_autoptr (SaeLatents) latents =
      sae_latents_new_from_sparse (3, 5, values, places, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (sae_latents_get_nnz (latents), ==, 5);
  check_row (latents, 0, 2, (guint32[]){1, 4}, (float[]){5, 7});
  check_row (latents, 1, 0, NULL, NULL);
  check_row (latents, 2, 3, (guint32[]){4, 0, 0}, (float[]){3, 6, 8});
}

static void
test_sparse_refused (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) two = BYTES (guint32, 1, 10);
  g_autoptr (GBytes) one = BYTES (float, 1);
  g_autoptr (GBytes) values = BYTES (float, 1, 2);
  g_autoptr (GBytes) odd = g_bytes_new ("12345", 5);
  static const struct {
    guint n_rows, d_sae;
  } too_many[] = {{65537, 65536}, {G_MAXUINT, G_MAXUINT}, {3, 0}};

  g_assert_null (sae_latents_new_from_sparse (2, 5, values, two, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_FORMAT,
      "below 2 rows of 5, got 10");
  g_assert_null (sae_latents_new_from_sparse (0, 5, values, two, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_FORMAT, "below 0 rows");
  g_assert_null (sae_latents_new_from_sparse (3, 5, one, two, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "values: expected 8 bytes, got 4");
  g_assert_null (sae_latents_new_from_sparse (3, 5, one, odd, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "places: expected 4 bytes, got 5");
  for (guint i = 0; i < G_N_ELEMENTS (too_many); i++) {
    g_assert_null (sae_latents_new_from_sparse (too_many[i].n_rows,
        too_many[i].d_sae, values, two, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "at most 2^32");
  }
}

static void
test_empty (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  g_autoptr (GBytes) offsets = BYTES (guint64, 0);
  g_autoptr (SaeLatents) rows =
      sae_latents_new (0, 5, offsets, none, none, &error);
  g_autoptr (SaeLatents) pairs =
      sae_latents_new_from_pairs (0, 5, none, none, &error);
  g_autoptr (SaeLatents) no_slots =
      sae_latents_new_from_pairs (3, 5, none, none, &error);
  g_autoptr (SaeLatents) dense = sae_latents_new_from_dense (5, none, &error);
  g_autoptr (GBytes) bytes = sae_latents_to_dense (rows, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (sae_latents_get_n_rows (rows), ==, 0);
  g_assert_cmpuint (sae_latents_get_n_rows (pairs), ==, 0);
  g_assert_cmpuint (sae_latents_get_n_rows (no_slots), ==, 3);
  g_assert_cmpuint (sae_latents_get_nnz (no_slots), ==, 0);
  g_assert_cmpuint (sae_latents_get_n_rows (dense), ==, 0);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 0);
}

static void
check_refused (guint n_rows, GBytes *offsets, GBytes *indices, GBytes *values,
    gint code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_latents_new (n_rows, 5, offsets, indices, values, &error));
  expect_error (&error, SAE_ERROR, code, message);
  g_bytes_unref (offsets);
}

static void
test_rows_refused (void)
{
  g_autoptr (GBytes) indices = BYTES (guint32, 1, 3, 4);
  g_autoptr (GBytes) out_of_range = BYTES (guint32, 1, 5, 4);
  g_autoptr (GBytes) values = BYTES (float, 1, 2, 3);

  check_refused (3, BYTES (guint64, 0, 2, 3), indices, values, SAE_ERROR_SIZE,
      "offsets: expected 32 bytes, got 24");
  check_refused (G_MAXUINT, BYTES (guint64, 0, 2, 3), indices, values,
      SAE_ERROR_SIZE, "offsets: expected 34359738368 bytes, got 24");
  check_refused (2, BYTES (guint64, 0, 2, 4), indices, values, SAE_ERROR_SIZE,
      "indices: expected 16 bytes, got 12");
  check_refused (2, BYTES (guint64, 1, 2, 3), indices, values, SAE_ERROR_FORMAT,
      "expected offsets from 0, got 1 to 3");
  check_refused (2, BYTES (guint64, 0, 2, G_MAXUINT64), indices, values,
      SAE_ERROR_FORMAT, "got 0 to 18446744073709551615");
  check_refused (3, BYTES (guint64, 0, 2, 1, 3), indices, values,
      SAE_ERROR_FORMAT, "rising offsets, got 1 after 2 in row 1");
  check_refused (2, BYTES (guint64, 0, 2, 3), out_of_range, values,
      SAE_ERROR_FORMAT, "indices below dict-size 5, got 5 in row 0");
}

static void
test_pairs_refused (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) three = BYTES (guint32, 1, 3, 4);
  g_autoptr (GBytes) four = BYTES (float, 1, 2, 3, 4);

  g_assert_null (sae_latents_new_from_pairs (2, 5, three, four, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "expected a multiple of 2 rows of 4 bytes, got 12");
  g_assert_null (sae_latents_new_from_pairs (0, 5, three, four, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "0 rows");
  g_assert_null (sae_latents_new_from_pairs (3, 5, three, four, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "values: expected 12 bytes, got 16");
  g_assert_null (sae_latents_new_from_pairs (3, 4, three, three, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_FORMAT,
      "below dict-size 4, got 4");
}

static void
test_dense_refused (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) four = BYTES (float, 1, 2, 3, 4);

  g_assert_null (sae_latents_new_from_dense (3, four, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "expected whole rows of 3 floats, got 16 bytes");
  g_assert_null (sae_latents_new_from_dense (0, four, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE, "rows of 0 floats");
}

static void
test_no_such_row (void)
{
  g_autoptr (SaeLatents) latents = three_rows ();
  guint n;

  g_test_expect_message ("Sae", G_LOG_LEVEL_CRITICAL, "*row < *n_rows*");
  g_assert_null (sae_latents_get_row_indices (latents, 3, &n));
  g_assert_cmpuint (n, ==, 0);
  g_test_expect_message ("Sae", G_LOG_LEVEL_CRITICAL, "*row < *n_rows*");
  g_assert_null (sae_latents_get_row_values (latents, G_MAXUINT, &n));
  g_assert_cmpuint (n, ==, 0);
  g_test_assert_expected_messages ();
}

static void
test_references (void)
{
  SaeLatents *latents = three_rows ();
  GBytes *values = sae_latents_get_values (latents);

  g_assert_true (sae_latents_ref (latents) == latents);
  sae_latents_unref (latents);
  g_boxed_free (SAE_TYPE_LATENTS, g_boxed_copy (SAE_TYPE_LATENTS, latents));
  g_assert_cmpuint (sae_latents_get_nnz (latents), ==, 3);
  sae_latents_unref (latents);
  g_assert_cmpuint (g_bytes_get_size (values), ==, 12); /* outlives them */
  g_bytes_unref (values);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/latents/rows", test_rows);
  g_test_add_func ("/model/latents/to-dense-and-back", test_dense);
  g_test_add_func ("/model/latents/dense-adds-duplicates",
      test_dense_adds_duplicates);
  g_test_add_func ("/model/latents/from-pairs", test_pairs);
  g_test_add_func ("/model/latents/from-sparse", test_sparse);
  g_test_add_func ("/model/latents/sparse-refused", test_sparse_refused);
  g_test_add_func ("/model/latents/no-rows", test_empty);
  g_test_add_func ("/model/latents/refuses-rows-that-do-not-fit",
      test_rows_refused);
  g_test_add_func ("/model/latents/refuses-pairs-that-do-not-fit",
      test_pairs_refused);
  g_test_add_func ("/model/latents/refuses-half-dense-rows",
      test_dense_refused);
  g_test_add_func ("/model/latents/a-row-that-does-not-exist",
      test_no_such_row);
  g_test_add_func ("/model/latents/references", test_references);
  return g_test_run ();
}
