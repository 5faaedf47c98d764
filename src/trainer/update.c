/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "update.h"

#include <math.h>
#include <string.h>

#include "schedule.h"
#include "screen.h"

typedef struct {
  SaeRun *run;
  SaeOptimizerConstants constants, for_W_dec, for_threshold;
  float *b_enc, *b_dec; /* the whole gradients of the biases */
  double *norms2;       /* [d_sae]: of the gradients of a latent's rows */
  float *scratch;       /* of the workers */
  gsize scratch_size;   /* of one of them */
  float clip;           /* factor; 1 where nothing is clipped */

  /* while a norm that may clip is not known; else NULL */
  float *kept;    /* [active latents, d_in + d_out] */
  guint32 *place; /* [d_sae]: among the active */
} Update;

static gsize
row_width (const SaeRun *run)
{
  return (gsize) run->net.d_in + run->net.d_out;
}

static gboolean
is_active (const SaeRun *run, guint i)
{
  return sae_gradients_is_active (&run->gradients, i) ||
         sae_aux_k_is_active (&run->aux, i);
}

/* --- memory --------------------------------------------------------------- */

/* Floats that one worker needs: the gradients of a row, or of the rows of a
 * dense block and what those are made with; and then what AuxK adds to one. */
static gsize
worker_scratch (const SaeRun *run)
{
  gsize own = row_width (run);

  if (run->gradients.dense)
    own = SAE_GRADIENTS_BLOCK * row_width (run) +
          sae_gradients_block_scratch (&run->gradients);
  return own + row_width (run);
}

/* Where the gradients of the active latents are kept. */
static gboolean
reserve_kept (Update *update)
{
  SaeRun *run = update->run;
  guint32 n = 0;

  update->place = sae_scratch_reserve (&run->scratch[SAE_RUN_PLACE],
      run->net.d_sae, sizeof (guint32));
  if (!update->place)
    return FALSE;
  for (guint i = 0; i < run->net.d_sae; i++) {
    update->place[i] = n;
    n += is_active (run, i);
  }
  update->kept = sae_scratch_reserve (&run->scratch[SAE_RUN_KEPT],
      n * row_width (run), sizeof (float));
  return update->kept != NULL;
}

static gboolean
reserve (Update *update, GError **error)
{
  SaeRun *run = update->run;
  SaeScratch *s = run->scratch;
  gsize n_threads = sae_pool_get_n_threads (run->workspace->pool);
  gsize F = run->net.d_sae, d_out = run->net.d_out;

  update->scratch_size = worker_scratch (run);
  update->scratch = sae_scratch_reserve (&s[SAE_RUN_WORKERS],
      n_threads * update->scratch_size, sizeof (float));
  update->norms2 = sae_scratch_reserve (&s[SAE_RUN_NORMS2], F, sizeof (double));
  update->b_enc = sae_scratch_reserve (&s[SAE_RUN_B_ENC], F, sizeof (float));
  update->b_dec =
      sae_scratch_reserve (&s[SAE_RUN_B_DEC], d_out, sizeof (float));
  if (update->scratch && update->norms2 && update->b_enc && update->b_dec &&
      (run->options.grad_clip <= 0 || reserve_kept (update)))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the gradients of %u latents", run->net.d_sae);
  return FALSE;
}

/* --- one latent ----------------------------------------------------------- */

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

void
sae_update_make_unit (float *w, gsize d)
{
  const SaeKernels *kernels = sae_kernels ();
  double norm2 = kernels->dot (w, w, d);

  if (norm2 > 0)
    kernels->scale (w, (float) (1.0 / sqrt (norm2)), w, d);
}

static const SaeOptimizerConstants *
constants_of (const Update *update, guint which)
{
  return which == SAE_W_DEC       ? &update->for_W_dec
         : which == SAE_THRESHOLD ? &update->for_threshold
                                  : &update->constants;
}

/* One step of the @n numbers from @at of a parameter. */
static void
step_part (const Update *update, guint which, gsize at, const float *gradient,
    gsize n)
{
  SaeParameter *p = &update->run->parameters[which];
  float *moments[SAE_MAX_MOMENTS];

  for (guint m = 0; m < SAE_MAX_MOMENTS; m++)
    moments[m] = p->moments[m] ? p->moments[m] + at : NULL;
  update->run->rule->update (constants_of (update, which), p->w + at, moments,
      gradient, n);
}

static gboolean
keeps_unit_rows (const SaeRun *run)
{
  return run->options.decoder_norm == SAE_DECODER_NORM_UNIT;
}

/* An inactive latent takes part with a gradient of 0: its moments decay and
 * still move it. */
static void
step_latent (const Update *update, guint i, const float *for_enc,
    const float *for_dec)
{
  SaeRun *run = update->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;

  step_part (update, SAE_W_ENC, i * d_in, for_enc, d_in);
  if (run->screen)
    sae_screen_set_latent (run->screen, i, run->net.W_enc + i * d_in);
  step_part (update, SAE_W_DEC, i * d_out, for_dec, d_out);
  if (keeps_unit_rows (run))
    sae_update_make_unit (run->parameters[SAE_W_DEC].w + i * d_out, d_out);
}

/* Ends the gradients of an active latent's rows: what AuxK adds, the
 * projection, their norm. Then steps, or keeps them. */
static void
finish_rows (const Update *update, guint i, float *for_enc, float *for_dec,
    float *scratch)
{
  const SaeRun *run = update->run;
  const SaeKernels *kernels = sae_kernels ();
  gsize d_in = run->net.d_in, d_out = run->net.d_out;

  if (sae_aux_k_is_active (&run->aux, i))
    sae_aux_k_add_row (&run->aux, i, for_enc, for_dec, scratch);
  if (keeps_unit_rows (run))
    remove_parallel (for_dec, run->net.W_dec + i * d_out, d_out);
  update->norms2[i] = (double) kernels->dot (for_enc, for_enc, d_in) +
                      (double) kernels->dot (for_dec, for_dec, d_out);
  if (!update->kept) {
    step_latent (update, i, for_enc, for_dec);
    return;
  }
  float *kept = update->kept + update->place[i] * (d_in + d_out);
  memcpy (kept, for_enc, d_in * sizeof *kept);
  memcpy (kept + d_in, for_dec, d_out * sizeof *kept);
}

static void
finish_inactive (const Update *update, guint i, float *scratch)
{
  gsize d_in = update->run->net.d_in;

  update->norms2[i] = 0;
  if (update->kept)
    return;
  memset (scratch, 0, row_width (update->run) * sizeof *scratch);
  step_latent (update, i, scratch, scratch + d_in);
}

/* --- passes over the latents ---------------------------------------------- */

/* Latents one by one, each while its rows are in cache. */
static void
pass_sparse (const Update *update, guint first, guint last, float *scratch)
{
  const SaeRun *run = update->run;
  float *for_enc = scratch, *for_dec = scratch + run->net.d_in;

  for (guint i = first; i < last; i++) {
    if (!is_active (run, i)) {
      finish_inactive (update, i, scratch);
      continue;
    }
    sae_gradients_row (&run->gradients, i, for_enc, for_dec);
    finish_rows (update, i, for_enc, for_dec, scratch + row_width (run));
  }
}

static void
pass_dense (const Update *update, guint first, guint last, float *scratch)
{
  const SaeRun *run = update->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;
  float *for_enc = scratch, *for_dec = for_enc + (last - first) * d_in;
  float *rest = for_dec + (last - first) * d_out;

  sae_gradients_block (&run->gradients, first, last, rest, for_enc, for_dec);
  for (guint i = first; i < last; i++)
    if (is_active (run, i))
      finish_rows (update, i, for_enc + (i - first) * d_in,
          for_dec + (i - first) * d_out, rest);
    else
      finish_inactive (update, i, rest);
}

static void
first_task (guint task, guint worker, gpointer data)
{
  const Update *update = data;
  const SaeRun *run = update->run;
  guint first = task * SAE_GRADIENTS_BLOCK;
  guint last = MIN (first + SAE_GRADIENTS_BLOCK, run->net.d_sae);
  float *scratch = update->scratch + worker * update->scratch_size;

  if (sae_gradients_block_is_dense (&run->gradients, first, last))
    pass_dense (update, first, last, scratch);
  else
    pass_sparse (update, first, last, scratch);
}

/* Steps on the gradients that were kept. */
static void
second_task (guint task, guint worker, gpointer data)
{
  const Update *update = data;
  const SaeRun *run = update->run;
  guint first = task * SAE_GRADIENTS_BLOCK;
  guint last = MIN (first + SAE_GRADIENTS_BLOCK, run->net.d_sae);
  gsize width = row_width (run), d_in = run->net.d_in;
  float *scratch = update->scratch + worker * update->scratch_size;

  for (guint i = first; i < last; i++) {
    float *row = update->kept + update->place[i] * width;
    if (!is_active (run, i)) {
      memset (scratch, 0, width * sizeof *scratch);
      row = scratch;
    } else if (update->clip != 1.0f) {
      sae_kernels ()->scale (row, update->clip, row, width);
    }
    step_latent (update, i, row, row + d_in);
  }
}

static void
run_pass (Update *update, SaePoolFunc task)
{
  const SaeRun *run = update->run;

  sae_pool_run (run->workspace->pool,
      (run->net.d_sae + SAE_GRADIENTS_BLOCK - 1) / SAE_GRADIENTS_BLOCK, task,
      update);
}

/* --- the whole ------------------------------------------------------------ */

static void
gather_biases (Update *update)
{
  const SaeRun *run = update->run;
  const SaeGradients *g = &run->gradients;

  memcpy (update->b_enc, g->b_enc, run->net.d_sae * sizeof (float));
  memcpy (update->b_dec, g->b_dec, run->net.d_out * sizeof (float));
  sae_aux_k_add_biases (&run->aux, update->b_enc, update->b_dec);
}

static double
find_norm (const Update *update)
{
  const SaeRun *run = update->run;
  const SaeKernels *kernels = sae_kernels ();
  double sum = kernels->dot (update->b_enc, update->b_enc, run->net.d_sae) +
               kernels->dot (update->b_dec, update->b_dec, run->net.d_out);

  if (run->thresholds.gradient)
    sum += kernels->dot (run->thresholds.gradient, run->thresholds.gradient,
        run->net.d_sae);
  for (guint i = 0; i < run->net.d_sae; i++)
    sum += update->norms2[i];
  return sqrt (sum);
}

/* As torch.nn.utils.clip_grad_norm_ has it. */
static float
clip_factor (const SaeRun *run)
{
  double factor = run->options.grad_clip / (run->gradient_norm + 1e-6);

  return run->options.grad_clip > 0 && factor < 1 ? (float) factor : 1.0f;
}

/* The biases and thresholds. */
static void
step_vector (const Update *update, guint which, float *gradient)
{
  gsize n = update->run->parameters[which].n;

  if (n == 0)
    return;
  if (update->clip != 1.0f)
    sae_kernels ()->scale (gradient, update->clip, gradient, n);
  step_part (update, which, 0, gradient, n);
}

static void
prepare_rates (Update *update, gsize n)
{
  SaeRun *run = update->run;
  const SaeTrainerOptions *o = &run->options;
  guint64 step = run->steps + 1;

  run->learning_rate = sae_schedule_rate (o, run->rows, n);
  update->constants = run->rule->prepare (o, step, run->learning_rate);
  update->for_W_dec =
      run->rule->prepare (o, step, run->learning_rate * o->decoder_rate);
  update->for_threshold =
      run->rule->prepare (o, step, run->learning_rate * o->threshold_rate);
}

gboolean
sae_update (SaeRun *run, gsize n, GError **error)
{
  Update update = {.run = run, .clip = 1.0f};

  if (!reserve (&update, error))
    return FALSE;
  prepare_rates (&update, n);
  gather_biases (&update);
  run_pass (&update, first_task);
  run->gradient_norm = find_norm (&update);
  update.clip = clip_factor (run);
  if (update.kept)
    run_pass (&update, second_task);
  step_vector (&update, SAE_B_ENC, update.b_enc);
  step_vector (&update, SAE_B_DEC, update.b_dec);
  step_vector (&update, SAE_THRESHOLD, run->thresholds.gradient);
  return TRUE;
}
