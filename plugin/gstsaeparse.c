/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saeparse
 * @title: saeparse
 * @short_description: bytes to activations
 *
 * Cuts a stream of bytes into rows of activations: .npy files, which describe
 * themselves and may follow one another when they have the same rows, or raw
 * rows of which `input-size` and `dtype` tell the form. bfloat16 is widened to
 * float32; the other types are kept.
 *
 * Fewer rows than a header declares, or a part of a row at the end, are an
 * error after the whole rows were sent. Buffer offsets are row numbers;
 * duration, position and seeks are in rows (#GST_FORMAT_DEFAULT), and with
 * `rate` in time. Where upstream does not know its size, the duration is what
 * the first header declares, until another one follows it.
 *
 * ## Examples
 * |[
 * gst-launch-1.0 filesrc location=a.npy ! saeparse rows-per-buffer=256 !
 *     saetrainer dict-size=6144 top-k=32 location=out/ ! fakesink
 * gst-launch-1.0 fdsrc ! saeparse input-size=768 dtype=bfloat16 ! fakesink
 * ]|
 */
#include "gstsaeparse.h"

#include <string.h>

#include "gstsaeparseframes.h"

GST_DEBUG_CATEGORY (sae_parse_debug);
#define GST_CAT_DEFAULT sae_parse_debug

#define DEFAULT_ROWS_PER_BUFFER 256
/* dtype as the header or, for raw rows, the default says. */
#define DTYPE_AUTO -1

enum {
  PROP_0,
  PROP_INPUT_SIZE,
  PROP_DTYPE,
  PROP_ROWS_PER_BUFFER,
  PROP_RATE,
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_ROWS_CAPS));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeParse, gst_sae_parse, GST_TYPE_BASE_PARSE,
    G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saeparse, "saeparse", GST_RANK_NONE,
    GST_TYPE_SAE_PARSE)

#define TYPE_DTYPE (dtype_get_type ())
static GType
dtype_get_type (void)
{
  static gsize type;
  static const GEnumValue values[] = {
      {DTYPE_AUTO, "As the .npy header says; float32 for raw rows", "auto"},
      {SAE_DTYPE_FLOAT32, "IEEE 754 binary32", "float32"},
      {SAE_DTYPE_FLOAT16, "IEEE 754 binary16", "float16"},
      {SAE_DTYPE_BFLOAT16, "bfloat16, sent as float32", "bfloat16"},
      {SAE_DTYPE_FLOAT64, "IEEE 754 binary64", "float64"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        g_enum_register_static ("GstSaeParseDtype", values));
  return type;
}

/* --- properties --- */

static void
gst_sae_parse_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeParse *self = GST_SAE_PARSE (object);
  GstSaeParseSettings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_INPUT_SIZE:
      settings->hints.width = g_value_get_uint (value);
      break;
    case PROP_DTYPE:
      settings->hints.dtype = g_value_get_enum (value);
      break;
    case PROP_ROWS_PER_BUFFER:
      settings->rows_per_buffer = g_value_get_uint (value);
      break;
    case PROP_RATE:
      settings->rate_n = gst_value_get_fraction_numerator (value);
      settings->rate_d = gst_value_get_fraction_denominator (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_parse_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeParse *self = GST_SAE_PARSE (object);
  const GstSaeParseSettings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_INPUT_SIZE:
      g_value_set_uint (value, settings->hints.width);
      break;
    case PROP_DTYPE:
      g_value_set_enum (value, settings->hints.dtype);
      break;
    case PROP_ROWS_PER_BUFFER:
      g_value_set_uint (value, settings->rows_per_buffer);
      break;
    case PROP_RATE:
      gst_value_set_fraction (value, settings->rate_n, settings->rate_d);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- start and stop --- */

static gboolean
gst_sae_parse_start (GstBaseParse *parse)
{
  GstSaeParse *self = GST_SAE_PARSE (parse);

  GST_OBJECT_LOCK (self);
  self->used = self->settings;
  memset (&self->index, 0, sizeof self->index);
  self->index.units.rate_n = self->used.rate_n;
  self->index.units.rate_d = self->used.rate_d;
  GST_OBJECT_UNLOCK (self);
  gst_sae_parse_frames_start (self);
  gst_base_parse_set_infer_ts (parse, FALSE);
  return TRUE;
}

static gboolean
gst_sae_parse_stop (GstBaseParse *parse)
{
  GstSaeParse *self = GST_SAE_PARSE (parse);

  gst_sae_parse_frames_stop (self);
  GST_OBJECT_LOCK (self);
  gst_sae_layout_clear (&self->index.layout);
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

/* --- events --- */

static GstPadProbeReturn
watch_events (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GstSaeParse *self = GST_SAE_PARSE (user_data);

  switch (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info))) {
    case GST_EVENT_SEGMENT:
      self->next_known = FALSE;
      if (gst_sae_parse_drives_itself (self))
        self->cut_short = FALSE;
      break;
    case GST_EVENT_EOS:
      gst_sae_parse_frames_check_complete (self);
      break;
    default:
      break;
  }
  return GST_PAD_PROBE_OK;
}

static gboolean
handle_eos (GstSaeParse *self, GstEvent *event)
{
  GstBaseParse *parse = GST_BASE_PARSE (self);

  self->ending = TRUE;
  gst_base_parse_drain (parse);
  if (!self->failed && !self->index.layout.known)
    gst_sae_parse_frames_handle_nothing (self);
  /* The base class would post an error of its own. */
  if (self->failed)
    return gst_pad_push_event (GST_BASE_PARSE_SRC_PAD (parse), event);
  return GST_BASE_PARSE_CLASS (gst_sae_parse_parent_class)
      ->sink_event (parse, event);
}

static gboolean
handle_segment (GstSaeParse *self, GstEvent *event)
{
  GstBaseParse *parse = GST_BASE_PARSE (self);
  GstSegment segment;
  gboolean ok;

  gst_event_copy_segment (event, &segment);
  ok = GST_BASE_PARSE_CLASS (gst_sae_parse_parent_class)
           ->sink_event (parse, event);
  self->ending = FALSE;
  self->in_bytes = segment.format == GST_FORMAT_BYTES;
  self->cut_short = self->in_bytes && segment.stop != (guint64) -1;
  return ok;
}

static gboolean
gst_sae_parse_sink_event (GstBaseParse *parse, GstEvent *event)
{
  GstSaeParse *self = GST_SAE_PARSE (parse);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_EOS:
      return handle_eos (self, event);
    case GST_EVENT_SEGMENT:
      return handle_segment (self, event);
    case GST_EVENT_FLUSH_STOP:
      self->ending = FALSE;
      /* No segment need follow where no bytes do: filesrc sends EOS alone. */
      self->next_known = FALSE;
      break;
    default:
      break;
  }
  return GST_BASE_PARSE_CLASS (gst_sae_parse_parent_class)
      ->sink_event (parse, event);
}

static GstSaeRowIndex
copy_index (GstSaeParse *self)
{
  GstSaeRowIndex index;

  GST_OBJECT_LOCK (self);
  index = self->index;
  GST_OBJECT_UNLOCK (self);
  return index;
}

/* Where upstream pushes, it seeks in bytes. Where the base class pulls, it
 * takes a time, and takes the nearest entry of its index for it: there is one
 * at just that row. */
static gboolean
seek_rows (GstSaeParse *self, const GstSaeRowIndex *index, GstEvent *event,
    gint64 start, gint64 stop)
{
  GstBaseParse *parse = GST_BASE_PARSE (self);
  GstFormat format =
      gst_sae_parse_drives_itself (self) ? GST_FORMAT_TIME : GST_FORMAT_BYTES;
  GstEvent *seek =
      gst_sae_row_index_make_seek (index, event, format, start, stop);
  gint64 time, offset;

  if (!seek)
    return FALSE;
  if (format == GST_FORMAT_BYTES)
    return gst_pad_push_event (GST_BASE_PARSE_SINK_PAD (parse), seek);
  if (!gst_sae_row_index_convert (index, GST_FORMAT_DEFAULT, start,
          GST_FORMAT_BYTES, &offset) ||
      !gst_sae_row_index_convert (index, GST_FORMAT_DEFAULT, start,
          GST_FORMAT_TIME, &time)) {
    gst_event_unref (seek);
    return FALSE;
  }
  gst_base_parse_add_index_entry (parse, (guint64) offset, (GstClockTime) time,
      TRUE, TRUE);
  return GST_BASE_PARSE_CLASS (gst_sae_parse_parent_class)
      ->src_event (parse, seek);
}

static gboolean
gst_sae_parse_src_event (GstBaseParse *parse, GstEvent *event)
{
  GstSaeParse *self = GST_SAE_PARSE (parse);
  GstSaeRowIndex index;
  gint64 start, stop;
  gboolean ok;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return GST_BASE_PARSE_CLASS (gst_sae_parse_parent_class)
        ->src_event (parse, event);
  index = copy_index (self);
  ok = gst_sae_row_index_parse_seek (&index, event, &start, &stop) &&
       seek_rows (self, &index, event, start, stop);
  gst_event_unref (event);
  return ok;
}

/* --- queries --- */

static gboolean
gst_sae_parse_src_query (GstBaseParse *parse, GstQuery *query)
{
  GstSaeRowIndex index = copy_index (GST_SAE_PARSE (parse));

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_CONVERT:
    case GST_QUERY_DURATION:
    case GST_QUERY_POSITION:
    case GST_QUERY_SEEKING:
      return gst_sae_row_index_answer (&index, query,
          GST_BASE_PARSE_SINK_PAD (parse));
    default:
      return GST_BASE_PARSE_CLASS (gst_sae_parse_parent_class)
          ->src_query (parse, query);
  }
}

static gboolean
gst_sae_parse_convert (GstBaseParse *parse, GstFormat src_format, gint64 src,
    GstFormat dst_format, gint64 *dst)
{
  GstSaeRowIndex index = copy_index (GST_SAE_PARSE (parse));

  return gst_sae_row_index_convert (&index, src_format, src, dst_format, dst);
}

/* --- class --- */

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                            (GParamFlags) GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (object_class, PROP_INPUT_SIZE,
      g_param_spec_uint ("input-size", "Input size",
          "Elements of a row; needed for raw rows, checked against a .npy "
          "header (0 = from the header)",
          0, G_MAXINT, 0, flags));
  g_object_class_install_property (object_class, PROP_DTYPE,
      g_param_spec_enum ("dtype", "Element type",
          "Type of the elements; needed for raw rows other than float32, "
          "checked against a .npy header",
          TYPE_DTYPE, DTYPE_AUTO, flags));
  g_object_class_install_property (object_class, PROP_ROWS_PER_BUFFER,
      g_param_spec_uint ("rows-per-buffer", "Rows per buffer",
          "Rows of each buffer; the last one of a file may have fewer", 1,
          G_MAXINT, DEFAULT_ROWS_PER_BUFFER, flags));
  g_object_class_install_property (object_class, PROP_RATE,
      gst_param_spec_fraction ("rate", "Rate",
          "Rows per second of the timestamps; 0/1 for none", 0, 1, G_MAXINT, 1,
          0, 1, flags));
}

static void
gst_sae_parse_class_init (GstSaeParseClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseParseClass *parse_class = GST_BASE_PARSE_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_parse_debug, "saeparse", 0,
      "rows from a stream of bytes");
  object_class->set_property = gst_sae_parse_set_property;
  object_class->get_property = gst_sae_parse_get_property;
  install_properties (object_class);
  gst_element_class_set_static_metadata (element_class, "Activations parser",
      "Codec/Parser/Tensor",
      "Cuts .npy files or raw bytes into rows of activations",
      "The gst-sae developers");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_type_mark_as_plugin_api (TYPE_DTYPE, 0);
  parse_class->start = gst_sae_parse_start;
  parse_class->stop = gst_sae_parse_stop;
  parse_class->handle_frame = gst_sae_parse_handle_frame;
  parse_class->pre_push_frame = gst_sae_parse_pre_push_frame;
  parse_class->sink_event = gst_sae_parse_sink_event;
  parse_class->src_event = gst_sae_parse_src_event;
  parse_class->src_query = gst_sae_parse_src_query;
  parse_class->convert = gst_sae_parse_convert;
}

static void
gst_sae_parse_init (GstSaeParse *self)
{
  self->settings.hints.dtype = DTYPE_AUTO;
  self->settings.rows_per_buffer = DEFAULT_ROWS_PER_BUFFER;
  self->settings.rate_d = 1;
  gst_pad_add_probe (GST_BASE_PARSE_SRC_PAD (self),
      GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, watch_events, self, NULL);
}
