/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "benches.h"

static volatile float sink;

static void
call_dot (const SaeKernels *k, Arrays *a)
{
  sink = k->dot (a->x, a->w, D);
}

static void
call_dots (const SaeKernels *k, Arrays *a)
{
  k->dots (a->x, D, N_ROWS, a->w, D, N_ROWS, D, a->out, N_ROWS);
}

static void
call_combine (const SaeKernels *k, Arrays *a)
{
  k->combine (a->out, D, a->x, a->index, K, a->w, D);
}

static void
call_select_above (const SaeKernels *k, Arrays *a)
{
  sink = (float) k->select_above (a->x, N_FLAT, a->threshold, 0,
      (guint32 *) a->m, a->out);
}

static void
call_select_above_each (const SaeKernels *k, Arrays *a)
{
  sink = (float) k->select_above_each (a->x, a->w, N_FLAT, 0, (guint32 *) a->m,
      a->out);
}

static void
call_add (const SaeKernels *k, Arrays *a)
{
  k->add (a->out, a->x, N_FLAT);
}

static void
call_subtract (const SaeKernels *k, Arrays *a)
{
  k->subtract (a->out, a->x, a->w, N_FLAT);
}

static void
call_add_scaled (const SaeKernels *k, Arrays *a)
{
  k->add_scaled (a->out, 1e-6f, a->x, N_FLAT);
}

static void
call_blend (const SaeKernels *k, Arrays *a)
{
  k->blend (a->out, 0.01f, a->x, N_FLAT);
}

static void
call_scale (const SaeKernels *k, Arrays *a)
{
  k->scale (a->out, 0.5f, a->x, N_FLAT);
}

static void
call_scaled_difference (const SaeKernels *k, Arrays *a)
{
  k->scaled_difference (a->out, 0.5f, a->x, a->w, N_FLAT);
}

static void
call_adam (const SaeKernels *k, Arrays *a)
{
  const SaeAdamConstants c = {0.9f, 0.999f, 1e-6f, 1.0f, 1e-8f};

  k->adam (&c, a->out, a->m, a->v, a->x, N_FLAT);
}

static void
call_momentum (const SaeKernels *k, Arrays *a)
{
  k->momentum (0.9f, 1e-6f, a->out, a->m, a->x, N_FLAT);
}

static void
call_signum (const SaeKernels *k, Arrays *a)
{
  k->signum (0.9f, 1e-6f, a->out, a->m, a->x, N_FLAT);
}

static void
call_row_sums (const SaeKernels *k, Arrays *a)
{
  SaeRowSums sums;

  k->row_sums (a->x, a->w, N_FLAT, &sums);
  sink = (float) sums.error2;
}

static void
call_welford (const SaeKernels *k, Arrays *a)
{
  k->welford (a->mean, a->m2, 1e-3, a->x, N_FLAT);
}

static void
call_all_finite (const SaeKernels *k, Arrays *a)
{
  sink = (float) k->all_finite (a->x, N_FLAT);
}

static void
call_dots_at (const SaeKernels *k, Arrays *a)
{
  k->dots_at (a->x, a->w, D, a->index, N_ROWS, D, a->out);
}

static void
call_largest_product (const SaeKernels *k, Arrays *a)
{
  sink = k->largest_product (a->x, a->w, N_FLAT);
}

static void
call_round_s8 (const SaeKernels *k, Arrays *a)
{
  SaeRoundedSums sums;

  k->round_s8 (a->x, a->w, N_FLAT, 127, a->q8, &sums);
  sink = sums.q2;
}

static void
call_round_s16 (const SaeKernels *k, Arrays *a)
{
  SaeRoundedSums sums;

  k->round_s16 (a->x, a->w, N_FLAT, 32767, a->q16, &sums);
  sink = sums.q2;
}

static void
call_store_bytes (const SaeKernels *k, Arrays *a)
{
  for (gsize i = 0; i < N_ROWS; i++)
    k->store_bytes (a->bytes + i / SAE_BYTES_LATENTS * SAE_BYTES_LATENTS * D,
        i % SAE_BYTES_LATENTS, a->q8 + i * D, D);
}

static void
call_dots_s8 (const SaeKernels *k, Arrays *a)
{
  k->dots_s8 (a->q8, D, N_ROWS, a->bytes, N_ROWS / SAE_BYTES_LATENTS, D,
      a->scores, N_ROWS);
}

static void
call_dots_s16 (const SaeKernels *k, Arrays *a)
{
  k->dots_s16 (a->q16, D, N_ROWS, a->bytes, N_ROWS / SAE_BYTES_LATENTS, D,
      a->wide, a->scores, N_ROWS);
}

/* Hardly anything is above, as in most blocks. */
static void
call_select_screened (const SaeKernels *k, Arrays *a)
{
  const SaeScreenedRow row = {1e-6f, 1e-3f, 1e-3f, 1.0f};
  const SaeScreenedLatents latents = {a->x, a->w, a->w, a->w, a->w, NULL};

  sink = (float) k->select_screened (a->scores, &row, &latents, N_ROWS * N_ROWS,
      0, (guint32 *) a->m, a->out, a->upper);
}

#define FLAT 1e-9 * N_FLAT, "Gvalue/s"

const Bench benches[] = {
    {"dot", 2e-9 * D, "GFLOP/s", call_dot},
    {"dots", 2e-9 * D *N_ROWS *N_ROWS, "GFLOP/s", call_dots},
    {"dots_at", 2e-9 * D *N_ROWS, "GFLOP/s", call_dots_at},
    {"largest_product", FLAT, call_largest_product},
    {"round_s8", FLAT, call_round_s8},
    {"round_s16", FLAT, call_round_s16},
    {"store_bytes", 1e-9 * D *N_ROWS, "Gvalue/s", call_store_bytes},
    {"dots_s8", 2e-9 * D *N_ROWS *N_ROWS, "GOP/s", call_dots_s8},
    {"dots_s16", 2e-9 * D *N_ROWS *N_ROWS, "GOP/s", call_dots_s16},
    {"select_screened", 1e-9 * N_ROWS *N_ROWS, "Gvalue/s",
        call_select_screened},
    {"combine", 2e-9 * D *K, "GFLOP/s", call_combine},
    {"select_above", FLAT, call_select_above},
    {"select_above_each", FLAT, call_select_above_each},
    {"add", FLAT, call_add},
    {"subtract", FLAT, call_subtract},
    {"add_scaled", FLAT, call_add_scaled},
    {"blend", FLAT, call_blend},
    {"scale", FLAT, call_scale},
    {"scaled_difference", FLAT, call_scaled_difference},
    {"adam", FLAT, call_adam},
    {"momentum", FLAT, call_momentum},
    {"signum", FLAT, call_signum},
    {"row_sums", FLAT, call_row_sums},
    {"welford", FLAT, call_welford},
    {"all_finite", FLAT, call_all_finite},
    {NULL},
};

Arrays
arrays_new (void)
{
  Noise noise = {.state = 1};
  Arrays a = {
      .x = noise_array (&noise, NOISE_UNIFORM, 2 * N_FLAT, 0).values,
      .w = noise_array (&noise, NOISE_UNIFORM, 2 * N_FLAT, 0).values,
      .out = g_new0 (float, 2 * N_FLAT),
      .m = g_new0 (float, 2 * N_FLAT),
      .v = g_new0 (float, 2 * N_FLAT),
      .mean = g_new0 (double, N_FLAT),
      .m2 = g_new0 (double, N_FLAT),
      .upper = g_new0 (float, 2 * N_FLAT),
      .q8 = g_new0 (gint8, 2 * N_FLAT),
      .q16 = g_new0 (gint16, 2 * N_FLAT),
      .wide = g_aligned_alloc0 (SAE_BYTES_LATENTS * D, sizeof (gint16), 64),
      .bytes = g_aligned_alloc0 (N_ROWS * D, 1, 64),
      .scores = g_new0 (gint32, N_ROWS * N_ROWS),
      .threshold = 0.98f, /* one in a hundred is above, as in training */
  };

  for (gsize i = 0; i < N_ROWS * D; i++) {
    a.q8[i] = (gint8) ((gint) noise_below (&noise, 129) - 64);
    a.q16[i] = (gint16) noise_bits (&noise);
  }
  for (guint i = 0; i < N_ROWS; i++)
    a.index[i] = noise_below (&noise, N_ROWS);
  return a;
}

void
arrays_free (Arrays *a)
{
  g_free (a->x);
  g_free (a->w);
  g_free (a->out);
  g_free (a->m);
  g_free (a->v);
  g_free (a->mean);
  g_free (a->m2);
  g_free (a->upper);
  g_free (a->q8);
  g_free (a->q16);
  g_aligned_free (a->wide);
  g_aligned_free (a->bytes);
  g_free (a->scores);
}
