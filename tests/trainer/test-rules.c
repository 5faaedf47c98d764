/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The golden runs of the training rules: first forward pass, losses, gradients,
 * their norms, thresholds and the parameters after ten steps, through the parts
 * that a step is made of and through the properties that everybody has.
 *
 * Tolerances are those of test-goldens.c, for the same sums of as many terms;
 * Matryoshka's three residuals and AuxK's two gradients add a rounding or two.
 * A sum of 48 numbers is off by sqrt (48) times what one of them is, 7. */
#include <math.h>
#include <string.h>

#include "expect.h"
#include "golden.h"
#include "run.h"
#include "sae-trainer.h"

#define FORWARD 2e-6
#define GRADIENT 5e-6
#define WEIGHTS 1e-5

#define D 48
#define D_SAE 320
#define ROWS 40
#define SUM_OF_ROW 7

static const char *const names[SAE_N_PARAMETERS] = {"W_enc", "b_enc", "W_dec",
    "b_dec", "log_threshold"};

/* --- comparing with what is stored ---------------------------------------- */

/* The sum of each row, which no sample of rows leaves out. */
static void
expect_row_sums (const Golden *golden, const char *name, const float *got,
    double tolerance)
{
  g_autofree char *sums = g_strconcat (name, "_row_sums", NULL);
  const float *want = golden_tensor (golden, sums, D_SAE);
  float largest = 0;

  for (gsize j = 0; j < D_SAE * D; j++)
    largest = MAX (largest, fabsf (got[j]));
  for (gsize i = 0; i < D_SAE; i++) {
    double sum = 0;
    for (gsize j = 0; j < D; j++)
      sum += got[i * D + j];
    expect_within (sums, sum, want[i], SUM_OF_ROW * tolerance * largest);
  }
}

/* A matrix [d_sae, D] by the rows that are stored and by its row sums. */
static void
expect_matrix (const Golden *golden, const char *name, const float *got,
    double tolerance)
{
  gsize step = golden->row_step, n = (D_SAE + step - 1) / step;
  g_autofree float *rows = g_new (float, n *D);

  for (gsize r = 0; r < n; r++)
    memcpy (rows + r * D, got + r * step * D, D * sizeof *rows);
  expect_close (name, rows, golden_tensor (golden, name, n * D), n * D,
      tolerance);
  expect_row_sums (golden, name, got, tolerance);
}

static void
expect_parameter (const Golden *golden, const char *prefix, guint which,
    const float *got, double tolerance)
{
  g_autofree char *name = g_strconcat (prefix, names[which], NULL);
  gsize n = which == SAE_B_DEC ? D : D_SAE;

  if (which == SAE_W_ENC || which == SAE_W_DEC)
    expect_matrix (golden, name, got, tolerance);
  else
    expect_close (name, got, golden_tensor (golden, name, n), n, tolerance);
}

static float
series (const Golden *golden, const char *name, guint step)
{
  return golden_tensor (golden, name, golden->steps)[step];
}

/* Weights after some steps are off by WEIGHTS, an error squared by twice that;
 * the first step has only the forward pass behind it. */
static double
loss_tolerance (guint step)
{
  return step == 0 ? 2 * FORWARD : 2 * WEIGHTS;
}

/* --- through the parts of a step ------------------------------------------ */

static SaeRun *
start_run (const Golden *golden)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) start = golden_start (golden);
  SaeRun *run = sae_run_new (&golden->options, start, &error);

  g_assert_no_error (error);
  return run;
}

static void
take_step (const Golden *golden, SaeRun *run, guint step)
{
  g_autoptr (GBytes) rows = golden_rows (golden, step);
  g_autoptr (GError) error = NULL;
  const float *x = g_bytes_get_data (rows, NULL);

  sae_run_step (run, x, x, ROWS, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (run->steps, ==, step + 1);
}

/* Latents and reconstruction of the step that was taken. */
static void
expect_forward (const Golden *golden, const SaeRun *run)
{
  const SaeGradients *g = &run->gradients;
  gsize last = MAX (1, run->n_prefixes) - 1;
  const float *x_hat = run->scratch[SAE_RUN_X_HAT].data;
  g_autofree float *dense = g_new0 (float, ROWS *D_SAE);

  for (gsize i = 0; i < D_SAE; i++)
    for (gsize p = g->first[i]; p < g->first[i + 1]; p++)
      dense[g->row[p] * D_SAE + i] = g->h[p];
  expect_close ("latents0", dense,
      golden_tensor (golden, "latents0", ROWS * D_SAE), ROWS * D_SAE, FORWARD);
  expect_close ("x_hat0", x_hat + last * ROWS * D,
      golden_tensor (golden, "x_hat0", ROWS * D), ROWS * D, FORWARD);
}

/* Total, reconstruction, sparsity and AuxK. */
static void
expect_losses (const Golden *golden, const SaeRun *run, guint step)
{
  const float *want = golden_tensor (golden, "losses", 40) + 4 * step;
  const SaeTrainerOptions *o = &golden->options;
  double unit = o->reduction == SAE_REDUCTION_SUM ? D : 1;
  double aux = run->aux.n_dead ? run->aux.loss : 0;
  double total = run->gradients.loss + o->aux_coeff * unit * aux;
  double tolerance = loss_tolerance (step);

  expect_within ("loss", total, want[0], tolerance * want[0]);
  expect_within ("reconstruction", run->gradients.mse, want[1],
      tolerance * want[1]);
  expect_within ("sparsity", run->gradients.l1, want[2], tolerance * want[2]);
  expect_within ("aux", aux, want[3], tolerance * want[3]);
  expect_within ("gradient norm", run->gradient_norm,
      series (golden, "grad_norms", step),
      tolerance * series (golden, "grad_norms", step));
}

static void
expect_threshold (const Golden *golden, const SaeRun *run, guint step)
{
  double want;

  if (!golden_has (golden, "thresholds"))
    return;
  want = series (golden, "thresholds", step);
  expect_within ("threshold", sae_batch_top_k_get_threshold (&run->batch_top_k),
      want, loss_tolerance (step) * want);
}

static void
test_run (gconstpointer data)
{
  const Golden *golden = data;
  SaeRun *run = start_run (golden);

  for (guint step = 0; step < golden->steps; step++) {
    expect_with ("%s, step %u", golden->name, step);
    take_step (golden, run, step);
    if (step == 0)
      expect_forward (golden, run);
    expect_losses (golden, run, step);
    expect_threshold (golden, run, step);
  }
  for (guint i = 0; i < SAE_N_PARAMETERS; i++)
    if (run->parameters[i].n)
      expect_parameter (golden, "final_", i, run->parameters[i].w, WEIGHTS);
  g_assert_cmpint (run->parameters[SAE_THRESHOLD].n > 0, ==,
      golden_has (golden, "final_log_threshold"));
  sae_run_free (run);
}

static void
expect_row_gradients (const Golden *golden, const SaeRun *run)
{
  g_autofree float *W_enc = g_new (float, D_SAE *D);
  g_autofree float *W_dec = g_new (float, D_SAE *D);
  float scratch[2 * D];

  for (guint i = 0; i < D_SAE; i++) {
    sae_gradients_row (&run->gradients, i, W_enc + i * D, W_dec + i * D);
    if (sae_aux_k_is_active (&run->aux, i))
      sae_aux_k_add_row (&run->aux, i, W_enc + i * D, W_dec + i * D, scratch);
  }
  expect_parameter (golden, "grad_", SAE_W_ENC, W_enc, GRADIENT);
  expect_parameter (golden, "grad_", SAE_W_DEC, W_dec, GRADIENT);
}

static void
expect_bias_gradients (const Golden *golden, const SaeRun *run)
{
  float b_enc[D_SAE], b_dec[D];

  memcpy (b_enc, run->gradients.b_enc, sizeof b_enc);
  memcpy (b_dec, run->gradients.b_dec, sizeof b_dec);
  sae_aux_k_add_biases (&run->aux, b_enc, b_dec);
  expect_parameter (golden, "grad_", SAE_B_ENC, b_enc, GRADIENT);
  expect_parameter (golden, "grad_", SAE_B_DEC, b_dec, GRADIENT);
}

/* A step of rate 0 leaves weights and gradients, before projection and
 * clipping, to be looked at. */
static void
test_gradients (gconstpointer data)
{
  const Golden *golden = data;
  SaeRun *run = start_run (golden);

  for (guint step = 0; step < golden->gradient_step; step++)
    take_step (golden, run, step);
  run->options.learning_rate = 0;
  take_step (golden, run, golden->gradient_step);
  expect_with ("%s, step %u", golden->name, golden->gradient_step);
  expect_row_gradients (golden, run);
  expect_bias_gradients (golden, run);
  if (run->thresholds.gradient)
    expect_parameter (golden, "grad_", SAE_THRESHOLD, run->thresholds.gradient,
        GRADIENT);
  sae_run_free (run);
}

/* --- through properties --------------------------------------------------- */

static SaeTrainer *
trainer_of (const SaeTrainerOptions *o)
{
  SaeTrainer *trainer = g_object_new (SAE_TYPE_TRAINER, "sparsity", o->sparsity,
      "reduction", o->reduction, "normalize", SAE_NORMALIZE_NONE,
      "decoder-norm", o->decoder_norm, "schedule", SAE_SCHEDULE_CONSTANT,
      "warmup-rows", (gint64) 0, "average", (gint64) 0, "decoder-rate", 1.0,
      "threshold-rate", 1.0, "batch-size", o->batch_size, "optimizer",
      o->optimizer, "momentum", o->momentum, "beta1", o->beta1, "beta2",
      o->beta2, "epsilon", o->epsilon, "learning-rate", o->learning_rate,
      "l1-coeff", o->l1_coeff, NULL);

  g_object_set (trainer, "grad-clip", o->grad_clip, "aux-k", o->aux_k,
      "aux-coeff", o->aux_coeff, "dead-after", o->dead_after, "k-start",
      o->k_start, "k-anneal-rows", o->k_anneal_rows, "prefixes", o->prefixes,
      "bandwidth", o->bandwidth, "l1-warmup-rows", o->l1_warmup_rows, NULL);
  return trainer;
}

/* Metrics are per row and value, of the whole dictionary, whatever the loss
 * is; its parts can be compared where they are of these. */
static void
expect_parts (const Golden *golden, guint step, const SaeMetrics *m)
{
  const SaeTrainerOptions *o = &golden->options;
  const float *want = golden_tensor (golden, "losses", 40) + 4 * step;
  gboolean sum = o->reduction == SAE_REDUCTION_SUM;
  double tolerance = 2 * WEIGHTS;

  if (!o->prefixes[0])
    expect_within ("mse", m->mse, sum ? want[1] / D : want[1],
        tolerance * want[1]);
  if (!sum)
    expect_within ("l1", m->l1, want[2] * D_SAE, tolerance * want[2] * D_SAE);
  if (o->sparsity == SAE_SPARSITY_JUMP_RELU)
    expect_within ("l0", m->l0, want[2], 1e-6 * want[2]);
}

static void
expect_metrics (const Golden *golden, guint step, const SaeMetrics *m)
{
  const float *want = golden_tensor (golden, "losses", 40) + 4 * step;
  double norm = series (golden, "grad_norms", step), tolerance = 2 * WEIGHTS;
  double threshold = golden_has (golden, "thresholds")
                         ? series (golden, "thresholds", step)
                         : 0;

  g_assert_cmpuint (m->rows, ==, ROWS);
  g_assert_cmpuint (m->steps, ==, step + 1);
  g_assert_cmpuint (m->skipped_rows, ==, 0);
  expect_within ("loss", m->loss, want[0], tolerance * want[0]);
  expect_within ("aux", m->aux_loss, want[3], tolerance * want[3]);
  expect_within ("gradient norm", m->gradient_norm, norm, tolerance * norm);
  expect_within ("threshold", m->threshold, threshold, tolerance * threshold);
  g_assert_cmpfloat (m->learning_rate, ==, golden->options.learning_rate);
  expect_parts (golden, step, m);
}

/* Each latent's own threshold, or the one that batch-top-k has learned. */
static void
expect_model_threshold (const Golden *golden, SaeModel *model)
{
  g_autoptr (GBytes) threshold = sae_model_get_threshold (model);
  const float *got;
  float logs[D_SAE];

  if (!threshold) {
    g_assert_false (golden_has (golden, "final_log_threshold"));
    g_assert_false (golden_has (golden, "thresholds"));
    return;
  }
  g_assert_cmpint (sae_model_get_sparsity (model), ==, SAE_SPARSITY_JUMP_RELU);
  got = g_bytes_get_data (threshold, NULL);
  for (guint i = 0; i < D_SAE; i++)
    logs[i] = logf (got[i]);
  if (golden_has (golden, "final_log_threshold")) {
    expect_parameter (golden, "final_", SAE_THRESHOLD, logs, WEIGHTS);
    return;
  }
  double want = series (golden, "thresholds", golden->steps - 1);
  for (guint i = 0; i < D_SAE; i++)
    expect_within ("threshold", got[i], want, 2 * WEIGHTS * want);
}

static void
expect_model (const Golden *golden, SaeModel *model)
{
  GBytes *(*const getters[]) (SaeModel *) = {sae_model_get_W_enc,
      sae_model_get_b_enc, sae_model_get_W_dec, sae_model_get_b_dec};

  for (guint i = 0; i < G_N_ELEMENTS (getters); i++) {
    g_autoptr (GBytes) bytes = getters[i](model);
    expect_parameter (golden, "final_", i, g_bytes_get_data (bytes, NULL),
        WEIGHTS);
  }
  expect_model_threshold (golden, model);
}

static void
test_public (gconstpointer data)
{
  const Golden *golden = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) start = golden_start (golden);
  g_autoptr (SaeTrainer) trainer = trainer_of (&golden->options);
  g_autoptr (SaeModel) model = NULL;

  sae_trainer_start_from (trainer, start, &error);
  g_assert_no_error (error);
  for (guint step = 0; step < golden->steps; step++) {
    g_autoptr (GBytes) x = golden_rows (golden, step);
    g_autoptr (SaeMetrics) metrics = NULL;
    sae_trainer_push (trainer, x, NULL, &error);
    g_assert_no_error (error);
    metrics = sae_trainer_take_metrics (trainer);
    expect_with ("%s, step %u", golden->name, step);
    expect_metrics (golden, step, metrics);
  }
  model = sae_trainer_get_model (trainer, &error);
  g_assert_no_error (error);
  expect_model (golden, model);
}

static void
add (const char *what, const Golden *golden, GTestDataFunc test)
{
  g_autofree char *path =
      g_strdup_printf ("/trainer/rules/%s/%s", golden->name, what);

  g_test_add_data_func (path, golden, test);
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) goldens = NULL;

  g_test_init (&argc, &argv, NULL);
  goldens = golden_load_all ("rules");
  g_assert_cmpuint (goldens->len, ==, 17);
  for (guint i = 0; i < goldens->len; i++) {
    add ("losses-and-parameters", goldens->pdata[i], test_run);
    add ("gradients", goldens->pdata[i], test_gradients);
    add ("through-properties", goldens->pdata[i], test_public);
  }
  return g_test_run ();
}
