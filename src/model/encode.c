/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * latents = rule ((norm (x) − [pre_bias] b_dec) W_encᵀ + b_enc), in blocks: a
 * block of latents is scored for a block of rows while its weights are in
 * cache, and what may be active is picked out at once, so that the matrix
 * [n_rows, d_sae] never exists. */
#include "encode-block.h"

#include <string.h>

#include "screen.h"

#define ROW_BLOCK 128
/* Two tasks or more a thread, so that one that is held up does not hold up all,
 * if they have so many rows: each task reads all weights. */
#define LEAST_ROWS 64
/* Room in a row's candidates beyond what the rule may keep. */
#define HEADROOM(kept) ((kept) + 2 * SAE_ENCODE_LATENTS + 16)
#define SCREENED_HEADROOM(kept) ((kept) + 1024)
/* Bytes of candidates of one block of rows, about, and of one of them: its
 * index and value; behind a screen an upper bound too, and where it is when
 * they are in the order of latents. */
#define CANDIDATE_BYTES (8u << 20)
#define CANDIDATE_SIZE 8
#define SCREENED_CANDIDATE_SIZE 20
/* With as few rows threads share the latents instead of the rows, */
#define FEW_ROWS 16
/* if there are at least so many for each. */
#define SLICE_LATENTS 1024

static gboolean
reserve_worker (const SaeEncode *encode, SaeWorkerScratch *scratch)
{
  const SaeNet *net = encode->net;
  gsize rows = encode->rows_per_task;

  return sae_scratch_reserve (&scratch->x, rows * net->d_in, sizeof (float)) &&
         sae_scratch_reserve (&scratch->scores, rows * SAE_ENCODE_LATENTS,
             sizeof (float)) &&
         sae_scratch_reserve (&scratch->candidates, rows,
             sizeof (SaeCandidates)) &&
         sae_scratch_reserve (&scratch->candidate_index,
             rows * encode->capacity, sizeof (guint32)) &&
         sae_scratch_reserve (&scratch->candidate_value,
             rows * encode->capacity, sizeof (float)) &&
         sae_scratch_reserve (&scratch->candidate_upper,
             encode->precision == SAE_SCREEN_NONE ? 0 : rows * encode->capacity,
             sizeof (float)) &&
         sae_scratch_reserve (&scratch->select, encode->capacity,
             sizeof (float)) &&
         (encode->precision == SAE_SCREEN_NONE ||
             sae_encode_screened_reserve (encode, scratch));
}

/* Statistics are the same whichever slice of the latents asks; one keeps them.
 * A row without any (a NaN in it) is not finite afterwards. */
static void
normalise_rows (SaeEncodeBlock *block)
{
  const SaeEncode *encode = block->encode;
  gsize d = encode->net->d_in;
  SaeRowNorm *norms = encode->norms + block->first_row;
  float *x = block->scratch->x.data;

  for (gsize r = 0; r < block->n_rows; r++) {
    SaeRowNorm norm =
        sae_input_norm_apply (encode->net->input_norm, block->x + r * d, d,
            encode->net->pre_bias ? encode->net->b_dec : NULL, x + r * d);
    if (block->first == 0)
      norms[r] = norm;
  }
  block->x = x;
}

static void
subtract_bias (SaeEncodeBlock *block)
{
  const SaeEncode *encode = block->encode;
  gsize d = encode->net->d_in;
  float *x = block->scratch->x.data;

  for (gsize r = 0; r < block->n_rows; r++)
    encode->kernels->subtract (x + r * d, block->x + r * d, encode->net->b_dec,
        d);
  block->x = x;
}

static void
start_candidates (SaeEncodeBlock *block)
{
  const SaeEncode *encode = block->encode;
  guint32 *index = block->scratch->candidate_index.data;
  float *value = block->scratch->candidate_value.data;
  float *upper = block->scratch->candidate_upper.data;
  gsize d = encode->net->d_in;

  block->candidates = block->scratch->candidates.data;
  for (gsize r = 0; r < block->n_rows; r++) {
    SaeCandidates *c = &block->candidates[r];
    c->index = index + r * encode->capacity;
    c->value = value + r * encode->capacity;
    c->upper = upper + r * encode->capacity;
    c->count = 0;
    c->threshold = encode->rule->first_threshold (encode->net);
    if (encode->kernels->all_finite (block->x + r * d, d))
      continue;
    c->threshold = SAE_ENCODE_NO_LATENTS;
    if (block->first == 0 && block->out->n_bad++ == 0)
      block->out->bad_row = block->first_row + r;
  }
}

static gboolean
append_row (SaeTaskLatents *out, const SaeCandidates *c)
{
  guint32 *index =
      sae_scratch_extend (&out->index, out->count + c->count, sizeof (guint32));
  float *value =
      sae_scratch_extend (&out->value, out->count + c->count, sizeof (float));

  if (!index || !value)
    return FALSE;
  memcpy (index + out->count, c->index, c->count * sizeof (guint32));
  memcpy (value + out->count, c->value, c->count * sizeof (float));
  out->count += c->count;
  return TRUE;
}

static void
append_rows (SaeEncodeBlock *block, guint slice)
{
  const SaeEncode *encode = block->encode;
  gsize *counts = encode->counts + slice * encode->n_rows;

  for (gsize r = 0; r < block->n_rows; r++) {
    const SaeCandidates *c = &block->candidates[r];
    counts[block->first_row + r] = c->count;
    if (!append_row (block->out, c)) {
      block->out->no_memory = TRUE;
      return;
    }
  }
}

static void
finish_rows (SaeEncodeBlock *block)
{
  const SaeEncode *encode = block->encode;

  for (gsize r = 0; r < block->n_rows; r++)
    encode->rule->finish (encode->net, block->x + r * encode->net->d_in,
        &block->candidates[r]);
}

/* Slice after slice of a block of rows. */
static void
encode_task (guint task, guint worker, gpointer data)
{
  const SaeEncode *encode = data;
  guint slice = task % encode->n_slices;
  gsize first = task / encode->n_slices * encode->rows_per_task;
  gsize begin = slice * encode->latents_per_slice;
  SaeEncodeBlock block = {
      .encode = encode,
      .out = &encode->workspace->tasks[task],
      .scratch = &encode->workspace->workers[worker],
      .first_row = first,
      .n_rows = MIN (encode->rows_per_task, encode->n_rows - first),
      .first = (guint) begin,
      .last =
          (guint) MIN (begin + encode->latents_per_slice, encode->net->d_sae),
      .x = encode->x + first * encode->net->d_in,
  };

  block.out->count = block.out->n_bad = block.out->n_scored = 0;
  block.out->no_memory = !reserve_worker (encode, block.scratch);
  if (block.out->no_memory)
    return;
  if (encode->norms)
    normalise_rows (&block);
  start_candidates (&block);
  if (encode->net->pre_bias && !encode->norms)
    subtract_bias (&block);
  if (encode->precision == SAE_SCREEN_NONE)
    sae_encode_dense (&block, 0, block.n_rows);
  else
    sae_encode_screened (&block);
  if (encode->rule->finish)
    finish_rows (&block);
  append_rows (&block, slice);
}

/* Latents are shared out where there are too few rows for all threads, and
 * weights would be read once for each. (Without rows there are no slices to
 * merge.) */
static void
choose_slices (SaeEncode *encode, guint n_threads)
{
  gsize d_sae = encode->net->d_sae, n = 1;

  if (encode->n_rows > 0 &&
      encode->n_rows <= MIN (FEW_ROWS, encode->rows_per_task))
    n = CLAMP (d_sae / SLICE_LATENTS, 1, n_threads);
  encode->latents_per_slice = ((d_sae + n - 1) / n + SAE_ENCODE_LATENTS - 1) /
                              SAE_ENCODE_LATENTS * SAE_ENCODE_LATENTS;
  encode->n_slices = (guint) ((d_sae + encode->latents_per_slice - 1) /
                              encode->latents_per_slice);
}

/* Candidates that a row has room for, a multiple of 16. */
static gsize
choose_capacity (const SaeEncode *encode)
{
  gsize kept = encode->rule->capacity (encode->net);
  gsize headroom = encode->precision == SAE_SCREEN_NONE
                       ? HEADROOM (kept)
                       : SCREENED_HEADROOM (kept);
  gsize most = (gsize) encode->net->d_sae + SAE_ENCODE_LATENTS;

  return (MIN (headroom + kept, most) + 31) & ~(gsize) 15;
}

/* Blocks of rows as even as the threads allow, small enough for the caches
 * and for the candidates of rules that may keep every latent. */
static void
choose_blocks (SaeEncode *encode)
{
  guint n_threads = sae_pool_get_n_threads (encode->workspace->pool);
  gsize share = (encode->n_rows + n_threads - 1) / n_threads;
  gsize rows = MAX (share / 2, MIN (share, LEAST_ROWS));
  gsize candidate = encode->precision == SAE_SCREEN_NONE
                        ? CANDIDATE_SIZE
                        : SCREENED_CANDIDATE_SIZE;

  encode->capacity = choose_capacity (encode);
  encode->rows_per_task =
      CLAMP (CANDIDATE_BYTES / (candidate * encode->capacity), 1, ROW_BLOCK);
  choose_slices (encode, n_threads);
  if (encode->n_slices == 1)
    encode->rows_per_task =
        CLAMP ((rows + 3) & ~(gsize) 3, 1, encode->rows_per_task);
}

/* Where rows are normalised, room for what is taken from each. */
static gboolean
prepare_norms (SaeEncode *encode)
{
  SaeWorkspace *workspace = encode->workspace;

  workspace->n_norms = 0;
  if (!sae_input_norm_is_per_row (encode->net->input_norm))
    return TRUE;
  encode->norms = sae_scratch_reserve (&workspace->norms, encode->n_rows,
      sizeof *encode->norms);
  if (!encode->norms)
    return FALSE;
  workspace->n_norms = encode->n_rows;
  return TRUE;
}

/* What the bounds need of the net and the screen does not have. */
static gboolean
prepare_screen (SaeEncode *encode)
{
  const SaeNet *net = encode->net;
  float *errors;

  if (encode->precision == SAE_SCREEN_NONE)
    return TRUE;
  errors = sae_scratch_reserve (&encode->workspace->bias_error, net->d_sae,
      sizeof *errors);
  for (guint i = 0; errors && i < net->d_sae; i++)
    errors[i] = sae_screen_bias_error (net->screen, net->b_enc[i]);
  encode->bias_error = errors;
  return errors != NULL;
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
fail_no_memory (const SaeEncode *encode, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "encode: no memory for the latents of %" G_GSIZE_FORMAT " rows",
      encode->n_rows);
  return FALSE;
}

/* Refuses or counts the rows that are not finite. */
static gboolean
check_finite (SaeEncode *encode, gsize n_tasks, GError **error)
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

static void
copy_tasks (SaeEncode *encode, gsize n_tasks, guint32 *index, float *value)
{
  for (gsize t = 0; t < n_tasks; t++) {
    SaeTaskLatents *task = &encode->workspace->tasks[t];
    if (task->count) {
      memcpy (index, task->index.data, task->count * sizeof *index);
      memcpy (value, task->value.data, task->count * sizeof *value);
    }
    index += task->count;
    value += task->count;
  }
}

/* Of a row, what its slices have kept, which the rule settles once more. One
 * block of rows, since there are few. */
static gsize
merge_slices (SaeEncode *encode, guint32 *index, float *value)
{
  SaeTaskLatents *tasks = encode->workspace->tasks;
  float *scratch = value + encode->workspace->n_found;
  gsize n = encode->n_rows, total = 0;

  for (guint s = 0; s < encode->n_slices; s++)
    tasks[s].count = 0;
  for (gsize r = 0; r < n; r++) {
    SaeCandidates c = {.index = index + total, .value = value + total};
    for (guint s = 0; s < encode->n_slices; s++) {
      SaeTaskLatents *task = &tasks[s];
      gsize count = encode->counts[s * n + r];
      if (count == 0)
        continue;
      memcpy (c.index + c.count, (guint32 *) task->index.data + task->count,
          count * sizeof *index);
      memcpy (c.value + c.count, (float *) task->value.data + task->count,
          count * sizeof *value);
      task->count += count;
      c.count += count;
    }
    encode->rule->settle (encode->net, &c, scratch);
    encode->counts[r] = c.count;
    total += c.count;
  }
  return total;
}

/* Puts the tasks' latents back to back. */
static gboolean
join_tasks (SaeEncode *encode, gsize n_tasks, SaeSparseRows *latents)
{
  SaeWorkspace *workspace = encode->workspace;
  gsize *offsets = workspace->offsets.data;
  gsize nnz = 0;
  guint32 *index;
  float *value;

  for (gsize t = 0; t < n_tasks; t++)
    nnz += workspace->tasks[t].count;
  workspace->n_found = nnz;
  index = sae_scratch_reserve (&workspace->index, nnz, sizeof *index);
  value = sae_scratch_reserve (&workspace->value,
      encode->n_slices > 1 ? 2 * nnz : nnz, sizeof *value);
  if (!index || !value)
    return FALSE;

  if (encode->n_slices == 1)
    copy_tasks (encode, n_tasks, index, value);
  else
    merge_slices (encode, index, value);
  offsets[0] = 0;
  for (gsize r = 0; r < encode->n_rows; r++)
    offsets[r + 1] += offsets[r];
  *latents =
      (SaeSparseRows){encode->n_rows, offsets, index, value, encode->norms};
  return TRUE;
}

/* Says what the screen has left over, for the next choice. */
static void
count_scored (SaeEncode *encode, gsize n_tasks)
{
  gsize n_scored = 0;

  for (gsize t = 0; t < n_tasks; t++)
    n_scored += encode->workspace->tasks[t].n_scored;
  sae_screen_choice_learn (&encode->workspace->choice, encode->precision,
      n_scored, encode->n_rows);
}

static SaeScreenPrecision
choose_precision (SaeWorkspace *workspace, const SaeNet *net)
{
  if (!net->screen)
    return SAE_SCREEN_NONE;
  return sae_screen_choice_make (&workspace->choice, net->screen);
}

gboolean
sae_net_encode (const SaeNet *net, SaeWorkspace *workspace, const float *x,
    gsize n_rows, SaeSparseRows *latents, GError **error)
{
  SaeEncode encode = {
      .net = net,
      .rule = sae_sparsity_find (net->sparsity),
      .kernels = sae_kernels (),
      .workspace = workspace,
      .x = x,
      .n_rows = n_rows,
      .precision = choose_precision (workspace, net),
  };
  gsize n_tasks, *offsets;

  choose_blocks (&encode);
  n_tasks = (n_rows + encode.rows_per_task - 1) / encode.rows_per_task *
            encode.n_slices;
  offsets = sae_scratch_reserve (&workspace->offsets,
      encode.n_slices * n_rows + 1, sizeof (gsize));
  if (!offsets || n_tasks > G_MAXUINT || !prepare_tasks (workspace, n_tasks) ||
      !prepare_screen (&encode) || !prepare_norms (&encode))
    return fail_no_memory (&encode, error);
  encode.counts = offsets + 1;

  sae_pool_run (workspace->pool, (guint) n_tasks, encode_task, &encode);
  for (gsize t = 0; t < n_tasks; t++)
    if (workspace->tasks[t].no_memory)
      return fail_no_memory (&encode, error);
  count_scored (&encode, n_tasks);
  if (!check_finite (&encode, n_tasks, error))
    return FALSE;
  if (!join_tasks (&encode, n_tasks, latents))
    return fail_no_memory (&encode, error);
  return TRUE;
}
