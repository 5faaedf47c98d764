/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "firing.h"

#include <string.h>

#include "latent-stats-add.h"

gboolean
sae_firing_init (SaeFiring *firing, guint d_sae, GError **error)
{
  memset (firing, 0, sizeof *firing);
  firing->d_sae = d_sae;
  firing->last_fired = g_try_new0 (guint64, d_sae);
  if (firing->last_fired)
    return sae_latent_stats_init (&firing->now, d_sae, error) &&
           sae_latent_stats_init (&firing->before, d_sae, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the counters of %u latents", d_sae);
  return FALSE;
}

void
sae_firing_clear (SaeFiring *firing)
{
  g_clear_pointer (&firing->last_fired, g_free);
  sae_latent_stats_clear (&firing->now);
  sae_latent_stats_clear (&firing->before);
}

void
sae_firing_add (SaeFiring *firing, const SaeSparseRows *latents, guint64 window)
{
  SaeLatentStats full = firing->now;

  firing->rows += latents->n_rows;
  for (gsize p = 0; p < latents->offsets[latents->n_rows]; p++)
    firing->last_fired[latents->index[p]] = firing->rows;
  sae_latent_stats_add (&firing->now, latents);
  if (firing->now.n_rows < window)
    return;
  full.n_rows = firing->now.n_rows;
  firing->now = firing->before;
  firing->before = full;
  sae_latent_stats_reset (&firing->now);
}

gboolean
sae_firing_copy_stats (const SaeFiring *firing, double unit,
    SaeLatentStats *stats, GError **error)
{
  const SaeLatentStats *now = &firing->now, *before = &firing->before;

  if (!sae_latent_stats_init (stats, firing->d_sae, error))
    return FALSE;
  stats->unit = unit;
  stats->n_rows = now->n_rows + before->n_rows;
  for (guint i = 0; i < firing->d_sae; i++) {
    stats->fired[i] = now->fired[i] + before->fired[i];
    stats->sum[i] = now->sum[i] + before->sum[i];
    stats->max[i] = MAX (now->max[i], before->max[i]);
  }
  return TRUE;
}

guint64
sae_firing_get_alive_since (const SaeFiring *firing, guint64 dead_after)
{
  return firing->rows > dead_after ? firing->rows - dead_after : 0;
}

double
sae_firing_get_dead_fraction (const SaeFiring *firing, guint64 dead_after)
{
  guint64 alive_since = sae_firing_get_alive_since (firing, dead_after);
  guint n_dead = 0;

  for (guint i = 0; i < firing->d_sae; i++)
    n_dead += firing->last_fired[i] < alive_since;
  return (double) n_dead / firing->d_sae;
}
