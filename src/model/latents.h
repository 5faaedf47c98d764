/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sae-latents.h"
#include "workspace.h"

/* Copies @rows, which were checked. */
SaeLatents *sae_latents_new_copy (const SaeSparseRows *rows, guint d_sae);
/* Borrows the arrays of @latents. */
SaeSparseRows sae_latents_get_rows (SaeLatents *latents);
