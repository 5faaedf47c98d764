/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "average.h"
#include "forward.h"
#include "gemm.h"
#include "measure.h"
#include "model.h"
#include "published.h"
#include "scale.h"
#include "schedule.h"
#include "screen.h"
#include "start.h"
#include "steering.h"
#include "update.h"

/* In units of s, where gradients are of order 1. The squares of larger ones
 * overflow float32 and would poison moments and weights for good: such a batch
 * is skipped whole and counted. (NaN is not below it either.) */
#define LARGEST_GRADIENT 1e15
/* Where jump-relu's thresholds start: so high that of some rows of the stream
 * so many times the latents aimed at are active; or at a number, where no rows
 * are seen before. And the least that a model's count as, which have a log. */
#define START_ROWS 256
#define START_SHARE 4
#define START_THRESHOLD 1.0
#define SMALLEST_THRESHOLD G_MINFLOAT

static const char *const parameter_names[SAE_N_PARAMETERS] = {"W_enc", "b_enc",
    "W_dec", "b_dec", "threshold", "W_skip"};

/* --- making one ----------------------------------------------------------- */

const char *
sae_run_parameter_name (guint which)
{
  return parameter_names[which];
}

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
  if (!sae_average_is_on (&run->options))
    return TRUE;
  p->average = sae_floats_new (rows, columns, name, error);
  return p->average != NULL;
}

static void
point_net (SaeRun *run)
{
  run->net.W_enc = run->parameters[SAE_W_ENC].w;
  run->net.b_enc = run->parameters[SAE_B_ENC].w;
  run->net.W_dec = run->parameters[SAE_W_DEC].w;
  run->net.b_dec = run->parameters[SAE_B_DEC].w;
  run->net.W_skip = run->parameters[SAE_W_SKIP].w;
}

static gboolean
allocate_parameters (SaeRun *run, GError **error)
{
  const SaeNet *net = &run->net;

  if (!allocate_parameter (run, SAE_W_ENC, net->d_sae, net->d_in, error) ||
      !allocate_parameter (run, SAE_B_ENC, 1, net->d_sae, error) ||
      !allocate_parameter (run, SAE_W_DEC, net->d_sae, net->d_out, error) ||
      !allocate_parameter (run, SAE_B_DEC, 1, net->d_out, error) ||
      (run->options.skip &&
          !allocate_parameter (run, SAE_W_SKIP, net->d_out, net->d_in, error)))
    return FALSE;
  point_net (run);
  return net->sparsity != SAE_SPARSITY_JUMP_RELU ||
         allocate_parameter (run, SAE_THRESHOLD, 1, net->d_sae, error);
}

static gboolean
allocate (SaeRun *run, GError **error)
{
  const SaeNet *net = &run->net;

  if (!allocate_parameters (run, error))
    return FALSE;
  if (!run->calibrated)
    run->means = g_try_new (double, (gsize) net->d_in + net->d_out);
  if (!run->calibrated && !run->means) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "train: no memory for the mean of %u columns", net->d_in);
    return FALSE;
  }
  return sae_firing_init (&run->firing, net->d_sae, error) &&
         sae_meter_init (&run->since_last, net->d_out, error) &&
         sae_meter_init (&run->total, net->d_out, error);
}

/* Thresholds of a model, or those of a fresh start: each latent's own, or the
 * mean as the one of batch-top-k. */
static void
start_thresholds (SaeRun *run, const float *threshold)
{
  SaeParameter *p = &run->parameters[SAE_THRESHOLD];
  double mean = 0;

  run->has_thresholds = threshold != NULL;
  for (gsize i = 0; i < p->n; i++)
    p->w[i] = logf (threshold ? MAX (threshold[i], SMALLEST_THRESHOLD)
                              : (float) START_THRESHOLD);
  if (run->net.sparsity != SAE_SPARSITY_BATCH_TOP_K || !threshold)
    return;
  for (guint i = 0; i < run->net.d_sae; i++)
    mean += MAX (threshold[i], 0.0f) / (float) run->net.d_sae;
  sae_batch_top_k_start_at (&run->batch_top_k, mean);
}

static void
copy_weights (SaeRun *run, SaeModel *model)
{
  const SaeNet *from = sae_model_get_net (model);
  const float *const source[] = {from->W_enc, from->b_enc, from->W_dec,
      from->b_dec};

  for (guint i = 0; i < G_N_ELEMENTS (source); i++)
    memcpy (run->parameters[i].w, source[i],
        run->parameters[i].n * sizeof (float));
  if (from->W_skip)
    memcpy (run->parameters[SAE_W_SKIP].w, from->W_skip,
        run->parameters[SAE_W_SKIP].n * sizeof (float));
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

/* batch-top-k has k's limits; no model has that rule. */
static gboolean
check_options (SaeRun *run, GError **error)
{
  const SaeTrainerOptions *options = &run->options;
  SaeNet net = net_of (options);
  gboolean has_k = net.sparsity == SAE_SPARSITY_TOP_K ||
                   net.sparsity == SAE_SPARSITY_BATCH_TOP_K;

  if (net.sparsity == SAE_SPARSITY_GATED) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "sparsity: gated dictionaries run here, but are not trained");
    return FALSE;
  }
  if (net.sparsity == SAE_SPARSITY_BATCH_TOP_K)
    net.sparsity = SAE_SPARSITY_TOP_K;
  if (net.sparsity == SAE_SPARSITY_GROUP_MAX) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "sparsity: group-max dictionaries run here, but are not trained");
    return FALSE;
  }
  if (!sae_net_check (&net, error) ||
      !sae_prefixes_parse (options->prefixes, net.d_sae, run->prefixes,
          &run->n_prefixes, error))
    return FALSE;
  if (run->n_prefixes && !has_k) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "prefixes: expected none but with top-k and batch-top-k, got '%s'",
        options->prefixes);
    return FALSE;
  }
  if (options->k_start > net.d_sae) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "k-start: expected at most dict-size %u, got %u", net.d_sae,
        options->k_start);
    return FALSE;
  }
  return TRUE;
}

SaeRun *
sae_run_new (const SaeTrainerOptions *options, SaeModel *model, GError **error)
{
  SaeRun *run = g_new0 (SaeRun, 1);

  run->options = *options;
  run->l1_coeff = options->l1_coeff;
  run->net = net_of (options);
  run->rule = sae_optimizer_find (options->optimizer);
  run->scale = run->target_variance = 1.0;
  run->calibrated = options->normalize == SAE_NORMALIZE_NONE;
  if (!check_options (run, error) || !allocate (run, error)) {
    sae_run_free (run);
    return NULL;
  }
  if (model)
    copy_weights (run, model);
  else
    sae_start_weights (&run->net, options->init, options->seed,
        run->parameters[SAE_W_ENC].w, run->parameters[SAE_W_DEC].w);
  start_thresholds (run, model ? sae_model_get_net (model)->threshold : NULL);
  run->workspace = sae_workspace_new (options->n_threads);
  run->gradients.workspace = run->workspace;
  sae_aux_k_init (&run->aux, run->workspace);
  return run;
}

static void
clear_parameter (SaeParameter *p)
{
  if (sae_loan_end (&p->loan))
    free (p->w);
  for (guint m = 0; m < SAE_MAX_MOMENTS; m++)
    free (p->moments[m]);
  free (p->average);
}

void
sae_run_free (SaeRun *run)
{
  if (!run)
    return;
  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    clear_parameter (&run->parameters[i]);
  g_free (run->means);
  g_clear_pointer (&run->metadata, g_hash_table_unref);
  sae_firing_clear (&run->firing);
  sae_meter_clear (&run->since_last);
  sae_meter_clear (&run->total);
  sae_gradients_clear (&run->gradients);
  sae_aux_k_clear (&run->aux);
  sae_thresholds_clear (&run->thresholds);
  sae_batch_top_k_clear (&run->batch_top_k);
  sae_screen_free (run->screen);
  for (guint i = 0; i < SAE_RUN_N_SCRATCH; i++)
    sae_scratch_clear (&run->scratch[i]);
  g_clear_pointer (&run->workspace, sae_workspace_unref);
  g_free (run);
}

/* --- scale ---------------------------------------------------------------- */

/* b_dec = mean target, and b_enc = −W_enc·mean x, so that the first forward
 * pass sees centred input; with pre-bias b_dec does that itself. */
static void
start_biases (SaeRun *run, const double *mean_x, const double *mean_target)
{
  const SaeNet *net = &run->net;

  for (guint j = 0; j < net->d_out; j++)
    run->parameters[SAE_B_DEC].w[j] = (float) (mean_target[j] / run->scale);
  for (guint i = 0; !net->pre_bias && i < net->d_sae; i++) {
    double sum = 0;
    for (guint j = 0; j < net->d_in; j++)
      sum += net->W_enc[(gsize) i * net->d_in + j] * mean_x[j];
    run->parameters[SAE_B_ENC].w[i] = (float) (-sum / run->scale);
  }
}

/* Of rows with the mean @mean_x that have a variance of about 1 in units of
 * s. */
static double
usual_norm2 (const SaeRun *run, const double *mean_x)
{
  double norm2 = run->net.d_in;

  for (guint j = 0; j < run->net.d_in; j++)
    norm2 += mean_x[j] / run->scale * (mean_x[j] / run->scale);
  return norm2;
}

/* What a model has in the stream's units, in units of s. */
static void
scale_model (SaeRun *run)
{
  const SaeKernels *kernels = sae_kernels ();
  SaeParameter *b_enc = &run->parameters[SAE_B_ENC];
  SaeParameter *b_dec = &run->parameters[SAE_B_DEC];
  SaeParameter *threshold = &run->parameters[SAE_THRESHOLD];
  float factor = (float) (1.0 / run->scale);

  kernels->scale (b_enc->w, factor, b_enc->w, b_enc->n);
  kernels->scale (b_dec->w, factor, b_dec->w, b_dec->n);
  for (gsize i = 0; run->has_thresholds && i < threshold->n; i++)
    threshold->w[i] += logf (factor);
  run->batch_top_k.sum *= factor;
}

/* @x [n, d_in] in units of s. */
gboolean
sae_run_start_thresholds (SaeRun *run, const float *x, gsize n, GError **error)
{
  SaeParameter *p = &run->parameters[SAE_THRESHOLD];
  double wanted = START_SHARE * run->options.target_l0;
  SaeBatchTopK all = {0};
  SaeSparseRows latents;
  gboolean ok;

  if (p->n == 0 || run->has_thresholds || n == 0)
    return TRUE;
  ok = sae_batch_top_k_encode (&all, &run->net, run->workspace, x,
      MIN (n, START_ROWS), (guint) CLAMP (wanted, 1, run->net.d_sae), &latents,
      error);
  for (gsize i = 0; ok && all.smallest > 0 && i < p->n; i++)
    p->w[i] = logf (all.smallest);
  sae_batch_top_k_clear (&all);
  return ok;
}

void
sae_run_calibrate (SaeRun *run, const float *x, const float *target, gsize n)
{
  const SaeNet *net = &run->net;
  double *mean_x = run->means, *mean_target = run->means + net->d_in;
  double ratio = 1;

  run->calibrated = TRUE;
  run->published_is_made = FALSE;
  run->scale = sae_scale_of (x, n, net->d_in, mean_x);
  run->outliers.usual = usual_norm2 (run, mean_x);
  if (target != x)
    ratio = sae_scale_of (target, n, net->d_out, mean_target) / run->scale;
  else
    memcpy (mean_target, mean_x, net->d_in * sizeof *mean_x);
  run->target_variance = MAX (1, ratio * ratio);
  if (run->from_model)
    scale_model (run);
  else if (run->options.init == SAE_INIT_TIED)
    start_biases (run, mean_x, mean_target);
  g_clear_pointer (&run->means, g_free);
}

/* --- a step --------------------------------------------------------------- */

/* What AuxK adds to the loss. */
static double
aux_part (const SaeRun *run)
{
  double part = run->options.aux_coeff * run->aux.loss;

  return run->options.reduction == SAE_REDUCTION_SUM ? part * run->net.d_out
                                                     : part;
}

/* The coefficient of the penalty as the options have it, or steering, without
 * what that adds for a batch. */
static double
penalty_coeff (const SaeRun *run, gsize n)
{
  return run->l1_coeff * sae_schedule_l1_warmup (&run->options, run->rows, n);
}

/* The reconstruction of the whole dictionary, the last of the prefixes. */
static const float *
whole_x_hat (const SaeRun *run)
{
  gsize size = run->gradients.n * run->net.d_out;
  const float *x_hat = run->scratch[SAE_RUN_X_HAT].data;

  return run->n_prefixes ? x_hat + (run->n_prefixes - 1) * size : x_hat;
}

static void
measure (SaeRun *run, const float *target, const SaeSparseRows *latents)
{
  SaeGradients *g = &run->gradients;
  SaeMeter *const meters[] = {&run->since_last, &run->total};
  double aux = run->aux.n_dead ? run->aux.loss : 0;

  sae_measure_batch (run, target, latents);
  g->l1_coeff = penalty_coeff (run, latents->n_rows);
  for (guint i = 0; i < G_N_ELEMENTS (meters); i++) {
    meters[i]->loss += g->mse + g->l1_coeff * g->l1;
    meters[i]->loss += aux > 0 ? aux_part (run) : 0;
    meters[i]->aux += aux;
    meters[i]->batches++;
  }
}

/* Gradients of the latents that have not fired for long. */
static gboolean
compute_aux (SaeRun *run, const float *target, GError **error)
{
  const SaeTrainerOptions *o = &run->options;

  if (o->aux_k <= 0 || o->aux_coeff <= 0)
    return TRUE;
  return sae_aux_k_find_dead (&run->aux, &run->net, run->firing.last_fired,
             sae_firing_get_alive_since (&run->firing, o->dead_after), error) &&
         sae_aux_k_compute (&run->aux, &run->gradients, target,
             whole_x_hat (run), (guint) o->aux_k, o->aux_coeff, error);
}

static gboolean
compute_thresholds (SaeRun *run, GError **error)
{
  return run->net.sparsity != SAE_SPARSITY_JUMP_RELU ||
         sae_thresholds_compute (&run->thresholds, &run->gradients,
             run->options.bandwidth, error);
}

/* A batch that would do harm: one whose gradients overflow, or whose error is
 * out of all proportion. */
static gboolean
is_faulty (SaeRun *run)
{
  const SaeGradients *g = &run->gradients;
  double n_values = (double) g->n * run->net.d_out * MAX (1, run->n_prefixes);
  double mse = g->mse / g->error_weight / n_values;
  double harmless =
      run->options.normalize == SAE_NORMALIZE_AUTO ? run->target_variance : 0;

  return !(g->bound < LARGEST_GRADIENT) ||
         !(run->aux.n_dead == 0 ||
             run->aux.gradients.bound < LARGEST_GRADIENT) ||
         (!run->options.frozen &&
             sae_spikes_check (&run->spikes, mse, harmless));
}

/* What follows an update, which can fail. */
static gboolean
finish_step (SaeRun *run, const SaeSparseRows *latents, GError **error)
{
  SaeParameter *threshold = &run->parameters[SAE_THRESHOLD];

  if (run->options.steered)
    run->l1_coeff =
        sae_steering_next (run->l1_coeff, latents, run->options.target_l0);
  if (run->net.sparsity == SAE_SPARSITY_BATCH_TOP_K)
    sae_batch_top_k_learn (&run->batch_top_k);
  run->steps++;
  run->rows += latents->n_rows;
  run->published_is_made = FALSE;
  sae_average_step (run);
  return threshold->n == 0 || sae_thresholds_set (&run->thresholds,
                                  threshold->w, run->net.d_sae, error);
}

/* The step behind the forward pass: measure, and train unless frozen. */
static gboolean
backward (SaeRun *run, const float *target, const SaeSparseRows *latents,
    GError **error)
{
  gboolean frozen = run->options.frozen;
  gsize n = latents->n_rows;

  run->aux.n_dead = 0;
  if (run->options.steered && run->gradients.counts && !frozen)
    run->gradients.l1_coeff =
        sae_steering_push (&run->options, run->l1_coeff, latents) *
        sae_schedule_l1_warmup (&run->options, run->rows, n);
  if (!sae_gradients_compute (&run->gradients, latents, target,
          run->scratch[SAE_RUN_X_HAT].data, error) ||
      (!frozen && !compute_aux (run, target, error)))
    return FALSE;
  if (is_faulty (run)) {
    run->skipped_rows += n;
    return TRUE;
  }
  if (!frozen &&
      (!compute_thresholds (run, error) || !sae_update (run, n, error)))
    return FALSE;
  measure (run, target, latents);
  return frozen || finish_step (run, latents, error);
}

/* What of the step's latents needs no exact score. Without the memory for it
 * all get one. */
static void
set_screen (SaeRun *run, const float *x, gsize n)
{
  SaeNet *net = &run->step_net;

  if (net->W_enc != run->net.W_enc ||
      !sae_screen_is_worthwhile (net->d_in, net->d_sae))
    return;
  if (!run->screen)
    run->screen = sae_screen_new (net->W_enc, net->d_in, net->d_sae, x, n,
        net->pre_bias ? net->b_dec : NULL);
  net->screen = run->screen;
}

/* Weights that a model still has are its alone from now on: a copy is what is
 * trained. */
static gboolean
take_back (SaeRun *run, guint which, GError **error)
{
  SaeParameter *p = &run->parameters[which];
  float *lent = p->w, *copy;

  if (!p->loan || sae_loan_is_over (p->loan))
    return sae_loan_end (&p->loan);
  copy = sae_floats_new (1, p->n, parameter_names[which], error);
  if (!copy)
    return FALSE;
  memcpy (copy, lent, p->n * sizeof *copy);
  if (sae_loan_end (&p->loan)) /* given back meanwhile */
    free (lent);
  p->w = copy;
  run->published_is_made = FALSE;
  point_net (run);
  return TRUE;
}

/* The net of the step and the loss that it has. */
static gboolean
prepare (SaeRun *run, gsize n, GError **error)
{
  const SaeTrainerOptions *o = &run->options;
  SaeGradients *g = &run->gradients;
  const SaeParameter *threshold = &run->parameters[SAE_THRESHOLD];

  if (!o->frozen && (!take_back (run, SAE_W_ENC, error) ||
                        !take_back (run, SAE_W_DEC, error)))
    return FALSE;
  if (!o->steered)
    run->l1_coeff = o->l1_coeff;
  else if (run->l1_coeff <= 0) /* no factor leads away from 0 */
    run->l1_coeff = sae_steering_start (o);
  run->step_net = run->net;
  run->step_net.k = sae_schedule_k (o, run->rows);
  g->net = &run->step_net;
  g->n = n;
  g->reduction = o->reduction;
  g->error_weight =
      sae_gradients_error_weight (o->reduction, n, run->net.d_out);
  g->l1_coeff = penalty_coeff (run, n);
  g->counts = run->net.sparsity == SAE_SPARSITY_JUMP_RELU;
  g->prefixes = run->n_prefixes ? run->prefixes : NULL;
  g->n_prefixes = run->n_prefixes;
  if (o->frozen)
    return sae_run_get_published (run, &run->step_net, error);
  return threshold->n == 0 || run->thresholds.theta ||
         sae_thresholds_set (&run->thresholds, threshold->w, run->net.d_sae,
             error);
}

gboolean
sae_run_step (SaeRun *run, const float *x, const float *target, gsize n,
    GError **error)
{
  SaeSparseRows latents;
  gboolean ok = prepare (run, n, error);

  run->x = x;
  if (ok)
    set_screen (run, x, n);
  ok = ok && sae_forward (run, x, n, &latents, error) &&
       backward (run, target, &latents, error);
  run->gradients.dense = FALSE;
  return ok;
}

/* --- what others see ------------------------------------------------------ */

static GBytes *
copy_scaled (const float *from, gsize n, const char *name, double scale,
    GError **error)
{
  float *copy = sae_floats_new (1, n, name, error);

  if (!copy)
    return NULL;
  sae_kernels ()->scale (copy, (float) scale, from, n);
  return g_bytes_new_with_free_func (copy, n * sizeof *copy, free, copy);
}

/* An array of what is published, in the stream's units: weights of latents
 * that are the run's own are lent, all else is copied. */
static GBytes *
publish_array (SaeRun *run, guint which, const float *from, GError **error)
{
  SaeParameter *p = &run->parameters[which];
  gboolean weights = which == SAE_W_ENC || which == SAE_W_DEC;
  gsize n = which == SAE_THRESHOLD ? run->net.d_sae : p->n;

  if (weights && from == p->w)
    return sae_loan_lend (&p->loan, p->w, n);
  return copy_scaled (from, n, parameter_names[which],
      weights || which == SAE_W_SKIP ? 1.0 : run->scale, error);
}

/* Takes @model; @W_skip may be NULL. */
static SaeModel *
add_skip (SaeModel *model, GBytes *W_skip, GError **error)
{
  g_autoptr (SaeModel) plain = model;

  return W_skip ? sae_model_with_skip (plain, W_skip, error)
                : g_steal_pointer (&plain);
}

SaeModel *
sae_run_copy_model (SaeRun *run, GError **error)
{
  GBytes *array[SAE_N_PARAMETERS] = {NULL};
  gboolean ok = TRUE;
  SaeNet net;

  if (!sae_run_get_published (run, &net, error))
    return NULL;
  const float *const from[SAE_N_PARAMETERS] = {net.W_enc, net.b_enc, net.W_dec,
      net.b_dec, net.threshold, net.W_skip};
  for (guint i = 0; ok && i < SAE_N_PARAMETERS; i++) {
    array[i] = from[i] ? publish_array (run, i, from[i], error) : NULL;
    ok = !from[i] || array[i];
  }
  net.W_skip = NULL;
  if (ok) {
    g_autoptr (GBytes) W_skip = array[SAE_W_SKIP];
    SaeModel *model = sae_model_new_take_bytes (&net, array[SAE_W_ENC],
        array[SAE_B_ENC], array[SAE_W_DEC], array[SAE_B_DEC],
        array[SAE_THRESHOLD], run->metadata, error);
    return model ? add_skip (model, W_skip, error) : NULL;
  }
  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    g_clear_pointer (&array[i], g_bytes_unref);
  return NULL;
}

double
sae_run_get_dead_fraction (const SaeRun *run)
{
  return sae_firing_get_dead_fraction (&run->firing, run->options.dead_after);
}
