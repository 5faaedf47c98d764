/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dtype.h"

#include <string.h>

typedef struct {
  const char *name;
  gsize size;
  gboolean is_float;
} Type;

static const Type types[] = {
    [SAE_DTYPE_FLOAT32] = {"float32", 4, TRUE},
    [SAE_DTYPE_FLOAT64] = {"float64", 8, TRUE},
    [SAE_DTYPE_FLOAT16] = {"float16", 2, TRUE},
    [SAE_DTYPE_BFLOAT16] = {"bfloat16", 2, TRUE},
    [SAE_DTYPE_UINT32] = {"uint32", 4, FALSE},
    [SAE_DTYPE_UINT8] = {"uint8", 1, FALSE},
};

gsize
sae_dtype_size (SaeDtype dtype)
{
  return types[dtype].size;
}

const char *
sae_dtype_name (SaeDtype dtype)
{
  return types[dtype].name;
}

gboolean
sae_dtype_from_name (const char *name, SaeDtype *dtype)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    if (strcmp (types[i].name, name) == 0) {
      *dtype = (SaeDtype) i;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
sae_dtype_is_float (SaeDtype dtype)
{
  return types[dtype].is_float;
}

static inline float
float32_from_bits (guint32 bits)
{
  float value;
  memcpy (&value, &bits, sizeof value);
  return value;
}

static inline guint32
bits_from_float32 (float value)
{
  guint32 bits;
  memcpy (&bits, &value, sizeof bits);
  return bits;
}

static inline guint16
load_u16 (const guint8 *src)
{
  guint16 bits;
  memcpy (&bits, src, sizeof bits);
  return GUINT16_FROM_LE (bits);
}

/* A subnormal half m·2^-24 is (2^-14 + m·2^-24) - 2^-14: both terms are
 * normal floats, so the difference is exact and does not depend on the
 * thread's denormals-are-zero flag. */
static inline float
float16_to_float32 (guint16 half)
{
  guint32 sign = (guint32) (half & 0x8000) << 16;
  guint32 magnitude = (guint32) (half & 0x7fff) << 13;
  guint32 exponent = magnitude & 0x0f800000u;
  guint32 bits = magnitude + (112u << 23);
  float subnormal = float32_from_bits (magnitude + (113u << 23)) -
                    float32_from_bits (113u << 23);

  if (exponent == 0x0f800000u)
    bits = magnitude + (224u << 23); /* infinity or NaN, payload kept */
  if (exponent == 0)
    bits = bits_from_float32 (subnormal);
  return float32_from_bits (bits | sign);
}

static void
convert_float16 (const guint8 *src, gsize n, float *dst)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = float16_to_float32 (load_u16 (src + 2 * i));
}

static void
convert_bfloat16 (const guint8 *src, gsize n, float *dst)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = float32_from_bits ((guint32) load_u16 (src + 2 * i) << 16);
}

static void
convert_float32 (const guint8 *src, gsize n, float *dst)
{
  if (n == 0)
    return;
  memcpy (dst, src, n * sizeof *dst);
  if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
    return;
  for (gsize i = 0; i < n; i++)
    dst[i] = float32_from_bits (GUINT32_FROM_LE (bits_from_float32 (dst[i])));
}

static void
convert_float64 (const guint8 *src, gsize n, float *dst)
{
  for (gsize i = 0; i < n; i++) {
    guint64 bits;
    double value;
    memcpy (&bits, src + 8 * i, sizeof bits);
    bits = GUINT64_FROM_LE (bits);
    memcpy (&value, &bits, sizeof value);
    dst[i] = (float) value;
  }
}

void
sae_dtype_to_float32 (SaeDtype dtype, const void *src, gsize n, float *dst)
{
  switch (dtype) {
    case SAE_DTYPE_FLOAT32:
      convert_float32 (src, n, dst);
      return;
    case SAE_DTYPE_FLOAT64:
      convert_float64 (src, n, dst);
      return;
    case SAE_DTYPE_FLOAT16:
      convert_float16 (src, n, dst);
      return;
    case SAE_DTYPE_BFLOAT16:
      convert_bfloat16 (src, n, dst);
      return;
    case SAE_DTYPE_UINT32:
    case SAE_DTYPE_UINT8:
      break;
  }
  g_return_if_reached ();
}

/* Below 2^-14 a half is a multiple of 2^-24, the last place of 0.5f: adding
 * that rounds, and does not depend on the thread's denormals-are-zero flag. */
guint16
sae_dtype_float16_from_float32 (float value)
{
  guint32 bits = bits_from_float32 (value);
  guint16 sign = (guint16) (bits >> 16 & 0x8000);
  guint32 magnitude = bits & 0x7fffffffu;

  if (magnitude > 0x7f800000u) /* NaN, the first bits of its payload kept */
    return (guint16) (sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
  if (magnitude >= 0x477ff000u)
    return (guint16) (sign | 0x7c00);
  if (magnitude < 0x38800000u) {
    float shifted = float32_from_bits (magnitude) + 0.5f;
    return (guint16) (sign | (bits_from_float32 (shifted) - 0x3f000000u));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  return (guint16) (sign | (magnitude - (112u << 23)) >> 13);
}
