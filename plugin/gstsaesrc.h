/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define GST_TYPE_SAE_SRC (gst_sae_src_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeSrc, gst_sae_src, GST, SAE_SRC, GstPushSrc)

GST_ELEMENT_REGISTER_DECLARE (saesrc);

G_END_DECLS
