/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reading of regular files: never mapped, so that a file that shrinks under
 * us is an error and no signal. */
#pragma once

#include "sae-error.h"

/* Opens @path for reading and stores its size. Anything but a regular file
 * (folder, FIFO, device) is refused without blocking. -1 with @error set. */
int sae_regular_file_open (const char *path, guint64 *size, GError **error);

/* Reads exactly @size bytes at @offset, going on after short reads and EINTR.
 * The end of the file before that is SAE_ERROR_READ. */
gboolean sae_regular_file_read (int fd, guint64 offset, void *dst, gsize size,
    const char *label, GError **error);

/* The whole file, at most @max_size bytes. */
GBytes *
sae_regular_file_load (const char *path, gsize max_size, GError **error);
