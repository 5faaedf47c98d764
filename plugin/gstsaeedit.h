/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The edit of one latent as an object, whose properties can be set and animated
 * while the stream flows. */
#pragma once

#include <gst/gst.h>

#include "sae-edits.h"

G_BEGIN_DECLS

#define GST_TYPE_SAE_EDIT (gst_sae_edit_get_type ())
G_DECLARE_FINAL_TYPE (GstSaeEdit, gst_sae_edit, GST, SAE_EDIT, GstObject)

/* Named "latent-N"; changes nothing so far. (transfer floating) */
GstSaeEdit *gst_sae_edit_new (guint latent);
/* The N of "latent-N". */
gboolean gst_sae_edit_parse_name (const gchar *name, guint *latent);

guint gst_sae_edit_get_latent (GstSaeEdit *self);

/* Takes over what @edits has for the latent. Nobody is told: notify later, with
 * no lock held. */
void gst_sae_edit_load (GstSaeEdit *self, const SaeEdits *edits);
void gst_sae_edit_notify (GstSaeEdit *self);

/* Adds it to @edits, where it changes something. */
void gst_sae_edit_store (GstSaeEdit *self, SaeEdits *edits);

G_END_DECLS
