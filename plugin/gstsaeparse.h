/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbaseparse.h>

G_BEGIN_DECLS

#define GST_TYPE_SAE_PARSE (gst_sae_parse_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeParse, gst_sae_parse, GST, SAE_PARSE, GstBaseParse)

GST_ELEMENT_REGISTER_DECLARE (saeparse);

G_END_DECLS
