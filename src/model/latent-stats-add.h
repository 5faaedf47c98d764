/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "latent-stats.h"
#include "workspace.h"

/* Counts rows of latents, in the order of the stream. */
void sae_latent_stats_add (SaeLatentStats *stats, const SaeSparseRows *latents);
