/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "random.h"

/* SplitMix64 of seed 1234567, as its reference implementation prints it
 * (https://prng.di.unimi.it/splitmix64.c; also on Rosetta Code). */
static const guint64 split_mix_1234567[] = {6457827717110365317u,
    3203168211198807973u, 9817491932198370423u, 4593380528125082431u,
    16408922859458223821u};

/* A seed's state is SplitMix64 of its first output mixed with the stream: the
 * stream is chosen so that the mix is 1234567 again. */
static void
test_seed (void)
{
  SaeRandom random;

  sae_random_init (&random, 1234567, split_mix_1234567[0] ^ 1234567);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (random.state[i], ==, split_mix_1234567[i]);
}

/* xoshiro256++ from the state 1, 2, 3, 4, as the reference implementation
 * (https://prng.di.unimi.it/xoshiro256plusplus.c) prints it. */
static void
test_vector (void)
{
  static const guint64 expected[] = {41943041u, 58720359u, 3588806011781223u,
      3591011842654386u, 9228616714210784205u, 9973669472204895162u,
      14011001112246962877u, 12406186145184390807u, 15849039046786891736u,
      10450023813501588000u};
  SaeRandom random = {{1, 2, 3, 4}};

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpuint (sae_random_next (&random), ==, expected[i]);
}

/* The same from 0, 0, 0, 1. */
static void
test_sparse_state (void)
{
  static const guint64 expected[] = {0x0000000000800000, 0x0000000000800011,
      0x0002200000800011, 0x0002200044000020, 0x00022000448008a1,
      0x01102100802208a0, 0x0114002284200880, 0x0402896644a64095,
      0x8a14a0a244acc891, 0x8c88ba4680b20495};
  SaeRandom random = {{0, 0, 0, 1}};

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmphex (sae_random_next (&random), ==, expected[i]);
}

#define N 400000

/* Means of N numbers lie within 5 standard errors of what they estimate. */
static void
expect_mean (const char *what, double sum, double mean, double deviation)
{
  expect_within (what, sum / N, mean, 5 * deviation / sqrt (N));
}

static void
test_uniform (void)
{
  SaeRandom random;
  double sum = 0, sum2 = 0;

  sae_random_init (&random, 1, 2);
  for (guint i = 0; i < N; i++) {
    double value = sae_random_uniform (&random);
    g_assert_true (value >= 0 && value < 1);
    g_assert_true (value * 0x1p53 == floor (value * 0x1p53));
    sum += value;
    sum2 += value * value;
  }
  expect_mean ("mean", sum, 0.5, sqrt (1.0 / 12));
  expect_mean ("second moment", sum2, 1.0 / 3, sqrt (1.0 / 5 - 1.0 / 9));
}

/* The ends of the range: 2^53 − 1 of the 53 bits is still below 1. */
static void
test_uniform_ends (void)
{
  SaeRandom zeros = {{0, 0, 0, 0}};
  /* the output is rotl (s0 + s3, 23) + s0 */
  SaeRandom ones = {{0, 0, 0, G_MAXUINT64}};

  g_assert_cmpfloat (sae_random_uniform (&zeros), ==, 0.0);
  g_assert_cmpfloat (sae_random_uniform (&ones), ==, 1 - 0x1p-53);
}

/* Twelve uniforms less six: variance 1, fourth moment 3 − 12/120. */
static void
test_normal (void)
{
  SaeRandom random;
  double sums[5] = {0};

  sae_random_init (&random, 3, 4);
  for (guint i = 0; i < N; i++) {
    double value = sae_random_normal (&random);
    for (guint power = 1; power < 5; power++)
      sums[power] += pow (value, power);
  }
  expect_mean ("mean", sums[1], 0, 1);
  expect_mean ("variance", sums[2], 1, sqrt (2.9 - 1));
  expect_mean ("third moment", sums[3], 0, sqrt (15));
  expect_mean ("fourth moment", sums[4], 2.9, sqrt (105));
}

static void
test_streams (void)
{
  SaeRandom a, b;

  sae_random_init (&a, 7, 8);
  sae_random_init (&b, 7, 8);
  assert_same_memory (&a, sizeof a, &b, sizeof b);
  for (guint i = 0; i < 64; i++) { /* one bit of seed or stream */
    sae_random_init (&b, 7 ^ ((guint64) 1 << i), 8);
    g_assert_cmpint (memcmp (&a, &b, sizeof a), !=, 0);
    sae_random_init (&b, 7, 8 ^ ((guint64) 1 << i));
    g_assert_cmpint (memcmp (&a, &b, sizeof a), !=, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/random/seeds-by-splitmix64", test_seed);
  g_test_add_func ("/model/random/is-xoshiro256++", test_vector);
  g_test_add_func ("/model/random/is-xoshiro256++-from-one-bit",
      test_sparse_state);
  g_test_add_func ("/model/random/uniform-moments", test_uniform);
  g_test_add_func ("/model/random/uniform-is-below-1", test_uniform_ends);
  g_test_add_func ("/model/random/normal-moments", test_normal);
  g_test_add_func ("/model/random/seed-and-stream-matter", test_streams);
  return g_test_run ();
}
