/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <stdlib.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "scratch.h"

guint64 fuzz_n_accepted;

static char *folder;

static void
remove_folder (void)
{
  scratch_remove (folder);
  g_clear_pointer (&folder, g_free);
}

static void
make_folder (void)
{
  gboolean in_memory = g_access ("/dev/shm", W_OK) == 0;

  folder = g_build_filename (in_memory ? "/dev/shm" : g_get_tmp_dir (),
      "sae-fuzz-XXXXXX", NULL);
  g_assert_nonnull (g_mkdtemp (folder));
  atexit (remove_folder);
}

char *
fuzz_path (const char *name)
{
  if (folder == NULL)
    make_folder ();
  return g_build_filename (folder, name, NULL);
}

void
fuzz_check_error (gboolean ok, const GError *error)
{
  g_assert_true (ok == (error == NULL));
  fuzz_n_accepted += ok ? 1 : 0;
  if (error != NULL)
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

guint8
fuzz_take_byte (const uint8_t **data, size_t *size)
{
  if (*size == 0)
    return 0;
  (*size)--;
  return *(*data)++;
}
