/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * GstSaeFilter in parts: gstsaefilter.c has the type, its model and its states;
 * the others a part of what happens to caps and buffers each, as below. */
#pragma once

#include "gstsaefilter.h"

#include "gstsaechoice.h"
#include "gstsaefloats.h"
#include "gstsaelive.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (sae_filter_debug);
#define GST_CAT_DEFAULT sae_filter_debug

typedef struct {
  /* properties; object lock */
  GstSaeChoice choice;

  SaeModelStore *store; /* object lock; see gstsaestore.h */
  GstSaeLive live;      /* of model-name */
  GstSaeChoice started; /* what was chosen in start */

  /* set in start, used by the streaming thread */
  SaeModel *model;  /* NULL until the sizes of an untrained one are known */
  SaeConfig config; /* d_in 0 until known */
  SaeWorkspace *workspace;

  /* streaming thread */
  GstSaeTensors in;    /* of the sink caps */
  GstSaeTensors out;   /* of the source caps */
  GstCaps *refused;    /* sink caps that were last reported as an error */
  GstBufferPool *pool; /* for buffers of out; NULL when they changed */
  gsize room[GST_SAE_MAX_TENSORS]; /* of each memory of the pool's buffers */
  guint32 nnz;                     /* of the buffer at work, when sparse */
  GstAllocator *allocator;
  GstAllocationParams params;
  GstSaeReader reader;
  GstSaeFloats floats;
  gpointer scratch;
  gsize scratch_size;
} GstSaeFilterPrivate;

GstSaeFilterPrivate *gst_sae_filter_get_private (GstSaeFilter *self);

/* --- gstsaefilter.c: the model -------------------------------------------- */

/* What caps are made of, in any thread: a live model's sizes may be known by
 * now, and be others later. */
SaeConfig gst_sae_filter_get_config (GstSaeFilter *self);

/* For new caps: what the live model is now, or will be; and, once the caps are
 * taken, the model itself where there is one. */
gboolean gst_sae_filter_learn_live_config (GstSaeFilter *self, GError **error);
gboolean gst_sae_filter_meet_live_model (GstSaeFilter *self, GError **error);

/* The model is there after this, if only an untrained one. */
gboolean gst_sae_filter_ensure_model (GstSaeFilter *self, GError **error);

/* --- gstsaefiltercaps.c: negotiation ---------------------------------------
 */

GstCaps *gst_sae_filter_transform_caps (GstBaseTransform *trans,
    GstPadDirection direction, GstCaps *caps, GstCaps *filter);
GstCaps *gst_sae_filter_fixate_caps (GstBaseTransform *trans,
    GstPadDirection direction, GstCaps *caps, GstCaps *othercaps);
gboolean gst_sae_filter_set_caps (GstBaseTransform *trans, GstCaps *in_caps,
    GstCaps *out_caps);

/* Appends the caps of @form, once with each number of trailing ones. */
void gst_sae_filter_append_variants (GstCaps *caps, const GstSaeTensors *form);

/* The form of @in that has the format and types that were negotiated. */
gboolean gst_sae_filter_choose_form (GstSaeFilter *self,
    const GstSaeTensors *in, GstSaeTensors *form, GError **error);
gboolean
gst_sae_filter_same_tensors (const GstSaeTensors *a, const GstSaeTensors *b);

/* --- gstsaefilteroutput.c: a buffer and what is made of it ------------------
 */

void gst_sae_filter_clear_pool (GstSaeFilterPrivate *priv);
gboolean
gst_sae_filter_decide_allocation (GstBaseTransform *trans, GstQuery *query);
GstFlowReturn gst_sae_filter_prepare_output_buffer (GstBaseTransform *trans,
    GstBuffer *inbuf, GstBuffer **outbuf);
GstFlowReturn gst_sae_filter_transform (GstBaseTransform *trans,
    GstBuffer *inbuf, GstBuffer *outbuf);

G_END_DECLS
