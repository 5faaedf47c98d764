/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saetensormeta
 * @title: saetensormeta
 * @short_description: GStreamer's own tensors to other/tensors, and back
 *
 * From 1.26 on GStreamer's inference elements (onnxinference, tfliteinference)
 * leave what a network computed in a #GstTensorMeta on the frame that it was
 * computed from. Behind them this element takes the frames and gives their
 * tensors, as other/tensors with the times of the frame: `tensor-id` names one
 * of them, else it is all of a frame's. Frames without a #GstTensorMeta, and
 * those of which a tensor that is taken has no rows, become gaps.
 *
 * Behind an element that gives other/tensors it leaves the stream as it is and
 * adds a #GstTensorMeta that has the same tensors, for elements and programs
 * that look for one.
 *
 * No bytes are copied either way.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=film.mp4 ! decodebin ! videoconvertscale !
 *     onnxinference model-file=vit.onnx ! saetensormeta tensor-id=hidden !
 *     saetrainer dict-size=6144 top-k=32 location=out/ ! fakesink
 * ]|
 */
#include "gstsaetensormeta.h"

#include "gstsaemetatensors.h"

GST_DEBUG_CATEGORY_STATIC (sae_tensor_meta_debug);
#define GST_CAT_DEFAULT sae_tensor_meta_debug

#define DEFAULT_ID "sae"

struct _GstSaeTensorMeta {
  GstElement parent;
  GstPad *sink_pad, *src_pad;

  GQuark tensor_id; /* object lock; 0 when not set */

  /* streaming thread */
  gboolean takes_tensors; /* and adds metas to them; else takes metas */
  GstSaeTensors in;       /* what is taken, or was sent last */
  gboolean have_caps;     /* on the source pad */
  gint fps_n, fps_d;      /* of the frames */
  GList *waiting; /* sticky events that come behind caps, newest first */
  GstSaeReader reader;
};

enum { PROP_0, PROP_TENSOR_ID };

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS ("other/tensors, format=(string)static; "
                         "other/tensors, format=(string)flexible"));

G_DEFINE_FINAL_TYPE (GstSaeTensorMeta, gst_sae_tensor_meta, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (saetensormeta, "saetensormeta", GST_RANK_NONE,
    GST_TYPE_SAE_TENSOR_META)

/* --- properties --- */

static void
gst_sae_tensor_meta_set_property (GObject *object, guint id,
    const GValue *value, GParamSpec *pspec)
{
  GstSaeTensorMeta *self = GST_SAE_TENSOR_META (object);

  switch (id) {
    case PROP_TENSOR_ID:
      GST_OBJECT_LOCK (self);
      self->tensor_id = g_quark_from_string (g_value_get_string (value));
      GST_OBJECT_UNLOCK (self);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
}

static void
gst_sae_tensor_meta_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeTensorMeta *self = GST_SAE_TENSOR_META (object);

  switch (id) {
    case PROP_TENSOR_ID:
      GST_OBJECT_LOCK (self);
      g_value_set_string (value, g_quark_to_string (self->tensor_id));
      GST_OBJECT_UNLOCK (self);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
}

static GstFlowReturn
fail (GstSaeTensorMeta *self, GError *error)
{
  gst_sae_element_post_error (GST_ELEMENT (self), NULL, error);
  return GST_FLOW_ERROR;
}

/* --- from frames to tensors --- */

static void
send_waiting (GstSaeTensorMeta *self)
{
  self->waiting = g_list_reverse (self->waiting);
  while (self->waiting) {
    GstEvent *event = self->waiting->data;
    self->waiting = g_list_delete_link (self->waiting, self->waiting);
    gst_pad_push_event (self->src_pad, event);
  }
}

static gboolean
is_same (const GstSaeTensors *a, const GstSaeTensors *b)
{
  if (a->n_tensors != b->n_tensors)
    return FALSE;
  for (guint i = 0; i < a->n_tensors; i++)
    if (!gst_sae_tensor_equal (&a->tensors[i], &b->tensors[i]))
      return FALSE;
  return TRUE;
}

/* The caps of what comes next, if they are other ones than before. */
static gboolean
send_caps (GstSaeTensorMeta *self, GstSaeTensors *tensors)
{
  GstCaps *caps;
  gboolean ok;

  tensors->fps_n = self->fps_n;
  tensors->fps_d = self->fps_d;
  if (self->have_caps && is_same (tensors, &self->in))
    return TRUE;
  caps = gst_sae_tensors_to_caps (tensors);
  ok = gst_pad_push_event (self->src_pad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  self->in = *tensors;
  self->have_caps = TRUE;
  send_waiting (self);
  return ok;
}

/* One memory a tensor, as others expect it; shared where it may be. */
static GstMemory *
take_memory (GstBuffer *data)
{
  GstMemory *memory = gst_buffer_n_memory (data) == 1
                          ? gst_buffer_get_memory (data, 0)
                          : gst_buffer_get_all_memory (data);
  GstMemory *copy;

  if (!GST_MEMORY_FLAG_IS_SET (memory, GST_MEMORY_FLAG_NO_SHARE))
    return memory;
  copy = gst_memory_copy (memory, 0, -1);
  gst_memory_unref (memory);
  return copy;
}

static GstFlowReturn
send_tensors (GstSaeTensorMeta *self, GstBuffer *frame, GstSaeTensors *tensors,
    GstBuffer **data)
{
  GstBuffer *buffer;

  if (!send_caps (self, tensors))
    return GST_FLOW_NOT_NEGOTIATED;
  buffer = gst_buffer_new ();
  gst_buffer_copy_into (buffer, frame,
      GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_FLAGS, 0, G_MAXSIZE);
  for (guint i = 0; i < tensors->n_tensors; i++)
    gst_buffer_append_memory (buffer, take_memory (data[i]));
  return gst_pad_push (self->src_pad, buffer);
}

static GstFlowReturn
send_gap (GstSaeTensorMeta *self, GstBuffer *frame)
{
  GST_LOG_OBJECT (self, "no tensors: %" GST_PTR_FORMAT, frame);
  if (self->have_caps && GST_BUFFER_PTS_IS_VALID (frame))
    gst_pad_push_event (self->src_pad,
        gst_event_new_gap (GST_BUFFER_PTS (frame),
            GST_BUFFER_DURATION (frame)));
  return GST_FLOW_OK;
}

static GstFlowReturn
handle_frame (GstSaeTensorMeta *self, GstBuffer *frame, GQuark id)
{
  GstTensorMeta *meta = gst_buffer_get_tensor_meta (frame);
  GstBuffer *data[GST_SAE_MAX_TENSORS];
  GstSaeTensors tensors;
  GError *error = NULL;

  if (!meta || meta->num_tensors == 0)
    return send_gap (self, frame);
  if (!gst_sae_meta_tensors_read (meta, id, &tensors, data, &error))
    return fail (self, error);
  if (tensors.n_tensors == 0)
    return send_gap (self, frame);
  return send_tensors (self, frame, &tensors, data);
}

/* --- from tensors to tensors with a meta --- */

static GstFlowReturn
handle_tensors (GstSaeTensorMeta *self, GstBuffer *buffer, GQuark id)
{
  gsize header_size =
      self->in.format == GST_SAE_FORMAT_FLEXIBLE ? GST_SAE_HEADER_SIZE : 0;
  GError *error = NULL;

  if (!gst_sae_reader_open (&self->reader, buffer, &self->in, &error)) {
    gst_buffer_unref (buffer);
    return fail (self, error);
  }
  buffer = gst_buffer_make_writable (buffer);
  if (self->reader.n_tensors > 0 && self->reader.n_rows[0] > 0)
    gst_sae_meta_tensors_add (buffer, &self->reader, header_size,
        id ? id : g_quark_from_static_string (DEFAULT_ID));
  gst_sae_reader_close (&self->reader);
  return gst_pad_push (self->src_pad, buffer);
}

static GstFlowReturn
gst_sae_tensor_meta_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  GstSaeTensorMeta *self = GST_SAE_TENSOR_META (parent);
  GstFlowReturn flow;
  GQuark id;

  GST_OBJECT_LOCK (self);
  id = self->tensor_id;
  GST_OBJECT_UNLOCK (self);
  if (self->takes_tensors)
    return handle_tensors (self, buffer, id);
  flow = handle_frame (self, buffer, id);
  gst_buffer_unref (buffer);
  return flow;
}

/* --- events --- */

static gboolean
handle_caps (GstSaeTensorMeta *self, GstCaps *caps)
{
  const GstStructure *structure = gst_caps_get_structure (caps, 0);
  GError *error = NULL;

  self->have_caps = FALSE;
  self->takes_tensors = gst_structure_has_name (structure, "other/tensors");
  self->fps_n = 0;
  self->fps_d = 1;
  if (!self->takes_tensors) {
    gst_structure_get_fraction (structure, "framerate", &self->fps_n,
        &self->fps_d);
    return TRUE;
  }
  if (gst_sae_tensors_from_caps (&self->in, caps, &error) &&
      self->in.format != GST_SAE_FORMAT_SPARSE) {
    self->have_caps =
        gst_pad_push_event (self->src_pad, gst_event_new_caps (caps));
    send_waiting (self);
    return self->have_caps;
  }
  if (!error)
    error = g_error_new (SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "caps: expected static or flexible tensors, got sparse ones, which "
        "GstTensorMeta does not know");
  fail (self, error);
  return FALSE;
}

/* 0 where a pad keeps the later one only. */
static gint
compare_sticky (gconstpointer a, gconstpointer b)
{
  GstEvent *one = (GstEvent *) a, *other = (GstEvent *) b;

  if (GST_EVENT_TYPE (one) != GST_EVENT_TYPE (other))
    return 1;
  if (!(gst_event_type_get_flags (GST_EVENT_TYPE (one)) &
          GST_EVENT_TYPE_STICKY_MULTI))
    return 0;
  return !gst_event_has_name (one,
      gst_structure_get_name (gst_event_get_structure (other)));
}

/* In the place of an earlier one, where a pad would not keep both. */
static void
keep_waiting (GstSaeTensorMeta *self, GstEvent *event)
{
  GList *link = g_list_find_custom (self->waiting, event, compare_sticky);

  if (!link) {
    self->waiting = g_list_prepend (self->waiting, event);
    return;
  }
  gst_event_unref (link->data);
  link->data = event;
}

static gboolean
must_wait (GstSaeTensorMeta *self, GstEvent *event)
{
  return !self->have_caps && GST_EVENT_IS_STICKY (event) &&
         GST_EVENT_TYPE (event) > GST_EVENT_CAPS &&
         GST_EVENT_TYPE (event) != GST_EVENT_EOS;
}

static gboolean
gst_sae_tensor_meta_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  GstSaeTensorMeta *self = GST_SAE_TENSOR_META (parent);
  gboolean ok;
  GstCaps *caps;

  if (must_wait (self, event)) {
    keep_waiting (self, event);
    return TRUE;
  }
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      ok = handle_caps (self, caps);
      gst_event_unref (event);
      return ok;
    case GST_EVENT_GAP:
      if (self->have_caps)
        break;
      gst_event_unref (event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      g_clear_list (&self->waiting, (GDestroyNotify) gst_event_unref);
      break;
    case GST_EVENT_EOS:
      send_waiting (self);
      break;
    default:
      break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* --- states --- */

static void
forget (GstSaeTensorMeta *self)
{
  g_clear_list (&self->waiting, (GDestroyNotify) gst_event_unref);
  gst_sae_reader_clear (&self->reader);
  self->have_caps = FALSE;
  self->takes_tensors = FALSE;
  self->fps_n = 0;
  self->fps_d = 1;
}

static GstStateChangeReturn
gst_sae_tensor_meta_change_state (GstElement *element,
    GstStateChange transition)
{
  GstStateChangeReturn result =
      GST_ELEMENT_CLASS (gst_sae_tensor_meta_parent_class)
          ->change_state (element, transition);

  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    forget (GST_SAE_TENSOR_META (element));
  return result;
}

/* --- class --- */

static void
gst_sae_tensor_meta_finalize (GObject *object)
{
  GstSaeTensorMeta *self = GST_SAE_TENSOR_META (object);

  forget (self);
  G_OBJECT_CLASS (gst_sae_tensor_meta_parent_class)->finalize (object);
}

static void
gst_sae_tensor_meta_class_init (GstSaeTensorMetaClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_tensor_meta_debug, "saetensormeta", 0,
      "GStreamer's own tensors to other/tensors, and back");
  object_class->set_property = gst_sae_tensor_meta_set_property;
  object_class->get_property = gst_sae_tensor_meta_get_property;
  object_class->finalize = gst_sae_tensor_meta_finalize;
  g_object_class_install_property (object_class, PROP_TENSOR_ID,
      g_param_spec_string ("tensor-id", "Tensor id",
          "Which tensor of a frame to take (none = all of them); what the "
          "tensors that are added are called (none = " DEFAULT_ID ")",
          NULL,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
              (GParamFlags) GST_PARAM_MUTABLE_PLAYING));
  gst_element_class_set_static_metadata (element_class, "Tensor meta bridge",
      "Filter/Tensor/Analytics",
      "GStreamer's own tensors (GstTensorMeta) to other/tensors, and back",
      "The gst-sae developers");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  element_class->change_state = gst_sae_tensor_meta_change_state;
}

static void
gst_sae_tensor_meta_init (GstSaeTensorMeta *self)
{
  GstElement *element = GST_ELEMENT (self);

  gst_sae_reader_init (&self->reader);
  forget (self);
  self->sink_pad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sink_pad, gst_sae_tensor_meta_chain);
  gst_pad_set_event_function (self->sink_pad, gst_sae_tensor_meta_sink_event);
  gst_element_add_pad (element, self->sink_pad);
  self->src_pad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->src_pad);
  gst_element_add_pad (element, self->src_pad);
}
