/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How far something is, on stderr: in a terminal one line that is drawn anew,
 * elsewhere a line now and then. */
#pragma once

#include <glib.h>

typedef struct _SaeProgress SaeProgress;

SaeProgress *sae_progress_new (gboolean quiet);
void sae_progress_free (SaeProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeProgress, sae_progress_free)

/* @share of the whole, negative where that is not known; @text says the rest.
 * The @last one is shown whatever the time. */
void sae_progress_show (SaeProgress *progress, double share, const char *text,
    gboolean last);

/* Before anything else is printed: what was drawn goes, or becomes a line of
 * its own when @keep. */
void sae_progress_clear (SaeProgress *progress, gboolean keep);
