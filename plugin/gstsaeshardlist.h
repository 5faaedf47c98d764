/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which files a location means. */
#pragma once

#include "sae-error.h"

/* Paths in the order of reading (transfer full), at least one:
 *  - a folder: its files named *.npy (hidden ones apart), sorted by the bytes
 *    of their names;
 *  - a path whose last part holds one %d or %0Nd ("shard-%05d.npy", "%%" is a
 *    plain '%'): the files that the pattern prints for a number, in the order
 *    of the numbers, gaps allowed;
 *  - anything else: that file, whether it exists or not.
 * A file of exactly that name goes before a pattern. The text is never handed
 * to printf. */
GPtrArray *gst_sae_shard_list (const char *location, GError **error);
