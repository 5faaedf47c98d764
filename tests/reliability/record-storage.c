/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Preloaded into a program, it writes down what the program does to the folder
 * $SAE_STORAGE_ROOT, a line of JSON for each call that changes something there,
 * to the file $SAE_STORAGE_LOG. From that test-power-cut.py works out what a
 * disk may hold after a power cut. Calls that it could not replay are written
 * down as "unknown", and fail that test. */
/* Both names of each call are taken over, not one in place of the other. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

void sae_record_mark (int version);

/* Looked up once; each has the type of the call itself. */
#define REAL(call)                                                             \
  static __typeof__ (call) *real;                                              \
  if (!real)                                                                   \
  real = (__typeof__ (call) *) dlsym (RTLD_NEXT, #call)

static const char *
root (void)
{
  const char *path = getenv ("SAE_STORAGE_ROOT");
  return path ? path : "/nowhere";
}

static int
log_file (void)
{
  static int fd = -1;
  if (fd < 0)
    fd = (int) syscall (SYS_openat, AT_FDCWD, getenv ("SAE_STORAGE_LOG"),
        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  return fd;
}

static void
put (const char *text, size_t size)
{
  REAL (write);
  while (size > 0) {
    ssize_t n = real (log_file (), text, size);
    if (n <= 0)
      abort ();
    text += n;
    size -= (size_t) n;
  }
}

static void __attribute__ ((format (printf, 1, 2)))
note (const char *format, ...)
{
  char line[3 * PATH_MAX];
  va_list arguments;
  int saved = errno, n;

  va_start (arguments, format);
  n = vsnprintf (line, sizeof line, format, arguments);
  va_end (arguments);
  if (n < 0 || (size_t) n >= sizeof line)
    abort ();
  put (line, (size_t) n);
  errno = saved;
}

/* Whether @fd is of the folder that is watched. */
static int
is_watched (int fd)
{
  char link[64], path[PATH_MAX];
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, path, sizeof path - 1);
  if (n <= 0)
    return 0;
  path[n] = 0;
  return strncmp (path, root (), strlen (root ())) == 0;
}

/* The folder that @name is in, and its last part in @base. */
static unsigned long
folder_of (int at, const char *name, const char **base, int *watched)
{
  const char *slash = strrchr (name, '/');
  char folder[PATH_MAX] = ".";
  struct stat info = {0};
  int fd;

  *base = slash ? slash + 1 : name;
  if (slash)
    snprintf (folder, sizeof folder, "%.*s",
        slash == name ? 1 : (int) (slash - name), name);
  fd = (int) syscall (SYS_openat, at, folder, O_PATH | O_DIRECTORY, 0);
  *watched = fd >= 0 && is_watched (fd) && fstat (fd, &info) == 0;
  if (fd >= 0)
    close (fd);
  return info.st_ino;
}

static unsigned long
inode_of (int fd)
{
  struct stat info = {0};
  return fstat (fd, &info) == 0 ? info.st_ino : 0;
}

static int
exists_at (int at, const char *name)
{
  struct stat info;
  int saved = errno;
  int found = fstatat (at, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
  errno = saved;
  return found;
}

void
sae_record_mark (int version)
{
  note ("{\"op\": \"mark\", \"version\": %d}\n", version);
}

/* --- opening and making --- */

static int
record_open (int at, const char *name, int flags, int existed, int fd)
{
  const char *base;
  int watched;
  unsigned long folder;

  if (fd < 0 || !(flags & O_ACCMODE))
    return fd;
  folder = folder_of (at, name, &base, &watched);
  if (watched && !existed)
    note ("{\"op\": \"create\", \"folder\": %lu, \"name\": \"%s\", "
          "\"inode\": %lu}\n",
        folder, base, inode_of (fd));
  else if (watched && (flags & O_TRUNC))
    note ("{\"op\": \"unknown\", \"call\": \"open with O_TRUNC\"}\n");
  return fd;
}

static mode_t
mode_of (int flags, va_list arguments)
{
  return flags & (O_CREAT | O_TMPFILE) ? va_arg (arguments, mode_t) : 0;
}

#define DEFINE_OPENAT(call)                                                    \
  int call (int at, const char *name, int flags, ...)                          \
  {                                                                            \
    va_list arguments;                                                         \
    int existed = exists_at (at, name);                                        \
    mode_t mode;                                                               \
    REAL (call);                                                               \
    va_start (arguments, flags);                                               \
    mode = mode_of (flags, arguments);                                         \
    va_end (arguments);                                                        \
    return record_open (at, name, flags, existed,                              \
        real (at, name, flags, mode));                                         \
  }
DEFINE_OPENAT (openat)
DEFINE_OPENAT (openat64)

#define DEFINE_OPEN(call)                                                      \
  int call (const char *name, int flags, ...)                                  \
  {                                                                            \
    va_list arguments;                                                         \
    int existed = exists_at (AT_FDCWD, name);                                  \
    mode_t mode;                                                               \
    REAL (call);                                                               \
    va_start (arguments, flags);                                               \
    mode = mode_of (flags, arguments);                                         \
    va_end (arguments);                                                        \
    return record_open (AT_FDCWD, name, flags, existed,                        \
        real (name, flags, mode));                                             \
  }
DEFINE_OPEN (open)
DEFINE_OPEN (open64)

int
mkdirat (int at, const char *name, mode_t mode)
{
  const char *base;
  struct stat info;
  int watched, result;
  unsigned long folder;
  REAL (mkdirat);

  result = real (at, name, mode);
  if (result != 0)
    return result;
  folder = folder_of (at, name, &base, &watched);
  if (watched && fstatat (at, name, &info, 0) == 0)
    note ("{\"op\": \"mkdir\", \"folder\": %lu, \"name\": \"%s\", "
          "\"inode\": %lu}\n",
        folder, base, (unsigned long) info.st_ino);
  return result;
}

int
mkdir (const char *name, mode_t mode)
{
  return mkdirat (AT_FDCWD, name, mode);
}

/* --- data --- */

ssize_t
write (int fd, const void *data, size_t size)
{
  static const char digits[] = "0123456789abcdef";
  const unsigned char *bytes = data;
  off_t offset = lseek (fd, 0, SEEK_CUR);
  ssize_t n;
  char *hex;
  REAL (write);

  n = real (fd, data, size);
  if (n <= 0 || !is_watched (fd))
    return n;
  hex = malloc (2 * (size_t) n);
  for (ssize_t i = 0; i < n; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
  note ("{\"op\": \"write\", \"inode\": %lu, \"offset\": %ld, \"data\": \"",
      inode_of (fd), (long) offset);
  put (hex, 2 * (size_t) n);
  put ("\"}\n", 3);
  free (hex);
  return n;
}

static void
note_unknown (int fd, const char *call)
{
  if (is_watched (fd))
    note ("{\"op\": \"unknown\", \"call\": \"%s\"}\n", call);
}

#define DEFINE_PWRITE(call, offset_type)                                       \
  ssize_t call (int fd, const void *data, size_t size, offset_type offset)     \
  {                                                                            \
    REAL (call);                                                               \
    note_unknown (fd, #call);                                                  \
    return real (fd, data, size, offset);                                      \
  }
DEFINE_PWRITE (pwrite, off_t)
DEFINE_PWRITE (pwrite64, off64_t)

ssize_t
writev (int fd, const struct iovec *parts, int n)
{
  REAL (writev);
  note_unknown (fd, "writev");
  return real (fd, parts, n);
}

#define DEFINE_TRUNCATE(call, offset_type)                                     \
  int call (int fd, offset_type size)                                          \
  {                                                                            \
    REAL (call);                                                               \
    note_unknown (fd, #call);                                                  \
    return real (fd, size);                                                    \
  }
DEFINE_TRUNCATE (ftruncate, off_t)
DEFINE_TRUNCATE (ftruncate64, off64_t)

int
fsync (int fd)
{
  int result;
  REAL (fsync);

  result = real (fd);
  if (result == 0 && is_watched (fd))
    note ("{\"op\": \"sync\", \"inode\": %lu}\n", inode_of (fd));
  return result;
}

int
fdatasync (int fd)
{
  REAL (fdatasync);
  note_unknown (fd, "fdatasync");
  return real (fd);
}

/* --- names --- */

int
renameat2 (int from, const char *name, int to, const char *as, unsigned flags)
{
  const char *base, *new_base;
  int watched, also, result;
  unsigned long folder, target;
  REAL (renameat2);

  result = real (from, name, to, as, flags);
  if (result != 0)
    return result;
  folder = folder_of (from, name, &base, &watched);
  target = folder_of (to, as, &new_base, &also);
  if (watched || also)
    note ("{\"op\": \"%s\", \"folder\": %lu, \"name\": \"%s\", "
          "\"target\": %lu, \"as\": \"%s\"}\n",
        flags & RENAME_EXCHANGE ? "exchange" : "rename", folder, base, target,
        new_base);
  return result;
}

int
renameat (int from, const char *name, int to, const char *as)
{
  return renameat2 (from, name, to, as, 0);
}

int
rename (const char *name, const char *as)
{
  return renameat2 (AT_FDCWD, name, AT_FDCWD, as, 0);
}

int
linkat (int from, const char *name, int to, const char *as, int flags)
{
  const char *base, *new_base;
  int watched, also, result;
  unsigned long folder, target;
  REAL (linkat);

  result = real (from, name, to, as, flags);
  if (result != 0)
    return result;
  folder = folder_of (from, name, &base, &watched);
  target = folder_of (to, as, &new_base, &also);
  if (watched || also)
    note ("{\"op\": \"link\", \"folder\": %lu, \"name\": \"%s\", "
          "\"target\": %lu, \"as\": \"%s\"}\n",
        folder, base, target, new_base);
  return result;
}

int
unlinkat (int at, const char *name, int flags)
{
  const char *base;
  int watched, result;
  unsigned long folder;
  REAL (unlinkat);

  folder = folder_of (at, name, &base, &watched);
  result = real (at, name, flags);
  if (result == 0 && watched)
    note ("{\"op\": \"unlink\", \"folder\": %lu, \"name\": \"%s\"}\n", folder,
        base);
  return result;
}

int
unlink (const char *name)
{
  return unlinkat (AT_FDCWD, name, 0);
}

int
rmdir (const char *name)
{
  return unlinkat (AT_FDCWD, name, AT_REMOVEDIR);
}
