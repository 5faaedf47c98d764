/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_LATENTS_H
#define SAE_LATENTS_H

#include "sae-enums.h"

G_BEGIN_DECLS

/**
 * SaeLatents:
 *
 * The sparse result of encoding rows: for each row the active latents, as
 * index and value, indices ascending. Immutable and reference-counted; safe
 * to read from any number of threads.
 *
 * Kept as compressed rows: offsets [n_rows + 1], indices [nnz],
 * values [nnz]; row r owns the places offsets[r] … offsets[r + 1] − 1.
 */
typedef struct _SaeLatents SaeLatents;

#define SAE_TYPE_LATENTS (sae_latents_get_type ())
SAE_API GType sae_latents_get_type (void);

SAE_API SaeLatents *sae_latents_new (guint n_rows, guint d_sae, GBytes *offsets,
    GBytes *indices, GBytes *values, GError **error);
SAE_API SaeLatents *sae_latents_new_from_pairs (guint n_rows, guint d_sae,
    GBytes *indices, GBytes *values, GError **error);
SAE_API SaeLatents *sae_latents_new_from_sparse (guint n_rows, guint d_sae,
    GBytes *values, GBytes *places, GError **error);
SAE_API SaeLatents *
sae_latents_new_from_dense (guint d_sae, GBytes *dense, GError **error);
SAE_API SaeLatents *
sae_latents_with_row_norms (SaeLatents *latents, GBytes *norms, GError **error);
SAE_API SaeLatents *sae_latents_ref (SaeLatents *latents);
SAE_API void sae_latents_unref (SaeLatents *latents);

SAE_API guint sae_latents_get_n_rows (SaeLatents *latents);
SAE_API guint sae_latents_get_d_sae (SaeLatents *latents);
SAE_API guint64 sae_latents_get_nnz (SaeLatents *latents);
SAE_API const guint32 *
sae_latents_get_row_indices (SaeLatents *latents, guint row, guint *n_active);
SAE_API const float *
sae_latents_get_row_values (SaeLatents *latents, guint row, guint *n_active);
SAE_API GBytes *sae_latents_get_offsets (SaeLatents *latents);
SAE_API GBytes *sae_latents_get_indices (SaeLatents *latents);
SAE_API GBytes *sae_latents_get_values (SaeLatents *latents);
SAE_API GBytes *sae_latents_get_row_norms (SaeLatents *latents);
SAE_API GBytes *sae_latents_to_dense (SaeLatents *latents, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeLatents, sae_latents_unref)

G_END_DECLS

#endif /* SAE_LATENTS_H */
