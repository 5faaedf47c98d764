/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "latent-stats-add.h"

void
sae_latent_stats_add (SaeLatentStats *stats, const SaeSparseRows *latents)
{
  gsize n = latents->n_rows ? latents->offsets[latents->n_rows] : 0;

  stats->n_rows += latents->n_rows;
  for (gsize p = 0; p < n; p++) {
    guint32 i = latents->index[p];
    stats->fired[i]++;
    stats->sum[i] += latents->value[p];
    stats->max[i] = MAX (stats->max[i], latents->value[p]);
  }
}
