/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Messages that nobody has read yet: a bus keeps them all, and a run may last
 * for weeks. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* As many may wait. */
#define GST_SAE_BACKLOG_MAX 600

/* How many do. It lives as long as any of them. */
typedef gint GstSaeBacklog;

GstSaeBacklog *gst_sae_backlog_new (void);
void gst_sae_backlog_unref (GstSaeBacklog *backlog);
/* @message waits until it is freed. */
void gst_sae_backlog_add (GstSaeBacklog *backlog, GstMessage *message);
/* Whether as many wait as may. Where the bus that @element posts on is empty,
 * they were read and somebody keeps them: *@backlog is a new one then. */
gboolean gst_sae_backlog_is_full (GstSaeBacklog **backlog, GstElement *element);

G_END_DECLS
