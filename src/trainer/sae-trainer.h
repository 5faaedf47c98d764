/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_TRAINER_H
#define SAE_TRAINER_H

#include "sae-checkpoint.h"
#include "sae-metrics.h"
#include "sae-model.h"

G_BEGIN_DECLS

#define SAE_TYPE_TRAINER (sae_trainer_get_type ())
SAE_API
G_DECLARE_FINAL_TYPE (SaeTrainer, sae_trainer, SAE, TRAINER, GObject)

/**
 * SAE_PARAM_LIVE:
 *
 * Flag on properties of #SaeTrainer that may be changed while it trains; the
 * others hold from the next start on.
 */
#define SAE_PARAM_LIVE (1 << (G_PARAM_USER_SHIFT + 6))

SAE_API SaeTrainer *sae_trainer_new (guint d_in, guint d_sae, guint k);

SAE_API gboolean sae_trainer_start (SaeTrainer *trainer, GError **error);
SAE_API gboolean sae_trainer_start_from (SaeTrainer *trainer, SaeModel *model,
    GError **error);
SAE_API gboolean sae_trainer_resume (SaeTrainer *trainer,
    SaeCheckpoint *checkpoint, SaeResume how, GError **error);
SAE_API SaeCheckpoint *
sae_trainer_checkpoint (SaeTrainer *trainer, GError **error);
SAE_API void sae_trainer_reset (SaeTrainer *trainer);

SAE_API gboolean sae_trainer_step (SaeTrainer *trainer, GBytes *x,
    GBytes *target, GError **error);
SAE_API gboolean sae_trainer_push (SaeTrainer *trainer, GBytes *x,
    GBytes *target, GError **error);
SAE_API gboolean sae_trainer_push_rows (SaeTrainer *trainer, const float *x,
    const float *target, gsize n_rows, GError **error);
SAE_API gboolean sae_trainer_flush (SaeTrainer *trainer, GError **error);
SAE_API guint64 sae_trainer_drop_pending (SaeTrainer *trainer);

SAE_API SaeModel *sae_trainer_get_model (SaeTrainer *trainer, GError **error);
SAE_API SaeConfig *sae_trainer_get_config (SaeTrainer *trainer);
SAE_API gboolean sae_trainer_save_as (SaeTrainer *trainer, SaeModel *model,
    const char *path, const char *layout, GError **error);
SAE_API gboolean sae_trainer_save (SaeTrainer *trainer, SaeModel *model,
    const char *path, GError **error);
SAE_API SaeMetrics *sae_trainer_get_metrics (SaeTrainer *trainer);
SAE_API SaeMetrics *sae_trainer_take_metrics (SaeTrainer *trainer);
SAE_API guint64 sae_trainer_get_missing_rows (SaeTrainer *trainer,
    guint64 *pending);
SAE_API guint64 sae_trainer_get_steps (SaeTrainer *trainer);
SAE_API guint64 sae_trainer_get_rows (SaeTrainer *trainer);
SAE_API guint64 sae_trainer_get_received (SaeTrainer *trainer);
SAE_API guint64 sae_trainer_get_rows_to_drop (SaeTrainer *trainer);

G_END_DECLS

#endif /* SAE_TRAINER_H */
