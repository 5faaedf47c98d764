/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_SAE_TRAINER (gst_sae_trainer_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeTrainer, gst_sae_trainer, GST, SAE_TRAINER,
    GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (saetrainer);

G_END_DECLS
