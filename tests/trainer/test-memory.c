/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every large allocation fails once: an error each time, no abort, and what
 * was there before still works. */
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "fail-allocations.h"
#include "fault.h"
#include "sae-trainer.h"
#include "sample.h"
#include "scratch.h"

/* Wide enough that every array of a model, of a row of latents and of the
 * statistics over columns is large. */
#define D 17000
#define D_SAE 17000
#define D_NARROW 8
#define N_ROWS 9000

/* Does something that may fail for lack of memory; TRUE when it worked. */
typedef gboolean (*Attempt) (gpointer data, GError **error);

/* Runs @attempt with its first, second, … large allocation failing, until it
 * runs to its end without. */
static void
fail_each (Attempt attempt, gpointer data)
{
  guint nth = 1;

  for (gboolean failed = TRUE; failed; nth++) {
    g_autoptr (GError) error = NULL;
    gboolean ok;
    fail_allocation (nth);
    ok = attempt (data, &error);
    failed = fail_allocation_end ();
    expect_with ("allocation %u", nth);
    if (!ok)
      expect_error (&error, SAE_ERROR, SAE_ERROR_NO_SPACE, "no memory");
    else
      g_assert_no_error (error);
    g_assert_true (ok || failed);
  }
  g_assert_cmpuint (nth, >, 2);
  fault_report (9, nth - 2, nth - 2, 0);
}

/* A model that is wide, or that has many latents. */
static SaeConfig
narrow_config (void)
{
  return (SaeConfig){.d_in = D_NARROW, .d_sae = D_SAE, .k = 20};
}

static SaeConfig
wide_config (void)
{
  return (SaeConfig){.d_in = D, .d_sae = 24, .k = 4};
}

static gboolean
make_model (gpointer data, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_new (data, 1, SAE_INIT_TIED, error);

  return model != NULL;
}

static gboolean
copy_model (gpointer data, GError **error)
{
  g_autoptr (SaeConfig) config = sae_model_get_config (data);
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (data);
  g_autoptr (GBytes) b_enc = sae_model_get_b_enc (data);
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (data);
  g_autoptr (GBytes) b_dec = sae_model_get_b_dec (data);
  g_autoptr (SaeModel) model =
      sae_model_new_from_weights (config, W_enc, b_enc, W_dec, b_dec, error);

  return model != NULL;
}

static void
test_model (void)
{
  SaeConfig configs[] = {narrow_config (), wide_config ()};

  for (guint i = 0; i < 2; i++) {
    g_autoptr (SaeModel) model =
        sae_model_new (&configs[i], 1, SAE_INIT_TIED, NULL);
    fail_each (make_model, &configs[i]);
    fail_each (copy_model, model);
  }
}

typedef struct {
  SaeModel *model;
  GBytes *x;
  const char *path;
} Use;

static gboolean
encode_and_decode (gpointer data, GError **error)
{
  Use *use = data;
  g_autoptr (SaeLatents) latents = sae_model_encode (use->model, use->x, error);
  g_autoptr (GBytes) x_hat =
      latents ? sae_model_decode (use->model, latents, error) : NULL;

  return x_hat != NULL;
}

static gboolean
run_forward (gpointer data, GError **error)
{
  Use *use = data;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) x_hat =
      sae_model_forward (use->model, use->x, &latents, error);

  g_assert_true (!x_hat == !latents);
  return x_hat != NULL;
}

static gboolean
there_and_back (gpointer data, GError **error)
{
  Use *use = data;
  g_autoptr (SaeModel) loaded = NULL;

  if (!sae_model_save (use->model, use->path, error))
    return FALSE;
  loaded = sae_model_load (use->path, error);
  return loaded != NULL;
}

static void
test_use (Scratch *scratch, gconstpointer data)
{
  SaeConfig configs[] = {narrow_config (), wide_config ()};
  const gsize n_rows[] = {N_ROWS, 20};
  g_autofree char *path = scratch_path (scratch, "model");

  for (guint i = 0; i < 2; i++) {
    Noise noise = noise_new ();
    g_autoptr (SaeModel) model = sample_model (&noise, &configs[i]);
    g_autoptr (GBytes) x = sample_rows (&noise, n_rows[i], configs[i].d_in);
    Use use = {model, x, path};
    fail_each (encode_and_decode, &use);
    fail_each (run_forward, &use);
    fail_each (there_and_back, &use);
    g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  }
}

/* A workspace that could not grow can be used again. */
static gboolean
encode_rows (gpointer data, GError **error)
{
  Use *use = data;
  static SaeWorkspace *workspace;
  const gsize *offsets;
  const guint32 *indices;
  const float *values;
  gboolean ok;

  if (!workspace)
    workspace = sae_workspace_new (2);
  ok = sae_model_encode_rows (use->model, workspace,
      g_bytes_get_data (use->x, NULL), N_ROWS, &offsets, &indices, &values,
      error);
  if (ok)
    g_clear_pointer (&workspace, sae_workspace_unref);
  return ok;
}

static void
test_workspace (void)
{
  Noise noise = noise_new ();
  SaeConfig config = narrow_config ();
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) x = sample_rows (&noise, N_ROWS, D_NARROW);
  Use use = {model, x, NULL};

  fail_each (encode_rows, &use);
}

static gboolean
convert_latents (gpointer data, GError **error)
{
  GBytes *dense = data;
  g_autoptr (SaeLatents) latents = NULL, pairs = NULL;
  g_autoptr (GBytes) back = NULL;

  latents = sae_latents_new_from_dense (10, dense, error);
  back = latents ? sae_latents_to_dense (latents, error) : NULL;
  if (back)
    pairs = sae_latents_new_from_pairs ((guint) (g_bytes_get_size (dense) / 40),
        G_MAXUINT, dense, dense, error);
  return pairs != NULL;
}

static void
test_latents (void)
{
  Noise noise = noise_new ();
  g_autoptr (GBytes) dense = sample_floats (&noise, NOISE_UNIFORM, 100000);

  fail_each (convert_latents, dense);
}

/* More rows than any memory has offsets for. */
static void
test_endless_pairs (void)
{
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeLatents) latents = NULL;

  fail_allocation (1);
  latents = sae_latents_new_from_pairs (G_MAXUINT, 5, none, none, &error);
  g_assert_true (fail_allocation_end ());
  g_assert_null (latents);
  expect_error (&error, SAE_ERROR, SAE_ERROR_NO_SPACE, "no memory");
}

/* A row so long that putting it in order takes memory. */
static gboolean
decode_unordered (gpointer data, GError **error)
{
  SaeModel *model = data;
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  static guint32 indices[20000];
  static float values[20000];
  const gsize n = 20000, offsets[] = {0, n};
  float x_hat[D_NARROW];

  for (guint i = 0; i < n; i++) {
    indices[i] = (guint32) (n - i) % D_SAE;
    values[i] = 1;
  }
  return sae_model_decode_rows (model, workspace, offsets, indices, values, 1,
      x_hat, error);
}

static void
test_unordered (void)
{
  Noise noise = noise_new ();
  SaeConfig config = narrow_config ();
  g_autoptr (SaeModel) model = sample_model (&noise, &config);

  fail_each (decode_unordered, model);
}

static gboolean
measure (gpointer data, GError **error)
{
  GBytes *const *pair = data;
  g_autoptr (SaeMetrics) wide = sae_measure (pair[0], pair[0], D, NULL, error);
  g_autoptr (SaeMetrics) tall =
      wide ? sae_measure (pair[1], pair[1], 2, NULL, error) : NULL;

  return tall != NULL;
}

static void
test_metrics (void)
{
  Noise noise = noise_new ();
  g_autoptr (GBytes) wide = sample_rows (&noise, 3, D);
  g_autoptr (GBytes) tall = sample_rows (&noise, N_ROWS, 2);

  fail_each (measure, (GBytes *[]){wide, tall});
}

typedef struct {
  SaeConfig config;
  SaeModel *start; /* nullable */
  GBytes *x;
  SaeNormalize normalize;
  /* with more than the plain rule of the config: */
  SaeSparsity rule; /* auto: none of these */
  guint batch_size;
  double grad_clip;
  const char *prefixes;
} Training;

/* AuxK from the second step on, and an average from the eighth. */
static void
set_rule (SaeTrainer *trainer, const Training *t)
{
  g_object_set (trainer, "sparsity", t->rule, "batch-size", t->batch_size,
      "grad-clip", t->grad_clip, "prefixes", t->prefixes, "aux-k", (gint64) 30,
      "dead-after", (guint64) 1, "average", (gint64) 50, NULL);
}

static gboolean
push_and_step (SaeTrainer *trainer, GBytes *x, GError **error)
{
  return sae_trainer_push (trainer, x, NULL, error) &&
         sae_trainer_push (trainer, x, x, error) &&
         sae_trainer_step (trainer, x, NULL, error) &&
         sae_trainer_flush (trainer, error);
}

/* The whole life of a trainer. What could not be trained on can be pushed
 * again. */
static gboolean
train (gpointer data, GError **error)
{
  const Training *t = data;
  g_autoptr (SaeTrainer) trainer =
      sae_trainer_new (t->config.d_in, t->config.d_sae, t->config.k);
  g_autoptr (SaeModel) model = NULL;

  g_object_set (trainer, "sparsity", t->config.sparsity, "pre-bias",
      t->config.pre_bias, "batch-size", 700u, "n-threads", 2u, "normalize",
      t->normalize, NULL);
  if (t->rule)
    set_rule (trainer, t);
  if (t->start && !sae_trainer_start_from (trainer, t->start, error))
    return FALSE;
  if (!push_and_step (trainer, t->x, error)) {
    g_assert_true (push_and_step (trainer, t->x, NULL));
    return FALSE;
  }
  model = sae_trainer_get_model (trainer, error);
  return model != NULL;
}

static void
test_train (void)
{
  Noise noise = noise_new ();
  SaeConfig l1 = {.d_in = 12, .d_sae = 400, .sparsity = SAE_SPARSITY_L1};
  SaeConfig top_k = {.d_in = 12, .d_sae = 100, .k = 5, .pre_bias = TRUE};
  SaeConfig wide = wide_config (), many = narrow_config ();
  g_autoptr (SaeModel) start = sample_model (&noise, &many);
  g_autoptr (GBytes) x = sample_rows (&noise, 1500, 12);
  g_autoptr (GBytes) x_wide = sample_rows (&noise, 6, D);
  g_autoptr (GBytes) x_narrow = sample_rows (&noise, 100, D_NARROW);

  fail_each (train, &(Training){l1, NULL, x});
  fail_each (train, &(Training){top_k, NULL, x});
  fail_each (train, &(Training){wide, NULL, x_wide, SAE_NORMALIZE_NONE});
  fail_each (train, &(Training){many, start, x_narrow});
}

/* A run that is copied, written, read and resumed. */
static gboolean
stop_and_resume (gpointer data, GError **error)
{
  const Use *use = data;
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (12, 400, 5);
  g_autoptr (SaeTrainer) resumed = sae_trainer_new (12, 400, 5);
  g_autoptr (SaeCheckpoint) checkpoint = NULL, loaded = NULL;

  g_object_set (trainer, "shuffle-rows", (guint64) 2000, NULL);
  g_object_set (resumed, "shuffle-rows", (guint64) 2000, NULL);
  if (!sae_trainer_push (trainer, use->x, use->x, error))
    return FALSE;
  checkpoint = sae_trainer_checkpoint (trainer, error);
  if (!checkpoint || !sae_checkpoint_save (checkpoint, use->path, error))
    return FALSE;
  loaded = sae_checkpoint_load (use->path, error);
  return loaded &&
         sae_trainer_resume (resumed, loaded, SAE_RESUME_CONTINUE, error);
}

static void
test_checkpoint (Scratch *scratch, gconstpointer data)
{
  Noise noise = noise_new ();
  g_autofree char *path = scratch_path (scratch, "checkpoint");
  g_autoptr (GBytes) x = sample_rows (&noise, 3000, 12);
  Use use = {NULL, x, path};

  fail_each (stop_and_resume, &use);
}

/* Every rule that has memory of its own, of d_sae, of the active latents and of
 * a batch's rows. */
static void
test_train_rules (void)
{
  const SaeSparsity rules[] = {SAE_SPARSITY_BATCH_TOP_K, SAE_SPARSITY_JUMP_RELU,
      SAE_SPARSITY_L1};
  Noise noise = noise_new ();
  SaeConfig many = narrow_config ();
  SaeConfig few = {.d_in = 12, .d_sae = 200, .k = 20};
  g_autoptr (SaeModel) start = sample_model (&noise, &many);
  g_autoptr (GBytes) x_narrow = sample_rows (&noise, 24, D_NARROW);
  g_autoptr (GBytes) x = sample_rows (&noise, 1500, 12);

  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    gboolean has_k = rules[i] == SAE_SPARSITY_BATCH_TOP_K;
    g_test_message ("rule %d", rules[i]);
    fail_each (train, &(Training){many, start, x_narrow, SAE_NORMALIZE_NONE,
                          rules[i], 6, 0, has_k ? "5000" : ""});
    fail_each (train, &(Training){few, NULL, x, SAE_NORMALIZE_NONE, rules[i],
                          1000, 0.1, has_k ? "50,100" : ""});
  }
}

/* Where all the rows that the scale is taken from are there before the first
 * thresholds are looked for. */
static void
test_first_thresholds (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = 12, .d_sae = 40, .k = 4};
  g_autoptr (GBytes) x = sample_rows (&noise, N_ROWS, 12);

  fail_each (train, &(Training){config, NULL, x, SAE_NORMALIZE_AUTO,
                        SAE_SPARSITY_JUMP_RELU, 4000, 0, ""});
}

static gboolean
start_trainer (gpointer data, GError **error)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (4200, 8, 2);

  return sae_trainer_start (trainer, error);
}

/* Means over so many columns that they are large too. */
static void
test_start (void)
{
  fail_each (start_trainer, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/memory/model", test_model);
  scratch_add ("/trainer/memory/encode-decode-save-load", test_use);
  g_test_add_func ("/trainer/memory/workspace-is-used-again", test_workspace);
  g_test_add_func ("/trainer/memory/latents", test_latents);
  g_test_add_func ("/trainer/memory/unordered-codes", test_unordered);
  g_test_add_func ("/trainer/memory/endless-pairs", test_endless_pairs);
  g_test_add_func ("/trainer/memory/metrics", test_metrics);
  g_test_add_func ("/trainer/memory/start", test_start);
  g_test_add_func ("/trainer/memory/train", test_train);
  scratch_add ("/trainer/memory/stop-and-resume", test_checkpoint);
  g_test_add_func ("/trainer/memory/train-by-every-rule", test_train_rules);
  g_test_add_func ("/trainer/memory/first-thresholds", test_first_thresholds);
  return g_test_run ();
}
