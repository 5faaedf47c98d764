/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How elements find the store of live models: a GstContext of type
 * sae.model-store, from the application, a neighbour or another element of the
 * pipeline, or else made by the first that needs one. */
#pragma once

#include <gst/gst.h>

#include "sae-model-store.h"

G_BEGIN_DECLS

#define GST_SAE_STORE_CONTEXT "sae.model-store"

/* In all of these @store is a field of @element, guarded by its object lock,
 * NULL until it has one. */

/* For GstElementClass.set_context, before chaining up. */
void gst_sae_store_set_context (GstElement *element, SaeModelStore **store,
    GstContext *context);

/* For a pad's query: TRUE when it is answered. */
gboolean gst_sae_store_answer (GstElement *element, SaeModelStore **store,
    GstQuery *query);

/* What @element has, or gets from others, or makes and tells the others. For
 * NULL→READY. (transfer full) */
SaeModelStore *gst_sae_store_find (GstElement *element, SaeModelStore **store);

G_END_DECLS
