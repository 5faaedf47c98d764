/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run that is stopped anywhere and resumed from its file ends in the same
 * bytes as one that was not. */
#include <string.h>

#include "../same-memory.h"
#include "expect.h"
#include "fault.h"
#include "sae-enum-types.h"
#include "sample-trainer.h"
#include "scratch.h"
#include "set-options.h"

#define D 16
#define D_SAE 64
#define BATCH 8
#define STEPS 200
#define STEP_ROWS (STEPS * BATCH + 3)
/* Enough for the scale of the stream to be found on the way. */
#define LONG_ROWS 9300
#define N_POSITIONS 100

/* With every sparsity rule, beside all optimisers with every rule: what else
 * keeps state. */
static const char *const variants[] = {
    "",
    "shuffle-rows=90 reduction=sum",
    "pre-bias=true decoder-norm=free schedule=cosine dead-after=50",
    "skip-connection=true grad-clip=0.3 average=40",
};

typedef struct {
  SaeOptimizer optimizer;
  SaeSparsity sparsity;
  const char *options;
} Kind;

static SaeTrainer *
trainer_of (const Kind *kind, guint64 n_rows)
{
  SaeTrainer *trainer = sae_trainer_new (D, D_SAE, 4);

  g_object_set (trainer, "optimizer", kind->optimizer, "sparsity",
      kind->sparsity, "batch-size", (guint) BATCH, "warmup-rows", (gint64) 300,
      "total-rows", n_rows, "seed", (guint64) 9, "n-threads", 1u, NULL);
  set_options (trainer, kind->options);
  return trainer;
}

static SaeTrainer *
step_trainer (const Kind *kind)
{
  SaeTrainer *trainer = trainer_of (kind, STEP_ROWS);

  g_object_set (trainer, "normalize", SAE_NORMALIZE_NONE, NULL);
  return trainer;
}

static SaeTrainer *
long_trainer (const Kind *kind)
{
  SaeTrainer *trainer = trainer_of (kind, LONG_ROWS);

  set_options (trainer, "batch-size=64");
  return trainer;
}

static GBytes *
the_rows (gsize n)
{
  Noise noise = {.state = 33};

  return sparse_rows (&noise, n, D, 3);
}

static void
push (SaeTrainer *trainer, GBytes *x, gsize from, gsize to)
{
  gsize row = D * sizeof (float);
  g_autoptr (GBytes) part =
      g_bytes_new_from_bytes (x, from * row, (to - from) * row);

  push_all (trainer, part);
}

static gsize
count (GBytes *x)
{
  return g_bytes_get_size (x) / (D * sizeof (float));
}

/* What is left of the metrics when the clock is taken out. */
static SaeMetrics *
metrics_of (SaeTrainer *trainer, gboolean take)
{
  SaeMetrics *metrics = take ? sae_trainer_take_metrics (trainer)
                             : sae_trainer_get_metrics (trainer);

  metrics->rows_per_second = 0;
  return metrics;
}

static void
expect_same_end (SaeTrainer *got, SaeTrainer *want)
{
  g_autoptr (GBytes) got_weights = weights_of (got);
  g_autoptr (GBytes) want_weights = weights_of (want);
  g_autoptr (SaeMetrics) got_metrics = metrics_of (got, FALSE);
  g_autoptr (SaeMetrics) want_metrics = metrics_of (want, FALSE);

  expect_same_bytes ("weights", got_weights, want_weights);
  assert_same_memory (got_metrics, sizeof *got_metrics, want_metrics,
      sizeof *want_metrics);
  g_assert_cmpuint (sae_trainer_get_received (got), ==,
      sae_trainer_get_received (want));
}

/* Through the file @path, if that is not NULL. (transfer full) */
static SaeCheckpoint *
checkpoint_of (SaeTrainer *trainer, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeCheckpoint) checkpoint =
      sae_trainer_checkpoint (trainer, &error);
  SaeCheckpoint *loaded;

  g_assert_no_error (error);
  if (!path)
    return g_steal_pointer (&checkpoint);
  sae_checkpoint_save (checkpoint, path, &error);
  g_assert_no_error (error);
  loaded = sae_checkpoint_load (path, &error);
  g_assert_no_error (error);
  return loaded;
}

/* Goes on from where @stopped is, to the end of @x, in @resumed. */
static void
resume_to_end (SaeTrainer *resumed, SaeTrainer *stopped, GBytes *x, gsize at,
    const char *path)
{
  g_autoptr (SaeCheckpoint) checkpoint = checkpoint_of (stopped, path);
  g_autoptr (GError) error = NULL;
  gboolean replay = at % 2;

  g_assert_cmpuint (sae_checkpoint_get_rows (checkpoint), ==, at);
  g_assert_cmpuint (sae_checkpoint_get_steps (checkpoint), ==,
      sae_trainer_get_steps (stopped));
  sae_trainer_resume (resumed, checkpoint,
      replay ? SAE_RESUME_REPLAY : SAE_RESUME_CONTINUE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_trainer_get_received (resumed), ==, at);
  if (replay && at > 10) { /* cut anywhere */
    push (resumed, x, 0, at - 7);
    push (resumed, x, at - 7, count (x));
  } else {
    push (resumed, x, replay ? 0 : at, count (x));
  }
  sae_trainer_flush (resumed, &error);
  g_assert_no_error (error);
}

static void
test_every_step (Scratch *scratch, gconstpointer data)
{
  const Kind *kind = data;
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  g_autoptr (SaeTrainer) whole = step_trainer (kind);
  g_autoptr (SaeTrainer) stopped = step_trainer (kind);
  guint each = g_test_slow () ? 1 : 5, n = 0;

  push (whole, x, 0, STEP_ROWS);
  sae_trainer_flush (whole, NULL);
  for (gsize step = each; step <= STEPS; step += each, n++) {
    g_autoptr (SaeTrainer) resumed = step_trainer (kind);
    expect_with ("stopped after batch %u", (guint) step);
    push (stopped, x, (step - each) * BATCH, step * BATCH);
    resume_to_end (resumed, stopped, x, step * BATCH,
        step % 10 == 0 ? path : NULL); /* not slower than need be */
    expect_same_end (resumed, whole);
  }
  fault_report (43, n, n, 0);
}

static int
compare_positions (gconstpointer a, gconstpointer b)
{
  return *(const int *) a - *(const int *) b;
}

static void
test_any_row (Scratch *scratch, gconstpointer data)
{
  const Kind *kind = data;
  Noise noise = noise_new ();
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (LONG_ROWS);
  g_autoptr (SaeTrainer) whole = long_trainer (kind);
  g_autoptr (SaeTrainer) stopped = long_trainer (kind);
  int positions[N_POSITIONS] = {0, LONG_ROWS};
  guint n = g_test_slow () ? N_POSITIONS : N_POSITIONS / 5;

  for (guint i = 2; i < n; i++)
    positions[i] = (int) noise_below (&noise, LONG_ROWS);
  qsort (positions, n, sizeof *positions, compare_positions);
  push (whole, x, 0, LONG_ROWS);
  sae_trainer_flush (whole, NULL);
  g_assert_true (sae_trainer_start (stopped, NULL));
  for (guint i = 0, at = 0; i < n; at = (guint) positions[i++]) {
    g_autoptr (SaeTrainer) resumed = long_trainer (kind);
    expect_with ("seed %u, stopped after row %d", noise.seed, positions[i]);
    push (stopped, x, at, (gsize) positions[i]);
    resume_to_end (resumed, stopped, x, (gsize) positions[i],
        i % 10 == 0 ? path : NULL);
    expect_same_end (resumed, whole);
  }
  fault_report (43, n, n, 0);
}

/* Stopped again and again: a checkpoint of a resumed run is as good. */
static void
test_again_and_again (Scratch *scratch, gconstpointer data)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, "shuffle-rows=77"};
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  g_autoptr (SaeTrainer) whole = step_trainer (&kind);
  SaeTrainer *trainer = step_trainer (&kind);

  push (whole, x, 0, STEP_ROWS);
  for (gsize at = 0; at < STEP_ROWS; at += 7) {
    g_autoptr (SaeCheckpoint) checkpoint = NULL;
    push (trainer, x, at, MIN (at + 7, STEP_ROWS));
    checkpoint = checkpoint_of (trainer, path);
    g_object_unref (trainer);
    trainer = step_trainer (&kind);
    g_assert_true (
        sae_trainer_resume (trainer, checkpoint, SAE_RESUME_CONTINUE, NULL));
  }
  g_assert_true (sae_trainer_flush (whole, NULL));
  g_assert_true (sae_trainer_flush (trainer, NULL));
  expect_same_end (trainer, whole);
  g_object_unref (trainer);
}

/* What a run does between its rows, a replay of it does too: while rows are
 * still known, the ones that wait are not theirs. */
static void
test_replay_of_flushes (Scratch *scratch, gconstpointer data)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, "shuffle-rows=77"};
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  g_autoptr (SaeTrainer) whole = step_trainer (&kind);
  g_autoptr (SaeTrainer) resumed = step_trainer (&kind);
  g_autoptr (SaeCheckpoint) checkpoint = NULL;
  SaeTrainer *trainers[] = {whole, resumed};

  for (guint i = 0; i < 2; i++) {
    push (trainers[i], x, 0, 301);
    g_assert_true (sae_trainer_flush (trainers[i], NULL));
    push (trainers[i], x, 301, 402);
    sae_trainer_drop_pending (trainers[i]);
    push (trainers[i], x, 402, 733);
    if (!checkpoint) {
      g_assert_cmpuint (sae_trainer_get_rows_to_drop (resumed), ==, 0);
      checkpoint = checkpoint_of (whole, path);
      g_assert_true (
          sae_trainer_resume (resumed, checkpoint, SAE_RESUME_REPLAY, NULL));
      g_assert_cmpuint (sae_trainer_get_rows_to_drop (resumed), ==, 733);
    }
    push (trainers[i], x, 733, STEP_ROWS);
    g_assert_true (sae_trainer_flush (trainers[i], NULL));
  }
  g_assert_cmpuint (sae_trainer_get_rows_to_drop (resumed), ==, 0);
  expect_same_end (resumed, whole);
}

/* Metrics since they were last taken are state as well. */
static void
test_metrics_since_last (Scratch *scratch, gconstpointer data)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, ""};
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  g_autoptr (SaeTrainer) whole = step_trainer (&kind);
  g_autoptr (SaeTrainer) resumed = step_trainer (&kind);
  g_autoptr (SaeMetrics) got = NULL, want = NULL;

  push (whole, x, 0, 400);
  sae_metrics_free (sae_trainer_take_metrics (whole));
  push (whole, x, 400, 805);
  resume_to_end (resumed, whole, x, 805, path);
  push (whole, x, 805, STEP_ROWS);
  sae_trainer_flush (whole, NULL);
  got = metrics_of (resumed, TRUE);
  want = metrics_of (whole, TRUE);
  g_assert_cmpuint (got->rows, ==, STEP_ROWS - 400);
  assert_same_memory (got, sizeof *got, want, sizeof *want);
}

/* Rows with a NaN count as received, and are not had again. */
static void
test_bad_rows (Scratch *scratch, gconstpointer data)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, ""};
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) rows = the_rows (STEP_ROWS), x = NULL;
  g_autoptr (SaeTrainer) whole = step_trainer (&kind);
  g_autoptr (SaeTrainer) stopped = step_trainer (&kind);
  g_autoptr (SaeTrainer) resumed = step_trainer (&kind);
  g_autoptr (SaeMetrics) metrics = NULL;
  float *copy =
      g_memdup2 (g_bytes_get_data (rows, NULL), g_bytes_get_size (rows));

  for (gsize r = 0; r < STEP_ROWS; r += 10)
    copy[r * D] = (float) G_MAXDOUBLE;
  x = g_bytes_new_take (copy, g_bytes_get_size (rows));
  push (whole, x, 0, STEP_ROWS);
  sae_trainer_flush (whole, NULL);
  push (stopped, x, 0, 701);
  resume_to_end (resumed, stopped, x, 701, path);
  expect_same_end (resumed, whole);
  metrics = sae_trainer_get_metrics (resumed);
  g_assert_cmpuint (metrics->skipped_rows, ==, (STEP_ROWS + 9) / 10);
}

/* Targets of their own, in batch and mixer: @width numbers each. */
static void
resume_with_targets (guint width)
{
  g_autoptr (GBytes) x = the_rows (1000), more = the_rows (2000);
  g_autoptr (GBytes) y = g_bytes_new_from_bytes (more,
      1000 * D * sizeof (float), 1000 * width * sizeof (float));
  SaeTrainer *trainers[3]; /* whole, stopped, resumed */
  gsize row = D * sizeof (float), target_row = width * sizeof (float);

  for (guint i = 0; i < 3; i++) {
    trainers[i] = sae_trainer_new (D, D_SAE, 4);
    g_object_set (trainers[i], "output-size", width, NULL);
    set_options (trainers[i],
        "batch-size=32 normalize=none shuffle-rows=100 n-threads=1");
  }
  for (guint i = 0; i < 3; i++) {
    gsize from = i == 2 ? 333 : 0, n = (i == 1 ? 333 : 1000) - from;
    g_autoptr (GBytes) part = g_bytes_new_from_bytes (x, from * row, n * row);
    g_autoptr (GBytes) target =
        g_bytes_new_from_bytes (y, from * target_row, n * target_row);
    g_autoptr (SaeCheckpoint) checkpoint =
        i == 2 ? checkpoint_of (trainers[1], NULL) : NULL;
    if (checkpoint)
      g_assert_true (sae_trainer_resume (trainers[2], checkpoint,
          SAE_RESUME_CONTINUE, NULL));
    g_assert_true (sae_trainer_push (trainers[i], part, target, NULL));
    if (i != 1)
      g_assert_true (sae_trainer_flush (trainers[i], NULL));
  }
  expect_same_end (trainers[2], trainers[0]);
  for (guint i = 0; i < 3; i++)
    g_object_unref (trainers[i]);
}

static void
test_targets (void)
{
  resume_with_targets (D / 2);
  resume_with_targets (D); /* which is not known from the sizes */
}

/* A learning rate that changes along the stream, once a batch. */
static void
push_controlled (SaeTrainer *trainer, GBytes *x, gsize from, gsize to)
{
  while (from < to) {
    guint64 pending;
    guint64 n = sae_trainer_get_missing_rows (trainer, &pending);
    g_assert_cmpuint (n, >, 0);
    n = MIN (n, to - from);
    if (pending == 0)
      g_object_set (trainer, "learning-rate", 1e-3 * (double) (1 + from % 70),
          NULL);
    push (trainer, x, from, from + n);
    from += n;
  }
}

static void
test_controlled (Scratch *scratch, gconstpointer data)
{
  static const char *const options[] = {"", "shuffle-rows=77"};
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);

  for (guint i = 0; i < 2 * 40; i++) {
    const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, options[i % 2]};
    g_autoptr (SaeTrainer) whole = step_trainer (&kind);
    g_autoptr (SaeTrainer) stopped = step_trainer (&kind);
    g_autoptr (SaeTrainer) resumed = step_trainer (&kind);
    g_autoptr (SaeCheckpoint) checkpoint = NULL;
    gsize at = 50 + i * 5;
    expect_with ("stopped after row %u", (guint) at);
    g_assert_true (sae_trainer_start (whole, NULL));
    g_assert_true (sae_trainer_start (stopped, NULL));
    push_controlled (whole, x, 0, STEP_ROWS);
    push_controlled (stopped, x, 0, at / 3);
    push_controlled (stopped, x, at / 3, at);
    checkpoint = checkpoint_of (stopped, NULL);
    g_assert_true (
        sae_trainer_resume (resumed, checkpoint, SAE_RESUME_REPLAY, NULL));
    push_controlled (resumed, x, 0, 801);
    push_controlled (resumed, x, 801, STEP_ROWS);
    expect_same_end (resumed, whole);
  }
}

/* What a model brought stays, without being set again: its rule, and its
 * metadata. */
static void
test_from_model (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  const SaeConfig config = {.d_in = D,
      .d_sae = D_SAE,
      .k = 5,
      .ties = SAE_TIES_KEEP_ALL,
      .pre_bias = TRUE};
  g_autoptr (SaeModel) start = sae_model_new (&config, 4, SAE_INIT_TIED, NULL);
  g_autoptr (SaeModel) named =
      sae_model_with_metadata (start, "hook_name", "blocks.3 \"\xc3\xa4\"");
  g_autoptr (GBytes) x = the_rows (LONG_ROWS);
  g_autoptr (SaeTrainer) whole = sae_trainer_new (0, 0, 0);
  g_autoptr (SaeTrainer) stopped = sae_trainer_new (0, 0, 0);
  g_autoptr (SaeTrainer) resumed = sae_trainer_new (0, 0, 0);
  g_autoptr (SaeModel) model = NULL;

  g_assert_true (sae_trainer_start_from (whole, named, NULL));
  g_assert_true (sae_trainer_start_from (stopped, named, NULL));
  push (whole, x, 0, LONG_ROWS);
  sae_trainer_flush (whole, NULL);
  push (stopped, x, 0, 500); /* its biases are not scaled yet */
  resume_to_end (resumed, stopped, x, 500, path);
  expect_same_end (resumed, whole);
  model = model_of (resumed);
  g_assert_cmpstr (sae_model_get_metadata (model, "hook_name"), ==,
      "blocks.3 \"\xc3\xa4\"");
}

/* --- options -------------------------------------------------------------- */

static void
expect_refused (SaeCheckpoint *checkpoint, const char *options,
    const char *part)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, options};
  g_autoptr (SaeTrainer) trainer = step_trainer (&kind);
  g_autoptr (GError) error = NULL;

  g_assert_false (
      sae_trainer_resume (trainer, checkpoint, SAE_RESUME_CONTINUE, &error));
  scratch_assert_error (&error, SAE_ERROR_SIZE, part);
  g_assert_cmpuint (sae_trainer_get_received (trainer), ==, 0);
}

static void
test_options (Scratch *scratch, gconstpointer data)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, ""};
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  g_autoptr (SaeTrainer) trainer = step_trainer (&kind);
  g_autoptr (SaeCheckpoint) checkpoint = NULL;
  static const char *const allowed[] = {"learning-rate=0.5", "l1-coeff=0.5",
      "target-l0=5", "frozen=true", "n-threads=2", "total-rows=99999",
      "dict-size=0 top-k=0 sparsity=auto input-size=0 reduction=auto"};

  push (trainer, x, 0, 100);
  checkpoint = checkpoint_of (trainer, path);
  expect_refused (checkpoint, "optimizer=sgd",
      "optimizer: expected the checkpoint's adam, got sgd");
  expect_refused (checkpoint, "dict-size=65",
      "dict-size: expected the checkpoint's 64, got 65");
  expect_refused (checkpoint, "beta1=0.91",
      "beta1: expected the checkpoint's 0.9");
  expect_refused (checkpoint, "seed=10",
      "seed: expected the checkpoint's 9, got 10");
  expect_refused (checkpoint, "warmup-rows=301", "warmup-rows");
  expect_refused (checkpoint, "pre-bias=true",
      "pre-bias: expected the checkpoint's false, got true");
  expect_refused (checkpoint, "prefixes=8,16",
      "prefixes: expected the checkpoint's (none), got 8,16");
  expect_refused (checkpoint, "shuffle-rows=1", path);
  for (guint i = 0; i < G_N_ELEMENTS (allowed); i++) {
    const Kind other = {kind.optimizer, kind.sparsity, allowed[i]};
    g_autoptr (SaeTrainer) resumed = step_trainer (&other);
    g_autoptr (GError) error = NULL;
    sae_trainer_resume (resumed, checkpoint, SAE_RESUME_CONTINUE, &error);
    g_assert_no_error (error);
    push (resumed, x, 100, 200);
  }
}

/* A run that was not told its length, and one that was, by the same words:
 * schedule and warm-up stay as they were. */
static void
test_open_options_are_kept (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  SaeTrainer *trainers[3];
  g_autoptr (SaeCheckpoint) checkpoint = NULL;

  for (guint i = 0; i < 3; i++) { /* whole, stopped, resumed */
    trainers[i] = sae_trainer_new (D, D_SAE, 4);
    set_options (trainers[i], "normalize=none batch-size=32 n-threads=1");
    if (i < 2)
      set_options (trainers[i], "total-rows=1603");
  }
  push (trainers[0], x, 0, STEP_ROWS);
  push (trainers[1], x, 0, 800);
  checkpoint = checkpoint_of (trainers[1], path);
  g_assert_true (
      sae_trainer_resume (trainers[2], checkpoint, SAE_RESUME_CONTINUE, NULL));
  push (trainers[2], x, 800, STEP_ROWS);
  expect_same_end (trainers[2], trainers[0]);
  for (guint i = 0; i < 3; i++)
    g_object_unref (trainers[i]);
}

static void
test_failed_resume_changes_nothing (Scratch *scratch, gconstpointer data)
{
  const Kind kind = {SAE_OPTIMIZER_ADAM, SAE_SPARSITY_TOP_K, ""};
  const Kind sgd = {SAE_OPTIMIZER_SGD, SAE_SPARSITY_TOP_K, ""};
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = the_rows (STEP_ROWS);
  g_autoptr (SaeTrainer) whole = step_trainer (&kind);
  g_autoptr (SaeTrainer) trainer = step_trainer (&kind);
  g_autoptr (SaeTrainer) other = step_trainer (&sgd);
  g_autoptr (SaeCheckpoint) checkpoint = NULL;

  push (whole, x, 0, STEP_ROWS);
  push (other, x, 0, 50);
  checkpoint = checkpoint_of (other, path);
  push (trainer, x, 0, 333);
  g_assert_false (
      sae_trainer_resume (trainer, checkpoint, SAE_RESUME_REPLAY, NULL));
  push (trainer, x, 333, STEP_ROWS);
  expect_same_end (trainer, whole);
}

static void
test_before_the_start (void)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D, D_SAE, 4);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_trainer_checkpoint (trainer, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_STATE, "expected a started run");
}

/* --- every optimiser and rule --------------------------------------------- */

static void
add_kind (const GEnumValue *optimizer, const GEnumValue *sparsity,
    const char *options)
{
  static Kind kinds[128]; /* as long as the program, as their tests are */
  static guint n;
  Kind *kind = &kinds[n++];
  g_autofree char *name = g_strdup_printf ("%s-%s%s%s", optimizer->value_nick,
      sparsity->value_nick, *options ? "-" : "", options);
  g_autofree char *steps = NULL, *rows = NULL;

  g_assert_cmpuint (n, <=, G_N_ELEMENTS (kinds));
  *kind = (Kind){(SaeOptimizer) optimizer->value, (SaeSparsity) sparsity->value,
      options};
  g_strdelimit (name, " =", '-');
  steps = g_strconcat ("/trainer/resume/every-step/", name, NULL);
  rows = g_strconcat ("/trainer/resume/any-row/", name, NULL);
  g_test_add (steps, Scratch, kind, scratch_set_up, test_every_step,
      scratch_tear_down);
  g_test_add (rows, Scratch, kind, scratch_set_up, test_any_row,
      scratch_tear_down);
}

static void
add_kinds (void)
{
  GEnumClass *optimizers = g_type_class_ref (SAE_TYPE_OPTIMIZER);
  GEnumClass *rules = g_type_class_ref (SAE_TYPE_SPARSITY);

  for (guint i = 0; i < optimizers->n_values; i++)
    for (guint j = 0; j < rules->n_values; j++)
      for (guint v = 0; v < G_N_ELEMENTS (variants); v++)
        if (is_trained ((SaeSparsity) rules->values[j].value) &&
            (v == 0 || i == 0))
          add_kind (&optimizers->values[i], &rules->values[j], variants[v]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_kinds ();
#define ADD(name, test) scratch_add ("/trainer/resume/" name, test)
  ADD ("again-and-again", test_again_and_again);
  ADD ("replay-of-flushes", test_replay_of_flushes);
  ADD ("metrics-since-the-last", test_metrics_since_last);
  ADD ("bad-rows-are-received", test_bad_rows);
  ADD ("rates-that-change-by-batch", test_controlled);
  ADD ("from-a-model", test_from_model);
  ADD ("contradicting-options-are-refused", test_options);
  ADD ("open-options-are-kept", test_open_options_are_kept);
  ADD ("failure-changes-nothing", test_failed_resume_changes_nothing);
  g_test_add_func ("/trainer/resume/targets", test_targets);
  g_test_add_func ("/trainer/resume/checkpoint-before-the-start",
      test_before_the_start);
  return g_test_run ();
}
