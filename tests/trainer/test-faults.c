/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows that go wrong in the middle of a run: it goes on as if they had not
 * been. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "fault.h"
#include "model.h"
#include "sample-trainer.h"

#define D 16
#define BATCH 64
#define N_BEFORE 600 /* steps of normal rows, */
#define N_FAULTY 100 /* of some with faults (slow: N_FAULTY_SLOW), */
#define N_FAULTY_SLOW 100000
#define N_RECOVERY 200 /* to get over them, */
#define N_AFTER 50     /* and to be judged by */

typedef struct {
  const char *name;
  SaeSparsity sparsity;
  SaeNormalize normalize;
} Kind;

static SaeTrainer *
new_trainer (const Kind *kind)
{
  SaeTrainer *trainer = sae_trainer_new (D, 60, 5);

  g_object_set (trainer, "sparsity", kind->sparsity, "normalize",
      kind->normalize, "batch-size", BATCH, "warmup-rows",
      (gint64) (20 * BATCH), "learning-rate", 2e-3, "dead-after",
      (guint64) 10 * BATCH, NULL);
  if (kind->sparsity != SAE_SPARSITY_TOP_K)
    g_object_set (trainer, "l1-coeff", 0.1, NULL);
  return trainer;
}

/* Changes rows of the @n of a batch, of which this is the @nth; how many. */
typedef guint (*Fault) (float *x, guint n, guint nth);

static guint64
push_batches (SaeTrainer *trainer, guint64 seed, guint n, Fault fault)
{
  Noise noise = {.state = seed};
  guint64 n_faults = 0;

  for (guint i = 0; i < n; i++) {
    g_autoptr (GBytes) normal = sparse_rows (&noise, BATCH, D, 1);
    float *x =
        g_memdup2 (g_bytes_get_data (normal, NULL), BATCH * D * sizeof *x);
    g_autoptr (GBytes) rows = g_bytes_new_take (x, BATCH * D * sizeof *x);
    if (fault)
      n_faults += fault (x, BATCH, i);
    push_all (trainer, rows);
  }
  return n_faults;
}

/* A fault that may be repeated for long, and what is said of it. */
typedef struct {
  const char *name;
  guint number; /* of docs/reliability.md */
  Fault fault;
  guint n_batches;
  gboolean is_skipped; /* the rows at fault are, and no others */
} Trial;

/* mse of the rows after the faults; the first of the recovery are in
 * @recovering. */
static double
run (const Kind *kind, const Trial *trial, Fault fault, double *recovering,
    guint64 *n_faults)
{
  guint64 n_hurt;
  g_autoptr (SaeTrainer) trainer = new_trainer (kind);
  g_autoptr (SaeMetrics) during = NULL, after = NULL;
  g_autoptr (GBytes) weights = NULL;

  push_batches (trainer, 71, N_BEFORE, NULL);
  n_hurt = push_batches (trainer, 72, trial->n_batches, fault);
  during = sae_trainer_take_metrics (trainer);
  if (fault && trial->is_skipped)
    g_assert_cmpuint (during->skipped_rows, ==, n_hurt);
  sae_metrics_free (during);
  push_batches (trainer, 73, N_RECOVERY, NULL);
  during = sae_trainer_take_metrics (trainer);
  push_batches (trainer, 74, N_AFTER, NULL);
  after = sae_trainer_take_metrics (trainer);
  weights = weights_of (trainer);
  for (gsize i = 0; i < g_bytes_get_size (weights) / sizeof (float); i++)
    g_assert_true (
        isfinite (((const float *) g_bytes_get_data (weights, NULL))[i]));
  *recovering = during->mse;
  *n_faults = n_hurt;
  return after->mse;
}

static void
expect_recovery (const Trial *trial)
{
  static const Kind kinds[] = {
      {"top-k", SAE_SPARSITY_TOP_K, SAE_NORMALIZE_AUTO},
      {"l1", SAE_SPARSITY_L1, SAE_NORMALIZE_AUTO},
      {"top-k, not normalised", SAE_SPARSITY_TOP_K, SAE_NORMALIZE_NONE},
      {"l1, not normalised", SAE_SPARSITY_L1, SAE_NORMALIZE_NONE},
  };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    double unhurt_first, first;
    guint64 n_faults;
    double unhurt = run (&kinds[i], trial, NULL, &unhurt_first, &n_faults);
    double hurt = run (&kinds[i], trial, trial->fault, &first, &n_faults);
    gboolean recovered = hurt <= 1.1 * unhurt;
    g_test_message ("%s, %s: mse %g (%g in the first %u steps), without %g "
                    "(%g)",
        trial->name, kinds[i].name, hurt, first, N_RECOVERY, unhurt,
        unhurt_first);
    fault_report (trial->number, n_faults, recovered ? n_faults : 0, 0);
    if (!recovered)
      g_test_fail ();
  }
}

/* --- spikes --------------------------------------------------------------- */

static void
scale_row (float *x, gsize row, float factor)
{
  for (guint j = 0; j < D; j++)
    x[row * D + j] *= factor;
}

static guint
spike_each_batch (float *x, guint n, guint nth)
{
  scale_row (x, nth * 7 % n, 1e6f);
  return 1;
}

static void
test_spikes (void)
{
  const Trial trial = {"a spike in each of 100 batches", 7, spike_each_batch,
      N_FAULTY};

  expect_recovery (&trial);
}

static guint
spike_two_batches (float *x, guint n, guint nth)
{
  if (nth != 10 && nth != 11)
    return 0;
  for (guint r = 0; r < 50; r++)
    scale_row (x, r, 1e6f);
  return 50;
}

static void
test_burst (void)
{
  const Trial trial = {"100 spikes in two batches", 7, spike_two_batches,
      N_FAULTY};

  expect_recovery (&trial);
}

/* --- rows that are no numbers --------------------------------------------- */

/* One in a hundred; the trainer leaves them out. */
static guint
break_some (float *x, guint n, guint nth)
{
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  guint n_bad = 0;

  for (guint r = 0; r < n; r++) {
    if ((nth * n + r) % 100 != 37)
      continue;
    x[r * D + r % D] = bad[(nth + r) % 3];
    n_bad++;
  }
  return n_bad;
}

static void
test_bad_rows (void)
{
  const Trial trial = {"1 % of rows with a NaN or an infinity", 4, break_some,
      g_test_slow () ? N_FAULTY_SLOW : N_FAULTY, TRUE};

  expect_recovery (&trial);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/faults/bad-rows-leave-nothing-behind",
      test_bad_rows);
  g_test_add_func ("/trainer/faults/spikes-leave-nothing-behind", test_spikes);
  g_test_add_func ("/trainer/faults/burst-leaves-nothing-behind", test_burst);
  return g_test_run ();
}
