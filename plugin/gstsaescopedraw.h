/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The picture of saescope, by cairo. What does not change from frame to frame
 * is drawn once. */
#pragma once

#include <cairo.h>
#include <glib.h>

#include "gstsaescopedata.h"

G_BEGIN_DECLS

/* Smaller frames have room for the raster only, and are filled by it. */
#define GST_SAE_SCOPE_MIN_PLOT_WIDTH 320
#define GST_SAE_SCOPE_MIN_PLOT_HEIGHT 200

typedef struct {
  double x, y, width, height;
} GstSaeScopeArea;

typedef struct {
  guint width, height;
  gboolean bare; /* the raster only */
  guint cell;    /* pixels of a column, and of a bucket where they are small */
  double font;   /* pixels */
  GstSaeScopeArea raster, histogram, curve;
  cairo_surface_t *backdrop, *surface; /* xRGB, native endian */
  cairo_t *cr;                         /* on surface */
  guint backdrop_d_sae;
  gboolean backdrop_loss;
  guint32 colours[256];
  gchar *title;
} GstSaeScopeDraw;

void gst_sae_scope_draw_clear (GstSaeScopeDraw *draw);
/* For frames of @width × @height. FALSE when memory is exhausted. */
gboolean gst_sae_scope_draw_set_up (GstSaeScopeDraw *draw, guint width,
    guint height, const gchar *title, GError **error);

/* Size of the raster that there is room for. */
guint gst_sae_scope_draw_n_columns (const GstSaeScopeDraw *draw);
guint gst_sae_scope_draw_n_buckets (const GstSaeScopeDraw *draw, guint d_sae);

/* Draws @data; the pixels are [height], @stride bytes each, until the next
 * call: 0x00RRGGBB in native endianness. */
const guint8 *gst_sae_scope_draw_frame (GstSaeScopeDraw *draw,
    const GstSaeScopeData *data, gint *stride);

G_END_DECLS
