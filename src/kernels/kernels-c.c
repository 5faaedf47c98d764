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

const SaeKernels sae_kernels_c = {
    .name = "c",
    .dot = dot,
    .dots = dots,
    .combine = combine,
    .select_above = select_above,
    SAE_ELEMENTWISE_ENTRIES,
};
