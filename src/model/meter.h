/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Metrics over a stream: exact sums in float64, rows in their order of
 * arrival. */
#pragma once

#include "sae-metrics.h"
#include "workspace.h"

typedef struct {
  guint d_out;
  guint64 rows, nnz, batches;
  double error2;     /* Σ‖target − x_hat‖² */
  double cosine;     /* Σ cosine */
  double norm_ratio; /* Σ ‖x_hat‖ / ‖target‖ */
  double l1;         /* Σ Σ|latents| */
  double loss;       /* Σ loss of batches */
  double aux;        /* Σ of their AuxK part, without coefficient */
  double *mean, *m2; /* [d_out]: Welford's, of the targets */
} SaeMeter;

/* FALSE when memory is exhausted. */
gboolean sae_meter_init (SaeMeter *meter, guint d_out, GError **error);
void sae_meter_clear (SaeMeter *meter);
/* Back to no rows. */
void sae_meter_reset (SaeMeter *meter);

/* Adds rows: @target and @x_hat [n_rows, d_out]. */
void sae_meter_add (SaeMeter *meter, const float *target, const float *x_hat,
    const SaeSparseRows *latents);

/* The same in two parts that can go on at once: rows of which @sums [n_rows]
 * are known; and columns @first … @first + @n − 1 of their @target, of which
 * the meter has seen @rows_before. */
void sae_meter_add_rows (SaeMeter *meter, const SaeRowSums *sums,
    const SaeSparseRows *latents);
void sae_meter_add_columns (SaeMeter *meter, guint64 rows_before,
    const float *target, gsize n_rows, guint first, guint n);

/* Fills what the meter knows of @metrics. @scale: what a unit of the measured
 * numbers is in units of the stream. */
void sae_meter_read (const SaeMeter *meter, double scale, SaeMetrics *metrics);
