/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AVX2's kernels for screens, a part of kernels-avx2.c. Weights lie latent
 * after latent. */
#pragma once

/* The sums of the eight lanes each of a, b, c, d. */
static inline __m128i
add_lanes_of_4 (__m256i a, __m256i b, __m256i c, __m256i d)
{
  __m256i four =
      _mm256_hadd_epi32 (_mm256_hadd_epi32 (a, b), _mm256_hadd_epi32 (c, d));

  return _mm_add_epi32 (_mm256_castsi256_si128 (four),
      _mm256_extracti128_si256 (four, 1));
}

static inline __m256i
load (const void *p)
{
  return _mm256_loadu_si256 ((const __m256i *) p);
}

/* One step of a 2 x 4 tile: @SUM (s, x, w) adds to eight sums. */
#define BYTES_TILE_STEP(SUM, X0, X1, W)                                        \
  do {                                                                         \
    const __m256i a0 = X0, a1 = X1;                                            \
    __m256i b;                                                                 \
    b = W (0), s00 = SUM (s00, a0, b), s10 = SUM (s10, a1, b);                 \
    b = W (1), s01 = SUM (s01, a0, b), s11 = SUM (s11, a1, b);                 \
    b = W (2), s02 = SUM (s02, a0, b), s12 = SUM (s12, a1, b);                 \
    b = W (3), s03 = SUM (s03, a0, b), s13 = SUM (s13, a1, b);                 \
  } while (0)

#define BYTES_TILE_SUMS                                                        \
  __m256i s00 = _mm256_setzero_si256 (), s01 = s00, s02 = s00, s03 = s00;      \
  __m256i s10 = s00, s11 = s00, s12 = s00, s13 = s00

/* The sums less what the offset of the weights has added, @zero. */
#define BYTES_TILE_STORE                                                       \
  do {                                                                         \
    _mm_storeu_si128 ((__m128i *) out,                                         \
        _mm_sub_epi32 (add_lanes_of_4 (s00, s01, s02, s03),                    \
            _mm_set1_epi32 (zero[0])));                                        \
    _mm_storeu_si128 ((__m128i *) (out + ld_out),                              \
        _mm_sub_epi32 (add_lanes_of_4 (s10, s11, s12, s13),                    \
            _mm_set1_epi32 (zero[1])));                                        \
  } while (0)

#define SUM_S16(s, x, w) _mm256_add_epi32 (s, _mm256_madd_epi16 (x, w))
#define W_S16(i) load (w + (i) *d + j)

/* Two rows against four latents whose weights were widened. */
static inline void
dots_s16_2x4 (const int16_t *x0, const int16_t *x1, const int16_t *w, size_t d,
    int32_t *out, size_t ld_out)
{
  const int32_t zero[2] = {0, 0};
  BYTES_TILE_SUMS;

  for (size_t j = 0; j < d; j += 16)
    BYTES_TILE_STEP (SUM_S16, load (x0 + j), load (x1 + j), W_S16);
  BYTES_TILE_STORE;
}

/* The weights of a block without their offset. */
static void
widen (const uint8_t *block, size_t n, int16_t *out)
{
  const __m256i offset = _mm256_set1_epi16 (SAE_BYTES_OFFSET);

  for (size_t j = 0; j < n; j += 16)
    _mm256_store_si256 ((__m256i *) (out + j),
        _mm256_sub_epi16 (_mm256_cvtepu8_epi16 (
                              _mm_loadu_si128 ((const __m128i *) (block + j))),
            offset));
}

/* An odd last row is done twice, into a place of its own. */
static void
dots_s16 (const int16_t *x, size_t ld_x, size_t n_x, const uint8_t *blocks,
    size_t n_blocks, size_t d, int16_t *scratch, int32_t *out, size_t ld_out)
{
  int32_t twice[8];

  for (size_t b = 0; b < n_blocks; b++) {
    size_t r = 0, base = b * SAE_BYTES_LATENTS;
    widen (blocks + base * d, SAE_BYTES_LATENTS * d, scratch);
    for (; r + 2 <= n_x; r += 2)
      for (size_t i = 0; i < SAE_BYTES_LATENTS; i += 4)
        dots_s16_2x4 (x + r * ld_x, x + (r + 1) * ld_x, scratch + i * d, d,
            out + r * ld_out + base + i, ld_out);
    for (size_t i = 0; r < n_x && i < SAE_BYTES_LATENTS; i += 4) {
      dots_s16_2x4 (x + r * ld_x, x + r * ld_x, scratch + i * d, d, twice, 4);
      memcpy (out + r * ld_out + base + i, twice, 4 * sizeof *twice);
    }
  }
}

/* Numbers j, j + 1, j + 32 and j + 33 of a row have their products in one sum
 * of 16 bits: Σ|q|·255 < 2^15 where Σ|q| ≤ 128, of which rounding may be 2. */
#define MOST_OF_FOUR 126

static inline __m256
magnitude_8 (const float *x, const float *factors)
{
  return _mm256_andnot_ps (_mm256_set1_ps (-0.0f),
      _mm256_mul_ps (_mm256_loadu_ps (x), _mm256_loadu_ps (factors)));
}

/* Of four that share a sum, for each of 64 numbers; @largest so far. */
static inline __m256
largest_of_four (__m256 largest, const float *x, const float *factors)
{
  for (size_t i = 0; i < 32; i += 8) {
    __m256 two = _mm256_add_ps (magnitude_8 (x + i, factors + i),
        magnitude_8 (x + 32 + i, factors + 32 + i));
    __m256 four = _mm256_add_ps (two, _mm256_permute_ps (two, 0xb1));
    largest = _mm256_max_ps (largest, four);
  }
  return largest;
}

static float
scale_s8_of_fours (const float *x, const float *factors, size_t n)
{
  __m256 largest = _mm256_setzero_ps ();
  float lanes[8], most = 0;
  size_t j = 0;

  for (; j + SAE_BYTES_STEP <= n; j += SAE_BYTES_STEP)
    largest = largest_of_four (largest, x + j, factors + j);
  if (j < n) {
    float last_x[SAE_BYTES_STEP] = {0}, last_factors[SAE_BYTES_STEP] = {0};
    memcpy (last_x, x + j, (n - j) * sizeof *x);
    memcpy (last_factors, factors + j, (n - j) * sizeof *factors);
    largest = largest_of_four (largest, last_x, last_factors);
  }
  _mm256_storeu_ps (lanes, largest);
  for (int i = 0; i < 8; i++)
    most = lanes[i] > most ? lanes[i] : most;
  return most / MOST_OF_FOUR;
}

/* 64 bytes: two products of 32, whose pairs are added, and widened. */
static inline __m256i
sum_s8 (__m256i sum, const __m256i *x, const uint8_t *w)
{
  const __m256i ones = _mm256_set1_epi16 (1);
  __m256i four = _mm256_add_epi16 (_mm256_maddubs_epi16 (load (w), x[0]),
      _mm256_maddubs_epi16 (load (w + 32), x[1]));

  return _mm256_add_epi32 (sum, _mm256_madd_epi16 (ones, four));
}

static inline void
dots_s8_2x4 (const int8_t *x0, const int8_t *x1, const uint8_t *w, size_t d,
    const int32_t *zero, int32_t *out, size_t ld_out)
{
  const uint8_t *w1 = w + d, *w2 = w1 + d, *w3 = w2 + d;
  BYTES_TILE_SUMS;

  for (size_t j = 0; j < d; j += 64) {
    const __m256i a[2] = {load (x0 + j), load (x0 + j + 32)};
    const __m256i b[2] = {load (x1 + j), load (x1 + j + 32)};
    s00 = sum_s8 (s00, a, w + j), s10 = sum_s8 (s10, b, w + j);
    s01 = sum_s8 (s01, a, w1 + j), s11 = sum_s8 (s11, b, w1 + j);
    s02 = sum_s8 (s02, a, w2 + j), s12 = sum_s8 (s12, b, w2 + j);
    s03 = sum_s8 (s03, a, w3 + j), s13 = sum_s8 (s13, b, w3 + j);
  }
  BYTES_TILE_STORE;
}

static void
dots_s8 (const int8_t *x, size_t ld_x, size_t n_x, const uint8_t *blocks,
    size_t n_blocks, size_t d, int32_t *out, size_t ld_out)
{
  const size_t n = n_blocks * SAE_BYTES_LATENTS;
  int32_t twice[8];
  size_t r = 0;

  for (; r + 2 <= n_x; r += 2) {
    const int8_t *x0 = x + r * ld_x, *x1 = x0 + ld_x;
    const int32_t zero[2] = {sum_of_offset (x0, d), sum_of_offset (x1, d)};
    for (size_t i = 0; i < n; i += 4)
      dots_s8_2x4 (x0, x1, blocks + i * d, d, zero, out + r * ld_out + i,
          ld_out);
  }
  if (r < n_x) {
    const int8_t *x0 = x + r * ld_x;
    const int32_t zero[2] = {sum_of_offset (x0, d), 0};
    for (size_t i = 0; i < n; i += 4) {
      dots_s8_2x4 (x0, x0, blocks + i * d, d, zero, twice, 4);
      memcpy (out + r * ld_out + i, twice, 4 * sizeof *twice);
    }
  }
}

/* Sixteen numbers, in two registers each. */
typedef struct {
  Lanes q2, r2;
} Rounded;

static inline __m256i
round_8 (const float *x, const float *factors, __m256 inv, __m256 *q2,
    __m256 *r2)
{
  const __m256 rounder = _mm256_set1_ps (ROUNDER);
  __m256 y = _mm256_mul_ps (_mm256_mul_ps (_mm256_loadu_ps (x),
                                _mm256_loadu_ps (factors)),
      inv);
  __m256 q = _mm256_sub_ps (_mm256_add_ps (y, rounder), rounder);
  __m256 r = _mm256_sub_ps (y, q);

  *q2 = _mm256_fmadd_ps (q, q, *q2);
  *r2 = _mm256_fmadd_ps (r, r, *r2);
  return _mm256_cvtps_epi32 (q);
}

/* Sixteen of them in 16 bits. */
static inline __m256i
round_two (const float *x, const float *factors, __m256 inv, Rounded *sums)
{
  __m256i lo = round_8 (x, factors, inv, &sums->q2.lo, &sums->r2.lo);
  __m256i hi = round_8 (x + 8, factors + 8, inv, &sums->q2.hi, &sums->r2.hi);

  return _mm256_permute4x64_epi64 (_mm256_packs_epi32 (lo, hi), 0xd8);
}

/* The numbers past @at, and the sums of all. */
static inline void
round_rest (const float *x, const float *factors, size_t n, size_t at,
    float inv_scale, int32_t *rest, const Rounded *rounded,
    SaeRoundedSums *sums)
{
  RoundedLanes lanes;

  _mm256_storeu_ps (lanes.q2, rounded->q2.lo);
  _mm256_storeu_ps (lanes.q2 + 8, rounded->q2.hi);
  _mm256_storeu_ps (lanes.r2, rounded->r2.lo);
  _mm256_storeu_ps (lanes.r2 + 8, rounded->r2.hi);
  round_16 (x + at, factors + at, n - at, inv_scale, rest, &lanes);
  sums->q2 = add_lanes16 (lanes.q2);
  sums->r2 = add_lanes16 (lanes.r2);
}

static void
round_s8_avx2 (const float *x, const float *factors, size_t n, float inv_scale,
    int8_t *q, SaeRoundedSums *sums)
{
  const __m256 inv = _mm256_set1_ps (inv_scale);
  Rounded rounded = {lanes_zero (), lanes_zero ()};
  int32_t rest[16] = {0};
  size_t j = 0;

  for (; j + 16 <= n; j += 16) {
    __m256i wide = round_two (x + j, factors + j, inv, &rounded);
    _mm_storeu_si128 ((__m128i *) (q + j),
        _mm_packs_epi16 (_mm256_castsi256_si128 (wide),
            _mm256_extracti128_si256 (wide, 1)));
  }
  round_rest (x, factors, n, j, inv_scale, rest, &rounded, sums);
  for (size_t i = j; i < n || i % SAE_BYTES_STEP; i++)
    q[i] = (int8_t) (i < n ? rest[i - j] : 0);
}

static void
round_s16_avx2 (const float *x, const float *factors, size_t n, float inv_scale,
    int16_t *q, SaeRoundedSums *sums)
{
  const __m256 inv = _mm256_set1_ps (inv_scale);
  Rounded rounded = {lanes_zero (), lanes_zero ()};
  int32_t rest[16] = {0};
  size_t j = 0;

  for (; j + 16 <= n; j += 16)
    _mm256_storeu_si256 ((__m256i *) (q + j),
        round_two (x + j, factors + j, inv, &rounded));
  round_rest (x, factors, n, j, inv_scale, rest, &rounded, sums);
  for (size_t i = j; i < n || i % SAE_BYTES_STEP; i++)
    q[i] = (int16_t) (i < n ? rest[i - j] : 0);
}

static size_t
select_screened_avx2 (const int32_t *scores, const SaeScreenedRow *row,
    const SaeScreenedLatents *latents, size_t n, uint32_t base,
    uint32_t *out_index, float *out_lower, float *out_upper)
{
  const SaeScreenedLatents l = *latents; /* which no store can change */
  const __m256 threshold = _mm256_set1_ps (row->threshold);
  const __m256 row_scale = _mm256_set1_ps (row->scale);
  const __m256 row_norm = _mm256_set1_ps (row->norm);
  const __m256 row_error = _mm256_set1_ps (row->error);
  size_t count = 0, j = 0;

  for (; j + 8 <= n; j += 8) {
    __m256 s =
        _mm256_mul_ps (_mm256_cvtepi32_ps (load (scores + j)), row_scale);
    __m256 f = _mm256_fmadd_ps (s, _mm256_loadu_ps (l.scale + j),
        _mm256_loadu_ps (l.bias + j));
    __m256 e = _mm256_fmadd_ps (row_norm, _mm256_loadu_ps (l.error + j),
        _mm256_loadu_ps (l.bias_error + j));
    e = _mm256_fmadd_ps (row_error, _mm256_loadu_ps (l.norm + j), e);
    __m256 upper = _mm256_add_ps (f, e);
    __m256 above = _mm256_cmp_ps (upper, threshold, _CMP_GT_OQ);
    unsigned mask = (unsigned) _mm256_movemask_ps (above);
    if (!mask)
      continue;
    if (l.floor)
      mask &= (unsigned) _mm256_movemask_ps (
          _mm256_cmp_ps (upper, _mm256_loadu_ps (l.floor + j), _CMP_GT_OQ));
    const __m256i at = places_of (mask);
    _mm256_storeu_si256 ((__m256i *) (out_index + count),
        _mm256_add_epi32 (at, _mm256_set1_epi32 ((int) (base + (uint32_t) j))));
    _mm256_storeu_ps (out_lower + count,
        _mm256_permutevar8x32_ps (_mm256_sub_ps (f, e), at));
    _mm256_storeu_ps (out_upper + count, _mm256_permutevar8x32_ps (upper, at));
    count += (size_t) __builtin_popcount (mask);
  }
  return count + select_screened (scores, row, latents, j, n, base,
                     out_index + count, out_lower + count, out_upper + count);
}
