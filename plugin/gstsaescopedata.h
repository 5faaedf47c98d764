/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saescope has seen: which latents were active lately, how often each
 * has fired, and curves of single numbers. No drawing. */
#pragma once

#include <glib.h>

#include "gstsaecodesreader.h"

G_BEGIN_DECLS

#define GST_SAE_SCOPE_CURVE_POINTS 512

/* A number over the rows of a whole run, whatever its length: each point is
 * the mean of as many values, and when there is no room for another one, pairs
 * become one. */
typedef struct {
  guint n;
  guint per_point; /* values in a point */
  guint n_pending;
  double pending; /* sum of those of the point to come */
  double last;
  double points[GST_SAE_SCOPE_CURVE_POINTS];
} GstSaeScopeCurve;

void gst_sae_scope_curve_reset (GstSaeScopeCurve *curve);
/* What is not finite is left out. */
void gst_sae_scope_curve_add (GstSaeScopeCurve *curve, double value);

typedef struct {
  guint d_sae;
  guint64 n_rows;
  guint64 *n_fired; /* [d_sae] */

  /* The raster: each column the largest values of some rows, each bucket those
   * of neighbouring latents. [n_buckets, n_columns]; columns are a ring. */
  guint n_columns, n_buckets;
  float *raster;
  float *peaks;       /* [n_columns]: largest value of each */
  guint64 *first_row; /* [n_columns] */
  guint *bucket;      /* [d_sae] */
  guint current;      /* column that rows go into */
  guint n_filled;     /* columns that have rows */
  guint in_current;   /* rows in it */
  guint rows_per_column;

  guint64 frame_rows, frame_firings; /* since the last frame */
  GstSaeScopeCurve l0;               /* active latents a row, by frame */
  GstSaeScopeCurve loss;             /* of the trainer upstream */
  double fvu;                        /* its last one; −1 before any */
} GstSaeScopeData;

void gst_sae_scope_data_clear (GstSaeScopeData *data);
/* For @d_sae latents and a raster of @n_columns × @n_buckets; forgets what was
 * there unless d_sae is the same: then only the raster, and not even that when
 * its size is. FALSE when memory is exhausted. */
gboolean gst_sae_scope_data_set_up (GstSaeScopeData *data, guint d_sae,
    guint n_columns, guint n_buckets, GError **error);
/* Begins the raster anew where that changes anything. */
void gst_sae_scope_data_set_rows_per_column (GstSaeScopeData *data, guint rows);
/* Row @row of the stream: its codes' place @r. */
void gst_sae_scope_data_add (GstSaeScopeData *data,
    const GstSaeCodesReader *codes, gsize r, guint64 row);
/* Begins another frame. */
void gst_sae_scope_data_end_frame (GstSaeScopeData *data);

/* Column @i of those that are filled, from the oldest on: its place in the
 * ring. */
static inline guint
gst_sae_scope_data_column (const GstSaeScopeData *data, guint i)
{
  return (data->current + data->n_columns - data->n_filled + 1 + i) %
         data->n_columns;
}

G_END_DECLS
