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

/* Most blocks have nothing above a settled threshold: look at eight at once. */
static size_t
select_above_avx2 (const float *scores, size_t n, float threshold,
    uint32_t base, uint32_t *out_index, float *out_value)
{
  const __m256 limit = _mm256_set1_ps (threshold);
  size_t count = 0, j = 0;

  for (; j + 8 <= n; j += 8) {
    __m256 s = _mm256_loadu_ps (scores + j);
    unsigned above =
        (unsigned) _mm256_movemask_ps (_mm256_cmp_ps (s, limit, _CMP_GT_OQ));
    for (; above; above &= above - 1) {
      unsigned at = (unsigned) __builtin_ctz (above);
      out_index[count] = base + (uint32_t) j + at;
      out_value[count++] = scores[j + at];
    }
  }
  return count + select_above (scores + j, n - j, threshold,
                     base + (uint32_t) j, out_index + count, out_value + count);
}

const SaeKernels sae_kernels_avx2 = {
    .name = "avx2",
    .dot = dot,
    .dots = dots,
    .combine = combine_avx2,
    .select_above = select_above_avx2,
    SAE_ELEMENTWISE_ENTRIES,
};
