/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeshardlist.h"

#include <string.h>

#include <glib/gstdio.h>

#include "../formats/scratch.h"
#include "stream.h"

static void
make_files (Scratch *scratch, const char *names)
{
  g_auto (GStrv) list = g_strsplit (names, " ", -1);

  for (guint i = 0; list[i] != NULL; i++) {
    g_autofree char *path = scratch_path (scratch, list[i]);
    scratch_write_text (path, "x");
  }
}

static void
expect_list (Scratch *scratch, const char *location, const char *names)
{
  g_autofree char *path = scratch_path (scratch, location);
  g_auto (GStrv) list = g_strsplit (names, " ", -1);
  g_autoptr (GPtrArray) paths = NULL;
  GError *error = NULL;

  paths = gst_sae_shard_list (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (paths->len, ==, g_strv_length (list));
  for (guint i = 0; i < paths->len; i++) {
    g_autofree char *name = g_path_get_basename (g_ptr_array_index (paths, i));
    g_assert_cmpstr (name, ==, list[i]);
  }
}

static void
expect_refused (Scratch *scratch, const char *location, const char *part)
{
  g_autofree char *path = scratch_path (scratch, location);
  GError *error = NULL;

  g_assert_null (gst_sae_shard_list (path, &error));
  g_assert_nonnull (strstr (error->message, location));
  scratch_assert_error (&error, SAE_ERROR_NOT_FOUND, part);
}

static void
test_folder (Scratch *scratch, gconstpointer data)
{
  make_files (scratch, "b.npy a.npy B.npy a10.npy a9.npy .hidden.npy c.npz");
  expect_list (scratch, "", "B.npy a.npy a10.npy a9.npy b.npy");
}

static void
test_empty_folder (Scratch *scratch, gconstpointer data)
{
  make_files (scratch, "a.txt");
  expect_refused (scratch, "", "*.npy");
}

static void
test_file (Scratch *scratch, gconstpointer data)
{
  make_files (scratch, "a.npy 100%.npy x%d.npy x1.npy");
  expect_list (scratch, "a.npy", "a.npy");
  expect_list (scratch, "nothing.npy", "nothing.npy");
  expect_list (scratch, "100%.npy", "100%.npy");
  expect_list (scratch, "x%d.npy", "x%d.npy");
}

static void
test_pattern (Scratch *scratch, gconstpointer data)
{
  make_files (scratch, "s-2.npy s-10.npy s-0.npy s-010.npy s-.npy s-1x.npy "
                       "s--1.npy t-00002.npy t-00010.npy t-1.npy t-100000.npy "
                       "t-000001.npy s-99999999999999999999.npy 9 1 u%1");
  expect_list (scratch, "s-%d.npy", "s-0.npy s-2.npy s-10.npy");
  expect_list (scratch, "t-%05d.npy", "t-00002.npy t-00010.npy t-100000.npy");
  expect_list (scratch, "t-%06d.npy", "t-000001.npy t-100000.npy");
  expect_list (scratch, "%d", "1 9");
  expect_list (scratch, "u%%%d", "u%1");
}

static void
test_bad_pattern (Scratch *scratch, gconstpointer data)
{
  static const char *const bad[] = {"%s", "%n", "%x.npy", "%5d", "%-5d", "%0d",
      "%00d", "%019d", "%ld", "%d%d", "%d-%s", "%", "a%%", "%*d", "%1$d",
      "%.5d", "%05", "%0999999999999999999999d"};

  make_files (scratch, "1 2 00005");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    expect_refused (scratch, bad[i], "exactly one %d or %0Nd");
}

static void
test_no_match (Scratch *scratch, gconstpointer data)
{
  make_files (scratch, "s-1.npy");
  expect_refused (scratch, "s-%05d.npy", "no file");
  expect_refused (scratch, "missing/s-%05d.npy", "missing");
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/plugin/shard-list/folder-sorted-by-name", test_folder);
  scratch_add ("/plugin/shard-list/refuses-folder-without-npy",
      test_empty_folder);
  scratch_add ("/plugin/shard-list/file-goes-before-pattern", test_file);
  scratch_add ("/plugin/shard-list/pattern-sorted-by-number", test_pattern);
  scratch_add ("/plugin/shard-list/refuses-other-directives", test_bad_pattern);
  scratch_add ("/plugin/shard-list/refuses-pattern-without-files",
      test_no_match);
  return stream_run_tests ();
}
