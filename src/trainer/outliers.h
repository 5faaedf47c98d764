/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows of a size out of all proportion: faults of the stream. One of them in a
 * batch is not worth the batch (see spikes.h), so it is left out. */
#pragma once

#include <glib.h>

typedef struct {
  double usual;     /* squared norm of a row, in units of s */
  guint64 in_a_row; /* outliers without another row between them */
} SaeOutliers;

/* Whether a row of this squared norm is one. (NaN is.) After many in a row it
 * is the stream that has changed, and their size becomes the usual one. */
gboolean sae_outliers_check (SaeOutliers *outliers, double norm2);
