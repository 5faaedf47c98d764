/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saeencoder, saedecoder and saesteer have in common: a model, and output
 * buffers of tensors whose number of rows may change from buffer to buffer. */
#pragma once

#include <gst/base/gstbasetransform.h>

#include "gstsaetensors.h"
#include "sae-model.h"

G_BEGIN_DECLS

#define GST_TYPE_SAE_FILTER (gst_sae_filter_get_type ())
G_DECLARE_DERIVABLE_TYPE (GstSaeFilter, gst_sae_filter, GST, SAE_FILTER,
    GstBaseTransform)

/* Most forms that one input can be turned into. */
#define GST_SAE_MAX_FORMS 4

/* Codes or activations in a buffer being processed. */
typedef struct {
  SaeModel *model;
  SaeWorkspace *workspace;
  const GstSaeReader *in;
  GstBuffer *inbuf;          /* for its metas and flags */
  GstBuffer *outbuf;         /* for its metas; NULL while measuring */
  const GstSaeTensors *form; /* what the output is */
  GstMapInfo *out;           /* its memories, mapped, one a tensor */
} GstSaeJob;

/* Where the data of tensor @index of the output go: behind its header, which
 * flexible and sparse ones have and GstSaeFilter writes. */
guint8 *gst_sae_job_get_output (const GstSaeJob *job, guint index);

struct _GstSaeFilterClass {
  GstBaseTransformClass parent_class;

  gboolean reads_sparse; /* sparse tensors may come in */

  /* Checks what @in (its tensors are known) demands of @config and fills in
   * sizes of @config that are still 0. */
  gboolean (*check) (GstSaeFilter *self, const GstSaeTensors *in,
      SaeConfig *config, GError **error);

  /* What @in can become, in order of preference, into @forms: their tensors are
   * told whatever their format is, and static ones come before flexible ones;
   * returns how many. */
  guint (*list_forms) (GstSaeFilter *self, const GstSaeTensors *in,
      const SaeConfig *config, GstSaeTensors forms[GST_SAE_MAX_FORMS]);

  /* For sparse output, before there is any: how many values the codes of the
   * input have. May keep what it finds for process, which follows. */
  gboolean (*measure) (GstSaeFilter *self, const GstSaeJob *job, guint32 *nnz,
      GError **error);

  gboolean (
      *process) (GstSaeFilter *self, const GstSaeJob *job, GError **error);
};

/* Tensor @index of @in as float32: in place, or converted into scratch that
 * holds until the next call. NULL with @error set when it is not floating or
 * memory is exhausted. */
const float *gst_sae_filter_get_floats (GstSaeFilter *self,
    const GstSaeReader *in, guint index, GError **error);

/* Scratch of @size bytes that holds until the next call; only grows. */
gpointer
gst_sae_filter_get_scratch (GstSaeFilter *self, gsize size, GError **error);

/* For an element that makes its output buffers itself, of the form of the
 * input, in place of process: opens @buffer, checks it against the model, and
 * sends caps when the number of rows is not what they said; a GAP buffer may
 * hold anything. @job's model is NULL where there are no rows, and its output
 * is not filled in. */
GstFlowReturn gst_sae_filter_open (GstSaeFilter *self, GstBuffer *buffer,
    GstSaeJob *job, GError **error);
void gst_sae_filter_close (GstSaeFilter *self);

/* Buffers of one memory of @size bytes, as was agreed on with downstream. */
GstBufferPool *gst_sae_filter_new_pool (GstSaeFilter *self, gsize size);

G_END_DECLS
