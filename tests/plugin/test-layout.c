/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaelayout.h"

#include <string.h>

#include "stream.h"

#define WIDTH 4
#define ROW 16
#define HEADER 64

static const GstSaeLayoutHints no_hints = {0, -1};

static SaeNpyHeader
make_header (SaeDtype dtype, guint64 n_rows, guint64 width)
{
  SaeNpyHeader header = {.dtype = dtype, .rank = 2, .header_size = HEADER};

  header.shape[0] = n_rows;
  header.shape[1] = width;
  return header;
}

static GstSaeLayout
make_layout (guint64 n_rows)
{
  SaeNpyHeader header = make_header (SAE_DTYPE_FLOAT32, n_rows, WIDTH);
  GstSaeLayout layout = {FALSE};
  GError *error = NULL;

  gst_sae_layout_accept_header (&layout, &header, 0, &no_hints, &error);
  g_assert_no_error (error);
  return layout;
}

/* Every byte of a stream of equal files, in any order of visits. */
static void
test_every_byte (void)
{
  static const guint64 n_rows[] = {0, 1, 3, 7};

  for (guint k = 0; k < G_N_ELEMENTS (n_rows); k++) {
    GstSaeLayout layout = make_layout (n_rows[k]);
    guint64 file = HEADER + n_rows[k] * ROW;

    for (guint visit = 0; visit < 2000; visit++) {
      guint64 offset = (guint64) g_test_rand_int_range (0, (gint) file * 5);
      guint64 inside = offset % file;
      GstSaePlace place = gst_sae_layout_locate (&layout, offset);

      if (inside == 0) {
        g_assert_cmpint (place.kind, ==, GST_SAE_AT_HEADER);
        continue;
      }
      g_assert_cmpuint (layout.current.offset, ==, offset - inside);
      g_assert_cmpuint (layout.current.first_row, ==,
          offset / file * n_rows[k]);
      if (inside < HEADER) {
        g_assert_cmpint (place.kind, ==, GST_SAE_INSIDE);
        g_assert_cmpuint (place.skip, ==, HEADER - inside);
      } else if ((inside - HEADER) % ROW == 0) {
        g_assert_cmpint (place.kind, ==, GST_SAE_AT_ROW);
        g_assert_cmpuint (place.row, ==, (inside - HEADER) / ROW);
      } else {
        g_assert_cmpint (place.kind, ==, GST_SAE_INSIDE);
        g_assert_cmpuint (place.skip, ==, ROW - (inside - HEADER) % ROW);
      }
    }
  }
}

static void
test_rows_and_offsets (void)
{
  GstSaeLayout layout = make_layout (7);
  const guint64 file = HEADER + 7 * ROW;

  for (guint visit = 0; visit < 500; visit++) {
    guint64 row = (guint64) g_test_rand_int_range (0, 40);
    guint64 offset = gst_sae_layout_row_to_offset (&layout, row);

    /* The row behind a file is its end or the next file's first one. */
    if (row % 7 != 0 || row == 0)
      g_assert_cmpuint (offset, ==, row / 7 * file + HEADER + row % 7 * ROW);
    g_assert_cmpuint (gst_sae_layout_offset_to_row (&layout, offset), ==, row);
    gst_sae_layout_locate (&layout, (guint64) g_test_rand_int_range (0, 900));
  }
  layout = make_layout (7);
  g_assert_cmpuint (gst_sae_layout_row_to_offset (&layout, 7), ==, file);
  g_assert_cmpuint (gst_sae_layout_row_to_offset (&layout, G_MAXINT64), ==,
      GST_SAE_ENDLESS);
}

static void
test_raw (void)
{
  const GstSaeLayoutHints hints = {WIDTH, SAE_DTYPE_BFLOAT16};
  GstSaeLayout layout;
  GstSaePlace place;
  GError *error = NULL;

  g_assert_true (gst_sae_layout_begin_raw (&layout, &hints, &error));
  g_assert_cmpuint (layout.row_size, ==, 2 * WIDTH);
  g_assert_cmpint (layout.rows.type, ==, GST_SAE_FLOAT32);
  g_assert_cmpuint (layout.rows.row_size, ==, 4 * WIDTH);
  place = gst_sae_layout_locate (&layout, 24);
  g_assert_cmpint (place.kind, ==, GST_SAE_AT_ROW);
  g_assert_cmpuint (place.row, ==, 3);
  place = gst_sae_layout_locate (&layout, 25);
  g_assert_cmpuint (place.skip, ==, 7);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, -1), ==, -1);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, 81), ==, 10);
  g_assert_false (gst_sae_layout_begin_raw (&layout, &no_hints, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_SIZE);
  g_clear_error (&error);
}

static void
test_count (void)
{
  GstSaeLayout layout = make_layout (7);
  SaeNpyHeader header = make_header (SAE_DTYPE_FLOAT32, 3, WIDTH);
  const gint64 file = HEADER + 7 * ROW;

  g_assert_cmpint (gst_sae_layout_count_rows (&layout, -1), ==, 7);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, file), ==, 7);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, 3 * file), ==, 21);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, file + 1), ==, -1);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, file - 1), ==, 6);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, 10), ==, 0);
  gst_sae_layout_locate (&layout, (guint64) file);
  g_assert_true (gst_sae_layout_accept_header (&layout, &header, (guint64) file,
      &no_hints, NULL));
  g_assert_cmpuint (layout.current.first_row, ==, 7);
  g_assert_cmpint (gst_sae_layout_count_rows (&layout, -1), ==, -1);
}

static void
expect_refused (GstSaeLayout *layout, const SaeNpyHeader *header,
    const GstSaeLayoutHints *hints, SaeError code, const gchar *expected,
    const gchar *got)
{
  GError *error = NULL;

  g_assert_false (
      gst_sae_layout_accept_header (layout, header, 176, hints, &error));
  g_assert_error (error, SAE_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, expected));
  g_assert_nonnull (strstr (error->message, got));
  g_error_free (error);
}

static void
test_contradictions (void)
{
  GstSaeLayout layout = make_layout (7), none = {FALSE};
  SaeNpyHeader narrow = make_header (SAE_DTYPE_FLOAT32, 7, WIDTH - 1);
  SaeNpyHeader half = make_header (SAE_DTYPE_FLOAT16, 7, WIDTH);
  SaeNpyHeader bytes = make_header (SAE_DTYPE_UINT8, 7, WIDTH);
  SaeNpyHeader flat = make_header (SAE_DTYPE_FLOAT32, 7, WIDTH);
  const GstSaeLayoutHints width = {WIDTH, -1};
  const GstSaeLayoutHints dtype = {0, SAE_DTYPE_FLOAT32};

  flat.rank = 1;
  expect_refused (&layout, &narrow, &no_hints, SAE_ERROR_FORMAT, "4 float32",
      "3 float32");
  expect_refused (&layout, &half, &no_hints, SAE_ERROR_FORMAT, "4 float32",
      "4 float16");
  expect_refused (&none, &narrow, &width, SAE_ERROR_SIZE, "expected 4", "of 3");
  expect_refused (&none, &half, &dtype, SAE_ERROR_SIZE, "expected float32",
      "has float16");
  expect_refused (&none, &bytes, &no_hints, SAE_ERROR_UNSUPPORTED,
      "float32, float16 or float64", "uint8");
  expect_refused (&none, &flat, &no_hints, SAE_ERROR_UNSUPPORTED,
      "two or more dimensions", "has 1");
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/layout/every-byte-has-its-place", test_every_byte);
  g_test_add_func ("/plugin/layout/rows-and-offsets", test_rows_and_offsets);
  g_test_add_func ("/plugin/layout/raw-rows", test_raw);
  g_test_add_func ("/plugin/layout/counts-rows", test_count);
  g_test_add_func ("/plugin/layout/refuses-contradictions",
      test_contradictions);
  return stream_run_tests ();
}
