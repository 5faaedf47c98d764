/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schedule.h"

#include <math.h>

#include "expect.h"
#include "optimizer.h"

static double
default_rate (const SaeTrainerOptions *options)
{
  return sae_optimizer_find (options->optimizer)->default_rate (options);
}

static SaeTrainerOptions
options_of (SaeSchedule schedule, gint64 warmup_rows, guint64 total_rows)
{
  return (SaeTrainerOptions){.learning_rate = 0.5,
      .schedule = schedule,
      .warmup_rows = warmup_rows,
      .total_rows = total_rows};
}

/* The rate of a step on 10 rows from row @rows on. */
static void
expect_rate (const SaeTrainerOptions *options, guint64 rows, double want)
{
  expect_with ("schedule %d, row %" G_GUINT64_FORMAT, options->schedule, rows);
  expect_within ("rate", sae_schedule_rate (options, rows, 10), want,
      1e-14 * MAX (want, 1e-3));
}

/* Rises with the last row of the batch, so that the first step has a rate. */
static void
test_warm_up (void)
{
  SaeTrainerOptions o = options_of (SAE_SCHEDULE_CONSTANT, 100, 0);

  expect_rate (&o, 0, 0.05);
  expect_rate (&o, 10, 0.1);
  expect_rate (&o, 80, 0.45);
  expect_rate (&o, 90, 0.5);
  expect_rate (&o, 1000000, 0.5);
  o.warmup_rows = 0;
  expect_rate (&o, 0, 0.5);
}

static void
test_linear (void)
{
  SaeTrainerOptions o = options_of (SAE_SCHEDULE_LINEAR, 100, 1000);

  expect_rate (&o, 0, 0.05);
  expect_rate (&o, 500, 0.5);
  expect_rate (&o, 800, 0.5);
  expect_rate (&o, 900, 0.25);
  expect_rate (&o, 990, 0.025);
  expect_rate (&o, 1000, 0);
  expect_rate (&o, 5000, 0); /* the run is longer than was said */
}

static void
test_sqrt (void)
{
  SaeTrainerOptions o = options_of (SAE_SCHEDULE_SQRT, 100, 1000);

  expect_rate (&o, 0, 0.05);
  expect_rate (&o, 500, 0.5);
  expect_rate (&o, 790, 0.5);
  expect_rate (&o, 850, 0.25); /* a quarter of the way, half gone */
  expect_rate (&o, 900, 0.5 - 0.5 * sqrt (0.5));
  expect_rate (&o, 1000, 0);
  expect_rate (&o, 5000, 0);
}

static void
test_cosine (void)
{
  SaeTrainerOptions o = options_of (SAE_SCHEDULE_COSINE, 100, 1100);

  expect_rate (&o, 0, 0.05);
  expect_rate (&o, 90, 0.5);
  expect_rate (&o, 100, 0.5);
  expect_rate (&o, 350, 0.25 * (1 + cos (G_PI / 4)));
  expect_rate (&o, 600, 0.25);
  expect_rate (&o, 1100, 0);
  expect_rate (&o, 9000, 0);
}

/* Without a length there is nothing to fall towards. */
static void
test_unknown_length (void)
{
  SaeTrainerOptions linear = options_of (SAE_SCHEDULE_LINEAR, 0, 0);
  SaeTrainerOptions root = options_of (SAE_SCHEDULE_SQRT, 0, 0);
  SaeTrainerOptions cosine = options_of (SAE_SCHEDULE_COSINE, 0, 0);

  expect_rate (&linear, 1u << 30, 0.5);
  expect_rate (&root, 1u << 30, 0.5);
  expect_rate (&cosine, 1u << 30, 0.5);
}

/* Warm-up as long as the run or longer: a rate all the same, never NaN. */
static void
test_warm_up_of_all (void)
{
  const SaeSchedule schedules[] = {SAE_SCHEDULE_CONSTANT, SAE_SCHEDULE_LINEAR,
      SAE_SCHEDULE_SQRT, SAE_SCHEDULE_COSINE};
  const gint64 warmups[] = {1000, 2000, G_MAXINT64};

  for (guint i = 0; i < 12; i++) {
    SaeTrainerOptions o = options_of (schedules[i / 3], warmups[i % 3], 1000);
    for (guint64 rows = 0; rows < 3000; rows += 10) {
      double rate = sae_schedule_rate (&o, rows, 10);
      g_assert_true (rate >= 0 && rate <= 0.5);
    }
  }
}

static void
test_resolve (void)
{
  SaeTrainerOptions o = {.d_in = 64,
      .l1_coeff = -1,
      .warmup_rows = -1,
      .target_l0 = 32};
  SaeTrainerOptions r = sae_trainer_options_resolve (&o);

  g_assert_cmpuint (r.d_out, ==, 64);
  g_assert_cmpuint (r.d_sae, ==, 4096);
  g_assert_cmpuint (r.k, ==, 32);
  g_assert_cmpint (r.sparsity, ==, SAE_SPARSITY_TOP_K);
  g_assert_cmpint (r.reduction, ==, SAE_REDUCTION_MEAN);
  g_assert_cmpint (r.schedule, ==, SAE_SCHEDULE_CONSTANT);
  g_assert_cmpint (r.warmup_rows, ==, 65536);
  g_assert_cmpfloat (r.l1_coeff, ==, 1e-3);
  g_assert_false (r.steered);
  g_assert_cmpfloat (r.learning_rate, ==, default_rate (&r));
  o.total_rows = 1000;
  o.d_sae = 20;
  r = sae_trainer_options_resolve (&o);
  g_assert_cmpint (r.schedule, ==, SAE_SCHEDULE_SQRT);
  g_assert_cmpint (r.warmup_rows, ==, 50);
  g_assert_cmpuint (r.k, ==, 20); /* the default, where it fits */
  o.sparsity = SAE_SPARSITY_L1;
  r = sae_trainer_options_resolve (&o);
  g_assert_cmpint (r.reduction, ==, SAE_REDUCTION_SUM);
  g_assert_cmpuint (r.k, ==, 0);
  g_assert_true (r.steered);
  o.l1_coeff = 0.5;
  r = sae_trainer_options_resolve (&o);
  g_assert_false (r.steered);
  g_assert_cmpfloat (r.l1_coeff, ==, 0.5);
}

/* With the root of the number of latents, as published defaults do, from 6,144
 * on, with the fourth root below; and with that of the steps, if known. */
static void
test_default_rate (void)
{
  SaeTrainerOptions o = {.d_in = 64, .d_out = 64, .k = 8, .batch_size = 256};
  const struct {
    guint d_sae;
    guint64 total_rows;
    double rate;
  } cases[] = {
      {6144, 0, 1.25e-3},
      {4 * 6144, 0, 1.25e-3 / 2},
      {6144 / 16, 0, 1.25e-3 * 2},
      {6144, 4096 * 256, 1.25e-3},
      {6144, 16 * 4096 * 256, 1.25e-3 / 2},
      {6144, 4096 * 16, 1.25e-3 * 2},
      {6144, 1, 1.25e-3 * 2}, /* no more than that */
      {6144, G_MAXUINT64, 1.25e-3 / 4},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    o.d_sae = cases[i].d_sae;
    o.total_rows = cases[i].total_rows;
    expect_with ("case %u", i);
    expect_within ("rate", default_rate (&o), cases[i].rate, 1e-15);
  }
}

/* The sum over d_out has gradients d_out times those of the mean. */
static void
test_default_rate_of_sgd (void)
{
  SaeTrainerOptions o = {.d_in = 64,
      .d_out = 64,
      .d_sae = 1000,
      .optimizer = SAE_OPTIMIZER_SGD,
      .reduction = SAE_REDUCTION_MEAN};
  double mean = default_rate (&o);

  o.reduction = SAE_REDUCTION_SUM;
  g_assert_cmpfloat (default_rate (&o), ==, mean / 64);
}

/* floor (k_start + (k − k_start)·share + 1/2), halves up. */
static void
test_k (void)
{
  SaeTrainerOptions o = {.k = 8, .k_start = 24, .k_anneal_rows = 200};
  const guint want[] = {24, 21, 18, 14, 11, 8, 8};

  for (guint i = 0; i < G_N_ELEMENTS (want); i++)
    g_assert_cmpuint (sae_schedule_k (&o, 40 * i), ==, want[i]);
  g_assert_cmpuint (sae_schedule_k (&o, 199), ==, 8);
  g_assert_cmpuint (sae_schedule_k (&o, G_MAXUINT64), ==, 8);
  o.k_start = 2; /* it may grow too */
  g_assert_cmpuint (sae_schedule_k (&o, 0), ==, 2);
  g_assert_cmpuint (sae_schedule_k (&o, 100), ==, 5);
  o.k_start = 0; /* k */
  g_assert_cmpuint (sae_schedule_k (&o, 0), ==, 8);
  o.k_start = 24;
  o.k_anneal_rows = 0;
  g_assert_cmpuint (sae_schedule_k (&o, 0), ==, 8);
}

/* Rises with the last row of the batch. */
static void
test_l1_warm_up (void)
{
  SaeTrainerOptions o = {.l1_warmup_rows = 200};

  g_assert_cmpfloat (sae_schedule_l1_warmup (&o, 0, 40), ==, 0.2);
  g_assert_cmpfloat (sae_schedule_l1_warmup (&o, 120, 40), ==, 0.8);
  g_assert_cmpfloat (sae_schedule_l1_warmup (&o, 160, 40), ==, 1);
  g_assert_cmpfloat (sae_schedule_l1_warmup (&o, 1 << 30, 40), ==, 1);
  o.l1_warmup_rows = 0;
  g_assert_cmpfloat (sae_schedule_l1_warmup (&o, 0, 40), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/schedule/warm-up-rises-linearly", test_warm_up);
  g_test_add_func ("/trainer/schedule/linear-falls-over-the-last-fifth",
      test_linear);
  g_test_add_func ("/trainer/schedule/sqrt-falls-faster-at-first", test_sqrt);
  g_test_add_func ("/trainer/schedule/cosine-falls-from-the-warm-up",
      test_cosine);
  g_test_add_func ("/trainer/schedule/unknown-length-is-constant",
      test_unknown_length);
  g_test_add_func ("/trainer/schedule/warm-up-of-the-whole-run",
      test_warm_up_of_all);
  g_test_add_func ("/trainer/schedule/k-falls-in-a-line", test_k);
  g_test_add_func ("/trainer/schedule/l1-warm-up-rises-linearly",
      test_l1_warm_up);
  g_test_add_func ("/trainer/schedule/auto-is-resolved", test_resolve);
  g_test_add_func ("/trainer/schedule/default-rate-falls-with-dict-size",
      test_default_rate);
  g_test_add_func ("/trainer/schedule/default-rate-of-sgd-follows-reduction",
      test_default_rate_of_sgd);
  return g_test_run ();
}
