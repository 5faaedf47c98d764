/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeparseframes.h"

#include <string.h>

#include "gstsaepool.h"

GST_DEBUG_CATEGORY_EXTERN (sae_parse_debug);
#define GST_CAT_DEFAULT sae_parse_debug

static void
expect_bytes (GstSaeParse *self, gsize size)
{
  gst_base_parse_set_min_frame_size (GST_BASE_PARSE (self),
      (guint) CLAMP (size, 1, G_MAXINT));
}

static void
free_pool (GstSaeParse *self)
{
  if (self->pool)
    gst_buffer_pool_set_active (self->pool, FALSE);
  gst_clear_object (&self->pool);
  self->pool_rows = 0;
}

void
gst_sae_parse_frames_start (GstSaeParse *self)
{
  self->nominal_rows = 0;
  self->caps_rows = 0;
  self->next_known = FALSE;
  self->ending = FALSE;
  self->cut_short = FALSE;
  self->in_bytes = TRUE;
  self->failed = FALSE;
  expect_bytes (self, SAE_NPY_PREFIX_SIZE);
}

void
gst_sae_parse_frames_stop (GstSaeParse *self)
{
  free_pool (self);
}

/* --- errors and ends --- */

gboolean
gst_sae_parse_drives_itself (GstSaeParse *self)
{
  return GST_PAD_MODE (GST_BASE_PARSE_SINK_PAD (self)) == GST_PAD_MODE_PULL;
}

/* Nothing comes behind the bytes at hand. */
static gboolean
at_end (GstSaeParse *self)
{
  return GST_BASE_PARSE_DRAINING (self) &&
         (self->ending || gst_sae_parse_drives_itself (self));
}

GstFlowReturn
gst_sae_parse_fail (GstSaeParse *self, GError *error)
{
  self->failed = TRUE;
  gst_sae_element_post_error (GST_ELEMENT (self), NULL, error);
  if (!gst_sae_parse_drives_itself (self))
    return GST_FLOW_ERROR;
  /* For ERROR the base class's loop would post a second, empty error; this
   * stops the loop as well, and the EOS that goes with it is ours to send. */
  gst_pad_push_event (GST_BASE_PARSE_SRC_PAD (self), gst_event_new_eos ());
  return GST_FLOW_FLUSHING;
}

/* What is left when a stream breaks off without an end (DISCONT, a new
 * segment) and cannot be parsed. */
static GstFlowReturn
drop_rest (GstSaeParse *self, gsize size, gint *skip)
{
  GST_WARNING_OBJECT (self,
      "the stream breaks off: %" G_GSIZE_FORMAT " bytes dropped", size);
  *skip = (gint) MIN (size, G_MAXINT);
  return GST_FLOW_OK;
}

/* --- caps --- */

static void
send_caps (GstSaeParse *self, guint n_rows)
{
  GstPad *pad = GST_BASE_PARSE_SRC_PAD (self);
  gint fps_n, fps_d;
  GstCaps *caps;

  if (self->caps_rows == n_rows)
    return;
  gst_sae_row_units_get_framerate (&self->index.units, self->nominal_rows,
      &fps_n, &fps_d);
  caps =
      gst_sae_npy_rows_to_caps (&self->index.layout.rows, n_rows, fps_n, fps_d);
  GST_DEBUG_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  /* While the pad flushes they are lost, and sent again with the next rows. */
  self->caps_rows =
      gst_pad_push_event (pad, gst_event_new_caps (caps)) ? n_rows : 0;
  gst_caps_unref (caps);
}

/* Rows of a full buffer of the current file. */
static guint
count_full_rows (GstSaeParse *self)
{
  guint64 n_rows = self->index.layout.current.n_rows;
  guint full = self->used.rows_per_buffer;

  return n_rows > 0 ? (guint) MIN (full, n_rows) : full;
}

/* At the beginning of each file. */
static gboolean
begin_file (GstSaeParse *self, GError **error)
{
  const GstSaeLayout *layout = &self->index.layout;
  gsize row_size = MAX (layout->row_size, layout->rows.row_size);
  guint n_rows = count_full_rows (self);

  if (row_size > G_MAXINT / n_rows) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "rows-per-buffer: expected buffers below 2^31 bytes, got %u rows of "
        "%" G_GSIZE_FORMAT " bytes",
        n_rows, row_size);
    return FALSE;
  }
  if (self->nominal_rows == 0) {
    self->nominal_rows = n_rows;
    send_caps (self, n_rows);
  }
  return TRUE;
}

/* --- headers --- */

static gboolean
accept_header (GstSaeParse *self, const guint8 *data, gsize size,
    guint64 offset, GError **error)
{
  SaeNpyHeader header;
  gboolean ok;

  if (!sae_npy_header_parse (data, size, &header, error))
    return FALSE;
  GST_OBJECT_LOCK (self);
  ok = gst_sae_layout_accept_header (&self->index.layout, &header, offset,
      &self->used.hints, error);
  self->index.units.row_size = self->index.layout.rows.row_size;
  GST_OBJECT_UNLOCK (self);
  return ok && begin_file (self, error);
}

/* Sends the header as a frame without rows, which pre_push_frame drops: a file
 * of 0 rows has then been parsed in the eyes of the base class, too. */
static GstFlowReturn
finish_header (GstSaeParse *self, GstBaseParseFrame *frame, gsize size)
{
  const GstSaeLayout *layout = &self->index.layout;
  guint64 n_rows = MIN (layout->current.n_rows, self->used.rows_per_buffer);

  self->frame_row = 0;
  self->frame_rows = 0;
  expect_bytes (self, (gsize) n_rows * layout->row_size);
  return gst_base_parse_finish_frame (GST_BASE_PARSE (self), frame,
      (gint) size);
}

static GstFlowReturn
refuse_header (GstSaeParse *self, GError *error, guint64 offset)
{
  g_prefix_error (&error, "byte %" G_GUINT64_FORMAT "%s: ", offset,
      self->index.layout.known
          ? ", expected the end of the stream or another .npy file"
          : "");
  return gst_sae_parse_fail (self, error);
}

static GstFlowReturn
handle_header (GstSaeParse *self, GstBaseParseFrame *frame, gint *skip)
{
  gsize available = gst_buffer_get_size (frame->buffer);
  gsize size = SAE_NPY_PREFIX_SIZE;
  guint8 prefix[SAE_NPY_PREFIX_SIZE];
  g_autofree guint8 *data = NULL;
  GError *error = NULL;

  if (available >= size) {
    gst_buffer_extract (frame->buffer, 0, prefix, size);
    size = sae_npy_header_size (prefix, size, &error);
    if (size == 0)
      return refuse_header (self, error, frame->offset);
  }
  if (available < size && !at_end (self)) {
    if (GST_BASE_PARSE_DRAINING (self))
      return drop_rest (self, available, skip);
    expect_bytes (self, size);
    return GST_FLOW_OK;
  }
  size = MIN (size, available);
  data = g_malloc (size);
  gst_buffer_extract (frame->buffer, 0, data, size);
  if (!accept_header (self, data, size, frame->offset, &error))
    return refuse_header (self, error, frame->offset);
  return finish_header (self, frame, size);
}

/* --- rows --- */

static gboolean
make_pool (GstSaeParse *self, guint n_rows)
{
  gsize size = n_rows * self->index.layout.rows.row_size;

  if (n_rows <= self->pool_rows)
    return TRUE;
  free_pool (self);
  self->pool = gst_sae_pool_new (&size, 1, NULL, NULL);
  if (self->pool)
    self->pool_rows = n_rows;
  return self->pool != NULL;
}

static gboolean
convert_elements (const GstSaeLayout *layout, GstBuffer *in, GstBuffer *out,
    gsize n_elements)
{
  gsize size = n_elements * sae_dtype_size (layout->dtype);
  GstMapInfo from, to;

  if (!gst_buffer_map (in, &from, GST_MAP_READ))
    return FALSE;
  if (!gst_buffer_map (out, &to, GST_MAP_WRITE)) {
    gst_buffer_unmap (in, &from);
    return FALSE;
  }
  if (layout->dtype == SAE_DTYPE_BFLOAT16) {
    sae_dtype_to_float32 (layout->dtype, from.data, n_elements,
        (float *) (void *) to.data);
  } else {
    memcpy (to.data, from.data, size);
    gst_sae_swap_file_elements (to.data, n_elements,
        sae_dtype_size (layout->dtype));
  }
  gst_buffer_unmap (out, &to);
  gst_buffer_unmap (in, &from);
  return TRUE;
}

/* Only where the bytes are not the tensor already. */
static GstFlowReturn
convert_rows (GstSaeParse *self, GstBaseParseFrame *frame, guint n_rows)
{
  const GstSaeLayout *layout = &self->index.layout;
  gsize size = n_rows * layout->rows.row_size;
  GstBuffer *out = NULL;
  GError *error = NULL;
  GstFlowReturn flow;

  if (layout->dtype != SAE_DTYPE_BFLOAT16 && G_BYTE_ORDER == G_LITTLE_ENDIAN)
    return GST_FLOW_OK;
  if (!make_pool (self, count_full_rows (self)))
    return gst_sae_parse_fail (self,
        g_error_new (SAE_ERROR, SAE_ERROR_NO_SPACE,
            "no memory for buffers of %" G_GSIZE_FORMAT " bytes", size));
  flow = gst_sae_pool_acquire (self->pool, &out, &error);
  if (flow != GST_FLOW_OK)
    return error ? gst_sae_parse_fail (self, error) : flow;
  gst_buffer_set_size (out, (gssize) size);
  if (!convert_elements (layout, frame->buffer, out,
          (gsize) n_rows * layout->rows.width)) {
    gst_buffer_unref (out);
    return gst_sae_parse_fail (self,
        g_error_new (SAE_ERROR, SAE_ERROR_READ, "the buffer cannot be mapped"));
  }
  gst_buffer_copy_into (out, frame->buffer,
      GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS, 0, (gsize) -1);
  frame->out_buffer = out;
  return GST_FLOW_OK;
}

static GstFlowReturn
finish_rows (GstSaeParse *self, GstBaseParseFrame *frame, guint64 row,
    guint n_rows)
{
  const GstSaeLayout *layout = &self->index.layout;
  guint64 left = layout->current.n_rows - row - n_rows;
  GstFlowReturn flow;

  send_caps (self, n_rows);
  flow = convert_rows (self, frame, n_rows);
  if (flow != GST_FLOW_OK)
    return flow;
  self->frame_row = row;
  self->frame_rows = n_rows;
  expect_bytes (self,
      (gsize) MIN (left, count_full_rows (self)) * layout->row_size);
  return gst_base_parse_finish_frame (GST_BASE_PARSE (self), frame,
      (gint) (n_rows * layout->row_size));
}

/* Rows from @row on up to the end of the file or segment. */
static guint64
count_rows_left (GstSaeParse *self, guint64 row)
{
  const GstSegment *segment = &GST_BASE_PARSE (self)->segment;
  const GstSaeArray *file = &self->index.layout.current;
  GstSaeRowUnits times = gst_sae_row_index_get_times (&self->index);
  guint64 left = file->n_rows - row;
  gint64 stop;

  if (!self->in_bytes || segment->stop == GST_CLOCK_TIME_NONE ||
      !gst_sae_row_units_convert (&times, GST_FORMAT_TIME,
          (gint64) segment->stop, GST_FORMAT_DEFAULT, &stop))
    return left;
  stop -= (gint64) (file->first_row + row);
  return MIN (left, (guint64) MAX (stop, 0));
}

static GstFlowReturn
refuse_part (GstSaeParse *self, guint64 row, gsize size)
{
  const GstSaeLayout *layout = &self->index.layout;

  return gst_sae_parse_fail (self,
      g_error_new (SAE_ERROR, SAE_ERROR_FORMAT,
          "row %" G_GUINT64_FORMAT ": expected %" G_GSIZE_FORMAT
          " bytes (%u %s), the stream ends after %" G_GSIZE_FORMAT,
          layout->current.first_row + row, layout->row_size, layout->rows.width,
          sae_dtype_name (layout->dtype), size));
}

static GstFlowReturn
handle_rows (GstSaeParse *self, GstBaseParseFrame *frame, guint64 row,
    gint *skip)
{
  gsize size = gst_buffer_get_size (frame->buffer);
  gsize row_size = self->index.layout.row_size;
  guint64 left = count_rows_left (self, row);
  guint n_rows = (guint) MIN (left, count_full_rows (self));

  if (left == 0) {
    self->cut_short = TRUE;
    return GST_FLOW_EOS;
  }
  if (size / row_size < n_rows) {
    if (!GST_BASE_PARSE_DRAINING (self)) {
      expect_bytes (self, n_rows * row_size);
      return GST_FLOW_OK;
    }
    n_rows = (guint) (size / row_size);
  }
  if (n_rows > 0)
    return finish_rows (self, frame, row, n_rows);
  if (at_end (self) && !self->cut_short)
    return refuse_part (self, row, size);
  return drop_rest (self, size, skip);
}

/* --- frames --- */

static GstFlowReturn
handle_beginning (GstSaeParse *self, GstBaseParseFrame *frame, gint *skip)
{
  guint8 prefix[SAE_NPY_PREFIX_SIZE];
  gsize size = gst_buffer_extract (frame->buffer, 0, prefix, sizeof prefix);
  GError *error = NULL;
  gboolean ok;

  if (size < sizeof prefix && !GST_BASE_PARSE_DRAINING (self)) {
    expect_bytes (self, sizeof prefix);
    return GST_FLOW_OK;
  }
  if (gst_sae_layout_is_npy (prefix, size))
    return handle_header (self, frame, skip);
  if (self->used.hints.width == 0) {
    sae_npy_header_size (prefix, size, &error);
    g_prefix_error (&error, "no input-size was set for raw rows, and ");
    return gst_sae_parse_fail (self, error);
  }
  GST_OBJECT_LOCK (self);
  ok =
      gst_sae_layout_begin_raw (&self->index.layout, &self->used.hints, &error);
  self->index.units.row_size = self->index.layout.rows.row_size;
  GST_OBJECT_UNLOCK (self);
  if (!ok || !begin_file (self, &error))
    return gst_sae_parse_fail (self, error);
  return GST_FLOW_OK;
}

GstFlowReturn
gst_sae_parse_handle_frame (GstBaseParse *parse, GstBaseParseFrame *frame,
    gint *skip)
{
  GstSaeParse *self = GST_SAE_PARSE (parse);
  GstSaePlace place;
  GstFlowReturn flow;

  if (self->failed)
    return gst_sae_parse_drives_itself (self) ? GST_FLOW_FLUSHING
                                              : GST_FLOW_ERROR;
  if (!self->index.layout.known) {
    flow = handle_beginning (self, frame, skip);
    if (flow != GST_FLOW_OK || !self->index.layout.known ||
        self->index.layout.current.header_size > 0)
      return flow;
  }
  GST_OBJECT_LOCK (self);
  place = gst_sae_layout_locate (&self->index.layout, frame->offset);
  GST_OBJECT_UNLOCK (self);
  switch (place.kind) {
    case GST_SAE_AT_HEADER:
      return handle_header (self, frame, skip);
    case GST_SAE_AT_ROW:
      return handle_rows (self, frame, place.row, skip);
    case GST_SAE_INSIDE:
    default:
      *skip = (gint) MIN (place.skip, G_MAXINT);
      return GST_FLOW_OK;
  }
}

static void
stamp_buffer (GstSaeParse *self, GstBuffer *buffer)
{
  const GstSaeRowUnits *units = &self->index.units;
  guint64 row = self->index.layout.current.first_row + self->frame_row;
  guint64 end = row + self->frame_rows;

  GST_BUFFER_OFFSET (buffer) = row;
  GST_BUFFER_OFFSET_END (buffer) = end;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  if (units->rate_n > 0) {
    GST_BUFFER_PTS (buffer) = gst_sae_row_units_get_time (units, row);
    GST_BUFFER_DURATION (buffer) =
        gst_sae_row_units_get_time (units, end) - GST_BUFFER_PTS (buffer);
  }
  GST_OBJECT_LOCK (self);
  self->index.position = end;
  GST_OBJECT_UNLOCK (self);
}

GstFlowReturn
gst_sae_parse_pre_push_frame (GstBaseParse *parse, GstBaseParseFrame *frame)
{
  GstSaeParse *self = GST_SAE_PARSE (parse);
  GstBuffer *buffer = frame->buffer;

  self->next_row = self->frame_row + self->frame_rows;
  self->next_known = TRUE;
  if (self->frame_rows == 0)
    return GST_BASE_PARSE_FLOW_DROPPED;
  if (gst_buffer_n_memory (buffer) > 1)
    gst_buffer_replace_all_memory (buffer, gst_buffer_get_all_memory (buffer));
  stamp_buffer (self, buffer);
  return GST_FLOW_OK;
}

/* --- ends --- */

/* The last chance to see that rows are missing: the base class sends EOS by
 * itself, from a loop that nothing else of ours is called in. */
void
gst_sae_parse_frames_check_complete (GstSaeParse *self)
{
  const GstSaeArray *file = &self->index.layout.current;

  if (self->failed || self->cut_short || !self->next_known ||
      file->n_rows == GST_SAE_ENDLESS || self->next_row >= file->n_rows)
    return;
  self->failed = TRUE;
  gst_sae_element_post_error (GST_ELEMENT (self), NULL,
      g_error_new (SAE_ERROR, SAE_ERROR_FORMAT,
          "expected %" G_GUINT64_FORMAT
          " rows as the .npy header declares, the stream ends after "
          "%" G_GUINT64_FORMAT,
          file->n_rows, self->next_row));
}

void
gst_sae_parse_frames_handle_nothing (GstSaeParse *self)
{
  GError *error = NULL;

  if (self->used.hints.width > 0 &&
      gst_sae_layout_begin_raw (&self->index.layout, &self->used.hints,
          &error) &&
      begin_file (self, &error))
    return;
  if (!error)
    error = g_error_new (SAE_ERROR, SAE_ERROR_FORMAT,
        "expected a .npy file or, with input-size, raw rows; the stream is "
        "empty");
  gst_sae_parse_fail (self, error);
}
