/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "batch-top-k.h"

#include <math.h>
#include <string.h>

#include "select.h"

#define DECAY 0.99
/* Rows from which the first guess is made, and how many more latents than
 * wanted it should let in. */
#define SAMPLE_ROWS 16
#define SAMPLE_MARGIN 2
/* Later guesses are this share of the smallest value last kept. */
#define GUESS_SHARE 0.8f
/* Guesses this small are none. */
#define SMALLEST_GUESS 1e-6f

/* Places in SaeBatchTopK.scratch. */
enum { THRESHOLD, OFFSETS, INDEX, VALUE, SELECT };

void
sae_batch_top_k_clear (SaeBatchTopK *batch)
{
  for (guint i = 0; i < G_N_ELEMENTS (batch->scratch); i++)
    sae_scratch_clear (&batch->scratch[i]);
}

static gboolean
fail_no_memory (gsize n, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "train: no memory for the latents of %" G_GSIZE_FORMAT " rows", n);
  return FALSE;
}

/* All latents above @guess. */
static gboolean
encode_above (SaeBatchTopK *batch, const SaeNet *net, SaeWorkspace *workspace,
    const float *x, gsize n, float guess, SaeSparseRows *candidates,
    GError **error)
{
  SaeNet above = *net;
  float *threshold = sae_scratch_reserve (&batch->scratch[THRESHOLD],
      net->d_sae, sizeof *threshold);

  if (!threshold)
    return fail_no_memory (n, error);
  for (guint i = 0; i < net->d_sae; i++)
    threshold[i] = guess;
  above.sparsity = SAE_SPARSITY_JUMP_RELU;
  above.threshold = threshold;
  return sae_net_encode (&above, workspace, x, n, candidates, error);
}

/* The @k-th largest of the values, of which there are as many at least. */
static gboolean
find_kth (SaeBatchTopK *batch, const SaeSparseRows *rows, gsize k, float *kth)
{
  gsize n = rows->offsets[rows->n_rows];
  float *copy = sae_scratch_reserve (&batch->scratch[SELECT], n, sizeof *copy);

  if (!copy)
    return FALSE;
  memcpy (copy, rows->value, n * sizeof *copy);
  *kth = sae_select_kth_largest (copy, n, k);
  return TRUE;
}

/* What lets in about twice the latents wanted, from a few rows. */
static gboolean
make_first_guess (SaeBatchTopK *batch, const SaeNet *net,
    SaeWorkspace *workspace, const float *x, gsize n, guint k, GError **error)
{
  SaeSparseRows sample;
  SaeNet unscreened = *net;
  gsize rows = MIN (n, SAMPLE_ROWS), wanted = rows * k * SAMPLE_MARGIN;

  /* all positive latents are wanted, from which a screen would learn nothing
   * that holds for the batch */
  unscreened.screen = NULL;
  batch->guess = 0;
  if (!encode_above (batch, &unscreened, workspace, x, rows, 0, &sample, error))
    return FALSE;
  if (sample.offsets[rows] <= wanted)
    return TRUE;
  return find_kth (batch, &sample, wanted, &batch->guess) ||
         fail_no_memory (n, error);
}

/* At least @wanted candidates, or all that there are. A guess that was too high
 * falls ever faster: after a fault of the stream it is off by any factor. */
static gboolean
find_candidates (SaeBatchTopK *batch, const SaeNet *net,
    SaeWorkspace *workspace, const float *x, gsize n, gsize wanted,
    SaeSparseRows *candidates, GError **error)
{
  for (float share = 0.5f;; share *= share) {
    if (!encode_above (batch, net, workspace, x, n, batch->guess, candidates,
            error))
      return FALSE;
    if (batch->guess == 0 || candidates->offsets[n] >= wanted)
      return TRUE;
    batch->guess *= share;
    if (batch->guess < SMALLEST_GUESS || isinf (batch->guess))
      batch->guess = 0;
  }
}

/* Copies the values above @kth and the first @n_equal that equal it. */
static gboolean
keep_from (SaeBatchTopK *batch, const SaeSparseRows *from, float kth,
    gsize n_equal, gsize kept, SaeSparseRows *latents)
{
  SaeScratch *s = batch->scratch;
  gsize *offsets =
      sae_scratch_reserve (&s[OFFSETS], from->n_rows + 1, sizeof *offsets);
  guint32 *index = sae_scratch_reserve (&s[INDEX], kept, sizeof *index);
  float *value = sae_scratch_reserve (&s[VALUE], kept, sizeof *value);
  gsize n = 0;

  if (!offsets || !index || !value)
    return FALSE;
  for (gsize r = 0; r < from->n_rows; r++) {
    offsets[r] = n;
    for (gsize p = from->offsets[r]; p < from->offsets[r + 1]; p++) {
      if (from->value[p] < kth || (from->value[p] == kth && n_equal == 0))
        continue;
      n_equal -= from->value[p] == kth;
      index[n] = from->index[p];
      value[n++] = from->value[p];
    }
  }
  offsets[from->n_rows] = n;
  *latents = (SaeSparseRows){from->n_rows, offsets, index, value};
  return TRUE;
}

static gsize
count_above (const SaeSparseRows *rows, float value)
{
  gsize n = 0;

  for (gsize p = 0; p < rows->offsets[rows->n_rows]; p++)
    n += rows->value[p] > value;
  return n;
}

gboolean
sae_batch_top_k_encode (SaeBatchTopK *batch, const SaeNet *net,
    SaeWorkspace *workspace, const float *x, gsize n, guint k,
    SaeSparseRows *latents, GError **error)
{
  SaeSparseRows candidates;
  gsize wanted = n * k;
  float kth;

  if (batch->guess == 0 &&
      !make_first_guess (batch, net, workspace, x, n, k, error))
    return FALSE;
  if (!find_candidates (batch, net, workspace, x, n, wanted, &candidates,
          error))
    return FALSE;
  wanted = MIN (wanted, candidates.offsets[n]);
  if (wanted == 0) {
    batch->smallest = 0;
    *latents = candidates;
    return TRUE;
  }
  if (!find_kth (batch, &candidates, wanted, &kth) ||
      !keep_from (batch, &candidates, kth,
          wanted - count_above (&candidates, kth), wanted, latents))
    return fail_no_memory (n, error);
  batch->smallest = kth;
  batch->guess = GUESS_SHARE * kth;
  return TRUE;
}

void
sae_batch_top_k_learn (SaeBatchTopK *batch)
{
  if (!(batch->smallest > 0))
    return;
  batch->sum = DECAY * batch->sum + (1 - DECAY) * batch->smallest;
  batch->batches++;
}

void
sae_batch_top_k_start_at (SaeBatchTopK *batch, double threshold)
{
  batch->sum = threshold;
  batch->batches = 1 << 20;
}

double
sae_batch_top_k_get_threshold (const SaeBatchTopK *batch)
{
  return batch->batches == 0
             ? 0
             : batch->sum / (1 - pow (DECAY, (double) batch->batches));
}
