/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Scratch that lives as long as its owner and only grows. */
#pragma once

#include "input-norm.h"
#include "net.h"
#include "pool.h"
#include "sae-model.h"
#include "screen-choice.h"

/* Memory that grows to the largest size asked for. */
typedef struct {
  gpointer data;
  gsize size; /* bytes */
} SaeScratch;

/* At least @n elements of @element bytes on a 64-byte boundary; what was there
 * is kept only by sae_scratch_extend(). NULL when memory is exhausted. */
gpointer sae_scratch_reserve (SaeScratch *scratch, gsize n, gsize element);
gpointer sae_scratch_extend (SaeScratch *scratch, gsize n, gsize element);
void sae_scratch_clear (SaeScratch *scratch);

/* What one worker needs while it encodes a block of rows. */
typedef struct {
  SaeScratch x;      /* rows normalised, and less b_dec with pre-bias */
  SaeScratch scores; /* [rows, block of latents] */
  SaeScratch rounded, screened, widened, pairs, pair_scores; /* of a screen */
  SaeScratch candidate_index, candidate_value, candidate_upper, candidates;
  SaeScratch select;
  SaeScratch sort_keys, sort_index,
      sort_value; /* a decoder's row put in order, edited latents of a row */
} SaeWorkerScratch;

/* The latents that one task found: rows back to back. */
typedef struct {
  SaeScratch index, value;
  gsize count;
  gsize bad_row; /* first row with a NaN or an infinity, or G_MAXSIZE */
  gsize n_bad;
  gsize n_scored; /* exactly, behind a screen */
  gboolean no_memory;
} SaeTaskLatents;

struct _SaeWorkspace {
  gatomicrefcount ref_count;
  SaePool *pool;
  SaeWorkspace *lender;      /* of the pool; NULL where it is our own */
  SaeWorkerScratch *workers; /* one a thread */
  gboolean zero_nonfinite;   /* such rows get no latents, instead of an error */
  guint64 n_nonfinite;       /* rows that were zeroed so */

  SaeScreenChoice choice;
  SaeScratch bias_error; /* [d_sae], of a screen */

  /* The result of the last encode: compressed rows. */
  SaeScratch offsets, index, value;
  SaeScratch norms;        /* of the rows, where they are normalised */
  gsize n_norms;           /* rows that they are of; 0 where they are not */
  const SaeRowNorm *given; /* borrowed, for the next decode */
  gsize n_given;
  gsize n_found; /* latents, before slices of a row are merged */

  /* The result of the last steering. */
  SaeScratch edited, deltas, fates;

  SaeTaskLatents *tasks;
  gsize n_tasks;
};

/* Sparse rows, borrowed: row r owns places offsets[r] … offsets[r + 1] − 1. */
typedef struct {
  gsize n_rows;
  const gsize *offsets;
  const guint32 *index;
  const float *value;
  const SaeRowNorm *norms; /* [n_rows], or NULL */
} SaeSparseRows;

/* Scratch of its own and the threads of @lender; one call at a time with
 * either. */
SaeWorkspace *sae_workspace_new_sharing (SaeWorkspace *lender);

/* latents of @x [n_rows, d_in], in @workspace until its next use. */
gboolean sae_net_encode (const SaeNet *net, SaeWorkspace *workspace,
    const float *x, gsize n_rows, SaeSparseRows *latents, GError **error);

/* x_hat [n_rows, d_out] = latents W_dec + b_dec, with the normalisation of each
 * row undone: refused where the net has one and @latents lack it. Indices are
 * below d_sae (the caller has checked); rows out of order are summed in
 * ascending order. */
gboolean sae_net_decode (const SaeNet *net, SaeWorkspace *workspace,
    const SaeSparseRows *latents, float *x_hat, GError **error);

/* Refuses offsets that fall or exceed, and indices of d_sae or more. */
gboolean sae_sparse_rows_check (const SaeSparseRows *latents, guint d_sae,
    GError **error);

/* The non-zero entries of dense @latents [n_rows, d_sae], in @workspace. */
gboolean sae_workspace_gather (SaeWorkspace *workspace, const float *latents,
    gsize n_rows, guint d_sae, SaeSparseRows *rows, GError **error);
