/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The reference: what every other level must equal, bit for bit. Never tuned.
 */
#include "elementwise.h"

static float
dot (const float *x, const float *w, size_t d)
{
  float lane[16] = {0};

  for (size_t j = 0; j < d; j++)
    lane[j % 16] = fmaf (x[j], w[j], lane[j % 16]);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      lane[i] += lane[i + half];
  return lane[0];
}

static void
dots (const float *x, size_t ld_x, size_t n_x, const float *w, size_t ld_w,
    size_t n_w, size_t d, float *out, size_t ld_out)
{
  for (size_t r = 0; r < n_x; r++)
    for (size_t i = 0; i < n_w; i++)
      out[r * ld_out + i] = dot (x + r * ld_x, w + i * ld_w, d);
}

static void
dots_at (const float *x, const float *rows, size_t ld, const uint32_t *index,
    size_t n, size_t d, float *out)
{
  for (size_t i = 0; i < n; i++)
    out[i] = dot (x, rows + index[i] * ld, d);
}

static size_t
select_screened_c (const int32_t *scores, const SaeScreenedRow *row,
    const SaeScreenedLatents *latents, size_t n, uint32_t base,
    uint32_t *out_index, float *out_lower, float *out_upper)
{
  return select_screened (scores, row, latents, 0, n, base, out_index,
      out_lower, out_upper);
}

const SaeKernels sae_kernels_c = {
    .name = "c",
    .dot = dot,
    .dots = dots,
    .dots_at = dots_at,
    .combine = combine,
    .select_above = select_above,
    .select_above_each = select_above_each,
    .scale_s8 = scale_s8,
    .round_s16 = round_s16,
    .round_s8 = round_s8,
    .store_bytes = store_rows,
    .dots_s16 = plain_dots_s16,
    .dots_s8 = plain_dots_s8,
    .s8_cost = 0.25f,
    .s16_cost = 0.5f,
    .select_screened = select_screened_c,
    SAE_ELEMENTWISE_ENTRIES,
};
