/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "latent-stats.h"

#include <math.h>
#include <string.h>

#include "floats.h"
#include "safetensors.h"

/* SAELens' (sae_trainer.py, _log_feature_sparsity): keeps log10 finite. */
#define EPSILON 1e-10f
#define LOWEST (-10)
#define BINS_PER_DECADE 2
#define N_BINS (-LOWEST * BINS_PER_DECADE)

gboolean
sae_latent_stats_init (SaeLatentStats *stats, guint32 d_sae, GError **error)
{
  *stats = (SaeLatentStats){.d_sae = d_sae, .unit = 1};
  stats->fired = g_try_new0 (guint64, d_sae);
  stats->sum = g_try_new0 (double, d_sae);
  stats->max = g_try_new0 (float, d_sae);
  if (stats->fired && stats->sum && stats->max)
    return TRUE;
  sae_latent_stats_clear (stats);
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "no memory for the statistics of %u latents", d_sae);
  return FALSE;
}

void
sae_latent_stats_reset (SaeLatentStats *stats)
{
  stats->n_rows = 0;
  memset (stats->fired, 0, stats->d_sae * sizeof *stats->fired);
  memset (stats->sum, 0, stats->d_sae * sizeof *stats->sum);
  memset (stats->max, 0, stats->d_sae * sizeof *stats->max);
}

void
sae_latent_stats_clear (SaeLatentStats *stats)
{
  g_clear_pointer (&stats->fired, g_free);
  g_clear_pointer (&stats->sum, g_free);
  g_clear_pointer (&stats->max, g_free);
}

static float
fired_fraction (const SaeLatentStats *stats, guint32 latent)
{
  return (float) ((double) stats->fired[latent] / (double) stats->n_rows);
}

/* In float32 up to the logarithm, as SAELens: always active is 0, not more. */
static float
log10_sparsity (const SaeLatentStats *stats, guint32 latent)
{
  float shifted = fired_fraction (stats, latent) + EPSILON;

  return (float) log10 (shifted);
}

gboolean
sae_latent_stats_write_sparsity (int fd, const char *label, gpointer user_data,
    GError **error)
{
  const SaeLatentStats *stats = user_data;
  g_autofree float *sparsity =
      sae_floats_new (1, stats->d_sae, "sparsity", error);
  const SaeTensorSource tensor = {"sparsity", 1, {stats->d_sae}, sparsity};

  if (sparsity == NULL)
    return FALSE;
  for (guint32 i = 0; i < stats->d_sae; i++)
    sparsity[i] = log10_sparsity (stats, i);
  return sae_safetensors_write (fd, label, &tensor, 1, error);
}

/* A value on an edge belongs to the bin above it, 0 to the last bin. */
static void
fill_histogram (const SaeLatentStats *stats, float counts[N_BINS],
    float edges[N_BINS + 1])
{
  guint32 n[N_BINS] = {0};

  for (guint32 i = 0; i < stats->d_sae; i++) {
    float above = log10_sparsity (stats, i) - LOWEST;
    n[CLAMP ((int) (above * BINS_PER_DECADE), 0, N_BINS - 1)]++;
  }
  for (guint bin = 0; bin < N_BINS; bin++)
    counts[bin] = (float) n[bin];
  for (guint edge = 0; edge <= N_BINS; edge++)
    edges[edge] = LOWEST + (float) edge / BINS_PER_DECADE;
}

static void
fill_latents (const SaeLatentStats *stats, float *fraction, float *mean,
    float *max)
{
  for (guint32 i = 0; i < stats->d_sae; i++) {
    fraction[i] = fired_fraction (stats, i);
    if (stats->fired[i] == 0)
      continue; /* 0 */
    mean[i] = (float) (stats->sum[i] / (double) stats->fired[i] * stats->unit);
    max[i] = (float) (stats->max[i] * stats->unit);
  }
}

gboolean
sae_latent_stats_write (int fd, const char *label, gpointer user_data,
    GError **error)
{
  const SaeLatentStats *stats = user_data;
  gsize d_sae = stats->d_sae;
  g_autofree float *latents = sae_floats_new (3, d_sae, "statistics", error);
  float counts[N_BINS], edges[N_BINS + 1];
  char rows[24];
  const char *const metadata[] = {"rows", rows, NULL};

  if (latents == NULL)
    return FALSE;
  fill_latents (stats, latents, latents + d_sae, latents + 2 * d_sae);
  fill_histogram (stats, counts, edges);
  g_snprintf (rows, sizeof rows, "%" G_GUINT64_FORMAT, stats->n_rows);
  {
    const SaeTensorSource tensors[] = {
        {"fired_fraction", 1, {d_sae}, latents},
        {"mean_when_active", 1, {d_sae}, latents + d_sae},
        {"max_when_active", 1, {d_sae}, latents + 2 * d_sae},
        {"log10_histogram_counts", 1, {N_BINS}, counts},
        {"log10_histogram_edges", 1, {N_BINS + 1}, edges},
    };
    return sae_safetensors_write_with_metadata (fd, label, metadata, tensors,
        G_N_ELEMENTS (tensors), error);
  }
}
