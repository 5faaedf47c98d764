/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A reader of a live model: which name in which store, and the version that was
 * last read. */
#pragma once

#include <gst/gst.h>

#include "sae-model-store.h"

G_BEGIN_DECLS

typedef struct {
  GstElement *element;  /* whose object lock guards the next three */
  SaeModelStore *store; /* NULL: no live model is read */
  gchar *name;
  gint64 number; /* of the version; -1 before the first */

  SaeModel *version; /* streaming thread; NULL before the first */
} GstSaeLive;

void gst_sae_live_init (GstSaeLive *live, GstElement *element);
/* @store (transfer full) */
void
gst_sae_live_open (GstSaeLive *live, SaeModelStore *store, const gchar *name);
void gst_sae_live_close (GstSaeLive *live);

/* Whether there is a live model to read, from start to stop. Any thread. */
gboolean gst_sae_live_is_open (GstSaeLive *live);

/* What is known of the model now, 0 and auto where nothing is. FALSE for a name
 * that nobody claims. Any thread. */
gboolean gst_sae_live_get_config (GstSaeLive *live, SaeConfig *config);

/* That and what to say where too little is known to agree on caps. */
gboolean gst_sae_live_require_config (GstSaeLive *live, SaeConfig *config,
    GError **error);

/* Reads the latest version; @changed: whether it is another one than before.
 * @d_in: width of the rows that wait, or 0. Streaming thread. */
gboolean gst_sae_live_read (GstSaeLive *live, guint d_in, gboolean *changed,
    GError **error);

/* The version that was read cannot be run: the next read tells of it again.
 * Streaming thread. */
void gst_sae_live_refuse (GstSaeLive *live);

gint64 gst_sae_live_get_number (GstSaeLive *live);

G_END_DECLS
