/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaepermutation.h"

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u

/* Over more than 2 bits a network has even permutations only. That shows where
 * things are few, so those are cycle-walked out of more. */
#define MIN_HALF_BITS 3

static guint64
mix (guint64 z)
{
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void
gst_sae_permutation_init (GstSaePermutation *permutation, guint64 n,
    guint64 seed, guint64 pass)
{
  guint64 state = mix (mix (seed + GOLDEN_GAMMA) + pass);

  permutation->n = n;
  permutation->half_bits = MIN_HALF_BITS;
  while (permutation->half_bits < 32 &&
         ((guint64) 1 << (2 * permutation->half_bits)) < n)
    permutation->half_bits++;
  for (guint r = 0; r < GST_SAE_PERMUTATION_ROUNDS; r++) {
    state += GOLDEN_GAMMA;
    permutation->keys[r] = mix (state);
  }
}

static guint64
encrypt (const GstSaePermutation *permutation, guint64 value)
{
  guint h = permutation->half_bits;
  guint64 mask = ((guint64) 1 << h) - 1;
  guint64 left = value >> h, right = value & mask;

  for (guint r = 0; r < GST_SAE_PERMUTATION_ROUNDS; r++) {
    guint64 next = left ^ (mix (right ^ permutation->keys[r]) & mask);
    left = right;
    right = next;
  }
  return left << h | right;
}

guint64
gst_sae_permutation_map (const GstSaePermutation *permutation, guint64 i)
{
  do
    i = encrypt (permutation, i);
  while (i >= permutation->n);
  return i;
}
