/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tensors of floating types as float32. */
#pragma once

#include "gstsaetensors.h"

G_BEGIN_DECLS

/* Scratch that only grows. */
typedef struct {
  float *data;
  gsize n;
} GstSaeFloats;

void gst_sae_floats_clear (GstSaeFloats *floats);

/* Tensor @index of the opened @reader as float32: in place where it is float32
 * on a 4-byte boundary, else converted into @floats. NULL with @error set when
 * the type is not floating or memory is exhausted. */
const float *gst_sae_floats_get (GstSaeFloats *floats,
    const GstSaeReader *reader, guint index, GError **error);

G_END_DECLS
