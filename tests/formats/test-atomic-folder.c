/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "atomic-write.h"
#include "fault.h"
#include "faults.h"
#include "scratch.h"

static gboolean
write_text (int fd, const char *label, gpointer user_data, GError **error)
{
  return sae_write_all (fd, user_data, strlen (user_data), label, error);
}

/* Two files with the same text, so that a mixture shows. */
static gboolean
save (const char *path, const char *text, GError **error)
{
  const SaeFolderEntry entries[] = {
      {"config", write_text, (char *) text},
      {"weights", write_text, (char *) text},
  };
  return sae_atomic_write_folder (path, entries, 2, error);
}

static void
assert_holds (const char *path, const char *text)
{
  g_autofree char *config = g_build_filename (path, "config", NULL);
  g_autofree char *weights = g_build_filename (path, "weights", NULL);
  scratch_assert_text (config, text);
  scratch_assert_text (weights, text);
}

/* A file or, with "name/", an empty folder inside @path. */
static char *
add_item (const char *path, const char *name, const char *text)
{
  char *item = g_build_filename (path, name, NULL);
  if (g_str_has_suffix (name, "/"))
    g_assert_cmpint (g_mkdir (item, 0777), ==, 0);
  else
    scratch_write_text (item, text);
  return item;
}

static void
test_makes_the_folder_and_its_parents (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "a/b/c//");
  g_autofree char *parent = scratch_path (scratch, "a/b");
  GError *error = NULL;

  save (path, "new", &error);
  g_assert_no_error (error);
  assert_holds (path, "new");
  g_assert_cmpuint (scratch_count (parent), ==, 1);
}

static void
test_replaces_empty_folders_and_its_own (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  GError *error = NULL;

  g_assert_cmpint (g_mkdir (path, 0777), ==, 0);
  for (guint i = 0; i < 3; i++) {
    const char *text = i == 0 ? "first" : i == 1 ? "second" : "third";
    save (path, text, &error);
    g_assert_no_error (error);
    assert_holds (path, text);
    g_assert_cmpuint (scratch_count (path), ==, 2);
    g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  }
}

static void
test_refuses_a_foreign_folder (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "home");
  g_autofree char *letter = NULL;
  GError *error = NULL;

  g_assert_cmpint (g_mkdir (path, 0777), ==, 0);
  letter = add_item (path, "letter", "dear");
  g_assert_false (save (path, "new", &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE,
      "expected an empty folder or one with config in it, found letter");
  scratch_assert_text (letter, "dear");
  g_assert_cmpuint (scratch_count (path), ==, 1);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

static void
test_refuses_links_and_files (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "real");
  g_autofree char *link = scratch_path (scratch, "link");
  g_autofree char *dangling = scratch_path (scratch, "dangling");
  g_autofree char *file = scratch_path (scratch, "file");
  static const char *const names[] = {"", "/", ".", "..", "a/."};
  GError *error = NULL;

  g_assert_true (save (path, "real", &error));
  g_assert_cmpint (symlink ("real", link), ==, 0);
  g_assert_cmpint (symlink ("nowhere", dangling), ==, 0);
  scratch_write_text (file, "text");
  g_assert_false (save (link, "new", &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "a symbolic link");
  g_assert_false (save (dangling, "new", &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "a symbolic link");
  g_assert_false (save (file, "new", &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "something else");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_assert_false (save (names[i], "new", &error));
    scratch_assert_error (&error, SAE_ERROR_WRITE, "ends in a name");
  }
  assert_holds (path, "real");
  scratch_assert_text (file, "text");
  g_assert_cmpuint (scratch_count (scratch->path), ==, 4);
}

static ino_t
inode (const char *path)
{
  struct stat info;
  g_assert_cmpint (lstat (path, &info), ==, 0);
  return info.st_ino;
}

/* With what a user or another program may have put beside our files. */
static void
check_carries_over (const char *path, const char *parent)
{
  g_autofree char *notes = NULL, *hidden = NULL, *plots = NULL, *plot = NULL;
  g_autofree char *link = g_build_filename (path, "latest", NULL);
  GError *error = NULL;
  ino_t before;

  g_assert_true (save (path, "old", &error));
  notes = add_item (path, "notes.txt", "mine");
  hidden = add_item (path, ".hidden", "mine too");
  plots = add_item (path, "plots/", NULL);
  plot = add_item (path, "plots/loss.png", "pixels");
  g_assert_cmpint (symlink ("config", link), ==, 0);
  before = inode (notes);
  save (path, "new", &error);
  g_assert_no_error (error);
  assert_holds (path, "new");
  scratch_assert_text (notes, "mine");
  scratch_assert_text (hidden, "mine too");
  scratch_assert_text (plot, "pixels");
  scratch_assert_text (link, "new");
  g_assert_true (g_file_test (link, G_FILE_TEST_IS_SYMLINK));
  g_assert_true (inode (notes) == before);
  g_assert_cmpuint (scratch_count (path), ==, 6);
  g_assert_cmpuint (scratch_count (parent), ==, 1);
}

static void
test_carries_over_what_else_is_there (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  check_carries_over (path, scratch->path);
}

static void
test_carries_over_without_hard_links (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  fault_set (FAULT_LINKAT, 1, 1000, EPERM);
  check_carries_over (path, scratch->path);
  fault_clear ();
}

static void
test_works_without_renameat2 (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  fault_set (FAULT_RENAMEAT2, 1, 1000, EINVAL);
  check_carries_over (path, scratch->path);
  fault_clear ();
}

static void
test_keeps_permissions (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *weights = scratch_path (scratch, "out/weights");
  struct stat info;

  g_assert_true (save (path, "old", NULL));
  g_chmod (path, 0700);
  g_chmod (weights, 0600);
  g_assert_true (save (path, "new", NULL));
  stat (path, &info);
  g_assert_cmpint (info.st_mode & 0777, ==, 0700);
  stat (weights, &info);
  g_assert_cmpint (info.st_mode & 0777, ==, 0600);
}

/* The second save fails. */
static void
check_read_only_folder (const char *path, const char *parent, mode_t mode)
{
  g_autofree char *notes = NULL, *plots = NULL, *plot = NULL;
  struct stat info;

  g_assert_true (save (path, "old", NULL));
  notes = add_item (path, "notes", "mine");
  plots = add_item (path, "plots/", NULL);
  plot = add_item (path, "plots/loss.png", "pixels");
  for (guint i = 0; i < 3; i++) {
    GError *error = NULL;
    g_assert_cmpint (g_chmod (path, mode), ==, 0);
    if (i == 1)
      fault_set (FAULT_RENAMEAT2, 1, 1, EIO);
    save (path, "new", &error);
    fault_clear ();
    if (i == 1)
      scratch_assert_error (&error, SAE_ERROR_WRITE, path);
    g_assert_no_error (error);
    assert_holds (path, "new");
    scratch_assert_text (notes, "mine");
    scratch_assert_text (plot, "pixels");
    g_assert_cmpint (stat (path, &info), ==, 0);
    g_assert_cmpint (info.st_mode & 07777, ==, mode);
    g_assert_cmpuint (scratch_count (parent), ==, 1);
  }
  g_assert_cmpint (g_chmod (path, 0700), ==, 0);
}

/* As a user: root may write everywhere. */
static void
test_replaces_a_read_only_folder (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  uid_t user = geteuid ();

  if (user == 0) {
    g_assert_cmpint (g_chmod (scratch->path, 0777), ==, 0);
    if (seteuid (65534) != 0 ||
        faccessat (AT_FDCWD, scratch->path, W_OK, AT_EACCESS) != 0) {
      (void) !seteuid (user);
      g_test_skip ("root cannot be another user here");
      return;
    }
  }
  check_read_only_folder (path, scratch->path, 0555);
  scratch_remove (path);
  check_read_only_folder (path, scratch->path, 0500);
  g_assert_cmpint (seteuid (user), ==, 0);
}

/* Fails the nth call of each kind, n counting up until nothing fails any
 * more. What stands is the old folder after a failure, the new one after a
 * success, and the notes are there in any case. How many failed. */
static guint
check_nth_call (const char *path, FaultCall call, int error_number)
{
  g_autofree char *notes = g_build_filename (path, "notes", NULL);
  gboolean failed = TRUE;
  guint tried = 0;

  for (int nth = 1; failed; nth++) {
    GError *error = NULL;
    g_assert_true (save (path, "old", NULL));
    scratch_write_text (notes, "mine");
    fault_set (call, nth, 1, error_number);
    failed = !save (path, "new", &error);
    fault_clear ();
    assert_holds (path, failed ? "old" : "new");
    scratch_assert_text (notes, "mine");
    g_assert_cmpuint (scratch_count (path), ==, 3);
    g_assert_cmpint (nth, <, 50);
    tried += failed ? 1 : 0;
    if (failed)
      scratch_assert_error (&error,
          error_number == ENOSPC ? SAE_ERROR_NO_SPACE : SAE_ERROR_WRITE, path);
  }
  return tried;
}

static void
test_failing_calls_leave_the_old_folder (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  guint tried = 0;

  tried += check_nth_call (path, FAULT_WRITE, EIO);
  tried += check_nth_call (path, FAULT_WRITE, ENOSPC);
  tried += check_nth_call (path, FAULT_FSYNC, EIO);
  tried += check_nth_call (path, FAULT_RENAMEAT2, EIO);
  tried += check_nth_call (path, FAULT_LINKAT, EIO);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  fault_report (19, tried, tried, 0);
}

static void
test_failing_calls_leave_nothing_where_nothing_was (Scratch *scratch,
    gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  static const FaultCall calls[] = {FAULT_WRITE, FAULT_FSYNC, FAULT_RENAMEAT2};

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++) {
    gboolean failed = TRUE;
    for (int nth = 1; failed; nth++) {
      fault_set (calls[i], nth, 1, EIO);
      failed = !save (path, "new", NULL);
      fault_clear ();
      if (failed)
        g_assert_cmpuint (scratch_count (scratch->path), ==, 0);
    }
    assert_holds (path, "new");
    scratch_remove (path);
  }
}

/* Without RENAME_EXCHANGE, both plain renames may fail. */
static void
test_failing_steps_put_the_old_folder_back (Scratch *scratch,
    gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");

  g_assert_true (save (path, "old", NULL));
  for (int nth = 1; nth <= 2; nth++) {
    GError *error = NULL;
    fault_set (FAULT_RENAMEAT2, 1, 1000, ENOSYS);
    fault_set (FAULT_RENAMEAT, nth, 1, EIO);
    g_assert_false (save (path, "new", &error));
    fault_clear ();
    scratch_assert_error (&error, SAE_ERROR_WRITE, path);
    assert_holds (path, "old");
    g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  }
}

/* Says by a byte when it has begun. */
static void
save_for_ever (const char *path, int begun)
{
  for (guint i = 0;; i++) {
    g_autofree char *text = g_strdup_printf ("generation %u", i);
    save (path, text, NULL);
    if (i == 0)
      (void) !write (begun, "", 1);
  }
}

static void
test_killed_writer_leaves_a_whole_folder (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *config = scratch_path (scratch, "out/config");
  g_autofree char *notes = scratch_path (scratch, "out/notes");
  guint n = g_test_slow () ? 1000 : 40;

  g_assert_true (save (path, "before", NULL));
  scratch_write_text (notes, "mine");
  for (guint i = 0; i < n; i++) {
    g_autofree char *text = NULL;
    char byte;
    int begun[2];
    pid_t child;

    g_assert_cmpint (pipe (begun), ==, 0);
    child = fork ();
    if (child == 0)
      save_for_ever (path, begun[1]);
    close (begun[1]);
    g_assert_cmpint (read (begun[0], &byte, 1), ==, 1);
    close (begun[0]);
    g_usleep ((gulong) g_test_rand_int_range (0, 20000));
    kill (child, SIGKILL);
    waitpid (child, NULL, 0);
    g_assert_true (g_file_get_contents (config, &text, NULL, NULL));
    assert_holds (path, text);
    scratch_assert_text (notes, "mine");
  }
  fault_report (17, n, n, 0);
}

typedef struct {
  char *path, *outside;
  gint stop;
} Adversary;

/* Turns the place into a link to a folder outside, and back. */
static gpointer
swap_for_link (gpointer user_data)
{
  Adversary *adversary = user_data;
  g_autofree char *away = g_strconcat (adversary->path, "-away", NULL);

  while (!g_atomic_int_get (&adversary->stop)) {
    g_rename (adversary->path, away);
    (void) !symlink (adversary->outside, adversary->path);
    g_unlink (adversary->path);
    g_rename (away, adversary->path);
  }
  return NULL;
}

static void
test_nothing_is_written_through_a_link (Scratch *scratch, gconstpointer data)
{
  Adversary adversary = {scratch_path (scratch, "out"),
      scratch_path (scratch, "outside"), 0};
  g_autofree char *letter = NULL;
  guint n = g_test_slow () ? 10000 : 300;
  GThread *thread;

  g_assert_true (save (adversary.outside, "theirs", NULL));
  letter = add_item (adversary.outside, "letter", "dear");
  g_assert_true (save (adversary.path, "old", NULL));
  thread = g_thread_new ("adversary", swap_for_link, &adversary);
  for (guint i = 0; i < n; i++)
    save (adversary.path, "new", NULL);
  g_atomic_int_set (&adversary.stop, 1);
  g_thread_join (thread);
  assert_holds (adversary.outside, "theirs");
  scratch_assert_text (letter, "dear");
  g_assert_cmpuint (scratch_count (adversary.outside), ==, 3);
  fault_report (22, n, n, 0);
  g_free (adversary.path);
  g_free (adversary.outside);
}

static const char *const names[] = {"config", "weights", NULL};

static void
test_probe_leaves_nothing_behind (Scratch *scratch, gconstpointer data)
{
  g_autofree char *fresh = scratch_path (scratch, "fresh");
  g_autofree char *deep = scratch_path (scratch, "a/b/c");
  g_autofree char *path = scratch_path (scratch, "out");
  GError *error = NULL;

  sae_atomic_probe_folder (fresh, &error);
  g_assert_no_error (error);
  sae_atomic_probe_folder_for (deep, names, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 0);
  g_assert_true (save (path, "old", NULL));
  sae_atomic_probe_folder_for (path, names, &error);
  g_assert_no_error (error);
  assert_holds (path, "old");
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

static void
test_probe_finds_what_would_fail (Scratch *scratch, gconstpointer data)
{
  g_autofree char *home = scratch_path (scratch, "home");
  g_autofree char *letter = NULL, *inside = NULL;
  GError *error = NULL;

  g_assert_cmpint (g_mkdir (home, 0777), ==, 0);
  letter = add_item (home, "letter", "dear");
  inside = g_build_filename (letter, "a", "b", NULL);
  g_assert_false (sae_atomic_probe_folder_for (home, names, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "found letter");
  g_assert_false (sae_atomic_probe_folder (letter, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "something else");
  g_assert_false (sae_atomic_probe_folder (inside, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "letter");
  g_assert_false (sae_atomic_probe_folder ("/proc/out", &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "/proc/out");
  g_assert_false (sae_atomic_probe_folder ("", &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "ends in a name");
}

/* An entry without content is a file of ours that goes; an extra one does not
 * make a folder ours. */
static void
test_extra_files_come_and_go (Scratch *scratch, gconstpointer data)
{
  SaeFolderEntry entries[] = {
      {"config", write_text, (char *) "text"},
      {"extra", write_text, (char *) "text", .extra = TRUE},
  };
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *foreign = scratch_path (scratch, "foreign");
  g_autofree char *letter = NULL, *extra = NULL;
  GError *error = NULL;

  for (guint i = 0; i < 5; i++) {
    entries[1].write = i % 2 ? NULL : write_text;
    sae_atomic_write_folder (path, entries, 2, &error);
    g_assert_no_error (error);
    if (i == 0)
      letter = add_item (path, "letter", "dear");
    scratch_assert_text (letter, "dear");
    g_assert_cmpuint (scratch_count (path), ==, i % 2 ? 2 : 3);
    g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  }
  g_assert_cmpint (g_mkdir (foreign, 0777), ==, 0);
  extra = add_item (foreign, "extra", "dear");
  g_assert_false (sae_atomic_write_folder (foreign, entries, 2, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, "one with config in it");
  scratch_assert_text (extra, "dear");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) scratch_add ("/formats/atomic-folder/" name, test)
  ADD ("makes-the-folder-and-its-parents",
      test_makes_the_folder_and_its_parents);
  ADD ("replaces-empty-folders-and-its-own",
      test_replaces_empty_folders_and_its_own);
  ADD ("refuses-a-foreign-folder", test_refuses_a_foreign_folder);
  ADD ("refuses-links-and-files", test_refuses_links_and_files);
  ADD ("carries-over-what-else-is-there", test_carries_over_what_else_is_there);
  ADD ("carries-over-without-hard-links", test_carries_over_without_hard_links);
  ADD ("extra-files-come-and-go", test_extra_files_come_and_go);
  ADD ("works-without-renameat2", test_works_without_renameat2);
  ADD ("keeps-permissions", test_keeps_permissions);
  ADD ("replaces-a-read-only-folder", test_replaces_a_read_only_folder);
  ADD ("failing-calls-leave-the-old-folder",
      test_failing_calls_leave_the_old_folder);
  ADD ("failing-calls-leave-nothing-where-nothing-was",
      test_failing_calls_leave_nothing_where_nothing_was);
  ADD ("failing-steps-put-the-old-folder-back",
      test_failing_steps_put_the_old_folder_back);
  ADD ("killed-writer-leaves-a-whole-folder",
      test_killed_writer_leaves_a_whole_folder);
  ADD ("nothing-is-written-through-a-link",
      test_nothing_is_written_through_a_link);
  ADD ("probe-leaves-nothing-behind", test_probe_leaves_nothing_behind);
  ADD ("probe-finds-what-would-fail", test_probe_finds_what_would_fail);
  return g_test_run ();
}
