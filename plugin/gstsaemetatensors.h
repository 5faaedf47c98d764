/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * GStreamer's own tensors (GstTensorMeta, from 1.26 on) as tensors of our
 * streams, and back. No bytes are copied. */
#pragma once

#include <gst/analytics/analytics.h>

#include "gstsaetensors.h"

G_BEGIN_DECLS

/* The tensors of @meta that are called @id (0: all of them), and in @data
 * (transfer none) the bytes of each. What comes from another element is
 * checked: type, layout, dimensions against bytes. Caps cannot say 0 rows:
 * where any of the tensors has none, n_tensors is 0. */
gboolean gst_sae_meta_tensors_read (GstTensorMeta *meta, GQuark id,
    GstSaeTensors *tensors, GstBuffer *data[GST_SAE_MAX_TENSORS],
    GError **error);

/* Adds a GstTensorMeta to @buffer (writable) with a tensor for each that
 * @reader has found in it; @header_size bytes are before each. One alone is
 * called @id, several @id-0, @id-1, … */
void gst_sae_meta_tensors_add (GstBuffer *buffer, const GstSaeReader *reader,
    gsize header_size, GQuark id);

G_END_DECLS
