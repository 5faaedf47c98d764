/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_METRICS_H
#define SAE_METRICS_H

#include "sae-latents.h"

G_BEGIN_DECLS

/**
 * SaeMetrics:
 * @rows: rows measured
 * @steps: optimiser steps taken (of a trainer, else 0)
 * @skipped_rows: rows left out because of a NaN or an infinity
 * @loss: the training loss, mean over the batches measured
 * @aux_loss: the part of it that dead latents reconstruct what is left over
 *   (AuxK), without its coefficient; 0 where no latent was dead
 * @mse: squared error, mean over rows·d_out, in squared units of the stream
 * @l1: mean over rows of the sum of |latents|
 * @fvu: fraction of variance unexplained,
 *   Σ‖target − x_hat‖² / Σ‖target − mean target‖²
 * @explained_variance: 1 − @fvu
 * @cosine: mean over rows of the cosine between target and x_hat
 * @norm_ratio: mean over rows of ‖x_hat‖ / ‖target‖
 * @l0: mean number of active latents per row
 * @dead_fraction: share of latents that did not fire within the last
 *   `dead-after` rows
 * @gradient_norm: Euclidean norm of the last step's gradient
 * @learning_rate: effective learning rate of the last step
 * @l1_coeff: coefficient of the sparsity part of the loss, after its warm-up
 * @threshold: the one that batch-top-k has learned, in units of the stream
 * @rows_per_second: rows over wall-clock time
 *
 * What training or measuring found. Reductions are in float64. A value that
 * is not known (no rows, no step) is 0.
 */
typedef struct {
  guint64 rows;
  guint64 steps;
  guint64 skipped_rows;
  gdouble loss;
  gdouble aux_loss;
  gdouble mse;
  gdouble l1;
  gdouble fvu;
  gdouble explained_variance;
  gdouble cosine;
  gdouble norm_ratio;
  gdouble l0;
  gdouble dead_fraction;
  gdouble gradient_norm;
  gdouble learning_rate;
  gdouble l1_coeff;
  gdouble threshold;
  gdouble rows_per_second;
  /*< private >*/
  gpointer padding[8];
} SaeMetrics;

#define SAE_TYPE_METRICS (sae_metrics_get_type ())
SAE_API GType sae_metrics_get_type (void);
SAE_API SaeMetrics *sae_metrics_copy (const SaeMetrics *metrics);
SAE_API void sae_metrics_free (SaeMetrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeMetrics, sae_metrics_free)

SAE_API SaeMetrics *sae_measure (GBytes *x, GBytes *x_hat, guint d,
    SaeLatents *latents, GError **error);
SAE_API gdouble sae_mse (GBytes *x, GBytes *x_hat, guint d);
SAE_API gdouble sae_fvu (GBytes *x, GBytes *x_hat, guint d);
SAE_API gdouble sae_cosine (GBytes *x, GBytes *x_hat, guint d);
SAE_API gdouble sae_norm_ratio (GBytes *x, GBytes *x_hat, guint d);

G_END_DECLS

#endif /* SAE_METRICS_H */
