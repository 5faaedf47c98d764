/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AVX2 and FMA: lanes 0-7 and 8-15 of a dot product are two registers. */
#include "elementwise.h"
#include <immintrin.h>

typedef struct {
  __m256 lo, hi;
} Lanes;

static inline Lanes
lanes_zero (void)
{
  return (Lanes){_mm256_setzero_ps (), _mm256_setzero_ps ()};
}

static inline Lanes
lanes_fma (Lanes sum, const float *x, const float *w)
{
  sum.lo = _mm256_fmadd_ps (_mm256_loadu_ps (x), _mm256_loadu_ps (w), sum.lo);
  sum.hi = _mm256_fmadd_ps (_mm256_loadu_ps (x + 8), _mm256_loadu_ps (w + 8),
      sum.hi);
  return sum;
}

/* The halving tree. */
static inline float
lanes_add (Lanes sum)
{
  __m256 eight = _mm256_add_ps (sum.lo, sum.hi);
  __m128 four = _mm_add_ps (_mm256_castps256_ps128 (eight),
      _mm256_extractf128_ps (eight, 1));
  __m128 two = _mm_add_ps (four, _mm_movehl_ps (four, four));
  return _mm_cvtss_f32 (_mm_add_ss (two, _mm_movehdup_ps (two)));
}

/* Which of lanes 0-7 and 8-15 the last n < 16 elements fill. */
typedef struct {
  __m256i lo, hi;
} Tail;

static inline Tail
tail_of (size_t n)
{
  const __m256i lane = _mm256_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i end = _mm256_set1_epi32 ((int) n);

  return (Tail){_mm256_cmpgt_epi32 (end, lane),
      _mm256_cmpgt_epi32 (end, _mm256_add_epi32 (lane, _mm256_set1_epi32 (8)))};
}

/* Only those lanes: fma (0, 0, sum) would make +0 of a lane that underflow
 * has left at −0. */
static inline Lanes
lanes_fma_tail (Lanes sum, const float *x, const float *w, Tail tail)
{
  __m256 lo = _mm256_fmadd_ps (_mm256_maskload_ps (x, tail.lo),
      _mm256_maskload_ps (w, tail.lo), sum.lo);
  __m256 hi = _mm256_fmadd_ps (_mm256_maskload_ps (x + 8, tail.hi),
      _mm256_maskload_ps (w + 8, tail.hi), sum.hi);

  sum.lo = _mm256_blendv_ps (sum.lo, lo, _mm256_castsi256_ps (tail.lo));
  sum.hi = _mm256_blendv_ps (sum.hi, hi, _mm256_castsi256_ps (tail.hi));
  return sum;
}

static float
dot (const float *x, const float *w, size_t d)
{
  Lanes sum = lanes_zero ();
  size_t j = 0;

  for (; j + 16 <= d; j += 16)
    sum = lanes_fma (sum, x + j, w + j);
  if (j < d)
    sum = lanes_fma_tail (sum, x + j, w + j, tail_of (d - j));
  return lanes_add (sum);
}

/* Two rows against three latents: 12 accumulators of the 16 registers. */
static inline void
dots_2x3 (const float *x, size_t ld_x, const float *w, size_t ld_w, size_t d,
    float *out, size_t ld_out)
{
  const float *x1 = x + ld_x, *w1 = w + ld_w, *w2 = w1 + ld_w;
  Lanes s00 = lanes_zero (), s01 = s00, s02 = s00, s10 = s00, s11 = s00,
        s12 = s00;
  size_t j = 0;

  for (; j + 16 <= d; j += 16) {
    s00 = lanes_fma (s00, x + j, w + j);
    s10 = lanes_fma (s10, x1 + j, w + j);
    s01 = lanes_fma (s01, x + j, w1 + j);
    s11 = lanes_fma (s11, x1 + j, w1 + j);
    s02 = lanes_fma (s02, x + j, w2 + j);
    s12 = lanes_fma (s12, x1 + j, w2 + j);
  }
  if (j < d) {
    const Tail tail = tail_of (d - j);
    s00 = lanes_fma_tail (s00, x + j, w + j, tail);
    s10 = lanes_fma_tail (s10, x1 + j, w + j, tail);
    s01 = lanes_fma_tail (s01, x + j, w1 + j, tail);
    s11 = lanes_fma_tail (s11, x1 + j, w1 + j, tail);
    s02 = lanes_fma_tail (s02, x + j, w2 + j, tail);
    s12 = lanes_fma_tail (s12, x1 + j, w2 + j, tail);
  }
  out[0] = lanes_add (s00);
  out[1] = lanes_add (s01);
  out[2] = lanes_add (s02);
  out[ld_out] = lanes_add (s10);
  out[ld_out + 1] = lanes_add (s11);
  out[ld_out + 2] = lanes_add (s12);
}

static void
dots (const float *x, size_t ld_x, size_t n_x, const float *w, size_t ld_w,
    size_t n_w, size_t d, float *out, size_t ld_out)
{
  size_t i = 0;

  for (; i + 3 <= n_w; i += 3) {
    const float *wi = w + i * ld_w;
    size_t r = 0;
    for (; r + 2 <= n_x; r += 2)
      dots_2x3 (x + r * ld_x, ld_x, wi, ld_w, d, out + r * ld_out + i, ld_out);
    for (; r < n_x; r++)
      for (size_t n = 0; n < 3; n++)
        out[r * ld_out + i + n] = dot (x + r * ld_x, wi + n * ld_w, d);
  }
  for (; i < n_w; i++)
    for (size_t r = 0; r < n_x; r++)
      out[r * ld_out + i] = dot (x + r * ld_x, w + i * ld_w, d);
}

static inline void
dots_at_1x4 (const float *x, const float *const *w, size_t d, float *out)
{
  const float *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  Lanes s0 = lanes_zero (), s1 = s0, s2 = s0, s3 = s0;
  size_t j = 0;

  for (; j + 16 <= d; j += 16) {
    s0 = lanes_fma (s0, x + j, w0 + j);
    s1 = lanes_fma (s1, x + j, w1 + j);
    s2 = lanes_fma (s2, x + j, w2 + j);
    s3 = lanes_fma (s3, x + j, w3 + j);
  }
  if (j < d) {
    const Tail tail = tail_of (d - j);
    s0 = lanes_fma_tail (s0, x + j, w0 + j, tail);
    s1 = lanes_fma_tail (s1, x + j, w1 + j, tail);
    s2 = lanes_fma_tail (s2, x + j, w2 + j, tail);
    s3 = lanes_fma_tail (s3, x + j, w3 + j, tail);
  }
  out[0] = lanes_add (s0);
  out[1] = lanes_add (s1);
  out[2] = lanes_add (s2);
  out[3] = lanes_add (s3);
}

static void
dots_at (const float *x, const float *rows, size_t ld, const uint32_t *index,
    size_t n, size_t d, float *out)
{
  dots_at_by_tiles (dots_at_1x4, x, rows, ld, index, n, d, out);
}

/* 64 columns stay in eight registers over all rows. */
static void
combine_64 (float *y, const float *values, const uint32_t *index, size_t n,
    const float *rows, size_t ld)
{
  __m256 s0 = _mm256_setzero_ps (), s1 = s0, s2 = s0, s3 = s0;
  __m256 s4 = s0, s5 = s0, s6 = s0, s7 = s0;

  for (size_t i = 0; i < n; i++) {
    const float *row = rows + index[i] * ld;
    __m256 v = _mm256_set1_ps (values[i]);
    s0 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row), s0);
    s1 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 8), s1);
    s2 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 16), s2);
    s3 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 24), s3);
    s4 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 32), s4);
    s5 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 40), s5);
    s6 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 48), s6);
    s7 = _mm256_fmadd_ps (v, _mm256_loadu_ps (row + 56), s7);
  }
  _mm256_storeu_ps (y, s0);
  _mm256_storeu_ps (y + 8, s1);
  _mm256_storeu_ps (y + 16, s2);
  _mm256_storeu_ps (y + 24, s3);
  _mm256_storeu_ps (y + 32, s4);
  _mm256_storeu_ps (y + 40, s5);
  _mm256_storeu_ps (y + 48, s6);
  _mm256_storeu_ps (y + 56, s7);
}

static void
combine_avx2 (float *y, size_t d, const float *values, const uint32_t *index,
    size_t n, const float *rows, size_t ld)
{
  size_t j = 0;

  for (; j + 64 <= d; j += 64)
    combine_64 (y + j, values, index, n, rows + j, ld);
  if (j < d)
    combine (y + j, d - j, values, index, n, rows + j, ld);
}

/* For every mask of eight, a byte each of the places of its ones, which come
 * first then. */
static uint64_t places[256];

void
sae_kernels_avx2_prepare (void)
{
  for (unsigned mask = 0; mask < 256; mask++) {
    unsigned shift = 0;
    places[mask] = 0;
    for (unsigned ones = mask; ones; ones &= ones - 1, shift += 8)
      places[mask] |= (uint64_t) __builtin_ctz (ones) << shift;
  }
}

static inline __m256i
places_of (unsigned mask)
{
  return _mm256_cvtepu8_epi32 (
      _mm_loadl_epi64 ((const __m128i *) &places[mask]));
}

/* Appends those of eight scores that @mask has; all eight places are
 * written. */
static inline size_t
append_8 (__m256 scores, unsigned mask, uint32_t base, uint32_t *out_index,
    float *out_value)
{
  const __m256i at = places_of (mask);

  _mm256_storeu_si256 ((__m256i *) out_index,
      _mm256_add_epi32 (at, _mm256_set1_epi32 ((int) base)));
  _mm256_storeu_ps (out_value, _mm256_permutevar8x32_ps (scores, at));
  return (size_t) __builtin_popcount (mask);
}

/* Most blocks have nothing above a settled threshold. */
static size_t
select_above_avx2 (const float *scores, size_t n, float threshold,
    uint32_t base, uint32_t *out_index, float *out_value)
{
  const __m256 limit = _mm256_set1_ps (threshold);
  size_t count = 0, j = 0;

  for (; j + 8 <= n; j += 8) {
    __m256 s = _mm256_loadu_ps (scores + j);
    unsigned mask =
        (unsigned) _mm256_movemask_ps (_mm256_cmp_ps (s, limit, _CMP_GT_OQ));
    if (mask)
      count += append_8 (s, mask, base + (uint32_t) j, out_index + count,
          out_value + count);
  }
  return count + select_above (scores + j, n - j, threshold,
                     base + (uint32_t) j, out_index + count, out_value + count);
}

/* The larger of 0 and NaN is NaN where that comes second. */
static size_t
select_above_each_avx2 (const float *scores, const float *thresholds, size_t n,
    uint32_t base, uint32_t *out_index, float *out_value)
{
  size_t count = 0, j = 0;

  for (; j + 8 <= n; j += 8) {
    __m256 s = _mm256_loadu_ps (scores + j);
    __m256 limit =
        _mm256_max_ps (_mm256_setzero_ps (), _mm256_loadu_ps (thresholds + j));
    unsigned mask =
        (unsigned) _mm256_movemask_ps (_mm256_cmp_ps (s, limit, _CMP_GT_OQ));
    if (mask)
      count += append_8 (s, mask, base + (uint32_t) j, out_index + count,
          out_value + count);
  }
  return count + select_above_each (scores + j, thresholds + j, n - j,
                     base + (uint32_t) j, out_index + count, out_value + count);
}

#include "screening-avx2.h"

const SaeKernels sae_kernels_avx2 = {
    .name = "avx2",
    .dot = dot,
    .dots = dots,
    .dots_at = dots_at,
    .combine = combine_avx2,
    .select_above = select_above_avx2,
    .select_above_each = select_above_each_avx2,
    .scale_s8 = scale_s8_of_fours,
    .round_s16 = round_s16_avx2,
    .round_s8 = round_s8_avx2,
    .store_bytes = store_rows,
    .dots_s16 = dots_s16,
    .dots_s8 = dots_s8,
    .s8_cost = 0.27f,
    .s16_cost = 0.47f,
    .select_screened = select_screened_avx2,
    SAE_ELEMENTWISE_ENTRIES,
};
