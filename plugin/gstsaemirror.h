/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Properties of a library object as those of an element. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Installs a property for each of those of @type, with ids from @first_id on,
 * and GStreamer's flags for SAE_PARAM_LIVE. The element forwards by name. */
void
gst_sae_mirror_properties (GObjectClass *klass, guint first_id, GType type);

G_END_DECLS
