/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What was seen of each latent over a stream of rows, and the two files that
 * it is kept in beside a dictionary. A model does not load them; a dictionary
 * that is converted takes them along. */
#pragma once

#include "sae-error.h"

typedef struct {
  guint32 d_sae;
  guint64 n_rows; /* counted */
  double unit;    /* what a value of 1 is in the stream's units */
  guint64 *fired; /* [d_sae]: rows in which the latent was active */
  double *sum;    /* [d_sae]: of its values in those, row by row */
  float *max;     /* [d_sae]: largest of them, 0 without any */
} SaeLatentStats;

/* No rows, unit 1. FALSE when memory is exhausted; needs no clear then. */
gboolean
sae_latent_stats_init (SaeLatentStats *stats, guint32 d_sae, GError **error);
/* Back to no rows. */
void sae_latent_stats_reset (SaeLatentStats *stats);
void sae_latent_stats_clear (SaeLatentStats *stats);

/* Both are a SaeFileWriter with a const SaeLatentStats * of at least one row
 * as user data.
 *
 * sparsity.safetensors as SAELens writes and reads it: "sparsity" [d_sae],
 * log10 (fired / n_rows + 1e-10). */
#define SAE_LATENT_STATS_SPARSITY_FILE "sparsity.safetensors"
gboolean sae_latent_stats_write_sparsity (int fd, const char *label,
    gpointer stats, GError **error);

/* latent_stats.safetensors: [d_sae] each, fired_fraction, mean_when_active and
 * max_when_active (0 where it never fired; the stream's units); a histogram of
 * the numbers of the other file, log10_histogram_counts [20] between
 * log10_histogram_edges [21], half a decade apart from −10 to 0; and in the
 * metadata rows, their number. All float32. */
#define SAE_LATENT_STATS_FILE "latent_stats.safetensors"
gboolean sae_latent_stats_write (int fd, const char *label, gpointer stats,
    GError **error);

/* Reads that file of @folder, for @d_sae latents, so that it is written again
 * in the same bytes. Without one there are no rows. To be cleared unless it
 * fails. */
gboolean sae_latent_stats_load (SaeLatentStats *stats, const char *folder,
    guint32 d_sae, GError **error);
