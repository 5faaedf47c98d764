/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaestats.h"

GstStructure *
gst_sae_stats_new (const gchar *name, const SaeMetrics *metrics)
{
  return gst_structure_new (name,
      /* clang-format off */
      "rows", G_TYPE_UINT64, metrics->rows,
      "steps", G_TYPE_UINT64, metrics->steps,
      "skipped-rows", G_TYPE_UINT64, metrics->skipped_rows,
      "loss", G_TYPE_DOUBLE, metrics->loss,
      "mse", G_TYPE_DOUBLE, metrics->mse,
      "l1", G_TYPE_DOUBLE, metrics->l1,
      "fvu", G_TYPE_DOUBLE, metrics->fvu,
      "explained-variance", G_TYPE_DOUBLE, metrics->explained_variance,
      "cosine", G_TYPE_DOUBLE, metrics->cosine,
      "norm-ratio", G_TYPE_DOUBLE, metrics->norm_ratio,
      "l0", G_TYPE_DOUBLE, metrics->l0,
      "dead-fraction", G_TYPE_DOUBLE, metrics->dead_fraction,
      "gradient-norm", G_TYPE_DOUBLE, metrics->gradient_norm,
      "learning-rate", G_TYPE_DOUBLE, metrics->learning_rate,
      "rows-per-second", G_TYPE_DOUBLE, metrics->rows_per_second,
      /* clang-format on */
      NULL);
}
