/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Clipping, on every way that gradients go: latents one by one, and in dense
 * blocks, as l1 begins. */
#include "update.h"

#include <math.h>
#include <string.h>

#include "expect.h"
#include "sample-run.h"
#include "sample-trainer.h"

#define D 12
#define D_SAE 200 /* blocks of 64, and one that is not whole */
#define ROWS 90

/* Plain gradient descent, so that a step is the gradient. */
static SaeRun *
run_of (SaeSparsity sparsity, SaeDecoderNorm norm, double clip)
{
  SaeTrainerOptions o = sample_options (D, D_SAE, 5);

  o.sparsity = sparsity;
  o.k = sparsity == SAE_SPARSITY_TOP_K ? 5 : 0;
  o.reduction = SAE_REDUCTION_SUM;
  o.decoder_norm = norm;
  o.optimizer = SAE_OPTIMIZER_SGD;
  o.momentum = 0;
  o.learning_rate = 0.01;
  o.decoder_rate = 1;
  o.threshold_rate = 1;
  o.l1_coeff = 0.1;
  o.steered = FALSE;
  o.l1_warmup_rows = 0;
  o.grad_clip = clip;
  o.n_threads = 2;
  return sample_run (&o);
}

static void
step (SaeRun *run)
{
  Noise noise = {.state = 81};
  g_autoptr (GBytes) x = sparse_rows (&noise, ROWS, D, 1);

  sample_step (run, g_bytes_get_data (x, NULL), ROWS);
}

/* What a step has added to all parameters. (transfer full) */
static float *
change_of (const SaeRun *run, const SaeRun *start, gsize *n)
{
  GArray *all = g_array_new (FALSE, FALSE, sizeof (float));

  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    for (gsize j = 0; j < run->parameters[i].n; j++) {
      float change = run->parameters[i].w[j] - start->parameters[i].w[j];
      g_array_append_val (all, change);
    }
  *n = all->len;
  return (float *) (gpointer) g_array_free (all, FALSE);
}

static double
norm_of (const float *v, gsize n)
{
  double sum = 0;

  for (gsize j = 0; j < n; j++)
    sum += (double) v[j] * v[j];
  return sqrt (sum);
}

/* A clip that does not bind changes no bit; one that does, the length only. */
static void
check_clip (SaeSparsity sparsity, SaeDecoderNorm norm)
{
  SaeRun *start = run_of (sparsity, norm, 0);
  SaeRun *plain = run_of (sparsity, norm, 0);
  SaeRun *wide = run_of (sparsity, norm, 1e9), *clipped;
  double bound;

  expect_with ("rule %d, decoder norm %d", sparsity, norm);
  step (plain);
  step (wide);
  g_assert_cmpfloat (wide->gradient_norm, ==, plain->gradient_norm);
  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    expect_same_bits ("parameters", wide->parameters[i].w,
        plain->parameters[i].w, plain->parameters[i].n);

  bound = plain->gradient_norm / 4;
  clipped = run_of (sparsity, norm, bound);
  step (clipped);
  g_assert_cmpfloat (clipped->gradient_norm, ==, plain->gradient_norm);
  if (norm == SAE_DECODER_NORM_FREE) { /* else rows are scaled afterwards */
    gsize n;
    g_autofree float *want = change_of (plain, start, &n);
    g_autofree float *got = change_of (clipped, start, &n);
    /* differences of numbers of order 1, of which steps are some 1e-2 */
    expect_within ("length", norm_of (want, n), 0.01 * plain->gradient_norm,
        1e-4 * norm_of (want, n));
    for (gsize j = 0; j < n; j++)
      want[j] /= 4;
    expect_within ("clipped length", norm_of (got, n), 0.01 * bound,
        1e-4 * norm_of (got, n));
    expect_close ("change", got, want, n, 1e-4);
  }
  sae_run_free (start);
  sae_run_free (plain);
  sae_run_free (wide);
  sae_run_free (clipped);
}

static void
test_clip (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_TOP_K, SAE_SPARSITY_L1,
      SAE_SPARSITY_JUMP_RELU};

  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    check_clip (rules[i], SAE_DECODER_NORM_FREE);
    check_clip (rules[i], SAE_DECODER_NORM_UNIT);
  }
}

/* As those of l1 begin: half of the latents active, which is dense. */
static void
test_is_dense (void)
{
  SaeRun *run = run_of (SAE_SPARSITY_L1, SAE_DECODER_NORM_FREE, 1);

  step (run);
  g_assert_cmpuint (run->gradients.first[D_SAE], >, ROWS * D_SAE / 8);
  sae_run_free (run);
}

static void
test_make_unit (void)
{
  float w[] = {3, 0, 4}, zero[3] = {0};
  const float want[] = {0.6f, 0, 0.8f}, none[3] = {0};

  sae_update_make_unit (w, 3);
  sae_update_make_unit (zero, 3);
  expect_close ("unit", w, want, 3, 1e-7);
  expect_same_bits ("zeros", zero, none, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/update/clips-the-length-alone", test_clip);
  g_test_add_func ("/trainer/update/l1-begins-dense", test_is_dense);
  g_test_add_func ("/trainer/update/makes-unit-rows", test_make_unit);
  return g_test_run ();
}
