/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "group.h"

#include <string.h>

/* By counting: rows stay ascending within a latent. Counts sit one place
 * ahead, so that filling leaves first[] in place. */
void
sae_group_by_latent (const SaeSparseRows *latents, guint d_sae, gsize *first,
    guint32 *row, float *value)
{
  gsize F = d_sae, nnz = latents->offsets[latents->n_rows];

  memset (first, 0, (F + 2) * sizeof *first);
  for (gsize p = 0; p < nnz; p++)
    first[latents->index[p] + 2]++;
  for (gsize i = 2; i < F + 2; i++)
    first[i] += first[i - 1];
  for (gsize r = 0; r < latents->n_rows; r++)
    for (gsize p = latents->offsets[r]; p < latents->offsets[r + 1]; p++) {
      gsize place = first[latents->index[p] + 1]++;
      row[place] = (guint32) r;
      value[place] = latents->value[p];
    }
}
