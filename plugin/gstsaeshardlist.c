/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeshardlist.h"

#include <string.h>

#define SUFFIX ".npy"
/* Digits of numbers that surely fit in 64 bits. */
#define MAX_DIGITS 18

typedef struct {
  guint64 number;
  char *path;
} Numbered;

typedef struct {
  GString *before, *after;
  guint width; /* least digits, filled up with zeros */
} Pattern;

static GPtrArray *
refuse_location (SaeError code, const char *location, const char *reason,
    GError **error)
{
  g_set_error (error, SAE_ERROR, (gint) code, "%s: %s", location, reason);
  return NULL;
}

/* --- patterns --- */

static void
clear_pattern (Pattern *pattern)
{
  g_string_free (pattern->before, TRUE);
  g_string_free (pattern->after, TRUE);
}

/* Reads "d" or "0Nd" after a '%'; NULL when it is something else. */
static const char *
parse_directive (const char *text, guint *width)
{
  *width = 1;
  if (*text == '0') {
    *width = 0;
    for (text++; g_ascii_isdigit (*text) && *width <= MAX_DIGITS; text++)
      *width = *width * 10 + (guint) (*text - '0');
    if (*width == 0 || *width > MAX_DIGITS)
      return NULL;
  }
  return *text == 'd' ? text + 1 : NULL;
}

static gboolean
parse_pattern (Pattern *pattern, const char *name)
{
  GString *part = pattern->before;

  while (*name != '\0') {
    if (name[0] != '%') {
      g_string_append_c (part, *name++);
    } else if (name[1] == '%') {
      g_string_append_c (part, '%');
      name += 2;
    } else {
      name = part == pattern->before
                 ? parse_directive (name + 1, &pattern->width)
                 : NULL;
      if (name == NULL)
        return FALSE;
      part = pattern->after;
    }
  }
  return part == pattern->after;
}

/* Whether the pattern prints @name for a number. */
static gboolean
match_pattern (const Pattern *pattern, const char *name, guint64 *number)
{
  gsize length = strlen (name);
  gsize around = pattern->before->len + pattern->after->len;
  gsize n_digits = length - around;

  if (length <= around || n_digits < pattern->width || n_digits > MAX_DIGITS ||
      !g_str_has_prefix (name, pattern->before->str) ||
      !g_str_has_suffix (name, pattern->after->str))
    return FALSE;
  name += pattern->before->len;
  if (n_digits > pattern->width && name[0] == '0')
    return FALSE;
  *number = 0;
  for (gsize i = 0; i < n_digits; i++) {
    if (!g_ascii_isdigit (name[i]))
      return FALSE;
    *number = *number * 10 + (guint64) (name[i] - '0');
  }
  return TRUE;
}

/* --- folders --- */

static GDir *
open_folder (const char *folder, GError **error)
{
  g_autoptr (GError) cause = NULL;
  GDir *dir = g_dir_open (folder, 0, &cause);

  if (dir == NULL)
    g_set_error (error, SAE_ERROR,
        g_error_matches (cause, G_FILE_ERROR, G_FILE_ERROR_NOENT)
            ? SAE_ERROR_NOT_FOUND
            : SAE_ERROR_READ,
        "%s", cause->message);
  return dir;
}

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static GPtrArray *
list_folder (const char *folder, GError **error)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  GDir *dir = open_folder (folder, error);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (name[0] != '.' && g_str_has_suffix (name, SUFFIX))
      g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  if (dir != NULL)
    g_dir_close (dir);
  if (paths->len > 0) {
    g_ptr_array_sort (paths, compare_paths);
    return paths;
  }
  g_ptr_array_unref (paths);
  if (dir == NULL)
    return NULL;
  return refuse_location (SAE_ERROR_NOT_FOUND, folder,
      "expected files named *.npy in this folder, found none", error);
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  guint64 x = ((const Numbered *) a)->number;
  guint64 y = ((const Numbered *) b)->number;
  return x < y ? -1 : x > y;
}

static GPtrArray *
list_matches (const Pattern *pattern, const char *folder, GError **error)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (Numbered));
  GDir *dir = open_folder (folder, error);
  const char *name;
  Numbered match;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    if (!match_pattern (pattern, name, &match.number))
      continue;
    match.path = g_build_filename (folder, name, NULL);
    g_array_append_val (found, match);
  }
  if (dir != NULL)
    g_dir_close (dir);
  g_array_sort (found, compare_numbers);
  for (guint i = 0; i < found->len; i++)
    g_ptr_array_add (paths, g_array_index (found, Numbered, i).path);
  return paths;
}

static GPtrArray *
list_pattern (const char *location, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (location);
  g_autofree char *name = g_path_get_basename (location);
  Pattern pattern = {g_string_new (NULL), g_string_new (NULL), 1};
  GPtrArray *paths = NULL;

  if (parse_pattern (&pattern, name))
    paths = list_matches (&pattern, folder, error);
  else
    refuse_location (SAE_ERROR_NOT_FOUND, location,
        "expected exactly one %d or %0Nd in the name of a pattern", error);
  clear_pattern (&pattern);
  if (paths == NULL || paths->len > 0)
    return paths;
  g_ptr_array_unref (paths);
  if (error != NULL && *error != NULL) {
    g_prefix_error (error, "%s: ", location);
    return NULL;
  }
  return refuse_location (SAE_ERROR_NOT_FOUND, location,
      "no file has such a name", error);
}

GPtrArray *
gst_sae_shard_list (const char *location, GError **error)
{
  g_autofree char *name = g_path_get_basename (location);
  GPtrArray *paths;

  if (g_file_test (location, G_FILE_TEST_IS_DIR))
    return list_folder (location, error);
  if (strchr (name, '%') != NULL && !g_file_test (location, G_FILE_TEST_EXISTS))
    return list_pattern (location, error);
  paths = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (paths, g_strdup (location));
  return paths;
}
