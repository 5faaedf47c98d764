/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "firing.h"

#include <string.h>

static gboolean
init_window (SaeFiringWindow *window, guint d_sae)
{
  window->count = g_try_new0 (guint64, d_sae);
  window->sum = g_try_new0 (double, d_sae);
  window->largest = g_try_new0 (float, d_sae);
  return window->count && window->sum && window->largest;
}

static void
clear_window (SaeFiringWindow *window)
{
  g_clear_pointer (&window->count, g_free);
  g_clear_pointer (&window->sum, g_free);
  g_clear_pointer (&window->largest, g_free);
}

gboolean
sae_firing_init (SaeFiring *firing, guint d_sae, GError **error)
{
  memset (firing, 0, sizeof *firing);
  firing->d_sae = d_sae;
  firing->last_fired = g_try_new0 (guint64, d_sae);
  if (firing->last_fired && init_window (&firing->now, d_sae) &&
      init_window (&firing->before, d_sae))
    return TRUE;
  sae_firing_clear (firing);
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the counters of %u latents", d_sae);
  return FALSE;
}

void
sae_firing_clear (SaeFiring *firing)
{
  g_clear_pointer (&firing->last_fired, g_free);
  clear_window (&firing->now);
  clear_window (&firing->before);
}

static void
turn_window (SaeFiring *firing)
{
  SaeFiringWindow full = firing->now;

  firing->now = firing->before;
  firing->before = full;
  firing->now.rows = 0;
  memset (firing->now.count, 0, firing->d_sae * sizeof (guint64));
  memset (firing->now.sum, 0, firing->d_sae * sizeof (double));
  memset (firing->now.largest, 0, firing->d_sae * sizeof (float));
}

void
sae_firing_add (SaeFiring *firing, const SaeSparseRows *latents, guint64 window)
{
  SaeFiringWindow *now = &firing->now;
  gsize nnz = latents->offsets[latents->n_rows];

  firing->rows += latents->n_rows;
  now->rows += latents->n_rows;
  for (gsize p = 0; p < nnz; p++) {
    guint32 i = latents->index[p];
    float value = latents->value[p];
    firing->last_fired[i] = firing->rows;
    now->count[i]++;
    now->sum[i] += value;
    now->largest[i] = MAX (now->largest[i], value);
  }
  if (now->rows >= window)
    turn_window (firing);
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
