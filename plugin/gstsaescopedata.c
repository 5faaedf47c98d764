/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaescopedata.h"

#include <math.h>
#include <string.h>

/* --- curves --------------------------------------------------------------- */

void
gst_sae_scope_curve_reset (GstSaeScopeCurve *curve)
{
  curve->n = 0;
  curve->per_point = 1;
  curve->n_pending = 0;
  curve->pending = 0;
  curve->last = 0;
}

static void
join_pairs (GstSaeScopeCurve *curve)
{
  curve->n /= 2;
  for (guint i = 0; i < curve->n; i++)
    curve->points[i] = (curve->points[2 * i] + curve->points[2 * i + 1]) / 2;
  curve->per_point *= 2;
}

void
gst_sae_scope_curve_add (GstSaeScopeCurve *curve, double value)
{
  if (!isfinite (value))
    return;
  curve->last = value;
  curve->pending += value;
  if (++curve->n_pending < curve->per_point)
    return;
  if (curve->n == GST_SAE_SCOPE_CURVE_POINTS)
    join_pairs (curve);
  curve->points[curve->n++] = curve->pending / curve->n_pending;
  curve->n_pending = 0;
  curve->pending = 0;
}

/* --- rows ----------------------------------------------------------------- */

static void
clear_raster (GstSaeScopeData *data)
{
  g_clear_pointer (&data->raster, g_free);
  g_clear_pointer (&data->peaks, g_free);
  g_clear_pointer (&data->first_row, g_free);
  g_clear_pointer (&data->bucket, g_free);
  data->n_columns = data->n_buckets = 0;
}

void
gst_sae_scope_data_clear (GstSaeScopeData *data)
{
  clear_raster (data);
  g_clear_pointer (&data->n_fired, g_free);
  data->d_sae = 0;
}

static gboolean
refuse_memory (guint d_sae, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "no memory to show %u latents", d_sae);
  return FALSE;
}

static gboolean
set_up_counts (GstSaeScopeData *data, guint d_sae)
{
  gst_sae_scope_data_clear (data);
  data->n_fired = g_try_new0 (guint64, d_sae);
  data->d_sae = data->n_fired ? d_sae : 0;
  data->n_rows = 0;
  data->frame_rows = data->frame_firings = 0;
  data->rows_per_column = MAX (data->rows_per_column, 1);
  gst_sae_scope_curve_reset (&data->l0);
  return data->n_fired != NULL;
}

static gboolean
set_up_raster (GstSaeScopeData *data, guint n_columns, guint n_buckets)
{
  gsize size = (gsize) n_columns * n_buckets;

  clear_raster (data);
  data->raster = g_try_new0 (float, size);
  data->peaks = g_try_new0 (float, n_columns);
  data->first_row = g_try_new0 (guint64, n_columns);
  data->bucket = g_try_new (guint, data->d_sae);
  if (!data->raster || !data->peaks || !data->first_row || !data->bucket)
    return FALSE;
  for (guint i = 0; i < data->d_sae; i++)
    data->bucket[i] = (guint) ((guint64) i * n_buckets / data->d_sae);
  data->n_columns = n_columns;
  data->n_buckets = n_buckets;
  data->current = 0;
  data->n_filled = 0;
  data->in_current = 0;
  return TRUE;
}

gboolean
gst_sae_scope_data_set_up (GstSaeScopeData *data, guint d_sae, guint n_columns,
    guint n_buckets, GError **error)
{
  if (data->d_sae != d_sae && !set_up_counts (data, d_sae))
    return refuse_memory (d_sae, error);
  if ((data->n_columns != n_columns || data->n_buckets != n_buckets) &&
      !set_up_raster (data, n_columns, n_buckets)) {
    clear_raster (data);
    return refuse_memory (d_sae, error);
  }
  return TRUE;
}

void
gst_sae_scope_data_set_rows_per_column (GstSaeScopeData *data, guint rows)
{
  rows = MAX (rows, 1);
  if (rows == data->rows_per_column)
    return;
  data->rows_per_column = rows;
  data->n_filled = 0;
}

/* The oldest column makes room where all are filled. */
static void
begin_column (GstSaeScopeData *data, guint64 row)
{
  if (data->n_filled > 0)
    data->current = (data->current + 1) % data->n_columns;
  data->n_filled = MIN (data->n_filled + 1, data->n_columns);
  for (guint b = 0; b < data->n_buckets; b++)
    data->raster[(gsize) b * data->n_columns + data->current] = 0;
  data->peaks[data->current] = 0;
  data->first_row[data->current] = row;
  data->in_current = 0;
}

void
gst_sae_scope_data_add (GstSaeScopeData *data, const GstSaeCodesReader *codes,
    gsize r, guint64 row)
{
  gsize first = codes->offsets[r], end = codes->offsets[r + 1];

  if (data->n_filled == 0 || data->in_current >= data->rows_per_column)
    begin_column (data, row);
  data->in_current++;
  data->n_rows++;
  data->frame_rows++;
  for (gsize p = first; p < end; p++) {
    guint latent = codes->indices[p];
    float value = codes->values[p];
    float *cell = data->raster +
                  (gsize) data->bucket[latent] * data->n_columns +
                  data->current;
    if (!(value > 0))
      continue;
    data->n_fired[latent]++;
    data->frame_firings++;
    *cell = MAX (*cell, value);
    data->peaks[data->current] = MAX (data->peaks[data->current], value);
  }
}

void
gst_sae_scope_data_end_frame (GstSaeScopeData *data)
{
  if (data->frame_rows > 0)
    gst_sae_scope_curve_add (&data->l0,
        (double) data->frame_firings / (double) data->frame_rows);
  data->frame_rows = 0;
  data->frame_firings = 0;
}
