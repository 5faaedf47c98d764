/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes checkpoints to one file in a thread of its own, so that a stream does
 * not wait for the disk. While one is being written, the newest of those that
 * come waits, and older ones are left out: a slow disk means fewer of them. */
#pragma once

#include <gst/gst.h>

#include "sae-trainer.h"

G_BEGIN_DECLS

typedef struct _GstSaeWriter GstSaeWriter;

/* What fails is a WARNING of @element, once until a write works again. */
GstSaeWriter *gst_sae_writer_new (GstElement *element, const gchar *path);

/* Hands over @checkpoint (transfer full). Starts the thread when it is the
 * first; writes it here and now when no thread can be had. */
void gst_sae_writer_put (GstSaeWriter *writer, SaeCheckpoint *checkpoint);

/* Leaves out the one that waits for its turn: before a copy is made that would
 * take its place, so that there are never three. */
void gst_sae_writer_forget_waiting (GstSaeWriter *writer);

/* Waits until all that was put is written or has failed. */
void gst_sae_writer_wait (GstSaeWriter *writer);

/* Waits too, and tries once more what failed last. */
void gst_sae_writer_free (GstSaeWriter *writer);

G_END_DECLS
