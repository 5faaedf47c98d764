/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows whose values follow from their place, so that a test can tell which
 * rows it got, as bytes, .npy files and the output of an element. */
#pragma once

#include <gst/gst.h>

/* Element @j of row @i: exact in every floating type of a stream. */
#define ROWS_VALUE(i, j) ((j) == 0 ? (i) % 2048 : ((i) *3 + (j)) % 251)

/* Rows @first to @first + @n - 1 of @width elements: "<f4", "<f2" or "<f8"
 * as NumPy names them, "bf16", or "|u1", "<u4" (the values modulo 256).
 * Little-endian. */
void rows_append (GByteArray *bytes, const gchar *descr, guint64 first, gsize n,
    guint width);

/* A version 1.0 header, written here and not by the library under test.
 * @shape: "(3, 4)" and so on. */
void
rows_append_header (GByteArray *bytes, const gchar *descr, const gchar *shape);

/* An .npy file of rows 0 to @n - 1. */
GByteArray *rows_npy (const gchar *descr, gsize n, guint width);

void rows_save (const gchar *path, const GByteArray *bytes);
/* Saves rows @first to @first + @n - 1. */
void rows_save_npy (const gchar *path, const gchar *descr, guint64 first,
    gsize n, guint width);

/* A stream of buffers, taken down as it comes. */
typedef struct {
  GByteArray *bytes; /* of all buffers */
  GArray *sizes;     /* guint: rows of each */
  GArray *offsets;   /* guint64: GST_BUFFER_OFFSET of each */
  GArray *times;     /* GstClockTime: PTS of each */
  GPtrArray *dims;   /* gchar *: dimensions of the caps of each */
} RowsTaken;

RowsTaken *rows_taken_new (void);
void rows_taken_free (RowsTaken *taken);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RowsTaken, rows_taken_free)
/* Takes down a buffer of rows of @row_size bytes. */
void rows_taken_add (RowsTaken *taken, GstBuffer *buffer, const GstCaps *caps,
    gsize row_size);
/* Each buffer is as long as its caps said, and they are rows of @descr from
 * @first on, @n in all. */
void rows_taken_expect (const RowsTaken *taken, const gchar *descr,
    guint64 first, gsize n, guint width);
guint rows_taken_size (const RowsTaken *taken, guint index);

/* Runs @description, whose appsink is named "out", to EOS or an ERROR.
 * @row_size 0: the output is not rows. */
RowsTaken *rows_run (const gchar *description, gsize row_size,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same with a pipeline that is PLAYING already, and goes on doing so. */
RowsTaken *rows_collect (GstElement *pipeline, gsize row_size, GError **error);
