/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * saeparse in two parts: gstsaeparse.c has the element, its events and
 * queries, gstsaeparseframes.c cuts the bytes. */
#pragma once

#include "gstsaeparse.h"

#include "gstsaerowindex.h"

G_BEGIN_DECLS

typedef struct {
  GstSaeLayoutHints hints;
  guint rows_per_buffer;
  gint rate_n, rate_d;
} GstSaeParseSettings;

struct _GstSaeParse {
  GstBaseParse parent;

  GstSaeParseSettings settings; /* object lock */
  GstSaeParseSettings used;     /* set in start */

  /* The streaming thread changes it under the object lock, others read it
   * under that. */
  GstSaeRowIndex index;

  /* streaming thread */
  guint nominal_rows; /* of most buffers; 0 before any */
  guint caps_rows;
  guint64 frame_row; /* of the current file; what the frame is made of */
  guint frame_rows;  /* 0 for a header */
  /* Row of the current file that would come next; known once something was
   * parsed in the current segment. */
  guint64 next_row;
  gboolean next_known;
  gboolean ending;     /* upstream's EOS is being handled */
  gboolean cut_short;  /* the segment ends before the stream */
  gboolean in_bytes;   /* the segment's times are ours, not upstream's */
  gboolean failed;     /* an error was posted; nothing more is parsed */
  GstBufferPool *pool; /* of buffers for pool_rows converted rows */
  guint pool_rows;
};

/* Upstream is pulled from, in the base class's own loop. */
gboolean gst_sae_parse_drives_itself (GstSaeParse *self);

/* Posts @error (transfer full) and stops parsing. What to return for it. */
GstFlowReturn gst_sae_parse_fail (GstSaeParse *self, GError *error);

/* As start and stop of the element. */
void gst_sae_parse_frames_start (GstSaeParse *self);
void gst_sae_parse_frames_stop (GstSaeParse *self);

/* A stream ends without a byte: no rows if they would be raw, else an error. */
void gst_sae_parse_frames_handle_nothing (GstSaeParse *self);

/* The stream ends: posts an error when rows are missing. */
void gst_sae_parse_frames_check_complete (GstSaeParse *self);

/* GstBaseParse's vmethods. */
GstFlowReturn gst_sae_parse_handle_frame (GstBaseParse *parse,
    GstBaseParseFrame *frame, gint *skip);
GstFlowReturn
gst_sae_parse_pre_push_frame (GstBaseParse *parse, GstBaseParseFrame *frame);

G_END_DECLS
