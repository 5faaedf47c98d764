/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every latent is scored in small integers, with a bound on the error; those
 * that may be active all the same are scored in float32. A row's candidates
 * are a few that are known exactly, first, and then some of which value[] is a
 * lower bound, and upper[] an upper one. */
#include "encode-block.h"

#include <math.h>
#include <string.h>

#include "screen.h"
#include "select.h"

/* Candidates of which a row is relieved by bounds, and if that does not help by
 * exact scores. */
#define SETTLE_AT 256

typedef struct {
  SaeEncodeBlock *block;
  const SaeScreen *screen;
  SaeScreenedRow *rows;
  gsize *n_exact, *settle_at; /* of each row's candidates */
  gsize n_scored;             /* exactly, for the choice of a precision */
} Screening;

static gsize
bytes_per_number (const SaeEncode *encode)
{
  return encode->precision == SAE_SCREEN_S8 ? sizeof (gint8) : sizeof (gint16);
}

gboolean
sae_encode_screened_reserve (const SaeEncode *encode, SaeWorkerScratch *scratch)
{
  gsize rows = encode->rows_per_task, width = encode->net->screen->width;

  /* for either precision, since the next call may choose the other */
  return sae_scratch_reserve (&scratch->rounded, rows * width,
             sizeof (gint16)) &&
         sae_scratch_reserve (&scratch->screened, rows,
             sizeof (SaeScreenedRow) + 2 * sizeof (gsize)) &&
         sae_scratch_reserve (&scratch->widened, SAE_BYTES_LATENTS * width,
             sizeof (gint16));
}

/* --- one row's candidates ------------------------------------------------- */

/* All the row's candidates have their exact values. */
static void
set_exact (Screening *s, gsize r)
{
  SaeCandidates *c = &s->block->candidates[r];

  memcpy (c->upper, c->value, c->count * sizeof *c->upper);
  s->n_exact[r] = c->count;
}

/* Keeps those of the candidates @first … @end − 1 that may reach @lowest, at
 * place @kept and after; returns the place after them. */
static gsize
keep_reaching (SaeCandidates *c, gsize first, gsize end, float lowest,
    gsize kept)
{
  for (gsize p = first; p < end; p++) {
    gsize keeps = c->upper[p] >= lowest;
    c->index[kept] = c->index[p];
    c->value[kept] = c->value[p];
    c->upper[kept] = c->upper[p];
    kept += keeps;
  }
  return kept;
}

/* The candidate after the last one in the group of @first, and the largest
 * lower bound in it. */
static gsize
find_group (const SaeCandidates *c, gsize first, gsize size, float *lowest)
{
  gsize end = first, last = (c->index[first] / size + 1) * size;

  for (*lowest = c->value[first]; end < c->count && c->index[end] < last; end++)
    *lowest = MAX (*lowest, c->value[end]);
  return end;
}

/* Drops what is below another one of its group for sure. */
static void
settle_groups (Screening *s, gsize r, gsize size)
{
  SaeCandidates *c = &s->block->candidates[r];
  gsize n_exact = s->n_exact[r], kept = 0, end;

  for (gsize first = 0; first < c->count; first = end) {
    gsize before = MAX (first, MIN (n_exact, c->count));
    float lowest;
    end = find_group (c, first, size, &lowest);
    before = MIN (before, end);
    kept = keep_reaching (c, first, before, lowest, kept);
    if (before > first)
      s->n_exact[r] = kept;
    kept = keep_reaching (c, before, end, lowest, kept);
  }
  c->count = kept;
}

/* Drops what is below k others for sure, and raises the threshold. */
static void
settle_bounds (Screening *s, gsize r)
{
  const SaeEncode *encode = s->block->encode;
  SaeCandidates *c = &s->block->candidates[r];
  gsize k = encode->rule->rank (encode->net), exact;
  float lowest;

  if (encode->rule->group)
    settle_groups (s, r, encode->rule->group (encode->net));
  if (k == 0 || c->count < k)
    return;
  lowest = sae_select_below_kth (c->value, c->count, k, c->threshold);
  exact = keep_reaching (c, 0, s->n_exact[r], lowest, 0);
  c->count = keep_reaching (c, s->n_exact[r], c->count, lowest, exact);
  s->n_exact[r] = exact;
  if (lowest > c->threshold) /* an equal one may have to get in */
    c->threshold = nextafterf (lowest, 0.0f);
}

/* Lets the rule settle candidates of which all have their exact values now,
 * and no longer relies on bounds. */
static void
settle_exactly (Screening *s, gsize r)
{
  const SaeEncode *encode = s->block->encode;
  const SaeNet *net = encode->net;
  SaeCandidates *c = &s->block->candidates[r];
  float first = encode->rule->first_threshold (net);
  gsize kept = s->n_exact[r];

  for (gsize p = kept; p < c->count; p++) {
    guint32 i = c->index[p];
    float score = c->value[p];
    if (!(score > first) || (net->threshold && !(score > net->threshold[i])))
      continue;
    c->index[kept] = i;
    c->value[kept++] = score;
  }
  c->count = kept;
  c->threshold = first;
  encode->rule->settle (net, c, s->block->scratch->select.data);
  set_exact (s, r);
}

/* Exact values for one row's candidates. */
static void
score_row (Screening *s, gsize r)
{
  const SaeEncode *encode = s->block->encode;
  const SaeNet *net = encode->net;
  SaeCandidates *c = &s->block->candidates[r];
  gsize first = s->n_exact[r], n = c->count - first;
  float *value = c->value + first;

  encode->kernels->dots_at (s->block->x + r * net->d_in, net->W_enc, net->d_in,
      c->index + first, n, net->d_in, value);
  for (gsize p = 0; p < n; p++)
    value[p] += net->b_enc[c->index[first + p]];
  s->n_scored += n;
}

/* --- all rows' candidates, latent by latent ------------------------------- */

static gsize
count_pairs (const Screening *s)
{
  gsize n = 0;

  for (gsize r = 0; r < s->block->n_rows; r++)
    n += s->block->candidates[r].count - s->n_exact[r];
  return n;
}

/* Puts the pairs of row and latent in the order of latents: @first [latents +
 * 2] of the slice, and of each pair its row and the place of its value. */
static void
group_pairs (const Screening *s, guint32 *first, guint32 *row, guint32 *place)
{
  const SaeEncodeBlock *block = s->block;
  gsize n = block->last - block->first;

  memset (first, 0, (n + 2) * sizeof *first);
  for (gsize r = 0; r < block->n_rows; r++) {
    const SaeCandidates *c = &block->candidates[r];
    for (gsize p = s->n_exact[r]; p < c->count; p++)
      first[c->index[p] - block->first + 2]++;
  }
  for (gsize i = 2; i < n + 2; i++)
    first[i] += first[i - 1];
  for (gsize r = 0; r < block->n_rows; r++) {
    const SaeCandidates *c = &block->candidates[r];
    for (gsize p = s->n_exact[r]; p < c->count; p++) {
      guint32 at = first[c->index[p] - block->first + 1]++;
      row[at] = (guint32) r;
      place[at] = (guint32) (r * block->encode->capacity + p);
    }
  }
}

/* Each latent's weights are read once for all rows. */
static gboolean
score_by_latent (Screening *s, gsize n_pairs)
{
  const SaeEncodeBlock *block = s->block;
  const SaeNet *net = block->encode->net;
  SaeWorkerScratch *scratch = block->scratch;
  gsize n_latents = block->last - block->first, d = net->d_in;
  guint32 *first = sae_scratch_reserve (&scratch->pairs,
      n_latents + 2 + 2 * n_pairs, sizeof *first);
  float *scores = sae_scratch_reserve (&scratch->pair_scores, block->n_rows,
      sizeof *scores);
  float *values = scratch->candidate_value.data;
  guint32 *row, *place;

  if (!first || !scores)
    return FALSE;
  row = first + n_latents + 2;
  place = row + n_pairs;
  group_pairs (s, first, row, place);
  for (gsize i = 0; i < n_latents; i++) {
    gsize begin = first[i], n = first[i + 1] - begin, at = block->first + i;
    block->encode->kernels->dots_at (net->W_enc + at * d, block->x, d,
        row + begin, n, d, scores);
    for (gsize p = 0; p < n; p++)
      values[place[begin + p]] = scores[p] + net->b_enc[at];
  }
  s->n_scored += n_pairs;
  return TRUE;
}

static void
finish_rows (Screening *s)
{
  gsize n_pairs, n_latents = s->block->last - s->block->first;

  for (gsize r = 0; r < s->block->n_rows; r++)
    settle_bounds (s, r);
  n_pairs = count_pairs (s);
  if (n_pairs < n_latents || !score_by_latent (s, n_pairs))
    for (gsize r = 0; r < s->block->n_rows; r++)
      score_row (s, r);
  for (gsize r = 0; r < s->block->n_rows; r++)
    settle_exactly (s, r);
}

/* --- the block ------------------------------------------------------------ */

/* Makes room for a block of latents. */
static void
make_room (Screening *s, gsize r)
{
  const SaeEncode *encode = s->block->encode;
  SaeCandidates *c = &s->block->candidates[r];
  gsize most = encode->capacity - SAE_ENCODE_LATENTS - 16;

  if (c->count <= MIN (s->settle_at[r], most))
    return;
  settle_bounds (s, r);
  if (c->count > most) {
    score_row (s, r);
    settle_exactly (s, r);
  }
  s->settle_at[r] = c->count + SETTLE_AT;
}

/* Rows that cannot be screened are scored at once, and then left alone. */
static void
round_rows (Screening *s)
{
  SaeEncodeBlock *block = s->block;
  const SaeEncode *encode = block->encode;
  gsize d = encode->net->d_in;
  gsize size = s->screen->width * bytes_per_number (encode);

  for (gsize r = 0; r < block->n_rows; r++) {
    SaeScreenedRow *row = &s->rows[r];
    guint8 *q = (guint8 *) block->scratch->rounded.data + r * size;
    gboolean none = block->candidates[r].threshold == SAE_ENCODE_NO_LATENTS;
    s->n_exact[r] = 0;
    s->settle_at[r] = SETTLE_AT;
    row->threshold = block->candidates[r].threshold;
    if (!none && sae_screen_round_row (s->screen, block->x + r * d,
                     encode->precision, q, row))
      continue;
    *row = (SaeScreenedRow){.threshold = SAE_ENCODE_NO_LATENTS};
    memset (q, 0, size);
    if (none)
      continue;
    sae_encode_dense (block, r, 1);
    set_exact (s, r);
    s->n_scored += block->last - block->first;
  }
}

static void
score_latents (Screening *s, gsize first, gsize n)
{
  SaeEncodeBlock *block = s->block;
  const SaeEncode *encode = block->encode;
  const SaeKernels *kernels = encode->kernels;
  gsize width = s->screen->width;
  const guint8 *bytes = s->screen->bytes + first * width;
  gsize n_blocks = (n + SAE_BYTES_LATENTS - 1) / SAE_BYTES_LATENTS;
  gint32 *scores = block->scratch->scores.data;
  SaeScreenedLatents latents = {
      .scale = s->screen->scale + first,
      .norm = s->screen->norm + first,
      .error = s->screen->error + first,
      .bias = encode->net->b_enc + first,
      .bias_error = encode->bias_error + first,
      .floor = encode->net->threshold ? encode->net->threshold + first : NULL,
  };

  if (encode->precision == SAE_SCREEN_S8)
    kernels->dots_s8 (block->scratch->rounded.data, width, block->n_rows, bytes,
        n_blocks, width, scores, SAE_ENCODE_LATENTS);
  else
    kernels->dots_s16 (block->scratch->rounded.data, width, block->n_rows,
        bytes, n_blocks, width, block->scratch->widened.data, scores,
        SAE_ENCODE_LATENTS);
  for (gsize r = 0; r < block->n_rows; r++) {
    SaeCandidates *c = &block->candidates[r];
    if (s->rows[r].threshold == SAE_ENCODE_NO_LATENTS)
      continue;
    make_room (s, r);
    s->rows[r].threshold = c->threshold;
    c->count += kernels->select_screened (scores + r * SAE_ENCODE_LATENTS,
        &s->rows[r], &latents, n, (guint32) first, c->index + c->count,
        c->value + c->count, c->upper + c->count);
  }
}

void
sae_encode_screened (SaeEncodeBlock *block)
{
  const SaeEncode *encode = block->encode;
  gsize n = encode->rows_per_task;
  Screening s = {
      .block = block,
      .screen = encode->net->screen,
      .rows = block->scratch->screened.data,
  };

  s.n_exact = (gsize *) (s.rows + n);
  s.settle_at = s.n_exact + n;
  round_rows (&s);
  for (guint i = block->first; i < block->last; i += SAE_ENCODE_LATENTS)
    score_latents (&s, i, MIN (SAE_ENCODE_LATENTS, block->last - i));
  finish_rows (&s);
  block->out->n_scored = s.n_scored;
}
