/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

/**
 * GstSaeScopePace:
 * @GST_SAE_SCOPE_PACE_AUTO: by time where the first buffer has one, else by
 *   rows
 * @GST_SAE_SCOPE_PACE_TIME: by the timestamps of the rows
 * @GST_SAE_SCOPE_PACE_ROWS: a frame every so many rows
 * @GST_SAE_SCOPE_PACE_CLOCK: by the clock on the wall, however fast rows come
 *
 * When saescope makes a frame.
 */
typedef enum {
  GST_SAE_SCOPE_PACE_AUTO,
  GST_SAE_SCOPE_PACE_TIME,
  GST_SAE_SCOPE_PACE_ROWS,
  GST_SAE_SCOPE_PACE_CLOCK,
} GstSaeScopePace;

#define GST_TYPE_SAE_SCOPE_PACE (gst_sae_scope_pace_get_type ())
GType gst_sae_scope_pace_get_type (void);

#define GST_TYPE_SAE_SCOPE (gst_sae_scope_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeScope, gst_sae_scope, GST, SAE_SCOPE,
    GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (saescope);

G_END_DECLS
