/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * race locked|unlocked: two threads add to one number, with a GMutex around it
 * or without: what ThreadSanitizer has to keep silent about, and has to see. */
#include <glib.h>
#include <string.h>

static GMutex lock;
static guint number;
static gboolean locked;

static gpointer
add (gpointer data)
{
  for (guint i = 0; i < 10000; i++) {
    if (locked)
      g_mutex_lock (&lock);
    number++;
    if (locked)
      g_mutex_unlock (&lock);
  }
  return NULL;
}

int
main (int argc, char **argv)
{
  GThread *other;

  locked = argc > 1 && strcmp (argv[1], "locked") == 0;
  other = g_thread_new ("other", add, NULL);
  add (NULL);
  g_thread_join (other);
  g_print ("%u\n", number);
  return 0;
}
