/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Metrics as a GstStructure, for messages and the stats property. */
#pragma once

#include <gst/gst.h>

#include "sae-metrics.h"

G_BEGIN_DECLS

/* (transfer full): structure @name with a field for each of @metrics. */
GstStructure *gst_sae_stats_new (const gchar *name, const SaeMetrics *metrics);

G_END_DECLS
