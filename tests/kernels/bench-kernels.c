/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bench-kernels [FUNCTION…]: times every function of every level this CPU has
 * on the shapes that training uses, best of many rounds, and prints how they
 * compare with the reference. */
#include <stdio.h>
#include <string.h>

#include "kernels.h"
#include "noise.h"

#define D 384      /* width of a row */
#define N_ROWS 128 /* rows and latents of one block */
#define K 32       /* active latents */
#define N_FLAT (1 << 15)
#define ROUNDS 40
#define ROUND_SECONDS 2e-3

typedef struct {
  float *x, *w, *out, *m, *v;
  double *mean, *m2;
  guint32 index[N_ROWS];
  float threshold;
} Arrays;

typedef struct {
  const char *name;
  double work; /* what one call does, in @unit */
  const char *unit;
  void (*call) (const SaeKernels *k, Arrays *a);
} Bench;

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

static const Bench benches[] = {
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
};

static Arrays
arrays_new (Noise *noise)
{
  Arrays a = {
      .x = noise_array (noise, NOISE_UNIFORM, 2 * N_FLAT, 0).values,
      .w = noise_array (noise, NOISE_UNIFORM, 2 * N_FLAT, 0).values,
      .out = g_new0 (float, 2 * N_FLAT),
      .m = g_new0 (float, 2 * N_FLAT),
      .v = g_new0 (float, 2 * N_FLAT),
      .mean = g_new0 (double, N_FLAT),
      .m2 = g_new0 (double, N_FLAT),
      .threshold = 0.98f, /* one in a hundred is above, as in training */
  };

  for (guint i = 0; i < N_ROWS; i++)
    a.index[i] = noise_below (noise, N_ROWS);
  return a;
}

static void
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

/* Seconds of one call: the best round of many. */
static double
time_call (const Bench *bench, const SaeKernels *kernels, Arrays *arrays)
{
  double best = G_MAXDOUBLE;
  guint calls = 1;

  for (guint round = 0; round < ROUNDS;) {
    gint64 begin = g_get_monotonic_time ();
    for (guint i = 0; i < calls; i++)
      bench->call (kernels, arrays);
    double seconds = (double) (g_get_monotonic_time () - begin) * 1e-6;
    if (seconds < ROUND_SECONDS) {
      calls *= 2;
      continue;
    }
    best = MIN (best, seconds / calls);
    round++;
  }
  return best;
}

static gboolean
is_wanted (const char *name, int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (strcmp (argv[i], name) == 0)
      return TRUE;
  return argc == 1;
}

int
main (int argc, char **argv)
{
  Noise noise = {.state = 1};
  Arrays arrays = arrays_new (&noise);

  printf ("%-18s %-7s %12s %18s %10s\n", "function", "level", "us a call",
      "speed", "against c");
  for (guint i = 0; i < G_N_ELEMENTS (benches); i++) {
    const Bench *b = &benches[i];
    double reference = 0;
    if (!is_wanted (b->name, argc, argv))
      continue;
    for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
      double seconds = time_call (b, *k, &arrays);
      if (*k == &sae_kernels_c)
        reference = seconds;
      printf ("%-18s %-7s %12.3f %9.2f %-8s %9.2fx\n", b->name, (*k)->name,
          seconds * 1e6, b->work / seconds, b->unit, reference / seconds);
    }
  }
  arrays_free (&arrays);
  return 0;
}
