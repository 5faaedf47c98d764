/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples.h"

#include <math.h>
#include <string.h>

#include "latents.h"

#define LOWEST_LOG10 (-10)
#define BINS_PER_DECADE 2

G_DEFINE_BOXED_TYPE (SaeExamples, sae_examples, sae_examples_ref,
    sae_examples_unref)

/* --- life ----------------------------------------------------------------- */

static void
free_arrays (SaeExamples *self)
{
  g_free (self->n_fired);
  g_free (self->sum);
  g_free (self->max);
  g_free (self->n_kept);
  g_free (self->last_row);
  g_free (self->kept);
  g_free (self->around);
  g_free (self->recent);
  g_free (self->recent_next);
  sae_scratch_clear (&self->order);
}

static gboolean
check_sizes (guint d_sae, guint per_latent, guint context, GError **error)
{
  if (d_sae == 0)
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "examples: expected d_sae of 1 or more, got 0");
  else if (per_latent == 0 || per_latent > SAE_EXAMPLES_MAX_PER_LATENT)
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "examples: expected 1 to %u of each latent, got %u",
        SAE_EXAMPLES_MAX_PER_LATENT, per_latent);
  else if (context > SAE_EXAMPLES_MAX_CONTEXT)
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "examples: expected a context of at most %u rows, got %u",
        SAE_EXAMPLES_MAX_CONTEXT, context);
  else
    return TRUE;
  return FALSE;
}

/* The largest first: what cannot be had is then refused before any of it is
 * touched. No product overflows: d_sae < 2³², the others are at most 2001. */
static gboolean
try_arrays (SaeExamples *self)
{
  gsize d_sae = self->d_sae, kept = d_sae * self->per_latent;
  gsize recent = d_sae * MAX (self->context, 1);
  gsize width = sae_examples_width (self);

  return (self->around = g_try_malloc0_n (kept, width * sizeof (float))) &&
         (self->kept = g_try_new0 (SaeExample, kept)) &&
         (self->recent = g_try_new0 (SaeFiring, recent)) &&
         (self->n_fired = g_try_new0 (guint64, d_sae)) &&
         (self->sum = g_try_new0 (double, d_sae)) &&
         (self->max = g_try_new0 (float, d_sae)) &&
         (self->n_kept = g_try_new0 (guint, d_sae)) &&
         (self->last_row = g_try_new0 (guint64, d_sae)) &&
         (self->recent_next = g_try_new0 (guint, d_sae));
}

static SaeExamples *
new_empty (guint d_sae, guint per_latent, guint context, guint passage,
    GError **error)
{
  SaeExamples *self = g_new0 (SaeExamples, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->d_sae = d_sae;
  self->per_latent = per_latent;
  self->context = context;
  self->passage = passage;
  if (try_arrays (self))
    return self;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "examples: no memory for %u of each of %u latents with %u rows around",
      per_latent, d_sae, context);
  sae_examples_unref (self);
  return NULL;
}

/**
 * sae_examples_new:
 * @d_sae: number of latents
 * @per_latent: how many examples of each to keep, 1 to
 *   %SAE_EXAMPLES_MAX_PER_LATENT
 * @context: rows before and behind each example for which the latent's values
 *   are kept too, up to %SAE_EXAMPLES_MAX_CONTEXT
 * @passage: rows of one text: rows 0 … @passage − 1 have nothing to do with
 *   those behind them, and so on; 0 when all are one
 * @error: return location
 *
 * Returns: (transfer full): examples of no rows; %NULL with %SAE_ERROR_SIZE or
 *   %SAE_ERROR_NO_SPACE
 * Since: 0.1
 */
SaeExamples *
sae_examples_new (guint d_sae, guint per_latent, guint context, guint passage,
    GError **error)
{
  if (!check_sizes (d_sae, per_latent, context, error))
    return NULL;
  return new_empty (d_sae, per_latent, context, passage, error);
}

/**
 * sae_examples_copy:
 * @examples: examples
 * @error: return location
 *
 * Returns: (transfer full): a copy that later rows do not change; %NULL when
 *   memory is exhausted
 * Since: 0.1
 */
SaeExamples *
sae_examples_copy (SaeExamples *examples, GError **error)
{
  gsize d_sae = examples->d_sae, kept = d_sae * examples->per_latent;
  SaeExamples *copy = new_empty (examples->d_sae, examples->per_latent,
      examples->context, examples->passage, error);

  if (!copy)
    return NULL;
  copy->n_rows = examples->n_rows;
  copy->n_nonfinite = examples->n_nonfinite;
#define COPY(field, n)                                                         \
  memcpy (copy->field, examples->field, (n) * sizeof *copy->field)
  COPY (n_fired, d_sae);
  COPY (sum, d_sae);
  COPY (max, d_sae);
  COPY (n_kept, d_sae);
  COPY (last_row, d_sae);
  COPY (kept, kept);
  COPY (around, kept * sae_examples_width (copy));
  COPY (recent, d_sae * MAX (copy->context, 1));
  COPY (recent_next, d_sae);
#undef COPY
  return copy;
}

/**
 * sae_examples_ref:
 * @examples: examples
 *
 * Returns: (transfer full): @examples, with one more reference
 * Since: 0.1
 */
SaeExamples *
sae_examples_ref (SaeExamples *examples)
{
  g_atomic_ref_count_inc (&examples->ref_count);
  return examples;
}

/**
 * sae_examples_unref:
 * @examples: (transfer full): examples
 *
 * Drops a reference; the last one frees the memory.
 *
 * Since: 0.1
 */
void
sae_examples_unref (SaeExamples *examples)
{
  if (!g_atomic_ref_count_dec (&examples->ref_count))
    return;
  free_arrays (examples);
  g_free (examples);
}

/**
 * sae_examples_reset:
 * @examples: examples
 *
 * Back to no rows.
 *
 * Since: 0.1
 */
void
sae_examples_reset (SaeExamples *examples)
{
  SaeExamples *self = examples;
  gsize d_sae = self->d_sae, kept = d_sae * self->per_latent;

  self->n_rows = 0;
  self->n_nonfinite = 0;
  memset (self->n_fired, 0, d_sae * sizeof *self->n_fired);
  memset (self->sum, 0, d_sae * sizeof *self->sum);
  memset (self->max, 0, d_sae * sizeof *self->max);
  memset (self->n_kept, 0, d_sae * sizeof *self->n_kept);
  memset (self->last_row, 0, d_sae * sizeof *self->last_row);
  memset (self->kept, 0, kept * sizeof *self->kept);
  memset (self->around, 0,
      kept * sae_examples_width (self) * sizeof *self->around);
  sae_examples_interrupt (self);
}

/**
 * sae_examples_interrupt:
 * @examples: examples
 *
 * What is added next does not follow what was added last, whatever its row
 * numbers: after a seek, say. What was found stays.
 *
 * Since: 0.1
 */
void
sae_examples_interrupt (SaeExamples *examples)
{
  SaeExamples *self = examples;
  gsize n = (gsize) self->d_sae * MAX (self->context, 1);

  memset (self->recent, 0, n * sizeof *self->recent);
  memset (self->recent_next, 0, self->d_sae * sizeof *self->recent_next);
}

/* --- rows ----------------------------------------------------------------- */

void
sae_examples_get_reach (const SaeExamples *examples, guint64 row,
    guint64 *first, guint64 *last)
{
  guint64 context = examples->context, passage = examples->passage;

  *first = row - MIN (row, context);
  *last = row + context + 1;
  if (passage == 0)
    return;
  *first = MAX (*first, row - row % passage);
  *last = MIN (*last, row - row % passage + passage);
}

/* Whether @row lies behind @example, near enough to be shown with it. */
static gboolean
follows (const SaeExamples *self, guint64 example, guint64 row)
{
  return row > example && row - example <= self->context &&
         (self->passage == 0 || row / self->passage == example / self->passage);
}

/* The examples that this firing lies behind. Few firings lie behind any. */
static void
show_behind (SaeExamples *self, guint latent, const SaeExample *firing)
{
  if (!follows (self, self->last_row[latent], firing->row))
    return;
  for (guint rank = 0; rank < self->n_kept[latent]; rank++) {
    guint64 row = sae_examples_at (self, latent, rank)->row;
    if (follows (self, row, firing->row))
      sae_examples_around (self, latent,
          rank)[self->context + (firing->row - row)] = firing->value;
  }
}

static void
show_before (SaeExamples *self, guint latent, const SaeExample *example,
    float *around)
{
  const SaeFiring *recent = self->recent + (gsize) latent * self->context;

  memset (around, 0, sae_examples_width (self) * sizeof *around);
  around[self->context] = example->value;
  for (guint i = 0; i < self->context; i++)
    if (recent[i].value > 0 && follows (self, recent[i].row, example->row))
      around[self->context - (example->row - recent[i].row)] = recent[i].value;
}

static void
remember (SaeExamples *self, guint latent, const SaeExample *firing)
{
  SaeFiring *recent = self->recent + (gsize) latent * self->context;
  guint *next = &self->recent_next[latent];

  if (self->context == 0)
    return;
  recent[*next] = (SaeFiring){firing->row, firing->value};
  *next = (*next + 1) % self->context;
}

/* Stronger first; of equals the earlier row. */
static gboolean
ranks_before (const SaeExample *a, const SaeExample *b)
{
  return a->value > b->value || (a->value == b->value && a->row < b->row);
}

static void
drop (SaeExamples *self, guint latent, guint rank)
{
  SaeExample *kept = self->kept + (gsize) latent * self->per_latent;
  guint behind = self->n_kept[latent] - rank - 1;

  memmove (kept + rank, kept + rank + 1, behind * sizeof *kept);
  memmove (sae_examples_around (self, latent, rank),
      sae_examples_around (self, latent, rank + 1),
      behind * sae_examples_width (self) * sizeof (float));
  self->n_kept[latent]--;
}

static void
insert (SaeExamples *self, guint latent, guint rank, const SaeExample *example)
{
  SaeExample *kept = self->kept + (gsize) latent * self->per_latent;
  guint behind = self->n_kept[latent] - rank;

  memmove (kept + rank + 1, kept + rank, behind * sizeof *kept);
  memmove (sae_examples_around (self, latent, rank + 1),
      sae_examples_around (self, latent, rank),
      behind * sae_examples_width (self) * sizeof (float));
  kept[rank] = *example;
  show_before (self, latent, example, sae_examples_around (self, latent, rank));
  self->n_kept[latent]++;
}

static void
find_last_row (SaeExamples *self, guint latent)
{
  guint64 last = 0;

  for (guint rank = 0; rank < self->n_kept[latent]; rank++)
    last = MAX (last, sae_examples_at (self, latent, rank)->row);
  self->last_row[latent] = last;
}

/* A row that is read a second time is one example, not two. FALSE when the one
 * that is there is as strong. */
static gboolean
drop_same_row (SaeExamples *self, guint latent, const SaeExample *example)
{
  for (guint rank = 0; rank < self->n_kept[latent]; rank++) {
    const SaeExample *kept = sae_examples_at (self, latent, rank);
    if (kept->row != example->row)
      continue;
    if (kept->value >= example->value)
      return FALSE;
    drop (self, latent, rank);
    break;
  }
  return TRUE;
}

static void
keep_if_strong (SaeExamples *self, guint latent, const SaeExample *example)
{
  guint n = self->n_kept[latent];

  if (n == self->per_latent &&
      !ranks_before (example, sae_examples_at (self, latent, n - 1)))
    return;
  if (!drop_same_row (self, latent, example))
    return;
  if (self->n_kept[latent] == self->per_latent)
    self->n_kept[latent]--;
  n = self->n_kept[latent];
  while (n > 0 && ranks_before (example, sae_examples_at (self, latent, n - 1)))
    n--;
  insert (self, latent, n, example);
  find_last_row (self, latent);
}

static void
add_firing (SaeExamples *self, guint latent, const SaeExample *firing)
{
  if (!isfinite (firing->value)) {
    self->n_nonfinite++;
    return;
  }
  if (firing->value <= 0)
    return;
  self->n_fired[latent]++;
  self->sum[latent] += firing->value;
  self->max[latent] = MAX (self->max[latent], firing->value);
  show_behind (self, latent, firing);
  keep_if_strong (self, latent, firing);
  remember (self, latent, firing);
}

/* An entry of a row that is out of order. */
typedef struct {
  guint32 index;
  float value;
} Entry;

static int
compare_entries (gconstpointer a, gconstpointer b, gpointer data)
{
  guint32 i = ((const Entry *) a)->index, j = ((const Entry *) b)->index;

  return (i > j) - (i < j);
}

/* Equal indices add up, in the order in which they came. */
static gboolean
add_unordered (SaeExamples *self, const guint32 *indices, const float *values,
    gsize n, SaeExample *at, GError **error)
{
  Entry *entries = sae_scratch_reserve (&self->order, n, sizeof *entries);

  if (!entries) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "examples: no memory for a row of %" G_GSIZE_FORMAT " entries", n);
    return FALSE;
  }
  for (gsize i = 0; i < n; i++)
    entries[i] = (Entry){indices[i], values[i]};
  g_qsort_with_data (entries, (gint) n, sizeof *entries, compare_entries, NULL);
  for (gsize i = 0; i < n;) {
    guint32 index = entries[i].index;
    for (at->value = 0; i < n && entries[i].index == index; i++)
      at->value += entries[i].value;
    add_firing (self, index, at);
  }
  return TRUE;
}

/* Strictly rising but for unused slots at the end, index 0 and value 0. */
static gboolean
is_ordered (const guint32 *indices, const float *values, gsize n)
{
  gsize i = 1;

  while (i < n && indices[i - 1] < indices[i])
    i++;
  while (i < n && indices[i] == 0 && values[i] == 0)
    i++;
  return i >= n;
}

static gboolean
add_row (SaeExamples *self, const guint32 *indices, const float *values,
    gsize n, SaeExample *at, GError **error)
{
  self->n_rows++;
  if (!is_ordered (indices, values, n))
    return add_unordered (self, indices, values, n, at, error);
  for (gsize i = 0; i < n; i++) {
    at->value = values[i];
    add_firing (self, indices[i], at);
  }
  return TRUE;
}

static gboolean
check_rows (SaeExamples *self, const SaeSparseRows *rows, guint64 first_row,
    GError **error)
{
  if (rows->n_rows > G_MAXUINT32 ||
      first_row > G_MAXINT64 - G_MAXUINT32 - (guint64) self->context) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "examples: expected at most %u rows that begin below 2^62, got "
        "%" G_GSIZE_FORMAT " from row %" G_GUINT64_FORMAT " on",
        G_MAXUINT32, rows->n_rows, first_row);
    return FALSE;
  }
  for (gsize r = 0; r < rows->n_rows; r++)
    if (rows->offsets[r + 1] - rows->offsets[r] > G_MAXINT) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
          "examples: expected at most %d entries a row, got %" G_GSIZE_FORMAT,
          G_MAXINT, rows->offsets[r + 1] - rows->offsets[r]);
      return FALSE;
    }
  return sae_sparse_rows_check (rows, self->d_sae, error);
}

/* Of row @r of @n that cover @duration. */
static guint64
time_of_row (guint64 time, guint64 duration, gsize r, gsize n)
{
  if (time == G_MAXUINT64 || duration == G_MAXUINT64)
    return time;
  return time + duration / n * r + duration % n * r / n;
}

/**
 * sae_examples_add_rows: (skip)
 * @examples: examples
 * @n_rows: number of rows
 * @offsets: [n_rows + 1], rising from 0
 * @indices: [offsets[n_rows]], below d_sae; any order within a row
 * @values: [offsets[n_rows]]; those of equal indices of a row add up
 * @first_row: number of the first row, in the stream
 * @time: of the first row, in ns; G_MAXUINT64 where there is none
 * @duration: of all the rows, in ns; G_MAXUINT64 where it is not known, and
 *   all of them have @time
 * @error: return location
 *
 * Looks at rows that follow the last ones. Values that are not finite are left
 * out and counted. Nothing is changed by arrays that do not fit each other
 * (%SAE_ERROR_SIZE, %SAE_ERROR_FORMAT).
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_examples_add_rows (SaeExamples *examples, gsize n_rows,
    const gsize *offsets, const guint32 *indices, const float *values,
    guint64 first_row, guint64 time, guint64 duration, GError **error)
{
  const SaeSparseRows rows = {n_rows, offsets, indices, values};

  if (n_rows == 0)
    return TRUE;
  if (!check_rows (examples, &rows, first_row, error))
    return FALSE;
  for (gsize r = 0; r < n_rows; r++) {
    SaeExample at = {first_row + r, time_of_row (time, duration, r, n_rows), 0};
    if (!add_row (examples, indices + offsets[r], values + offsets[r],
            offsets[r + 1] - offsets[r], &at, error))
      return FALSE;
  }
  return TRUE;
}

/**
 * sae_examples_add:
 * @examples: examples
 * @latents: latents of as many as @examples has
 * @first_row: number of the first row, in the stream
 * @error: return location
 *
 * Looks at rows that follow the last ones. Values that are not finite are left
 * out and counted. %SAE_ERROR_SIZE when @latents are of another d_sae.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_examples_add (SaeExamples *examples, SaeLatents *latents, guint64 first_row,
    GError **error)
{
  SaeSparseRows rows = sae_latents_get_rows (latents);

  if (sae_latents_get_d_sae (latents) != examples->d_sae) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "examples: expected latents of d_sae %u, got %u", examples->d_sae,
        sae_latents_get_d_sae (latents));
    return FALSE;
  }
  return sae_examples_add_rows (examples, rows.n_rows, rows.offsets, rows.index,
      rows.value, first_row, G_MAXUINT64, G_MAXUINT64, error);
}

/* --- what was found ------------------------------------------------------- */

/**
 * sae_examples_get_d_sae:
 * @examples: examples
 *
 * Returns: number of latents
 * Since: 0.1
 */
guint
sae_examples_get_d_sae (SaeExamples *examples)
{
  return examples->d_sae;
}

/**
 * sae_examples_get_per_latent:
 * @examples: examples
 *
 * Returns: how many examples of each latent are kept
 * Since: 0.1
 */
guint
sae_examples_get_per_latent (SaeExamples *examples)
{
  return examples->per_latent;
}

/**
 * sae_examples_get_context:
 * @examples: examples
 *
 * Returns: rows before and behind an example whose values are kept
 * Since: 0.1
 */
guint
sae_examples_get_context (SaeExamples *examples)
{
  return examples->context;
}

/**
 * sae_examples_get_passage:
 * @examples: examples
 *
 * Returns: rows of one text; 0 when all are one
 * Since: 0.1
 */
guint
sae_examples_get_passage (SaeExamples *examples)
{
  return examples->passage;
}

/**
 * sae_examples_get_n_rows:
 * @examples: examples
 *
 * Returns: rows that were added
 * Since: 0.1
 */
guint64
sae_examples_get_n_rows (SaeExamples *examples)
{
  return examples->n_rows;
}

/**
 * sae_examples_get_n_nonfinite:
 * @examples: examples
 *
 * Returns: values that were left out, being NaN or infinite
 * Since: 0.1
 */
guint64
sae_examples_get_n_nonfinite (SaeExamples *examples)
{
  return examples->n_nonfinite;
}

/**
 * sae_examples_get_n_alive:
 * @examples: examples
 *
 * Returns: latents that fired in any row
 * Since: 0.1
 */
guint
sae_examples_get_n_alive (SaeExamples *examples)
{
  guint n = 0;

  for (guint i = 0; i < examples->d_sae; i++)
    n += examples->n_fired[i] > 0;
  return n;
}

/**
 * sae_examples_get_n_fired:
 * @examples: examples
 * @latent: a latent, below d_sae
 *
 * Returns: rows in which it fired
 * Since: 0.1
 */
guint64
sae_examples_get_n_fired (SaeExamples *examples, guint latent)
{
  g_return_val_if_fail (latent < examples->d_sae, 0);
  return examples->n_fired[latent];
}

/**
 * sae_examples_get_mean:
 * @examples: examples
 * @latent: a latent, below d_sae
 *
 * Returns: mean of its values over the rows in which it fired; 0 without any
 * Since: 0.1
 */
double
sae_examples_get_mean (SaeExamples *examples, guint latent)
{
  g_return_val_if_fail (latent < examples->d_sae, 0);
  return examples->sum[latent] / (double) MAX (examples->n_fired[latent], 1);
}

/**
 * sae_examples_get_max:
 * @examples: examples
 * @latent: a latent, below d_sae
 *
 * Returns: its largest value; 0 where it never fired
 * Since: 0.1
 */
float
sae_examples_get_max (SaeExamples *examples, guint latent)
{
  g_return_val_if_fail (latent < examples->d_sae, 0);
  return examples->max[latent];
}

double
sae_examples_log10_frequency (const SaeExamples *examples, guint latent)
{
  double frequency =
      (double) examples->n_fired[latent] / (double) MAX (examples->n_rows, 1);

  return MAX (log10 (frequency), LOWEST_LOG10);
}

/**
 * sae_examples_get_histogram:
 * @examples: examples
 *
 * How often latents fire: bin b counts those that fired in a share of the rows
 * from 10^(−10 + b/2) up to the next bin's; those of all rows are in the last.
 * Latents that never fired are in none.
 *
 * Returns: (transfer full) (element-type guint): %SAE_EXAMPLES_N_BINS counts
 * Since: 0.1
 */
GArray *
sae_examples_get_histogram (SaeExamples *examples)
{
  GArray *counts =
      g_array_sized_new (FALSE, TRUE, sizeof (guint), SAE_EXAMPLES_N_BINS);

  g_array_set_size (counts, SAE_EXAMPLES_N_BINS);
  for (guint i = 0; i < examples->d_sae; i++) {
    double above = sae_examples_log10_frequency (examples, i) - LOWEST_LOG10;
    gint bin = (gint) (above * BINS_PER_DECADE);
    if (examples->n_fired[i] > 0)
      g_array_index (counts, guint, CLAMP (bin, 0, SAE_EXAMPLES_N_BINS - 1))++;
  }
  return counts;
}

/**
 * sae_examples_get_n_examples:
 * @examples: examples
 * @latent: a latent, below d_sae
 *
 * Returns: number of its examples
 * Since: 0.1
 */
guint
sae_examples_get_n_examples (SaeExamples *examples, guint latent)
{
  g_return_val_if_fail (latent < examples->d_sae, 0);
  return examples->n_kept[latent];
}

/**
 * sae_examples_get_example:
 * @examples: examples
 * @latent: a latent, below d_sae
 * @rank: 0 for its strongest example; of equal ones the earlier row is first
 * @row: (out) (optional): number of the row
 * @value: (out) (optional): value of the latent there
 * @time: (out) (optional): of the row, in ns; G_MAXUINT64 where there is none
 *
 * Returns: %FALSE when there are not so many
 * Since: 0.1
 */
gboolean
sae_examples_get_example (SaeExamples *examples, guint latent, guint rank,
    guint64 *row, float *value, guint64 *time)
{
  SaeExample example = {0, G_MAXUINT64, 0};
  gboolean found;

  g_return_val_if_fail (latent < examples->d_sae, FALSE);
  found = rank < examples->n_kept[latent];
  if (found)
    example = *sae_examples_at (examples, latent, rank);
  if (row)
    *row = example.row;
  if (value)
    *value = example.value;
  if (time)
    *time = example.time;
  return found;
}

/**
 * sae_examples_get_around:
 * @examples: examples
 * @latent: a latent, below d_sae
 * @rank: which of its examples
 * @n_values: (out): 2 · context + 1
 *
 * Values of the latent from context rows before the example to as many behind
 * it, 0 where it did not fire, in another passage, and where no rows are.
 *
 * Returns: (transfer none) (array length=n_values) (nullable): the values, as
 *   long as nothing is added; %NULL when there is no such example
 * Since: 0.1
 */
const float *
sae_examples_get_around (SaeExamples *examples, guint latent, guint rank,
    guint *n_values)
{
  *n_values = 0;
  g_return_val_if_fail (latent < examples->d_sae, NULL);
  if (rank >= examples->n_kept[latent])
    return NULL;
  *n_values = (guint) sae_examples_width (examples);
  return sae_examples_around (examples, latent, rank);
}
