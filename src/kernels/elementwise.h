/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The bodies that need no intrinsics: plain loops over elements, compiled once
 * for each SIMD level (the compiler vectorises them; -ffp-contract=off and no
 * fast-math keep the bits). Included by kernels-<level>.c only. */
#pragma once

#include <math.h>
#include <string.h>
#include "kernels.h"

#ifndef COMBINE_WIDTH
#define COMBINE_WIDTH 64
#endif

/* A strip of COMBINE_WIDTH columns stays in registers over all rows. */
static inline __attribute__ ((always_inline)) void
combine_strip (float *restrict y, size_t width, const float *restrict values,
    const uint32_t *restrict index, size_t n, const float *restrict rows,
    size_t ld)
{
  float sum[COMBINE_WIDTH] = {0};

  for (size_t i = 0; i < n; i++) {
    const float *row = rows + index[i] * ld;
    for (size_t j = 0; j < width; j++)
      sum[j] = __builtin_fmaf (values[i], row[j], sum[j]);
  }
  memcpy (y, sum, width * sizeof (float));
}

static inline void
combine (float *y, size_t d, const float *values, const uint32_t *index,
    size_t n, const float *rows, size_t ld)
{
  size_t j = 0;

  for (; j + COMBINE_WIDTH <= d; j += COMBINE_WIDTH)
    combine_strip (y + j, COMBINE_WIDTH, values, index, n, rows + j, ld);
  if (j < d)
    combine_strip (y + j, d - j, values, index, n, rows + j, ld);
}

static inline void
prefetch_row (const float *row, size_t d)
{
  for (size_t j = 0; j < d; j += 16)
    __builtin_prefetch (row + j);
}

/* One row against four that lie anywhere. */
typedef void (
    *Tile1x4) (const float *x, const float *const *w, size_t d, float *out);

/* dots_at by tiles: lines of the next one are asked for while one is worked
 * on, and the last has its last row again in the places left. */
static inline __attribute__ ((always_inline)) void
dots_at_by_tiles (Tile1x4 tile, const float *x, const float *rows, size_t ld,
    const uint32_t *index, size_t n, size_t d, float *out)
{
  for (size_t i = 0; i < n; i += 4) {
    const float *w[4];
    float four[4];
    for (size_t p = 0; p < 4; p++) {
      w[p] = rows + index[i + p < n ? i + p : n - 1] * ld;
      if (i + 4 + p < n)
        prefetch_row (rows + index[i + 4 + p] * ld, d);
    }
    tile (x, w, d, i + 4 <= n ? out + i : four);
    if (i + 4 > n)
      memcpy (out + i, four, (n - i) * sizeof *four);
  }
}

static inline size_t
select_above (const float *scores, size_t n, float threshold, uint32_t base,
    uint32_t *out_index, float *out_value)
{
  size_t count = 0;

  for (size_t j = 0; j < n; j++) {
    out_index[count] = base + (uint32_t) j;
    out_value[count] = scores[j];
    count += scores[j] > threshold;
  }
  return count;
}

static inline size_t
select_above_each (const float *scores, const float *thresholds, size_t n,
    uint32_t base, uint32_t *out_index, float *out_value)
{
  size_t count = 0;

  for (size_t j = 0; j < n; j++) {
    out_index[count] = base + (uint32_t) j;
    out_value[count] = scores[j];
    count += (scores[j] > 0.0f) & (scores[j] > thresholds[j]);
  }
  return count;
}

static void
add (float *restrict y, const float *restrict x, size_t n)
{
  for (size_t j = 0; j < n; j++)
    y[j] += x[j];
}

static void
subtract (float *restrict y, const float *restrict x, const float *restrict z,
    size_t n)
{
  for (size_t j = 0; j < n; j++)
    y[j] = x[j] - z[j];
}

static void
add_scaled (float *restrict y, float a, const float *restrict x, size_t n)
{
  for (size_t j = 0; j < n; j++)
    y[j] = __builtin_fmaf (a, x[j], y[j]);
}

static void
blend (float *restrict y, float a, const float *restrict x, size_t n)
{
  for (size_t j = 0; j < n; j++)
    y[j] = __builtin_fmaf (a, x[j] - y[j], y[j]);
}

static void
scale (float *y, float a, const float *x, size_t n)
{
  for (size_t j = 0; j < n; j++)
    y[j] = a * x[j];
}

static void
scaled_difference (float *restrict y, float a, const float *restrict x,
    const float *restrict z, size_t n)
{
  for (size_t j = 0; j < n; j++)
    y[j] = a * (x[j] - z[j]);
}

static void
adam (const SaeAdamConstants *constants, float *restrict w, float *restrict m,
    float *restrict v, const float *restrict g, size_t n)
{
  const SaeAdamConstants c = *constants;
  const float one_minus_beta1 = 1.0f - c.beta1;
  const float one_minus_beta2 = 1.0f - c.beta2;

  for (size_t j = 0; j < n; j++) {
    float mj = __builtin_fmaf (c.beta1, m[j], one_minus_beta1 * g[j]);
    float vj = __builtin_fmaf (c.beta2, v[j], one_minus_beta2 * g[j] * g[j]);
    mj = fabsf (mj) < 1e-30f ? 0.0f : mj;
    vj = vj < 1e-37f ? 0.0f : vj;
    m[j] = mj;
    v[j] = vj;
    w[j] -= c.step_size * mj / (sqrtf (vj) * c.inv_sqrt_bias2 + c.epsilon);
  }
}

static void
momentum (float mu, float rate, float *restrict w, float *restrict v,
    const float *restrict g, size_t n)
{
  for (size_t j = 0; j < n; j++) {
    float vj = __builtin_fmaf (mu, v[j], g[j]);
    vj = fabsf (vj) < 1e-30f ? 0.0f : vj;
    v[j] = vj;
    w[j] = __builtin_fmaf (-rate, vj, w[j]);
  }
}

static void
signum (float mu, float rate, float *restrict w, float *restrict m,
    const float *restrict g, size_t n)
{
  const float one_minus_mu = 1.0f - mu;

  for (size_t j = 0; j < n; j++) {
    float mj = __builtin_fmaf (mu, m[j], one_minus_mu * g[j]);
    mj = fabsf (mj) < 1e-30f ? 0.0f : mj;
    m[j] = mj;
    /* one choice after another: nested ones are not vectorised */
    float step = mj > 0.0f ? rate : 0.0f;
    step = mj < 0.0f ? -rate : step;
    w[j] -= step;
  }
}

static inline double
add_lanes8 (const double *lane)
{
  double four[4] = {0}, two[2] = {0}; /* for analysers that unroll no loop */

  for (int i = 0; i < 4; i++)
    four[i] = lane[i] + lane[i + 4];
  for (int i = 0; i < 2; i++)
    two[i] = four[i] + four[i + 2];
  return two[0] + two[1];
}

static inline void
add_row_sums (double (*lanes)[8], const float *x, const float *y, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    double a = x[i], b = y[i], e = a - b;
    lanes[0][i] += e * e;
    lanes[1][i] += a * a;
    lanes[2][i] += b * b;
    lanes[3][i] += a * b;
  }
}

static void
row_sums (const float *x, const float *y, size_t d, SaeRowSums *sums)
{
  double lanes[4][8] = {{0}};
  size_t j = 0;

  for (; j + 8 <= d; j += 8)
    add_row_sums (lanes, x + j, y + j, 8);
  add_row_sums (lanes, x + j, y + j, d - j);
  sums->error2 = add_lanes8 (lanes[0]);
  sums->x2 = add_lanes8 (lanes[1]);
  sums->y2 = add_lanes8 (lanes[2]);
  sums->product = add_lanes8 (lanes[3]);
}

static void
welford (double *restrict mean, double *restrict m2, double inv_count,
    const float *restrict x, size_t d)
{
  for (size_t j = 0; j < d; j++) {
    double delta = x[j] - mean[j];
    mean[j] += delta * inv_count;
    m2[j] += delta * (x[j] - mean[j]);
  }
}

/* x·0 is 0 for finite x and NaN otherwise; the sum keeps a NaN. */
static int
all_finite (const float *x, size_t n)
{
  float lane[16] = {0}, sum = 0;
  size_t j = 0;

  for (; j + 16 <= n; j += 16)
    for (size_t i = 0; i < 16; i++)
      lane[i] += x[j + i] * 0.0f;
  for (; j < n; j++)
    sum += x[j] * 0.0f;
  for (int i = 0; i < 16; i++)
    sum += lane[i];
  return sum == 0.0f;
}

/* --- screening ------------------------------------------------------------ */

/* Of numbers without a sign, the larger has the larger bits. */
static inline int32_t
magnitude_bits (float y)
{
  int32_t bits;

  memcpy (&bits, &y, sizeof bits);
  return bits & 0x7fffffff;
}

static float
largest_product (const float *restrict x, const float *restrict factors,
    size_t n)
{
  int32_t bits = 0;
  float largest;

  for (size_t j = 0; j < n; j++) {
    int32_t here = magnitude_bits (x[j] * factors[j]);
    bits = here > bits ? here : bits;
  }
  memcpy (&largest, &bits, sizeof largest);
  return largest;
}

/* For levels with room for any sums of bytes. */
static inline float
scale_s8 (const float *x, const float *factors, size_t n)
{
  return largest_product (x, factors, n) / 127;
}

/* Rounds any |y| < 2^22 to the nearest integer, ties to even. */
#define ROUNDER 12582912.0f /* 1.5·2^23 */

typedef struct {
  float q2[16], r2[16];
} RoundedLanes;

static inline __attribute__ ((always_inline)) void
round_16 (const float *restrict x, const float *restrict factors, size_t n,
    float inv_scale, int32_t *restrict q, RoundedLanes *lanes)
{
  for (size_t i = 0; i < n; i++) {
    float y = x[i] * factors[i] * inv_scale;
    float rounded = (y + ROUNDER) - ROUNDER;
    float rest = y - rounded;
    q[i] = (int32_t) rounded;
    lanes->q2[i] = __builtin_fmaf (rounded, rounded, lanes->q2[i]);
    lanes->r2[i] = __builtin_fmaf (rest, rest, lanes->r2[i]);
  }
}

static inline float
add_lanes16 (float *lane)
{
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      lane[i] += lane[i + half];
  return lane[0];
}

#define DEFINE_ROUND(name, type)                                               \
  static inline void name (const float *x, const float *factors, size_t n,     \
      float inv_scale, type *q, SaeRoundedSums *sums)                          \
  {                                                                            \
    RoundedLanes lanes = {{0}, {0}};                                           \
    int32_t wide[16];                                                          \
    size_t j = 0;                                                              \
                                                                               \
    for (; j + 16 <= n; j += 16) {                                             \
      round_16 (x + j, factors + j, 16, inv_scale, wide, &lanes);              \
      for (size_t i = 0; i < 16; i++)                                          \
        q[j + i] = (type) wide[i];                                             \
    }                                                                          \
    round_16 (x + j, factors + j, n - j, inv_scale, wide, &lanes);             \
    for (size_t i = j; i < n; i++)                                             \
      q[i] = (type) wide[i - j];                                               \
    for (j = n; j % SAE_BYTES_STEP; j++)                                       \
      q[j] = 0;                                                                \
    sums->q2 = add_lanes16 (lanes.q2);                                         \
    sums->r2 = add_lanes16 (lanes.r2);                                         \
  }

DEFINE_ROUND (round_s16, int16_t)
DEFINE_ROUND (round_s8, int8_t)

/* Latent after latent, the layout of levels that want no other. */
static inline void
store_rows (uint8_t *block, size_t i, const int8_t *q, size_t d)
{
  uint8_t *to = block + i * d;

  for (size_t j = 0; j < d; j++)
    to[j] = (uint8_t) (q[j] + SAE_BYTES_OFFSET);
}

/* What the offset of the weights adds to every sum of a row. */
static inline int32_t
sum_of_offset (const int8_t *x, size_t d)
{
  int32_t sum = 0;

  for (size_t j = 0; j < d; j++)
    sum += x[j];
  return sum * SAE_BYTES_OFFSET;
}

/* Of weights that lie latent after latent. */
#define PLAIN_SUMS                                                             \
  for (size_t r = 0; r < n_x; r++)                                             \
    for (size_t i = 0; i < n_blocks * SAE_BYTES_LATENTS; i++) {                \
      uint32_t sum = 0;                                                        \
      for (size_t j = 0; j < d; j++)                                           \
        sum += (uint32_t) (x[r * ld_x + j] *                                   \
                           (blocks[i * d + j] - SAE_BYTES_OFFSET));            \
      out[r * ld_out + i] = (int32_t) sum;                                     \
    }

static inline void
plain_dots_s16 (const int16_t *x, size_t ld_x, size_t n_x,
    const uint8_t *blocks, size_t n_blocks, size_t d, int16_t *scratch,
    int32_t *out, size_t ld_out)
{
  PLAIN_SUMS
}

static inline void
plain_dots_s8 (const int8_t *x, size_t ld_x, size_t n_x, const uint8_t *blocks,
    size_t n_blocks, size_t d, int32_t *out, size_t ld_out)
{
  PLAIN_SUMS
}

static inline size_t
select_screened (const int32_t *scores, const SaeScreenedRow *row,
    const SaeScreenedLatents *latents, size_t first, size_t n, uint32_t base,
    uint32_t *out_index, float *out_lower, float *out_upper)
{
  const SaeScreenedLatents *l = latents;
  size_t count = 0;

  for (size_t j = first; j < n; j++) {
    float f = __builtin_fmaf ((float) scores[j] * row->scale, l->scale[j],
        l->bias[j]);
    float e = __builtin_fmaf (row->error, l->norm[j],
        __builtin_fmaf (row->norm, l->error[j], l->bias_error[j]));
    out_index[count] = base + (uint32_t) j;
    out_lower[count] = f - e;
    out_upper[count] = f + e;
    count += (f + e > row->threshold) & (!l->floor || f + e > l->floor[j]);
  }
  return count;
}

/* Table entries that every level takes from here. */
#define SAE_ELEMENTWISE_ENTRIES                                                \
  .add = add, .subtract = subtract, .add_scaled = add_scaled, .blend = blend,  \
  .scale = scale, .scaled_difference = scaled_difference, .adam = adam,        \
  .momentum = momentum, .signum = signum, .row_sums = row_sums,                \
  .welford = welford, .all_finite = all_finite,                                \
  .largest_product = largest_product
