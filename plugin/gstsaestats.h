/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The metrics of a run under the names that messages, logs and the stats
 * property have for them. */
#pragma once

#include <gst/gst.h>

#include "sae-metrics.h"

G_BEGIN_DECLS

typedef enum {
  GST_SAE_STAT_COUNT,    /* guint64 that only grows in a run */
  GST_SAE_STAT_MEASURED, /* double: a mean over rows; 0 where none came */
  GST_SAE_STAT_STATE,    /* double: as it is now */
} GstSaeStatKind;

typedef struct {
  const gchar *name; /* "dead-fraction" */
  GstSaeStatKind kind;
  gsize offset;      /* in SaeMetrics: guint64 for a count, else double */
  const gchar *help; /* one line */
} GstSaeStat;

/* All of them: one more metric is one more row there. */
const GstSaeStat *gst_sae_stats_list (guint *n);

guint64 gst_sae_stat_count (const GstSaeStat *stat, const SaeMetrics *metrics);
double gst_sae_stat_value (const GstSaeStat *stat, const SaeMetrics *metrics);

/* (transfer full): structure @name with a field for each of @metrics. */
GstStructure *gst_sae_stats_new (const gchar *name, const SaeMetrics *metrics);

G_END_DECLS
