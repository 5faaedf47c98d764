/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-trainer.h"

#include <string.h>

#include "checkpoint.h"
#include "model.h"
#include "options.h"
#include "run.h"

/**
 * SaeTrainer:
 *
 * Trains a sparse autoencoder on rows as they come.
 *
 * Set the properties, then push rows with sae_trainer_push(), which gathers
 * them into batches of #SaeTrainer:batch-size, or take steps of any size with
 * sae_trainer_step(). sae_trainer_get_model() gives the dictionary at any
 * time. Properties hold from the next start on; those with %SAE_PARAM_LIVE may
 * change while it trains.
 *
 * All calls are safe from any thread; a step holds the lock that the others
 * wait for. The same seed, options and rows give the same bytes, however the
 * rows are cut into calls and whatever #SaeTrainer:n-threads is.
 *
 * Since: 0.1
 */
struct _SaeTrainer {
  GObject parent_instance;

  GMutex options_lock;
  SaeTrainerOptions options; /* options_lock */

  /* Held over a step, never while waiting for anything else. */
  GMutex lock;
  SaeRun *run;       /* lock; NULL until started */
  SaeBatch batch;    /* lock */
  guint64 received;  /* lock; rows that ever came in */
  guint64 to_drop;   /* lock; rows that a replay still brings */
  gint64 started;    /* lock; monotonic µs of the first rows */
  gint64 last_taken; /* lock; when metrics were last taken */
  guint64 resumed_rows, resumed_since_last; /* lock; metered before started */
};

enum { PROP_STEPS, PROP_ROWS, N_OWN_PROPS };

G_DEFINE_FINAL_TYPE (SaeTrainer, sae_trainer, G_TYPE_OBJECT)

static void
sae_trainer_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  SaeTrainer *self = SAE_TRAINER (object);

  g_mutex_lock (&self->options_lock);
  if (!sae_trainer_options_set (&self->options, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  g_mutex_unlock (&self->options_lock);
}

static void
sae_trainer_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  SaeTrainer *self = SAE_TRAINER (object);
  gboolean found;

  if (id == sae_trainer_options_end () + PROP_STEPS) {
    g_value_set_uint64 (value, sae_trainer_get_steps (self));
    return;
  }
  if (id == sae_trainer_options_end () + PROP_ROWS) {
    g_value_set_uint64 (value, sae_trainer_get_rows (self));
    return;
  }
  g_mutex_lock (&self->options_lock);
  found = sae_trainer_options_get (&self->options, id, value);
  g_mutex_unlock (&self->options_lock);
  if (!found)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
clear_run (SaeTrainer *self)
{
  sae_batch_clear (&self->batch);
  g_clear_pointer (&self->run, sae_run_free);
  self->received = self->to_drop = 0;
  self->started = self->last_taken = 0;
  self->resumed_rows = self->resumed_since_last = 0;
}

static void
sae_trainer_finalize (GObject *object)
{
  SaeTrainer *self = SAE_TRAINER (object);

  clear_run (self);
  g_mutex_clear (&self->lock);
  g_mutex_clear (&self->options_lock);
  G_OBJECT_CLASS (sae_trainer_parent_class)->finalize (object);
}

static void
sae_trainer_class_init (SaeTrainerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->set_property = sae_trainer_set_property;
  object_class->get_property = sae_trainer_get_property;
  object_class->finalize = sae_trainer_finalize;
  sae_trainer_options_install (object_class);
  /**
   * SaeTrainer:steps:
   *
   * Optimiser steps taken since the start.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class,
      sae_trainer_options_end () + PROP_STEPS,
      g_param_spec_uint64 ("steps", NULL, "Optimiser steps taken", 0,
          G_MAXUINT64, 0, read_only));
  /**
   * SaeTrainer:rows:
   *
   * Rows trained on since the start.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class,
      sae_trainer_options_end () + PROP_ROWS,
      g_param_spec_uint64 ("rows", NULL, "Rows trained on", 0, G_MAXUINT64, 0,
          read_only));
}

static void
sae_trainer_init (SaeTrainer *self)
{
  g_mutex_init (&self->options_lock);
  g_mutex_init (&self->lock);
  sae_trainer_options_init (&self->options, G_OBJECT_GET_CLASS (self));
}

/**
 * sae_trainer_new:
 * @d_in: width of an input row; 0 to set #SaeTrainer:input-size later
 * @d_sae: number of latents; 0 for the default
 * @k: latents kept per row; 0 for the default
 *
 * Creates a trainer with default options. Nothing is allocated for the
 * weights before it starts.
 *
 * Returns: (transfer full): a trainer
 * Since: 0.1
 */
SaeTrainer *
sae_trainer_new (guint d_in, guint d_sae, guint k)
{
  return g_object_new (SAE_TYPE_TRAINER, "input-size", d_in, "dict-size", d_sae,
      "top-k", k, NULL);
}

static SaeTrainerOptions
copy_options (SaeTrainer *self)
{
  SaeTrainerOptions options;

  g_mutex_lock (&self->options_lock);
  options = self->options;
  g_mutex_unlock (&self->options_lock);
  return options;
}

/* A size that was set must be the model's; one that was not, becomes it. */
static gboolean
adopt_size (const char *name, guint *set, guint model_has, GError **error)
{
  if (*set && *set != model_has) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "%s: expected the model's %u, got %u", name, model_has, *set);
    return FALSE;
  }
  *set = model_has;
  return TRUE;
}

/* What runs, but has no gradients here. */
static gboolean
check_trainable (const SaeNet *net, GError **error)
{
  if (net->sparsity == SAE_SPARSITY_GATED) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "model: gated dictionaries run here, but are not trained");
    return FALSE;
  }
  if (net->input_norm != SAE_INPUT_NORM_NONE) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "model: dictionaries that normalise their input (%s) run here, but are "
        "not trained",
        sae_input_norm_get_name (net->input_norm));
    return FALSE;
  }
  return TRUE;
}

static gboolean
adopt_model (SaeTrainerOptions *options, SaeModel *model, GError **error)
{
  const SaeNet *net = sae_model_get_net (model);

  if (!check_trainable (net, error) ||
      !adopt_size ("input-size", &options->d_in, net->d_in, error) ||
      !adopt_size ("output-size", &options->d_out, net->d_out, error) ||
      !adopt_size ("dict-size", &options->d_sae, net->d_sae, error))
    return FALSE;
  if (options->k == 0)
    options->k = net->k;
  if (options->sparsity == SAE_SPARSITY_AUTO)
    options->sparsity = net->sparsity;
  if (options->ties == SAE_TIES_LOWEST_INDEX)
    options->ties = net->ties;
  options->pre_bias = net->pre_bias;
  options->skip |= net->W_skip != NULL;
  return TRUE;
}

/* Needs the lock. */
static gboolean
start (SaeTrainer *self, SaeModel *model, GError **error)
{
  SaeTrainerOptions options = copy_options (self);
  SaeRun *run;
  SaeBatch batch;

  if (model && !adopt_model (&options, model, error))
    return FALSE;
  if (options.d_in == 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "input-size: expected the width of a row, got 0");
    return FALSE;
  }
  options = sae_trainer_options_resolve (&options);
  run = sae_run_new (&options, model, error);
  if (!run)
    return FALSE;
  if (!sae_batch_init (&batch, run, error)) {
    sae_run_free (run);
    return FALSE;
  }
  clear_run (self);
  self->run = run;
  self->batch = batch;
  return TRUE;
}

/**
 * sae_trainer_start:
 * @trainer: a trainer
 * @error: return location
 *
 * Starts a run from #SaeTrainer:seed with the options as they are now; what
 * was trained before is forgotten. Pushing rows does this by itself. Of use to
 * have errors and allocations early. On failure the old run goes on.
 *
 * Returns: whether it started
 * Since: 0.1
 */
gboolean
sae_trainer_start (SaeTrainer *trainer, GError **error)
{
  gboolean ok;

  g_mutex_lock (&trainer->lock);
  ok = start (trainer, NULL, error);
  g_mutex_unlock (&trainer->lock);
  return ok;
}

/**
 * sae_trainer_start_from:
 * @trainer: a trainer
 * @model: weights to start from
 * @error: return location
 *
 * Starts a run from the weights of @model; optimiser, schedule and counters
 * start anew. Sizes that were set must be the model's, and its metadata is
 * kept; a skip connection that it has is trained on. %SAE_ERROR_UNSUPPORTED for
 * what is not trained here: group-max and gated models, and those that
 * normalise their input (#SaeInputNorm).
 *
 * Returns: whether it started
 * Since: 0.1
 */
gboolean
sae_trainer_start_from (SaeTrainer *trainer, SaeModel *model, GError **error)
{
  gboolean ok;

  g_mutex_lock (&trainer->lock);
  ok = start (trainer, model, error);
  g_mutex_unlock (&trainer->lock);
  return ok;
}

/* Needs the lock. */
static gboolean
resume (SaeTrainer *self, SaeCheckpoint *checkpoint, SaeResume how,
    GError **error)
{
  SaeTrainerOptions options = copy_options (self);
  SaeRun *run;
  SaeBatch batch;

  if (!sae_checkpoint_restore (checkpoint, &options, &run, &batch, error))
    return FALSE;
  clear_run (self);
  self->run = run;
  self->batch = batch;
  self->received = sae_checkpoint_get_rows (checkpoint);
  self->to_drop = how == SAE_RESUME_REPLAY ? self->received : 0;
  self->resumed_rows = run->total.rows;
  self->resumed_since_last = run->since_last.rows;
  return TRUE;
}

/**
 * sae_trainer_resume:
 * @trainer: a trainer
 * @checkpoint: where to go on
 * @how: whether the rows that come are those of the old run from its start on
 *   (%SAE_RESUME_REPLAY), of which the first sae_checkpoint_get_rows() are
 *   dropped, or those after them (%SAE_RESUME_CONTINUE)
 * @error: return location
 *
 * Goes on with the run that @checkpoint is of: it ends in the same bytes as if
 * it had never stopped. Options that were left open take the values that the
 * run has; those that were set must be the same, but for
 * #SaeTrainer:n-threads and #SaeTrainer:total-rows. Those with %SAE_PARAM_LIVE
 * are as @trainer has them, also where they are left open: a learning-rate of
 * 0 is the default one, whatever the run had. On failure the old run goes
 * on.
 *
 * Returns: whether it resumed
 * Since: 0.1
 */
gboolean
sae_trainer_resume (SaeTrainer *trainer, SaeCheckpoint *checkpoint,
    SaeResume how, GError **error)
{
  gboolean ok;

  g_return_val_if_fail (how != SAE_RESUME_NO, FALSE);
  g_mutex_lock (&trainer->lock);
  ok = resume (trainer, checkpoint, how, error);
  g_mutex_unlock (&trainer->lock);
  return ok;
}

/**
 * sae_trainer_checkpoint:
 * @trainer: a trainer
 * @error: return location
 *
 * Copies everything that the run needs to go on, between two steps. Takes as
 * long as copying the weights and their optimiser state does; saving the copy
 * needs no lock.
 *
 * Returns: (transfer full): a checkpoint; %NULL with %SAE_ERROR_STATE before
 *   the start
 * Since: 0.1
 */
SaeCheckpoint *
sae_trainer_checkpoint (SaeTrainer *trainer, GError **error)
{
  SaeCheckpoint *checkpoint = NULL;

  g_mutex_lock (&trainer->lock);
  if (trainer->run)
    checkpoint = sae_checkpoint_new (trainer->run, &trainer->batch,
        trainer->received, error);
  else
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "trainer: expected a started run, got none");
  g_mutex_unlock (&trainer->lock);
  return checkpoint;
}

/**
 * sae_trainer_reset:
 * @trainer: a trainer
 *
 * Forgets the run; the options stay.
 *
 * Since: 0.1
 */
void
sae_trainer_reset (SaeTrainer *trainer)
{
  g_mutex_lock (&trainer->lock);
  clear_run (trainer);
  g_mutex_unlock (&trainer->lock);
}

/* Needs the lock. Starts a run if there is none, and takes over the options
 * that may change while it goes. */
static gboolean
prepare (SaeTrainer *self, GError **error)
{
  SaeTrainerOptions options;

  if (!self->run && !start (self, NULL, error))
    return FALSE;
  if (!self->started)
    self->started = self->last_taken = g_get_monotonic_time ();
  options = copy_options (self);
  self->run->options.frozen = options.frozen;
  options.d_sae = self->run->options.d_sae;
  options.d_out = self->run->options.d_out;
  options.sparsity = self->run->options.sparsity;
  options.reduction = self->run->options.reduction;
  options.batch_size = self->run->options.batch_size;
  options.total_rows = self->run->options.total_rows;
  options.optimizer = self->run->options.optimizer;
  options = sae_trainer_options_resolve (&options);
  self->run->options.learning_rate = options.learning_rate;
  self->run->options.l1_coeff = options.l1_coeff;
  self->run->options.target_l0 = options.target_l0;
  self->run->options.steered = options.steered;
  return TRUE;
}

/* Needs the lock, and a run. @size: bytes of the target, if one is given. */
static gboolean
check_target (SaeTrainer *self, gsize n_rows, gboolean given, gsize size,
    GError **error)
{
  const SaeNet *net = &self->run->net;

  if (given ? size == n_rows * net->d_out * sizeof (float)
            : net->d_in == net->d_out)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "target: expected %" G_GSIZE_FORMAT
      " rows of %u floats, got %s%" G_GSIZE_FORMAT " bytes",
      n_rows, net->d_out, given ? "" : "none, ", size);
  return FALSE;
}

/* Needs the lock, and a run. */
static gboolean
count_rows (SaeTrainer *self, GBytes *x, GBytes *target, gsize *n_rows,
    GError **error)
{
  const SaeNet *net = &self->run->net;
  gsize size = g_bytes_get_size (x), row = net->d_in * sizeof (float);

  *n_rows = size / row;
  if (size % row != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "x: expected whole rows of %u floats (%" G_GSIZE_FORMAT
        " bytes), got %" G_GSIZE_FORMAT " bytes",
        net->d_in, row, size);
    return FALSE;
  }
  return check_target (self, *n_rows, target != NULL,
      target ? g_bytes_get_size (target) : 0, error);
}

static const float *
floats_of (GBytes *bytes)
{
  return bytes ? g_bytes_get_data (bytes, NULL) : NULL;
}

typedef gboolean (*Feed) (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error);

/* Needs the lock, and a run. Counts the rows, and drops those of them that the
 * run has had before it was resumed. */
static gboolean
feed_rows (SaeTrainer *self, Feed to, const float *x, const float *target,
    gsize n_rows, GError **error)
{
  const SaeNet *net = &self->run->net;
  gsize known = (gsize) MIN (self->to_drop, n_rows);

  self->to_drop -= known;
  self->received += n_rows - known;
  if (known == n_rows && known > 0)
    return TRUE;
  return to (&self->batch, x ? x + known * net->d_in : NULL,
      target ? target + known * net->d_out : NULL, n_rows - known, error);
}

static gboolean
feed (SaeTrainer *self, Feed to, GBytes *x, GBytes *target, GError **error)
{
  gboolean ok;
  gsize n_rows;

  g_mutex_lock (&self->lock);
  ok = prepare (self, error) && count_rows (self, x, target, &n_rows, error) &&
       feed_rows (self, to, floats_of (x), floats_of (target), n_rows, error);
  g_mutex_unlock (&self->lock);
  return ok;
}

/**
 * sae_trainer_step:
 * @trainer: a trainer
 * @x: float32 [n_rows, d_in], any number of rows
 * @target: (nullable): float32 [n_rows, d_out]; %NULL when the rows are their
 *   own target, as in an autoencoder
 * @error: return location
 *
 * One optimiser step on just these rows (and on those that
 * sae_trainer_push() left pending, but for rows that #SaeTrainer:shuffle-rows
 * keeps). Rows with a NaN or an infinity are left out and counted.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_trainer_step (SaeTrainer *trainer, GBytes *x, GBytes *target,
    GError **error)
{
  return feed (trainer, sae_batch_step, x, target, error);
}

/**
 * sae_trainer_push:
 * @trainer: a trainer
 * @x: float32 [n_rows, d_in], any number of rows
 * @target: (nullable): float32 [n_rows, d_out]; %NULL when the rows are their
 *   own target, as in an autoencoder
 * @error: return location
 *
 * Adds rows to the batch and takes a step whenever #SaeTrainer:batch-size of
 * them are there. Rows with a NaN or an infinity are left out and counted.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_trainer_push (SaeTrainer *trainer, GBytes *x, GBytes *target,
    GError **error)
{
  return feed (trainer, sae_batch_push, x, target, error);
}

/**
 * sae_trainer_push_rows: (skip)
 * @trainer: a trainer
 * @x: [n_rows, d_in]
 * @target: (nullable): [n_rows, d_out]
 * @n_rows: number of rows
 * @error: return location
 *
 * sae_trainer_push() for C. Allocates nothing in the steady state.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_trainer_push_rows (SaeTrainer *trainer, const float *x, const float *target,
    gsize n_rows, GError **error)
{
  gboolean ok;

  g_mutex_lock (&trainer->lock);
  ok = prepare (trainer, error) &&
       (target || check_target (trainer, n_rows, FALSE, 0, error)) &&
       feed_rows (trainer, sae_batch_push, x, target, n_rows, error);
  g_mutex_unlock (&trainer->lock);
  return ok;
}

/**
 * sae_trainer_flush:
 * @trainer: a trainer
 * @error: return location
 *
 * Takes steps on the rows that #SaeTrainer:shuffle-rows keeps and that do not
 * fill a batch, if there are any: the end of the stream. While a replay still
 * brings rows that are known (sae_trainer_get_rows_to_drop()), nothing happens:
 * the run that it repeats has done so.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_trainer_flush (SaeTrainer *trainer, GError **error)
{
  gboolean ok;

  g_mutex_lock (&trainer->lock);
  ok = !trainer->run || trainer->to_drop > 0 ||
       sae_batch_flush (&trainer->batch, error);
  g_mutex_unlock (&trainer->lock);
  return ok;
}

/**
 * sae_trainer_drop_pending:
 * @trainer: a trainer
 *
 * Forgets the rows that #SaeTrainer:shuffle-rows keeps and that do not fill a
 * batch yet: a discontinuity. Nothing happens while a replay still brings rows
 * that are known: those that wait came later.
 *
 * Returns: how many rows were dropped
 * Since: 0.1
 */
guint64
sae_trainer_drop_pending (SaeTrainer *trainer)
{
  guint64 n = 0;

  g_mutex_lock (&trainer->lock);
  if (trainer->run && trainer->to_drop == 0)
    n = sae_batch_drop (&trainer->batch);
  g_mutex_unlock (&trainer->lock);
  return n;
}

/* Needs the lock, and a run. */
static guint64
missing_rows (SaeTrainer *self, guint64 *pending)
{
  const SaeMixer *mixer = &self->batch.mixer;
  guint64 batch_size = self->run->options.batch_size;
  guint64 n = self->batch.n % batch_size;

  *pending = 1;
  if (self->to_drop > n)
    return self->to_drop - n;
  if (mixer->n < mixer->capacity)
    return mixer->capacity - mixer->n;
  *pending = n - self->to_drop;
  return batch_size - *pending;
}

/**
 * sae_trainer_get_missing_rows:
 * @trainer: a trainer
 * @pending: (out) (optional): rows of the next batch that are there already
 *
 * How many more rows sae_trainer_push() needs for the next batch: for a value
 * that changes along the stream to change where a batch begins, which is where
 * @pending is 0. (The first batches wait for the scale of the stream, and are
 * trained together when it is known. Rows that fill #SaeTrainer:shuffle-rows,
 * and those of a replay before the batch that was begun when the run stopped,
 * are as if they were part of a batch.)
 *
 * Returns: rows that are missing; at least 1
 * Since: 0.1
 */
guint64
sae_trainer_get_missing_rows (SaeTrainer *trainer, guint64 *pending)
{
  guint64 missing = copy_options (trainer).batch_size, n = 0;

  g_mutex_lock (&trainer->lock);
  if (trainer->run)
    missing = missing_rows (trainer, &n);
  g_mutex_unlock (&trainer->lock);
  if (pending)
    *pending = n;
  return missing;
}

/**
 * sae_trainer_get_model:
 * @trainer: a trainer
 * @error: return location
 *
 * The dictionary as it is now, between two steps; it never changes. Its weights
 * are copied when the run takes a step while it is still there.
 *
 * Returns: (transfer full): a model; %NULL with %SAE_ERROR_STATE before the
 *   start
 * Since: 0.1
 */
SaeModel *
sae_trainer_get_model (SaeTrainer *trainer, GError **error)
{
  SaeModel *model = NULL;

  g_mutex_lock (&trainer->lock);
  if (trainer->run)
    model = sae_run_copy_model (trainer->run, error);
  else
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "trainer: expected a started run, got none");
  g_mutex_unlock (&trainer->lock);
  return model;
}

/**
 * sae_trainer_get_config:
 * @trainer: a trainer
 *
 * Sizes and rule of the dictionaries that @trainer gives: of its run, or of one
 * that would start now from #SaeTrainer:seed. Trained by batch-top-k they are
 * jump-relu.
 *
 * Returns: (transfer full): sizes and rule; input-size and output-size are 0
 *   where they are neither set nor of a run
 * Since: 0.1
 */
SaeConfig *
sae_trainer_get_config (SaeTrainer *trainer)
{
  SaeTrainerOptions o = copy_options (trainer);
  SaeConfig *config;
  gboolean top_k;

  g_mutex_lock (&trainer->lock);
  o = trainer->run ? trainer->run->options : sae_trainer_options_resolve (&o);
  g_mutex_unlock (&trainer->lock);
  top_k = o.sparsity == SAE_SPARSITY_TOP_K;
  config = sae_config_new (o.d_in, o.d_sae, top_k ? o.k : 0);
  config->d_out = o.d_out;
  config->sparsity = o.sparsity == SAE_SPARSITY_BATCH_TOP_K
                         ? SAE_SPARSITY_JUMP_RELU
                         : o.sparsity;
  config->ties = o.ties;
  config->pre_bias = o.pre_bias;
  return config;
}

/**
 * sae_trainer_save:
 * @trainer: a trainer
 * @model: (nullable): what to write; %NULL for the dictionary as it is now
 * @path: (type filename): a folder
 * @error: return location
 *
 * Writes a dictionary as sae_model_save() does, and beside it what was seen of
 * each latent over the latest rows (between one and two times
 * #SaeTrainer:dead-after of them): `sparsity.safetensors`, as SAELens has it,
 * and `latent_stats.safetensors`. Written outside of the lock.
 *
 * Returns: whether it worked; %SAE_ERROR_STATE before the start
 * Since: 0.1
 */
gboolean
sae_trainer_save (SaeTrainer *trainer, SaeModel *model, const char *path,
    GError **error)
{
  return sae_trainer_save_as (trainer, model, path, NULL, error);
}

/**
 * sae_trainer_save_as:
 * @trainer: a trainer
 * @model: (nullable): what to write; %NULL for the dictionary as it is now
 * @path: (type filename): a folder
 * @layout: (nullable): one of sae_model_list_layouts(); %NULL is `saelens`
 * @error: return location
 *
 * sae_trainer_save() in another layout, as sae_model_save_as() does.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_trainer_save_as (SaeTrainer *trainer, SaeModel *model, const char *path,
    const char *layout, GError **error)
{
  g_autoptr (SaeModel) current =
      model ? sae_model_ref (model) : sae_trainer_get_model (trainer, error);
  SaeLatentStats stats = {0};
  gboolean ok = current != NULL;

  if (!ok)
    return FALSE;
  g_mutex_lock (&trainer->lock);
  if (trainer->run && trainer->run->net.d_sae == sae_model_get_d_sae (current))
    ok = sae_firing_copy_stats (&trainer->run->firing, trainer->run->scale,
        &stats, error);
  g_mutex_unlock (&trainer->lock);
  ok = ok && sae_model_save_with_stats (current, stats.n_rows ? &stats : NULL,
                 path, layout, error);
  sae_latent_stats_clear (&stats);
  return ok;
}

/* Needs the lock. */
static SaeMetrics *
read_metrics (SaeTrainer *self, const SaeMeter *meter, gint64 since,
    guint64 rows_before)
{
  SaeMetrics *metrics = g_new0 (SaeMetrics, 1);
  const SaeRun *run = self->run;
  double seconds = (double) (g_get_monotonic_time () - since) * 1e-6;

  sae_meter_read (meter, run->scale, metrics);
  metrics->steps = run->steps;
  metrics->skipped_rows = run->skipped_rows;
  metrics->dead_fraction = sae_run_get_dead_fraction (run);
  metrics->l1_coeff = run->gradients.l1_coeff;
  metrics->threshold =
      run->scale * sae_batch_top_k_get_threshold (&run->batch_top_k);
  metrics->gradient_norm = run->gradient_norm;
  metrics->learning_rate = run->learning_rate;
  metrics->rows_per_second =
      seconds > 0 && metrics->rows >= rows_before
          ? (double) (metrics->rows - rows_before) / seconds
          : 0;
  return metrics;
}

/**
 * sae_trainer_get_metrics:
 * @trainer: a trainer
 *
 * What was found over all rows since the start; of each batch before its
 * update.
 *
 * Returns: (transfer full): the metrics, all 0 before the start
 * Since: 0.1
 */
SaeMetrics *
sae_trainer_get_metrics (SaeTrainer *trainer)
{
  SaeMetrics *metrics;

  g_mutex_lock (&trainer->lock);
  metrics = trainer->run ? read_metrics (trainer, &trainer->run->total,
                               trainer->started, trainer->resumed_rows)
                         : g_new0 (SaeMetrics, 1);
  g_mutex_unlock (&trainer->lock);
  return metrics;
}

/**
 * sae_trainer_take_metrics:
 * @trainer: a trainer
 *
 * What was found since this was last called; of each batch before its update.
 *
 * Returns: (transfer full): the metrics, all 0 before the start
 * Since: 0.1
 */
SaeMetrics *
sae_trainer_take_metrics (SaeTrainer *trainer)
{
  SaeMetrics *metrics;

  g_mutex_lock (&trainer->lock);
  if (trainer->run) {
    metrics = read_metrics (trainer, &trainer->run->since_last,
        trainer->last_taken, trainer->resumed_since_last);
    sae_meter_reset (&trainer->run->since_last);
    trainer->resumed_since_last = 0;
    trainer->last_taken = g_get_monotonic_time ();
  } else {
    metrics = g_new0 (SaeMetrics, 1);
  }
  g_mutex_unlock (&trainer->lock);
  return metrics;
}

/**
 * sae_trainer_get_steps:
 * @trainer: a trainer
 *
 * Returns: optimiser steps taken since the start
 * Since: 0.1
 */
guint64
sae_trainer_get_steps (SaeTrainer *trainer)
{
  guint64 steps;

  g_mutex_lock (&trainer->lock);
  steps = trainer->run ? trainer->run->steps : 0;
  g_mutex_unlock (&trainer->lock);
  return steps;
}

/**
 * sae_trainer_get_rows:
 * @trainer: a trainer
 *
 * Returns: rows trained on since the start
 * Since: 0.1
 */
guint64
sae_trainer_get_rows (SaeTrainer *trainer)
{
  guint64 rows;

  g_mutex_lock (&trainer->lock);
  rows = trainer->run ? trainer->run->rows : 0;
  g_mutex_unlock (&trainer->lock);
  return rows;
}

/**
 * sae_trainer_get_rows_to_drop:
 * @trainer: a trainer
 *
 * Returns: rows that %SAE_RESUME_REPLAY still has to bring until the run goes
 *   on; where a stream ends before, it is not the one of the run
 * Since: 0.1
 */
guint64
sae_trainer_get_rows_to_drop (SaeTrainer *trainer)
{
  guint64 to_drop;

  g_mutex_lock (&trainer->lock);
  to_drop = trainer->to_drop;
  g_mutex_unlock (&trainer->lock);
  return to_drop;
}

/**
 * sae_trainer_get_received:
 * @trainer: a trainer
 *
 * Returns: rows that came in since the start of the run, in its earlier parts
 *   too when it was resumed: trained on, skipped, dropped or waiting
 * Since: 0.1
 */
guint64
sae_trainer_get_received (SaeTrainer *trainer)
{
  guint64 received;

  g_mutex_lock (&trainer->lock);
  received = trainer->received;
  g_mutex_unlock (&trainer->lock);
  return received;
}
