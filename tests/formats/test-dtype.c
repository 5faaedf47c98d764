/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "dtype.h"

static guint32
bits_of (float value)
{
  guint32 bits;
  memcpy (&bits, &value, sizeof bits);
  return bits;
}

/* What IEEE 754 says a number with that many exponent and fraction bits is,
 * by ldexp; NaN and infinities apart. */
static double
decode (guint bits, int n_exponent, int n_fraction)
{
  int bias = (1 << (n_exponent - 1)) - 1;
  int fraction = (int) bits & ((1 << n_fraction) - 1);
  int exponent = (int) (bits >> n_fraction) & ((1 << n_exponent) - 1);
  double sign = bits >> (n_exponent + n_fraction) ? -1 : 1;

  if (exponent == 0)
    return sign * ldexp (fraction, 1 - bias - n_fraction);
  return sign *
         ldexp (fraction + (1 << n_fraction), exponent - bias - n_fraction);
}

static void
check_all_values (SaeDtype dtype, int n_exponent, int n_fraction)
{
  guint n_special = (1u << n_exponent) - 1;

  for (guint bits = 0; bits < 65536; bits++) {
    guint8 bytes[2] = {(guint8) bits, (guint8) (bits >> 8)};
    guint exponent = bits >> n_fraction & n_special;
    guint fraction = bits & ((1u << n_fraction) - 1);
    float value;

    sae_dtype_to_float32 (dtype, bytes, 1, &value);
    if (exponent != n_special)
      g_assert_cmpuint (bits_of (value), ==,
          bits_of ((float) decode (bits, n_exponent, n_fraction)));
    else if (fraction == 0)
      g_assert_true (isinf (value) && (value < 0) == (bits >= 0x8000));
    else
      g_assert_true (isnan (value));
  }
}

static void
test_float16_is_exact (void)
{
  check_all_values (SAE_DTYPE_FLOAT16, 5, 10);
}

static void
test_bfloat16_is_exact (void)
{
  check_all_values (SAE_DTYPE_BFLOAT16, 8, 7);
}

static guint16
round_to_float16 (float value)
{
  _Float16 half = (_Float16) value;
  guint16 bits;

  memcpy (&bits, &half, sizeof bits);
  return bits;
}

static void
expect_rounded (guint32 bits)
{
  float value;

  memcpy (&value, &bits, sizeof value);
  g_assert_cmphex (sae_dtype_float16_from_float32 (value), ==,
      round_to_float16 (value));
}

/* As the compiler rounds: every 1021st float, those in the middle of two
 * halves, and their neighbours. */
static void
test_float16_is_the_nearest (void)
{
  for (guint64 bits = 0; bits <= G_MAXUINT32; bits += 1021)
    expect_rounded ((guint32) bits);
  for (guint32 half = 0; half < 0x10000; half++) {
    guint16 bits = (guint16) half;
    float value;
    guint32 middle;
    sae_dtype_to_float32 (SAE_DTYPE_FLOAT16, &bits, 1, &value);
    if (value == value)
      g_assert_cmphex (sae_dtype_float16_from_float32 (value), ==, half);
    memcpy (&middle, &value, sizeof middle);
    middle += 0x1000;
    expect_rounded (middle - 1);
    expect_rounded (middle);
    expect_rounded (middle + 1);
  }
}

/* GStreamer applications may have set the flag on a streaming thread. */
static void
test_float16_ignores_denormal_flags (void)
{
#if defined(__SSE__)
  guint8 bytes[4] = {0x01, 0x00, 0xff, 0x83}; /* 2^-24, -1023·2^-24 */
  float values[2];
  guint saved = _mm_getcsr ();

  _mm_setcsr (saved | 0x8040);
  sae_dtype_to_float32 (SAE_DTYPE_FLOAT16, bytes, 2, values);
  _mm_setcsr (saved);
  g_assert_cmpuint (bits_of (values[0]), ==, bits_of (0x1p-24f));
  g_assert_cmpuint (bits_of (values[1]), ==, bits_of (-1023 * 0x1p-24f));
#else
  g_test_skip ("no such flags here");
#endif
}

static void
test_float64_rounds_to_nearest_even (void)
{
  static const struct {
    double value;
    float expected;
  } rows[] = {
      {1 + 0x1p-24, 1},                      /* a tie, down to even */
      {1 + 3 * 0x1p-24, 1 + 0x1p-22f},       /* a tie, up to even */
      {1 + 0x1p-24 + 0x1p-50, 1 + 0x1p-23f}, /* just above a tie */
      {0x1.fffffep127, 0x1.fffffep127f},     /* the largest float32 */
      {0x1.ffffffp127, INFINITY},            /* half a step above it */
      {-0x1.ffffffp127, -INFINITY},
      {0x1p-149, 0x1p-149f}, /* the smallest subnormal */
      {0x1p-150, 0},
      {-0.0, -0.0f},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    guint64 bits;
    float value;
    memcpy (&bits, &rows[i].value, sizeof bits);
    bits = GUINT64_TO_LE (bits);
    sae_dtype_to_float32 (SAE_DTYPE_FLOAT64, &bits, 1, &value);
    g_assert_cmpuint (bits_of (value), ==, bits_of (rows[i].expected));
  }
}

/* 1.0 and -2.5 as they stand in a file, at every alignment. */
static void
test_bytes_are_little_endian_and_unaligned (void)
{
  static const struct {
    SaeDtype dtype;
    guint8 bytes[16];
  } rows[] = {
      {SAE_DTYPE_FLOAT32, {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0}},
      {SAE_DTYPE_FLOAT64,
          {0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0x04, 0xc0}},
      {SAE_DTYPE_FLOAT16, {0x00, 0x3c, 0x00, 0xc1}},
      {SAE_DTYPE_BFLOAT16, {0x80, 0x3f, 0x20, 0xc0}},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    for (guint shift = 0; shift < 8; shift++) {
      guint8 buffer[24];
      float values[2];
      memcpy (buffer + shift, rows[i].bytes, sizeof rows[i].bytes);
      sae_dtype_to_float32 (rows[i].dtype, buffer + shift, 2, values);
      g_assert_cmpfloat (values[0], ==, 1.0f);
      g_assert_cmpfloat (values[1], ==, -2.5f);
    }
  }
}

static void
test_names_go_both_ways (void)
{
  static const struct {
    const char *name;
    SaeDtype dtype;
    gsize size;
    gboolean is_float;
  } rows[] = {
      {"float32", SAE_DTYPE_FLOAT32, 4, TRUE},
      {"float64", SAE_DTYPE_FLOAT64, 8, TRUE},
      {"float16", SAE_DTYPE_FLOAT16, 2, TRUE},
      {"bfloat16", SAE_DTYPE_BFLOAT16, 2, TRUE},
      {"uint32", SAE_DTYPE_UINT32, 4, FALSE},
      {"uint8", SAE_DTYPE_UINT8, 1, FALSE},
  };
  SaeDtype dtype;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_assert_true (sae_dtype_from_name (rows[i].name, &dtype));
    g_assert_cmpint (dtype, ==, rows[i].dtype);
    g_assert_cmpstr (sae_dtype_name (dtype), ==, rows[i].name);
    g_assert_cmpuint (sae_dtype_size (dtype), ==, rows[i].size);
    g_assert_cmpint (sae_dtype_is_float (dtype), ==, rows[i].is_float);
  }
  g_assert_false (sae_dtype_from_name ("int8", &dtype));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/formats/dtype/float16-is-exact", test_float16_is_exact);
  g_test_add_func ("/formats/dtype/bfloat16-is-exact", test_bfloat16_is_exact);
  g_test_add_func ("/formats/dtype/float16-is-the-nearest",
      test_float16_is_the_nearest);
  g_test_add_func ("/formats/dtype/float16-ignores-denormal-flags",
      test_float16_ignores_denormal_flags);
  g_test_add_func ("/formats/dtype/float64-rounds-to-nearest-even",
      test_float64_rounds_to_nearest_even);
  g_test_add_func ("/formats/dtype/bytes-are-little-endian-and-unaligned",
      test_bytes_are_little_endian_and_unaligned);
  g_test_add_func ("/formats/dtype/names-go-both-ways",
      test_names_go_both_ways);
  return g_test_run ();
}
