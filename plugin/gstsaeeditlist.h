/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The edits of an element: its children, one a latent, ascending. */
#pragma once

#include "gstsaeedit.h"

G_BEGIN_DECLS

typedef struct {
  GstElement *element; /* the parent, a GstChildProxy; its lock guards all */
  GPtrArray *edits;    /* of GstSaeEdit, whose parent keeps them */
  guint n_latents;     /* of the model; 0 while that is not known */

  GPtrArray *animated; /* of one buffer; streaming thread */
} GstSaeEditList;

void gst_sae_edit_list_init (GstSaeEditList *list, GstElement *element);
void gst_sae_edit_list_clear (GstSaeEditList *list);

/* For GstChildProxy; (transfer full). What is looked up by the name of a latent
 * is made where it is not there. */
guint gst_sae_edit_list_count (GstSaeEditList *list);
GObject *gst_sae_edit_list_get (GstSaeEditList *list, guint place);
GObject *gst_sae_edit_list_find (GstSaeEditList *list, const gchar *name);

/* The element's edits are these from now on, all at once. Those of the same
 * latents stay the same objects, others are gone. */
void gst_sae_edit_list_load (GstSaeEditList *list, const SaeEdits *edits);
/* Fills @edits with what changes something. */
void gst_sae_edit_list_store (GstSaeEditList *list, SaeEdits *edits);

/* Those that are animated get their values at @stream_time, if valid. */
void gst_sae_edit_list_sync (GstSaeEditList *list, GstClockTime stream_time);

/* Of how many latents the model is, 0 when it goes. Refuses edits of others. */
gboolean gst_sae_edit_list_set_n_latents (GstSaeEditList *list, guint n_latents,
    GError **error);
gboolean gst_sae_edit_list_check (GstSaeEditList *list, const SaeEdits *edits,
    GError **error);

G_END_DECLS
