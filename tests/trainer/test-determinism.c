/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The same seed, options and rows give the same bytes: however the rows come,
 * whatever the threads, and for top-k whatever the processor can do. */
#include <string.h>

#include "expect.h"
#include "kernels.h"
#include "sae-enum-types.h"
#include "sample-trainer.h"

#define D 24
#define ROWS 9500 /* beyond the rows that the scale is taken from */

typedef struct {
  const char *name;
  SaeSparsity sparsity;
  guint k, d_sae;
  SaeOptimizer optimizer;
  gboolean pre_bias, raw; /* raw: not normalised, decoder free */
} Run;

static const Run runs[] = {
    {"top-k", SAE_SPARSITY_TOP_K, 6, 150, SAE_OPTIMIZER_ADAM, FALSE, FALSE},
    {"top-k-pre-bias-sgd", SAE_SPARSITY_TOP_K, 6, 150, SAE_OPTIMIZER_SGD, TRUE,
        FALSE},
    {"top-k-raw", SAE_SPARSITY_TOP_K, 4, 100, SAE_OPTIMIZER_ADAM, FALSE, TRUE},
    {"top-k-half-of-all", SAE_SPARSITY_TOP_K, 50, 100, SAE_OPTIMIZER_ADAM,
        FALSE, FALSE},
    {"l1", SAE_SPARSITY_L1, 0, 100, SAE_OPTIMIZER_ADAM, FALSE, FALSE},
};

static SaeTrainer *
trainer_of (const Run *run, guint n_threads)
{
  SaeTrainer *trainer = sae_trainer_new (D, run->d_sae, run->k);

  g_object_set (trainer, "sparsity", run->sparsity, "optimizer", run->optimizer,
      "pre-bias", run->pre_bias, "batch-size", 200u, "learning-rate",
      run->optimizer == SAE_OPTIMIZER_SGD ? 0.5 : 2e-3, "warmup-rows",
      (gint64) 1000, "total-rows", (guint64) ROWS, "seed", (guint64) 5,
      "n-threads", n_threads, "normalize",
      run->raw ? SAE_NORMALIZE_NONE : SAE_NORMALIZE_AUTO, "decoder-norm",
      run->raw ? SAE_DECODER_NORM_FREE : SAE_DECODER_NORM_UNIT, NULL);
  return trainer;
}

static GBytes *
the_rows (void)
{
  Noise noise = {.state = 11};

  return sparse_rows (&noise, ROWS, D, 3.0f);
}

/* Pushes all rows in pieces of at most @most. (transfer full) */
static GBytes *
train (const Run *run, guint n_threads, guint most, Noise *noise)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (run, n_threads);
  g_autoptr (GBytes) x = the_rows ();
  g_autoptr (GError) error = NULL;
  gsize row = D * sizeof (float);

  for (gsize at = 0, n; at < ROWS; at += n) {
    n = most == ROWS ? ROWS : 1 + noise_below (noise, most);
    n = MIN (n, ROWS - at);
    g_autoptr (GBytes) piece = g_bytes_new_from_bytes (x, at * row, n * row);
    push_all (trainer, piece);
  }
  sae_trainer_flush (trainer, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==, ROWS);
  return weights_of (trainer);
}

static void
test_cuts (gconstpointer data)
{
  const Run *run = data;
  const guint most[] = {ROWS, 1, 7, 199, 200, 201, 3000, 9000};
  Noise noise = noise_new ();
  g_autoptr (GBytes) want = train (run, 1, ROWS, &noise);

  for (guint i = 0; i < G_N_ELEMENTS (most); i++) {
    g_autoptr (GBytes) got = train (run, 1, most[i], &noise);
    expect_with ("%s, pieces of up to %u rows, seed %u", run->name, most[i],
        noise.seed);
    expect_same_bytes ("weights", got, want);
  }
}

static void
test_threads (gconstpointer data)
{
  const Run *run = data;
  Noise noise = noise_new ();
  g_autoptr (GBytes) want = train (run, 1, ROWS, &noise);

  for (guint n_threads = 2; n_threads <= 4; n_threads++) {
    g_autoptr (GBytes) got = train (run, n_threads, ROWS, &noise);
    expect_with ("%s, %u threads", run->name, n_threads);
    expect_same_bytes ("weights", got, want);
  }
}

static void
test_seeds (gconstpointer data)
{
  g_autoptr (GBytes) x = the_rows ();
  g_autoptr (SaeTrainer) one = trainer_of (data, 1);
  g_autoptr (SaeTrainer) other = trainer_of (data, 1);
  g_autoptr (GBytes) weights = NULL, other_weights = NULL;

  g_object_set (other, "seed", (guint64) 6, NULL);
  push_all (one, x);
  push_all (other, x);
  weights = weights_of (one);
  other_weights = weights_of (other);
  g_assert_false (g_bytes_equal (weights, other_weights));
}

static char *
checksum (const Run *run)
{
  Noise noise = {0};
  g_autoptr (GBytes) weights = train (run, 2, ROWS, &noise);

  return g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, weights);
}

/* Prints what this process computes, for the one that started it. */
static void
subprocess_checksum (gconstpointer data)
{
  g_autofree char *sum = checksum (data);

  g_print ("weights %s\n", sum);
}

/* Runs the same in a process whose libraries use other instructions. */
static void
check_level (const Run *run, const char *variable, const char *value,
    const char *sum)
{
  g_autofree char *before = g_strdup (g_getenv (variable));
  g_autofree char *child =
      g_strdup_printf ("/trainer/determinism/%s/subprocess", run->name);
  g_autofree char *line = g_strdup_printf ("*weights %s*", sum);

  g_test_message ("%s: %s=%s", run->name, variable, value);
  g_setenv (variable, value, TRUE);
  g_test_trap_subprocess (child, 0, 0);
  if (before)
    g_setenv (variable, before, TRUE);
  else
    g_unsetenv (variable);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout (line);
}

static void
test_levels (gconstpointer data)
{
  const Run *run = data;
  g_autofree char *sum = checksum (run);

  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++)
    check_level (run, "SAE_KERNELS", (*k)->name, sum);
  check_level (run, "OPENBLAS_CORETYPE", "PRESCOTT", sum);
  check_level (run, "OPENBLAS_CORETYPE", "SANDYBRIDGE", sum);
}

/* --- every rule with every optimiser -------------------------------------- */

#define SHORT_ROWS 3000

typedef struct {
  SaeSparsity sparsity;
  SaeOptimizer optimizer;
} Pair;

/* Every third latent seldom fires, so that AuxK has something to do. */
static void
start_quietly (SaeTrainer *trainer, const Pair *pair)
{
  gboolean l1 = pair->sparsity == SAE_SPARSITY_L1 ||
                pair->sparsity == SAE_SPARSITY_JUMP_RELU;
  SaeConfig config = {.d_in = D,
      .d_sae = 150,
      .k = l1 ? 0 : 6,
      .sparsity = l1 ? SAE_SPARSITY_L1 : SAE_SPARSITY_TOP_K};
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) model = sae_model_new (&config, 5, SAE_INIT_TIED, NULL);
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (model);
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
  g_autoptr (GBytes) b_dec = sae_model_get_b_dec (model);
  g_autoptr (GBytes) b_enc = NULL;
  g_autoptr (SaeModel) quiet = NULL;
  float quieter[150] = {0};

  for (guint i = 0; i < 150; i += 3)
    quieter[i] = l1 ? -0.7f : -2;
  b_enc = g_bytes_new (quieter, sizeof quieter);
  quiet =
      sae_model_new_from_weights (&config, W_enc, b_enc, W_dec, b_dec, &error);
  g_assert_no_error (error);
  sae_trainer_start_from (trainer, quiet, &error);
  g_assert_no_error (error);
}

/* Everything that a rule allows at once: AuxK, prefixes, clipping, a falling k,
 * the average. */
static SaeTrainer *
pair_trainer (const Pair *pair, guint n_threads)
{
  gboolean has_k = pair->sparsity == SAE_SPARSITY_TOP_K ||
                   pair->sparsity == SAE_SPARSITY_BATCH_TOP_K;
  SaeTrainer *trainer = sae_trainer_new (D, 150, has_k ? 6 : 0);

  g_object_set (trainer, "sparsity", pair->sparsity, "optimizer",
      pair->optimizer, "n-threads", n_threads, "batch-size", 200u, "seed",
      (guint64) 5, "normalize", SAE_NORMALIZE_NONE, "warmup-rows", (gint64) 500,
      "learning-rate", pair->optimizer == SAE_OPTIMIZER_SGD ? 0.01 : 1e-3,
      "aux-k", (gint64) 5, "dead-after", (guint64) 100, "grad-clip", 3.0,
      "average", (gint64) 1000, "prefixes", has_k ? "20,70" : "", "k-start",
      has_k ? 20u : 0u, "k-anneal-rows", (gint64) 1500, "l1-coeff",
      has_k ? 1e-3 : 0.1, NULL);
  start_quietly (trainer, pair);
  return trainer;
}

/* In pieces of up to @most rows. (transfer full) */
static GBytes *
train_pair (const Pair *pair, guint n_threads, guint most)
{
  g_autoptr (SaeTrainer) trainer = pair_trainer (pair, n_threads);
  Noise noise = {.state = 12}, cuts = noise_new ();
  g_autoptr (GBytes) x = sparse_rows (&noise, SHORT_ROWS, D, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;
  gsize row = D * sizeof (float);

  for (gsize at = 0, n; at < SHORT_ROWS; at += n) {
    n = 1 + noise_below (&cuts, most);
    n = MIN (n, SHORT_ROWS - at);
    g_autoptr (GBytes) piece = g_bytes_new_from_bytes (x, at * row, n * row);
    push_all (trainer, piece);
  }
  sae_trainer_flush (trainer, &error);
  g_assert_no_error (error);
  metrics = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (metrics->rows, ==, SHORT_ROWS);
  g_assert_cmpuint (metrics->skipped_rows, ==, 0);
  g_assert_cmpfloat (metrics->aux_loss, >, 0);
  return weights_of (trainer);
}

static void
test_pair (gconstpointer data)
{
  const Pair *pair = data;
  g_autoptr (GBytes) want = train_pair (pair, 1, 500);

  for (guint n_threads = 1; n_threads <= 3; n_threads++) {
    g_autoptr (GBytes) got = train_pair (pair, n_threads, 40 * n_threads);
    expect_with ("rule %d, optimizer %d, %u threads", pair->sparsity,
        pair->optimizer, n_threads);
    expect_same_bytes ("weights", got, want);
  }
}

/* Kept for the whole program: one that runs a single test frees no others'. */
static void
add_pairs (void)
{
  static Pair pairs[64];
  guint n = 0;
  g_autoptr (GEnumClass) rules = g_type_class_ref (SAE_TYPE_SPARSITY);
  g_autoptr (GEnumClass) optimizers = g_type_class_ref (SAE_TYPE_OPTIMIZER);

  for (guint i = 0; i < rules->n_values; i++)
    for (guint j = 0; j < optimizers->n_values; j++) {
      Pair *pair = &pairs[n++];
      g_autofree char *path =
          g_strdup_printf ("/trainer/determinism/%s-%s/any-cut-and-threads",
              rules->values[i].value_nick, optimizers->values[j].value_nick);
      g_assert_cmpuint (n, <, G_N_ELEMENTS (pairs));
      *pair = (Pair){rules->values[i].value, optimizers->values[j].value};
      if (is_trained (pair->sparsity))
        g_test_add_data_func (path, pair, test_pair);
    }
}

static void
add (const char *what, const Run *run, GTestDataFunc test)
{
  g_autofree char *path =
      g_strdup_printf ("/trainer/determinism/%s/%s", run->name, what);

  g_test_add_data_func (path, run, test);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (runs); i++) {
    add ("any-cut-same-bytes", &runs[i], test_cuts);
    add ("any-threads-same-bytes", &runs[i], test_threads);
    add ("another-seed-other-bytes", &runs[i], test_seeds);
    add ("subprocess", &runs[i], subprocess_checksum);
    if (runs[i].sparsity == SAE_SPARSITY_TOP_K)
      add ("any-processor-same-bytes", &runs[i], test_levels);
  }
  add_pairs ();
  return g_test_run ();
}
