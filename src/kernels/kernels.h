/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Numbers only: the functions that everything else spends its time in, one
 * table a SIMD level, chosen once at run time.
 *
 * Contract of every function
 *  - float32, row-major; ld… is the distance of two rows in floats;
 *  - any length (0 too), any alignment, inputs and outputs do not overlap;
 *  - the same bits at every level: a dot product is 16 sums of fused
 *    multiply-adds, lane = index mod 16, added by halving (lane i and i + 8,
 *    then i + 4, i + 2, i + 1); element-wise work is one rounding an operation
 *    as written here, a fused multiply-add where it says fma;
 *  - sums over rows or latents run in ascending order of their place;
 *  - NaN and infinities propagate as IEEE 754 says; no flags are changed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Constants of one Adam step (Kingma and Ba 2015, algorithm 1, in the order
 * of operations of PyTorch). */
typedef struct {
  float beta1, beta2;
  float step_size;      /* learning rate / (1 − β1^t) */
  float inv_sqrt_bias2; /* 1 / sqrt (1 − β2^t) */
  float epsilon;
} SaeAdamConstants;

/* What a row of targets and its reconstruction have in common, in float64:
 * 8 lanes, lane = index mod 8, added by halving. */
typedef struct {
  double error2;  /* Σ (x − y)² */
  double x2;      /* Σ x² */
  double y2;      /* Σ y² */
  double product; /* Σ x·y */
} SaeRowSums;

/* What screening knows of one row or latent that was rounded to small
 * integers, x = scale·(q + r): the sums are of q² and r². */
typedef struct {
  float q2, r2;
} SaeRoundedSums;

/* What screening knows of a block of latents, arrays over them, and of a row;
 * docs/exact-topk.md has the meaning of each. */
typedef struct {
  const float *scale, *norm, *error, *bias, *bias_error;
  const float *floor; /* NULL, or what the upper bound must exceed as well */
} SaeScreenedLatents;

typedef struct {
  float scale, norm, error;
  float threshold; /* what the upper bound must exceed */
} SaeScreenedRow;

/* Latents of a block of weights in bytes, and what row lengths are multiples
 * of there. */
#define SAE_BYTES_LATENTS 16
#define SAE_BYTES_STEP 64
#define SAE_BYTES_OFFSET 128

typedef struct {
  const char *name; /* "c", "avx2", "avx512", "avx512vnni", "neon" */

  /* Σ_j x[j]·w[j] */
  float (*dot) (const float *x, const float *w, size_t d);

  /* out[r·ld_out + i] = dot (x_r, w_i), r < n_x, i < n_w */
  void (*dots) (const float *x, size_t ld_x, size_t n_x, const float *w,
      size_t ld_w, size_t n_w, size_t d, float *out, size_t ld_out);

  /* out[i] = dot (x, rows[index[i]·ld …]), i < n */
  void (*dots_at) (const float *x, const float *rows, size_t ld,
      const uint32_t *index, size_t n, size_t d, float *out);

  /* y[j] = Σ_i fma (values[i], rows[index[i]·ld + j]), from 0 */
  void (*combine) (float *y, size_t d, const float *values,
      const uint32_t *index, size_t n, const float *rows, size_t ld);

  /* Appends base + j and scores[j] for each scores[j] > threshold, ascending;
   * returns how many. A NaN is not above anything. The outputs have room for
   * n entries, rounded up to a multiple of 16. */
  size_t (*select_above) (const float *scores, size_t n, float threshold,
      uint32_t base, uint32_t *out_index, float *out_value);

  /* The same with a threshold for each score, and nothing that is not
   * positive: scores[j] > 0 and scores[j] > thresholds[j]. */
  size_t (*select_above_each) (const float *scores, const float *thresholds,
      size_t n, uint32_t base, uint32_t *out_index, float *out_value);

  /* y[j] += x[j] */
  void (*add) (float *y, const float *x, size_t n);
  /* y[j] = x[j] − z[j] */
  void (*subtract) (float *y, const float *x, const float *z, size_t n);
  /* y[j] = fma (a, x[j], y[j]) */
  void (*add_scaled) (float *y, float a, const float *x, size_t n);
  /* y[j] = fma (a, x[j] − y[j], y[j]) */
  void (*blend) (float *y, float a, const float *x, size_t n);
  /* y[j] = a·x[j] (y may be x) */
  void (*scale) (float *y, float a, const float *x, size_t n);
  /* y[j] = a·(x[j] − z[j]) */
  void (*scaled_difference) (float *y, float a, const float *x, const float *z,
      size_t n);

  /* m = fma (β1, m, (1 − β1)·g), 0 where |m| < 1e-30;
   * v = fma (β2, v, (1 − β2)·g·g), 0 where v < 1e-37;
   * w = w − step_size·m / (sqrt (v)·inv_sqrt_bias2 + ε).
   * (Moments that small can no longer move a weight, and left alone they
   * would become denormal numbers, which are slow.) */
  void (*adam) (const SaeAdamConstants *constants, float *w, float *m, float *v,
      const float *g, size_t n);

  /* v = fma (μ, v, g), 0 where |v| < 1e-30; w = fma (−rate, v, w) */
  void (*momentum) (float momentum, float rate, float *w, float *v,
      const float *g, size_t n);

  /* m = fma (μ, m, (1 − μ)·g), 0 where |m| < 1e-30;
   * w = w − rate·sign (m), sign (0) = 0 */
  void (*signum) (float momentum, float rate, float *w, float *m,
      const float *g, size_t n);

  void (*row_sums) (const float *x, const float *y, size_t d, SaeRowSums *sums);

  /* Welford's update (1962) of the mean and sum of squares about it:
   * δ = x − mean; mean += δ·inv_count; m2 += δ·(x − mean). */
  void (*welford) (double *mean, double *m2, double inv_count, const float *x,
      size_t d);

  /* 1 if every x[j] is finite */
  int (*all_finite) (const float *x, size_t n);

  /* --- products of small integers, for screening ---
   * Weights q of −127 … 127 are kept as the bytes q + SAE_BYTES_OFFSET, in
   * blocks of SAE_BYTES_LATENTS latents of d bytes each, d a multiple of
   * SAE_BYTES_STEP. How the bytes lie within a block is the level's own
   * business; a block starts on a 64-byte boundary. */

  /* max |x[j]·factors[j]|; any number where there is a NaN */
  float (*largest_product) (const float *x, const float *factors, size_t n);

  /* The finest scale of a row of which dots_s8 can have the sums on its way: at
   * least largest_product / 127. */
  float (*scale_s8) (const float *x, const float *factors, size_t n);

  /* q[j] = x[j]·factors[j]·inv_scale, rounded to the nearest integer, which
   * the caller knows to be in range; zeros up to the next multiple of
   * SAE_BYTES_STEP. Sums in float32: 16 lanes, lane = index mod 16, added by
   * halving. */
  void (*round_s16) (const float *x, const float *factors, size_t n,
      float inv_scale, int16_t *q, SaeRoundedSums *sums);
  void (*round_s8) (const float *x, const float *factors, size_t n,
      float inv_scale, int8_t *q, SaeRoundedSums *sums);

  /* Puts the weights @q [d] of a block's latent @i in their place. */
  void (*store_bytes) (uint8_t *block, size_t i, const int8_t *q, size_t d);

  /* out[r·ld_out + i] = Σ_j x[r·ld_x + j]·q[i][j] mod 2^32, for the latents i
   * of @n_blocks blocks that lie one after another; exact where the sum fits.
   * @scratch has room for SAE_BYTES_LATENTS·d of int16_t, 64-byte aligned. */
  void (*dots_s16) (const int16_t *x, size_t ld_x, size_t n_x,
      const uint8_t *blocks, size_t n_blocks, size_t d, int16_t *scratch,
      int32_t *out, size_t ld_out);
  /* The same for numbers that round_s8 made of scale_s8. */
  void (*dots_s8) (const int8_t *x, size_t ld_x, size_t n_x,
      const uint8_t *blocks, size_t n_blocks, size_t d, int32_t *out,
      size_t ld_out);
  /* What a multiply-add of either costs, of one in dots, about. */
  float s8_cost, s16_cost;

  /* With s = (float) scores[j]·row.scale,
   *   f = fma (s, scale[j], bias[j])
   *   e = fma (row.error, norm[j], fma (row.norm, error[j], bias_error[j]))
   * appends base + j, f − e and f + e where f + e exceeds the row's threshold,
   * and floor[j] if there are floors; ascending. Returns how many. The outputs
   * have room for n entries, rounded up to a multiple of 16. */
  size_t (*select_screened) (const int32_t *scores, const SaeScreenedRow *row,
      const SaeScreenedLatents *latents, size_t n, uint32_t base,
      uint32_t *out_index, float *out_lower, float *out_upper);
} SaeKernels;

/* The table of this machine: the best level that the CPU has, or the one that
 * the environment variable SAE_KERNELS names when the CPU has it. Chosen at
 * the first call; safe from any thread. */
const SaeKernels *sae_kernels (void);

/* Every level that this CPU can run, reference first; NULL-terminated. */
const SaeKernels *const *sae_kernels_available (void);

/* What each level's file provides; NULL where the compiler has no such level.
 */
extern const SaeKernels sae_kernels_c;
extern const SaeKernels sae_kernels_avx2;
void sae_kernels_avx2_prepare (void);
extern const SaeKernels sae_kernels_avx512;
extern const SaeKernels sae_kernels_avx512vnni;
extern const SaeKernels sae_kernels_neon;
