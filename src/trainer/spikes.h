/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Batches whose error is out of all proportion: a faulty buffer, numbers of
 * another unit. One such step leaves weights finite but fills the optimiser's
 * moments with its square, which then stands in the way for thousands of
 * steps. So it is not taken. */
#pragma once

#include <glib.h>

typedef struct {
  double log_mean;  /* of log mse, exponential */
  guint64 seen;     /* batches in it */
  guint64 in_a_row; /* spikes without a batch between them */
} SaeSpikes;

/* Whether a batch with this mean squared error is one; else it is learned
 * from. @smallest: an error that is no reason for doubt. */
gboolean sae_spikes_check (SaeSpikes *spikes, double mse, double smallest);
