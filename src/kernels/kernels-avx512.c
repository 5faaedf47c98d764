/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AVX-512 (F, VL, DQ, BW): the 16 lanes of a dot product are one register. */
#include "elementwise.h"
#include <immintrin.h>

/* The halving tree of four dot products at once: a, b, c, d each hold 16
 * lanes; the result holds Σa, Σb, Σc, Σd. */
static inline __m128
add_lanes_of_4 (__m512 a, __m512 b, __m512 c, __m512 d)
{
  __m512 ab = _mm512_add_ps (_mm512_shuffle_f32x4 (a, b, 0x44),
      _mm512_shuffle_f32x4 (a, b, 0xee));
  __m512 cd = _mm512_add_ps (_mm512_shuffle_f32x4 (c, d, 0x44),
      _mm512_shuffle_f32x4 (c, d, 0xee));
  /* 128-bit blocks: four lanes each of a, b, c, d */
  __m512 abcd = _mm512_add_ps (_mm512_shuffle_f32x4 (ab, cd, 0x88),
      _mm512_shuffle_f32x4 (ab, cd, 0xdd));
  __m256 lo = _mm512_castps512_ps256 (abcd);
  __m256 hi = _mm512_extractf32x8_ps (abcd, 1);
  /* within blocks: lane i + lane i + 2, of (a, c) and (b, d) */
  __m256 two = _mm256_add_ps (_mm256_shuffle_ps (lo, hi, 0x44),
      _mm256_shuffle_ps (lo, hi, 0xee));
  __m128 ac = _mm256_castps256_ps128 (two);
  __m128 bd = _mm256_extractf128_ps (two, 1);
  /* ac = a0 a1 c0 c1, bd = b0 b1 d0 d1 */
  __m128 sum =
      _mm_add_ps (_mm_shuffle_ps (ac, bd, 0x88), _mm_shuffle_ps (ac, bd, 0xdd));
  /* a c b d -> a b c d */
  return _mm_shuffle_ps (sum, sum, 0xd8);
}

static inline __m512
load_tail (const float *p, __mmask16 mask)
{
  return _mm512_maskz_loadu_ps (mask, p);
}

static float
dot (const float *x, const float *w, size_t d)
{
  __m512 sum = _mm512_setzero_ps (), zero = sum;
  size_t j = 0;

  for (; j + 16 <= d; j += 16)
    sum =
        _mm512_fmadd_ps (_mm512_loadu_ps (x + j), _mm512_loadu_ps (w + j), sum);
  if (j < d) {
    __mmask16 mask = (__mmask16) ((1u << (d - j)) - 1);
    sum = _mm512_mask3_fmadd_ps (load_tail (x + j, mask),
        load_tail (w + j, mask), sum, mask);
  }
  return _mm_cvtss_f32 (add_lanes_of_4 (sum, zero, zero, zero));
}

static inline void
dots_at_1x4 (const float *x, const float *const *w, size_t d, float *out)
{
  const float *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
  __m512 s0 = _mm512_setzero_ps (), s1 = s0, s2 = s0, s3 = s0;
  size_t j = 0;

  for (; j + 16 <= d; j += 16) {
    __m512 xj = _mm512_loadu_ps (x + j);
    s0 = _mm512_fmadd_ps (xj, _mm512_loadu_ps (w0 + j), s0);
    s1 = _mm512_fmadd_ps (xj, _mm512_loadu_ps (w1 + j), s1);
    s2 = _mm512_fmadd_ps (xj, _mm512_loadu_ps (w2 + j), s2);
    s3 = _mm512_fmadd_ps (xj, _mm512_loadu_ps (w3 + j), s3);
  }
  if (j < d) {
    __mmask16 mask = (__mmask16) ((1u << (d - j)) - 1);
    __m512 xj = load_tail (x + j, mask);
    s0 = _mm512_mask3_fmadd_ps (xj, load_tail (w0 + j, mask), s0, mask);
    s1 = _mm512_mask3_fmadd_ps (xj, load_tail (w1 + j, mask), s1, mask);
    s2 = _mm512_mask3_fmadd_ps (xj, load_tail (w2 + j, mask), s2, mask);
    s3 = _mm512_mask3_fmadd_ps (xj, load_tail (w3 + j, mask), s3, mask);
  }
  _mm_storeu_ps (out, add_lanes_of_4 (s0, s1, s2, s3));
}

/* One row against four latents. */
static inline void
dots_1x4 (const float *x, const float *w, size_t ld_w, size_t d, float *out)
{
  const float *rows[4] = {w, w + ld_w, w + 2 * ld_w, w + 3 * ld_w};

  dots_at_1x4 (x, rows, d, out);
}

/* One step of the 4 x 4 tile: x0…x3 against w0…w3, 16 sums. Spelled out, since
 * gcc 12 keeps an array of accumulators in memory. */
#define TILE_STEP(LOAD_X, LOAD_W, FMA)                                         \
  do {                                                                         \
    __m512 a0 = LOAD_X (0), a1 = LOAD_X (1), a2 = LOAD_X (2), a3 = LOAD_X (3), \
           b;                                                                  \
    b = LOAD_W (0);                                                            \
    s00 = FMA (a0, b, s00), s10 = FMA (a1, b, s10);                            \
    s20 = FMA (a2, b, s20), s30 = FMA (a3, b, s30);                            \
    b = LOAD_W (1);                                                            \
    s01 = FMA (a0, b, s01), s11 = FMA (a1, b, s11);                            \
    s21 = FMA (a2, b, s21), s31 = FMA (a3, b, s31);                            \
    b = LOAD_W (2);                                                            \
    s02 = FMA (a0, b, s02), s12 = FMA (a1, b, s12);                            \
    s22 = FMA (a2, b, s22), s32 = FMA (a3, b, s32);                            \
    b = LOAD_W (3);                                                            \
    s03 = FMA (a0, b, s03), s13 = FMA (a1, b, s13);                            \
    s23 = FMA (a2, b, s23), s33 = FMA (a3, b, s33);                            \
  } while (0)

#define LOAD_X(r) _mm512_loadu_ps (x + (r) *ld_x + j)
#define LOAD_W(i) _mm512_loadu_ps (w + (i) *ld_w + j)
#define TAIL_X(r) load_tail (x + (r) *ld_x + j, mask)
#define TAIL_W(i) load_tail (w + (i) *ld_w + j, mask)
#define TAIL_FMA(a, b, s) _mm512_mask3_fmadd_ps (a, b, s, mask)

static inline void
dots_4x4 (const float *x, size_t ld_x, const float *w, size_t ld_w, size_t d,
    float *out, size_t ld_out)
{
  __m512 s00 = _mm512_setzero_ps (), s01 = s00, s02 = s00, s03 = s00;
  __m512 s10 = s00, s11 = s00, s12 = s00, s13 = s00;
  __m512 s20 = s00, s21 = s00, s22 = s00, s23 = s00;
  __m512 s30 = s00, s31 = s00, s32 = s00, s33 = s00;
  size_t j = 0;

  for (; j + 16 <= d; j += 16)
    TILE_STEP (LOAD_X, LOAD_W, _mm512_fmadd_ps);
  if (j < d) {
    __mmask16 mask = (__mmask16) ((1u << (d - j)) - 1);
    TILE_STEP (TAIL_X, TAIL_W, TAIL_FMA);
  }
  _mm_storeu_ps (out, add_lanes_of_4 (s00, s01, s02, s03));
  _mm_storeu_ps (out + ld_out, add_lanes_of_4 (s10, s11, s12, s13));
  _mm_storeu_ps (out + 2 * ld_out, add_lanes_of_4 (s20, s21, s22, s23));
  _mm_storeu_ps (out + 3 * ld_out, add_lanes_of_4 (s30, s31, s32, s33));
}

/* Four latents stay in the first-level cache while the rows pass by. */
static void
dots (const float *x, size_t ld_x, size_t n_x, const float *w, size_t ld_w,
    size_t n_w, size_t d, float *out, size_t ld_out)
{
  size_t i = 0;

  for (; i + 4 <= n_w; i += 4) {
    const float *wi = w + i * ld_w;
    size_t r = 0;
    for (; r + 4 <= n_x; r += 4)
      dots_4x4 (x + r * ld_x, ld_x, wi, ld_w, d, out + r * ld_out + i, ld_out);
    for (; r < n_x; r++)
      dots_1x4 (x + r * ld_x, wi, ld_w, d, out + r * ld_out + i);
  }
  for (; i < n_w; i++)
    for (size_t r = 0; r < n_x; r++)
      out[r * ld_out + i] = dot (x + r * ld_x, w + i * ld_w, d);
}

/* 128 columns stay in eight registers over all rows. */
static void
combine_128 (float *y, const float *values, const uint32_t *index, size_t n,
    const float *rows, size_t ld)
{
  __m512 s0 = _mm512_setzero_ps (), s1 = s0, s2 = s0, s3 = s0;
  __m512 s4 = s0, s5 = s0, s6 = s0, s7 = s0;

  for (size_t i = 0; i < n; i++) {
    const float *row = rows + index[i] * ld;
    __m512 v = _mm512_set1_ps (values[i]);
    s0 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row), s0);
    s1 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 16), s1);
    s2 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 32), s2);
    s3 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 48), s3);
    s4 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 64), s4);
    s5 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 80), s5);
    s6 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 96), s6);
    s7 = _mm512_fmadd_ps (v, _mm512_loadu_ps (row + 112), s7);
  }
  _mm512_storeu_ps (y, s0);
  _mm512_storeu_ps (y + 16, s1);
  _mm512_storeu_ps (y + 32, s2);
  _mm512_storeu_ps (y + 48, s3);
  _mm512_storeu_ps (y + 64, s4);
  _mm512_storeu_ps (y + 80, s5);
  _mm512_storeu_ps (y + 96, s6);
  _mm512_storeu_ps (y + 112, s7);
}

static void
combine_avx512 (float *y, size_t d, const float *values, const uint32_t *index,
    size_t n, const float *rows, size_t ld)
{
  size_t j = 0;

  for (; j + 128 <= d; j += 128)
    combine_128 (y + j, values, index, n, rows + j, ld);
  if (j < d)
    combine (y + j, d - j, values, index, n, rows + j, ld);
}

/* Appends those of sixteen scores that @above has. Compressed in registers:
 * storing compressed is slow on Zen 4. */
static inline size_t
append_16 (__m512 scores, __mmask16 above, uint32_t base, uint32_t *out_index,
    float *out_value)
{
  const __m512i place = _mm512_add_epi32 (_mm512_set1_epi32 ((int) base),
      _mm512_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));

  _mm512_storeu_ps (out_value, _mm512_maskz_compress_ps (above, scores));
  _mm512_storeu_si512 (out_index, _mm512_maskz_compress_epi32 (above, place));
  return (size_t) __builtin_popcount (above);
}

static inline __mmask16
valid_lanes (size_t n, size_t j)
{
  return n - j >= 16 ? 0xffff : (__mmask16) ((1u << (n - j)) - 1);
}

static size_t
select_above_avx512 (const float *scores, size_t n, float threshold,
    uint32_t base, uint32_t *out_index, float *out_value)
{
  const __m512 limit = _mm512_set1_ps (threshold);
  size_t count = 0;

  for (size_t j = 0; j < n; j += 16) {
    __mmask16 valid = valid_lanes (n, j);
    __m512 s = load_tail (scores + j, valid);
    __mmask16 above = _mm512_mask_cmp_ps_mask (valid, s, limit, _CMP_GT_OQ);
    if (above)
      count += append_16 (s, above, base + (uint32_t) j, out_index + count,
          out_value + count);
  }
  return count;
}

/* The larger of 0 and NaN is NaN where that comes second. */
static size_t
select_above_each_avx512 (const float *scores, const float *thresholds,
    size_t n, uint32_t base, uint32_t *out_index, float *out_value)
{
  size_t count = 0;

  for (size_t j = 0; j < n; j += 16) {
    __mmask16 valid = valid_lanes (n, j);
    __m512 s = load_tail (scores + j, valid);
    __m512 limit =
        _mm512_max_ps (_mm512_setzero_ps (), load_tail (thresholds + j, valid));
    __mmask16 above = _mm512_mask_cmp_ps_mask (valid, s, limit, _CMP_GT_OQ);
    if (above)
      count += append_16 (s, above, base + (uint32_t) j, out_index + count,
          out_value + count);
  }
  return count;
}

static void
dots_at (const float *x, const float *rows, size_t ld, const uint32_t *index,
    size_t n, size_t d, float *out)
{
  dots_at_by_tiles (dots_at_1x4, x, rows, ld, index, n, d, out);
}

#include "screening-avx512.h"

#ifdef __AVX512VNNI__
#define KERNELS sae_kernels_avx512vnni
#define NAME "avx512vnni"
#else
#define KERNELS sae_kernels_avx512
#define NAME "avx512"
#endif

const SaeKernels KERNELS = {
    .name = NAME,
    .dot = dot,
    .dots = dots,
    .dots_at = dots_at,
    .combine = combine_avx512,
    .select_above = select_above_avx512,
    .select_above_each = select_above_each_avx512,
    .scale_s8 = SCALE_S8,
    .round_s16 = round_s16_avx512,
    .round_s8 = round_s8_avx512,
    .store_bytes = store_bytes,
    .dots_s16 = dots_s16,
    .dots_s8 = dots_s8,
    .s8_cost = S8_COST,
    .s16_cost = S16_COST,
    .select_screened = select_screened_avx512,
    SAE_ELEMENTWISE_ENTRIES,
};
