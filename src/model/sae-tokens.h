/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_TOKENS_H
#define SAE_TOKENS_H

#include "sae-enums.h"

G_BEGIN_DECLS

/**
 * SaeTokens:
 *
 * The text that a stream of activations was read from: the token of each row,
 * counted from row 0. Immutable and reference-counted; safe to read from any
 * number of threads.
 */
typedef struct _SaeTokens SaeTokens;

#define SAE_TYPE_TOKENS (sae_tokens_get_type ())
SAE_API GType sae_tokens_get_type (void);

SAE_API SaeTokens *sae_tokens_new (const gchar *const *tokens);
SAE_API SaeTokens *sae_tokens_load (const gchar *path, GError **error);
SAE_API SaeTokens *sae_tokens_ref (SaeTokens *tokens);
SAE_API void sae_tokens_unref (SaeTokens *tokens);

SAE_API guint64 sae_tokens_get_n_rows (SaeTokens *tokens);
SAE_API const gchar *sae_tokens_get_token (SaeTokens *tokens, guint64 row);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeTokens, sae_tokens_unref)

G_END_DECLS

#endif /* SAE_TOKENS_H */
