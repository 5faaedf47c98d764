/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

/* Stream time of row @row of the @n that @buffer had, spread evenly over its
 * duration; GST_CLOCK_TIME_NONE where there is none. */
static GstClockTime
find_stream_time (GstSaeTrainer *self, GstBuffer *buffer, gsize row, gsize n)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime time = GST_BUFFER_PTS (buffer);

  if (segment->format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID (time))
    return GST_CLOCK_TIME_NONE;
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    time += gst_util_uint64_scale (GST_BUFFER_DURATION (buffer), row, n);
  return gst_segment_to_stream_time (segment, GST_FORMAT_TIME, time);
}

/* Without a time the values stay. */
static void
sync_values (GstSaeTrainer *self, GstBuffer *buffer, gsize row, gsize n)
{
  GstClockTime time = find_stream_time (self, buffer, row, n);

  if (GST_CLOCK_TIME_IS_VALID (time))
    gst_object_sync_values (GST_OBJECT (self), time);
}

/* The row of the buffer that the row to train on after @row was. */
static gsize
next_row (const GstSaeTrainerRows *rows, gsize row)
{
  while (rows->mask && !rows->mask[row])
    row++;
  return row;
}

/* Batches do not end where buffers do: a value that changes from row to row is
 * taken once per batch, at its first row, so that what is trained does not
 * depend on how the stream is cut. */
static gboolean
push_by_batch (GstSaeTrainer *self, GstBuffer *buffer,
    const GstSaeTrainerRows *rows, GError **error)
{
  gsize at = 0, row = 0;

  while (at < rows->n) {
    guint64 pending;
    guint64 missing = sae_trainer_get_missing_rows (self->trainer, &pending);
    gsize n = (gsize) MIN (missing, rows->n - at);
    if (pending == 0)
      sync_values (self, buffer, next_row (rows, row), rows->n_all);
    if (!gst_sae_trainer_push_piece (self, rows, at, n, error))
      return FALSE;
    at += n;
    for (gsize i = 0; i < n; i++)
      row = next_row (rows, row) + 1;
  }
  return TRUE;
}

gboolean
gst_sae_trainer_push_rows (GstSaeTrainer *self, GstBuffer *buffer,
    const GstSaeTrainerRows *rows, GError **error)
{
  if (gst_object_has_active_control_bindings (GST_OBJECT (self)))
    return push_by_batch (self, buffer, rows, error);
  return gst_sae_trainer_push_piece (self, rows, 0, rows->n, error);
}
