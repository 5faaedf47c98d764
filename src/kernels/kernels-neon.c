/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AdvSIMD, which every aarch64 has: the 16 lanes of a dot product are four
 * registers. */
#include "elementwise.h"
#include <arm_neon.h>

/* Lanes 0-3, 4-7, 8-11 and 12-15; not float32x4x4_t, which gcc wants in
 * consecutive registers. */
typedef struct {
  float32x4_t a, b, c, d;
} Lanes;

static inline Lanes
lanes_zero (void)
{
  const float32x4_t zero = vdupq_n_f32 (0);

  return (Lanes){zero, zero, zero, zero};
}

static inline Lanes
lanes_fma (Lanes sum, const float *x, const float *w)
{
  sum.a = vfmaq_f32 (sum.a, vld1q_f32 (x), vld1q_f32 (w));
  sum.b = vfmaq_f32 (sum.b, vld1q_f32 (x + 4), vld1q_f32 (w + 4));
  sum.c = vfmaq_f32 (sum.c, vld1q_f32 (x + 8), vld1q_f32 (w + 8));
  sum.d = vfmaq_f32 (sum.d, vld1q_f32 (x + 12), vld1q_f32 (w + 12));
  return sum;
}

/* @sum where the lane is below @n, @before elsewhere; @first is the number of
 * the first lane of the four. */
static inline float32x4_t
keep_from (float32x4_t sum, float32x4_t before, uint32_t first, size_t n)
{
  static const uint32_t count[4] = {0, 1, 2, 3};
  uint32x4_t lane = vaddq_u32 (vld1q_u32 (count), vdupq_n_u32 (first));

  return vbslq_f32 (vcltq_u32 (lane, vdupq_n_u32 ((uint32_t) n)), sum, before);
}

/* The last n < 16 elements, in their lanes only: fma (0, 0, sum) would make
 * +0 of a lane that underflow has left at −0. */
static inline Lanes
lanes_fma_tail (Lanes sum, const float *x, const float *w, size_t n)
{
  float x16[16] = {0}, w16[16] = {0};
  Lanes all;

  memcpy (x16, x, n * sizeof *x);
  memcpy (w16, w, n * sizeof *w);
  all = lanes_fma (sum, x16, w16);
  return (Lanes){keep_from (all.a, sum.a, 0, n), keep_from (all.b, sum.b, 4, n),
      keep_from (all.c, sum.c, 8, n), keep_from (all.d, sum.d, 12, n)};
}

/* The halving tree. */
static inline float
lanes_add (Lanes sum)
{
  float32x4_t four =
      vaddq_f32 (vaddq_f32 (sum.a, sum.c), vaddq_f32 (sum.b, sum.d));

  return vpadds_f32 (vadd_f32 (vget_low_f32 (four), vget_high_f32 (four)));
}

static float
dot (const float *x, const float *w, size_t d)
{
  Lanes sum = lanes_zero ();
  size_t j = 0;

  for (; j + 16 <= d; j += 16)
    sum = lanes_fma (sum, x + j, w + j);
  if (j < d)
    sum = lanes_fma_tail (sum, x + j, w + j, d - j);
  return lanes_add (sum);
}

/* No load moves past this: gcc 12 loads so far ahead of what is used that it
 * runs out of registers and spills sums. */
#define LOAD_NO_FURTHER __asm__ volatile("" ::: "memory")

/* Four lanes of the 2 x 3 tile: x, x1 against w, w1, w2. */
#define TILE_STEP(part, at)                                                    \
  do {                                                                         \
    float32x4_t a0 = vld1q_f32 (x + j + at), a1 = vld1q_f32 (x1 + j + at), b;  \
    b = vld1q_f32 (w + j + at);                                                \
    s00.part = vfmaq_f32 (s00.part, a0, b);                                    \
    s10.part = vfmaq_f32 (s10.part, a1, b);                                    \
    b = vld1q_f32 (w1 + j + at);                                               \
    s01.part = vfmaq_f32 (s01.part, a0, b);                                    \
    s11.part = vfmaq_f32 (s11.part, a1, b);                                    \
    b = vld1q_f32 (w2 + j + at);                                               \
    s02.part = vfmaq_f32 (s02.part, a0, b);                                    \
    s12.part = vfmaq_f32 (s12.part, a1, b);                                    \
    LOAD_NO_FURTHER;                                                           \
  } while (0)

/* Two rows against three latents: 24 accumulators of the 32 registers. */
static inline void
dots_2x3 (const float *x, size_t ld_x, const float *w, size_t ld_w, size_t d,
    float *out, size_t ld_out)
{
  const float *x1 = x + ld_x, *w1 = w + ld_w, *w2 = w1 + ld_w;
  Lanes s00 = lanes_zero (), s01 = s00, s02 = s00, s10 = s00, s11 = s00,
        s12 = s00;
  size_t j = 0;

  for (; j + 16 <= d; j += 16) {
    TILE_STEP (a, 0);
    TILE_STEP (b, 4);
    TILE_STEP (c, 8);
    TILE_STEP (d, 12);
  }
  if (j < d) {
    const size_t n = d - j;
    s00 = lanes_fma_tail (s00, x + j, w + j, n);
    s10 = lanes_fma_tail (s10, x1 + j, w + j, n);
    s01 = lanes_fma_tail (s01, x + j, w1 + j, n);
    s11 = lanes_fma_tail (s11, x1 + j, w1 + j, n);
    s02 = lanes_fma_tail (s02, x + j, w2 + j, n);
    s12 = lanes_fma_tail (s12, x1 + j, w2 + j, n);
  }
  out[0] = lanes_add (s00);
  out[1] = lanes_add (s01);
  out[2] = lanes_add (s02);
  out[ld_out] = lanes_add (s10);
  out[ld_out + 1] = lanes_add (s11);
  out[ld_out + 2] = lanes_add (s12);
}

/* Three latents stay in the first-level cache while the rows pass by. */
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

static inline Lanes
lanes_add_scaled (Lanes sum, float32x4_t v, const float *x)
{
  sum.a = vfmaq_f32 (sum.a, v, vld1q_f32 (x));
  sum.b = vfmaq_f32 (sum.b, v, vld1q_f32 (x + 4));
  sum.c = vfmaq_f32 (sum.c, v, vld1q_f32 (x + 8));
  sum.d = vfmaq_f32 (sum.d, v, vld1q_f32 (x + 12));
  return sum;
}

static inline void
lanes_store (float *y, Lanes lanes)
{
  vst1q_f32 (y, lanes.a);
  vst1q_f32 (y + 4, lanes.b);
  vst1q_f32 (y + 8, lanes.c);
  vst1q_f32 (y + 12, lanes.d);
}

/* 64 columns stay in 16 registers over all rows. */
static void
combine_64 (float *y, const float *values, const uint32_t *index, size_t n,
    const float *rows, size_t ld)
{
  Lanes s0 = lanes_zero (), s1 = s0, s2 = s0, s3 = s0;

  for (size_t i = 0; i < n; i++) {
    const float *row = rows + index[i] * ld;
    float32x4_t v = vdupq_n_f32 (values[i]);
    s0 = lanes_add_scaled (s0, v, row);
    s1 = lanes_add_scaled (s1, v, row + 16);
    LOAD_NO_FURTHER;
    s2 = lanes_add_scaled (s2, v, row + 32);
    s3 = lanes_add_scaled (s3, v, row + 48);
  }
  lanes_store (y, s0);
  lanes_store (y + 16, s1);
  lanes_store (y + 32, s2);
  lanes_store (y + 48, s3);
}

static void
combine_neon (float *y, size_t d, const float *values, const uint32_t *index,
    size_t n, const float *rows, size_t ld)
{
  size_t j = 0;

  for (; j + 64 <= d; j += 64)
    combine_64 (y + j, values, index, n, rows + j, ld);
  if (j < d)
    combine (y + j, d - j, values, index, n, rows + j, ld);
}

/* Bit 4·i is 1 where scores[i] > limit, i < 16. */
static inline uint64_t
bits_above (const float *scores, float32x4_t limit)
{
  uint32x4_t a = vcgtq_f32 (vld1q_f32 (scores), limit);
  uint32x4_t b = vcgtq_f32 (vld1q_f32 (scores + 4), limit);
  uint32x4_t c = vcgtq_f32 (vld1q_f32 (scores + 8), limit);
  uint32x4_t d = vcgtq_f32 (vld1q_f32 (scores + 12), limit);
  /* all ones or zeros: the narrower half says the same */
  uint16x8_t ab = vcombine_u16 (vmovn_u32 (a), vmovn_u32 (b));
  uint16x8_t cd = vcombine_u16 (vmovn_u32 (c), vmovn_u32 (d));
  uint8x16_t bytes = vcombine_u8 (vmovn_u16 (ab), vmovn_u16 (cd));
  uint8x8_t nibbles = vshrn_n_u16 (vreinterpretq_u16_u8 (bytes), 4);

  return vget_lane_u64 (vreinterpret_u64_u8 (nibbles), 0) &
         UINT64_C (0x1111111111111111);
}

/* Most blocks have nothing above a settled threshold: look at 16 at once. */
static size_t
select_above_neon (const float *scores, size_t n, float threshold,
    uint32_t base, uint32_t *out_index, float *out_value)
{
  const float32x4_t limit = vdupq_n_f32 (threshold);
  size_t count = 0, j = 0;

  for (; j + 16 <= n; j += 16) {
    uint64_t above = bits_above (scores + j, limit);
    for (; above; above &= above - 1) {
      unsigned at = (unsigned) __builtin_ctzll (above) / 4;
      out_index[count] = base + (uint32_t) j + at;
      out_value[count++] = scores[j + at];
    }
  }
  return count + select_above (scores + j, n - j, threshold,
                     base + (uint32_t) j, out_index + count, out_value + count);
}

static void
dots_at (const float *x, const float *rows, size_t ld, const uint32_t *index,
    size_t n, size_t d, float *out)
{
  for (size_t i = 0; i < n; i++)
    out[i] = dot (x, rows + index[i] * ld, d);
}

/* --- screening ------------------------------------------------------------ */

/* Adds sixteen products: two of them fit 16 bits, 2·127·127 < 2^15. */
static inline int32x4_t
sum_s8 (int32x4_t sum, int8x16_t x, int8x16_t w)
{
  int16x8_t pairs = vmull_s8 (vget_low_s8 (x), vget_low_s8 (w));

  return vpadalq_s16 (sum, vmlal_high_s8 (pairs, x, w));
}

/* Four rows against one latent, whose bytes are read once for them. */
static inline void
dots_s8_4x1 (const int8_t *const *x, const uint8_t *w, size_t d,
    int32_t *const *out)
{
  const uint8x16_t offset = vdupq_n_u8 (SAE_BYTES_OFFSET);
  int32x4_t s0 = vdupq_n_s32 (0), s1 = s0, s2 = s0, s3 = s0;

  for (size_t j = 0; j < d; j += 16) {
    int8x16_t wj = vreinterpretq_s8_u8 (veorq_u8 (vld1q_u8 (w + j), offset));
    s0 = sum_s8 (s0, vld1q_s8 (x[0] + j), wj);
    s1 = sum_s8 (s1, vld1q_s8 (x[1] + j), wj);
    s2 = sum_s8 (s2, vld1q_s8 (x[2] + j), wj);
    s3 = sum_s8 (s3, vld1q_s8 (x[3] + j), wj);
  }
  *out[0] = vaddvq_s32 (s0);
  *out[1] = vaddvq_s32 (s1);
  *out[2] = vaddvq_s32 (s2);
  *out[3] = vaddvq_s32 (s3);
}

/* Rows past the last are the last once more, with the same result. */
static void
dots_s8 (const int8_t *x, size_t ld_x, size_t n_x, const uint8_t *blocks,
    size_t n_blocks, size_t d, int32_t *out, size_t ld_out)
{
  for (size_t r = 0; r < n_x; r += 4)
    for (size_t i = 0; i < n_blocks * SAE_BYTES_LATENTS; i++) {
      const int8_t *rows[4];
      int32_t *to[4];
      for (size_t p = 0; p < 4; p++) {
        size_t at = r + p < n_x ? r + p : n_x - 1;
        rows[p] = x + at * ld_x;
        to[p] = out + at * ld_out + i;
      }
      dots_s8_4x1 (rows, blocks + i * d, d, to);
    }
}

static size_t
select_screened_neon (const int32_t *scores, const SaeScreenedRow *row,
    const SaeScreenedLatents *latents, size_t n, uint32_t base,
    uint32_t *out_index, float *out_lower, float *out_upper)
{
  return select_screened (scores, row, latents, 0, n, base, out_index,
      out_lower, out_upper);
}

/* Products of 16 bits are no quicker than those of floats here, so that
 * precision is never chosen. */
const SaeKernels sae_kernels_neon = {
    .name = "neon",
    .dot = dot,
    .dots = dots,
    .dots_at = dots_at,
    .combine = combine_neon,
    .select_above = select_above_neon,
    .select_above_each = select_above_each,
    .scale_s8 = scale_s8,
    .round_s16 = round_s16,
    .round_s8 = round_s8,
    .store_bytes = store_rows,
    .dots_s16 = plain_dots_s16,
    .dots_s8 = dots_s8,
    .s8_cost = 0.75f,
    .s16_cost = 1.0f,
    .select_screened = select_screened_neon,
    SAE_ELEMENTWISE_ENTRIES,
};
