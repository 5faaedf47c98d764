/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * latents = rule ((x − [pre_bias] b_dec) W_encᵀ + b_enc), in blocks: a block
 * of latents is scored for a block of rows while its weights are in cache, and
 * what may be active is picked out at once, so that the matrix
 * [n_rows, d_sae] never exists. */
#include "workspace.h"

#include <string.h>

#include "sparsity.h"

#define LATENT_BLOCK 128
#define ROW_BLOCK 128
/* Room in a row's candidates beyond what the rule may keep. */
#define HEADROOM(kept) ((kept) + 2 * LATENT_BLOCK + 16)
/* Bytes of candidates of one block of rows, about. */
#define CANDIDATE_BYTES (8u << 20)

typedef struct {
  const SaeNet *net;
  const SaeSparsityRule *rule;
  const SaeKernels *kernels;
  SaeWorkspace *workspace;
  const float *x;
  gsize n_rows;
  gsize rows_per_task;
  gsize capacity; /* candidates a row */
  gsize *counts;  /* latents of each row: offsets + 1 */
} Encode;

/* A task's rows and the scratch of the worker that runs it. */
typedef struct {
  const Encode *encode;
  SaeTaskLatents *out;
  SaeWorkerScratch *scratch;
  gsize first_row, n_rows;
  const float *x; /* first_row's, less b_dec with pre-bias */
} Block;

static gboolean
reserve_worker (const Encode *encode, SaeWorkerScratch *scratch)
{
  const SaeNet *net = encode->net;
  gsize rows = encode->rows_per_task;

  return sae_scratch_reserve (&scratch->x, rows * net->d_in, sizeof (float)) &&
         sae_scratch_reserve (&scratch->scores, rows * LATENT_BLOCK,
             sizeof (float)) &&
         sae_scratch_reserve (&scratch->candidates, rows,
             sizeof (SaeCandidates)) &&
         sae_scratch_reserve (&scratch->candidate_index,
             rows * encode->capacity, sizeof (guint32)) &&
         sae_scratch_reserve (&scratch->candidate_value,
             rows * encode->capacity, sizeof (float)) &&
         sae_scratch_reserve (&scratch->select, encode->capacity,
             sizeof (float));
}

static void
subtract_bias (Block *block)
{
  const Encode *encode = block->encode;
  gsize d = encode->net->d_in;
  float *x = block->scratch->x.data;

  for (gsize r = 0; r < block->n_rows; r++)
    encode->kernels->subtract (x + r * d, block->x + r * d, encode->net->b_dec,
        d);
  block->x = x;
}

/* A row that is not finite gets a threshold that nothing exceeds. */
static void
start_candidates (Block *block)
{
  const Encode *encode = block->encode;
  SaeCandidates *candidates = block->scratch->candidates.data;
  guint32 *index = block->scratch->candidate_index.data;
  float *value = block->scratch->candidate_value.data;
  gsize d = encode->net->d_in;

  for (gsize r = 0; r < block->n_rows; r++) {
    candidates[r].index = index + r * encode->capacity;
    candidates[r].value = value + r * encode->capacity;
    candidates[r].count = 0;
    candidates[r].threshold = encode->rule->first_threshold (encode->net);
    if (encode->kernels->all_finite (block->x + r * d, d))
      continue;
    candidates[r].threshold = G_MAXFLOAT;
    if (block->out->n_bad++ == 0)
      block->out->bad_row = block->first_row + r;
  }
}

/* Appends what of a row's @scores of latents first … first + n − 1 may be
 * active. */
static void
pick_candidates (const Encode *encode, SaeCandidates *c, const float *scores,
    gsize first, gsize n)
{
  const SaeKernels *kernels = encode->kernels;
  const float *thresholds = encode->net->threshold;
  guint32 *index = c->index + c->count;
  float *value = c->value + c->count;

  c->count += thresholds
                  ? kernels->select_above_each (scores, thresholds + first, n,
                        (guint32) first, index, value)
                  : kernels->select_above (scores, n, c->threshold,
                        (guint32) first, index, value);
}

/* Scores latents first … first + n − 1 of the block's rows and adds those
 * above each row's threshold to its candidates. */
static void
score_latents (Block *block, gsize first, gsize n)
{
  const Encode *encode = block->encode;
  const SaeNet *net = encode->net;
  SaeCandidates *candidates = block->scratch->candidates.data;
  float *scores = block->scratch->scores.data;

  encode->kernels->dots (block->x, net->d_in, block->n_rows,
      net->W_enc + first * net->d_in, net->d_in, n, net->d_in, scores,
      LATENT_BLOCK);
  for (gsize r = 0; r < block->n_rows; r++) {
    SaeCandidates *c = &candidates[r];
    float *row = scores + r * LATENT_BLOCK;
    encode->kernels->add (row, net->b_enc + first, n);
    if (c->threshold == G_MAXFLOAT)
      continue;
    if (c->count + LATENT_BLOCK + 16 > encode->capacity)
      encode->rule->settle (net, c, block->scratch->select.data);
    pick_candidates (encode, c, row, first, n);
  }
}

static void
append_rows (Block *block)
{
  const Encode *encode = block->encode;
  SaeTaskLatents *out = block->out;
  SaeCandidates *candidates = block->scratch->candidates.data;

  for (gsize r = 0; r < block->n_rows; r++) {
    SaeCandidates *c = &candidates[r];
    encode->rule->settle (encode->net, c, block->scratch->select.data);
    encode->counts[block->first_row + r] = c->count;
    guint32 *index = sae_scratch_extend (&out->index, out->count + c->count,
        sizeof (guint32));
    float *value =
        sae_scratch_extend (&out->value, out->count + c->count, sizeof (float));
    if (!index || !value) {
      out->no_memory = TRUE;
      return;
    }
    memcpy (index + out->count, c->index, c->count * sizeof (guint32));
    memcpy (value + out->count, c->value, c->count * sizeof (float));
    out->count += c->count;
  }
}

static void
encode_task (guint task, guint worker, gpointer data)
{
  const Encode *encode = data;
  gsize first = task * encode->rows_per_task;
  Block block = {
      .encode = encode,
      .out = &encode->workspace->tasks[task],
      .scratch = &encode->workspace->workers[worker],
      .first_row = first,
      .n_rows = MIN (encode->rows_per_task, encode->n_rows - first),
      .x = encode->x + first * encode->net->d_in,
  };

  block.out->count = 0;
  block.out->n_bad = 0;
  block.out->no_memory = !reserve_worker (encode, block.scratch);
  if (block.out->no_memory)
    return;
  start_candidates (&block);
  if (encode->net->pre_bias)
    subtract_bias (&block);
  for (gsize i = 0; i < encode->net->d_sae; i += LATENT_BLOCK)
    score_latents (&block, i, MIN (LATENT_BLOCK, encode->net->d_sae - i));
  append_rows (&block);
}

/* Blocks of rows as even as the threads allow, small enough for the caches
 * and for the candidates of rules that may keep every latent. */
static void
choose_blocks (Encode *encode)
{
  gsize kept = encode->rule->capacity (encode->net);
  guint n_threads = sae_pool_get_n_threads (encode->workspace->pool);
  gsize share = (encode->n_rows + n_threads - 1) / n_threads;
  gsize fits;

  encode->capacity =
      (MIN (HEADROOM (kept) + kept, (gsize) encode->net->d_sae + LATENT_BLOCK) +
          31) &
      ~(gsize) 15;
  fits = CANDIDATE_BYTES / (8 * encode->capacity);
  encode->rows_per_task = MIN (ROW_BLOCK, (share + 3) & ~(gsize) 3);
  encode->rows_per_task = MAX (1, MIN (encode->rows_per_task, fits));
}

static gboolean
prepare_tasks (SaeWorkspace *workspace, gsize n_tasks)
{
  SaeTaskLatents *tasks;

  if (n_tasks <= workspace->n_tasks)
    return TRUE;
  tasks = g_try_realloc_n (workspace->tasks, n_tasks, sizeof *tasks);
  if (!tasks)
    return FALSE;
  memset (tasks + workspace->n_tasks, 0,
      (n_tasks - workspace->n_tasks) * sizeof *tasks);
  workspace->tasks = tasks;
  workspace->n_tasks = n_tasks;
  return TRUE;
}

static gboolean
fail_no_memory (const Encode *encode, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "encode: no memory for the latents of %" G_GSIZE_FORMAT " rows",
      encode->n_rows);
  return FALSE;
}

/* Refuses or counts the rows that are not finite. */
static gboolean
check_finite (Encode *encode, gsize n_tasks, GError **error)
{
  SaeWorkspace *workspace = encode->workspace;
  gsize n_bad = 0, first = 0;

  for (gsize t = n_tasks; t-- > 0;)
    if (workspace->tasks[t].n_bad) {
      n_bad += workspace->tasks[t].n_bad;
      first = workspace->tasks[t].bad_row;
    }
  if (n_bad && !workspace->zero_nonfinite) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
        "encode: expected finite numbers, got NaN or infinity in "
        "%" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
        " rows, first in row %" G_GSIZE_FORMAT,
        n_bad, encode->n_rows, first);
    return FALSE;
  }
  workspace->n_nonfinite += n_bad;
  return TRUE;
}

/* Puts the tasks' latents back to back. */
static gboolean
join_tasks (Encode *encode, gsize n_tasks, SaeSparseRows *latents)
{
  SaeWorkspace *workspace = encode->workspace;
  gsize *offsets = workspace->offsets.data;
  gsize nnz = 0;
  guint32 *index;
  float *value;

  for (gsize t = 0; t < n_tasks; t++)
    nnz += workspace->tasks[t].count;
  index = sae_scratch_reserve (&workspace->index, nnz, sizeof *index);
  value = sae_scratch_reserve (&workspace->value, nnz, sizeof *value);
  if (!index || !value)
    return FALSE;

  nnz = 0;
  for (gsize t = 0; t < n_tasks; t++) {
    SaeTaskLatents *task = &workspace->tasks[t];
    if (task->count) {
      memcpy (index + nnz, task->index.data, task->count * sizeof *index);
      memcpy (value + nnz, task->value.data, task->count * sizeof *value);
    }
    nnz += task->count;
  }
  offsets[0] = 0;
  for (gsize r = 0; r < encode->n_rows; r++)
    offsets[r + 1] += offsets[r];
  *latents = (SaeSparseRows){encode->n_rows, offsets, index, value};
  return TRUE;
}

gboolean
sae_net_encode (const SaeNet *net, SaeWorkspace *workspace, const float *x,
    gsize n_rows, SaeSparseRows *latents, GError **error)
{
  Encode encode = {
      .net = net,
      .rule = sae_sparsity_find (net->sparsity),
      .kernels = sae_kernels (),
      .workspace = workspace,
      .x = x,
      .n_rows = n_rows,
  };
  gsize n_tasks, *offsets;

  choose_blocks (&encode);
  n_tasks = (n_rows + encode.rows_per_task - 1) / encode.rows_per_task;
  offsets =
      sae_scratch_reserve (&workspace->offsets, n_rows + 1, sizeof (gsize));
  if (!offsets || n_tasks > G_MAXUINT || !prepare_tasks (workspace, n_tasks))
    return fail_no_memory (&encode, error);
  encode.counts = offsets + 1;

  sae_pool_run (workspace->pool, (guint) n_tasks, encode_task, &encode);
  for (gsize t = 0; t < n_tasks; t++)
    if (workspace->tasks[t].no_memory)
      return fail_no_memory (&encode, error);
  if (!check_finite (&encode, n_tasks, error))
    return FALSE;
  if (!join_tasks (&encode, n_tasks, latents))
    return fail_no_memory (&encode, error);
  return TRUE;
}
