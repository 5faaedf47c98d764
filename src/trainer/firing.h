/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * When and how strongly each latent fires. Statistics are of two windows of
 * rows, the one that fills and the one before, so that they are of the
 * dictionary as it is and not of its youth. */
#pragma once

#include "latent-stats.h"
#include "workspace.h"

typedef struct {
  guint d_sae;
  guint64 *last_fired; /* [d_sae]: rows seen when it last did */
  guint64 rows;        /* seen */
  SaeLatentStats now, before;
} SaeFiring;

/* FALSE when memory is exhausted. */
gboolean sae_firing_init (SaeFiring *firing, guint d_sae, GError **error);
void sae_firing_clear (SaeFiring *firing);

/* Adds the latents of a batch that the run has trained on. A window is full
 * with @window rows. */
void sae_firing_add (SaeFiring *firing, const SaeSparseRows *latents,
    guint64 window);

/* Statistics of both windows, their values in units of @unit. FALSE when memory
 * is exhausted. */
gboolean sae_firing_copy_stats (const SaeFiring *firing, double unit,
    SaeLatentStats *stats, GError **error);

/* Rows seen before which a latent must have fired last to be dead: 0 where
 * none can be. */
guint64
sae_firing_get_alive_since (const SaeFiring *firing, guint64 dead_after);

/* Share of the latents that did not fire within the last @dead_after rows. */
double
sae_firing_get_dead_fraction (const SaeFiring *firing, guint64 dead_after);
