/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-data.h"

#include <string.h>

#include "bench-options.h"
#include "npy-file.h"
#include "safetensors.h"

#define RANDOM_ROWS 8192

static GBytes *
make_random_rows (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed ((guint32) bench_options.seed);
  gsize n = (gsize) bench_options.rows * (gsize) bench_options.d_in;
  float *x = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    x[i] = (float) g_rand_double_range (rand, -1.7, 1.7);
  return g_bytes_new_take (x, n * sizeof (float));
}

GBytes *
bench_data_rows (GError **error)
{
  GBytes *x;
  guint d;
  int n;

  if (!bench_options.data) {
    if (!bench_options.rows)
      bench_options.rows = RANDOM_ROWS;
    return make_random_rows ();
  }
  x = npy_file_read (bench_options.data, &d, error);
  if (!x)
    return NULL;
  n = (int) (g_bytes_get_size (x) / sizeof (float) / d);
  bench_options.d_in = (int) d;
  if (!bench_options.rows || bench_options.rows > n)
    bench_options.rows = n;
  if (n > 0)
    return x;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE, "%s: no rows",
      bench_options.data);
  g_bytes_unref (x);
  return NULL;
}

/* --- the dictionary --- */

static GBytes *
read_tensor (SaeSafetensors *file, const char *name, GError **error)
{
  const SaeTensorEntry *entry = sae_safetensors_find (file, name);
  g_autofree float *values = NULL;
  gsize size;

  if (!entry) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT, "no tensor %s", name);
    return NULL;
  }
  size = entry->n_elements * sizeof (float);
  values = g_malloc (size);
  if (!sae_safetensors_read_float32 (file, entry, values, error))
    return NULL;
  return g_bytes_new_take (g_steal_pointer (&values), size);
}

/* A folder as sparsify writes it, whose coder subtracts b_dec first. */
static SaeModel *
load_sparsify (const char *path, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (path, error);
  g_autoptr (GBytes) W_enc = NULL;
  g_autoptr (GBytes) b_enc = NULL;
  g_autoptr (GBytes) W_dec = NULL;
  g_autoptr (GBytes) b_dec = NULL;
  g_autoptr (SaeConfig) config = NULL;

  if (!file || !(W_enc = read_tensor (file, "encoder.weight", error)) ||
      !(b_enc = read_tensor (file, "encoder.bias", error)) ||
      !(W_dec = read_tensor (file, "W_dec", error)) ||
      !(b_dec = read_tensor (file, "b_dec", error)))
    return NULL;
  config = sae_config_new ((guint) (g_bytes_get_size (b_dec) / sizeof (float)),
      (guint) (g_bytes_get_size (b_enc) / sizeof (float)),
      bench_options.k ? (guint) bench_options.k : 32);
  config->pre_bias = TRUE;
  return sae_model_new_from_weights (config, W_enc, b_enc, W_dec, b_dec, error);
}

static SaeModel *
load_model (GError **error)
{
  g_autofree char *sparsify =
      g_build_filename (bench_options.model, "sae.safetensors", NULL);
  g_autoptr (SaeModel) model =
      g_file_test (sparsify, G_FILE_TEST_EXISTS)
          ? load_sparsify (sparsify, error)
          : sae_model_load (bench_options.model, error);

  if (!model || !bench_options.k ||
      sae_model_get_k (model) == (guint) bench_options.k)
    return g_steal_pointer (&model);
  return sae_model_with_top_k (model, (guint) bench_options.k,
      SAE_TIES_LOWEST_INDEX, error);
}

static SaeModel *
make_model (GError **error)
{
  g_autoptr (SaeConfig) config = sae_config_new ((guint) bench_options.d_in,
      (guint) bench_options.d_sae, (guint) bench_options.k);

  return sae_model_new (config, (guint64) bench_options.seed, SAE_INIT_TIED,
      error);
}

SaeModel *
bench_data_model (GError **error)
{
  g_autoptr (SaeModel) model = NULL;

  if (!bench_options.model && !bench_options.k)
    bench_options.k = 32;
  model = bench_options.model ? load_model (error) : make_model (error);
  if (!model)
    return NULL;
  bench_options.d_sae = (int) sae_model_get_d_sae (model);
  bench_options.k = (int) sae_model_get_k (model);
  if (sae_model_get_d_in (model) == (guint) bench_options.d_in)
    return g_steal_pointer (&model);
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected rows of %u floats, got %d", bench_options.model,
      sae_model_get_d_in (model), bench_options.d_in);
  return NULL;
}

/* --- rows in random order --- */

BenchStream
bench_stream_new (GBytes *x)
{
  gsize d = (gsize) bench_options.d_in;
  BenchStream stream = {
      .x = g_bytes_get_data (x, NULL),
      .n = g_bytes_get_size (x) / sizeof (float) / d,
      .d = d,
      .rand = g_rand_new_with_seed ((guint32) bench_options.seed),
  };

  stream.order = g_new (guint32, stream.n);
  for (gsize i = 0; i < stream.n; i++)
    stream.order[i] = (guint32) i;
  stream.at = stream.n;
  return stream;
}

void
bench_stream_clear (BenchStream *stream)
{
  g_free (stream->order);
  g_rand_free (stream->rand);
}

/* Fisher and Yates. */
static void
shuffle (guint32 *order, gsize n, GRand *rand)
{
  for (gsize i = n; i > 1; i--) {
    gsize j = (gsize) g_rand_int_range (rand, 0, (gint32) i);
    guint32 swapped = order[i - 1];

    order[i - 1] = order[j];
    order[j] = swapped;
  }
}

void
bench_stream_take (BenchStream *stream, gsize n, float *rows)
{
  gsize d = stream->d;

  for (gsize r = 0; r < n; r++) {
    if (stream->at == stream->n) {
      shuffle (stream->order, stream->n, stream->rand);
      stream->at = 0;
    }
    memcpy (rows + r * d, stream->x + stream->order[stream->at++] * d,
        d * sizeof (float));
  }
}
