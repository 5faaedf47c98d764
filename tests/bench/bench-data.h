/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the benchmarks work on: rows, and a dictionary. */
#pragma once

#include "sae.h"

/* float32 [n, d_in] of --data, or --rows random ones; sets rows and d_in of
 * the options. (transfer full) */
GBytes *bench_data_rows (GError **error);

/* --model, or an untrained one of the sizes of the options; sets them where
 * the model knows better. (transfer full) */
SaeModel *bench_data_model (GError **error);

/* Batches of rows without end: pass after pass over @x, each in an order of
 * its own. */
typedef struct {
  const float *x; /* [n, d], borrowed */
  gsize n, d;
  gsize at; /* next of @order */
  guint32 *order;
  GRand *rand;
} BenchStream;

BenchStream bench_stream_new (GBytes *x);
void bench_stream_clear (BenchStream *stream);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BenchStream, bench_stream_clear)
/* The next @n rows, which may end one pass and begin the next. */
void bench_stream_take (BenchStream *stream, gsize n, float *rows);
