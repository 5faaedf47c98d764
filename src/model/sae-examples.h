/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_EXAMPLES_H
#define SAE_EXAMPLES_H

#include "sae-latents.h"
#include "sae-tokens.h"

G_BEGIN_DECLS

/**
 * SAE_EXAMPLES_MAX_PER_LATENT:
 *
 * Most examples that can be kept of a latent.
 */
#define SAE_EXAMPLES_MAX_PER_LATENT 1000

/**
 * SAE_EXAMPLES_MAX_CONTEXT:
 *
 * Most rows on each side of an example whose values can be kept.
 */
#define SAE_EXAMPLES_MAX_CONTEXT 1000

/**
 * SAE_EXAMPLES_N_BINS:
 *
 * Bins of sae_examples_get_histogram(): half a decade each, from 10⁻¹⁰ to 1.
 */
#define SAE_EXAMPLES_N_BINS 20

/**
 * SaeExamples:
 *
 * The strongest examples of each latent in a stream of latents, and what each
 * latent did in it: how often it fired, its mean and its maximum. A latent
 * fires in a row where its value is above 0.
 *
 * All memory is taken at once, however long the stream: for each latent
 * per_latent · (24 + 4 · (2 · context + 1)) + 16 · context + 36 bytes.
 *
 * Reference-counted. One call at a time: an object may move between threads,
 * and several threads may read it while none adds; sae_examples_copy() makes a
 * snapshot to look at elsewhere.
 */
typedef struct _SaeExamples SaeExamples;

#define SAE_TYPE_EXAMPLES (sae_examples_get_type ())
SAE_API GType sae_examples_get_type (void);

SAE_API SaeExamples *sae_examples_new (guint d_sae, guint per_latent,
    guint context, guint passage, GError **error);
SAE_API SaeExamples *sae_examples_copy (SaeExamples *examples, GError **error);
SAE_API SaeExamples *sae_examples_ref (SaeExamples *examples);
SAE_API void sae_examples_unref (SaeExamples *examples);

SAE_API gboolean sae_examples_add (SaeExamples *examples, SaeLatents *latents,
    guint64 first_row, GError **error);
SAE_API gboolean sae_examples_add_rows (SaeExamples *examples, gsize n_rows,
    const gsize *offsets, const guint32 *indices, const float *values,
    guint64 first_row, guint64 time, guint64 duration, GError **error);
SAE_API void sae_examples_interrupt (SaeExamples *examples);
SAE_API void sae_examples_reset (SaeExamples *examples);

SAE_API guint sae_examples_get_d_sae (SaeExamples *examples);
SAE_API guint sae_examples_get_per_latent (SaeExamples *examples);
SAE_API guint sae_examples_get_context (SaeExamples *examples);
SAE_API guint sae_examples_get_passage (SaeExamples *examples);
SAE_API guint64 sae_examples_get_n_rows (SaeExamples *examples);
SAE_API guint64 sae_examples_get_n_nonfinite (SaeExamples *examples);
SAE_API guint sae_examples_get_n_alive (SaeExamples *examples);
SAE_API guint64 sae_examples_get_n_fired (SaeExamples *examples, guint latent);
SAE_API double sae_examples_get_mean (SaeExamples *examples, guint latent);
SAE_API float sae_examples_get_max (SaeExamples *examples, guint latent);
SAE_API GArray *sae_examples_get_histogram (SaeExamples *examples);
SAE_API guint sae_examples_get_n_examples (SaeExamples *examples, guint latent);
SAE_API gboolean sae_examples_get_example (SaeExamples *examples, guint latent,
    guint rank, guint64 *row, float *value, guint64 *time);
SAE_API const float *sae_examples_get_around (SaeExamples *examples,
    guint latent, guint rank, guint *n_values);

SAE_API gchar *
sae_examples_to_json (SaeExamples *examples, SaeTokens *tokens, GError **error);
SAE_API gboolean sae_examples_save_json (SaeExamples *examples,
    SaeTokens *tokens, const gchar *path, GError **error);
SAE_API gboolean sae_examples_save_page (SaeExamples *examples,
    SaeTokens *tokens, const gchar *title, const gchar *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeExamples, sae_examples_unref)

G_END_DECLS

#endif /* SAE_EXAMPLES_H */
