/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spikes.h"

#include <math.h>

/* So many times the usual error, as a geometric mean over about MEMORY
 * batches. */
#define FACTOR 1000.0
#define MEMORY 100
/* After so many in a row it is the stream that has changed. */
#define MOST_IN_A_ROW 100

static void
learn (SaeSpikes *spikes, double mse)
{
  double share;

  spikes->in_a_row = 0;
  if (!(mse > 0)) /* silence says nothing of what is usual */
    return;
  spikes->seen = MIN (spikes->seen + 1, MEMORY);
  share = 1.0 / (double) spikes->seen;
  spikes->log_mean += share * (log (mse) - spikes->log_mean);
}

gboolean
sae_spikes_check (SaeSpikes *spikes, double mse, double smallest)
{
  double usual = spikes->seen ? exp (spikes->log_mean) : smallest;

  usual = MAX (usual, smallest / FACTOR);
  if (!(mse <= FACTOR * usual)) {
    if (spikes->in_a_row < MOST_IN_A_ROW && (spikes->seen || smallest > 0)) {
      spikes->in_a_row++;
      return TRUE;
    }
    spikes->seen = 0; /* begins anew */
  }
  learn (spikes, mse);
  return FALSE;
}
