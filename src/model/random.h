/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Random numbers whose bits are part of what a seed means: the same on every
 * machine and in every version. Each stream is seeded by (seed, stream), so
 * that rows of a matrix can be drawn in any order. */
#pragma once

#include <glib.h>

typedef struct {
  guint64 state[4];
} SaeRandom;

void sae_random_init (SaeRandom *random, guint64 seed, guint64 stream);
guint64 sae_random_next (SaeRandom *random);
/* Uniform in [0, 1), 53 bits. */
double sae_random_uniform (SaeRandom *random);
/* Standard normal. */
double sae_random_normal (SaeRandom *random);
