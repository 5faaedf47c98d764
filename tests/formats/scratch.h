/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A folder of its own for each test, removed with all that is in it. */
#pragma once

#include <glib.h>

typedef struct {
  char *path;
} Scratch;

void scratch_set_up (Scratch *scratch, gconstpointer data);
void scratch_tear_down (Scratch *scratch, gconstpointer data);

/* Adds @test at @path with a folder of its own. */
#define scratch_add(path, test)                                                \
  g_test_add (path, Scratch, NULL, scratch_set_up, test, scratch_tear_down)

/* A path in the folder. (transfer full) */
char *scratch_path (Scratch *scratch, const char *name);

/* Removes @path and what is in it; links are removed, not followed. */
void scratch_remove (const char *path);

/* Files in the folder @path, hidden ones too. */
guint scratch_count (const char *path);

void scratch_write (const char *path, gconstpointer data, gsize size);
void scratch_write_text (const char *path, const char *text);
/* Asserts that the file holds exactly @text. */
void scratch_assert_text (const char *path, const char *text);

/* Asserts the code of a SAE_ERROR and that its message has @part in it;
 * clears it. */
void scratch_assert_error (GError **error, gint code, const char *part);
