/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sae-latents.h"
#include "workspace.h"

/* Copies @rows, which were checked. NULL when memory is exhausted. */
SaeLatents *
sae_latents_new_copy (const SaeSparseRows *rows, guint d_sae, GError **error);
/* Borrows the arrays of @latents. */
SaeSparseRows sae_latents_get_rows (SaeLatents *latents);
