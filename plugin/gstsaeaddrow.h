/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sums in the type of a stream. */
#pragma once

#include "gstsaetensors.h"

G_BEGIN_DECLS

/* y = x + sign·delta, over @n numbers of @type, one of the floating ones; @x
 * and @y lie anywhere. float64 is added in float64; float16 in float32 and then
 * rounded. FALSE when what was finite becomes an infinity. */
gboolean gst_sae_add_row (GstSaeType type, const guint8 *x, const float *delta,
    float sign, gsize n, guint8 *y);

G_END_DECLS
