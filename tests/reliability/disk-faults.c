/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk-faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORTED __attribute__ ((visibility ("default")))

static struct {
  GMutex lock;
  char folder[4096]; /* lock; empty: nothing fails */
  DiskCall call;     /* lock */
  guint before;      /* lock; calls that go well first */
  guint left;        /* lock; that fail then */
  guint hit;         /* lock */
  int how;           /* lock */
  guint eighths;     /* lock; what the next cut leaves of a file */
} disk;

void
disk_fail (const char *folder, DiskCall call, guint nth, guint times, int how)
{
  g_mutex_lock (&disk.lock);
  /* By its real name, as /proc has it. */
  g_assert_nonnull (realpath (folder, disk.folder));
  disk.call = call;
  disk.before = nth - 1;
  disk.left = times;
  disk.how = how;
  disk.hit = 0;
  g_mutex_unlock (&disk.lock);
}

guint
disk_heal (void)
{
  guint hit;

  g_mutex_lock (&disk.lock);
  hit = disk.hit;
  disk.folder[0] = '\0';
  disk.left = 0;
  g_mutex_unlock (&disk.lock);
  return hit;
}

static gboolean
is_in_folder (const char *path)
{
  gsize n = strlen (disk.folder);

  return n > 0 && strncmp (path, disk.folder, n) == 0 &&
         (path[n] == '/' || path[n] == '\0');
}

static gboolean
is_there (int fd, char path[4096])
{
  char link[64];
  gssize n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, path, 4095);
  path[MAX (n, 0)] = '\0';
  return is_in_folder (path);
}

/* What is to happen to this call: 0 for nothing. */
static int
strike (DiskCall call, int fd, const char *name)
{
  char path[4096];
  int how = 0;

  g_mutex_lock (&disk.lock);
  if (disk.left > 0 && call == disk.call &&
      (name && name[0] == '/' ? is_in_folder (name) : is_there (fd, path))) {
    if (disk.before > 0) {
      disk.before--;
    } else {
      disk.left--;
      disk.hit++;
      how = disk.how;
    }
  }
  if (how == DISK_CUT) {
    struct stat info;
    is_there (fd, path);
    if (fstat (fd, &info) == 0)
      (void) !truncate (path, info.st_size / 8 * (disk.eighths++ % 8));
    how = 0;
  }
  g_mutex_unlock (&disk.lock);
  if (how > 0)
    errno = how;
  return how;
}

#define REAL(call)                                                             \
  static __typeof__ (&call) real;                                              \
  if (!real)                                                                   \
  real = (__typeof__ (&call)) dlsym (RTLD_NEXT, #call)

/* --- opening -------------------------------------------------------------- */

static mode_t
mode_of (int flags, va_list arguments)
{
  return flags & (O_CREAT | __O_TMPFILE) ? va_arg (arguments, mode_t) : 0;
}

EXPORTED int
open (const char *name, int flags, ...)
{
  va_list arguments;
  mode_t mode;
  REAL (open);

  va_start (arguments, flags);
  mode = mode_of (flags, arguments);
  va_end (arguments);
  return strike (DISK_OPEN, AT_FDCWD, name) ? -1 : real (name, flags, mode);
}

EXPORTED int
openat (int at, const char *name, int flags, ...)
{
  va_list arguments;
  mode_t mode;
  REAL (openat);

  va_start (arguments, flags);
  mode = mode_of (flags, arguments);
  va_end (arguments);
  return strike (DISK_OPEN, at, name) ? -1 : real (at, name, flags, mode);
}

/* --- data ----------------------------------------------------------------- */

EXPORTED ssize_t
pread (int fd, void *dst, size_t size, off_t offset)
{
  int how = strike (DISK_READ, fd, NULL);
  REAL (pread);

  if (how > 0)
    return -1;
  return real (fd, dst, how == DISK_SHORT ? MIN (size, 3) : size, offset);
}

/* libzip reads by it. */
EXPORTED size_t
fread (void *dst, size_t size, size_t n, FILE *file)
{
  REAL (fread);

  if (strike (DISK_READ, fileno (file), NULL) > 0)
    return 0;
  return real (dst, size, n, file);
}

EXPORTED ssize_t
write (int fd, const void *data, size_t size)
{
  int how = strike (DISK_WRITE, fd, NULL);
  REAL (write);

  return how > 0 ? -1
                 : real (fd, data, how == DISK_SHORT ? MIN (size, 3) : size);
}

/* Nobody cuts the power here, and real ones take their time. */
EXPORTED int
fsync (int fd)
{
  return strike (DISK_SYNC, fd, NULL) > 0 ? -1 : 0;
}

/* --- names ---------------------------------------------------------------- */

EXPORTED int
renameat (int from, const char *name, int to, const char *as)
{
  REAL (renameat);

  return strike (DISK_RENAME, from, name) > 0 ? -1 : real (from, name, to, as);
}

EXPORTED int
renameat2 (int from, const char *name, int to, const char *as, unsigned flags)
{
  REAL (renameat2);

  return strike (DISK_RENAME, from, name) > 0
             ? -1
             : real (from, name, to, as, flags);
}
