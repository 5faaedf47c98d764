/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes checkpoints to one file in a thread of its own, so that a stream does
 * not wait for the disk. There is one at a time, since each is a copy of the
 * whole run: those that are due while it is written are left out, and a slow
 * disk means fewer of them. */
#pragma once

#include <gst/gst.h>

#include "sae-trainer.h"

G_BEGIN_DECLS

typedef struct _GstSaeWriter GstSaeWriter;

/* What fails is a WARNING of @element, once until a write works again. */
GstSaeWriter *gst_sae_writer_new (GstElement *element, const gchar *path);

/* Before a copy is made: FALSE while there is one that is not written yet. One
 * that could not be written goes. */
gboolean gst_sae_writer_make_room (GstSaeWriter *writer);

/* Hands over @checkpoint (transfer full), for which there is room. Starts the
 * thread when it is the first; writes it here and now when no thread can be
 * had. */
void gst_sae_writer_put (GstSaeWriter *writer, SaeCheckpoint *checkpoint);

/* Waits until all that was put is written or has failed. */
void gst_sae_writer_wait (GstSaeWriter *writer);

/* Waits too, and tries once more what failed last. */
void gst_sae_writer_free (GstSaeWriter *writer);

G_END_DECLS
