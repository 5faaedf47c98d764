/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A pipeline with a trainer, run to its end, to an error or to Ctrl-C. */
#pragma once

#include <gst/gst.h>

#include "progress.h"

typedef struct {
  gboolean failed;     /* an error was printed */
  int signal;          /* that ended it early, or 0 */
  GstStructure *stats; /* of the last rows: sae-stats; NULL before any */
  GstStructure *total; /* of the whole run */
  double seconds;
} SaeRun;

void sae_run_clear (SaeRun *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SaeRun, sae_run_clear)

/* @stopping is said at Ctrl-C. */
void sae_run_pipeline (GstElement *pipeline, SaeProgress *progress,
    const char *stopping, SaeRun *run);
