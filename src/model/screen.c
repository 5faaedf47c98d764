/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "screen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Half a unit in the last place of 1. */
#define UNIT 0x1p-24
/* What a norm is increased by for being computed in float64 and stored in
 * float32. */
#define ROUND_UP (1 + 0x1p-20)
/* Rows with larger numbers, and latents outside, are not screened: what
 * underflows and overflows inside is within the bounds' room for it. */
#define SMALLEST 0x1p-40f
#define LARGEST 0x1p40f
#define WEIGHT_LIMIT 127
/* Multiply-adds of a row from which a screen saves time. */
#define LEAST_WORK (1 << 17)
/* Rows that say how large columns are, at least and at most. */
#define FEW_ROWS 32
#define MANY_ROWS 1024

gboolean
sae_screen_is_worthwhile (guint d_in, guint d_sae)
{
  return d_in <= SAE_SCREEN_MAX_D_IN && (gsize) d_in * d_sae >= LEAST_WORK;
}

static gsize
width_of (guint d_in)
{
  return ((gsize) d_in + SAE_BYTES_STEP - 1) / SAE_BYTES_STEP * SAE_BYTES_STEP;
}

static gsize
count_bytes (guint d_in, guint d_sae)
{
  gsize blocks = ((gsize) d_sae + SAE_BYTES_LATENTS - 1) / SAE_BYTES_LATENTS;

  return blocks * SAE_BYTES_LATENTS * width_of (d_in);
}

/* The share of roundings in the bound: n partial sums' and those around. */
static double
rounding_share (gsize d_in)
{
  return ((double) ((d_in + 15) / 16) + 24) * UNIT;
}

/* ‖q‖ and ‖r‖ of what a kernel has rounded, from above. */
static void
find_norms (const SaeRoundedSums *sums, gsize d, double *q, double *r)
{
  double up = 1 + rounding_share (d);

  *q = sqrt ((double) sums->q2) * up;
  *r = sqrt ((double) sums->r2) * up;
  *r += 4 * UNIT * (*q + *r);
}

/* --- columns -------------------------------------------------------------- */

static void
add_squares (double *sums, const float *x, const float *less, gsize d)
{
  for (gsize j = 0; j < d; j++) {
    double value = less ? (double) x[j] - less[j] : x[j];
    sums[j] += value * value;
  }
}

/* Rounding is to the largest number of a row, so the rounding error of all
 * follows it. With columns of x and W_enc scaled against each other so that
 * both are of the size √(x·W), neither has columns much larger than others. */
static void
balance (SaeScreen *screen, const float *W_enc, const float *x, gsize n_rows,
    const float *b_dec)
{
  gsize d = screen->d_in;
  g_autofree double *of_x = g_try_new0 (double, d);
  g_autofree double *of_W = g_try_new0 (double, d);

  for (gsize j = 0; j < d; j++)
    screen->columns[j] = screen->inv_columns[j] = 1;
  if (n_rows < FEW_ROWS || !of_x || !of_W)
    return;
  for (gsize r = 0; r < MIN (n_rows, MANY_ROWS); r++)
    if (sae_kernels ()->all_finite (x + r * d, d))
      add_squares (of_x, x + r * d, b_dec, d);
  for (gsize i = 0; i < screen->d_sae; i++)
    add_squares (of_W, W_enc + i * d, NULL, d);
  for (gsize j = 0; j < d; j++) {
    double column = pow (of_W[j] / of_x[j], 0.25);
    if (!(column > 1e-6 && column < 1e6))
      continue;
    screen->columns[j] = (float) column;
    screen->inv_columns[j] = 1 / screen->columns[j];
  }
}

/* --- latents -------------------------------------------------------------- */

/* Nothing is known of it: its score may be anything, for every row, as no
 * row's norm is 0. */
static void
store_unknown (SaeScreen *screen, guint i)
{
  screen->scale[i] = screen->norm[i] = 0;
  screen->error[i] = INFINITY;
}

void
sae_screen_set_latent (SaeScreen *screen, guint i, const float *w)
{
  const SaeKernels *kernels = sae_kernels ();
  gsize d = screen->d_in, block = i / SAE_BYTES_LATENTS * SAE_BYTES_LATENTS;
  gint8 q[SAE_SCREEN_MAX_D_IN];
  float largest = kernels->largest_product (w, screen->inv_columns, d);
  float scale = largest / WEIGHT_LIMIT;
  SaeRoundedSums sums = {0, 0};
  double q_norm, r_norm;

  memset (q, 0, screen->width);
  if (largest == 0 && kernels->all_finite (w, d)) {
    screen->scale[i] = screen->norm[i] = screen->error[i] = 0;
  } else if (!(largest >= SMALLEST && largest <= LARGEST) ||
             !kernels->all_finite (w, d)) {
    store_unknown (screen, i);
  } else {
    kernels->round_s8 (w, screen->inv_columns, d, 1 / scale, q, &sums);
    find_norms (&sums, d, &q_norm, &r_norm);
    screen->scale[i] = scale;
    screen->norm[i] = (float) (scale * (q_norm + r_norm) * ROUND_UP);
    screen->error[i] = (float) (scale * r_norm * ROUND_UP);
  }
  kernels->store_bytes (screen->bytes + block * screen->width, i - block, q,
      screen->width);
}

SaeScreen *
sae_screen_new (const float *W_enc, guint d_in, guint d_sae, const float *x,
    gsize n_rows, const float *b_dec)
{
  SaeScreen *screen = g_new0 (SaeScreen, 1);
  gsize d = d_in, F = d_sae, size = count_bytes (d_in, d_sae);
  void *bytes = NULL;

  screen->d_in = d_in;
  screen->d_sae = d_sae;
  screen->width = width_of (d_in);
  screen->floats = g_try_new (float, 2 * d + 3 * F);
  if (posix_memalign (&bytes, 64, size) != 0 || !screen->floats) {
    free (bytes);
    sae_screen_free (screen);
    return NULL;
  }
  screen->bytes = bytes;
  memset (bytes, SAE_BYTES_OFFSET, size);
  screen->columns = screen->floats;
  screen->inv_columns = screen->columns + d;
  screen->scale = screen->inv_columns + d;
  screen->norm = screen->scale + F;
  screen->error = screen->norm + F;
  balance (screen, W_enc, x, n_rows, b_dec);
  for (guint i = 0; i < d_sae; i++)
    sae_screen_set_latent (screen, i, W_enc + i * d);
  return screen;
}

void
sae_screen_free (SaeScreen *screen)
{
  if (!screen)
    return;
  free (screen->bytes);
  g_free (screen->floats);
  g_free (screen);
}

/* --- rows ----------------------------------------------------------------- */

/* Largest integers of a row of which @width times 127 fit 32 bits. */
static int
limit_s16 (gsize width)
{
  return (int) MIN (G_MAXINT16, G_MAXINT32 / (WEIGHT_LIMIT * width));
}

/* That of a row whose largest number is @largest. */
static float
scale_of (const SaeScreen *screen, const float *x, SaeScreenPrecision precision,
    float largest)
{
  if (largest == 0) /* zeros, at any scale */
    return 1;
  if (precision == SAE_SCREEN_S8)
    return sae_kernels ()->scale_s8 (x, screen->columns, screen->d_in);
  return largest / (float) limit_s16 (screen->width);
}

/* All that @row has, its largest number is @largest, is rounded off. */
static void
round_to_zeros (const SaeScreen *screen, SaeScreenPrecision precision,
    float largest, gpointer q, SaeScreenedRow *row)
{
  gsize d = screen->d_in;
  double norm = sqrt ((double) d) * largest * ROUND_UP;

  memset (q, 0,
      screen->width * (precision == SAE_SCREEN_S8 ? 1 : sizeof (gint16)));
  row->scale = 1;
  row->norm = (float) MAX (norm * ROUND_UP, G_MINFLOAT);
  row->error = (float) ((1 + rounding_share (d)) * norm * ROUND_UP);
}

gboolean
sae_screen_round_row (const SaeScreen *screen, const float *x,
    SaeScreenPrecision precision, gpointer q, SaeScreenedRow *row)
{
  const SaeKernels *kernels = sae_kernels ();
  gsize d = screen->d_in;
  float largest = kernels->largest_product (x, screen->columns, d), scale;
  SaeRoundedSums sums = {0, 0};
  double q_norm, r_norm, norm;

  if (!(largest <= LARGEST))
    return FALSE;
  if (largest > 0 && largest < SMALLEST) {
    round_to_zeros (screen, precision, largest, q, row);
    return TRUE;
  }
  scale = scale_of (screen, x, precision, largest);
  if (precision == SAE_SCREEN_S8)
    kernels->round_s8 (x, screen->columns, d, 1 / scale, q, &sums);
  else
    kernels->round_s16 (x, screen->columns, d, 1 / scale, q, &sums);
  find_norms (&sums, d, &q_norm, &r_norm);
  norm = scale * (q_norm + r_norm) * ROUND_UP;
  row->scale = scale;
  row->norm = (float) MAX (norm * ROUND_UP, G_MINFLOAT);
  row->error =
      (float) ((scale * r_norm + rounding_share (d) * norm) * ROUND_UP);
  return TRUE;
}

float
sae_screen_bias_error (const SaeScreen *screen, float b)
{
  double underflow = (double) (screen->d_in + 16) * 0x1p-84;

  return (float) ((16 * UNIT * fabs ((double) b) + underflow) * ROUND_UP);
}
