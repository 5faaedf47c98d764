/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The top-k rule, over scores that are small integers, so that there are ties
 * everywhere and a count gives the right answer. */
#include <string.h>

#include "expect.h"
#include "fault.h"
#include "sample.h"

#define D_IN 4
#define MAX_SCORE 100

#define RANDOM_ROWS_SLOW 1000000
/* Sanitizers run the scalar code some 20 times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RANDOM_ROWS 50000
#else
#define RANDOM_ROWS 500000
#endif

/* A model whose score of latent i is scores[i] for the row (1, 0, 0, 0). */
static SaeModel *
model_of_scores (const float *scores, guint n, guint k, SaeTies ties)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeConfig) config = sae_config_new (D_IN, n, k);
  g_autofree float *W = g_new0 (float, (gsize) n *D_IN);
  g_autoptr (GBytes) zeros = NULL, biases = NULL, weights = NULL;
  SaeModel *model;

  for (guint i = 0; i < n; i++)
    W[i * D_IN] = scores[i];
  weights = g_bytes_new (W, (gsize) n * D_IN * sizeof (float));
  memset (W, 0, (gsize) n * D_IN * sizeof (float));
  zeros = g_bytes_new (W, n * sizeof (float));
  biases = g_bytes_new (W, D_IN * sizeof (float));
  config->ties = ties;
  model = sae_model_new_from_weights (config, weights, zeros, weights, biases,
      &error);
  g_assert_no_error (error);
  return model;
}

/* Latents kept of @scores are @expected, ascending, ended by -1. */
static void
check_kept (const float *scores, guint n, guint k, SaeTies ties,
    const int *expected)
{
  static const float row[D_IN] = {1};
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) model = model_of_scores (scores, n, k, ties);
  g_autoptr (GBytes) x = g_bytes_new_static (row, sizeof row);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, x, &error);
  guint n_kept;
  const guint32 *index = sae_latents_get_row_indices (latents, 0, &n_kept);
  const float *value = sae_latents_get_row_values (latents, 0, &n_kept);

  g_assert_no_error (error);
  for (guint i = 0; i < n_kept; i++) {
    g_assert_cmpint ((int) index[i], ==, expected[i]);
    g_assert_cmpfloat (value[i], ==, scores[index[i]]);
  }
  g_assert_cmpint (expected[n_kept], ==, -1);
}

#define LOWEST SAE_TIES_LOWEST_INDEX
#define ALL SAE_TIES_KEEP_ALL

static void
test_largest (void)
{
  const float scores[] = {1, 5, 2, 4, 3};

  check_kept (scores, 5, 1, LOWEST, (int[]){1, -1});
  check_kept (scores, 5, 2, LOWEST, (int[]){1, 3, -1});
  check_kept (scores, 5, 4, LOWEST, (int[]){1, 2, 3, 4, -1});
  check_kept (scores, 5, 5, LOWEST, (int[]){0, 1, 2, 3, 4, -1});
  check_kept (scores, 5, 2, ALL, (int[]){1, 3, -1});
}

static void
test_lowest_index (void)
{
  const float scores[] = {1, 2, 3, 2, 2, 3};

  check_kept (scores, 6, 1, LOWEST, (int[]){2, -1});
  check_kept (scores, 6, 3, LOWEST, (int[]){1, 2, 5, -1});
  check_kept (scores, 6, 4, LOWEST, (int[]){1, 2, 3, 5, -1});
}

static void
test_keep_all (void)
{
  const float scores[] = {1, 2, 3, 2, 2, 3};

  check_kept (scores, 6, 1, ALL, (int[]){2, 5, -1});
  check_kept (scores, 6, 3, ALL, (int[]){1, 2, 3, 4, 5, -1});
  check_kept (scores, 6, 6, ALL, (int[]){0, 1, 2, 3, 4, 5, -1});
}

static void
test_few_positive (void)
{
  const float scores[] = {-1, 2, 0, -0.0f, 1, -3};

  check_kept (scores, 6, 4, LOWEST, (int[]){1, 4, -1});
  check_kept (scores, 6, 4, ALL, (int[]){1, 4, -1});
  check_kept (scores, 6, 2, ALL, (int[]){1, 4, -1});
}

static void
test_none_positive (void)
{
  const float negative[] = {-1, -2, -3, -1};
  const float zeros[] = {0, -0.0f, 0, 0};

  check_kept (negative, 4, 2, LOWEST, (int[]){-1});
  check_kept (negative, 4, 4, ALL, (int[]){-1});
  check_kept (zeros, 4, 2, LOWEST, (int[]){-1});
  check_kept (zeros, 4, 4, ALL, (int[]){-1});
}

/* Neighbours in float32, and the ends of its range. */
static void
test_extremes (void)
{
  const float scores[] = {1, 0x1.000002p0f, 0x1p-149f, 0x1.fffffep127f,
      0x1p-149f, 0x1.fffffep127f};

  check_kept (scores, 6, 1, LOWEST, (int[]){3, -1});
  check_kept (scores, 6, 1, ALL, (int[]){3, 5, -1});
  check_kept (scores, 6, 3, LOWEST, (int[]){1, 3, 5, -1});
  check_kept (scores, 6, 5, LOWEST, (int[]){0, 1, 2, 3, 5, -1});
  check_kept (scores, 6, 5, ALL, (int[]){0, 1, 2, 3, 4, 5, -1});
}

/* Every latent equal, over many blocks of latents. */
static void
test_all_equal (void)
{
  const guint n = 1000;
  g_autofree float *scores = g_new (float, n);
  g_autofree int *expected = g_new (int, n + 1);

  for (guint i = 0; i < n; i++)
    scores[i] = 2;
  for (guint k = 1; k <= n; k += 37) {
    for (guint i = 0; i <= n; i++)
      expected[i] = i < k ? (int) i : -1;
    check_kept (scores, n, k, LOWEST, expected);
    for (guint i = 0; i <= n; i++)
      expected[i] = i < n ? (int) i : -1;
    check_kept (scores, n, k, ALL, expected);
  }
}

/* Rising scores replace every candidate in each block; falling ones none. */
static void
test_sorted (void)
{
  const guint n = 2000, k = 100;
  g_autofree float *scores = g_new (float, n);
  g_autofree int *expected = g_new (int, k + 1);

  for (guint falling = 0; falling < 2; falling++) {
    for (guint i = 0; i < n; i++)
      scores[i] = (float) (1 + (falling ? n - 1 - i : i));
    for (guint i = 0; i < k; i++)
      expected[i] = (int) (falling ? i : n - k + i);
    expected[k] = -1;
    check_kept (scores, n, k, LOWEST, expected);
    check_kept (scores, n, k, ALL, expected);
  }
}

typedef struct {
  SaeNet net;
  SaeWorkspace *workspace;
  float *W_enc, *b_enc, *x;
  gsize n_rows;
} Batch;

static void
batch_init (Batch *batch, Noise *noise, guint d_sae, guint k, gsize n_rows)
{
  batch->n_rows = n_rows;
  batch->W_enc = g_new (float, (gsize) d_sae *D_IN);
  batch->b_enc = g_new (float, d_sae);
  batch->x = g_new (float, n_rows *D_IN);
  batch->net = (SaeNet){
      .d_in = D_IN,
      .d_out = D_IN,
      .d_sae = d_sae,
      .k = k,
      .sparsity = SAE_SPARSITY_TOP_K,
      .ties =
          noise_below (noise, 2) ? SAE_TIES_KEEP_ALL : SAE_TIES_LOWEST_INDEX,
      .W_enc = batch->W_enc,
      .b_enc = batch->b_enc,
  };
  noise_fill (noise, NOISE_INTEGERS, batch->W_enc, (gsize) d_sae * D_IN);
  noise_fill (noise, NOISE_INTEGERS, batch->b_enc, d_sae);
  noise_fill (noise, NOISE_INTEGERS, batch->x, n_rows * D_IN);
  switch (noise_below (noise, 8)) {
    case 0: /* all the same, whatever the row */
      memset (batch->W_enc, 0, (gsize) d_sae * D_IN * sizeof (float));
      for (guint i = 0; i < d_sae; i++)
        batch->b_enc[i] = 3;
      break;
    case 1: /* none above 0 */
      for (guint i = 0; i < d_sae; i++)
        batch->b_enc[i] -= MAX_SCORE;
      break;
    default:
      break;
  }
}

static void
batch_clear (Batch *batch)
{
  g_free (batch->W_enc);
  g_free (batch->b_enc);
  g_free (batch->x);
}

/* The scores of a row, exact in integers, and how many latents have each. */
static void
score_row (const Batch *batch, const float *x, int *scores, guint *counts)
{
  memset (counts, 0, (MAX_SCORE + 1) * sizeof *counts);
  for (guint i = 0; i < batch->net.d_sae; i++) {
    int score = (int) batch->b_enc[i];
    for (guint j = 0; j < D_IN; j++)
      score += (int) batch->W_enc[i * D_IN + j] * (int) x[j];
    scores[i] = MAX (score, 0);
    counts[scores[i]]++;
  }
}

/* Compares one row with what counting says. */
static void
check_row (const Batch *batch, const float *x, const guint32 *index,
    const float *value, gsize n)
{
  static int scores[4096];
  guint counts[MAX_SCORE + 1], above = 0, at = 0;
  int kth = MAX_SCORE;

  score_row (batch, x, scores, counts);
  while (kth > 1 && above + counts[kth] < batch->net.k)
    above += counts[kth--];
  guint equal = batch->net.ties == SAE_TIES_KEEP_ALL ? batch->net.d_sae
                                                     : batch->net.k - above;
  for (guint i = 0; i < batch->net.d_sae; i++) {
    if (scores[i] == 0 || scores[i] < kth)
      continue;
    if (scores[i] == kth) {
      if (equal == 0)
        continue;
      equal--;
    }
    g_assert_cmpuint (at, <, n);
    g_assert_cmpuint (index[at], ==, i);
    g_assert_cmpfloat (value[at], ==, (float) scores[i]);
    at++;
  }
  g_assert_cmpuint (at, ==, n);
}

static void
check_batch (Batch *batch)
{
  g_autoptr (GError) error = NULL;
  SaeSparseRows latents;

  sae_net_encode (&batch->net, batch->workspace, batch->x, batch->n_rows,
      &latents, &error);
  g_assert_no_error (error);
  for (gsize r = 0; r < batch->n_rows; r++) {
    gsize first = latents.offsets[r], end = latents.offsets[r + 1];
    check_row (batch, batch->x + r * D_IN, latents.index + first,
        latents.value + first, end - first);
  }
}

static void
test_random_rows (void)
{
  const gsize rows = 1000;
  gsize n_rows = g_test_slow () ? RANDOM_ROWS_SLOW : RANDOM_ROWS;
  Noise noise = noise_new ();
  Batch batch = {.workspace = sae_workspace_new (2)};

  for (gsize done = 0; done < n_rows; done += rows) {
    guint d_sae =
        1 + noise_below (&noise, noise_below (&noise, 8) ? 500 : 4000);
    guint k = 1 + noise_below (&noise,
                      noise_below (&noise, 2) ? MIN (d_sae, 40) : d_sae);
    batch_init (&batch, &noise, d_sae, k, rows);
    g_test_message ("rows %" G_GSIZE_FORMAT ": d_sae %u, k %u, ties %d, seed "
                    "%u",
        done, d_sae, k, batch.net.ties, noise.seed);
    check_batch (&batch);
    batch_clear (&batch);
  }
  sae_workspace_unref (batch.workspace);
  fault_report (10, n_rows, n_rows, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/topk/keeps-the-largest", test_largest);
  g_test_add_func ("/model/topk/ties-keep-lowest-index", test_lowest_index);
  g_test_add_func ("/model/topk/ties-keep-all", test_keep_all);
  g_test_add_func ("/model/topk/fewer-positive-than-k", test_few_positive);
  g_test_add_func ("/model/topk/nothing-positive-keeps-nothing",
      test_none_positive);
  g_test_add_func ("/model/topk/neighbouring-and-extreme-floats",
      test_extremes);
  g_test_add_func ("/model/topk/all-equal", test_all_equal);
  g_test_add_func ("/model/topk/rising-and-falling", test_sorted);
  g_test_add_func ("/model/topk/random-rows-of-ties", test_random_rows);
  return g_test_run ();
}
