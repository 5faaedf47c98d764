/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "update.h"

#include <math.h>
#include <string.h>

#include "schedule.h"
#include "screen.h"

/* One thread sets all latents of a screen's block. */
G_STATIC_ASSERT (SAE_GRADIENTS_BLOCK % SAE_BYTES_LATENTS == 0);

typedef struct _Update Update;

/* Goes through a matrix's rows of latents first … last − 1. */
typedef void (*Pass) (const Update *update, guint which, guint first,
    guint last, float *scratch);

struct _Update {
  SaeRun *run;
  Pass pass;
  SaeOptimizerConstants constants, for_W_dec, for_threshold;
  float *b_enc, *b_dec; /* the whole gradients of the biases */
  double *norms2;       /* [2, d_sae]: of the gradients of W_enc's and W_dec's
                           rows */
  float *W_skip;        /* the gradient of W_skip; NULL without one */
  double *skip_norms2;  /* [d_out]: of its rows */
  float *skip_scratch;  /* of the workers: the column of g, places of rows */
  float *scratch;       /* of the workers */
  gsize scratch_size;   /* of one of them */
  float clip;           /* factor; 1 where nothing is clipped */

  /* while a norm that may clip is not known; else NULL */
  float *kept;    /* [active latents, d_in + d_out] */
  guint32 *place; /* [d_sae]: among the active */
};

/* Of the matrix @which. */
static gsize
row_width (const SaeRun *run, guint which)
{
  return which == SAE_W_ENC ? run->net.d_in : run->net.d_out;
}

static gsize
widest_row (const SaeRun *run)
{
  return MAX (run->net.d_in, run->net.d_out);
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
  gsize own = widest_row (run);

  if (run->gradients.dense)
    own = SAE_GRADIENTS_BLOCK * widest_row (run) +
          sae_gradients_block_scratch (&run->gradients);
  return own + widest_row (run);
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
    n += is_active (run, i) ? 1 : 0;
  }
  update->kept = sae_scratch_reserve (&run->scratch[SAE_RUN_KEPT],
      n * ((gsize) run->net.d_in + run->net.d_out), sizeof (float));
  return update->kept != NULL;
}

static gboolean
reserve_skip (Update *update)
{
  SaeRun *run = update->run;
  SaeScratch *s = run->scratch;
  gsize n_threads = sae_pool_get_n_threads (run->workspace->pool);

  update->W_skip = sae_scratch_reserve (&s[SAE_RUN_W_SKIP],
      run->parameters[SAE_W_SKIP].n, sizeof (float));
  update->skip_norms2 = sae_scratch_reserve (&s[SAE_RUN_SKIP_NORMS2],
      run->net.d_out, sizeof (double));
  update->skip_scratch = sae_scratch_reserve (&s[SAE_RUN_SKIP_WORKERS],
      n_threads * 2 * run->gradients.n, sizeof (float));
  return update->W_skip && update->skip_norms2 && update->skip_scratch;
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
  update->norms2 =
      sae_scratch_reserve (&s[SAE_RUN_NORMS2], 2 * F, sizeof (double));
  update->b_enc = sae_scratch_reserve (&s[SAE_RUN_B_ENC], F, sizeof (float));
  update->b_dec =
      sae_scratch_reserve (&s[SAE_RUN_B_DEC], d_out, sizeof (float));
  if (update->scratch && update->norms2 && update->b_enc && update->b_dec &&
      (run->options.grad_clip <= 0 || reserve_kept (update)) &&
      (run->parameters[SAE_W_SKIP].n == 0 || reserve_skip (update)))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the gradients of %u latents", run->net.d_sae);
  return FALSE;
}

/* --- one row -------------------------------------------------------------- */

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
step_row (const Update *update, guint which, guint i, const float *gradient)
{
  SaeRun *run = update->run;
  gsize d = row_width (run, which);

  step_part (update, which, i * d, gradient, d);
  if (which == SAE_W_ENC && run->screen)
    sae_screen_set_latent (run->screen, i, run->net.W_enc + i * d);
  if (which == SAE_W_DEC && keeps_unit_rows (run))
    sae_update_make_unit (run->parameters[which].w + i * d, d);
}

static double *
norm2_of (const Update *update, guint which, guint i)
{
  return update->norms2 + (which == SAE_W_DEC ? update->run->net.d_sae : 0) + i;
}

/* Where the gradient of an active latent's row is kept. */
static float *
kept_row (const Update *update, guint which, guint i)
{
  const SaeNet *net = &update->run->net;
  float *rows =
      update->kept + update->place[i] * ((gsize) net->d_in + net->d_out);

  return which == SAE_W_DEC ? rows + net->d_in : rows;
}

/* Ends the gradient of an active latent's row: what AuxK adds, the projection,
 * its norm. Then steps, or keeps it. */
static void
finish_row (const Update *update, guint which, guint i, float *row,
    float *scratch)
{
  const SaeRun *run = update->run;
  const SaeKernels *kernels = sae_kernels ();
  gsize d = row_width (run, which);

  if (sae_aux_k_is_active (&run->aux, i))
    sae_aux_k_add_row (&run->aux, i, which == SAE_W_ENC ? row : NULL,
        which == SAE_W_DEC ? row : NULL, scratch);
  if (which == SAE_W_DEC && keeps_unit_rows (run))
    remove_parallel (row, run->net.W_dec + i * d, d);
  *norm2_of (update, which, i) = (double) kernels->dot (row, row, d);
  if (update->kept)
    memcpy (kept_row (update, which, i), row, d * sizeof *row);
  else
    step_row (update, which, i, row);
}

static void
finish_inactive (const Update *update, guint which, guint i, float *row)
{
  *norm2_of (update, which, i) = 0;
  if (update->kept)
    return;
  memset (row, 0, row_width (update->run, which) * sizeof *row);
  step_row (update, which, i, row);
}

/* --- passes over the latents ---------------------------------------------- */

/* A matrix's rows of latents first … last − 1. Row by row, each while it is in
 * cache. */
static void
pass_sparse (const Update *update, guint which, guint first, guint last,
    float *scratch)
{
  const SaeRun *run = update->run;

  for (guint i = first; i < last; i++) {
    if (!is_active (run, i)) {
      finish_inactive (update, which, i, scratch);
      continue;
    }
    sae_gradients_row (&run->gradients, i, which == SAE_W_ENC ? scratch : NULL,
        which == SAE_W_DEC ? scratch : NULL);
    finish_row (update, which, i, scratch, scratch + widest_row (run));
  }
}

static void
pass_dense (const Update *update, guint which, guint first, guint last,
    float *scratch)
{
  const SaeRun *run = update->run;
  gsize d = row_width (run, which);
  float *rest = scratch + (last - first) * d;

  sae_gradients_block (&run->gradients, first, last, rest,
      which == SAE_W_ENC ? scratch : NULL, which == SAE_W_DEC ? scratch : NULL);
  for (guint i = first; i < last; i++)
    if (is_active (run, i))
      finish_row (update, which, i, scratch + (i - first) * d, rest);
    else
      finish_inactive (update, which, i, rest);
}

static void
pass_first (const Update *update, guint which, guint first, guint last,
    float *scratch)
{
  if (sae_gradients_block_is_dense (&update->run->gradients, first, last))
    pass_dense (update, which, first, last, scratch);
  else
    pass_sparse (update, which, first, last, scratch);
}

/* Steps on the gradients that were kept. */
static void
pass_second (const Update *update, guint which, guint first, guint last,
    float *scratch)
{
  const SaeRun *run = update->run;
  gsize d = row_width (run, which);

  for (guint i = first; i < last; i++) {
    float *row = kept_row (update, which, i);
    if (!is_active (run, i)) {
      memset (scratch, 0, d * sizeof *scratch);
      row = scratch;
    } else if (update->clip != 1.0f) {
      sae_kernels ()->scale (row, update->clip, row, d);
    }
    step_row (update, which, i, row);
  }
}

static guint
count_blocks (const SaeRun *run)
{
  return (run->net.d_sae + SAE_GRADIENTS_BLOCK - 1) / SAE_GRADIENTS_BLOCK;
}

/* All of W_enc comes before all of W_dec: half as many arrays at a time go
 * through the caches, and of the batch either x or the residuals. */
static void
run_task (guint task, guint worker, gpointer data)
{
  const Update *update = data;
  guint n = count_blocks (update->run), first = task % n * SAE_GRADIENTS_BLOCK;

  update->pass (update, task < n ? SAE_W_ENC : SAE_W_DEC, first,
      MIN (first + SAE_GRADIENTS_BLOCK, update->run->net.d_sae),
      update->scratch + worker * update->scratch_size);
}

static void
run_pass (Update *update, Pass pass)
{
  const SaeRun *run = update->run;

  update->pass = pass;
  sae_pool_run (run->workspace->pool, 2 * count_blocks (run), run_task, update);
}

/* --- the skip connection ---------------------------------------------------
 */

/* Row j of its gradient: Σ_s g_sj x_s, with x as it comes, and g of all
 * prefixes, since it takes part in each of them. */
static void
run_skip_task (guint j, guint worker, gpointer data)
{
  const Update *update = data;
  const SaeRun *run = update->run;
  const SaeKernels *kernels = sae_kernels ();
  gsize n = run->gradients.n, d_in = run->net.d_in, d_out = run->net.d_out;
  float *column = update->skip_scratch + worker * 2 * n;
  guint32 *place = (guint32 *) (column + n);
  float *row = update->W_skip + j * d_in;

  for (gsize s = 0; s < n; s++) {
    column[s] = run->gradients.g[s * d_out + j];
    place[s] = (guint32) s;
  }
  kernels->combine (row, d_in, column, place, n, run->x, d_in);
  update->skip_norms2[j] = (double) kernels->dot (row, row, d_in);
}

static void
compute_skip (Update *update)
{
  if (update->W_skip)
    sae_pool_run (update->run->workspace->pool, update->run->net.d_out,
        run_skip_task, update);
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
    sum += *norm2_of (update, SAE_W_ENC, i) + *norm2_of (update, SAE_W_DEC, i);
  for (guint j = 0; update->W_skip && j < run->net.d_out; j++)
    sum += update->skip_norms2[j];
  return sqrt (sum);
}

/* As torch.nn.utils.clip_grad_norm_ has it. */
static float
clip_factor (const SaeRun *run)
{
  double factor = run->options.grad_clip / (run->gradient_norm + 1e-6);

  return run->options.grad_clip > 0 && factor < 1 ? (float) factor : 1.0f;
}

/* The biases, thresholds and the skip connection. */
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
  run_pass (&update, pass_first);
  compute_skip (&update);
  run->gradient_norm = find_norm (&update);
  update.clip = clip_factor (run);
  if (update.kept)
    run_pass (&update, pass_second);
  step_vector (&update, SAE_B_ENC, update.b_enc);
  step_vector (&update, SAE_B_DEC, update.b_dec);
  step_vector (&update, SAE_THRESHOLD, run->thresholds.gradient);
  step_vector (&update, SAE_W_SKIP, update.W_skip);
  return TRUE;
}
