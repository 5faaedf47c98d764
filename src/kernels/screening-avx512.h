/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AVX-512's kernels for screens, with VNNI and without, a part of
 * kernels-avx512.c.
 *
 * A block has four bytes of latent 0, of latent 1, … of latent 15, and then
 * the next four of each: a register of them against four numbers of a row
 * gives sixteen latents a sum each, and nothing has to be added across. */
#pragma once

static void
store_bytes (uint8_t *block, size_t i, const int8_t *q, size_t d)
{
  for (size_t j = 0; j < d; j += 4) {
    uint32_t four;
    memcpy (&four, q + j, sizeof four);
    four ^= 0x80808080u; /* q + 128 in each byte */
    memcpy (block + j * SAE_BYTES_LATENTS + 4 * i, &four, sizeof four);
  }
}

typedef struct {
  __m512 q2, r2;
} Rounded;

/* Of @valid lanes; the others are 0 and add nothing. */
static inline __m512i
round_lanes (const float *x, const float *factors, __mmask16 valid, __m512 inv,
    Rounded *sums)
{
  const __m512 rounder = _mm512_set1_ps (ROUNDER);
  __m512 y = _mm512_mul_ps (_mm512_mul_ps (load_tail (x, valid),
                                load_tail (factors, valid)),
      inv);
  __m512 q = _mm512_sub_ps (_mm512_add_ps (y, rounder), rounder);
  __m512 r = _mm512_sub_ps (y, q);

  sums->q2 = _mm512_fmadd_ps (q, q, sums->q2);
  sums->r2 = _mm512_fmadd_ps (r, r, sums->r2);
  return _mm512_cvtps_epi32 (q);
}

static inline void
add_rounded (const Rounded *rounded, SaeRoundedSums *sums)
{
  float lanes[16];

  _mm512_storeu_ps (lanes, rounded->q2);
  sums->q2 = add_lanes16 (lanes);
  _mm512_storeu_ps (lanes, rounded->r2);
  sums->r2 = add_lanes16 (lanes);
}

/* Lanes past @n give the zeros that fill the row up. */
#define ROUND_ROW(STORE)                                                       \
  do {                                                                         \
    const __m512 inv = _mm512_set1_ps (inv_scale);                             \
    Rounded rounded = {_mm512_setzero_ps (), _mm512_setzero_ps ()};            \
    for (size_t j = 0; j < n || j % SAE_BYTES_STEP; j += 16) {                 \
      __mmask16 valid = n >= j + 16 ? 0xffff                                   \
                        : n > j     ? (__mmask16) ((1u << (n - j)) - 1)        \
                                    : 0;                                           \
      STORE (q + j, round_lanes (x + j, factors + j, valid, inv, &rounded));   \
    }                                                                          \
    add_rounded (&rounded, sums);                                              \
  } while (0)

#define STORE_S8(p, q)                                                         \
  _mm_storeu_si128 ((__m128i *) (p), _mm512_cvtepi32_epi8 (q))
#define STORE_S16(p, q)                                                        \
  _mm256_storeu_si256 ((__m256i *) (p), _mm512_cvtepi32_epi16 (q))

static void
round_s8_avx512 (const float *x, const float *factors, size_t n,
    float inv_scale, int8_t *q, SaeRoundedSums *sums)
{
  ROUND_ROW (STORE_S8);
}

static void
round_s16_avx512 (const float *x, const float *factors, size_t n,
    float inv_scale, int16_t *q, SaeRoundedSums *sums)
{
  ROUND_ROW (STORE_S16);
}

#ifdef __AVX512VNNI__
typedef int32_t __attribute__ ((may_alias, aligned (1))) Four;

/* In assembly, since gcc 12 copies the sum before and after the intrinsic,
 * and keeps four bytes of x on the stack instead of where they are. */
static inline __m512i
sum_s8 (__m512i sum, __m512i w, const int8_t *x)
{
  __asm__("vpdpbusd %2%{1to16%}, %1, %0"
          : "+v"(sum)
          : "v"(w), "m"(*(const Four *) x));
  return sum;
}

static inline __m512i
sum_s16 (__m512i sum, __m512i w, __m512i x)
{
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  return sum;
}
#else
static inline __m512i
four_s8 (const int8_t *x)
{
  int32_t four;

  memcpy (&four, x, sizeof four);
  return _mm512_set1_epi32 (four);
}

static float
scale_s8_of_pairs (const float *x, const float *factors, size_t n)
{
  return largest_product (x, factors, n) / 64;
}
#endif

#ifdef __AVX512VNNI__
#define SCALE_S8 scale_s8
#define SUM_S8(s, w, x) sum_s8 (s, w, x)
#define SUM_S16(s, w, x) sum_s16 (s, w, x)
#define S8_COST 0.25f
#define S16_COST 0.5f
#else
/* Pairs of products fit 16 bits: 2·255·64 < 2^15. */
#define SCALE_S8 scale_s8_of_pairs
#define SUM_S8(s, w, x)                                                        \
  _mm512_add_epi32 (s, _mm512_madd_epi16 (_mm512_set1_epi16 (1),               \
                           _mm512_maddubs_epi16 (w, four_s8 (x))))
#define SUM_S16(s, w, x) _mm512_add_epi32 (s, _mm512_madd_epi16 (w, x))
#define S8_COST 0.35f
#define S16_COST 0.6f
#endif

static inline __m512i
four_s16 (const int16_t *x)
{
  int64_t four;

  memcpy (&four, x, sizeof four);
  return _mm512_set1_epi64 (four);
}

/* The sums of sixteen latents less what the offset of the weights added. */
static inline void
store_sums (int32_t *out, __m512i sums, int32_t offset)
{
  _mm512_storeu_si512 (out,
      _mm512_sub_epi32 (sums, _mm512_set1_epi32 (offset)));
}

static inline int32_t
sum_of_offset_s16 (const int16_t *x, size_t d)
{
  uint32_t sum = 0;

  for (size_t j = 0; j < d; j++) {
    int32_t value = x[j];
    sum += (uint32_t) value;
  }
  return (int32_t) (sum * SAE_BYTES_OFFSET);
}

/* Four rows against @B0 … of the blocks, of which each takes 16·d bytes. */
#define ROWS_STEP(W, A, B, C, D)                                               \
  do {                                                                         \
    const __m512i w = _mm512_loadu_si512 (W);                                  \
    A = SUM_S8 (A, w, x0 + j), B = SUM_S8 (B, w, x1 + j);                      \
    C = SUM_S8 (C, w, x2 + j), D = SUM_S8 (D, w, x3 + j);                      \
  } while (0)

static inline void
dots_s8_4x4 (const int8_t *const *x, const uint8_t *blocks, size_t d,
    const int32_t *offset, int32_t *const *out)
{
  const int8_t *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  const uint8_t *w0 = blocks, *w1 = w0 + SAE_BYTES_LATENTS * d;
  const uint8_t *w2 = w1 + SAE_BYTES_LATENTS * d;
  const uint8_t *w3 = w2 + SAE_BYTES_LATENTS * d;
  __m512i s00 = _mm512_setzero_si512 (), s01 = s00, s02 = s00, s03 = s00;
  __m512i s10 = s00, s11 = s00, s12 = s00, s13 = s00;
  __m512i s20 = s00, s21 = s00, s22 = s00, s23 = s00;
  __m512i s30 = s00, s31 = s00, s32 = s00, s33 = s00;

  for (size_t j = 0; j < d; j += 4) {
    const size_t at = j * SAE_BYTES_LATENTS;
    ROWS_STEP (w0 + at, s00, s10, s20, s30);
    ROWS_STEP (w1 + at, s01, s11, s21, s31);
    ROWS_STEP (w2 + at, s02, s12, s22, s32);
    ROWS_STEP (w3 + at, s03, s13, s23, s33);
  }
#define STORE_ROW(r, a, b, c, e)                                               \
  store_sums (out[r], a, offset[r]), store_sums (out[r] + 16, b, offset[r]);   \
  store_sums (out[r] + 32, c, offset[r]), store_sums (out[r] + 48, e, offset[r])
  STORE_ROW (0, s00, s01, s02, s03);
  STORE_ROW (1, s10, s11, s12, s13);
  STORE_ROW (2, s20, s21, s22, s23);
  STORE_ROW (3, s30, s31, s32, s33);
}

static inline void
dots_s8_4x1 (const int8_t *const *x, const uint8_t *block, size_t d,
    const int32_t *offset, int32_t *const *out)
{
  const int8_t *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  __m512i s0 = _mm512_setzero_si512 (), s1 = s0, s2 = s0, s3 = s0;

  for (size_t j = 0; j < d; j += 4)
    ROWS_STEP (block + j * SAE_BYTES_LATENTS, s0, s1, s2, s3);
  store_sums (out[0], s0, offset[0]);
  store_sums (out[1], s1, offset[1]);
  store_sums (out[2], s2, offset[2]);
  store_sums (out[3], s3, offset[3]);
}

/* Rows past the last are the last once more, with the same result. */
static void
dots_s8 (const int8_t *x, size_t ld_x, size_t n_x, const uint8_t *blocks,
    size_t n_blocks, size_t d, int32_t *out, size_t ld_out)
{
  const size_t size = SAE_BYTES_LATENTS * d;

  for (size_t r = 0; r < n_x; r += 4) {
    const int8_t *rows[4];
    int32_t *to[4], offset[4];
    size_t b = 0;
    for (size_t p = 0; p < 4; p++) {
      size_t at = r + p < n_x ? r + p : n_x - 1;
      rows[p] = x + at * ld_x;
      to[p] = out + at * ld_out;
      offset[p] = sum_of_offset (rows[p], d);
    }
    for (; b < n_blocks; b += b + 4 <= n_blocks ? 4 : 1) {
      int32_t *const here[4] = {to[0] + b * SAE_BYTES_LATENTS,
          to[1] + b * SAE_BYTES_LATENTS, to[2] + b * SAE_BYTES_LATENTS,
          to[3] + b * SAE_BYTES_LATENTS};
      if (b + 4 <= n_blocks)
        dots_s8_4x4 (rows, blocks + b * size, d, offset, here);
      else
        dots_s8_4x1 (rows, blocks + b * size, d, offset, here);
    }
  }
}

/* Sixteen bits each: of 64 bytes, those of latents 0-7 and then of 8-15. */
static void
widen (const uint8_t *block, size_t n, int16_t *out)
{
  for (size_t j = 0; j < n; j += 32)
    _mm512_storeu_si512 (out + j, _mm512_cvtepu8_epi16 (_mm256_loadu_si256 (
                                      (const __m256i *) (block + j))));
}

/* @lo and @hi have two sums each of latents 0-7 and 8-15. */
static inline __m512i
add_pairs (__m512i lo, __m512i hi)
{
  const __m512i even = _mm512_setr_epi32 (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
      22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32 (1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21,
      23, 25, 27, 29, 31);

  return _mm512_add_epi32 (_mm512_permutex2var_epi32 (lo, even, hi),
      _mm512_permutex2var_epi32 (lo, odd, hi));
}

static inline void
dots_s16_4x1 (const int16_t *const *x, const int16_t *w, size_t d,
    const int32_t *offset, int32_t *const *out)
{
  __m512i l0 = _mm512_setzero_si512 (), l1 = l0, l2 = l0, l3 = l0;
  __m512i h0 = l0, h1 = l0, h2 = l0, h3 = l0;

  for (size_t j = 0; j < d; j += 4) {
    const __m512i x0 = four_s16 (x[0] + j), x1 = four_s16 (x[1] + j);
    const __m512i x2 = four_s16 (x[2] + j), x3 = four_s16 (x[3] + j);
    const __m512i lo = _mm512_loadu_si512 (w + j * SAE_BYTES_LATENTS);
    const __m512i hi = _mm512_loadu_si512 (w + j * SAE_BYTES_LATENTS + 32);
    l0 = SUM_S16 (l0, lo, x0), l1 = SUM_S16 (l1, lo, x1);
    l2 = SUM_S16 (l2, lo, x2), l3 = SUM_S16 (l3, lo, x3);
    h0 = SUM_S16 (h0, hi, x0), h1 = SUM_S16 (h1, hi, x1);
    h2 = SUM_S16 (h2, hi, x2), h3 = SUM_S16 (h3, hi, x3);
  }
  store_sums (out[0], add_pairs (l0, h0), offset[0]);
  store_sums (out[1], add_pairs (l1, h1), offset[1]);
  store_sums (out[2], add_pairs (l2, h2), offset[2]);
  store_sums (out[3], add_pairs (l3, h3), offset[3]);
}

static void
dots_s16 (const int16_t *x, size_t ld_x, size_t n_x, const uint8_t *blocks,
    size_t n_blocks, size_t d, int16_t *scratch, int32_t *out, size_t ld_out)
{
  for (size_t b = 0; b < n_blocks; b++) {
    const size_t base = b * SAE_BYTES_LATENTS;
    widen (blocks + base * d, SAE_BYTES_LATENTS * d, scratch);
    for (size_t r = 0; r < n_x; r += 4) {
      const int16_t *rows[4];
      int32_t *to[4], offset[4];
      for (size_t p = 0; p < 4; p++) {
        size_t at = r + p < n_x ? r + p : n_x - 1;
        rows[p] = x + at * ld_x;
        to[p] = out + at * ld_out + base;
        offset[p] = sum_of_offset_s16 (rows[p], d);
      }
      dots_s16_4x1 (rows, scratch, d, offset, to);
    }
  }
}

static size_t
select_screened_avx512 (const int32_t *scores, const SaeScreenedRow *row,
    const SaeScreenedLatents *latents, size_t n, uint32_t base,
    uint32_t *out_index, float *out_lower, float *out_upper)
{
  const SaeScreenedLatents l = *latents; /* which no store can change */
  const __m512 threshold = _mm512_set1_ps (row->threshold);
  const __m512 row_scale = _mm512_set1_ps (row->scale);
  const __m512 row_norm = _mm512_set1_ps (row->norm);
  const __m512 row_error = _mm512_set1_ps (row->error);
  const __m512i place =
      _mm512_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  size_t count = 0;

  for (size_t j = 0; j < n; j += 16) {
    const __mmask16 valid = valid_lanes (n, j);
    __m512 s = _mm512_mul_ps (_mm512_cvtepi32_ps (
                                  _mm512_maskz_loadu_epi32 (valid, scores + j)),
        row_scale);
    __m512 f = _mm512_fmadd_ps (s, load_tail (l.scale + j, valid),
        load_tail (l.bias + j, valid));
    __m512 e = _mm512_fmadd_ps (row_norm, load_tail (l.error + j, valid),
        load_tail (l.bias_error + j, valid));
    e = _mm512_fmadd_ps (row_error, load_tail (l.norm + j, valid), e);
    __m512 upper = _mm512_add_ps (f, e);
    __mmask16 above =
        _mm512_mask_cmp_ps_mask (valid, upper, threshold, _CMP_GT_OQ);
    if (l.floor)
      above = _mm512_mask_cmp_ps_mask (above, upper,
          load_tail (l.floor + j, valid), _CMP_GT_OQ);
    if (!above)
      continue;
    /* compress in registers: storing compressed is slow on Zen 4 */
    _mm512_storeu_si512 (out_index + count,
        _mm512_maskz_compress_epi32 (above,
            _mm512_add_epi32 (place,
                _mm512_set1_epi32 ((int) (base + (uint32_t) j)))));
    _mm512_storeu_ps (out_lower + count,
        _mm512_maskz_compress_ps (above, _mm512_sub_ps (f, e)));
    _mm512_storeu_ps (out_upper + count,
        _mm512_maskz_compress_ps (above, upper));
    count += (size_t) __builtin_popcount (above);
  }
  return count;
}
