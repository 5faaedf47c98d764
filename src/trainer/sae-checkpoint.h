/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_CHECKPOINT_H
#define SAE_CHECKPOINT_H

#include "sae-error.h"
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * SaeCheckpoint:
 *
 * Everything that a run needs to go on as if it had never stopped: weights and
 * optimiser, counters, metrics, and the rows that wait for their step.
 * Immutable and reference-counted; safe to use from any number of threads.
 */
typedef struct _SaeCheckpoint SaeCheckpoint;

#define SAE_TYPE_CHECKPOINT (sae_checkpoint_get_type ())
SAE_API GType sae_checkpoint_get_type (void);
SAE_API SaeCheckpoint *sae_checkpoint_ref (SaeCheckpoint *checkpoint);
SAE_API void sae_checkpoint_unref (SaeCheckpoint *checkpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeCheckpoint, sae_checkpoint_unref)

SAE_API SaeCheckpoint *sae_checkpoint_load (const char *path, GError **error);
SAE_API gboolean sae_checkpoint_save (SaeCheckpoint *checkpoint,
    const char *path, GError **error);
SAE_API guint64 sae_checkpoint_get_rows (SaeCheckpoint *checkpoint);
SAE_API guint64 sae_checkpoint_get_steps (SaeCheckpoint *checkpoint);

G_END_DECLS

#endif /* SAE_CHECKPOINT_H */
