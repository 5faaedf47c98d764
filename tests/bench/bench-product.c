/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "bench-blas.h"
#include "bench-data.h"
#include "bench-options.h"
#include "bench-report.h"
#include "bench-works.h"

typedef struct {
  GBytes *W_enc;
  float *y; /* [batch, d_sae] */
} Encoder;

static void
encoder_clear (Encoder *encoder)
{
  g_clear_pointer (&encoder->W_enc, g_bytes_unref);
  g_free (encoder->y);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoder, encoder_clear)

static gboolean
encoder_init (Encoder *encoder, GError **error)
{
  g_autoptr (SaeModel) model = bench_data_model (error);

  if (!model)
    return FALSE;
  encoder->W_enc = sae_model_get_W_enc (model);
  encoder->y =
      g_new0 (float, (gsize) bench_options.batch *(gsize) bench_options.d_sae);
  return TRUE;
}

/* The time of all rows, --batch at a time. */
static BenchTime
run_pass (const BenchBlas *blas, const Encoder *encoder, const float *x,
    gsize n_rows)
{
  const float *W = g_bytes_get_data (encoder->W_enc, NULL);
  gsize batch = (gsize) bench_options.batch, d = (gsize) bench_options.d_in;
  gsize d_sae = (gsize) bench_options.d_sae;
  BenchTime start = bench_now (), time = {0};

  for (gsize first = 0; first < n_rows; first += batch) {
    const float *rows = x + first * d;

    if (g_str_equal (bench_options.work, "sgemv"))
      blas->sgemv (rows, W, d_sae, d, encoder->y);
    else
      blas->product (rows, MIN (batch, n_rows - first), W, d_sae, d,
          encoder->y);
  }
  bench_add_since (&time, start);
  return time;
}

static gboolean
is_wanted (const BenchBlas *blas)
{
  const char *wanted = bench_options.library ? bench_options.library : "best";

  if (g_str_equal (bench_options.work, "sgemv") && !blas->sgemv)
    return FALSE;
  return g_str_equal (wanted, "best") || g_str_equal (wanted, blas->name);
}

static void
print (const BenchBlas *blas, const BenchTimes *times)
{
  double flop =
      2.0 * bench_options.rows * bench_options.d_in * bench_options.d_sae;
  g_autofree char *build = blas->describe ();
  json_t *report = bench_report_new (blas->name,
      "x W_encᵀ in float32, all latents", times, bench_options.rows);

  json_object_set_new (report, "build", json_string (build));
  json_object_set_new (report, "gflops",
      json_real (1e-9 * flop / bench_times_min (times)));
  bench_report_print (report);
}

/* That the first row of the last pass is what it should be: a product of the
 * wrong matrix takes as long. */
static gboolean
check (const BenchBlas *blas, const Encoder *encoder, const float *x,
    GError **error)
{
  const float *W = g_bytes_get_data (encoder->W_enc, NULL);
  gsize d = (gsize) bench_options.d_in;

  for (gsize i = 0; i < (gsize) bench_options.d_sae; i++) {
    double sum = 0, size = 0;

    for (gsize j = 0; j < d; j++) {
      sum += (double) x[j] * W[i * d + j];
      size += fabs ((double) x[j] * W[i * d + j]);
    }
    if (!(fabs (encoder->y[i] - sum) <= 1e-5 * size)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "%s: latent %" G_GSIZE_FORMAT ": expected %g, got %g", blas->name, i,
          sum, encoder->y[i]);
      return FALSE;
    }
  }
  return TRUE;
}

/* Opens @blas, and runs it once. */
static gboolean
start (const BenchBlas *blas, const Encoder *encoder, const float *x,
    GError **error)
{
  gsize n = MIN ((gsize) bench_options.rows, (gsize) bench_options.batch);

  if (!blas->open (bench_options_threads (), error))
    return FALSE;
  run_pass (blas, encoder, x, n);
  return check (blas, encoder, x, error);
}

/* The libraries in turns; of those that are wanted, the fastest reports. */
static gboolean
run_libraries (GBytes *x, GError **error)
{
  g_auto (Encoder) encoder = {0};
  const float *rows = g_bytes_get_data (x, NULL);
  gsize n_rows = (gsize) bench_options.rows;
  BenchTimes times[8];
  const BenchBlas *opened[8];
  guint n = 0, best = 0;

  if (!encoder_init (&encoder, error))
    return FALSE;
  for (const BenchBlas *const *b = bench_blas; *b; b++)
    if (is_wanted (*b)) {
      if (!start (*b, &encoder, rows, error))
        return FALSE;
      opened[n] = *b;
      times[n++] = bench_times_new ();
    }
  if (n == 0) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--library=%s: not in this build", bench_options.library);
    return FALSE;
  }
  for (int pass = 0; pass < bench_options.repeat; pass++)
    for (guint i = 0; i < n; i++)
      bench_times_add (&times[i], run_pass (opened[i], &encoder, rows, n_rows));
  for (guint i = 1; i < n; i++)
    if (bench_times_min (&times[i]) < bench_times_min (&times[best]))
      best = i;
  print (opened[best], &times[best]);
  for (guint i = 0; i < n; i++)
    bench_times_clear (&times[i]);
  return TRUE;
}

gboolean
bench_product (GBytes *x, GError **error)
{
  return run_libraries (x, error);
}

gboolean
bench_sgemv (GBytes *x, GError **error)
{
  bench_options.batch = 1;
  return run_libraries (x, error);
}
