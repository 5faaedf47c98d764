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

#define FLAT 1e-9 * N_FLAT, "Gvalue/s"

const Bench benches[] = {
    {"dot", 2e-9 * D, "GFLOP/s", call_dot},
    {"dots", 2e-9 * D *N_ROWS *N_ROWS, "GFLOP/s", call_dots},
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
      .threshold = 0.98f, /* one in a hundred is above, as in training */
  };

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
}
