/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the steps of a run add to its meters, bit for bit what the meter makes
 * of the same rows in one go, whatever the threads. */
#include "measure.h"

#include "expect.h"
#include "sample-run.h"

#define D 300 /* slices of 128 columns, and one that is not whole */
#define D_SAE 150
#define ROWS 90
#define STEPS 3

static SaeRun *
run_of (const char *prefixes, guint n_threads)
{
  SaeTrainerOptions o = sample_options (D, D_SAE, 6);

  g_strlcpy (o.prefixes, prefixes, sizeof o.prefixes);
  o.n_threads = n_threads;
  return sample_run (&o);
}

/* The reconstruction of the step just taken: of the last prefix. */
static const float *
x_hat_of (const SaeRun *run, gsize n)
{
  const float *x_hat = run->scratch[SAE_RUN_X_HAT].data;

  return run->n_prefixes ? x_hat + (run->n_prefixes - 1) * n * D : x_hat;
}

/* All but the latents' part, which the meter does not have here. */
static void
expect_same_meter (const SaeMeter *got, const SaeMeter *want)
{
  const double got_sums[] = {got->error2, got->cosine, got->norm_ratio};
  const double want_sums[] = {want->error2, want->cosine, want->norm_ratio};

  g_assert_cmpuint (got->rows, ==, want->rows);
  expect_same_doubles ("sums", got_sums, want_sums, G_N_ELEMENTS (want_sums));
  expect_same_doubles ("mean", got->mean, want->mean, D);
  expect_same_doubles ("m2", got->m2, want->m2, D);
}

static void
check_meters (const char *prefixes, guint n_threads)
{
  Noise noise = noise_new ();
  SaeRun *run = run_of (prefixes, n_threads);
  SaeMeter total, since_last;
  gsize offsets[ROWS + STEPS] = {0};

  g_assert_true (sae_meter_init (&total, D, NULL));
  g_assert_true (sae_meter_init (&since_last, D, NULL));
  for (guint step = 0; step < STEPS; step++) {
    gsize n = ROWS + step;
    g_auto (NoiseArray) x = noise_array (&noise, NOISE_UNIFORM, n * D, 0);
    SaeSparseRows latents = {n, offsets, NULL, NULL};

    if (step == STEPS - 1)
      sae_meter_reset (&run->since_last);
    sample_step (run, x.values, n);
    sae_meter_add (&total, x.values, x_hat_of (run, n), &latents);
    if (step == STEPS - 1)
      sae_meter_add (&since_last, x.values, x_hat_of (run, n), &latents);
  }
  expect_with ("prefixes '%s', %u threads, seed %u", prefixes, n_threads,
      noise.seed);
  expect_same_meter (&run->total, &total);
  expect_same_meter (&run->since_last, &since_last);
  g_assert_cmpuint (run->firing.rows, ==, STEPS * ROWS + STEPS);
  sae_meter_clear (&total);
  sae_meter_clear (&since_last);
  sae_run_free (run);
}

static void
test_meters (void)
{
  for (guint n_threads = 1; n_threads <= 3; n_threads++) {
    check_meters ("", n_threads);
    check_meters ("20,70", n_threads);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/measure/same-bits-as-the-meter", test_meters);
  return g_test_run ();
}
