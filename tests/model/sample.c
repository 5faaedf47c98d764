/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample.h"

#include <math.h>
#include <stdlib.h>

#include "plain-dot.h"

GBytes *
sample_floats (Noise *noise, NoiseKind kind, gsize n)
{
  float *values = g_new (float, n);

  noise_fill (noise, kind, values, n);
  return g_bytes_new_take (values, n * sizeof (float));
}

static GBytes *
sample_normal (Noise *noise, gsize n, float scale)
{
  float *values = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = scale * noise_normal (noise);
  return g_bytes_new_take (values, n * sizeof (float));
}

GBytes *
sample_rows (Noise *noise, gsize n_rows, gsize d)
{
  return sample_normal (noise, n_rows * d, 1.0f);
}

static SaeModel *
make_model (const SaeConfig *config, GBytes *W_enc, GBytes *b_enc,
    GBytes *W_dec, GBytes *b_dec)
{
  g_autoptr (GError) error = NULL;
  SaeModel *model =
      sae_model_new_from_weights (config, W_enc, b_enc, W_dec, b_dec, &error);

  g_assert_no_error (error);
  g_bytes_unref (W_enc);
  g_bytes_unref (b_enc);
  g_bytes_unref (W_dec);
  g_bytes_unref (b_dec);
  return model;
}

/* With gated, a magnitude that is not the gate. */
static SaeModel *
add_gate (Noise *noise, SaeModel *model)
{
  g_autoptr (GError) error = NULL;
  gsize d_sae = sae_model_get_d_sae (model);
  g_autoptr (GBytes) r_mag = sample_normal (noise, d_sae, 0.5f);
  g_autoptr (GBytes) b_mag = sample_normal (noise, d_sae, 0.5f);
  SaeModel *with = sae_model_with_gate (model, r_mag, b_mag, &error);

  g_assert_no_error (error);
  sae_model_unref (model);
  return with;
}

/* With jump-relu, random thresholds in place of 0: some are negative. */
static SaeModel *
add_thresholds (Noise *noise, SaeModel *model)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) threshold = NULL;
  SaeModel *with;

  if (sae_model_get_sparsity (model) == SAE_SPARSITY_GATED)
    return add_gate (noise, model);
  if (sae_model_get_sparsity (model) != SAE_SPARSITY_JUMP_RELU)
    return model;
  threshold = sample_normal (noise, sae_model_get_d_sae (model), 0.5f);
  with = sae_model_with_threshold (model, threshold, &error);
  g_assert_no_error (error);
  sae_model_unref (model);
  return with;
}

SaeModel *
sample_model (Noise *noise, const SaeConfig *config)
{
  gsize d_in = config->d_in, d_sae = config->d_sae;
  gsize d_out = config->d_out ? config->d_out : d_in;

  SaeModel *model = make_model (config,
      sample_normal (noise, d_sae * d_in, 1 / sqrtf ((float) d_in)),
      sample_normal (noise, d_sae, 0.1f),
      sample_normal (noise, d_sae * d_out, 1 / sqrtf ((float) d_out)),
      sample_normal (noise, d_out, 0.1f));

  return add_thresholds (noise, model);
}

SaeModel *
sample_model_of (Noise *noise, NoiseKind kind, const SaeConfig *config)
{
  gsize d_in = config->d_in, d_sae = config->d_sae;
  gsize d_out = config->d_out ? config->d_out : d_in;

  SaeModel *model =
      make_model (config, sample_floats (noise, kind, d_sae * d_in),
          sample_floats (noise, kind, d_sae),
          sample_floats (noise, kind, d_sae * d_out),
          sample_floats (noise, kind, d_out));

  return add_thresholds (noise, model);
}

typedef struct {
  float value;
  guint index;
} Score;

/* Larger values first, lower indices first among equals. */
static int
compare_scores (const void *a, const void *b)
{
  const Score *x = a, *y = b;

  if (x->value != y->value)
    return x->value > y->value ? -1 : 1;
  return x->index < y->index ? -1 : 1;
}

static void
keep_largest (const SaeNet *net, float *pre)
{
  g_autofree Score *scores = g_new (Score, net->d_sae);

  for (guint i = 0; i < net->d_sae; i++)
    scores[i] = (Score){pre[i], i};
  qsort (scores, net->d_sae, sizeof *scores, compare_scores);
  for (guint place = net->k; place < net->d_sae; place++)
    if (net->ties == SAE_TIES_LOWEST_INDEX ||
        scores[place].value != scores[net->k - 1].value)
      pre[scores[place].index] = 0;
}

/* Of each @size latents. */
static void
keep_first_largest (float *pre, guint d_sae, guint size)
{
  for (guint i = 0; i < d_sae; i++)
    for (guint other = i / size * size; other < (i / size + 1) * size; other++)
      if (pre[other] > pre[i] || (pre[other] == pre[i] && other < i))
        pre[i] = 0;
}

void
sample_sparsify (const SaeNet *net, float *pre)
{
  for (guint i = 0; i < net->d_sae; i++)
    if (!(pre[i] > 0) || (net->threshold && !(pre[i] > net->threshold[i])))
      pre[i] = 0;
  if (net->sparsity == SAE_SPARSITY_TOP_K)
    keep_largest (net, pre);
  if (net->sparsity == SAE_SPARSITY_GROUP_MAX)
    keep_first_largest (pre, net->d_sae, net->d_sae / net->k);
}

/* Of layer norm, the deviation, and else the norm over √d. */
static double
find_scale (const SaeNet *net, const float *x, double *mean)
{
  gboolean layer = net->input_norm == SAE_INPUT_NORM_LAYER_NORM;
  double squares = 0;

  *mean = 0;
  for (guint j = 0; layer && j < net->d_in; j++)
    *mean += x[j];
  *mean /= net->d_in;
  for (guint j = 0; j < net->d_in; j++)
    squares += (x[j] - *mean) * (x[j] - *mean);
  return sqrt (squares / (layer ? net->d_in - 1 : net->d_in));
}

float
sample_scale (const SaeNet *net, const float *x)
{
  double mean;

  return sae_input_norm_is_per_row (net->input_norm)
             ? (float) find_scale (net, x, &mean)
             : 1;
}

/* Layer norm, or a norm of √d. */
static void
normalise (const SaeNet *net, const float *x, float *y)
{
  double mean, divisor = find_scale (net, x, &mean);

  if (net->input_norm == SAE_INPUT_NORM_LAYER_NORM)
    divisor += 1e-5;
  for (guint j = 0; j < net->d_in; j++)
    y[j] = (float) ((x[j] - mean) / (divisor > 0 ? divisor : 1));
}

static float
gate (const SaeNet *net, guint i, float s)
{
  float magnitude = (float) exp (net->r_mag[i]) * s + net->b_mag[i];

  return s + net->b_enc[i] > 0 && magnitude > 0 ? magnitude : 0;
}

void
sample_encode (const SaeNet *net, const float *x, float *latents)
{
  g_autofree float *less = g_memdup2 (x, net->d_in * sizeof *x);

  if (sae_input_norm_is_per_row (net->input_norm))
    normalise (net, x, less);
  for (guint j = 0; net->pre_bias && j < net->d_in; j++)
    less[j] -= net->b_dec[j];
  for (guint i = 0; i < net->d_sae; i++) {
    float s = plain_dot (less, net->W_enc + (gsize) i * net->d_in, net->d_in);
    latents[i] = net->sparsity == SAE_SPARSITY_GATED ? gate (net, i, s)
                                                     : s + net->b_enc[i];
  }
  sample_sparsify (net, latents);
}

void
sample_decode (const SaeNet *net, const float *latents, float *x_hat)
{
  for (guint j = 0; j < net->d_out; j++) {
    float sum = 0;
    for (guint i = 0; i < net->d_sae; i++)
      if (latents[i] != 0)
        sum = fmaf (latents[i], net->W_dec[(gsize) i * net->d_out + j], sum);
    x_hat[j] = sum + net->b_dec[j];
  }
}
