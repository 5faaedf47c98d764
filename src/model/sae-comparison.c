/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which latents two dictionaries have in common: for every row of one W_dec
 * the row of the other with the highest cosine, and the other way round, in one
 * pass over all pairs, a block at a time. */
#include "sae-comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* Rows of a block of the one and of the other: both fit in the L2 cache. */
#define BLOCK 64
#define OTHER_BLOCK 128
/* Tasks a thread between two calls of the progress function. */
#define TASKS_BETWEEN 8

/* The best of each row of one side. */
typedef struct {
  guint n;
  float *cosine;  /* [n] */
  guint32 *match; /* [n] */
} Best;

struct _SaeComparison {
  gatomicrefcount ref_count;
  GBytes *cosines, *matches;             /* of the first */
  GBytes *other_cosines, *other_matches; /* of the second */
};

G_DEFINE_BOXED_TYPE (SaeComparison, sae_comparison, sae_comparison_ref,
    sae_comparison_unref)

/* What a thread works with. */
typedef struct {
  float *block, *other_block, *cosines;
  Best other_best;
} Scratch;

typedef struct {
  const SaeNet *net, *other;
  double *other_scale; /* [other's d_sae]: 1/‖W_dec,i‖, 0 for a row of zeros */
  Best best;
  Scratch *scratch; /* one a thread */
  guint n_threads;
  guint first_task;
} Work;

/* --- the best ------------------------------------------------------------- */

static gboolean
init_best (Best *best, guint n, GError **error)
{
  best->n = n;
  best->cosine = sae_floats_new (1, n, "cosines", error);
  best->match =
      (guint32 *) (best->cosine ? sae_floats_new (1, n, "matches", error)
                                : NULL);
  if (!best->match)
    return FALSE;
  for (guint i = 0; i < n; i++)
    best->match[i] = SAE_COMPARISON_NONE;
  return TRUE;
}

static void
clear_best (Best *best)
{
  free (best->cosine);
  free (best->match);
}

/* The lower one of equal ones, in whatever order they come. */
static inline void
take_if_better (Best *best, guint i, float cosine, guint32 match)
{
  if (best->match[i] != SAE_COMPARISON_NONE &&
      (cosine < best->cosine[i] ||
          (cosine == best->cosine[i] && match > best->match[i])))
    return;
  best->cosine[i] = cosine;
  best->match[i] = match;
}

static void
merge_best (Best *best, const Best *more)
{
  for (guint i = 0; i < best->n; i++)
    if (more->match[i] != SAE_COMPARISON_NONE)
      take_if_better (best, i, more->cosine[i], more->match[i]);
}

/* --- blocks --------------------------------------------------------------- */

/* 1/‖row‖ in float64, where no float's square overflows; 0 for zeros. */
static double
measure_row (const float *row, guint d)
{
  SaeRowSums sums;

  sae_kernels ()->row_sums (row, row, d, &sums);
  return sums.x2 > 0 ? 1.0 / sqrt (sums.x2) : 0.0;
}

static void
scale_row (float *unit, const float *row, double scale, guint d)
{
  for (guint j = 0; j < d; j++)
    unit[j] = (float) (row[j] * scale);
}

static void
compare_blocks (Work *work, Scratch *scratch, guint first, guint n,
    const gboolean *is_zero, guint other_first, guint n_other)
{
  guint d = work->net->d_out;

  sae_kernels ()->dots (scratch->block, d, n, scratch->other_block, d, n_other,
      d, scratch->cosines, OTHER_BLOCK);
  for (guint r = 0; r < n; r++) {
    if (is_zero[r])
      continue;
    for (guint i = 0; i < n_other; i++) {
      float cosine = scratch->cosines[r * OTHER_BLOCK + i];
      if (work->other_scale[other_first + i] == 0.0)
        continue;
      cosine = CLAMP (cosine, -1.0f, 1.0f); /* rounding may exceed it */
      take_if_better (&work->best, first + r, cosine, other_first + i);
      take_if_better (&scratch->other_best, other_first + i, cosine, first + r);
    }
  }
}

/* A block of rows of the first dictionary against all of the second. */
static void
run_task (guint task, guint worker, gpointer data)
{
  Work *work = data;
  Scratch *scratch = &work->scratch[worker];
  guint d = work->net->d_out;
  guint first = (work->first_task + task) * BLOCK;
  guint n = MIN (BLOCK, work->net->d_sae - first);
  gboolean is_zero[BLOCK];

  for (guint r = 0; r < n; r++) {
    const float *row = work->net->W_dec + (gsize) (first + r) * d;
    double scale = measure_row (row, d);
    is_zero[r] = scale == 0.0;
    scale_row (scratch->block + (gsize) r * d, row, scale, d);
  }
  for (guint i = 0; i < work->other->d_sae; i += OTHER_BLOCK) {
    guint n_other = MIN (OTHER_BLOCK, work->other->d_sae - i);
    for (guint r = 0; r < n_other; r++)
      scale_row (scratch->other_block + (gsize) r * d,
          work->other->W_dec + (gsize) (i + r) * d, work->other_scale[i + r],
          d);
    compare_blocks (work, scratch, first, n, is_zero, i, n_other);
  }
}

/* --- the whole ------------------------------------------------------------ */

static gboolean
init_scratch (Scratch *scratch, guint d, guint n_other, GError **error)
{
  return (scratch->block = sae_floats_new (BLOCK, d, "a block", error)) &&
         (scratch->other_block =
                 sae_floats_new (OTHER_BLOCK, d, "a block", error)) &&
         (scratch->cosines =
                 sae_floats_new (BLOCK, OTHER_BLOCK, "cosines", error)) &&
         init_best (&scratch->other_best, n_other, error);
}

static gboolean
init_work (Work *work, const SaeNet *net, const SaeNet *other, guint n_threads,
    GError **error)
{
  work->net = net;
  work->other = other;
  work->n_threads = n_threads;
  work->scratch = g_new0 (Scratch, n_threads);
  work->other_scale = g_try_new (double, other->d_sae);
  if (!work->other_scale) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "compare: no memory for the norms of %u latents", other->d_sae);
    return FALSE;
  }
  if (!init_best (&work->best, net->d_sae, error))
    return FALSE;
  for (guint i = 0; i < n_threads; i++)
    if (!init_scratch (&work->scratch[i], net->d_out, other->d_sae, error))
      return FALSE;
  for (guint i = 0; i < other->d_sae; i++)
    work->other_scale[i] =
        measure_row (other->W_dec + (gsize) i * other->d_out, other->d_out);
  return TRUE;
}

static void
clear_work (Work *work)
{
  for (guint i = 0; i < work->n_threads; i++) {
    free (work->scratch[i].block);
    free (work->scratch[i].other_block);
    free (work->scratch[i].cosines);
    clear_best (&work->scratch[i].other_best);
  }
  g_free (work->scratch);
  g_free (work->other_scale);
  clear_best (&work->best);
}

static void
run_work (Work *work, SaePool *pool, SaeProgressFunc progress,
    gpointer user_data)
{
  guint n_tasks = (work->net->d_sae - 1) / BLOCK + 1;
  guint between = TASKS_BETWEEN * work->n_threads;

  for (guint first = 0; first < n_tasks; first += between) {
    guint n = MIN (between, n_tasks - first);
    work->first_task = first;
    sae_pool_run (pool, n, run_task, work);
    if (progress)
      progress ((double) (first + n) / n_tasks, user_data);
  }
  for (guint i = 1; i < work->n_threads; i++)
    merge_best (&work->scratch[0].other_best, &work->scratch[i].other_best);
}

static GBytes *
take_array (gpointer array, guint n)
{
  return g_bytes_new_with_free_func (array, (gsize) n * 4, free, array);
}

static SaeComparison *
make_comparison (Work *work)
{
  SaeComparison *comparison = g_new0 (SaeComparison, 1);
  Best *other = &work->scratch[0].other_best;

  g_atomic_ref_count_init (&comparison->ref_count);
  comparison->cosines = take_array (work->best.cosine, work->best.n);
  comparison->matches = take_array (work->best.match, work->best.n);
  comparison->other_cosines = take_array (other->cosine, other->n);
  comparison->other_matches = take_array (other->match, other->n);
  work->best = (Best){0};
  *other = (Best){0};
  return comparison;
}

/**
 * sae_model_compare:
 * @model: a model
 * @other: another one, of as wide reconstructions
 * @progress: (nullable) (scope call) (closure user_data): told how far it is
 * @user_data: for @progress
 * @error: return location
 *
 * Finds for every latent of @model the one of @other that writes what is most
 * like it: the highest cosine of its row of W_dec to theirs (Bricken et al.
 * 2023 and many since take this for whether two dictionaries found the same).
 * Cosines are signed, since latents are not negative; of equal ones the lower
 * index wins. A row of zeros has no match, and the cosine 0. With
 * sae_comparison_reverse() the same is seen from @other.
 *
 * Every pair is computed, in blocks by all threads: d_sae · other's d_sae ·
 * d_out multiply-adds, in memory for a few floats a latent. The bits depend
 * neither on the number of threads nor on the machine's SIMD level.
 * %SAE_ERROR_SIZE when the rows are not as wide, %SAE_ERROR_NO_SPACE when
 * memory is exhausted.
 *
 * Returns: (transfer full): what was found
 * Since: 0.1
 */
SaeComparison *
sae_model_compare (SaeModel *model, SaeModel *other, SaeProgressFunc progress,
    gpointer user_data, GError **error)
{
  const SaeNet *net = sae_model_get_net (model);
  const SaeNet *other_net = sae_model_get_net (other);
  SaeComparison *comparison = NULL;
  Work work = {0};
  SaePool *pool;

  if (net->d_out != other_net->d_out) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "compare: expected rows of W_dec as wide as the first one's, %u, got "
        "%u",
        net->d_out, other_net->d_out);
    return NULL;
  }
  pool = sae_pool_new (0);
  if (init_work (&work, net, other_net, sae_pool_get_n_threads (pool), error)) {
    run_work (&work, pool, progress, user_data);
    comparison = make_comparison (&work);
  }
  clear_work (&work);
  sae_pool_free (pool);
  return comparison;
}

/**
 * sae_comparison_reverse:
 * @comparison: a comparison
 *
 * The same comparison with the other dictionary first. Nothing is computed.
 *
 * Returns: (transfer full): for each latent of the other one its best match
 * Since: 0.1
 */
SaeComparison *
sae_comparison_reverse (SaeComparison *comparison)
{
  SaeComparison *reverse = g_new0 (SaeComparison, 1);

  g_atomic_ref_count_init (&reverse->ref_count);
  reverse->cosines = g_bytes_ref (comparison->other_cosines);
  reverse->matches = g_bytes_ref (comparison->other_matches);
  reverse->other_cosines = g_bytes_ref (comparison->cosines);
  reverse->other_matches = g_bytes_ref (comparison->matches);
  return reverse;
}

/**
 * sae_comparison_ref:
 * @comparison: a comparison
 *
 * Returns: (transfer full): @comparison, with one more reference
 * Since: 0.1
 */
SaeComparison *
sae_comparison_ref (SaeComparison *comparison)
{
  g_atomic_ref_count_inc (&comparison->ref_count);
  return comparison;
}

/**
 * sae_comparison_unref:
 * @comparison: (transfer full): a comparison
 *
 * Drops a reference; the last one frees the memory.
 *
 * Since: 0.1
 */
void
sae_comparison_unref (SaeComparison *comparison)
{
  if (!g_atomic_ref_count_dec (&comparison->ref_count))
    return;
  g_bytes_unref (comparison->cosines);
  g_bytes_unref (comparison->matches);
  g_bytes_unref (comparison->other_cosines);
  g_bytes_unref (comparison->other_matches);
  g_free (comparison);
}

/**
 * sae_comparison_get_cosines:
 * @comparison: a comparison
 *
 * Returns: (transfer full): float32 [d_sae]: the cosine of each latent to its
 *   best match, 0 where there is none; not copied
 * Since: 0.1
 */
GBytes *
sae_comparison_get_cosines (SaeComparison *comparison)
{
  return g_bytes_ref (comparison->cosines);
}

/**
 * sae_comparison_get_matches:
 * @comparison: a comparison
 *
 * Returns: (transfer full): uint32 [d_sae]: the best match of each latent,
 *   %SAE_COMPARISON_NONE where there is none; not copied
 * Since: 0.1
 */
GBytes *
sae_comparison_get_matches (SaeComparison *comparison)
{
  return g_bytes_ref (comparison->matches);
}

/**
 * sae_comparison_get_share_above:
 * @comparison: a comparison
 * @cosine: what counts as alike, such as 0.9
 *
 * Returns: the share of latents whose best match has a cosine above @cosine
 * Since: 0.1
 */
gdouble
sae_comparison_get_share_above (SaeComparison *comparison, gdouble cosine)
{
  gsize size, n_above = 0;
  const float *cosines = g_bytes_get_data (comparison->cosines, &size);
  gsize n = size / sizeof (float);

  for (gsize i = 0; i < n; i++)
    n_above += cosines[i] > cosine;
  return (double) n_above / (double) n;
}

static int
compare_floats (gconstpointer a, gconstpointer b)
{
  float x = *(const float *) a, y = *(const float *) b;

  return (x > y) - (x < y);
}

/**
 * sae_comparison_get_quantile:
 * @comparison: a comparison
 * @quantile: 0 to 1; 0.5 is the median
 *
 * Returns: that quantile of the cosines, between two of them as numpy's
 *   default does
 * Since: 0.1
 */
gdouble
sae_comparison_get_quantile (SaeComparison *comparison, gdouble quantile)
{
  gsize size;
  const float *cosines = g_bytes_get_data (comparison->cosines, &size);
  g_autofree float *sorted = g_memdup2 (cosines, size);
  gsize n = size / sizeof (float), below;
  double place = CLAMP (quantile, 0.0, 1.0) * (double) (n - 1);

  qsort (sorted, n, sizeof *sorted, compare_floats);
  below = MIN ((gsize) place, n - 1);
  if (below + 1 == n)
    return sorted[below];
  return sorted[below] + (place - (double) below) *
                             ((double) sorted[below + 1] - sorted[below]);
}
