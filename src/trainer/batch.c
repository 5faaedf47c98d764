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
  return resize (batch, rows_wanted (batch), error);
}

void
sae_batch_clear (SaeBatch *batch)
{
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

/* A row beyond this, in units of s, is a fault of the stream: its squared norm
 * is SAE_SCALE_OUTLIER times what is usual. With normalize=none nothing is
 * known of what is usual, and spikes.h is the only guard. */
static gboolean
is_outlier (const SaeBatch *batch, gsize row)
{
  const SaeRun *run = batch->run;
  gsize d = run->net.d_in;
  const float *x = batch->x + row * d;

  return run->options.normalize == SAE_NORMALIZE_AUTO &&
         !(sae_kernels ()->dot (x, x, d) <= SAE_SCALE_OUTLIER * (float) d);
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

/* The scale is known: the rows that waited for it become units of it. */
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
  return sae_run_start_thresholds (run, batch->x, batch->n, error);
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

/* The buffer is full: find the scale if it is not known, and train. */
static gboolean
consume (SaeBatch *batch, GError **error)
{
  if (!batch->run->calibrated) {
    return calibrate (batch, error) && step_whole (batch, error) &&
           resize (batch, rows_wanted (batch), error);
  }
  return step_all (batch, batch->run->options.batch_size, error);
}

static gboolean
add_row (SaeBatch *batch, const float *x, const float *target)
{
  SaeRun *run = batch->run;
  const SaeKernels *kernels = sae_kernels ();
  gsize d_in = run->net.d_in, d_out = run->net.d_out;
  float factor = run->calibrated ? (float) (1.0 / run->scale) : 1.0f;

  if (!kernels->all_finite (x, d_in) ||
      (target && !kernels->all_finite (target, d_out)))
    return FALSE;
  kernels->scale (batch->x + batch->n * d_in, factor, x, d_in);
  if (batch->target)
    kernels->scale (batch->target + batch->n * d_out, factor,
        target ? target : x, d_out);
  if (run->calibrated && is_outlier (batch, batch->n))
    return FALSE;
  batch->n++;
  return TRUE;
}

gboolean
sae_batch_push (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error)
{
  SaeRun *run = batch->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;

  if (target && !batch->target && !separate_target (batch, error))
    return FALSE;
  for (gsize r = 0; r < n_rows; r++) {
    if (!add_row (batch, x + r * d_in, target ? target + r * d_out : NULL))
      run->skipped_rows++;
    if (batch->n == rows_wanted (batch) && !consume (batch, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
sae_batch_step (SaeBatch *batch, const float *x, const float *target,
    gsize n_rows, GError **error)
{
  SaeRun *run = batch->run;
  gsize d_in = run->net.d_in, d_out = run->net.d_out;

  if (target && !batch->target && !separate_target (batch, error))
    return FALSE;
  if (batch->n + n_rows > batch->capacity &&
      !resize (batch, batch->n + n_rows, error))
    return FALSE;
  for (gsize r = 0; r < n_rows; r++)
    if (!add_row (batch, x + r * d_in, target ? target + r * d_out : NULL))
      run->skipped_rows++;
  if (batch->n == 0)
    return TRUE;
  if (!run->calibrated && !calibrate (batch, error))
    return FALSE;
  return step_all (batch, batch->n, error);
}

gboolean
sae_batch_flush (SaeBatch *batch, GError **error)
{
  if (batch->n == 0)
    return TRUE;
  if (!batch->run->calibrated && !calibrate (batch, error))
    return FALSE;
  return step_all (batch, batch->run->options.batch_size, error);
}

gsize
sae_batch_drop (SaeBatch *batch)
{
  gsize n = batch->n;

  batch->n = 0;
  return n;
}
