/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The .npy array that a stream of tensors becomes: its outermost dimension
 * grows, the inner ones are those of the first tensor. */
#pragma once

#include "gstsaetensors.h"
#include "npy.h"

G_BEGIN_DECLS

typedef struct {
  gboolean known;
  GstSaeType type;
  guint n_inner;                   /* inner dimensions, at least 1 */
  guint32 inner[GST_SAE_MAX_RANK]; /* innermost first */
  gsize item_rows; /* rows of one item of the outermost dimension */
} GstSaeNpyShape;

/* Takes type and inner dimensions of a first tensor ("D:N" gives (…, D),
 * "D:tok:batch" gives (…, tok, D)), or checks that a later one has the same.
 * Refused by name: types that .npy files of ours do not have. */
gboolean gst_sae_npy_shape_accept (GstSaeNpyShape *shape,
    const GstSaeTensor *tensor, GError **error);

/* Items of the outermost dimension that @n_rows rows make. */
gboolean gst_sae_npy_shape_count_items (const GstSaeNpyShape *shape,
    gsize n_rows, guint64 *n_items, GError **error);

/* The header of a file of @n_items; its size does not depend on them.
 * (transfer full) */
GBytes *gst_sae_npy_shape_make_header (const GstSaeNpyShape *shape,
    guint64 n_items, GError **error);

G_END_DECLS
