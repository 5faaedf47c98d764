/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the benchmarks are told on the command line. */
#pragma once

#include <glib.h>

typedef struct {
  char *work, *data, *held_out, *model, *save, *optimizer, *library, *source;
  int rows, d_in, d_sae, k, batch, threads, epochs, train_rows, repeat, skip,
      seed;
  double learning_rate;
} BenchOptions;

/* Sizes that data and model know are theirs after those were read. */
extern BenchOptions bench_options;

/* Reads the command line, and refuses sizes below 1. */
gboolean bench_options_parse (int *argc, char ***argv, GError **error);

/* Threads, where 0 was for all. */
guint bench_options_threads (void);
