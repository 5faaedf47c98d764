/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-metrics.h"

#include <math.h>

#include "latents.h"
#include "meter.h"

G_DEFINE_BOXED_TYPE (SaeMetrics, sae_metrics, sae_metrics_copy,
    sae_metrics_free)

/**
 * sae_metrics_copy:
 * @metrics: metrics
 *
 * Returns: (transfer full): a copy
 * Since: 0.1
 */
SaeMetrics *
sae_metrics_copy (const SaeMetrics *metrics)
{
  SaeMetrics *copy = g_new (SaeMetrics, 1);

  *copy = *metrics;
  return copy;
}

/**
 * sae_metrics_free:
 * @metrics: (transfer full): metrics
 *
 * Frees metrics.
 *
 * Since: 0.1
 */
void
sae_metrics_free (SaeMetrics *metrics)
{
  g_free (metrics);
}

/**
 * sae_measure:
 * @x: float32 [n_rows, d], the target
 * @x_hat: float32 [n_rows, d], its reconstruction
 * @d: width of a row
 * @latents: (nullable): latents of the rows, for @l0 and @l1
 * @error: return location
 *
 * Measures a reconstruction: mse, fvu, explained variance, cosine, norm ratio
 * and, with @latents, l0 and l1. The fields of #SaeMetrics give the formulas.
 *
 * Returns: (transfer full): the metrics
 * Since: 0.1
 */
SaeMetrics *
sae_measure (GBytes *x, GBytes *x_hat, guint d, SaeLatents *latents,
    GError **error)
{
  gsize size = g_bytes_get_size (x), row = (gsize) d * sizeof (float);
  SaeSparseRows rows = {0};
  g_autofree gsize *no_offsets = NULL;
  SaeMetrics *metrics;
  SaeMeter meter;

  if (d == 0 || size % row != 0 || g_bytes_get_size (x_hat) != size ||
      (latents && sae_latents_get_n_rows (latents) != size / row)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "metrics: expected x and x_hat of as many rows of %u floats as there "
        "are latents, got %" G_GSIZE_FORMAT " and %" G_GSIZE_FORMAT " bytes",
        d, size, g_bytes_get_size (x_hat));
    return NULL;
  }
  if (latents) {
    rows = sae_latents_get_rows (latents);
  } else {
    no_offsets = g_try_new0 (gsize, size / row + 1);
    rows.n_rows = size / row;
    rows.offsets = no_offsets;
  }
  if (!rows.offsets) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "metrics: no memory for %" G_GSIZE_FORMAT " rows", rows.n_rows);
    return NULL;
  }
  if (!sae_meter_init (&meter, d, error))
    return NULL;
  metrics = g_new0 (SaeMetrics, 1);
  sae_meter_add (&meter, g_bytes_get_data (x, NULL),
      g_bytes_get_data (x_hat, NULL), &rows);
  sae_meter_read (&meter, 1.0, metrics);
  sae_meter_clear (&meter);
  return metrics;
}

/* One value of a measurement without latents; NaN when sizes do not fit. */
static gdouble
measure_one (GBytes *x, GBytes *x_hat, guint d, gsize field)
{
  g_autoptr (SaeMetrics) metrics = sae_measure (x, x_hat, d, NULL, NULL);

  return metrics ? G_STRUCT_MEMBER (gdouble, metrics, field) : (gdouble) NAN;
}

/**
 * sae_mse:
 * @x: float32 [n_rows, d], the target
 * @x_hat: float32 [n_rows, d]
 * @d: width of a row
 *
 * Returns: Σ‖x − x_hat‖² / (n_rows·d); NaN when the sizes do not fit
 * Since: 0.1
 */
gdouble
sae_mse (GBytes *x, GBytes *x_hat, guint d)
{
  return measure_one (x, x_hat, d, G_STRUCT_OFFSET (SaeMetrics, mse));
}

/**
 * sae_fvu:
 * @x: float32 [n_rows, d], the target
 * @x_hat: float32 [n_rows, d]
 * @d: width of a row
 *
 * Fraction of variance unexplained.
 *
 * Returns: Σ‖x − x_hat‖² / Σ‖x − mean x‖²; NaN when the sizes do not fit
 * Since: 0.1
 */
gdouble
sae_fvu (GBytes *x, GBytes *x_hat, guint d)
{
  return measure_one (x, x_hat, d, G_STRUCT_OFFSET (SaeMetrics, fvu));
}

/**
 * sae_cosine:
 * @x: float32 [n_rows, d], the target
 * @x_hat: float32 [n_rows, d]
 * @d: width of a row
 *
 * Returns: mean over rows of x·x_hat / (‖x‖‖x_hat‖); NaN when the sizes do not
 *   fit
 * Since: 0.1
 */
gdouble
sae_cosine (GBytes *x, GBytes *x_hat, guint d)
{
  return measure_one (x, x_hat, d, G_STRUCT_OFFSET (SaeMetrics, cosine));
}

/**
 * sae_norm_ratio:
 * @x: float32 [n_rows, d], the target
 * @x_hat: float32 [n_rows, d]
 * @d: width of a row
 *
 * Returns: mean over rows of ‖x_hat‖ / ‖x‖; NaN when the sizes do not fit
 * Since: 0.1
 */
gdouble
sae_norm_ratio (GBytes *x, GBytes *x_hat, guint d)
{
  return measure_one (x, x_hat, d, G_STRUCT_OFFSET (SaeMetrics, norm_ratio));
}
