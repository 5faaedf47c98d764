/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaestats.h"

#define AT(field) G_STRUCT_OFFSET (SaeMetrics, field)

/* clang-format off */
static const GstSaeStat stats[] = {
  { "rows", GST_SAE_STAT_COUNT, AT (rows), "Rows measured" },
  { "steps", GST_SAE_STAT_COUNT, AT (steps), "Optimiser steps taken" },
  { "skipped-rows", GST_SAE_STAT_COUNT, AT (skipped_rows),
    "Rows left out because of a NaN, an infinity or a gradient too large" },
  { "loss", GST_SAE_STAT_MEASURED, AT (loss), "Training loss" },
  { "aux-loss", GST_SAE_STAT_MEASURED, AT (aux_loss),
    "AuxK part of the training loss, without its coefficient" },
  { "mse", GST_SAE_STAT_MEASURED, AT (mse),
    "Mean squared error, in squared units of the stream" },
  { "l1", GST_SAE_STAT_MEASURED, AT (l1),
    "Mean over rows of the sum of the latents" },
  { "fvu", GST_SAE_STAT_MEASURED, AT (fvu),
    "Fraction of variance unexplained" },
  { "explained-variance", GST_SAE_STAT_MEASURED, AT (explained_variance),
    "Fraction of variance explained" },
  { "cosine", GST_SAE_STAT_MEASURED, AT (cosine),
    "Mean over rows of the cosine between target and reconstruction" },
  { "norm-ratio", GST_SAE_STAT_MEASURED, AT (norm_ratio),
    "Mean over rows of the norm of the reconstruction over the target's" },
  { "l0", GST_SAE_STAT_MEASURED, AT (l0), "Mean active latents of a row" },
  { "dead-fraction", GST_SAE_STAT_STATE, AT (dead_fraction),
    "Share of latents that have not fired for dead-after rows" },
  { "gradient-norm", GST_SAE_STAT_STATE, AT (gradient_norm),
    "Norm of the last step's gradient" },
  { "learning-rate", GST_SAE_STAT_STATE, AT (learning_rate),
    "Learning rate of the last step" },
  { "l1-coeff", GST_SAE_STAT_STATE, AT (l1_coeff),
    "Coefficient of the sparsity part of the loss" },
  { "threshold", GST_SAE_STAT_STATE, AT (threshold),
    "Threshold that batch-top-k has learned, in units of the stream" },
  { "rows-per-second", GST_SAE_STAT_MEASURED, AT (rows_per_second),
    "Rows over wall-clock time" },
};
/* clang-format on */

const GstSaeStat *
gst_sae_stats_list (guint *n)
{
  *n = G_N_ELEMENTS (stats);
  return stats;
}

guint64
gst_sae_stat_count (const GstSaeStat *stat, const SaeMetrics *metrics)
{
  return G_STRUCT_MEMBER (guint64, metrics, stat->offset);
}

double
gst_sae_stat_value (const GstSaeStat *stat, const SaeMetrics *metrics)
{
  return G_STRUCT_MEMBER (gdouble, metrics, stat->offset);
}

GstStructure *
gst_sae_stats_new (const gchar *name, const SaeMetrics *metrics)
{
  GstStructure *s = gst_structure_new_empty (name);

  for (guint i = 0; i < G_N_ELEMENTS (stats); i++)
    if (stats[i].kind == GST_SAE_STAT_COUNT)
      gst_structure_set (s, stats[i].name, G_TYPE_UINT64,
          gst_sae_stat_count (&stats[i], metrics), NULL);
    else
      gst_structure_set (s, stats[i].name, G_TYPE_DOUBLE,
          gst_sae_stat_value (&stats[i], metrics), NULL);
  return s;
}
