/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample-run.h"

#include "sae-trainer.h"

SaeTrainerOptions
sample_options (guint d, guint d_sae, guint k)
{
  GObjectClass *class = g_type_class_ref (SAE_TYPE_TRAINER);
  SaeTrainerOptions options;

  sae_trainer_options_init (&options, class);
  options.d_in = options.d_out = d;
  options.d_sae = d_sae;
  options.k = k;
  options.normalize = SAE_NORMALIZE_NONE;
  options.warmup_rows = options.average = 0;
  options.n_threads = 1;
  g_type_class_unref (class);
  return sae_trainer_options_resolve (&options);
}

SaeRun *
sample_run (const SaeTrainerOptions *options)
{
  g_autoptr (GError) error = NULL;
  SaeRun *run = sae_run_new (options, NULL, &error);

  g_assert_no_error (error);
  return run;
}

void
sample_step (SaeRun *run, const float *x, gsize n)
{
  g_autoptr (GError) error = NULL;

  sae_run_step (run, x, x, n, &error);
  g_assert_no_error (error);
}

float *
whole_numbers (Noise *noise, gsize n)
{
  float *numbers = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    numbers[i] = (float) noise_below (noise, 5) - 2;
  return numbers;
}

WholeNet
whole_net_new (Noise *noise, guint d, guint d_sae, guint k)
{
  WholeNet whole = {
      .W_enc = whole_numbers (noise, (gsize) d_sae * d),
      .b_enc = whole_numbers (noise, d_sae),
      .W_dec = whole_numbers (noise, (gsize) d_sae * d),
      .b_dec = whole_numbers (noise, d),
  };

  whole.net = (SaeNet){
      .d_in = d,
      .d_out = d,
      .d_sae = d_sae,
      .k = k,
      .sparsity = SAE_SPARSITY_TOP_K,
      .W_enc = whole.W_enc,
      .b_enc = whole.b_enc,
      .W_dec = whole.W_dec,
      .b_dec = whole.b_dec,
  };
  return whole;
}

void
whole_net_clear (WholeNet *whole)
{
  g_free (whole->W_enc);
  g_free (whole->b_enc);
  g_free (whole->W_dec);
  g_free (whole->b_dec);
}

double *
whole_pre_acts (const WholeNet *whole, const float *x, gsize n)
{
  gsize d = whole->net.d_in, F = whole->net.d_sae;
  double *pre = g_new (double, n *F);

  for (gsize r = 0; r < n; r++)
    for (gsize i = 0; i < F; i++) {
      double sum = whole->b_enc[i];
      for (gsize j = 0; j < d; j++)
        sum += (double) x[r * d + j] * whole->W_enc[i * d + j];
      pre[r * F + i] = sum;
    }
  return pre;
}
