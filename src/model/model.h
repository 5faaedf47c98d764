/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "latent-stats.h"
#include "sae-model.h"
#include "workspace.h"

const SaeNet *sae_model_get_net (SaeModel *model);
/* For encoding @x [n_rows, d_in]: with a screen, once enough rows have been
 * encoded. */
SaeNet sae_model_get_net_for (SaeModel *model, const float *x, gsize n_rows);
/* Keys to values, never changed. */
GHashTable *sae_model_get_metadata_table (SaeModel *model);

/* Takes the arrays (64-byte aligned, freed with free()), also when it fails;
 * the model's net has them in place of @net's pointers. @threshold is NULL but
 * for jump-relu. @metadata (nullable) is borrowed. Refuses weights and
 * thresholds that are not finite. */
SaeModel *
sae_model_new_take (const SaeNet *net, float *W_enc, float *b_enc, float *W_dec,
    float *b_dec, float *threshold, GHashTable *metadata, GError **error);

/* The same with bytes, which it takes. */
SaeModel *sae_model_new_take_bytes (const SaeNet *net, GBytes *W_enc,
    GBytes *b_enc, GBytes *W_dec, GBytes *b_dec, GBytes *threshold,
    GHashTable *metadata, GError **error);

/* sae_model_save_as() with what was seen of each latent: @stats, of as many
 * latents as the model, or NULL. Files of statistics that the folder has from
 * before go. */
gboolean
sae_model_save_with_stats (SaeModel *model, const SaeLatentStats *stats,
    const char *path, const char *layout, GError **error);

SaeNet sae_net_from_config (const SaeConfig *config);
