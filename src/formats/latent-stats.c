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

/* --- reading --- */

static gboolean
read_rows (SaeSafetensors *file, const char *path, guint64 *n_rows,
    GError **error)
{
  const char *rows = sae_safetensors_get_metadata (file, "rows");

  if (rows != NULL &&
      g_ascii_string_to_unsigned (rows, 10, 1, G_MAXINT64, n_rows, NULL))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "%s: expected the number of rows in its metadata", path);
  return FALSE;
}

static gboolean
read_latents (SaeSafetensors *file, const char *path, const char *name,
    guint32 d_sae, float *latents, GError **error)
{
  const SaeTensorEntry *entry = sae_safetensors_find (file, name);

  if (entry != NULL && entry->readable && sae_dtype_is_float (entry->dtype) &&
      entry->n_elements == d_sae)
    return sae_safetensors_read_float32 (file, entry, latents, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "%s: expected a tensor %s of %u numbers, one for each latent", path, name,
      d_sae);
  return FALSE;
}

/* Counts are whole, so that a share in float32 gives them back, and they it. */
static gboolean
count (SaeLatentStats *stats, const char *path, const float *fraction,
    const float *mean, const float *max, GError **error)
{
  for (guint32 i = 0; i < stats->d_sae; i++) {
    if (!(fraction[i] >= 0 && fraction[i] <= 1)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "%s: fired_fraction: expected 0 to 1, latent %u has %g", path, i,
          (double) fraction[i]);
      return FALSE;
    }
    stats->fired[i] =
        (guint64) round ((double) fraction[i] * (double) stats->n_rows);
    /* 2^63 - 1 is none of the doubles. */
    stats->fired[i] = MIN (stats->fired[i], stats->n_rows);
    stats->sum[i] = (double) mean[i] * (double) stats->fired[i];
    stats->max[i] = max[i];
  }
  return TRUE;
}

static gboolean
read_stats (SaeLatentStats *stats, const char *path, GError **error)
{
  gsize d_sae = stats->d_sae;
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (path, error);
  g_autofree float *latents = NULL;

  if (file == NULL || !read_rows (file, path, &stats->n_rows, error))
    return FALSE;
  latents = sae_floats_new (3, d_sae, "statistics", error);
  return latents != NULL &&
         read_latents (file, path, "fired_fraction", stats->d_sae, latents,
             error) &&
         read_latents (file, path, "mean_when_active", stats->d_sae,
             latents + d_sae, error) &&
         read_latents (file, path, "max_when_active", stats->d_sae,
             latents + 2 * d_sae, error) &&
         count (stats, path, latents, latents + d_sae, latents + 2 * d_sae,
             error);
}

gboolean
sae_latent_stats_load (SaeLatentStats *stats, const char *folder, guint32 d_sae,
    GError **error)
{
  g_autofree char *path =
      g_build_filename (folder, SAE_LATENT_STATS_FILE, NULL);

  if (!sae_latent_stats_init (stats, d_sae, error))
    return FALSE;
  if (!g_file_test (path, G_FILE_TEST_EXISTS) ||
      read_stats (stats, path, error))
    return TRUE;
  sae_latent_stats_clear (stats);
  return FALSE;
}
