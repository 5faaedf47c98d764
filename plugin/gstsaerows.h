/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows as a unit of streams: GST_FORMAT_DEFAULT counts them, and they have a
 * size in bytes and, with a rate, a time. */
#pragma once

#include <gst/gst.h>

#include "gstsaetensors.h"
#include "npy.h"

G_BEGIN_DECLS

/* Pad template caps of rows from files; framerate and dimensions are open. */
#define GST_SAE_ROWS_CAPS                                                      \
  "other/tensors, format=(string)static, num_tensors=(int)1, "                 \
  "types=(string){ float32, float16, float64 }"

typedef struct {
  gsize row_size;      /* bytes of a row; 0 when not known */
  gint rate_n, rate_d; /* rows per second; 0/1 when rows have no time */
} GstSaeRowUnits;

/* Start of @row, rounded down to ns. GST_CLOCK_TIME_NONE without a rate. */
GstClockTime
gst_sae_row_units_get_time (const GstSaeRowUnits *units, guint64 row);

/* Converts between DEFAULT, BYTES and TIME. BYTES are rounded down to whole
 * rows, TIME up to the first row that starts there or later, so that the start
 * of a row converts back to the same row. -1 stays -1. FALSE when a unit is
 * not known or the result overflows. */
gboolean gst_sae_row_units_convert (const GstSaeRowUnits *units,
    GstFormat src_format, gint64 src, GstFormat dst_format, gint64 *dst);

/* Answers CONVERT; the others of a duration in rows, -1 when unknown. */
gboolean
gst_sae_row_units_answer_convert (const GstSaeRowUnits *units, GstQuery *query);
gboolean gst_sae_row_units_answer_duration (const GstSaeRowUnits *units,
    GstQuery *query, gint64 n_rows);

/* Buffers of @n_rows each second, as caps have it; 0/1 without a rate or when
 * the fraction does not fit. */
void gst_sae_row_units_get_framerate (const GstSaeRowUnits *units, guint n_rows,
    gint *fps_n, gint *fps_d);

/* What an .npy file says of its rows: the innermost dimension is a row, the
 * others are flattened. */
typedef struct {
  GstSaeType type;
  guint32 width; /* elements of a row */
  gsize row_size;
  guint64 n_rows;
} GstSaeNpyRows;

/* Refused by name: element types other than float32, float16 and float64, and
 * arrays of fewer than two dimensions. */
gboolean gst_sae_npy_rows_from_header (GstSaeNpyRows *rows,
    const SaeNpyHeader *header, GError **error);

/* Caps of @n_rows such rows. (transfer full) */
GstCaps *gst_sae_npy_rows_to_caps (const GstSaeNpyRows *rows, guint n_rows,
    gint fps_n, gint fps_d);

/* Files are little-endian, streams native: reverses the bytes of each element
 * in place on a big-endian machine, and does nothing elsewhere. */
void
gst_sae_swap_file_elements (guint8 *data, gsize n_elements, gsize element_size);

G_END_DECLS
