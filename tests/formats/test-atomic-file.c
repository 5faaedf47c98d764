/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

static gboolean
write_half_and_fail (int fd, const char *label, gpointer user_data,
    GError **error)
{
  sae_write_all (fd, "half", 4, label, NULL);
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE, "stopped half way");
  return FALSE;
}

static char new_text[] = "the new text, long enough for several short writes";

static void
test_makes_and_replaces (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  GError *error = NULL;

  g_assert_true (sae_atomic_write_file (path, write_text, "first", &error));
  scratch_assert_text (path, "first");
  g_assert_true (sae_atomic_write_file (path, write_text, new_text, &error));
  scratch_assert_text (path, new_text);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

static void
test_keeps_permissions (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  struct stat info;

  scratch_write_text (path, "private");
  g_chmod (path, 0600);
  g_assert_true (sae_atomic_write_file (path, write_text, "new", NULL));
  g_assert_cmpint (stat (path, &info), ==, 0);
  g_assert_cmpint (info.st_mode & 0777, ==, 0600);
}

static void
test_failing_writer_leaves_the_old_file (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  GError *error = NULL;

  scratch_write_text (path, "old");
  g_assert_false (
      sae_atomic_write_file (path, write_half_and_fail, NULL, &error));
  scratch_assert_error (&error, SAE_ERROR_STATE, "stopped half way");
  scratch_assert_text (path, "old");
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

static void
test_short_and_interrupted_writes_go_on (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  GError *error = NULL;
  guint tried = 0;

  for (int nth = 1; nth < 20; nth++) {
    fault_set (FAULT_WRITE, nth, 2, EINTR);
    g_assert_true (sae_atomic_write_file (path, write_text, new_text, &error));
    fault_clear ();
    scratch_assert_text (path, new_text);
    tried++;
  }
  fault_set (FAULT_FSYNC, 1, 3, EINTR);
  g_assert_true (sae_atomic_write_file (path, write_text, "synced", &error));
  fault_clear ();
  g_assert_no_error (error);
  fault_report (19, tried + 1, tried + 1, 0);
}

static void
check_fault (const char *path, const char *parent, FaultCall call,
    int error_number, gint code)
{
  GError *error = NULL;

  scratch_write_text (path, "old");
  fault_set (call, 1, 1, error_number);
  g_assert_false (sae_atomic_write_file (path, write_text, new_text, &error));
  fault_clear ();
  scratch_assert_error (&error, code, path);
  scratch_assert_text (path, "old");
  g_assert_cmpuint (scratch_count (parent), ==, 1);
}

static void
test_failing_calls_leave_the_old_file (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");

#define CHECK(call, error_number, code)                                        \
  check_fault (path, scratch->path, call, error_number, code)
  CHECK (FAULT_WRITE, EIO, SAE_ERROR_WRITE);
  CHECK (FAULT_WRITE, ENOSPC, SAE_ERROR_NO_SPACE);
  CHECK (FAULT_WRITE, EDQUOT, SAE_ERROR_NO_SPACE);
  CHECK (FAULT_FSYNC, EIO, SAE_ERROR_WRITE);
  CHECK (FAULT_FSYNC, ENOSPC, SAE_ERROR_NO_SPACE);
  CHECK (FAULT_RENAMEAT, EROFS, SAE_ERROR_WRITE);
#undef CHECK
}

static void
test_views_are_whole_and_not_synced (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  GError *error = NULL;

  scratch_write_text (path, "old");
  fault_set (FAULT_FSYNC, 1, 9, EIO);
  g_assert_true (sae_atomic_write_view (path, write_text, new_text, &error));
  fault_clear ();
  scratch_assert_text (path, new_text);
  g_assert_false (
      sae_atomic_write_view (path, write_half_and_fail, NULL, &error));
  scratch_assert_error (&error, SAE_ERROR_STATE, "stopped half way");
  scratch_assert_text (path, new_text);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

/* The parent's sync comes after the rename: the new file stands, whole. */
static void
test_failing_last_sync_is_reported (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  GError *error = NULL;

  scratch_write_text (path, "old");
  fault_set (FAULT_FSYNC, 2, 1, EIO);
  g_assert_false (sae_atomic_write_file (path, write_text, new_text, &error));
  fault_clear ();
  scratch_assert_error (&error, SAE_ERROR_WRITE, "cannot write to disk");
  scratch_assert_text (path, new_text);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

static void
test_file_size_limit_leaves_the_old_file (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "x");
  struct rlimit saved, limit;
  GError *error = NULL;

  scratch_write_text (path, "old");
  signal (SIGXFSZ, SIG_IGN);
  getrlimit (RLIMIT_FSIZE, &saved);
  limit = saved;
  limit.rlim_cur = 10;
  setrlimit (RLIMIT_FSIZE, &limit);
  g_assert_false (sae_atomic_write_file (path, write_text, new_text, &error));
  setrlimit (RLIMIT_FSIZE, &saved);
  signal (SIGXFSZ, SIG_DFL);
  scratch_assert_error (&error, SAE_ERROR_WRITE, path);
  scratch_assert_text (path, "old");
  g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
}

static void
test_full_device_is_no_space (void)
{
  GError *error = NULL;
  int fd = open ("/dev/full", O_WRONLY);

  g_assert_false (sae_write_all (fd, "x", 1, "/dev/full", &error));
  scratch_assert_error (&error, SAE_ERROR_NO_SPACE, "/dev/full");
  g_assert_true (sae_write_all (fd, NULL, 0, "/dev/full", &error));
  close (fd);
}

static void
check_refused (const char *path, const char *part)
{
  GError *error = NULL;
  g_assert_false (sae_atomic_write_file (path, write_text, new_text, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE, part);
}

static void
test_refuses_what_is_no_plain_file (Scratch *scratch, gconstpointer data)
{
  g_autofree char *target = scratch_path (scratch, "target");
  g_autofree char *link = scratch_path (scratch, "link");
  g_autofree char *fifo = scratch_path (scratch, "fifo");
  g_autofree char *folder = scratch_path (scratch, "folder");
  g_autofree char *orphan = scratch_path (scratch, "missing/x");

  scratch_write_text (target, "elsewhere");
  g_assert_cmpint (symlink ("target", link), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  check_refused (link, "found a symbolic link");
  check_refused (fifo, "found a special file");
  check_refused (folder, "found a folder");
  check_refused ("/dev/null", "found a special file");
  check_refused (orphan, "cannot open the folder");
  check_refused ("", "expected a path that ends in a name");
  check_refused ("/", "expected a path that ends in a name");
  check_refused ("a/..", "expected a path that ends in a name");
  scratch_assert_text (target, "elsewhere");
  g_assert_cmpuint (scratch_count (scratch->path), ==, 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) scratch_add ("/formats/atomic-file/" name, test)
  ADD ("makes-and-replaces", test_makes_and_replaces);
  ADD ("keeps-permissions", test_keeps_permissions);
  ADD ("failing-writer-leaves-the-old-file",
      test_failing_writer_leaves_the_old_file);
  ADD ("short-and-interrupted-writes-go-on",
      test_short_and_interrupted_writes_go_on);
  ADD ("failing-calls-leave-the-old-file",
      test_failing_calls_leave_the_old_file);
  ADD ("views-are-whole-and-not-synced", test_views_are_whole_and_not_synced);
  ADD ("failing-last-sync-is-reported", test_failing_last_sync_is_reported);
  ADD ("file-size-limit-leaves-the-old-file",
      test_file_size_limit_leaves_the_old_file);
  g_test_add_func ("/formats/atomic-file/full-device-is-no-space",
      test_full_device_is_no_space);
  ADD ("refuses-what-is-no-plain-file", test_refuses_what_is_no_plain_file);
  return g_test_run ();
}
