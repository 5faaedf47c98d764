/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Encoding in pieces: a block of rows against a slice of the latents, on one
 * worker. encode.c cuts the work; encode-dense.c and encode-screened.c are two
 * ways to fill the candidates of a block, with the same result. */
#pragma once

#include <math.h>

#include "sparsity.h"
#include "workspace.h"

/* Latents that are scored at a time. */
#define SAE_ENCODE_LATENTS 128

typedef struct {
  const SaeNet *net;
  const SaeSparsityRule *rule;
  const SaeKernels *kernels;
  SaeWorkspace *workspace;
  const float *x;
  gsize n_rows;
  gsize rows_per_task;
  guint n_slices;          /* of the latents */
  gsize latents_per_slice; /* a multiple of SAE_ENCODE_LATENTS */
  gsize capacity;          /* candidates a row */
  gsize *counts;           /* latents of each row, slice after slice */

  SaeRowNorm *norms; /* [n_rows]; NULL where rows are not normalised */

  /* of the screen, where it is used */
  SaeScreenPrecision precision;
  const float *bias_error; /* [d_sae] */
} SaeEncode;

/* A task's rows and latents, and the scratch of the worker that runs it. */
typedef struct {
  const SaeEncode *encode;
  SaeTaskLatents *out;
  SaeWorkerScratch *scratch;
  SaeCandidates *candidates;
  gsize first_row, n_rows;
  guint first, last; /* latents */
  const float *x;    /* first_row's, normalised, and less b_dec with pre-bias */
} SaeEncodeBlock;

/* The threshold of a row that gets none (any more): one with a NaN, or with so
 * many infinite scores that no others can be above them. */
#define SAE_ENCODE_NO_LATENTS INFINITY

/* Fills the candidates of rows @first … @first + @n − 1 of the block with what
 * the rule may keep of its latents, exact values. */
void sae_encode_dense (SaeEncodeBlock *block, gsize first, gsize n);

/* The same for the whole block, through the net's screen. */
gboolean sae_encode_screened_reserve (const SaeEncode *encode,
    SaeWorkerScratch *scratch);
void sae_encode_screened (SaeEncodeBlock *block);
