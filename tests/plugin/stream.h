/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One element between a test's own pads, and what tests of elements push
 * into it and expect of it. */
#pragma once

#include <gst/check/gstharness.h>
#include <gst/gst.h>

#include "sae-model.h"

typedef struct {
  GstHarness *harness; /* NULL while the element stands alone */
  GstElement *element;
  GstBus *bus;
} Stream;

/* Runs the tests and shuts GStreamer down, so that its leaks tracer reports. */
int stream_run_tests (void);

/* An element with these properties (NULL-terminated), PLAYING. */
Stream stream_new (const gchar *element, const gchar *property,
    ...) G_GNUC_NULL_TERMINATED;
/* The same in state NULL with a bus and no harness: for what goes wrong in
 * state changes. */
Stream stream_new_alone (const gchar *element, const gchar *property,
    ...) G_GNUC_NULL_TERMINATED;
void stream_clear (Stream *stream);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Stream, stream_clear)

/* Caps of one tensor, with framerate 0/1. */
GstCaps *stream_caps (const gchar *types, const gchar *dimensions);
/* Sends stream-start (the first time), caps and a TIME segment. */
void stream_send_caps (Stream *stream, GstCaps *caps);
void
stream_send_dims (Stream *stream, const gchar *types, const gchar *dimensions);

/* A buffer of one memory with a copy of @data. */
GstBuffer *stream_buffer (gconstpointer data, gsize size);
/* The same bytes in memories of @sizes bytes, the last one the rest. */
GstBuffer *stream_cut_buffer (gconstpointer data, gsize size,
    const gsize *sizes, guint n_sizes);
/* @data behind the header of a flexible float32 tensor of [n_rows, width]. */
GstMemory *stream_flexible (guint type, guint width, guint n_rows,
    gconstpointer data, gsize size);

/* One memory of a sparse tensor of float32: header, values, flat indices. */
GstMemory *stream_sparse (guint width, guint n_rows, const float *values,
    const guint32 *flat, guint32 nnz);

GstFlowReturn stream_push (Stream *stream, GstBuffer *buffer);
GstFlowReturn stream_push_floats (Stream *stream, const float *x, gsize n);
/* The next buffer that came out; there must be one. Its size is what the last
 * caps said. */
GstBuffer *stream_pull (Stream *stream);
/* No buffer came out. */
void stream_expect_nothing (Stream *stream);
/* Bytes of memory @index of @buffer. */
GBytes *stream_memory (GstBuffer *buffer, guint index);
/* dimensions of the source pad's caps, and their field @name. */
gchar *stream_out_field (Stream *stream, const gchar *name);

/* Exactly one ERROR is on the bus, of this domain and code, and its text has
 * all of the NULL-terminated parts. */
void stream_expect_error (Stream *stream, GQuark domain, gint code,
    ...) G_GNUC_NULL_TERMINATED;
void stream_expect_no_error (Stream *stream);
/* The first message of @type, others before it are dropped. (nullable) */
GstMessage *stream_pop (Stream *stream, GstMessageType type);
/* How many of @type there are; the bus is empty then. */
guint stream_count (Stream *stream, GstMessageType type);

/* [n, d] floats of a little structure, which a dictionary can learn. */
float *stream_rows (guint32 seed, gsize n, guint d);

/* Saves a model made from @seed to a new folder @name in @parent. */
gchar *stream_save_model (const gchar *parent, const gchar *name,
    const SaeConfig *config, guint64 seed);
/* A new folder for one test, and its removal with all that is in it. */
gchar *stream_make_folder (void);
void stream_remove_folder (gchar *path);
/* The floats of a .npy file of float32 in the goldens. */
float *stream_load_golden (const gchar *folder, const gchar *name, gsize *n);
/* The bytes of a file that must be there. */
GBytes *stream_load_file (const gchar *folder, const gchar *name);
