/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "meter.h"

#include <math.h>
#include <string.h>

gboolean
sae_meter_init (SaeMeter *meter, guint d_out, GError **error)
{
  memset (meter, 0, sizeof *meter);
  meter->d_out = d_out;
  meter->mean = g_try_new0 (double, d_out);
  meter->m2 = g_try_new0 (double, d_out);
  if (meter->mean && meter->m2)
    return TRUE;
  sae_meter_clear (meter);
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "metrics: no memory for the mean of %u columns", d_out);
  return FALSE;
}

void
sae_meter_clear (SaeMeter *meter)
{
  g_clear_pointer (&meter->mean, g_free);
  g_clear_pointer (&meter->m2, g_free);
}

void
sae_meter_reset (SaeMeter *meter)
{
  SaeMeter empty = {.d_out = meter->d_out,
      .mean = meter->mean,
      .m2 = meter->m2};

  memset (meter->mean, 0, meter->d_out * sizeof (double));
  memset (meter->m2, 0, meter->d_out * sizeof (double));
  *meter = empty;
}

static void
add_row (SaeMeter *meter, const SaeRowSums *sums)
{
  meter->rows++;
  meter->error2 += sums->error2;
  if (sums->x2 > 0) {
    meter->norm_ratio += sqrt (sums->y2 / sums->x2);
    if (sums->y2 > 0)
      meter->cosine += sums->product / sqrt (sums->x2 * sums->y2);
  }
}

static void
add_latents (SaeMeter *meter, const SaeSparseRows *latents)
{
  gsize nnz = latents->offsets[latents->n_rows];

  meter->nnz += nnz;
  for (gsize p = 0; p < nnz; p++)
    meter->l1 += fabs ((double) latents->value[p]);
}

void
sae_meter_add_rows (SaeMeter *meter, const SaeRowSums *sums,
    const SaeSparseRows *latents)
{
  for (gsize r = 0; r < latents->n_rows; r++)
    add_row (meter, &sums[r]);
  add_latents (meter, latents);
}

void
sae_meter_add_columns (SaeMeter *meter, guint64 rows_before,
    const float *target, gsize n_rows, guint first, guint n)
{
  const SaeKernels *kernels = sae_kernels ();

  for (gsize r = 0; r < n_rows; r++)
    kernels->welford (meter->mean + first, meter->m2 + first,
        1.0 / (double) (rows_before + r + 1), target + r * meter->d_out + first,
        n);
}

void
sae_meter_add (SaeMeter *meter, const float *target, const float *x_hat,
    const SaeSparseRows *latents)
{
  gsize d = meter->d_out;

  sae_meter_add_columns (meter, meter->rows, target, latents->n_rows, 0,
      meter->d_out);
  for (gsize r = 0; r < latents->n_rows; r++) {
    SaeRowSums sums;
    sae_kernels ()->row_sums (target + r * d, x_hat + r * d, d, &sums);
    add_row (meter, &sums);
  }
  add_latents (meter, latents);
}

void
sae_meter_read (const SaeMeter *meter, double scale, SaeMetrics *metrics)
{
  double rows = (double) meter->rows, variance = 0;

  if (meter->rows == 0)
    return;
  for (guint j = 0; j < meter->d_out; j++)
    variance += meter->m2[j];
  metrics->rows = meter->rows;
  metrics->mse = scale * scale * meter->error2 / (rows * meter->d_out);
  metrics->l1 = scale * meter->l1 / rows;
  metrics->l0 = (double) meter->nnz / rows;
  metrics->cosine = meter->cosine / rows;
  metrics->norm_ratio = meter->norm_ratio / rows;
  metrics->fvu = variance > 0 ? meter->error2 / variance : 0;
  metrics->explained_variance = variance > 0 ? 1 - metrics->fvu : 0;
  if (meter->batches) {
    metrics->loss = meter->loss / (double) meter->batches;
    metrics->aux_loss = meter->aux / (double) meter->batches;
  }
}
