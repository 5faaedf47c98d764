/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "random.h"

/* SplitMix64 (Steele, Lea, Flood 2014): spreads a seed over a state. */
static guint64
split_mix (guint64 *state)
{
  guint64 z = (*state += 0x9e3779b97f4a7c15u);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void
sae_random_init (SaeRandom *random, guint64 seed, guint64 stream)
{
  guint64 mix = seed;

  mix = split_mix (&mix) ^ stream;
  for (guint i = 0; i < 4; i++)
    random->state[i] = split_mix (&mix);
}

static guint64
rotate_left (guint64 x, guint n)
{
  return (x << n) | (x >> (64 - n));
}

/* xoshiro256++ (Blackman and Vigna 2019). */
guint64
sae_random_next (SaeRandom *random)
{
  guint64 *s = random->state;
  guint64 result = rotate_left (s[0] + s[3], 23) + s[0];
  guint64 t = s[1] << 17;

  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate_left (s[3], 45);
  return result;
}

double
sae_random_uniform (SaeRandom *random)
{
  return (double) (sae_random_next (random) >> 11) * 0x1p-53;
}

/* The sum of twelve uniforms less six (Irwin-Hall): variance 1, and no
 * logarithm whose last bit would depend on the C library. Directions made of
 * many such numbers are as good as uniform on the sphere. */
double
sae_random_normal (SaeRandom *random)
{
  double sum = -6.0;

  for (guint i = 0; i < 12; i++)
    sum += sae_random_uniform (random);
  return sum;
}
