/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AuxK where all or one are dead, against its formula in float64. */
#include "aux-k.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "sample-run.h"

#define D 6
#define D_SAE 30
#define ROWS 11
#define ALIVE_SINCE 100

typedef struct {
  WholeNet whole;
  SaeWorkspace *workspace;
  SaeGradients main;
  SaeAuxK aux;
  float *x, *x_hat;
  guint64 last_fired[D_SAE];
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  Noise noise = noise_new ();

  f->whole = whole_net_new (&noise, D, D_SAE, 3);
  f->workspace = sae_workspace_new (2);
  f->x = whole_numbers (&noise, ROWS * D);
  f->x_hat = whole_numbers (&noise, ROWS * D);
  f->main = (SaeGradients){.net = &f->whole.net,
      .workspace = f->workspace,
      .x = f->x,
      .n = ROWS};
  sae_aux_k_init (&f->aux, f->workspace);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  sae_aux_k_clear (&f->aux);
  sae_workspace_unref (f->workspace);
  whole_net_clear (&f->whole);
  g_free (f->x);
  g_free (f->x_hat);
}

static void
compute (Fixture *f, guint k, double coeff)
{
  g_autoptr (GError) error = NULL;

  sae_aux_k_find_dead (&f->aux, &f->whole.net, f->last_fired, ALIVE_SINCE,
      &error);
  g_assert_no_error (error);
  sae_aux_k_compute (&f->aux, &f->main, f->x, f->x_hat, k, coeff, &error);
  g_assert_no_error (error);
}

static int
larger_first (const void *a, const void *b)
{
  double p = *(const double *) a, q = *(const double *) b;

  return p > q ? -1 : p < q;
}

/* ê of one row: of its @k largest relu'd dead, equal ones by index. */
static void
reconstruct (const Fixture *f, const double *pre, guint k, double *e_hat)
{
  double sorted[D_SAE];
  guint n = 0, above = 0;

  for (guint i = 0; i < D_SAE; i++)
    if (f->last_fired[i] < ALIVE_SINCE)
      sorted[n++] = MAX (pre[i], 0);
  qsort (sorted, n, sizeof *sorted, larger_first);
  double kth = sorted[MIN (k, n) - 1];
  for (guint i = 0; i < n; i++)
    above += sorted[i] > kth;
  guint equal = MIN (k, n) - above;
  memset (e_hat, 0, D * sizeof *e_hat);
  for (guint i = 0; i < D_SAE; i++) {
    if (f->last_fired[i] >= ALIVE_SINCE || pre[i] <= 0 || pre[i] < kth ||
        (pre[i] == kth && equal == 0))
      continue;
    equal -= pre[i] == kth;
    for (guint j = 0; j < D; j++)
      e_hat[j] += pre[i] * f->whole.W_dec[i * D + j];
  }
}

/* Σ‖e − ê‖² / Σ‖e − mean e‖² */
static double
aux_by_formula (const Fixture *f, guint k)
{
  g_autofree double *pre = whole_pre_acts (&f->whole, f->x, ROWS);
  double mean[D] = {0}, error2 = 0, variance = 0;

  for (gsize i = 0; i < ROWS * D; i++)
    mean[i % D] += (double) (f->x[i] - f->x_hat[i]) / ROWS;
  for (gsize r = 0; r < ROWS; r++) {
    double e_hat[D];
    reconstruct (f, pre + r * D_SAE, k, e_hat);
    for (guint j = 0; j < D; j++) {
      double e = f->x[r * D + j] - f->x_hat[r * D + j];
      error2 += (e - e_hat[j]) * (e - e_hat[j]);
      variance += (e - mean[j]) * (e - mean[j]);
    }
  }
  return error2 / variance;
}

/* All dead, and of these any number a row: all of them and more too. */
static void
test_all_dead (Fixture *f, gconstpointer data)
{
  const guint ks[] = {1, 2, 5, D_SAE - 1, D_SAE, D_SAE + 1, 1000};

  for (guint i = 0; i < G_N_ELEMENTS (ks); i++) {
    double want = aux_by_formula (f, ks[i]);
    expect_with ("k %u", ks[i]);
    compute (f, ks[i], 0.5);
    g_assert_cmpuint (f->aux.n_dead, ==, D_SAE);
    for (guint j = 0; j < D_SAE; j++)
      g_assert_cmpuint (f->aux.dead[j], ==, j);
    expect_within ("aux", f->aux.loss, want, 1e-6 * want);
  }
}

/* Every third, and one alone. */
static void
test_some_dead (Fixture *f, gconstpointer data)
{
  for (guint step = 3; step <= D_SAE; step += D_SAE - 3) {
    double want;
    for (guint i = 0; i < D_SAE; i++)
      f->last_fired[i] = i % step == 2 ? ALIVE_SINCE - 1 : ALIVE_SINCE;
    want = aux_by_formula (f, 4);
    expect_with ("every %u", step);
    compute (f, 4, 0.5);
    g_assert_cmpuint (f->aux.n_dead, ==, D_SAE / step);
    for (guint p = 0; p < f->aux.n_dead; p++)
      g_assert_cmpuint (f->aux.dead[p], ==, 2 + p * step);
    for (guint i = 0; i < D_SAE; i++)
      g_assert_true (i % step == 2 || !sae_aux_k_is_active (&f->aux, i));
    expect_within ("aux", f->aux.loss, want, 1e-6 * want);
  }
}

/* One row has no variance to be divided by; nor has a perfect reconstruction,
 * and rows that are all but alike have hardly any; and where all fire there is
 * nothing to do. */
static void
test_nothing (Fixture *f, gconstpointer data)
{
  f->main.n = 1;
  compute (f, 4, 0.5);
  g_assert_cmpuint (f->aux.n_dead, ==, 0);
  g_assert_false (sae_aux_k_is_active (&f->aux, 0));
  f->main.n = ROWS;
  memcpy (f->x_hat, f->x, ROWS * D * sizeof *f->x);
  compute (f, 4, 0.5);
  g_assert_cmpuint (f->aux.n_dead, ==, 0);
  for (guint i = 0; i < ROWS * D; i++)
    f->x_hat[i] += 8;
  f->x_hat[0] += 1;
  compute (f, 4, 0.5);
  g_assert_cmpuint (f->aux.n_dead, ==, 0);
  for (guint i = 0; i < D_SAE; i++)
    f->last_fired[i] = ALIVE_SINCE;
  compute (f, 4, 0.5);
  g_assert_cmpuint (f->aux.n_dead, ==, 0);
  g_assert_cmpfloat (f->aux.loss, ==, 0);
}

/* Gradients are of coeff·aux, and of reduction sum d_out times that. What is
 * summed up may all but cancel out: they are as exact as the largest. */
static void
test_coefficient (Fixture *f, gconstpointer data)
{
  float once[D_SAE], more[D_SAE], largest = 0;

  compute (f, 4, 0.25);
  memcpy (once, f->aux.gradients.b_enc, sizeof once);
  compute (f, 4, 1);
  memcpy (more, f->aux.gradients.b_enc, sizeof more);
  for (guint i = 0; i < D_SAE; i++) {
    g_assert_cmpfloat (more[i], ==, 4 * once[i]);
    largest = MAX (largest, fabsf (D * more[i]));
  }
  f->main.reduction = SAE_REDUCTION_SUM;
  compute (f, 4, 1);
  for (guint i = 0; i < D_SAE; i++)
    expect_within ("b_enc", f->aux.gradients.b_enc[i], D * more[i],
        1e-5 * largest);
}

static void
add (const char *path, void (*test) (Fixture *f, gconstpointer data))
{
  g_test_add (path, Fixture, NULL, set_up, test, tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/trainer/aux-k/all-dead", test_all_dead);
  add ("/trainer/aux-k/some-dead", test_some_dead);
  add ("/trainer/aux-k/nothing-to-do", test_nothing);
  add ("/trainer/aux-k/coefficient-and-reduction", test_coefficient);
  return g_test_run ();
}
