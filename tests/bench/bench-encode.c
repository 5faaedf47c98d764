/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-data.h"
#include "bench-options.h"
#include "bench-report.h"
#include "bench-works.h"

typedef struct {
  const gsize *offsets;
  const guint32 *indices;
  const float *values;
} Codes;

typedef struct {
  SaeModel *model;
  SaeWorkspace *encoder, *decoder;
  float *x_hat; /* [batch, d_in] */
  /* Of the pass so far. */
  BenchTime encode_time, decode_time;
  gsize n_latents;
} Coder;

static void
coder_clear (Coder *coder)
{
  g_clear_pointer (&coder->model, sae_model_unref);
  g_clear_pointer (&coder->encoder, sae_workspace_unref);
  g_clear_pointer (&coder->decoder, sae_workspace_unref);
  g_free (coder->x_hat);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Coder, coder_clear)

static gboolean
encode_batch (Coder *coder, const float *x, gsize n, Codes *codes,
    GError **error)
{
  BenchTime start = bench_now ();
  gboolean ok = sae_model_encode_rows (coder->model, coder->encoder, x, n,
      &codes->offsets, &codes->indices, &codes->values, error);

  bench_add_since (&coder->encode_time, start);
  if (ok)
    coder->n_latents += codes->offsets[n];
  return ok;
}

static gboolean
decode_batch (Coder *coder, const Codes *codes, gsize n, GError **error)
{
  BenchTime start = bench_now ();
  gboolean ok = sae_model_decode_rows (coder->model, coder->decoder,
      codes->offsets, codes->indices, codes->values, n, coder->x_hat, error);

  bench_add_since (&coder->decode_time, start);
  return ok;
}

static gboolean
run_pass (Coder *coder, const float *x, gsize n_rows, gboolean decode,
    GError **error)
{
  gsize batch = (gsize) bench_options.batch;
  Codes codes;

  coder->encode_time = coder->decode_time = (BenchTime){0};
  coder->n_latents = 0;
  for (gsize first = 0; first < n_rows; first += batch) {
    gsize n = MIN (batch, n_rows - first);

    if (!encode_batch (coder, x + first * (gsize) bench_options.d_in, n, &codes,
            error) ||
        (decode && !decode_batch (coder, &codes, n, error)))
      return FALSE;
  }
  return TRUE;
}

/* Rows that only warm up caches, threads and scratch memory. */
static gsize
rows_to_skip (gsize n_rows)
{
  gsize wanted = bench_options.skip < 0 ? (gsize) bench_options.batch
                                        : (gsize) bench_options.skip;

  return MIN (wanted, n_rows);
}

static gboolean
run_passes (GBytes *x, gboolean decode, GError **error)
{
  g_auto (Coder) coder = {.model = bench_data_model (error)};
  g_auto (BenchTimes) times = bench_times_new ();
  gsize n_rows = (gsize) bench_options.rows;
  const float *rows = g_bytes_get_data (x, NULL);
  json_t *report;

  if (!coder.model)
    return FALSE;
  coder.encoder = sae_workspace_new ((guint) bench_options.threads);
  coder.decoder = sae_workspace_new ((guint) bench_options.threads);
  coder.x_hat =
      g_new (float, (gsize) bench_options.batch *(gsize) bench_options.d_in);
  if (!run_pass (&coder, rows, rows_to_skip (n_rows), decode, error))
    return FALSE;
  for (int pass = 0; pass < bench_options.repeat; pass++) {
    if (!run_pass (&coder, rows, n_rows, decode, error))
      return FALSE;
    bench_times_add (&times, decode ? coder.decode_time : coder.encode_time);
  }
  report = bench_report_new ("gst-sae",
      decode ? "latents to x_hat" : "rows to exact latents", &times,
      (double) n_rows);
  json_object_set_new (report, "l0",
      json_real ((double) coder.n_latents / (double) n_rows));
  bench_report_print (report);
  return TRUE;
}

gboolean
bench_encode (GBytes *x, GError **error)
{
  return run_passes (x, FALSE, error);
}

gboolean
bench_decode (GBytes *x, GError **error)
{
  return run_passes (x, TRUE, error);
}
