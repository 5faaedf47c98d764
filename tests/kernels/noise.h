/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Random numbers for tests, of the kinds that arithmetic trips over. All come
 * from the seed that GLib prints and takes (--seed), so that a failure can be
 * run again. */
#pragma once

#include <glib.h>

typedef struct {
  guint64 state;
  guint32 seed; /* for messages */
} Noise;

typedef enum {
  NOISE_UNIFORM,  /* −1 to 1 */
  NOISE_INTEGERS, /* −3 to 3: many ties, sums exact */
  NOISE_WIDE,     /* 2^−30 to 2^30, either sign */
  NOISE_TINY,     /* denormal, or denormal when multiplied */
  NOISE_HUGE,     /* near the largest float: sums overflow */
  NOISE_ZEROS,    /* mostly +0 and −0 */
  NOISE_ANY_BITS, /* any float there is, NaN and infinities too */
  NOISE_N_KINDS
} NoiseKind;

/* Seeded by the running GLib test. */
Noise noise_new (void);
guint64 noise_bits (Noise *noise);
/* Uniform in 0 … n − 1. */
guint noise_below (Noise *noise, guint n);
/* Uniform in [−1, 1). */
float noise_uniform (Noise *noise);
/* About normal, variance 1. */
float noise_normal (Noise *noise);
float noise_value (Noise *noise, NoiseKind kind);
void noise_fill (Noise *noise, NoiseKind kind, float *values, gsize n);
const char *noise_kind_name (NoiseKind kind);

/* n values in memory of exactly that size, so that the address sanitizer sees
 * a read past the end; the first one @offset floats from an aligned place. */
typedef struct {
  float *values;
  gsize n;
  void *block;
} NoiseArray;

NoiseArray noise_array (Noise *noise, NoiseKind kind, gsize n, gsize offset);
void noise_array_clear (NoiseArray *array);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (NoiseArray, noise_array_clear)
