/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whole .npy files for the programs of tests and benchmarks. */
#pragma once

#include <glib.h>

/* float32 [n_rows, *d] of the file @path, whatever its float dtype.
 * (transfer full) */
GBytes *npy_file_read (const char *path, guint *d, GError **error);

/* Writes @data, float32 [n_rows, d]. */
gboolean
npy_file_write (const char *path, GBytes *data, guint d, GError **error);
