/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Elements to measure: behind a pad that pushes what it is given, with nothing
 * of its own, or behind saesrc. */
#pragma once

#include <gst/gst.h>

typedef struct {
  GstElement *pipeline;
  GstPad *source; /* ours */
  GstBus *bus;
} BenchElements;

/* @description, as of gst-launch-1.0, in a pipeline that is PLAYING, with its
 * caps and segment sent: rows of @d floats, @n_rows a buffer. */
gboolean bench_elements_open (BenchElements *elements, const char *description,
    guint d, guint n_rows, GError **error);
/* Pushes @buffer, which stays the caller's. */
gboolean bench_elements_push (BenchElements *elements, GstBuffer *buffer,
    GError **error);
void bench_elements_clear (BenchElements *elements);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BenchElements, bench_elements_clear)

/* Runs a whole pipeline that starts with an element "source"; seconds from the
 * first buffer that leaves it to the end of the stream, or -1. */
double bench_elements_run (const char *description, GError **error);
