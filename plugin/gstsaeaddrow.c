/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeaddrow.h"

#include <math.h>
#include <string.h>

#define FLOAT16_INFINITY 0x7c00

static gboolean
add_float32 (const guint8 *x, const float *delta, float sign, gsize n,
    guint8 *y)
{
  gboolean fits = TRUE;

  for (gsize j = 0; j < n; j++) {
    float value, sum;
    memcpy (&value, x + j * sizeof value, sizeof value);
    sum = value + sign * delta[j];
    fits &= isfinite (sum) || !isfinite (value);
    memcpy (y + j * sizeof sum, &sum, sizeof sum);
  }
  return fits;
}

/* Too wide for a float32 to make a finite number infinite. */
static void
add_float64 (const guint8 *x, const float *delta, float sign, gsize n,
    guint8 *y)
{
  for (gsize j = 0; j < n; j++) {
    double value;
    memcpy (&value, x + j * sizeof value, sizeof value);
    value += (double) (sign * delta[j]);
    memcpy (y + j * sizeof value, &value, sizeof value);
  }
}

static gboolean
add_float16 (const guint8 *x, const float *delta, float sign, gsize n,
    guint8 *y)
{
  gboolean fits = TRUE;

  for (gsize j = 0; j < n; j++) {
    guint16 half;
    float value;
    sae_dtype_to_float32 (SAE_DTYPE_FLOAT16, x + j * sizeof half, 1, &value);
    half = sae_dtype_float16_from_float32 (value + sign * delta[j]);
    fits &= (half & 0x7fff) != FLOAT16_INFINITY || !isfinite (value);
    memcpy (y + j * sizeof half, &half, sizeof half);
  }
  return fits;
}

gboolean
gst_sae_add_row (GstSaeType type, const guint8 *x, const float *delta,
    float sign, gsize n, guint8 *y)
{
  switch (type) {
    case GST_SAE_FLOAT32:
      return add_float32 (x, delta, sign, n, y);
    case GST_SAE_FLOAT64:
      add_float64 (x, delta, sign, n, y);
      return TRUE;
    case GST_SAE_FLOAT16:
      return add_float16 (x, delta, sign, n, y);
    default:
      g_return_val_if_reached (FALSE);
  }
}
