/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <stdio.h>
#include <string.h>

#include <glib/gstdio.h>

#include "../same-memory.h"
#include "sae-error.h"

void
scratch_set_up (Scratch *scratch, gconstpointer data)
{
  GError *error = NULL;
  scratch->path = g_dir_make_tmp ("sae-test-XXXXXX", &error);
  g_assert_no_error (error);
}

void
scratch_remove (const char *path)
{
  if (!g_file_test (path, G_FILE_TEST_IS_SYMLINK) &&
      g_file_test (path, G_FILE_TEST_IS_DIR)) {
    GDir *folder = g_dir_open (path, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name (folder)) != NULL) {
      g_autofree char *child = g_build_filename (path, name, NULL);
      scratch_remove (child);
    }
    g_clear_pointer (&folder, g_dir_close);
  }
  g_remove (path);
}

void
scratch_tear_down (Scratch *scratch, gconstpointer data)
{
  scratch_remove (scratch->path);
  g_free (scratch->path);
}

char *
scratch_path (Scratch *scratch, const char *name)
{
  return g_build_filename (scratch->path, name, NULL);
}

guint
scratch_count (const char *path)
{
  GError *error = NULL;
  GDir *folder = g_dir_open (path, 0, &error);
  guint n = 0;

  g_assert_no_error (error);
  while (g_dir_read_name (folder) != NULL)
    n++;
  g_dir_close (folder);
  return n;
}

void
scratch_write (const char *path, gconstpointer data, gsize size)
{
  FILE *file = g_fopen (path, "wb");
  g_assert_nonnull (file);
  g_assert_true (size == 0 || fwrite (data, size, 1, file) == 1);
  g_assert_cmpint (fclose (file), ==, 0);
}

void
scratch_write_text (const char *path, const char *text)
{
  scratch_write (path, text, strlen (text));
}

void
scratch_assert_text (const char *path, const char *text)
{
  GError *error = NULL;
  g_autofree char *found = NULL;
  gsize size;

  g_file_get_contents (path, &found, &size, &error);
  g_assert_no_error (error);
  assert_same_memory (found, size, text, strlen (text));
}

void
scratch_assert_error (GError **error, gint code, const char *part)
{
  g_assert_error (*error, SAE_ERROR, code);
  if (strstr ((*error)->message, part) == NULL)
    g_error ("expected '%s' in the message '%s'", part, (*error)->message);
  g_assert_true (g_utf8_validate ((*error)->message, -1, NULL));
  g_clear_error (error);
}
