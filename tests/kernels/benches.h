/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One call of every kernel on the shapes that training uses, for what times
 * (bench-kernels.c) and what counts instructions (count-kernels.c). A new
 * kernel needs a function and a row of the table in benches.c. */
#pragma once

#include "kernels.h"
#include "noise.h"

#define D 384      /* width of a row */
#define N_ROWS 128 /* rows and latents of one block */
#define K 32       /* active latents */
#define N_FLAT (1 << 15)

/* What the calls work on; any of them may change what is not const. */
typedef struct {
  float *x, *w, *out, *m, *v, *upper; /* [2 * N_FLAT] */
  double *mean, *m2;                  /* [N_FLAT] */
  gint8 *q8;                          /* [2 * N_FLAT] */
  gint16 *q16;                        /* [2 * N_FLAT] */
  gint16 *wide;                       /* [SAE_BYTES_LATENTS, D] */
  guint8 *bytes;                      /* [N_ROWS, D] */
  gint32 *scores;                     /* [N_ROWS, N_ROWS] */
  guint32 index[N_ROWS];
  float threshold;
} Arrays;

typedef struct {
  const char *name;
  double work; /* what one call does, in @unit */
  const char *unit;
  void (*call) (const SaeKernels *k, Arrays *a);
} Bench;

/* Ends with a name of NULL. */
extern const Bench benches[];

/* The same numbers each time. */
Arrays arrays_new (void);
void arrays_free (Arrays *arrays);
