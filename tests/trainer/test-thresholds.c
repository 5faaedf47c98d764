/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Training of jump-relu: which values are active and which are within the
 * window around a threshold, at its very edges. */
#include "thresholds.h"

#include <math.h>

#include "expect.h"

#define BANDWIDTH 0.5

/* One latent that is x itself, W_dec 2 and b_dec 0. */
static const float one[] = {1}, two[] = {2}, zero[] = {0};
static const SaeNet net = {.d_in = 1,
    .d_out = 1,
    .d_sae = 1,
    .sparsity = SAE_SPARSITY_JUMP_RELU,
    .W_enc = one,
    .b_enc = zero,
    .W_dec = two,
    .b_dec = zero};

typedef struct {
  SaeThresholds thresholds;
  SaeWorkspace *workspace;
  SaeSparseRows latents;
} Fixture;

static void
encode (Fixture *f, float theta, const float *x, gsize n)
{
  g_autoptr (GError) error = NULL;
  float log_theta = logf (theta);

  f->workspace = sae_workspace_new (1);
  sae_thresholds_set (&f->thresholds, &log_theta, 1, &error);
  g_assert_no_error (error);
  sae_thresholds_encode (&f->thresholds, &net, f->workspace, x, n, BANDWIDTH,
      &f->latents, &error);
  g_assert_no_error (error);
}

static void
fixture_clear (Fixture *f)
{
  sae_thresholds_clear (&f->thresholds);
  sae_workspace_unref (f->workspace);
}

static gboolean
has_row (const SaeSparseRows *rows, gsize r)
{
  return rows->offsets[r + 1] > rows->offsets[r];
}

typedef struct {
  float x;
  gboolean active, in_window;
} Place;

static void
check_places (float theta, const Place *places, gsize n)
{
  Fixture f = {0};
  g_autofree float *x = g_new (float, n);

  for (gsize r = 0; r < n; r++)
    x[r] = places[r].x;
  encode (&f, theta, x, n);
  for (gsize r = 0; r < n; r++) {
    g_test_message ("threshold %g, value %.9g", theta, x[r]);
    g_assert_cmpint (has_row (&f.latents, r), ==, places[r].active);
    g_assert_cmpint (has_row (&f.thresholds.window, r), ==,
        places[r].in_window);
    if (places[r].active)
      g_assert_cmpfloat (f.latents.value[f.latents.offsets[r]], ==, x[r]);
  }
  fixture_clear (&f);
}

/* |pre − θ| < bandwidth / 2, and active above θ, not at it. */
static void
test_edges (void)
{
  const Place places[] = {{0.7f, FALSE, FALSE}, {0.75f, FALSE, FALSE},
      {nextafterf (0.75f, 1), FALSE, TRUE}, {1, FALSE, TRUE},
      {nextafterf (1, 2), TRUE, TRUE}, {nextafterf (1.25f, 1), TRUE, TRUE},
      {1.25f, TRUE, FALSE}, {7, TRUE, FALSE}};

  check_places (1, places, G_N_ELEMENTS (places));
}

/* The window of a small threshold ends at 0, since pre is behind a relu. */
static void
test_above_zero (void)
{
  const Place places[] = {{-0.1f, FALSE, FALSE}, {0, FALSE, FALSE},
      {1e-30f, FALSE, TRUE}, {0.05f, FALSE, TRUE}, {0.2f, TRUE, TRUE},
      {0.4f, TRUE, FALSE}};

  check_places (0.1f, places, G_N_ELEMENTS (places));
}

/* −θ/ε·Σ (θ·g_s·W_dec + λ/n) over the window: rows 0.9 and 1.1 of four, with
 * g = 2·(x̂ − t)/n (reduction sum), x̂ = 2·latent and t = x. */
static void
test_gradient (void)
{
  const float x[] = {0.1f, 0.9f, 1.1f, 5};
  const float x_hat[] = {0, 0, 2.2f, 10};
  g_autoptr (GError) error = NULL;
  double g1 = 2 * (0 - 0.9) / 4, g2 = 2 * (2.2 - 1.1) / 4, penalty = 0.3 / 4;
  double want = -1 / BANDWIDTH * (g1 * 2 + penalty + g2 * 2 + penalty);
  Fixture f = {0};
  SaeGradients gradients = {.net = &net,
      .x = x,
      .n = 4,
      .reduction = SAE_REDUCTION_SUM,
      .error_weight = 0.25,
      .l1_coeff = 0.3,
      .counts = TRUE};

  encode (&f, 1, x, 4);
  gradients.workspace = f.workspace;
  sae_gradients_compute (&gradients, &f.latents, x, x_hat, &error);
  g_assert_no_error (error);
  expect_within ("l0", gradients.l1, 0.5, 0);
  sae_thresholds_compute (&f.thresholds, &gradients, BANDWIDTH, &error);
  g_assert_no_error (error);
  expect_within ("gradient", f.thresholds.gradient[0], want, 1e-6);
  sae_gradients_clear (&gradients);
  fixture_clear (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/thresholds/window-is-open-at-its-edges",
      test_edges);
  g_test_add_func ("/trainer/thresholds/window-is-above-zero", test_above_zero);
  g_test_add_func ("/trainer/thresholds/gradient-in-closed-form",
      test_gradient);
  return g_test_run ();
}
