/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A copy of W_enc in bytes, for finding out quickly which latents cannot be
 * among a row's active ones: products of small integers, and a bound on how
 * far they are from the float32 scores. What is left is scored exactly, so
 * that a screen never changes a result. docs/exact-topk.md has the bound and
 * its proof; the names there are the names here. */
#pragma once

#include "net.h"
#include "screen-choice.h"

/* Wider rows are not screened: their sums could exceed 32 bits. */
#define SAE_SCREEN_MAX_D_IN 65536

struct _SaeScreen {
  guint d_in, d_sae;
  gsize width; /* d_in, rounded up to a multiple of SAE_BYTES_STEP */
  guint8 *bytes;

  /* Columns of x and W_enc are balanced: x·columns against W·inv_columns. */
  float *columns, *inv_columns; /* [d_in] */

  /* Of each latent: w' = W·inv_columns is about scale·q, and ‖w'‖ ≤ norm,
   * ‖w' − scale·q‖ ≤ error. */
  float *scale, *norm, *error; /* [d_sae] */

  /*< private >*/
  float *floats; /* the block that the arrays lie in */
};

/* Whether a dictionary of that size is worth a screen. */
gboolean sae_screen_is_worthwhile (guint d_in, guint d_sae);

/* A screen of @W_enc [d_sae, d_in] for rows like @x [n_rows, d_in] less
 * @b_dec (NULL for nothing). NULL when there is no memory for it. */
SaeScreen *sae_screen_new (const float *W_enc, guint d_in, guint d_sae,
    const float *x, gsize n_rows, const float *b_dec);
void sae_screen_free (SaeScreen *screen);

/* Latent @i is now @w [d_in]. From any thread, one a block of
 * SAE_BYTES_LATENTS latents. */
void sae_screen_set_latent (SaeScreen *screen, guint i, const float *w);

/* Rounds one row to integers of the @precision, @q [width] of gint8 or gint16.
 * FALSE when its numbers are too large for the bounds to hold. */
gboolean sae_screen_round_row (const SaeScreen *screen, const float *x,
    SaeScreenPrecision precision, gpointer q, SaeScreenedRow *row);

/* What rounding adds to the bound of a latent with the bias @b. */
float sae_screen_bias_error (const SaeScreen *screen, float b);
