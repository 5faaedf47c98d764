/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outliers.h"

#include "scale.h"

/* After so many in a row the stream has changed: as many as a scale is taken
 * from. */
#define MOST_IN_A_ROW SAE_SCALE_ROWS
/* Never let through, whatever is usual: products of such rows overflow. */
#define LARGEST 1e30

static gboolean
is_within (const SaeOutliers *outliers, double norm2)
{
  return norm2 <= MIN (SAE_SCALE_OUTLIER * outliers->usual, LARGEST);
}

gboolean
sae_outliers_check (SaeOutliers *outliers, double norm2)
{
  if (!is_within (outliers, norm2)) {
    if (++outliers->in_a_row <= MOST_IN_A_ROW || !(norm2 <= LARGEST))
      return TRUE;
    outliers->usual = norm2;
  }
  outliers->in_a_row = 0;
  return FALSE;
}
