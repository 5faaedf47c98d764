/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "noise.h"

#include <string.h>

Noise
noise_new (void)
{
  guint32 seed = (guint32) g_test_rand_int ();

  return (Noise){.state = seed, .seed = seed};
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
guint64
noise_bits (Noise *noise)
{
  guint64 z = (noise->state += 0x9e3779b97f4a7c15u);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

guint
noise_below (Noise *noise, guint n)
{
  return (guint) (((noise_bits (noise) >> 32) * n) >> 32);
}

float
noise_uniform (Noise *noise)
{
  return (float) (gint64) (noise_bits (noise) >> 40) * 0x1p-23f - 1.0f;
}

/* Four uniforms have variance 4/3. */
float
noise_normal (Noise *noise)
{
  float sum = 0;

  for (guint i = 0; i < 4; i++)
    sum += noise_uniform (noise);
  return sum * 0.8660254f;
}

static float
float_of_bits (guint32 bits)
{
  float value;

  memcpy (&value, &bits, sizeof value);
  return value;
}

/* A random significand with the exponent field @exponent (0: denormal). */
static float
with_exponent (Noise *noise, guint exponent)
{
  guint32 bits = (guint32) noise_bits (noise);

  return float_of_bits ((bits & 0x807fffff) | exponent << 23);
}

float
noise_value (Noise *noise, NoiseKind kind)
{
  switch (kind) {
    case NOISE_INTEGERS:
      return (float) ((int) noise_below (noise, 7) - 3);
    case NOISE_WIDE:
      return with_exponent (noise, 97 + noise_below (noise, 61));
    case NOISE_TINY:
      return with_exponent (noise,
          noise_below (noise, 2) ? 0 : noise_below (noise, 64));
    case NOISE_HUGE:
      return with_exponent (noise, 250 + noise_below (noise, 5));
    case NOISE_ZEROS:
      return noise_below (noise, 8) ? (noise_below (noise, 2) ? 0.0f : -0.0f)
                                    : noise_uniform (noise);
    case NOISE_ANY_BITS:
      return float_of_bits ((guint32) noise_bits (noise));
    case NOISE_UNIFORM:
    case NOISE_N_KINDS:
    default:
      return noise_uniform (noise);
  }
}

void
noise_fill (Noise *noise, NoiseKind kind, float *values, gsize n)
{
  for (gsize i = 0; i < n; i++)
    values[i] = noise_value (noise, kind);
}

const char *
noise_kind_name (NoiseKind kind)
{
  static const char *const names[NOISE_N_KINDS] = {"uniform", "integers",
      "wide", "tiny", "huge", "zeros", "any bits"};

  return names[kind];
}

NoiseArray
noise_array (Noise *noise, NoiseKind kind, gsize n, gsize offset)
{
  float *block = g_new (float, MAX (1, offset + n));

  noise_fill (noise, kind, block, offset + n);
  return (NoiseArray){block + offset, n, block};
}

void
noise_array_clear (NoiseArray *array)
{
  g_clear_pointer (&array->block, g_free);
}
