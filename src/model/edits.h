/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Edits of latents as the code that applies them sees them. */
#pragma once

#include <float.h>

#include "sae-edits.h"

/* One latent's. Nothing is infinite: where there is no bound it is the largest
 * float of its sign. */
typedef struct {
  guint32 latent;
  float scale, offset, min, max;
} SaeEdit;

#define SAE_EDIT_NOTHING(i)                                                    \
  {                                                                            \
    .latent = (i), .scale = 1.0f, .min = -FLT_MAX, .max = FLT_MAX              \
  }

/* All of them, ascending, none of which changes nothing; of @n. */
const SaeEdit *sae_edits_get_all (const SaeEdits *edits, gsize *n);

/* Adds @edit, or replaces what there is of its latent. One that changes nothing
 * is only removed. */
void sae_edits_put (SaeEdits *edits, const SaeEdit *edit);
