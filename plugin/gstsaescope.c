/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saescope
 * @title: saescope
 * @short_description: codes as a picture
 *
 * Draws codes as they come: a raster of the active latents, which scrolls from
 * right to left (a latent's number downwards, brighter where it is stronger),
 * how often latents fire, and how many are active in a row or, behind a
 * saetrainer, its loss. Frames smaller than 320 × 200 are filled by the raster.
 *
 * Streams with timestamps make a frame for every 1/framerate of theirs, but
 * none for a pause of more than a second between two rows. Streams without make
 * one every #GstSaeScope:rows-per-frame rows, or with #GstSaeScope:pace set to
 * `clock` as many as are due by the clock on the wall, so that a fast stream is
 * not held up. What has come since the last frame is drawn at EOS.
 *
 * The loss is that of the events `sae-stats` which saetrainer sends downstream:
 * a saeencoder between the two passes them on.
 *
 * Pairs do not tell how many latents there are: set #GstSaeScope:dict-size or
 * #GstSaeScope:model-location for them. GAP buffers take their time and show
 * nothing.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=heldout.npy rate=1000/1 !
 *     saeencoder location=out/ ! saescope model-location=out/ !
 *     videoconvert ! autovideosink
 * gst-launch-1.0 saesrc location=heldout.npy ! saeencoder location=out/ !
 *     saescope model-location=out/ rows-per-frame=100000 rows-per-column=4 !
 *     video/x-raw,width=1280,height=640 ! pngenc ! filesink location=codes.png
 * ]|
 */
#include "gstsaescope.h"

#include <gst/video/video.h>

#include "gstsaecodesinput.h"
#include "gstsaelimit.h"
#include "gstsaescopedata.h"
#include "gstsaescopedraw.h"
#include "gstsaescopetiming.h"

GST_DEBUG_CATEGORY_STATIC (sae_scope_debug);
#define GST_CAT_DEFAULT sae_scope_debug

#define DEFAULT_WIDTH 960
#define DEFAULT_HEIGHT 540
#define DEFAULT_FPS 25
#define DEFAULT_ROWS_PER_FRAME 64
/* With rows-per-column 0: how far the raster moves with a frame. */
#define COLUMNS_PER_FRAME 4

/* Of each latent: how often it fired, and where it is in the raster. */
#define LATENT_BYTES (sizeof (guint64) + sizeof (guint))

typedef struct {
  guint dict_size;
  guint64 max_bytes;
  gchar *model_location, *title;
  GstSaeScopePace pace;
  guint rows_per_frame, rows_per_column;
} Settings;

struct _GstSaeScope {
  GstBaseTransform parent;

  Settings settings; /* object lock */

  /* QoS of downstream, in running time; object lock */
  GstClockTime earliest;

  /* streaming thread */
  Settings used; /* strings are of no use there, and NULL */
  GstSaeCodesInput input;
  GstSaeScopeTiming timing;
  GstSaeScopeData data;
  GstSaeScopeDraw draw;
  GstVideoInfo info;
  gboolean have_columns; /* rows_per_column is settled */

  /* the buffer being shown */
  GstBuffer *buffer; /* NULL: none */
  GstSaeCodesRows rows;
  gboolean gap; /* rows are none, however many */
  gsize next;   /* row */
};

enum {
  PROP_0,
  PROP_DICT_SIZE,
  PROP_MODEL_LOCATION,
  PROP_TITLE,
  PROP_PACE,
  PROP_ROWS_PER_FRAME,
  PROP_ROWS_PER_COLUMN,
  PROP_MAX_BYTES
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_CODES_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("video/x-raw, format=(string){ BGRx, BGRA, RGBx, RGBA, "
                     "xRGB, RGB, BGR }, width=(int)[ 16, 8192 ], "
                     "height=(int)[ 16, 8192 ], "
                     "framerate=(fraction)[ 1/1000, 1000/1 ]"));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeScope, gst_sae_scope,
    GST_TYPE_BASE_TRANSFORM, G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saescope, "saescope", GST_RANK_NONE,
    GST_TYPE_SAE_SCOPE)

GType
gst_sae_scope_pace_get_type (void)
{
  static gsize type;
  static const GEnumValue values[] = {
      {GST_SAE_SCOPE_PACE_AUTO, "By time where there is one, else by rows",
          "auto"},
      {GST_SAE_SCOPE_PACE_TIME, "By the timestamps of the rows", "time"},
      {GST_SAE_SCOPE_PACE_ROWS, "A frame every so many rows", "rows"},
      {GST_SAE_SCOPE_PACE_CLOCK, "By the clock on the wall", "clock"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        g_enum_register_static ("GstSaeScopePace", values));
  return type;
}

/* --- properties ----------------------------------------------------------- */

static void
gst_sae_scope_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeScope *self = GST_SAE_SCOPE (object);
  Settings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_DICT_SIZE:
      settings->dict_size = g_value_get_uint (value);
      break;
    case PROP_MODEL_LOCATION:
      g_free (settings->model_location);
      settings->model_location = g_value_dup_string (value);
      break;
    case PROP_TITLE:
      g_free (settings->title);
      settings->title = g_value_dup_string (value);
      break;
    case PROP_PACE:
      settings->pace = (GstSaeScopePace) g_value_get_enum (value);
      break;
    case PROP_ROWS_PER_FRAME:
      settings->rows_per_frame = g_value_get_uint (value);
      break;
    case PROP_ROWS_PER_COLUMN:
      settings->rows_per_column = g_value_get_uint (value);
      break;
    case PROP_MAX_BYTES:
      settings->max_bytes = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_scope_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeScope *self = GST_SAE_SCOPE (object);
  const Settings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_DICT_SIZE:
      g_value_set_uint (value, settings->dict_size);
      break;
    case PROP_MODEL_LOCATION:
      g_value_set_string (value, settings->model_location);
      break;
    case PROP_TITLE:
      g_value_set_string (value, settings->title);
      break;
    case PROP_PACE:
      g_value_set_enum (value, settings->pace);
      break;
    case PROP_ROWS_PER_FRAME:
      g_value_set_uint (value, settings->rows_per_frame);
      break;
    case PROP_ROWS_PER_COLUMN:
      g_value_set_uint (value, settings->rows_per_column);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64 (value, settings->max_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* (transfer full) (nullable) */
static gchar *
dup_string (GstSaeScope *self, gchar *const *field)
{
  gchar *copy;

  GST_OBJECT_LOCK (self);
  copy = *field && **field ? g_strdup (*field) : NULL;
  GST_OBJECT_UNLOCK (self);
  return copy;
}

/* --- states --------------------------------------------------------------- */

static void
drop_buffer (GstSaeScope *self)
{
  if (!self->buffer)
    return;
  gst_sae_codes_input_close (&self->input);
  gst_clear_buffer (&self->buffer);
}

/* A new stream, or another place of it. */
static void
reset_timing (GstSaeScope *self)
{
  drop_buffer (self);
  gst_sae_scope_timing_reset (&self->timing, self->used.pace,
      self->used.rows_per_frame);
  GST_OBJECT_LOCK (self);
  self->earliest = GST_CLOCK_TIME_NONE;
  GST_OBJECT_UNLOCK (self);
}

static gboolean
gst_sae_scope_start (GstBaseTransform *trans)
{
  GstSaeScope *self = GST_SAE_SCOPE (trans);
  g_autofree gchar *model = dup_string (self, &self->settings.model_location);
  GError *error = NULL;

  GST_OBJECT_LOCK (self);
  self->used = self->settings;
  GST_OBJECT_UNLOCK (self);
  self->used.model_location = self->used.title = NULL;
  gst_sae_scope_data_clear (&self->data);
  gst_sae_scope_curve_reset (&self->data.loss);
  self->data.rows_per_column = MAX (self->used.rows_per_column, 1);
  self->have_columns = self->used.rows_per_column > 0;
  reset_timing (self);
  if (gst_sae_codes_input_start (&self->input, self->used.dict_size, model,
          self->used.max_bytes, LATENT_BYTES, &error))
    return TRUE;
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot start", error);
  return FALSE;
}

static gboolean
gst_sae_scope_stop (GstBaseTransform *trans)
{
  GstSaeScope *self = GST_SAE_SCOPE (trans);

  drop_buffer (self);
  gst_sae_codes_input_clear (&self->input);
  gst_sae_scope_data_clear (&self->data);
  gst_sae_scope_draw_clear (&self->draw);
  return TRUE;
}

/* --- caps ----------------------------------------------------------------- */

static GstCaps *
gst_sae_scope_transform_caps (GstBaseTransform *trans,
    GstPadDirection direction, GstCaps *caps, GstCaps *filter)
{
  GstCaps *other = gst_static_pad_template_get_caps (
      direction == GST_PAD_SINK ? &src_template : &sink_template);

  if (filter) {
    GstCaps *all = other;
    other = gst_caps_intersect_full (filter, all, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (all);
  }
  return other;
}

static GstCaps *
gst_sae_scope_fixate_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps, GstCaps *other)
{
  GstStructure *s;

  if (direction != GST_PAD_SINK || gst_caps_is_empty (other))
    return GST_BASE_TRANSFORM_CLASS (gst_sae_scope_parent_class)
        ->fixate_caps (trans, direction, caps, other);
  other = gst_caps_make_writable (gst_caps_truncate (other));
  s = gst_caps_get_structure (other, 0);
  gst_structure_fixate_field_nearest_int (s, "width", DEFAULT_WIDTH);
  gst_structure_fixate_field_nearest_int (s, "height", DEFAULT_HEIGHT);
  gst_structure_fixate_field_nearest_fraction (s, "framerate", DEFAULT_FPS, 1);
  if (gst_structure_has_field (s, "pixel-aspect-ratio"))
    gst_structure_fixate_field_nearest_fraction (s, "pixel-aspect-ratio", 1, 1);
  return gst_caps_fixate (other);
}

/* Tensors of any kind come in as far as the caps event, which says what is
 * wrong with them. */
static gboolean
gst_sae_scope_accept_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps)
{
  if (direction == GST_PAD_SINK)
    return gst_sae_caps_are_tensors (caps);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_scope_parent_class)
      ->accept_caps (trans, direction, caps);
}

static gboolean
gst_sae_scope_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstSaeScope *self = GST_SAE_SCOPE (trans);
  g_autofree gchar *title = dup_string (self, &self->settings.title);
  GstVideoInfo *info = &self->info;
  GError *error = NULL;

  if (!gst_video_info_from_caps (info, out))
    return FALSE;
  gst_sae_scope_timing_set_rate (&self->timing, info->fps_n, info->fps_d);
  if (self->draw.width == (guint) info->width &&
      self->draw.height == (guint) info->height)
    return TRUE;
  if (gst_sae_scope_draw_set_up (&self->draw, (guint) info->width,
          (guint) info->height, title, &error))
    return TRUE;
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot draw", error);
  return FALSE;
}

/* Downstream's pool, or one of ours that knows how video lies in memory. */
static gboolean
gst_sae_scope_decide_allocation (GstBaseTransform *trans, GstQuery *query)
{
  GstBufferPool *pool = NULL;
  GstStructure *config;
  GstCaps *caps;
  guint size = 0, least = 0, most = 0;

  gst_query_parse_allocation (query, &caps, NULL);
  if (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, &least, &most);
  size = MAX (size, (guint) GST_SAE_SCOPE (trans)->info.size);
  if (!pool)
    pool = gst_video_buffer_pool_new ();
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, least, most);
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL))
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_set_config (pool, config);
  if (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_set_nth_allocation_pool (query, 0, pool, size, least, most);
  else
    gst_query_add_allocation_pool (query, pool, size, least, most);
  gst_object_unref (pool);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_scope_parent_class)
      ->decide_allocation (trans, query);
}

/* --- frames --------------------------------------------------------------- */

/* Where each colour lies differs, as does the length of a line. */
static void
copy_pixels (GstVideoFrame *frame, const guint8 *pixels, gint stride)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  gint step = GST_VIDEO_FORMAT_INFO_PSTRIDE (format, 0);
  guint red = GST_VIDEO_FORMAT_INFO_POFFSET (format, GST_VIDEO_COMP_R);
  guint green = GST_VIDEO_FORMAT_INFO_POFFSET (format, GST_VIDEO_COMP_G);
  guint blue = GST_VIDEO_FORMAT_INFO_POFFSET (format, GST_VIDEO_COMP_B);
  guint pad = 6 - red - green - blue; /* x or alpha */

  for (gint y = 0; y < GST_VIDEO_FRAME_HEIGHT (frame); y++) {
    const guint32 *in = (const guint32 *) (pixels + (gsize) y * (gsize) stride);
    guint8 *out = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0) +
                  (gsize) y * (gsize) GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0);
    for (gint x = 0; x < GST_VIDEO_FRAME_WIDTH (frame); x++, out += step) {
      out[red] = (guint8) (in[x] >> 16);
      out[green] = (guint8) (in[x] >> 8);
      out[blue] = (guint8) in[x];
      if (step == 4)
        out[pad] = 255;
    }
  }
}

/* The raster is of the size of the frames, which may have changed. */
static gboolean
fit_raster (GstSaeScope *self, guint d_sae, GError **error)
{
  return gst_sae_scope_data_set_up (&self->data, d_sae,
      gst_sae_scope_draw_n_columns (&self->draw),
      gst_sae_scope_draw_n_buckets (&self->draw, d_sae), error);
}

static gboolean
draw_into (GstSaeScope *self, GstBuffer *buffer)
{
  GstVideoFrame frame;
  const guint8 *pixels;
  gint stride;

  if (!gst_video_frame_map (&frame, &self->info, buffer, GST_MAP_WRITE))
    return FALSE;
  pixels = gst_sae_scope_draw_frame (&self->draw, &self->data, &stride);
  copy_pixels (&frame, pixels, stride);
  gst_video_frame_unmap (&frame);
  return TRUE;
}

/* Downstream would throw it away. */
static gboolean
is_too_late (GstSaeScope *self, GstClockTime pts)
{
  GstClockTime earliest, running;

  GST_OBJECT_LOCK (self);
  earliest = self->earliest;
  GST_OBJECT_UNLOCK (self);
  running = gst_segment_to_running_time (&GST_BASE_TRANSFORM (self)->segment,
      GST_FORMAT_TIME, pts);
  return GST_CLOCK_TIME_IS_VALID (earliest) &&
         GST_CLOCK_TIME_IS_VALID (running) && running <= earliest;
}

/* How many rows a column has follows from how many a frame has, once that is
 * known: from the first rows, where they have times, or from the first frame.
 */
static void
settle_columns (GstSaeScope *self, guint64 rows_per_frame)
{
  if (self->have_columns || rows_per_frame == 0)
    return;
  self->have_columns = TRUE;
  gst_sae_scope_data_set_rows_per_column (&self->data,
      (guint) MIN ((rows_per_frame + COLUMNS_PER_FRAME - 1) / COLUMNS_PER_FRAME,
          G_MAXUINT));
}

/* A frame of all that has come; *@frame stays NULL when it is left out. */
static GstFlowReturn
make_frame (GstSaeScope *self, GstBuffer *source, GstBuffer **frame)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);
  GstClockTime pts = gst_sae_scope_timing_get_pts (&self->timing);
  GstClockTime duration = gst_sae_scope_timing_get_duration (&self->timing);
  GstFlowReturn flow;

  settle_columns (self, self->timing.rows);
  gst_sae_scope_data_end_frame (&self->data);
  gst_sae_scope_timing_next (&self->timing);
  if (is_too_late (self, pts)) {
    GST_DEBUG_OBJECT (self, "frame at %" GST_TIME_FORMAT " is late: left out",
        GST_TIME_ARGS (pts));
    return GST_FLOW_OK;
  }
  flow = GST_BASE_TRANSFORM_GET_CLASS (trans)->prepare_output_buffer (trans,
      source, frame);
  if (flow != GST_FLOW_OK)
    return flow;
  if (!draw_into (self, *frame)) {
    gst_clear_buffer (frame);
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
        ("Cannot draw: the frame's memory cannot be mapped for writing"),
        (NULL));
    return GST_FLOW_ERROR;
  }
  GST_BUFFER_PTS (*frame) = pts;
  GST_BUFFER_DTS (*frame) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (*frame) = duration;
  return GST_FLOW_OK;
}

/* A frame is no copy of the codes that it was made after. */
static gboolean
gst_sae_scope_copy_metadata (GstBaseTransform *trans, GstBuffer *in,
    GstBuffer *out)
{
  GST_BUFFER_OFFSET (out) = GST_BUFFER_OFFSET_NONE;
  GST_BUFFER_OFFSET_END (out) = GST_BUFFER_OFFSET_NONE;
  return TRUE;
}

static gboolean
gst_sae_scope_transform_meta (GstBaseTransform *trans, GstBuffer *out,
    GstMeta *meta, GstBuffer *in)
{
  return FALSE;
}

/* Never called; but the base class takes an element that has none for one that
 * passes buffers through. */
static GstFlowReturn
gst_sae_scope_transform (GstBaseTransform *trans, GstBuffer *in, GstBuffer *out)
{
  return GST_FLOW_NOT_SUPPORTED;
}

/* --- rows ----------------------------------------------------------------- */

/* How long the rows of the buffer last; NONE when nobody knows. */
static GstClockTime
find_duration (GstSaeScope *self)
{
  const GstSaeTensors *caps = &self->input.caps;

  if (GST_BUFFER_DURATION_IS_VALID (self->buffer))
    return GST_BUFFER_DURATION (self->buffer);
  if (caps->fps_n > 0)
    return gst_util_uint64_scale (GST_SECOND, (guint64) caps->fps_d,
        (guint64) caps->fps_n);
  return GST_CLOCK_TIME_NONE;
}

/* Of row @r of the buffer; of its end when it has no such row. */
static GstClockTime
find_time (GstSaeScope *self, gsize r)
{
  GstClockTime pts = GST_BUFFER_PTS (self->buffer);
  GstClockTime duration = find_duration (self);
  gsize n = self->rows.codes->n_rows;

  if (!GST_CLOCK_TIME_IS_VALID (pts) || !GST_CLOCK_TIME_IS_VALID (duration))
    return pts;
  return r >= n ? pts + duration : pts + gst_util_uint64_scale (duration, r, n);
}

/* 0 when nobody knows. */
static guint64
find_rows_per_frame (GstSaeScope *self)
{
  GstClockTime duration = find_duration (self);

  if (self->timing.pace == GST_SAE_SCOPE_PACE_ROWS)
    return self->timing.rows_per_frame;
  if (self->timing.pace != GST_SAE_SCOPE_PACE_TIME || duration == 0 ||
      !GST_CLOCK_TIME_IS_VALID (duration))
    return 0;
  return gst_util_uint64_scale (self->rows.codes->n_rows,
      gst_sae_scope_timing_get_duration (&self->timing), duration);
}

static gboolean
begin_buffer (GstSaeScope *self, GstBuffer *buffer, GError **error)
{
  if (!gst_sae_codes_input_open (&self->input, buffer, &self->rows, error))
    return FALSE;
  self->buffer = gst_buffer_ref (buffer);
  self->next = 0;
  self->gap = GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP);
  if (self->rows.codes->n_rows == 0)
    return TRUE;
  gst_sae_scope_timing_begin (&self->timing, GST_BUFFER_PTS (buffer),
      GST_BASE_TRANSFORM (self)->segment.start);
  settle_columns (self, find_rows_per_frame (self));
  return fit_raster (self, self->input.d_sae, error);
}

/* Shows rows up to the next frame that is due. FALSE when there are no more
 * and none is due. */
static gboolean
show_rows (GstSaeScope *self)
{
  const GstSaeCodesReader *codes = self->rows.codes;

  for (; self->next < codes->n_rows; self->next++) {
    if (gst_sae_scope_timing_is_due (&self->timing,
            find_time (self, self->next)))
      return TRUE;
    if (self->gap)
      continue;
    gst_sae_scope_data_add (&self->data, codes, self->next,
        self->rows.first + self->next);
    gst_sae_scope_timing_add_row (&self->timing);
  }
  return codes->n_rows > 0 && gst_sae_scope_timing_is_due (&self->timing,
                                  find_time (self, codes->n_rows));
}

static gboolean
fail_buffer (GstSaeScope *self, GError *error)
{
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot show the codes",
      error);
  drop_buffer (self);
  return FALSE;
}

static gboolean
take_input (GstSaeScope *self)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);
  g_autoptr (GstBuffer) input = g_steal_pointer (&trans->queued_buf);
  GError *error = NULL;

  if (!input)
    return TRUE;
  drop_buffer (self);
  return begin_buffer (self, input, &error) || fail_buffer (self, error);
}

/* Called again as long as it makes frames. */
static GstFlowReturn
gst_sae_scope_generate_output (GstBaseTransform *trans, GstBuffer **frame)
{
  GstSaeScope *self = GST_SAE_SCOPE (trans);
  GstFlowReturn flow = GST_FLOW_OK;

  *frame = NULL;
  if (!take_input (self))
    return GST_FLOW_ERROR;
  while (self->buffer && !*frame && flow == GST_FLOW_OK) {
    if (show_rows (self))
      flow = make_frame (self, self->buffer, frame);
    else
      drop_buffer (self);
  }
  return flow;
}

/* What has come since the last frame, at the end of the stream. */
static void
push_last_frame (GstSaeScope *self)
{
  g_autoptr (GstBuffer) source = gst_buffer_new ();
  GstBuffer *frame = NULL;

  if (self->timing.rows > 0 && fit_raster (self, self->data.d_sae, NULL) &&
      make_frame (self, source, &frame) == GST_FLOW_OK && frame)
    gst_pad_push (GST_BASE_TRANSFORM_SRC_PAD (self), frame);
}

/* --- events and queries --------------------------------------------------- */

static void
take_stats (GstSaeScope *self, GstEvent *event)
{
  const GstStructure *s = gst_event_get_structure (event);
  guint64 rows;
  double loss;

  if (!s || !gst_structure_has_name (s, "sae-stats") ||
      !gst_structure_get_uint64 (s, "rows", &rows) || rows == 0 ||
      !gst_structure_get_double (s, "loss", &loss))
    return;
  gst_sae_scope_curve_add (&self->data.loss, loss);
  gst_structure_get_double (s, "fvu", &self->data.fvu);
}

/* Frames have times, whatever the codes have. */
static GstEvent *
make_time_segment (GstEvent *event)
{
  const GstSegment *segment;
  GstSegment time;
  GstEvent *made;

  gst_event_parse_segment (event, &segment);
  if (segment->format == GST_FORMAT_TIME)
    return event;
  gst_segment_init (&time, GST_FORMAT_TIME);
  made = gst_event_new_segment (&time);
  gst_event_set_seqnum (made, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return made;
}

static gboolean
gst_sae_scope_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstSaeScope *self = GST_SAE_SCOPE (trans);
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      if (!gst_sae_codes_input_take_caps (&self->input, GST_ELEMENT (self),
              caps)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    case GST_EVENT_SEGMENT:
      event = make_time_segment (event);
      reset_timing (self);
      break;
    case GST_EVENT_FLUSH_STOP:
      reset_timing (self);
      break;
    case GST_EVENT_EOS:
      push_last_frame (self);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      take_stats (self, event);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_sae_scope_parent_class)
      ->sink_event (trans, event);
}

static gboolean
gst_sae_scope_src_event (GstBaseTransform *trans, GstEvent *event)
{
  GstSaeScope *self = GST_SAE_SCOPE (trans);
  GstClockTimeDiff late;
  GstClockTime time;

  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS) {
    gst_event_parse_qos (event, NULL, NULL, &late, &time);
    GST_OBJECT_LOCK (self);
    if (!GST_CLOCK_TIME_IS_VALID (time))
      self->earliest = GST_CLOCK_TIME_NONE;
    else if (late > 0) /* and it takes as long to catch up */
      self->earliest = time + 2 * (GstClockTime) late;
    else
      self->earliest =
          time > (GstClockTime) -late ? time - (GstClockTime) -late : 0;
    GST_OBJECT_UNLOCK (self);
  }
  return GST_BASE_TRANSFORM_CLASS (gst_sae_scope_parent_class)
      ->src_event (trans, event);
}

/* A frame is out once the rows of all its time are in. */
static void
add_latency (GstSaeScope *self, GstQuery *query)
{
  GstClockTime least, most, frame;
  gboolean live;

  if (self->info.fps_n <= 0)
    return;
  frame = gst_util_uint64_scale (GST_SECOND, (guint64) self->info.fps_d,
      (guint64) self->info.fps_n);
  gst_query_parse_latency (query, &live, &least, &most);
  gst_query_set_latency (query, live, least + frame,
      GST_CLOCK_TIME_IS_VALID (most) ? most + frame : most);
}

static gboolean
gst_sae_scope_query (GstBaseTransform *trans, GstPadDirection direction,
    GstQuery *query)
{
  gboolean ok = GST_BASE_TRANSFORM_CLASS (gst_sae_scope_parent_class)
                    ->query (trans, direction, query);

  if (ok && direction == GST_PAD_SRC &&
      GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    add_latency (GST_SAE_SCOPE (trans), query);
  return ok;
}

/* --- type ----------------------------------------------------------------- */

static void
gst_sae_scope_finalize (GObject *object)
{
  GstSaeScope *self = GST_SAE_SCOPE (object);

  g_free (self->settings.model_location);
  g_free (self->settings.title);
  gst_sae_codes_input_clear (&self->input);
  gst_sae_scope_data_clear (&self->data);
  gst_sae_scope_draw_clear (&self->draw);
  G_OBJECT_CLASS (gst_sae_scope_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                            (GParamFlags) GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (object_class, PROP_DICT_SIZE,
      g_param_spec_uint ("dict-size", "Dictionary size",
          "Number of latents (0 = as the codes tell; pairs do not)", 0,
          G_MAXUINT, 0, flags));
  g_object_class_install_property (object_class, PROP_MODEL_LOCATION,
      g_param_spec_string ("model-location", "Model location",
          "Dictionary whose number of latents to take", NULL, flags));
  g_object_class_install_property (object_class, PROP_TITLE,
      g_param_spec_string ("title", "Title", "Text above the raster", NULL,
          flags));
  g_object_class_install_property (object_class, PROP_PACE,
      g_param_spec_enum ("pace", "Pace", "When a frame is made",
          GST_TYPE_SAE_SCOPE_PACE, GST_SAE_SCOPE_PACE_AUTO, flags));
  g_object_class_install_property (object_class, PROP_ROWS_PER_FRAME,
      g_param_spec_uint ("rows-per-frame", "Rows per frame",
          "Rows after which a frame is made, where it is made by rows", 1,
          G_MAXUINT, DEFAULT_ROWS_PER_FRAME, flags));
  g_object_class_install_property (object_class, PROP_ROWS_PER_COLUMN,
      g_param_spec_uint ("rows-per-column", "Rows per column",
          "Rows that share a column of the raster, which shows the largest "
          "values (0 = a quarter of those of the first frame)",
          0, G_MAXUINT, 0, flags));
  gst_sae_limit_install (object_class, PROP_MAX_BYTES, GST_SAE_MAX_BYTES_CODES,
      "Most bytes for latents that only the codes tell of, where neither "
      "dict-size nor model-location is set, and for rows that sparse codes "
      "claim (0 = no limit)");
}

static void
gst_sae_scope_class_init (GstSaeScopeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_scope_debug, "saescope", 0,
      "codes as a picture");

  object_class->set_property = gst_sae_scope_set_property;
  object_class->get_property = gst_sae_scope_get_property;
  object_class->finalize = gst_sae_scope_finalize;
  install_properties (object_class);
  gst_type_mark_as_plugin_api (GST_TYPE_SAE_SCOPE_PACE, 0);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Scope of latents",
      "Visualization/Tensor",
      "Draws which latents are active, and how often they are, as video",
      "The gst-sae developers");

  trans_class->start = gst_sae_scope_start;
  trans_class->stop = gst_sae_scope_stop;
  trans_class->transform_caps = gst_sae_scope_transform_caps;
  trans_class->fixate_caps = gst_sae_scope_fixate_caps;
  trans_class->accept_caps = gst_sae_scope_accept_caps;
  trans_class->set_caps = gst_sae_scope_set_caps;
  trans_class->decide_allocation = gst_sae_scope_decide_allocation;
  trans_class->copy_metadata = gst_sae_scope_copy_metadata;
  trans_class->transform_meta = gst_sae_scope_transform_meta;
  trans_class->transform = gst_sae_scope_transform;
  trans_class->generate_output = gst_sae_scope_generate_output;
  trans_class->sink_event = gst_sae_scope_sink_event;
  trans_class->src_event = gst_sae_scope_src_event;
  trans_class->query = gst_sae_scope_query;
}

static void
gst_sae_scope_init (GstSaeScope *self)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);

  self->settings.rows_per_frame = DEFAULT_ROWS_PER_FRAME;
  self->settings.max_bytes = GST_SAE_MAX_BYTES_CODES;
  gst_sae_codes_input_init (&self->input);
  gst_video_info_init (&self->info);
  gst_base_transform_set_qos_enabled (trans, FALSE);
}
