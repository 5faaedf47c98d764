/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Somebody else with rights to the folder, who puts links, pipes and folders
 * in the way of what is written there, at the worst moment: before each of the
 * calls that a write is made of. Nothing may be written outside, and nothing
 * may hang. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "atomic-write.h"
#include "fault.h"
#include "scratch.h"

static const char precious[] = "not to be touched";
static const char text[] = "ours";

/* A write makes about as many. */
#define MOST_CALLS 30

/* --- the adversary ---------------------------------------------------------
 */

typedef enum { LINK, PIPE, FOLDER, NOTHING, N_THINGS } Thing;

static struct {
  const char *folder, *target, *victim;
  Thing thing;
  gboolean at_temporaries; /* or else at the target */
  guint calls, strikes_at, and_at;
} adversary;

static void
plant (const char *path)
{
  static guint n_away;
  g_autofree char *away =
      g_strdup_printf ("%s/away-%u", adversary.folder, n_away++);

  (void) !rename (path, away);
  if (adversary.thing == LINK)
    g_assert_cmpint (symlink (adversary.victim, path), ==, 0);
  else if (adversary.thing == PIPE)
    g_assert_cmpint (mkfifo (path, 0666), ==, 0);
  else if (adversary.thing == FOLDER)
    g_assert_cmpint (mkdir (path, 0777), ==, 0);
}

/* Temporary names are no secret: whoever may list the folder sees them. */
static void
plant_at_temporaries (void)
{
  GDir *dir = g_dir_open (adversary.folder, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    if (strstr (name, ".sae-")) {
      g_autofree char *path = g_build_filename (adversary.folder, name, NULL);
      plant (path);
    }
  g_clear_pointer (&dir, g_dir_close);
}

/* Stands before every call by which a write could go astray. */
static void
strike (void)
{
  if (!adversary.folder || (++adversary.calls != adversary.strikes_at &&
                               adversary.calls != adversary.and_at))
    return;
  if (adversary.at_temporaries)
    plant_at_temporaries ();
  else
    plant (adversary.target);
}

/* He who guesses a name may be there before the file is. */
static void
plant_before_it_is_made (int at, const char *name)
{
  if (adversary.thing == LINK)
    (void) !symlinkat (adversary.victim, at, name);
  else if (adversary.thing == PIPE)
    (void) !mkfifoat (at, name, 0666);
}

#define WRAP(result, call, parameters, arguments)                              \
  result __real_##call parameters;                                             \
  result __wrap_##call parameters;                                             \
  result __wrap_##call parameters                                              \
  {                                                                            \
    strike ();                                                                 \
    return __real_##call arguments;                                            \
  }

int __real_openat64 (int at, const char *name, int flags, mode_t mode);
int __wrap_openat64 (int at, const char *name, int flags, mode_t mode);
int
__wrap_openat64 (int at, const char *name, int flags, mode_t mode)
{
  strike ();
  if (adversary.folder && adversary.at_temporaries && (flags & O_CREAT) &&
      adversary.calls == adversary.strikes_at)
    plant_before_it_is_made (at, name);
  return __real_openat64 (at, name, flags, mode);
}

/* Real ones take their time. */
int __wrap_fsync (int fd);
int
__wrap_fsync (int fd)
{
  strike ();
  return 0;
}

WRAP (int, mkdirat, (int at, const char *name, mode_t mode), (at, name, mode))
WRAP (int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP (ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP (int, linkat,
    (int from, const char *name, int to, const char *as, int flags),
    (from, name, to, as, flags))
WRAP (int, renameat, (int from, const char *name, int to, const char *as),
    (from, name, to, as))
WRAP (int, renameat2,
    (int from, const char *name, int to, const char *as, unsigned flags),
    (from, name, to, as, flags))
WRAP (int, unlinkat, (int at, const char *name, int flags), (at, name, flags))

/* --- the test ------------------------------------------------------------- */

static gboolean
write_text (int fd, const char *label, gpointer user_data, GError **error)
{
  return sae_write_all (fd, text, strlen (text), label, error);
}

static gboolean
write_a_file (const char *path)
{
  return sae_atomic_write_file (path, write_text, NULL, NULL);
}

static gboolean
write_a_folder (const char *path)
{
  const SaeFolderEntry entries[] = {{"a", write_text}, {"b", write_text}};

  return sae_atomic_write_folder (path, entries, G_N_ELEMENTS (entries), NULL);
}

static void
expect_untouched (const char *victim_folder, const char *victim)
{
  g_autofree char *content = NULL;

  g_assert_true (g_file_get_contents (victim, &content, NULL, NULL));
  g_assert_cmpstr (content, ==, precious);
  g_assert_cmpuint (scratch_count (victim_folder), ==, 1);
}

/* One write, struck at its @call'th call and another one; FALSE where it has no
 * such call. */
static gboolean
write_once (Scratch *scratch, gboolean (*write) (const char *path),
    const char *victim, guint call, guint and_call)
{
  g_autofree char *folder = scratch_path (scratch, "folder");
  g_autofree char *target = g_build_filename (folder, "target", NULL);

  g_assert_cmpint (g_mkdir (folder, 0777), ==, 0);
  g_assert_true (write (target));
  adversary.folder = folder;
  adversary.target = target;
  adversary.victim = victim;
  adversary.calls = 0;
  adversary.strikes_at = call;
  adversary.and_at = and_call;
  (void) write (target);
  adversary.folder = NULL;
  scratch_remove (folder);
  return adversary.calls >= call;
}

static void
write_against_the_adversary (Scratch *scratch,
    gboolean (*write) (const char *path), gboolean link_to_folder)
{
  g_autofree char *outside = scratch_path (scratch, "outside");
  g_autofree char *victim = g_build_filename (outside, "a", NULL);
  guint tried = 0;

  g_assert_cmpint (g_mkdir (outside, 0755), ==, 0);
  /* By its name it could be ours. */
  g_assert_true (g_file_set_contents (victim, precious, -1, NULL));
  for (int temporaries = 0; temporaries < 2; temporaries++)
    for (Thing thing = LINK; thing < N_THINGS; thing++) {
      adversary.thing = thing;
      adversary.at_temporaries = temporaries;
      for (guint call = 1; write_once (scratch, write,
               link_to_folder ? outside : victim, call, 0);
           call++, tried++)
        expect_untouched (outside, victim);
    }
  g_assert_cmpuint (tried, >, 8 * 5);
  for (guint n = g_test_slow () ? 5000 : 500; n > 0; n--) {
    adversary.thing = (Thing) g_test_rand_int_range (0, N_THINGS);
    adversary.at_temporaries = g_test_rand_bit ();
    if (write_once (scratch, write, link_to_folder ? outside : victim,
            (guint) g_test_rand_int_range (1, MOST_CALLS),
            (guint) g_test_rand_int_range (1, MOST_CALLS)))
      tried++;
    expect_untouched (outside, victim);
  }
  fault_report (22, tried, tried, 0);
}

static void
test_file (Scratch *scratch, gconstpointer data)
{
  write_against_the_adversary (scratch, write_a_file, FALSE);
}

static void
test_folder (Scratch *scratch, gconstpointer data)
{
  write_against_the_adversary (scratch, write_a_folder, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/formats/adversary/file-nothing-outside-is-written", Scratch,
      NULL, scratch_set_up, test_file, scratch_tear_down);
  g_test_add ("/formats/adversary/folder-nothing-outside-is-written", Scratch,
      NULL, scratch_set_up, test_folder, scratch_tear_down);
  return g_test_run ();
}
