/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A random order of n things that is computed, not stored: the same numbers
 * on every machine, and no memory however large n is.
 *
 * A balanced Feistel network over 2h bits, 4^h >= n, is a permutation whatever
 * its round function; values of n and above are encrypted again until they
 * fall below n ("cycle walking", Black and Rogaway 2002), on average fewer
 * than 4 times where n > 16. Round r takes the half R to L xor F(R), where F
 * is the low h bits of mix (R xor key[r]), with the finaliser of SplitMix64
 * (Steele, Lea and Flood 2014) as mix; the keys are its sequence from seed
 * and pass. */
#pragma once

#include <glib.h>

#define GST_SAE_PERMUTATION_ROUNDS 8

typedef struct {
  guint64 n;
  guint half_bits;
  guint64 keys[GST_SAE_PERMUTATION_ROUNDS];
} GstSaePermutation;

/* @n may be 0 (then there is nothing to map) to 2^63. */
void gst_sae_permutation_init (GstSaePermutation *permutation, guint64 n,
    guint64 seed, guint64 pass);

/* Where place @i is taken from, both below n. */
guint64
gst_sae_permutation_map (const GstSaePermutation *permutation, guint64 i);
