/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The forms that codes take on the wire. */
#pragma once

#include "gstsaetensors.h"
#include "sae-model.h"

G_BEGIN_DECLS

/**
 * GstSaeCodesFormat:
 * @GST_SAE_CODES_AUTO: the smallest that downstream takes
 * @GST_SAE_CODES_PAIRS: index (uint32) and value (float32) of the active
 *   latents, k slots a row, indices ascending, unused slots 0 at the end;
 *   top-k only
 * @GST_SAE_CODES_DENSE: all latents (float32), 0 where inactive
 * @GST_SAE_CODES_SPARSE: the active latents as a sparse tensor: a header, their
 *   values (float32), then their places row · d_sae + i (uint32), ascending
 */
typedef enum {
  GST_SAE_CODES_AUTO,
  GST_SAE_CODES_PAIRS,
  GST_SAE_CODES_DENSE,
  GST_SAE_CODES_SPARSE,
} GstSaeCodesFormat;

#define GST_TYPE_SAE_CODES_FORMAT (gst_sae_codes_format_get_type ())
GType gst_sae_codes_format_get_type (void);

/* Pad template caps of activations; framerate and dimensions are left open. */
#define GST_SAE_DENSE_CAPS                                                     \
  "other/tensors, format=(string)static, num_tensors=(int)1, "                 \
  "types=(string){ float32, float16, float64 }; "                              \
  "other/tensors, format=(string)flexible"

/* The same, or two tensors: the rows and their target or mask. */
#define GST_SAE_TRAINING_CAPS                                                  \
  "other/tensors, format=(string)static, num_tensors=(int)1, "                 \
  "types=(string){ float32, float16, float64 }; "                              \
  "other/tensors, format=(string)static, num_tensors=(int)2; "                 \
  "other/tensors, format=(string)flexible"

/* Pad template caps of codes; framerate and dimensions are left open. */
#define GST_SAE_CODES_CAPS                                                     \
  "other/tensors, format=(string)static, num_tensors=(int)2, "                 \
  "types=(string)\"uint32,float32\"; "                                         \
  "other/tensors, format=(string)static, num_tensors=(int)1, "                 \
  "types=(string)float32; "                                                    \
  "other/tensors, format=(string)sparse; "                                     \
  "other/tensors, format=(string)flexible"

/* Whether @caps are tensors of any kind: what an element should look at, if
 * only to say why it cannot use them. */
gboolean gst_sae_caps_are_tensors (const GstCaps *caps);

/* Whether @config's codes can be pairs: k slots must always be enough. */
gboolean gst_sae_codes_can_be_pairs (const SaeConfig *config);

/* Codes of rows whose outer dimensions are those of @rows. */
void gst_sae_codes_describe_pairs (const GstSaeTensor *rows,
    const SaeConfig *config, GstSaeTensors *codes);
void gst_sae_codes_describe_dense (const GstSaeTensor *rows,
    const SaeConfig *config, GstSaeTensors *codes);
void gst_sae_codes_describe_sparse (const GstSaeTensor *rows,
    const SaeConfig *config, GstSaeTensors *codes);

/* Whether a flat index has room for every latent of @n_rows rows. */
gboolean gst_sae_codes_can_be_sparse (gsize n_rows, guint d_sae);

/* Whether tensors are pairs or dense codes. */
gboolean gst_sae_codes_are_pairs (const GstSaeTensors *codes);

/* @rows with its innermost dimension replaced. */
GstSaeTensor gst_sae_tensor_with_width (const GstSaeTensor *rows,
    GstSaeType type, guint32 width);

G_END_DECLS
