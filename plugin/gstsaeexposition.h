/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Metrics as a file in Prometheus' text format, for node-exporter's textfile
 * collector (which reads files named *.prom) or any that scrapes files.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#pragma once

#include "gstsaestats.h"
#include "sae-error.h"

G_BEGIN_DECLS

/* What one element has to tell. */
typedef struct {
  const gchar *element;
  const SaeMetrics *since_last; /* gauges */
  const SaeMetrics *total;      /* counters */
  guint64 dropped_rows;
} GstSaeExposition;

/* (transfer full): for each metric HELP, TYPE and its value: sae_fvu, or
 * sae_steps_total for what is counted, with a label element. A value that is
 * no number, and one measured over no rows, is left out. */
gchar *gst_sae_exposition_write (const GstSaeExposition *exposition);

/* Checks that @path is free, or a file of ours or an empty one: a mistyped path
 * must not cost somebody's data. */
gboolean gst_sae_exposition_check_place (const gchar *path, GError **error);

/* Replaces the file @path by that text, whole, so that nobody reads half of
 * it. */
gboolean gst_sae_exposition_save (const GstSaeExposition *exposition,
    const gchar *path, GError **error);

G_END_DECLS
