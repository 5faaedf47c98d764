/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Latents of a batch, from rows to latents. */
#pragma once

#include "workspace.h"

/* Places of latent i are first[i] … first[i + 1] − 1: the rows in which it is
 * active, ascending, and its values there. @first has room for d_sae + 2
 * numbers, @row and @value for as many as there are latents. */
void sae_group_by_latent (const SaeSparseRows *latents, guint d_sae,
    gsize *first, guint32 *row, float *value);
