/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What files of examples are written from. */
#pragma once

#include "sae-examples.h"
#include "workspace.h"

/* A row in which a latent fired. */
typedef struct {
  guint64 row;
  guint64 time; /* ns; G_MAXUINT64 where the stream has none */
  float value;
} SaeExample;

/* The last rows in which a latent fired, for what lies before an example. */
typedef struct {
  guint64 row;
  float value;
} SaeFiring;

struct _SaeExamples {
  gatomicrefcount ref_count;
  guint d_sae, per_latent, context;
  guint passage; /* rows that belong together; 0: all */

  guint64 n_rows;
  guint64 n_nonfinite; /* values left out */
  guint64 *n_fired;    /* [d_sae] */
  double *sum;         /* [d_sae]: of the values, in the order of the rows */
  float *max;          /* [d_sae] */

  guint *n_kept;     /* [d_sae] */
  guint64 *last_row; /* [d_sae]: last of the rows that are kept */
  SaeExample *kept;  /* [d_sae, per_latent], strongest first */
  /* [d_sae, per_latent, 2 · context + 1]: the latent's values from context rows
   * before the example to as many behind it, 0 where it did not fire. */
  float *around;
  SaeFiring *recent;  /* [d_sae, context], a ring each; value 0: none yet */
  guint *recent_next; /* [d_sae] */

  SaeScratch order; /* a row's entries, put in order */
};

static inline gsize
sae_examples_width (const SaeExamples *examples)
{
  return 2 * (gsize) examples->context + 1;
}

/* Example @rank of @latent, which must be there. */
static inline const SaeExample *
sae_examples_at (const SaeExamples *examples, guint latent, guint rank)
{
  return examples->kept + (gsize) latent * examples->per_latent + rank;
}

/* Values [2 · context + 1] around it. */
static inline float *
sae_examples_around (const SaeExamples *examples, guint latent, guint rank)
{
  gsize place = (gsize) latent * examples->per_latent + rank;

  return examples->around + place * sae_examples_width (examples);
}

/* Rows from *@first to *@last − 1 are around @row, in its passage. */
void sae_examples_get_reach (const SaeExamples *examples, guint64 row,
    guint64 *first, guint64 *last);

/* log10 (n_fired / n_rows), at least −10. */
double sae_examples_log10_frequency (const SaeExamples *examples, guint latent);
