/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A log of structures as JSON lines: one object each, one write() each, so
 * that several trainers may append to one file. */
#pragma once

#include <gst/gst.h>

#include "sae-error.h"

G_BEGIN_DECLS

typedef struct {
  gchar *path; /* NULL while closed */
  int fd;
  gboolean torn; /* the file ends in the middle of a line */
} GstSaeLog;

/* Opens @path for appending, and makes it where nothing is. Anything but a
 * regular file that is empty or a log is refused, a symbolic link too. Closes
 * what was open. */
gboolean gst_sae_log_open (GstSaeLog *log, const gchar *path, GError **error);
void gst_sae_log_close (GstSaeLog *log);

/* Appends a line with "time" (seconds since 1970), "element" and the fields of
 * @s. Numbers are the same in every locale; NaN and infinities, which JSON does
 * not have, and times that are not known are null. A file that is not at its
 * path any more is begun anew. */
gboolean gst_sae_log_append (GstSaeLog *log, const gchar *element,
    const GstStructure *s, GError **error);

G_END_DECLS
