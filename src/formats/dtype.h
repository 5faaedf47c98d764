/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Element types of tensors in files and streams. Bytes in files are
 * little-endian; a big-endian machine swaps at this layer. */
#pragma once

#include "sae-error.h"

typedef enum {
  SAE_DTYPE_FLOAT32,
  SAE_DTYPE_FLOAT64,
  SAE_DTYPE_FLOAT16,
  SAE_DTYPE_BFLOAT16,
  SAE_DTYPE_UINT32,
  SAE_DTYPE_UINT8,
} SaeDtype;

/* Bytes of one element. */
gsize sae_dtype_size (SaeDtype dtype);

/* "float32", "float64", "float16", "bfloat16", "uint32", "uint8". */
const char *sae_dtype_name (SaeDtype dtype);
gboolean sae_dtype_from_name (const char *name, SaeDtype *dtype);

/* TRUE for the four floating types. */
gboolean sae_dtype_is_float (SaeDtype dtype);

/* Converts n little-endian elements at src (any alignment) to native float32.
 * Exact for float16 and bfloat16, rounded to nearest even for float64.
 * dtype must be a floating type. dst and src must not overlap. */
void
sae_dtype_to_float32 (SaeDtype dtype, const void *src, gsize n, float *dst);

/* The bits of the nearest float16, ties to even; infinity from 65,520 on. */
guint16 sae_dtype_float16_from_float32 (float value);
