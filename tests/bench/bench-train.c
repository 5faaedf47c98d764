/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-data.h"
#include "bench-options.h"
#include "bench-report.h"
#include "bench-works.h"
#include "npy-file.h"
#include "sae-enum-types.h"

/* The trainer steps for the first time when it has seen so many rows, from
 * which it takes the scale. */
#define SCALE_ROWS 8192

static gboolean
set_optimizer (SaeTrainer *trainer, GError **error)
{
  g_autoptr (GEnumClass) optimizers = g_type_class_ref (SAE_TYPE_OPTIMIZER);
  GEnumValue *value;

  if (!bench_options.optimizer)
    return TRUE;
  value = g_enum_get_value_by_nick (optimizers, bench_options.optimizer);
  if (value) {
    g_object_set (trainer, "optimizer", value->value, NULL);
    return TRUE;
  }
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
      "no optimizer %s", bench_options.optimizer);
  return FALSE;
}

/* A trainer that has started, from --model or anew. */
static SaeTrainer *
make_trainer (guint64 total_rows, GError **error)
{
  g_autoptr (SaeModel) model =
      bench_options.model ? bench_data_model (error) : NULL;
  g_autoptr (SaeTrainer) trainer = NULL;

  if (bench_options.model && !model)
    return NULL;
  if (!bench_options.k)
    bench_options.k = 32;
  trainer = sae_trainer_new ((guint) bench_options.d_in,
      (guint) bench_options.d_sae, (guint) bench_options.k);
  g_object_set (trainer, "batch-size", (guint) bench_options.batch, "n-threads",
      (guint) bench_options.threads, "learning-rate",
      bench_options.learning_rate, "seed", (guint64) bench_options.seed,
      "total-rows", total_rows, NULL);
  if (model) {
    g_autoptr (SaeConfig) config = sae_model_get_config (model);

    g_object_set (trainer, "pre-bias", config->pre_bias, NULL);
  }
  if (!set_optimizer (trainer, error) ||
      !(model ? sae_trainer_start_from (trainer, model, error)
              : sae_trainer_start (trainer, error)))
    return NULL;
  return g_steal_pointer (&trainer);
}

/* Pushes @n rows of the stream, a batch at a time; adds to @time, if given,
 * what the pushes alone took. */
static gboolean
push_rows (SaeTrainer *trainer, BenchStream *stream, float *rows, gsize n,
    BenchTime *time, GError **error)
{
  gsize batch = (gsize) bench_options.batch;

  for (gsize first = 0; first < n; first += batch) {
    gsize some = MIN (batch, n - first);
    BenchTime start;

    bench_stream_take (stream, some, rows);
    start = bench_now ();
    if (!sae_trainer_push_rows (trainer, rows, NULL, some, error))
      return FALSE;
    if (time)
      bench_add_since (time, start);
  }
  return TRUE;
}

static float *
make_batch (void)
{
  return g_new (float, (gsize) bench_options.batch *(gsize) bench_options.d_in);
}

static void
add_metrics (json_t *report, SaeTrainer *trainer)
{
  g_autoptr (SaeMetrics) metrics = sae_trainer_get_metrics (trainer);
  const char *optimizer = bench_options.optimizer;

  json_object_set_new (report, "optimizer",
      json_string (optimizer ? optimizer : "adam"));
  json_object_set_new (report, "steps",
      json_integer ((json_int_t) metrics->steps));
  json_object_set_new (report, "learning_rate",
      json_real (bench_options.learning_rate));
  json_object_set_new (report, "dead_fraction",
      json_real (metrics->dead_fraction));
}

/* --- a whole run --- */

static gboolean
add_held_out (json_t *report, SaeModel *model, GError **error)
{
  guint d = 0;
  g_autoptr (GBytes) x = npy_file_read (bench_options.held_out, &d, error);
  g_autoptr (GBytes) x_hat = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;

  if (!x || !(x_hat = sae_model_forward (model, x, &latents, error)) ||
      !(metrics = sae_measure (x, x_hat, d, latents, error)))
    return FALSE;
  json_object_set_new (report, "held_out_fvu", json_real (metrics->fvu));
  json_object_set_new (report, "held_out_l0", json_real (metrics->l0));
  return TRUE;
}

static gboolean
report_training (SaeTrainer *trainer, const BenchTimes *times, gsize n,
    GError **error)
{
  g_autoptr (SaeModel) model = sae_trainer_get_model (trainer, error);
  json_t *report;

  if (!model)
    return FALSE;
  report = bench_report_new ("gst-sae", "a training run", times, (double) n);
  json_object_set_new (report, "epochs", json_integer (bench_options.epochs));
  json_object_set_new (report, "train_rows", json_integer ((json_int_t) n));
  add_metrics (report, trainer);
  if (bench_options.held_out && !add_held_out (report, model, error)) {
    json_decref (report);
    return FALSE;
  }
  bench_report_print (report);
  return !bench_options.save ||
         sae_model_save (model, bench_options.save, error);
}

gboolean
bench_train (GBytes *x, GError **error)
{
  gsize n = bench_options.train_rows
                ? (gsize) bench_options.train_rows
                : (gsize) bench_options.rows * (gsize) bench_options.epochs;
  g_autoptr (SaeTrainer) trainer = make_trainer (n, error);
  g_auto (BenchTimes) times = bench_times_new ();
  g_auto (BenchStream) stream = bench_stream_new (x);
  g_autofree float *rows = make_batch ();
  BenchTime start = bench_now (), time = {0};

  if (!trainer || !push_rows (trainer, &stream, rows, n, NULL, error) ||
      !sae_trainer_flush (trainer, error))
    return FALSE;
  bench_add_since (&time, start);
  bench_times_add (&times, time);
  return report_training (trainer, &times, n, error);
}

/* --- steps --- */

gboolean
bench_step (GBytes *x, GError **error)
{
  gsize n = (gsize) bench_options.rows;
  gsize skip = bench_options.skip < 0 ? SCALE_ROWS : (gsize) bench_options.skip;
  /* A length that is known, for else a moving average is kept as well. */
  g_autoptr (SaeTrainer) trainer =
      make_trainer (skip + n * (gsize) bench_options.repeat, error);
  g_auto (BenchTimes) times = bench_times_new ();
  g_auto (BenchStream) stream = bench_stream_new (x);
  g_autofree float *rows = make_batch ();
  json_t *report;

  if (!trainer || !push_rows (trainer, &stream, rows, skip, NULL, error))
    return FALSE;
  for (int pass = 0; pass < bench_options.repeat; pass++) {
    BenchTime time = {0};

    if (!push_rows (trainer, &stream, rows, n, &time, error))
      return FALSE;
    bench_times_add (&times, time);
  }
  report = bench_report_new ("gst-sae", "training steps", &times, (double) n);
  json_object_set_new (report, "skip", json_integer ((json_int_t) skip));
  add_metrics (report, trainer);
  bench_report_print (report);
  return TRUE;
}
