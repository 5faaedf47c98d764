/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_COMPARISON_H
#define SAE_COMPARISON_H

#include "sae-model.h"

G_BEGIN_DECLS

/**
 * SAE_COMPARISON_NONE:
 *
 * In the matches of a #SaeComparison: no latent of the other dictionary.
 */
#define SAE_COMPARISON_NONE 0xffffffffu

/**
 * SaeComparison:
 *
 * How like each other the latents of two dictionaries are: for each latent of
 * the first the one of the second whose row of W_dec has the highest cosine to
 * its own. Immutable and reference-counted; safe to read from any number of
 * threads.
 */
typedef struct _SaeComparison SaeComparison;

/**
 * SaeProgressFunc:
 * @share: what is done of the whole, 0 to 1
 * @user_data: what was given with the function
 *
 * Told now and then how far a long call is, in the thread of the call.
 */
typedef void (*SaeProgressFunc) (gdouble share, gpointer user_data);

#define SAE_TYPE_COMPARISON (sae_comparison_get_type ())
SAE_API GType sae_comparison_get_type (void);

SAE_API SaeComparison *sae_model_compare (SaeModel *model, SaeModel *other,
    SaeProgressFunc progress, gpointer user_data, GError **error);
SAE_API SaeComparison *sae_comparison_reverse (SaeComparison *comparison);
SAE_API SaeComparison *sae_comparison_ref (SaeComparison *comparison);
SAE_API void sae_comparison_unref (SaeComparison *comparison);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeComparison, sae_comparison_unref)

SAE_API GBytes *sae_comparison_get_cosines (SaeComparison *comparison);
SAE_API GBytes *sae_comparison_get_matches (SaeComparison *comparison);
SAE_API gdouble sae_comparison_get_share_above (SaeComparison *comparison,
    gdouble cosine);
SAE_API gdouble sae_comparison_get_quantile (SaeComparison *comparison,
    gdouble quantile);

G_END_DECLS

#endif /* SAE_COMPARISON_H */
