/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A disk that fails when a test says so: the calls on files of one folder that
 * this program and the libraries in it make. They stand in the place of the C
 * library's, so that they are met by what the plugin is linked with too. */
#pragma once

#include <glib.h>

typedef enum {
  DISK_OPEN,
  DISK_READ, /* pread, which is how files are read, and libzip's fread */
  DISK_WRITE,
  DISK_SYNC,
  DISK_RENAME,
  DISK_N_CALLS
} DiskCall;

/* Not an error: the call does a part of what it is asked for. */
#define DISK_SHORT -1
/* For DISK_READ: the file is cut first, to another part of itself each time. */
#define DISK_CUT -2

/* What happens in @folder from the @nth such call on (counted from 1), @times
 * times: an errno, or one of the above. */
void
disk_fail (const char *folder, DiskCall call, guint nth, guint times, int how);

/* Ends that. How many calls were hit. */
guint disk_heal (void);
