/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * BatchTopK's choice against sorting the whole dense matrix. */
#include "batch-top-k.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "sample-run.h"

#define D 6
#define D_SAE 50
#define ROWS 30

typedef struct {
  double value;
  gsize place; /* row · d_sae + index */
} Entry;

/* Larger first; equal ones by row and index. */
static int
compare (const void *a, const void *b)
{
  const Entry *p = a, *q = b;

  if (p->value != q->value)
    return p->value > q->value ? -1 : 1;
  return p->place < q->place ? -1 : p->place > q->place;
}

/* The n·k largest of relu (pre), the others 0; their number. */
static gsize
keep_by_sorting (const double *pre, gsize k, float *dense)
{
  gsize n = ROWS * D_SAE, kept = 0;
  g_autofree Entry *entries = g_new (Entry, n);

  for (gsize i = 0; i < n; i++)
    entries[i] = (Entry){pre[i], i};
  qsort (entries, n, sizeof *entries, compare);
  memset (dense, 0, n * sizeof *dense);
  for (; kept < MIN (n, ROWS * k) && entries[kept].value > 0; kept++)
    dense[entries[kept].place] = (float) entries[kept].value;
  return kept;
}

static void
encode (SaeBatchTopK *batch, const SaeNet *net, SaeWorkspace *workspace,
    const float *x, guint k, SaeSparseRows *latents)
{
  g_autoptr (GError) error = NULL;

  sae_batch_top_k_encode (batch, net, workspace, x, ROWS, k, latents, &error);
  g_assert_no_error (error);
}

static void
to_dense (const SaeSparseRows *latents, float *dense)
{
  memset (dense, 0, ROWS * D_SAE * sizeof *dense);
  g_assert_cmpuint (latents->n_rows, ==, ROWS);
  for (gsize r = 0; r < ROWS; r++)
    for (gsize p = latents->offsets[r]; p < latents->offsets[r + 1]; p++) {
      g_assert_true (p == latents->offsets[r] ||
                     latents->index[p - 1] < latents->index[p]);
      dense[r * D_SAE + latents->index[p]] = latents->value[p];
    }
}

/* Whole numbers, so that there are ties at every k; with a bias of −@less few
 * are positive. */
static void
check_sorted (float less)
{
  Noise noise = noise_new ();
  g_auto (WholeNet) whole = whole_net_new (&noise, D, D_SAE, 1);
  g_autofree float *x = whole_numbers (&noise, ROWS * D);
  g_autofree double *pre = NULL;
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  SaeBatchTopK batch = {0};
  float want[ROWS * D_SAE], got[ROWS * D_SAE];

  for (guint i = 0; i < D_SAE; i++)
    whole.b_enc[i] -= less;
  pre = whole_pre_acts (&whole, x, ROWS);
  for (guint k = 1; k <= D_SAE; k++) {
    SaeSparseRows latents;
    gsize kept = keep_by_sorting (pre, k, want);
    expect_with ("k %u, bias %g, seed %u", k, -less, noise.seed);
    encode (&batch, &whole.net, workspace, x, k, &latents);
    g_assert_cmpuint (latents.offsets[ROWS], ==, kept);
    to_dense (&latents, got);
    expect_same_bits ("latents", got, want, ROWS * D_SAE);
  }
  sae_batch_top_k_clear (&batch);
}

static void
test_sorted (void)
{
  check_sorted (0);
  check_sorted (8);
}

/* Nothing is positive: nothing is active, and the threshold does not learn. */
static void
test_none (void)
{
  Noise noise = noise_new ();
  g_auto (WholeNet) whole = whole_net_new (&noise, D, D_SAE, 1);
  g_autofree float *x = whole_numbers (&noise, ROWS * D);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  SaeBatchTopK batch = {0};
  SaeSparseRows latents;

  for (guint i = 0; i < D_SAE; i++)
    whole.b_enc[i] = -100;
  encode (&batch, &whole.net, workspace, x, 3, &latents);
  g_assert_cmpuint (latents.offsets[ROWS], ==, 0);
  sae_batch_top_k_learn (&batch);
  g_assert_cmpfloat (sae_batch_top_k_get_threshold (&batch), ==, 0);
  sae_batch_top_k_clear (&batch);
}

/* What came before decides where candidates begin, and nothing else: batches
 * of another size and another k, faults that overflow among them. */
static void
test_history (void)
{
  const float scales[] = {1, 1e6f, 1e-6f, 1, 3e38f, 1, 1e-30f, 0, 1};
  Noise noise = noise_new ();
  g_auto (WholeNet) whole = whole_net_new (&noise, D, D_SAE, 1);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  SaeBatchTopK old = {0};
  float want[ROWS * D_SAE], got[ROWS * D_SAE], x[ROWS * D];

  for (guint i = 0; i < G_N_ELEMENTS (scales); i++) {
    SaeBatchTopK fresh = {0};
    SaeSparseRows latents;
    guint k = 1 + i % 4;
    for (guint j = 0; j < ROWS * D; j++)
      x[j] = scales[i] * noise_uniform (&noise);
    expect_with ("batch %u times %g, seed %u", i, scales[i], noise.seed);
    encode (&fresh, &whole.net, workspace, x, k, &latents);
    to_dense (&latents, want);
    encode (&old, &whole.net, workspace, x, k, &latents);
    to_dense (&latents, got);
    expect_same_bits ("latents", got, want, ROWS * D_SAE);
    g_assert_cmpfloat (old.smallest, ==, fresh.smallest);
    sae_batch_top_k_clear (&fresh);
  }
  sae_batch_top_k_clear (&old);
}

/* Σ 0.99^(n − b)·smallest_b·0.01 / (1 − 0.99^n) */
static void
test_threshold (void)
{
  SaeBatchTopK batch = {0};
  double sum = 0, weight = 0;

  g_assert_cmpfloat (sae_batch_top_k_get_threshold (&batch), ==, 0);
  for (guint b = 1; b <= 300; b++) {
    batch.smallest = (float) (1 + b % 7);
    sae_batch_top_k_learn (&batch);
    sum = 0.99 * sum + batch.smallest;
    weight = 0.99 * weight + 1;
    expect_with ("batch %u", b);
    expect_within ("threshold", sae_batch_top_k_get_threshold (&batch),
        sum / weight, 1e-12 * sum / weight);
  }
}

/* A given start is a mean of many batches: one more moves it by a hundredth. */
static void
test_start_at (void)
{
  SaeBatchTopK batch = {0};

  sae_batch_top_k_start_at (&batch, 2);
  expect_within ("start", sae_batch_top_k_get_threshold (&batch), 2, 1e-12);
  batch.smallest = 3;
  sae_batch_top_k_learn (&batch);
  expect_within ("next", sae_batch_top_k_get_threshold (&batch), 2.01, 1e-12);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/batch-top-k/keeps-what-sorting-keeps",
      test_sorted);
  g_test_add_func ("/trainer/batch-top-k/nothing-positive-nothing-active",
      test_none);
  g_test_add_func ("/trainer/batch-top-k/history-does-not-matter",
      test_history);
  g_test_add_func ("/trainer/batch-top-k/threshold-is-a-decaying-mean",
      test_threshold);
  g_test_add_func ("/trainer/batch-top-k/starts-at-a-threshold", test_start_at);
  return g_test_run ();
}
