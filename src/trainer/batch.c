/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "scale.h"

/* Rows to wait for: a batch, or what the scale is taken from. */
static gsize
rows_wanted (const SaeBatch *batch)
{
  gsize batch_size = batch->run->options.batch_size;

  return batch->run->calibrated ? batch_size : MAX (batch_size, SAE_SCALE_ROWS);
}

/* Buffers for @capacity rows, with the rows that were there. */
static gboolean
resize (SaeBatch *batch, gsize capacity, GError **error)
{
  const SaeNet *net = &batch->run->net;
  gboolean transcoder =
      batch->target || (batch->capacity == 0 && net->d_in != net->d_out);
  float *x = sae_floats_new (capacity, net->d_in, "batch", error), *target;

  if (!x)
    return FALSE;
  target =
      transcoder ? sae_floats_new (capacity, net->d_out, "batch", error) : NULL;
  if (transcoder && !target) {
    free (x);
    return FALSE;
  }
  if (batch->n) {
    memcpy (x, batch->x, batch->n * net->d_in * sizeof *x);
    if (target)
      memcpy (target, batch->target, batch->n * net->d_out * sizeof *target);
  }
  free (batch->x);
  free (batch->target);
  batch->x = x;
  batch->target = target;
  batch->capacity = capacity;
  return TRUE;
}

gboolean
sae_batch_init (SaeBatch *batch, SaeRun *run, GError **error)
{
  memset (batch, 0, sizeof *batch);
  batch->run = run;
  if (sae_mixer_init (&batch->mixer, run->options.shuffle_rows, run->net.d_in,
          run->net.d_out, run->options.seed, error) &&
      resize (batch, rows_wanted (batch), error))
    return TRUE;
  sae_batch_clear (batch);
  return FALSE;
}

void
sae_batch_clear (SaeBatch *batch)
{
  sae_mixer_clear (&batch->mixer);
  free (batch->x);
  free (batch->target);
  memset (batch, 0, sizeof *batch);
}

/* A target that is not the input needs its own buffer from now on. */
static gboolean
separate_target (SaeBatch *batch, GError **error)
{
  gsize size = batch->run->net.d_in * sizeof (float);

  batch->target =
      sae_floats_new (batch->capacity, batch->run->net.d_out, "batch", error);
  if (!batch->target)
    return FALSE;
  memcpy (batch->target, batch->x, batch->n * size);
  return TRUE;
}

/* With normalize=none nothing is known of what is usual, and spikes.h is the
 * only guard. */
static gboolean
is_outlier (const SaeBatch *batch, gsize row)
{
  SaeRun *run = batch->run;
  gsize d = run->net.d_in;
  const float *x = batch->x + row * d;

  return run->options.normalize == SAE_NORMALIZE_AUTO &&
         sae_outliers_check (&run->outliers, sae_kernels ()->dot (x, x, d));
}

static void
drop_outliers (SaeBatch *batch)
{
  gsize d_in = batch->run->net.d_in, d_out = batch->run->net.d_out, kept = 0;

  for (gsize r = 0; r < batch->n; r++) {
    if (is_outlier (batch, r))
      continue;
    memmove (batch->x + kept * d_in, batch->x + r * d_in,
        d_in * sizeof (float));
    if (batch->target)
      memmove (batch->target + kept * d_out, batch->target + r * d_out,
          d_out * sizeof (float));
    kept++;
  }
  batch->run->skipped_rows += batch->n - kept;
  batch->n = kept;
}

static gboolean
is_silent (const SaeBatch *batch)
{
  gsize n = batch->n * batch->run->net.d_in;

  for (gsize i = 0; i < n; i++)
    if (batch->x[i] != 0.0f)
      return FALSE;
  return TRUE;
}

/* The scale is known: the rows that waited for it become units of it. Without
 * memory they are lost, as those of a step are, so that there is room for the
 * next. */
static gboolean
calibrate (SaeBatch *batch, GError **error)
{
  SaeRun *run = batch->run;
  const SaeKernels *kernels = sae_kernels ();
  float factor;

  sae_run_calibrate (run, batch->x, batch->target ? batch->target : batch->x,
      batch->n);
  factor = (float) (1.0 / run->scale);
  kernels->scale (batch->x, factor, batch->x, batch->n * run->net.d_in);
  if (batch->target)
    kernels->scale (batch->target, factor, batch->target,
        batch->n * run->net.d_out);
  drop_outliers (batch);
  if (sae_run_start_thresholds (run, batch->x, batch->n, error))
    return TRUE;
  batch->n = 0;
  return FALSE;
}

/* Steps on the rows there, @size at a time, the last one shorter. */
static gboolean
step_all (SaeBatch *batch, gsize size, GError **error)
{
  SaeRun *run = batch->run;
  gsize n = batch->n;

  batch->n = 0;
  for (gsize at = 0; at < n; at += size) {
    const float *x = batch->x + at * run->net.d_in;
    const float *target =
        batch->target ? batch->target + at * run->net.d_out : x;
    if (!sae_run_step (run, x, target, MIN (size, n - at), error))
      return FALSE;
  }
  return TRUE;
}

/* Steps on the whole batches there and keeps the rest. */
static gboolean
step_whole (SaeBatch *batch, GError **error)
{
  SaeRun *run = batch->run;
  gsize rest = batch->n % run->options.batch_size, whole = batch->n - rest;

  batch->n = whole;
  if (!step_all (batch, run->options.batch_size, error))
    return FALSE;
  memmove (batch->x, batch->x + whole * run->net.d_in,
      rest * run->net.d_in * sizeof (float));
  if (batch->target)
    memmove (batch->target, batch->target + whole * run->net.d_out,
        rest * run->net.d_out * sizeof (float));
  batch->n = rest;
  return TRUE;
}

/* The buffer is full: find the scale if it is not known, and train. Silence has
 * no scale: while there are rows to come, they are waited for. */
static gboolean
consume (SaeBatch *batch, GError **error)
{
  if (!batch->run->calibrated && is_silent (batch)) {
    batch->run->skipped_rows += batch->n;
    batch->n = 0;
    return TRUE;
  }
  if (!batch->run->calibrated) {
    return calibrate (batch, error) && step_whole (batch, error) &&
           resize (batch, rows_wanted (batch), error);
  }
  return step_all (batch, batch->run->options.batch_size, error);
}

static gboolean
is_finite (const SaeBatch *batch, const float *x, const float *target)
{
  const SaeKernels *kernels = sae_kernels ();
  const SaeNet *net = &batch->run->net;

  return kernels->all_finite (x, net->d_in) &&
         (!target || kernels->all_finite (target, net->d_out));
}

static void
add_row (SaeBatch *batch, const float *x, const float *target)
{
  SaeRun *run = batch->run;
  const SaeKernels *kernels = sae_kernels ();
  gsize d_in = run->net.d_in, d_out = run->net.d_out;
  float factor = run->calibrated ? (float) (1.0 / run->scale) : 1.0f;

  kernels->scale (batch->x + batch->n * d_in, factor, x, d_in);
  if (batch->target)
    kernels->scale (batch->target + batch->n * d_out, factor,
        target ? target : x, d_out);
  if (run->calibrated && is_outlier (batch, batch->n))
    run->skipped_rows++;
  else
    batch->n++;
}

static gboolean
take_row (SaeBatch *batch, const float *x, const float *target, GError **error)
{
  add_row (batch, x, target);
  return batch->n < rows_wanted (batch) || consume (batch, error);
}

/* The mixer keeps the row, and once it is full gives another for it. */
static gboolean
mix_row (SaeBatch *batch, const float *x, const float *target, GError **error)
{
  SaeMixer *mixer = &batch->mixer;
  gboolean ok = TRUE;

  if (mixer->n < mixer->capacity) {
    sae_mixer_add (mixer, x, target);
  } else {
    gsize place = sae_mixer_draw (mixer);
    ok = take_row (batch, sae_mixer_x (mixer, place),
        sae_mixer_target (mixer, place), error);
    sae_mixer_replace (mixer, place, x, target);
  }
  return ok;
}

static gboolean
mix_rest (SaeBatch *batch, GError **error)
{
  SaeMixer *mixer = &batch->mixer;
  gboolean ok = TRUE;

  while (ok && mixer->n) {
    gsize place = sae_mixer_draw (mixer);
    ok = take_row (batch, sae_mixer_x (mixer, place),
        sae_mixer_target (mixer, place), error);
    sae_mixer_remove (mixer, place);
  }
  return ok;
}

/* Targets that come for the first time. */
static gboolean
expect_targets (SaeBatch *batch, GError **error)
{
  return (batch->target || separate_target (batch, error)) &&
         sae_mixer_separate_target (&batch->mixer, error);
}

gboolean
sae_batch_push (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error)
{
  SaeRun *run = batch->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;
  gboolean ok = !target || expect_targets (batch, error);

  for (gsize r = 0; ok && r < n_rows; r++) {
    const float *row = x + r * d_in;
    const float *row_target = target ? target + r * d_out : NULL;
    if (!is_finite (batch, row, row_target))
      run->skipped_rows++;
    else
      ok = batch->mixer.capacity ? mix_row (batch, row, row_target, error)
                                 : take_row (batch, row, row_target, error);
  }
  return ok;
}

gboolean
sae_batch_step (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error)
{
  SaeRun *run = batch->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;

  if (target && !expect_targets (batch, error))
    return FALSE;
  if (batch->n + n_rows > batch->capacity &&
      !resize (batch, batch->n + n_rows, error))
    return FALSE;
  for (gsize r = 0; r < n_rows; r++) {
    const float *row = x + r * d_in;
    const float *row_target = target ? target + r * d_out : NULL;
    if (is_finite (batch, row, row_target))
      add_row (batch, row, row_target);
    else
      run->skipped_rows++;
  }
  if (batch->n == 0)
    return TRUE;
  if (!run->calibrated && !calibrate (batch, error))
    return FALSE;
  return step_all (batch, batch->n, error);
}

gboolean
sae_batch_flush (SaeBatch *batch, GError **error)
{
  if (!mix_rest (batch, error))
    return FALSE;
  if (batch->n == 0)
    return TRUE;
  if (!batch->run->calibrated && !calibrate (batch, error))
    return FALSE;
  return step_all (batch, batch->run->options.batch_size, error);
}

gsize
sae_batch_drop (SaeBatch *batch)
{
  gsize n = batch->n + sae_mixer_drop (&batch->mixer);

  batch->n = 0;
  return n;
}

void
sae_batch_describe (SaeBatch *batch, SaeState *state)
{
  const SaeNet *net = &batch->run->net;
  guint64 n = batch->n;
  gboolean has_target = batch->target != NULL;

  sae_state_u64s (state, "batch.n", &n, 1);
  sae_state_flag (state, "batch.has_target", &has_target);
  if (!sae_state_expect (state, "batch.n", n < rows_wanted (batch)))
    return;
  if (sae_state_is_restoring (state)) {
    if (has_target && !batch->target &&
        !separate_target (batch, sae_state_error (state)))
      return;
    if (!resize (batch, rows_wanted (batch), sae_state_error (state)))
      return;
    batch->n = (gsize) n;
  }
  sae_state_floats (state, "batch.x", batch->x, batch->n * net->d_in);
  if (batch->target)
    sae_state_floats (state, "batch.target", batch->target,
        batch->n * net->d_out);
  sae_mixer_describe (&batch->mixer, state);
}
