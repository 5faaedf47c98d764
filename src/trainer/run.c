/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dense-decode.h"
#include "gemm.h"
#include "model.h"
#include "scale.h"
#include "schedule.h"
#include "start.h"
#include "steering.h"

/* In units of s, where gradients are of order 1. The squares of larger ones
 * overflow float32 and would poison moments and weights for good: such a batch
 * is skipped whole and counted. (NaN is not below it either.) */
#define LARGEST_GRADIENT 1e15

enum { W_ENC, B_ENC, W_DEC, B_DEC };

static const char *const parameter_names[SAE_N_PARAMETERS] = {"W_enc", "b_enc",
    "W_dec", "b_dec"};

static gboolean
allocate_parameter (SaeRun *run, guint which, gsize rows, gsize columns,
    GError **error)
{
  SaeParameter *p = &run->parameters[which];
  const char *name = parameter_names[which];

  p->n = rows * columns;
  p->w = sae_floats_new (rows, columns, name, error);
  if (!p->w)
    return FALSE;
  for (guint m = 0; m < run->rule->n_moments; m++) {
    p->moments[m] = sae_floats_new (rows, columns, name, error);
    if (!p->moments[m])
      return FALSE;
  }
  return TRUE;
}

static gboolean
allocate (SaeRun *run, GError **error)
{
  const SaeNet *net = &run->net;

  if (!allocate_parameter (run, W_ENC, net->d_sae, net->d_in, error) ||
      !allocate_parameter (run, B_ENC, 1, net->d_sae, error) ||
      !allocate_parameter (run, W_DEC, net->d_sae, net->d_out, error) ||
      !allocate_parameter (run, B_DEC, 1, net->d_out, error))
    return FALSE;
  run->net.W_enc = run->parameters[W_ENC].w;
  run->net.b_enc = run->parameters[B_ENC].w;
  run->net.W_dec = run->parameters[W_DEC].w;
  run->net.b_dec = run->parameters[B_DEC].w;
  run->last_fired = g_try_new0 (guint64, net->d_sae);
  if (!run->calibrated)
    run->means = g_try_new (double, (gsize) net->d_in + net->d_out);
  if (!run->last_fired || (!run->calibrated && !run->means)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for the counters of %u latents", net->d_sae);
    return FALSE;
  }
  return sae_meter_init (&run->since_last, net->d_out, error) &&
         sae_meter_init (&run->total, net->d_out, error);
}

static void
copy_weights (SaeRun *run, SaeModel *model)
{
  const SaeNet *from = sae_model_get_net (model);
  const float *const source[SAE_N_PARAMETERS] = {from->W_enc, from->b_enc,
      from->W_dec, from->b_dec};

  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    memcpy (run->parameters[i].w, source[i],
        run->parameters[i].n * sizeof (float));
  run->from_model = TRUE;
  run->metadata = g_hash_table_ref (sae_model_get_metadata_table (model));
}

static SaeNet
net_of (const SaeTrainerOptions *options)
{
  return (SaeNet){
      .d_in = options->d_in,
      .d_out = options->d_out,
      .d_sae = options->d_sae,
      .k = options->k,
      .sparsity = options->sparsity,
      .ties = options->ties,
      .pre_bias = options->pre_bias,
  };
}

static gboolean
check_trainable (const SaeNet *net, GError **error)
{
  if (!sae_net_check (net, error))
    return FALSE;
  if (net->sparsity != SAE_SPARSITY_JUMP_RELU)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "sparsity: expected top-k or l1, got jump-relu, whose thresholds cannot "
      "be trained yet");
  return FALSE;
}

SaeRun *
sae_run_new (const SaeTrainerOptions *options, SaeModel *model, GError **error)
{
  SaeRun *run = g_new0 (SaeRun, 1);

  run->options = *options;
  run->l1_coeff = options->l1_coeff;
  run->net = net_of (options);
  run->rule = sae_optimizer_find (options->optimizer);
  run->scale = 1.0;
  run->calibrated = options->normalize == SAE_NORMALIZE_NONE;
  if (!check_trainable (&run->net, error) || !allocate (run, error)) {
    sae_run_free (run);
    return NULL;
  }
  if (model)
    copy_weights (run, model);
  else
    sae_start_weights (&run->net, options->init, options->seed,
        run->parameters[W_ENC].w, run->parameters[W_DEC].w);
  run->workspace = sae_workspace_new (options->n_threads);
  run->gradients.workspace = run->workspace;
  return run;
}

void
sae_run_free (SaeRun *run)
{
  if (!run)
    return;
  for (guint i = 0; i < SAE_N_PARAMETERS; i++) {
    free (run->parameters[i].w);
    for (guint m = 0; m < SAE_MAX_MOMENTS; m++)
      free (run->parameters[i].moments[m]);
  }
  g_free (run->last_fired);
  g_free (run->means);
  g_clear_pointer (&run->metadata, g_hash_table_unref);
  sae_meter_clear (&run->since_last);
  sae_meter_clear (&run->total);
  sae_gradients_clear (&run->gradients);
  sae_scratch_clear (&run->x_hat);
  sae_scratch_clear (&run->x_less_bias);
  sae_scratch_clear (&run->row_gradients);
  sae_scratch_clear (&run->norms2);
  sae_scratch_clear (&run->dense_latents);
  g_clear_pointer (&run->workspace, sae_workspace_unref);
  g_free (run);
}

/* b_dec = mean target, and b_enc = −W_enc·mean x, so that the first forward
 * pass sees centred input; with pre-bias b_dec does that itself. */
static void
start_biases (SaeRun *run, const double *mean_x, const double *mean_target)
{
  const SaeNet *net = &run->net;

  for (guint j = 0; j < net->d_out; j++)
    run->parameters[B_DEC].w[j] = (float) (mean_target[j] / run->scale);
  for (guint i = 0; !net->pre_bias && i < net->d_sae; i++) {
    double sum = 0;
    for (guint j = 0; j < net->d_in; j++)
      sum += net->W_enc[(gsize) i * net->d_in + j] * mean_x[j];
    run->parameters[B_ENC].w[i] = (float) (-sum / run->scale);
  }
}

void
sae_run_calibrate (SaeRun *run, const float *x, const float *target, gsize n)
{
  const SaeNet *net = &run->net;
  double *mean_x = run->means, *mean_target = run->means + net->d_in;

  run->calibrated = TRUE;
  run->scale = sae_scale_of (x, n, net->d_in, mean_x);
  if (target != x)
    sae_scale_of (target, n, net->d_out, mean_target);
  else
    memcpy (mean_target, mean_x, net->d_in * sizeof *mean_x);
  if (run->from_model) {
    float factor = (float) (1.0 / run->scale);
    SaeParameter *b_enc = &run->parameters[B_ENC];
    SaeParameter *b_dec = &run->parameters[B_DEC];
    sae_kernels ()->scale (b_enc->w, factor, b_enc->w, b_enc->n);
    sae_kernels ()->scale (b_dec->w, factor, b_dec->w, b_dec->n);
  } else if (run->options.init == SAE_INIT_TIED) {
    start_biases (run, mean_x, mean_target);
  }
  g_clear_pointer (&run->means, g_free);
}

/* x less b_dec, where the encoder wants it so. */
static const float *
encoder_input (SaeRun *run, const float *x, gsize n)
{
  gsize d = run->net.d_in;
  float *less;

  if (!run->net.pre_bias)
    return x;
  less = sae_scratch_reserve (&run->x_less_bias, n * d, sizeof *less);
  for (gsize r = 0; less && r < n; r++)
    sae_kernels ()->subtract (less + r * d, x + r * d, run->net.b_dec, d);
  return less;
}

/* Forward pass: latents in the workspace, x_hat in the run's scratch. Where
 * dense products pay, they are announced, and the caller ends them. */
static gboolean
forward (SaeRun *run, const float *x, gsize n, SaeSparseRows *latents,
    GError **error)
{
  SaeGradients *gradients = &run->gradients;
  SaeNet net = run->net;
  float *x_hat =
      sae_scratch_reserve (&run->x_hat, n * net.d_out, sizeof *x_hat);

  if (!x || !x_hat) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for a batch of %" G_GSIZE_FORMAT " rows", n);
    return FALSE;
  }
  net.pre_bias = FALSE; /* encoder_input() has done it */
  if (!sae_net_encode (&net, run->workspace, x, n, latents, error))
    return FALSE;
  /* never for top-k, whose bits are promised on every processor */
  gradients->dense = net.sparsity == SAE_SPARSITY_L1 &&
                     sae_dense_decode_pays (latents, net.d_sae) &&
                     sae_gemm_begin ();
  if (gradients->dense)
    return sae_dense_decode (&net, run->workspace, latents, x_hat,
        &run->dense_latents, error);
  return sae_net_decode (&net, run->workspace, latents, x_hat, error);
}

/* The part of @gradient along the unit row @w is lost to renormalisation
 * anyway, but would spoil the optimiser's moments. */
static void
remove_parallel (float *gradient, const float *w, gsize d)
{
  const SaeKernels *kernels = sae_kernels ();
  float norm2 = kernels->dot (w, w, d);

  if (norm2 > 0)
    kernels->add_scaled (gradient, -kernels->dot (gradient, w, d) / norm2, w,
        d);
}

static void
make_unit (float *w, gsize d)
{
  const SaeKernels *kernels = sae_kernels ();
  double norm2 = kernels->dot (w, w, d);

  if (norm2 > 0)
    kernels->scale (w, (float) (1.0 / sqrt (norm2)), w, d);
}

typedef struct {
  SaeRun *run;
  SaeOptimizerConstants constants;
} Update;

/* One step of the @n numbers from @at of a parameter. */
static void
update_part (Update *update, guint which, gsize at, const float *gradient,
    gsize n)
{
  SaeParameter *p = &update->run->parameters[which];
  float *moments[SAE_MAX_MOMENTS];

  for (guint m = 0; m < SAE_MAX_MOMENTS; m++)
    moments[m] = p->moments[m] ? p->moments[m] + at : NULL;
  update->run->rule->update (&update->constants, p->w + at, moments, gradient,
      n);
}

/* Everything that latent @i needs, from the gradients of its two rows. */
static void
update_latent (Update *update, guint i, float *for_enc, float *for_dec)
{
  SaeRun *run = update->run;
  const SaeKernels *kernels = sae_kernels ();
  gsize d_in = run->net.d_in, d_out = run->net.d_out;
  float *W_dec = run->parameters[W_DEC].w + i * d_out;
  gboolean unit = run->options.decoder_norm == SAE_DECODER_NORM_UNIT;
  double *norms2 = run->norms2.data;

  if (unit && sae_gradients_is_active (&run->gradients, i))
    remove_parallel (for_dec, W_dec, d_out);
  norms2[i] = (double) kernels->dot (for_enc, for_enc, d_in) +
              (double) kernels->dot (for_dec, for_dec, d_out);
  update_part (update, W_ENC, i * d_in, for_enc, d_in);
  update_part (update, W_DEC, i * d_out, for_dec, d_out);
  if (unit)
    make_unit (W_dec, d_out);
}

/* Latents one by one, each while its rows are in cache. */
static void
update_sparse (Update *update, guint first, guint last, float *scratch)
{
  const SaeRun *run = update->run;
  float *for_enc = scratch, *for_dec = scratch + run->net.d_in;

  for (guint i = first; i < last; i++) {
    if (sae_gradients_is_active (&run->gradients, i))
      sae_gradients_row (&run->gradients, i, for_enc, for_dec);
    else
      memset (scratch, 0,
          ((gsize) run->net.d_in + run->net.d_out) * sizeof *scratch);
    update_latent (update, i, for_enc, for_dec);
  }
}

static void
update_dense (Update *update, guint first, guint last, float *scratch)
{
  const SaeRun *run = update->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;
  float *for_enc = scratch, *for_dec = for_enc + (last - first) * d_in;

  sae_gradients_block (&run->gradients, first, last,
      for_dec + (last - first) * d_out, for_enc, for_dec);
  for (guint i = first; i < last; i++)
    update_latent (update, i, for_enc + (i - first) * d_in,
        for_dec + (i - first) * d_out);
}

/* Floats of scratch that one worker needs for a block of latents. */
static gsize
block_scratch (const SaeRun *run)
{
  gsize width = (gsize) run->net.d_in + run->net.d_out;

  return run->gradients.dense
             ? SAE_GRADIENTS_BLOCK * width +
                   sae_gradients_block_scratch (&run->gradients)
             : width;
}

static void
update_task (guint task, guint worker, gpointer data)
{
  Update *update = data;
  SaeRun *run = update->run;
  guint first = task * SAE_GRADIENTS_BLOCK;
  guint last = MIN (first + SAE_GRADIENTS_BLOCK, run->net.d_sae);
  float *scratch =
      (float *) run->row_gradients.data + worker * block_scratch (run);

  if (sae_gradients_block_is_dense (&run->gradients, first, last))
    update_dense (update, first, last, scratch);
  else
    update_sparse (update, first, last, scratch);
}

static void
finish_norm (SaeRun *run)
{
  const SaeKernels *kernels = sae_kernels ();
  const SaeGradients *g = &run->gradients;
  const double *norms2 = run->norms2.data;
  double sum = kernels->dot (g->b_enc, g->b_enc, run->net.d_sae) +
               kernels->dot (g->b_dec, g->b_dec, run->net.d_out);

  for (guint i = 0; i < run->net.d_sae; i++)
    sum += norms2[i];
  run->gradient_norm = sqrt (sum);
}

static gboolean
update_parameters (SaeRun *run, gsize n, GError **error)
{
  guint n_threads = sae_pool_get_n_threads (run->workspace->pool);
  guint n_tasks =
      (run->net.d_sae + SAE_GRADIENTS_BLOCK - 1) / SAE_GRADIENTS_BLOCK;
  Update update = {.run = run};

  if (!sae_scratch_reserve (&run->row_gradients,
          n_threads * block_scratch (run), sizeof (float)) ||
      !sae_scratch_reserve (&run->norms2, run->net.d_sae, sizeof (double))) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for the gradient of a row");
    return FALSE;
  }
  run->learning_rate = sae_schedule_rate (&run->options, run->rows, n);
  update.constants =
      run->rule->prepare (&run->options, run->steps + 1, run->learning_rate);
  sae_pool_run (run->workspace->pool, n_tasks, update_task, &update);
  update_part (&update, B_ENC, 0, run->gradients.b_enc, run->net.d_sae);
  update_part (&update, B_DEC, 0, run->gradients.b_dec, run->net.d_out);
  finish_norm (run);
  return TRUE;
}

static void
mark_fired (SaeRun *run, const SaeSparseRows *latents)
{
  guint64 now = run->rows + latents->n_rows;

  for (gsize p = 0; p < latents->offsets[latents->n_rows]; p++)
    run->last_fired[latents->index[p]] = now;
}

static void
measure (SaeRun *run, const float *target, const SaeSparseRows *latents,
    double loss)
{
  SaeMeter *const meters[] = {&run->since_last, &run->total};

  for (guint i = 0; i < G_N_ELEMENTS (meters); i++) {
    sae_meter_add (meters[i], target, run->x_hat.data, latents);
    meters[i]->loss += loss;
    meters[i]->batches++;
  }
}

/* The step behind the forward pass: measure, and train unless frozen. */
static gboolean
backward (SaeRun *run, const float *target, const SaeSparseRows *latents,
    GError **error)
{
  SaeGradients *gradients = &run->gradients;
  gsize n = gradients->n;

  if (!sae_gradients_compute (gradients, latents, target, run->x_hat.data,
          error))
    return FALSE;
  if (!(gradients->bound < LARGEST_GRADIENT)) {
    run->skipped_rows += n;
    return TRUE;
  }
  measure (run, target, latents, gradients->loss);
  if (run->options.frozen)
    return TRUE;
  mark_fired (run, latents);
  if (!update_parameters (run, n, error))
    return FALSE;
  if (run->options.steered)
    run->l1_coeff =
        sae_steering_next (run->l1_coeff, latents, run->options.target_l0);
  run->steps++;
  run->rows += n;
  return TRUE;
}

gboolean
sae_run_step (SaeRun *run, const float *x, const float *target, gsize n,
    GError **error)
{
  SaeGradients *gradients = &run->gradients;
  SaeSparseRows latents;
  gboolean ok;

  if (!run->options.steered)
    run->l1_coeff = run->options.l1_coeff;
  gradients->net = &run->net;
  gradients->x = encoder_input (run, x, n);
  gradients->n = n;
  gradients->reduction = run->options.reduction;
  gradients->l1_coeff = run->l1_coeff;
  gradients->dense = FALSE;
  ok = forward (run, gradients->x, n, &latents, error) &&
       backward (run, target, &latents, error);
  if (gradients->dense)
    sae_gemm_end ();
  return ok;
}

SaeModel *
sae_run_copy_model (const SaeRun *run, GError **error)
{
  const SaeKernels *kernels = sae_kernels ();
  float *copy[SAE_N_PARAMETERS] = {NULL};
  SaeNet net = run->net;

  for (guint i = 0; i < SAE_N_PARAMETERS; i++) {
    const SaeParameter *p = &run->parameters[i];
    copy[i] = sae_floats_new (1, p->n, parameter_names[i], error);
    if (!copy[i]) {
      for (guint j = 0; j < i; j++)
        free (copy[j]);
      return NULL;
    }
    kernels->scale (copy[i],
        i == B_ENC || i == B_DEC ? (float) run->scale : 1.0f, p->w, p->n);
  }
  return sae_model_new_take (&net, copy[W_ENC], copy[B_ENC], copy[W_DEC],
      copy[B_DEC], NULL, run->metadata, error);
}

double
sae_run_dead_fraction (const SaeRun *run)
{
  guint n_dead = 0;

  for (guint i = 0; i < run->net.d_sae; i++)
    n_dead += run->rows - run->last_fired[i] > run->options.dead_after;
  return (double) n_dead / run->net.d_sae;
}
