/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaescopedraw.h"

#include <math.h>
#include <string.h>

#define BACK 0x101218
#define PANEL 0x171a22
#define LINE 0x343945
#define TEXT 0xdfe2e8
#define SOFT 0x9aa0ad
#define ACCENT 0xf98e09
#define BARS 0x8f6bd8

/* The least of what is active is apart from what is not. */
#define FAINTEST 44

#define LOWEST_DECADE (-5)
#define BINS_PER_DECADE 4
#define N_BINS (-LOWEST_DECADE * BINS_PER_DECADE)

/* --- colours of values ---------------------------------------------------- */

/* Dark to light in even steps, as perceptually uniform maps go. */
static const guint8 anchors[][3] = {{23, 26, 34}, {66, 24, 104}, {124, 33, 112},
    {186, 54, 85}, {229, 92, 48}, {250, 157, 22}, {252, 225, 120},
    {253, 252, 215}};

static void
make_colours (guint32 colours[256])
{
  const double steps = G_N_ELEMENTS (anchors) - 1;

  for (guint i = 0; i < 256; i++) {
    double at = i / 255.0 * steps;
    guint low = MIN ((guint) at, G_N_ELEMENTS (anchors) - 2);
    double part = at - low;
    colours[i] = 0;
    for (guint c = 0; c < 3; c++)
      colours[i] =
          colours[i] << 8 | (guint32) (anchors[low][c] * (1 - part) +
                                       anchors[low + 1][c] * part + 0.5);
  }
}

/* --- text and lines ------------------------------------------------------- */

static void
set_colour (cairo_t *cr, guint32 rgb)
{
  cairo_set_source_rgb (cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0,
      (rgb & 255) / 255.0);
}

/* @align: share of the text's width that lies left of @x. */
static void
draw_text (cairo_t *cr, double x, double y, double align, guint32 colour,
    const gchar *text)
{
  cairo_text_extents_t extents;

  cairo_text_extents (cr, text, &extents);
  set_colour (cr, colour);
  cairo_move_to (cr, x - align * extents.x_advance, y);
  cairo_show_text (cr, text);
}

static void
fill_area (cairo_t *cr, const GstSaeScopeArea *area, guint32 colour)
{
  set_colour (cr, colour);
  cairo_rectangle (cr, area->x, area->y, area->width, area->height);
  cairo_fill (cr);
}

/* 12345678 as 12,345,678 */
static const gchar *
format_count (guint64 n, gchar text[32])
{
  gchar digits[24];
  gint length = g_snprintf (digits, sizeof digits, "%" G_GUINT64_FORMAT, n);
  gchar *out = text;

  for (gint i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0)
      *out++ = ',';
    *out++ = digits[i];
  }
  *out = '\0';
  return text;
}

/* Three significant digits, with a point in every locale. */
static const gchar *
format_value (double value, gchar text[32])
{
  double size = fabs (value);
  const gchar *format = size == 0                    ? "%.0f"
                        : size >= 1e5 || size < 1e-3 ? "%.2e"
                        : size >= 100                ? "%.0f"
                        : size >= 10                 ? "%.1f"
                        : size >= 1                  ? "%.2f"
                                                     : "%.3f";

  return g_ascii_formatd (text, 32, format, value);
}

/* The least of 1, 2, 5, 10, … that is @least or more. */
static guint64
nice_step (double least)
{
  double decade = pow (10, floor (log10 (MAX (least, 1))));

  for (guint i = 0; i < 3; i++) {
    double step = decade * (i == 0 ? 1 : i == 1 ? 2 : 5);
    if (step >= least)
      return (guint64) step;
  }
  return (guint64) (decade * 10);
}

/* --- where things are ----------------------------------------------------- */

static double
round_down (double size, guint unit)
{
  return floor (size / unit) * unit;
}

static void
place_plots (GstSaeScopeDraw *draw)
{
  double line = draw->font * 1.4, edge = draw->font * 1.2;
  double left = edge + draw->font * 4, top = edge + line * 1.6;
  double bottom = draw->height - edge - line * 1.1;
  double middle = floor (draw->width * 0.64), right = draw->width - edge;
  double plot_left = middle + edge * 2;
  double half = (bottom - top - line * 3.1) / 2;

  draw->raster = (GstSaeScopeArea){round (left), round (top),
      round_down (middle - left, draw->cell),
      round_down (bottom - top, draw->cell)};
  draw->histogram = (GstSaeScopeArea){plot_left, round (top), right - plot_left,
      round (half)};
  draw->curve = (GstSaeScopeArea){plot_left, round (bottom - half),
      right - plot_left, round (half)};
}

static void
place (GstSaeScopeDraw *draw)
{
  draw->bare = draw->width < GST_SAE_SCOPE_MIN_PLOT_WIDTH ||
               draw->height < GST_SAE_SCOPE_MIN_PLOT_HEIGHT;
  draw->cell = draw->bare ? 1 : MAX (1, (draw->height + 180) / 360);
  draw->font = CLAMP (round (draw->height / 38.0), 9, 40);
  draw->raster = (GstSaeScopeArea){0, 0, draw->width, draw->height};
  if (!draw->bare)
    place_plots (draw);
}

guint
gst_sae_scope_draw_n_columns (const GstSaeScopeDraw *draw)
{
  return MAX (1, (guint) draw->raster.width / draw->cell);
}

guint
gst_sae_scope_draw_n_buckets (const GstSaeScopeDraw *draw, guint d_sae)
{
  return CLAMP ((guint) draw->raster.height / draw->cell, 1, d_sae);
}

/* --- life ----------------------------------------------------------------- */

void
gst_sae_scope_draw_clear (GstSaeScopeDraw *draw)
{
  g_clear_pointer (&draw->cr, cairo_destroy);
  g_clear_pointer (&draw->surface, cairo_surface_destroy);
  g_clear_pointer (&draw->backdrop, cairo_surface_destroy);
  g_clear_pointer (&draw->title, g_free);
  draw->width = draw->height = 0;
}

gboolean
gst_sae_scope_draw_set_up (GstSaeScopeDraw *draw, guint width, guint height,
    const gchar *title, GError **error)
{
  gst_sae_scope_draw_clear (draw);
  draw->backdrop = cairo_image_surface_create (CAIRO_FORMAT_RGB24, (int) width,
      (int) height);
  draw->surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24, (int) width,
      (int) height);
  draw->cr = cairo_create (draw->surface);
  if (cairo_surface_status (draw->backdrop) != CAIRO_STATUS_SUCCESS ||
      cairo_status (draw->cr) != CAIRO_STATUS_SUCCESS) {
    gst_sae_scope_draw_clear (draw);
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no memory for frames of %u × %u", width, height);
    return FALSE;
  }
  draw->width = width;
  draw->height = height;
  draw->title = g_strdup (title);
  draw->backdrop_d_sae = 0;
  make_colours (draw->colours);
  place (draw);
  cairo_select_font_face (draw->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
      CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size (draw->cr, draw->font);
  return TRUE;
}

/* --- what does not change ------------------------------------------------- */

static gboolean
fits (cairo_t *cr, const gchar *text, double room)
{
  cairo_text_extents_t extents;

  cairo_text_extents (cr, text, &extents);
  return extents.x_advance <= room;
}

/* The first of @titles (NULL-terminated) that fits into @room, which others
 * leave at the right. Of the last one as much as does. */
static void
draw_panel (cairo_t *cr, const GstSaeScopeArea *area,
    const gchar *const *titles, double room, double font)
{
  g_autofree gchar *title = NULL;

  while (titles[1] && !fits (cr, titles[0], room))
    titles++;
  title = g_strdup (titles[0]);
  for (glong n = g_utf8_strlen (title, -1); n > 0 && !fits (cr, title, room);
       n--) {
    g_autofree gchar *start = g_utf8_substring (titles[0], 0, n - 1);
    g_free (title);
    title = g_strconcat (start, "…", NULL);
  }
  fill_area (cr, area, PANEL);
  draw_text (cr, area->x, area->y - font * 0.75, 0, TEXT, title);
}

/* Ticks of the latents' numbers. */
static void
draw_latent_axis (const GstSaeScopeDraw *draw, cairo_t *cr, guint d_sae)
{
  const GstSaeScopeArea *area = &draw->raster;
  guint64 step = nice_step (d_sae * draw->font * 3 / area->height);
  gchar text[32];

  for (guint64 latent = 0; latent < d_sae; latent += step) {
    double y = area->y + area->height * (double) latent / d_sae;
    draw_text (cr, area->x - draw->font * 0.6, y + draw->font * 0.38, 1, SOFT,
        format_count (latent, text));
    set_colour (cr, LINE);
    cairo_rectangle (cr, area->x - draw->font * 0.35, round (y),
        draw->font * 0.35, 1);
    cairo_fill (cr);
  }
}

static double
x_of_log10 (const GstSaeScopeArea *area, double log10_frequency)
{
  return area->x +
         area->width * (log10_frequency - LOWEST_DECADE) / -LOWEST_DECADE;
}

static void
draw_frequency_axis (const GstSaeScopeDraw *draw, cairo_t *cr)
{
  static const gchar *const labels[] = {"10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹",
      "1"};
  const GstSaeScopeArea *area = &draw->histogram;
  gint step = area->width / -LOWEST_DECADE < draw->font * 3.2 ? 2 : 1;

  for (gint i = -LOWEST_DECADE; i >= 0; i -= step)
    draw_text (cr, x_of_log10 (area, LOWEST_DECADE + i),
        area->y + area->height + draw->font * 1.25, (double) i / -LOWEST_DECADE,
        SOFT, labels[i]);
}

static cairo_t *
begin_backdrop (GstSaeScopeDraw *draw)
{
  cairo_t *cr = cairo_create (draw->backdrop);

  set_colour (cr, BACK);
  cairo_paint (cr);
  cairo_select_font_face (cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
      CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size (cr, draw->font);
  return cr;
}

static void
draw_backdrop (GstSaeScopeDraw *draw, const GstSaeScopeData *data)
{
  const gchar *const own[] = {draw->title, NULL};
  static const gchar *const raster[] = {"active latents, by number, row by row",
      "active latents, by number", "active latents", NULL};
  static const gchar *const frequencies[] =
      {"how often latents fire, share of rows", "how often latents fire",
          "how often", NULL};
  static const gchar *const loss[] = {"training loss", "loss", NULL};
  static const gchar *const active[] = {"active latents a row", "active", NULL};
  cairo_t *cr = begin_backdrop (draw);
  double font = draw->font;

  if (!draw->bare) {
    draw_panel (cr, &draw->raster, draw->title ? own : raster,
        draw->raster.width - font * 10, font);
    draw_panel (cr, &draw->histogram, frequencies, draw->histogram.width, font);
    draw_panel (cr, &draw->curve, data->loss.n ? loss : active,
        draw->curve.width - font * (data->loss.n ? 9 : 3), font);
    draw_latent_axis (draw, cr, data->d_sae);
    draw_frequency_axis (draw, cr);
  }
  cairo_destroy (cr);
  cairo_surface_flush (draw->backdrop);
  draw->backdrop_d_sae = data->d_sae;
  draw->backdrop_loss = data->loss.n > 0;
}

static void
copy_backdrop (GstSaeScopeDraw *draw)
{
  gsize stride = (gsize) cairo_image_surface_get_stride (draw->surface);

  cairo_surface_flush (draw->surface);
  memcpy (cairo_image_surface_get_data (draw->surface),
      cairo_image_surface_get_data (draw->backdrop), stride * draw->height);
  cairo_surface_mark_dirty (draw->surface);
}

/* --- raster --------------------------------------------------------------- */

/* What is as bright as can be: the mean over the columns of their largest
 * values, so that one that is out of all proportion does not darken the rest.
 */
static float
find_scale (const GstSaeScopeData *data)
{
  double sum = 0;

  for (guint i = 0; i < data->n_filled; i++)
    sum += data->peaks[gst_sae_scope_data_column (data, i)];
  return (float) (sum / MAX (data->n_filled, 1));
}

static guint32
colour_of (const GstSaeScopeDraw *draw, float value, float scale)
{
  float share;

  if (value <= 0 || scale <= 0)
    return draw->colours[0];
  share = MIN (value / scale, 1);
  return draw->colours[FAINTEST + (guint) ((255 - FAINTEST) * share)];
}

/* One line of pixels: the newest column is at the right edge. */
static void
draw_raster_line (const GstSaeScopeDraw *draw, const GstSaeScopeData *data,
    const float *values, float scale, guint32 *pixels)
{
  guint cell = draw->cell, empty = data->n_columns - data->n_filled;

  for (guint i = 0; i < data->n_columns; i++) {
    guint32 colour = draw->colours[0];
    if (i >= empty)
      colour = colour_of (draw,
          values[gst_sae_scope_data_column (data, i - empty)], scale);
    for (guint j = 0; j < cell; j++)
      *pixels++ = colour;
  }
}

static void
draw_raster (GstSaeScopeDraw *draw, const GstSaeScopeData *data)
{
  const GstSaeScopeArea *area = &draw->raster;
  gsize stride = (gsize) cairo_image_surface_get_stride (draw->surface);
  guint8 *pixels = cairo_image_surface_get_data (draw->surface) +
                   (gsize) area->y * stride + (gsize) area->x * 4;
  guint height = (guint) area->height, drawn = G_MAXUINT;
  gsize width = (gsize) data->n_columns * draw->cell * 4;
  float scale = find_scale (data);

  cairo_surface_flush (draw->surface);
  for (guint y = 0; y < height; y++, pixels += stride) {
    guint bucket = (guint) ((guint64) y * data->n_buckets / height);
    if (bucket == drawn) {
      memcpy (pixels, pixels - stride, width);
      continue;
    }
    draw_raster_line (draw, data,
        data->raster + (gsize) bucket * data->n_columns, scale,
        (guint32 *) pixels);
    drawn = bucket;
  }
  cairo_surface_mark_dirty (draw->surface);
}

/* Numbers of rows under the columns that they begin. */
static void
draw_row_axis (GstSaeScopeDraw *draw, const GstSaeScopeData *data)
{
  const GstSaeScopeArea *area = &draw->raster;
  double y = area->y + area->height + draw->font * 1.25;
  guint empty = data->n_columns - data->n_filled;
  double rows = (double) data->rows_per_column * data->n_columns;
  guint64 step = nice_step (rows * draw->font * 7 / area->width);
  gchar text[32];

  for (guint i = 1; i < data->n_filled; i++) {
    guint64 before = data->first_row[gst_sae_scope_data_column (data, i - 1)];
    guint64 row = data->first_row[gst_sae_scope_data_column (data, i)];
    double x = area->x + (double) ((empty + i) * draw->cell);
    if (row / step == before / step || row < before ||
        x < area->x + draw->font * 4 ||
        x > area->x + area->width - draw->font * 3)
      continue;
    set_colour (draw->cr, LINE);
    cairo_rectangle (draw->cr, x, area->y + area->height, 1, draw->font * 0.35);
    cairo_fill (draw->cr);
    draw_text (draw->cr, x, y, 0.5, SOFT,
        format_count (row / step * step, text));
  }
  draw_text (draw->cr, area->x, y, 0, SOFT, "row");
}

/* What the colours stand for. */
static void
draw_legend (GstSaeScopeDraw *draw, const GstSaeScopeData *data)
{
  const GstSaeScopeArea *area = &draw->raster;
  gchar text[32];
  const gchar *most = format_value (find_scale (data), text);
  guint width = (guint) (draw->font * 5), height = (guint) (draw->font * 0.6);
  double right = area->x + area->width, y = area->y - draw->font * 0.75;
  double x = round (right - draw->font * 3 - width);

  for (guint i = 0; i < width; i++) {
    guint share = (255 - FAINTEST) * i / width;
    set_colour (draw->cr, draw->colours[FAINTEST + share]);
    cairo_rectangle (draw->cr, x + i, round (y - height), 1, height);
    cairo_fill (draw->cr);
  }
  draw_text (draw->cr, x - draw->font * 0.5, y, 1, SOFT, "0");
  draw_text (draw->cr, right, y, 1, SOFT, most);
}

/* --- histogram ------------------------------------------------------------ */

static void
count_bins (const GstSaeScopeData *data, guint bins[N_BINS], guint *n_never)
{
  double log10_rows = log10 ((double) MAX (data->n_rows, 1));

  memset (bins, 0, N_BINS * sizeof *bins);
  *n_never = 0;
  for (guint i = 0; i < data->d_sae; i++) {
    double above;
    if (data->n_fired[i] == 0) {
      (*n_never)++;
      continue;
    }
    above = log10 ((double) data->n_fired[i]) - log10_rows - LOWEST_DECADE;
    bins[CLAMP ((gint) (above * BINS_PER_DECADE), 0, N_BINS - 1)]++;
  }
}

static void
draw_histogram (GstSaeScopeDraw *draw, const GstSaeScopeData *data)
{
  const GstSaeScopeArea *area = &draw->histogram;
  double width = area->width / N_BINS;
  guint bins[N_BINS], n_never, most = 1;
  gchar count[32], share[32], text[96];

  count_bins (data, bins, &n_never);
  for (guint bin = 0; bin < N_BINS; bin++)
    most = MAX (most, bins[bin]);
  set_colour (draw->cr, BARS);
  for (guint bin = 0; bin < N_BINS; bin++) {
    double height =
        (area->height - draw->font * 1.9) * (double) bins[bin] / most;
    if (bins[bin] > 0)
      cairo_rectangle (draw->cr, area->x + bin * width + 1,
          area->y + area->height - MAX (height, 1), MAX (width - 2, 1),
          MAX (height, 1));
  }
  cairo_fill (draw->cr);
  g_snprintf (text, sizeof text, "%s of %s never",
      format_count (n_never, count), format_count (data->d_sae, share));
  draw_text (draw->cr, area->x + area->width - draw->font * 0.5,
      area->y + draw->font * 1.35, 1, SOFT, text);
}

/* --- curve ---------------------------------------------------------------- */

typedef struct {
  double low, high; /* of what is drawn, after the logarithm if there is one */
  gboolean log;
} Scale;

static double
scaled (const Scale *scale, double value)
{
  return scale->log ? log10 (MAX (value, 1e-12)) : value;
}

static Scale
find_curve_scale (const GstSaeScopeCurve *curve, gboolean want_log)
{
  Scale scale = {0};
  double least = G_MAXDOUBLE, most = 0;

  for (guint i = 0; i < curve->n; i++) {
    least = MIN (least, curve->points[i]);
    most = MAX (most, curve->points[i]);
  }
  scale.log = want_log && least > 0;
  scale.low = scale.log ? log10 (least) : 0;
  scale.high = scaled (&scale, most);
  if (scale.high - scale.low < 1e-9)
    scale.high = scale.low + 1;
  scale.high += (scale.high - scale.low) * 0.12;
  return scale;
}

static double
unscaled (const Scale *scale, double value)
{
  return scale->log ? pow (10, value) : value;
}

/* What the lower and the upper edge stand for. */
static void
draw_curve_labels (GstSaeScopeDraw *draw, const Scale *scale)
{
  const GstSaeScopeArea *area = &draw->curve;
  gchar text[32];

  draw_text (draw->cr, area->x, area->y + area->height + draw->font * 1.25, 0,
      SOFT, format_value (unscaled (scale, scale->low), text));
  draw_text (draw->cr, area->x + draw->font * 0.5, area->y + draw->font * 1.35,
      0, SOFT, format_value (unscaled (scale, scale->high), text));
}

/* One point is a dot. */
static void
draw_curve (GstSaeScopeDraw *draw, const GstSaeScopeCurve *curve,
    gboolean want_log)
{
  const GstSaeScopeArea *area = &draw->curve;
  double pad = draw->font * 0.5, width = area->width - 2 * pad;
  Scale scale = find_curve_scale (curve, want_log);

  draw_curve_labels (draw, &scale);
  cairo_new_path (draw->cr);
  for (guint i = 0; i < curve->n; i++) {
    double share = (scaled (&scale, curve->points[i]) - scale.low) /
                   (scale.high - scale.low);
    cairo_line_to (draw->cr,
        area->x + pad + width * (double) i / MAX (curve->n - 1, 1),
        area->y + area->height - pad - (area->height - 2 * pad) * share);
  }
  if (curve->n == 1)
    cairo_rel_line_to (draw->cr, 0, 0);
  set_colour (draw->cr, ACCENT);
  cairo_set_line_width (draw->cr, MAX (1.5, draw->font / 9));
  cairo_set_line_cap (draw->cr, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_join (draw->cr, CAIRO_LINE_JOIN_ROUND);
  cairo_stroke (draw->cr);
}

static void
draw_curve_text (GstSaeScopeDraw *draw, const GstSaeScopeData *data)
{
  const GstSaeScopeArea *area = &draw->curve;
  double right = area->x + area->width;
  gchar value[32], fvu[32], text[96];

  if (data->loss.n == 0)
    g_snprintf (text, sizeof text, "%s", format_value (data->l0.last, value));
  else
    g_snprintf (text, sizeof text, "%s   fvu %s",
        format_value (data->loss.last, value), format_value (data->fvu, fvu));
  draw_text (draw->cr, right, area->y - draw->font * 0.75, 1, ACCENT, text);
  g_snprintf (text, sizeof text, "%s rows seen",
      format_count (data->n_rows, value));
  draw_text (draw->cr, right, area->y + area->height + draw->font * 1.25, 1,
      SOFT, text);
}

/* --- all of it ------------------------------------------------------------ */

const guint8 *
gst_sae_scope_draw_frame (GstSaeScopeDraw *draw, const GstSaeScopeData *data,
    gint *stride)
{
  gboolean has_loss = data->loss.n > 0;

  if (draw->backdrop_d_sae != data->d_sae || draw->backdrop_loss != has_loss)
    draw_backdrop (draw, data);
  copy_backdrop (draw);
  draw_raster (draw, data);
  if (!draw->bare) {
    draw_row_axis (draw, data);
    draw_legend (draw, data);
    draw_histogram (draw, data);
    draw_curve (draw, has_loss ? &data->loss : &data->l0, has_loss);
    draw_curve_text (draw, data);
  }
  cairo_surface_flush (draw->surface);
  *stride = cairo_image_surface_get_stride (draw->surface);
  return cairo_image_surface_get_data (draw->surface);
}
