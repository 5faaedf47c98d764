/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_EDITS_H
#define SAE_EDITS_H

#include "sae-model.h"

G_BEGIN_DECLS

/**
 * SaeEdits:
 *
 * What to make of named latents, each on its own:
 *
 * |[
 * latents′[i] = clamp (latents[i] · scale + offset, min, max)
 * ]|
 *
 * All other latents stay as they are. A plain value, kept in ascending order of
 * the latents; not safe to change while another thread uses it.
 *
 * As text, edits stand one after another, with commas between:
 *
 * |[
 * 17:*0           switched off
 * 42:+3.5         raised by 3.5, also where it is not active
 * 42:-3.5         lowered
 * 7:*2+1          scaled, then raised
 * 7:=4            4 in every row
 * 7:>0.5          at least 0.5
 * 7:<8            at most 8
 * 7:*2+1>0<8      all of it, in this order
 * ]|
 */
typedef struct _SaeEdits SaeEdits;

#define SAE_TYPE_EDITS (sae_edits_get_type ())
SAE_API GType sae_edits_get_type (void);

SAE_API SaeEdits *sae_edits_new (void);
SAE_API SaeEdits *sae_edits_new_from_text (const char *text, GError **error);
SAE_API SaeEdits *sae_edits_copy (const SaeEdits *edits);
SAE_API void sae_edits_free (SaeEdits *edits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeEdits, sae_edits_free)

SAE_API char *sae_edits_to_text (const SaeEdits *edits);
SAE_API void
sae_edits_set (SaeEdits *edits, guint latent, double scale, double offset);
SAE_API void
sae_edits_set_range (SaeEdits *edits, guint latent, double min, double max);
SAE_API gboolean sae_edits_get (const SaeEdits *edits, guint latent,
    double *scale, double *offset, double *min, double *max);
SAE_API gboolean sae_edits_remove (SaeEdits *edits, guint latent);
SAE_API void sae_edits_clear (SaeEdits *edits);
SAE_API guint sae_edits_get_n_latents (const SaeEdits *edits);
SAE_API guint sae_edits_get_latent (const SaeEdits *edits, guint place);

SAE_API GBytes *sae_model_steer (SaeModel *model, GBytes *x,
    const SaeEdits *edits, GError **error);
SAE_API gboolean sae_model_steer_rows (SaeModel *model, SaeWorkspace *workspace,
    const SaeEdits *edits, const float *x, gsize n_rows, const float **deltas,
    const guint8 **changed, gsize *n_changed, GError **error);
SAE_API gboolean sae_model_forward_rows (SaeModel *model,
    SaeWorkspace *workspace, const float *x, gsize n_rows, float *x_hat,
    GError **error);

G_END_DECLS

#endif /* SAE_EDITS_H */
