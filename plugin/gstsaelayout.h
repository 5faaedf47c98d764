/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where rows are in a stream of bytes: raw rows, or .npy files one after the
 * other, all of the same element type and width. Everything follows from byte
 * offsets, so that reading can go on anywhere after a seek. */
#pragma once

#include "gstsaerows.h"

G_BEGIN_DECLS

#define GST_SAE_ENDLESS G_MAXUINT64

/* What the user said of the bytes; 0 and -1 where nothing. */
typedef struct {
  guint width;
  gint dtype; /* SaeDtype or -1 */
} GstSaeLayoutHints;

/* One .npy file in the stream, or all of it when it is raw. */
typedef struct {
  guint64 offset;    /* of its header */
  gsize header_size; /* 0 when raw */
  guint64 n_rows;    /* declared; GST_SAE_ENDLESS when raw */
  guint64 first_row; /* counted from the start of the stream */
} GstSaeArray;

typedef struct {
  gboolean known;     /* nothing else is set before a beginning was accepted */
  SaeDtype dtype;     /* in the bytes */
  gsize row_size;     /* in the bytes */
  GstSaeNpyRows rows; /* as sent: bfloat16 is widened to float32 */
  GstSaeArray first, current;
} GstSaeLayout;

void gst_sae_layout_clear (GstSaeLayout *layout);

/* Whether @size first bytes begin an .npy header. */
gboolean gst_sae_layout_is_npy (const guint8 *data, gsize size);

/* Begins raw rows at byte 0: the hints must say the width, a missing dtype is
 * float32. */
gboolean gst_sae_layout_begin_raw (GstSaeLayout *layout,
    const GstSaeLayoutHints *hints, GError **error);

/* Takes the header at @offset as that of the current file: the first one, or
 * one more of the same rows. It must not contradict the hints. */
gboolean
gst_sae_layout_accept_header (GstSaeLayout *layout, const SaeNpyHeader *header,
    guint64 offset, const GstSaeLayoutHints *hints, GError **error);

typedef enum {
  GST_SAE_AT_HEADER, /* a header has to begin here */
  GST_SAE_AT_ROW,    /* row @row of the current file begins here */
  GST_SAE_INSIDE,    /* inside something: go on after @skip bytes */
} GstSaePlaceKind;

typedef struct {
  GstSaePlaceKind kind;
  guint64 row;
  guint64 skip;
} GstSaePlace;

/* What is at byte @offset of the stream, a known one; moves the current file
 * there. Files that were never seen are taken to be like the nearest one that
 * was. */
GstSaePlace gst_sae_layout_locate (GstSaeLayout *layout, guint64 offset);

/* Byte where a row of the stream begins (GST_SAE_ENDLESS on overflow), and the
 * row that holds a byte (of a header: the row behind it). */
guint64 gst_sae_layout_row_to_offset (const GstSaeLayout *layout, guint64 row);
guint64
gst_sae_layout_offset_to_row (const GstSaeLayout *layout, guint64 offset);

/* Rows of a stream of @size bytes; when @size is -1 what the header declares,
 * as long as it is the only one. -1 when that is not known. */
gint64 gst_sae_layout_count_rows (const GstSaeLayout *layout, gint64 size);

G_END_DECLS
