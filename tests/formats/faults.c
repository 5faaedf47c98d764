/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "faults.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

static struct {
  int before, times, error_number;
} faults[FAULT_N_CALLS];

void
fault_set (FaultCall call, int nth, int times, int error_number)
{
  faults[call].before = nth - 1;
  faults[call].times = times;
  faults[call].error_number = error_number;
}

void
fault_clear (void)
{
  memset (faults, 0, sizeof faults);
}

static int
fails (FaultCall call)
{
  if (faults[call].times == 0)
    return 0;
  if (faults[call].before > 0) {
    faults[call].before--;
    return 0;
  }
  faults[call].times--;
  errno = faults[call].error_number;
  return 1;
}

ssize_t __real_write (int fd, const void *data, size_t size);
ssize_t __wrap_write (int fd, const void *data, size_t size);
int __real_fsync (int fd);
int __wrap_fsync (int fd);
int
__real_linkat (int from, const char *name, int to, const char *as, int flags);
int
__wrap_linkat (int from, const char *name, int to, const char *as, int flags);
int __real_renameat (int from, const char *name, int to, const char *as);
int __wrap_renameat (int from, const char *name, int to, const char *as);
int __real_renameat2 (int from, const char *name, int to, const char *as,
    unsigned flags);
int __wrap_renameat2 (int from, const char *name, int to, const char *as,
    unsigned flags);

ssize_t
__wrap_write (int fd, const void *data, size_t size)
{
  int interrupted = faults[FAULT_WRITE].error_number == EINTR;
  if (fails (FAULT_WRITE))
    return -1;
  return __real_write (fd, data, interrupted && size > 3 ? 3 : size);
}

int
__wrap_fsync (int fd)
{
  return fails (FAULT_FSYNC) ? -1 : __real_fsync (fd);
}

int
__wrap_linkat (int from, const char *name, int to, const char *as, int flags)
{
  return fails (FAULT_LINKAT) ? -1 : __real_linkat (from, name, to, as, flags);
}

int
__wrap_renameat (int from, const char *name, int to, const char *as)
{
  return fails (FAULT_RENAMEAT) ? -1 : __real_renameat (from, name, to, as);
}

int
__wrap_renameat2 (int from, const char *name, int to, const char *as,
    unsigned flags)
{
  return fails (FAULT_RENAMEAT2) ? -1
                                 : __real_renameat2 (from, name, to, as, flags);
}
