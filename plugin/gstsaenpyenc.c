/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saenpyenc
 * @title: saenpyenc
 * @short_description: tensors to an .npy file
 *
 * Turns a stream of tensors into one array that NumPy loads: activations, or
 * one tensor of the codes; a sparse tensor is written as the dense array that
 * it stands for. The number of rows goes into the header, which is
 * written again at the end or at an error, and every now and then, so that
 * what is there after a crash loads, too: half of it at least. For that, what
 * follows must be able to seek, as filesink is; where it is not, `rows` has to
 * tell the number beforehand.
 *
 * Tensors of D:N give an array of (rows, D), tensors of D:tok:batch one of
 * (rows, tok, D); N and batch may change from buffer to buffer.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=a.npy ! saeencoder location=out/ !
 *     saedecoder location=out/ ! saenpyenc ! filesink location=xhat.npy
 * ]|
 */
#include "gstsaenpyenc.h"

#include <string.h>

#include "gstsaecodesreader.h"
#include "gstsaelimit.h"
#include "gstsaenpyshape.h"
#include "gstsaerows.h"

GST_DEBUG_CATEGORY_STATIC (sae_npy_enc_debug);
#define GST_CAT_DEFAULT sae_npy_enc_debug

#define DEFAULT_HEADER_INTERVAL 65536

/* Sparse tensors become dense in pieces of about so many bytes: they may stand
 * for far more than memory holds. */
#define DENSE_PIECE (4 << 20)

typedef struct {
  guint tensor;
  guint64 rows;
  guint64 header_interval;
  guint64 max_bytes;
} Settings;

struct _GstSaeNpyEnc {
  GstElement parent;
  GstPad *sink_pad, *src_pad;

  Settings settings; /* object lock */

  /* streaming thread */
  Settings used; /* as of READY to PAUSED */
  gboolean have_caps;
  GstSaeTensors caps;
  GstSaeReader reader;
  GstSaeCodesReader codes; /* of a sparse tensor */
  GstSaeNpyShape shape;
  gboolean failed; /* an error was posted: the file is not touched any more */

  gboolean began;    /* caps, segment and header were sent */
  gboolean seekable; /* downstream, in bytes */
  gsize header_size;
  guint64 written;   /* items of the outermost dimension */
  guint64 declared;  /* the same, in the header */
  guint64 header_at; /* written when the header was */
  guint64 offset;    /* of the next byte */
};

enum {
  PROP_0,
  PROP_TENSOR,
  PROP_ROWS,
  PROP_HEADER_INTERVAL,
  PROP_MAX_BYTES,
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
        GST_STATIC_CAPS ("other/tensors, format=(string)static; "
                         "other/tensors, format=(string)flexible; "
                         "other/tensors, format=(string)sparse"));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("application/x-npy"));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeNpyEnc, gst_sae_npy_enc, GST_TYPE_ELEMENT,
    G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saenpyenc, "saenpyenc", GST_RANK_NONE,
    GST_TYPE_SAE_NPY_ENC)

/* --- properties --- */

static void
gst_sae_npy_enc_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeNpyEnc *self = GST_SAE_NPY_ENC (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_TENSOR:
      self->settings.tensor = g_value_get_uint (value);
      break;
    case PROP_ROWS:
      self->settings.rows = g_value_get_uint64 (value);
      break;
    case PROP_HEADER_INTERVAL:
      self->settings.header_interval = g_value_get_uint64 (value);
      break;
    case PROP_MAX_BYTES:
      self->settings.max_bytes = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_npy_enc_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeNpyEnc *self = GST_SAE_NPY_ENC (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_TENSOR:
      g_value_set_uint (value, self->settings.tensor);
      break;
    case PROP_ROWS:
      g_value_set_uint64 (value, self->settings.rows);
      break;
    case PROP_HEADER_INTERVAL:
      g_value_set_uint64 (value, self->settings.header_interval);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64 (value, self->settings.max_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- bytes downstream --- */

static GstFlowReturn rewrite_header (GstSaeNpyEnc *self);

/* Caps that are refused come again with each buffer, and are told once. The
 * file is made whole before the application hears of it and stops. */
static gboolean
fail (GstSaeNpyEnc *self, GError *error)
{
  if (self->failed) {
    g_error_free (error);
    return FALSE;
  }
  self->failed = TRUE;
  if (self->began && self->seekable && self->written != self->declared)
    rewrite_header (self);
  gst_sae_element_post_error (GST_ELEMENT (self), NULL, error);
  return FALSE;
}

static gboolean
can_downstream_seek (GstSaeNpyEnc *self)
{
  GstQuery *query = gst_query_new_seeking (GST_FORMAT_BYTES);
  GstFormat format;
  gboolean seekable = FALSE;

  if (gst_pad_peer_query (self->src_pad, query)) {
    gst_query_parse_seeking (query, &format, &seekable, NULL, NULL);
    seekable = seekable && format == GST_FORMAT_BYTES;
  }
  gst_query_unref (query);
  return seekable;
}

static void
send_segment (GstSaeNpyEnc *self, guint64 offset)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = offset;
  segment.time = offset;
  gst_pad_push_event (self->src_pad, gst_event_new_segment (&segment));
}

static GstFlowReturn
send_header (GstSaeNpyEnc *self, guint64 n_items)
{
  GError *error = NULL;
  GBytes *header =
      gst_sae_npy_shape_make_header (&self->shape, n_items, &error);
  GstBuffer *buffer;

  if (!header) {
    fail (self, error);
    return GST_FLOW_ERROR;
  }
  self->header_size = g_bytes_get_size (header);
  self->declared = n_items;
  self->header_at = self->written;
  buffer = gst_buffer_new_wrapped_bytes (header);
  g_bytes_unref (header);
  GST_BUFFER_OFFSET (buffer) = 0;
  GST_BUFFER_OFFSET_END (buffer) = self->header_size;
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_HEADER);
  return gst_pad_push (self->src_pad, buffer);
}

static GstFlowReturn
rewrite_header (GstSaeNpyEnc *self)
{
  GstFlowReturn flow;

  GST_DEBUG_OBJECT (self, "%" G_GUINT64_FORMAT " rows", self->written);
  send_segment (self, 0);
  flow = send_header (self, self->written);
  send_segment (self, self->offset);
  return flow;
}

/* Once the shape is known. Without @more_to_come there are no rows at all. */
static GstFlowReturn
begin_file (GstSaeNpyEnc *self, gboolean more_to_come)
{
  GstFlowReturn flow;

  if (self->began)
    return GST_FLOW_OK;
  self->seekable = can_downstream_seek (self);
  if (!self->seekable && self->used.rows == 0 && more_to_come) {
    fail (self,
        g_error_new (SAE_ERROR, SAE_ERROR_WRITE,
            "rows: the number of rows goes into the header, before them; "
            "expected it to be set, or a sink that can seek in bytes, such as "
            "filesink; got neither"));
    return GST_FLOW_ERROR;
  }
  self->began = TRUE;
  send_segment (self, 0);
  flow = send_header (self, self->used.rows);
  self->offset = self->header_size;
  return flow;
}

/* --- tensors --- */

/* Where tensor @index is in a buffer that the reader has open. */
static gsize
find_offset (GstSaeNpyEnc *self, guint index)
{
  gboolean flexible = self->caps.format == GST_SAE_FORMAT_FLEXIBLE;
  gsize offset = flexible ? GST_SAE_HEADER_SIZE : 0;

  for (guint i = 0; i < index; i++)
    offset += self->reader.size[i] + (flexible ? GST_SAE_HEADER_SIZE : 0);
  return offset;
}

/* The tensor's bytes as files have them: the stream's own memory, but for
 * big-endian machines. */
static GstBuffer *
make_output (GstSaeNpyEnc *self, GstBuffer *buffer, guint index)
{
  gsize size = self->reader.size[index];
  gsize element = gst_sae_type_size (self->shape.type);
  guint8 *data;

  if (G_BYTE_ORDER == G_LITTLE_ENDIAN || element == 1)
    return gst_buffer_copy_region (buffer, GST_BUFFER_COPY_MEMORY,
        find_offset (self, index), size);
  data = g_try_malloc (size);
  if (!data)
    return NULL;
  memcpy (data, self->reader.data[index], size);
  gst_sae_swap_file_elements (data, size / element, element);
  return gst_buffer_new_wrapped (data, size);
}

static gboolean
check_tensor (GstSaeNpyEnc *self, const GstSaeTensor *tensors, guint n_tensors,
    GError **error)
{
  if (self->used.tensor < n_tensors)
    return gst_sae_npy_shape_accept (&self->shape, &tensors[self->used.tensor],
        error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "tensor: expected one of the stream's %u, got %u", n_tensors,
      self->used.tensor);
  return FALSE;
}

static gboolean
check_declared (GstSaeNpyEnc *self, guint64 n_items, GError **error)
{
  if (self->seekable || n_items <= self->used.rows - self->written)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "rows: expected %" G_GUINT64_FORMAT " as set, got %" G_GUINT64_FORMAT
      " or more",
      self->used.rows, self->written + n_items);
  return FALSE;
}

/* Takes @output, NULL where there was no memory for it. */
static GstFlowReturn
send_output (GstSaeNpyEnc *self, GstBuffer *output)
{
  if (!output) {
    fail (self, g_error_new (SAE_ERROR, SAE_ERROR_NO_SPACE,
                    "no memory for a copy of the tensor"));
    return GST_FLOW_ERROR;
  }
  GST_BUFFER_OFFSET (output) = self->offset;
  self->offset += gst_buffer_get_size (output);
  GST_BUFFER_OFFSET_END (output) = self->offset;
  return gst_pad_push (self->src_pad, output);
}

/* Rows @first to @last - 1 of the codes. */
static GstBuffer *
make_dense (const GstSaeCodesReader *codes, gsize first, gsize last)
{
  gsize size = (last - first) * codes->d_sae * sizeof (float);
  float *dense = g_try_malloc0 (size), *row = dense;

  if (!dense)
    return NULL;
  for (gsize r = first; r < last; r++, row += codes->d_sae)
    for (gsize p = codes->offsets[r]; p < codes->offsets[r + 1]; p++)
      row[codes->indices[p]] = codes->values[p];
  if (G_BYTE_ORDER != G_LITTLE_ENDIAN)
    gst_sae_swap_file_elements ((guint8 *) dense, size / sizeof (float),
        sizeof (float));
  return gst_buffer_new_wrapped (dense, size);
}

static GstFlowReturn
send_dense (GstSaeNpyEnc *self)
{
  GstSaeCodesReader *codes = &self->codes;
  GstFlowReturn flow = GST_FLOW_OK;
  GError *error = NULL;
  gsize piece;

  if (!gst_sae_codes_reader_read (codes, &self->reader, 0, &error)) {
    fail (self, error);
    return GST_FLOW_ERROR;
  }
  piece = MAX (DENSE_PIECE / sizeof (float) / codes->d_sae, 1);
  for (gsize r = 0; r < codes->n_rows && flow == GST_FLOW_OK; r += piece)
    flow = send_output (self,
        make_dense (codes, r, MIN (r + piece, codes->n_rows)));
  return flow;
}

/* It lags by header-interval at most, and by less than half of the rows. */
static gboolean
is_header_due (const GstSaeNpyEnc *self)
{
  guint64 interval = self->used.header_interval;

  return self->seekable && interval > 0 &&
         self->written - self->header_at >= MIN (self->header_at, interval);
}

static GstFlowReturn
send_rows (GstSaeNpyEnc *self, GstBuffer *buffer, guint64 n_items)
{
  GstFlowReturn flow =
      self->caps.format == GST_SAE_FORMAT_SPARSE
          ? send_dense (self)
          : send_output (self, make_output (self, buffer, self->used.tensor));

  if (flow != GST_FLOW_OK)
    return flow;
  self->written += n_items;
  return is_header_due (self) ? rewrite_header (self) : GST_FLOW_OK;
}

/* The dense array that a sparse tensor stands for, and its rows: it need not
 * have a byte of either. */
static gboolean
check_sparse (GstSaeNpyEnc *self, GError **error)
{
  const GstSaeReader *reader = &self->reader;
  gsize size;

  if (self->caps.format != GST_SAE_FORMAT_SPARSE)
    return TRUE;
  self->codes.max_bytes = self->used.max_bytes;
  return gst_sae_tensor_size (&reader->tensors[0], &size) &&
         gst_sae_limit_check (self->used.max_bytes, 1, size,
             "sparse tensor as a dense array", error);
}

static GstFlowReturn
handle_tensors (GstSaeNpyEnc *self, GstBuffer *buffer)
{
  const GstSaeReader *reader = &self->reader;
  guint64 n_items = 0;
  GError *error = NULL;
  GstFlowReturn flow;

  if (reader->n_tensors == 0)
    return GST_FLOW_OK;
  if (!check_tensor (self, reader->tensors, reader->n_tensors, &error) ||
      !check_sparse (self, &error) ||
      !gst_sae_npy_shape_count_items (&self->shape,
          reader->n_rows[self->used.tensor], &n_items, &error)) {
    fail (self, error);
    return GST_FLOW_ERROR;
  }
  flow = begin_file (self, TRUE);
  if (flow != GST_FLOW_OK || n_items == 0)
    return flow;
  if (!check_declared (self, n_items, &error)) {
    fail (self, error);
    return GST_FLOW_ERROR;
  }
  return send_rows (self, buffer, n_items);
}

static GstFlowReturn
gst_sae_npy_enc_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  GstSaeNpyEnc *self = GST_SAE_NPY_ENC (parent);
  GstFlowReturn flow = GST_FLOW_ERROR;
  GError *error = NULL;

  if (!self->have_caps) {
    gst_buffer_unref (buffer);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (!self->failed) {
    if (gst_sae_reader_open_any (&self->reader, buffer, &self->caps, &error))
      flow = handle_tensors (self, buffer);
    else
      fail (self, error);
    gst_sae_reader_close (&self->reader);
  }
  gst_buffer_unref (buffer);
  return flow;
}

/* --- events --- */

static gboolean
handle_caps (GstSaeNpyEnc *self, const GstCaps *caps)
{
  GstSaeTensors tensors;
  GError *error = NULL;

  if (!gst_sae_tensors_from_caps (&tensors, caps, &error))
    return fail (self, error);
  if (tensors.format == GST_SAE_FORMAT_STATIC &&
      !check_tensor (self, tensors.tensors, tensors.n_tensors, &error))
    return fail (self, error);
  self->caps = tensors;
  if (!self->have_caps) {
    GstCaps *npy = gst_static_pad_template_get_caps (&src_template);
    gst_pad_push_event (self->src_pad, gst_event_new_caps (npy));
    gst_caps_unref (npy);
  }
  self->have_caps = TRUE;
  return TRUE;
}

/* The number in the header becomes the true one, or it is an error. */
static void
finish_file (GstSaeNpyEnc *self)
{
  if (self->failed || !self->shape.known)
    return;
  if (begin_file (self, FALSE) != GST_FLOW_OK)
    return;
  if (self->seekable && self->used.rows > 0 && self->used.rows != self->written)
    GST_ELEMENT_WARNING (self, LIBRARY, SETTINGS,
        ("rows: expected %" G_GUINT64_FORMAT " as set, got %" G_GUINT64_FORMAT
         "; the header says the latter",
            self->used.rows, self->written),
        (NULL));
  if (self->written == self->declared)
    return;
  if (self->seekable) {
    rewrite_header (self);
    return;
  }
  fail (self, g_error_new (SAE_ERROR, SAE_ERROR_SIZE,
                  "rows: expected %" G_GUINT64_FORMAT
                  " as set, the stream ends after %" G_GUINT64_FORMAT,
                  self->used.rows, self->written));
}

static void
begin_anew (GstSaeNpyEnc *self)
{
  self->began = FALSE;
  self->written = 0;
  self->declared = 0;
  self->header_at = 0;
  self->offset = 0;
}

static gboolean
gst_sae_npy_enc_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  GstSaeNpyEnc *self = GST_SAE_NPY_ENC (parent);
  GstCaps *caps;
  gboolean ok = TRUE;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      ok = handle_caps (self, caps);
      gst_event_unref (event);
      return ok;
    case GST_EVENT_SEGMENT:
      /* Ours count bytes of the file. Other sticky events may follow this one,
       * which have to come behind a segment. */
      if (!self->began)
        send_segment (self, 0);
      gst_event_unref (event);
      return TRUE;
    case GST_EVENT_GAP:
      gst_event_unref (event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      /* Sinks that write files begin anew, too. */
      begin_anew (self);
      break;
    case GST_EVENT_EOS:
      finish_file (self);
      break;
    default:
      break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* --- states --- */

static void
prepare (GstSaeNpyEnc *self)
{
  GST_OBJECT_LOCK (self);
  self->used = self->settings;
  GST_OBJECT_UNLOCK (self);
  begin_anew (self);
  self->have_caps = FALSE;
  self->failed = FALSE;
  memset (&self->shape, 0, sizeof self->shape);
}

static void
clear_readers (GstSaeNpyEnc *self)
{
  gst_sae_reader_clear (&self->reader);
  gst_sae_codes_reader_clear (&self->codes);
}

static GstStateChangeReturn
gst_sae_npy_enc_change_state (GstElement *element, GstStateChange transition)
{
  GstSaeNpyEnc *self = GST_SAE_NPY_ENC (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    prepare (self);
  result = GST_ELEMENT_CLASS (gst_sae_npy_enc_parent_class)
               ->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    clear_readers (self);
  return result;
}

/* --- class --- */

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                            (GParamFlags) GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (object_class, PROP_TENSOR,
      g_param_spec_uint ("tensor", "Tensor",
          "Which tensor of the stream to write, counted from 0", 0,
          GST_SAE_MAX_TENSORS - 1, 0, flags));
  g_object_class_install_property (object_class, PROP_ROWS,
      g_param_spec_uint64 ("rows", "Rows",
          "Rows (items of the outermost dimension) that will come, for sinks "
          "that cannot seek (0 = not known)",
          0, G_MAXINT64, 0, flags));
  g_object_class_install_property (object_class, PROP_HEADER_INTERVAL,
      g_param_spec_uint64 ("header-interval", "Header interval",
          "Rows after which the header is written again, where the sink can "
          "seek; sooner while there are fewer (0 = only at the end)",
          0, G_MAXINT64, DEFAULT_HEADER_INTERVAL, flags));
  gst_sae_limit_install (object_class, PROP_MAX_BYTES, GST_SAE_MAX_BYTES_CODES,
      "Most bytes of the dense array that a sparse tensor stands for (0 = no "
      "limit)");
}

static void
gst_sae_npy_enc_class_init (GstSaeNpyEncClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_npy_enc_debug, "saenpyenc", 0,
      "tensors to an .npy file");
  object_class->set_property = gst_sae_npy_enc_set_property;
  object_class->get_property = gst_sae_npy_enc_get_property;
  install_properties (object_class);
  gst_element_class_set_static_metadata (element_class, "NumPy file encoder",
      "Codec/Muxer/Tensor", "Turns tensors into the bytes of an .npy file",
      "The gst-sae developers");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  element_class->change_state = gst_sae_npy_enc_change_state;
}

static void
gst_sae_npy_enc_init (GstSaeNpyEnc *self)
{
  GstElement *element = GST_ELEMENT (self);

  self->settings.header_interval = DEFAULT_HEADER_INTERVAL;
  self->settings.max_bytes = GST_SAE_MAX_BYTES_CODES;
  gst_sae_reader_init (&self->reader);
  gst_sae_codes_reader_init (&self->codes);
  self->sink_pad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sink_pad, gst_sae_npy_enc_chain);
  gst_pad_set_event_function (self->sink_pad, gst_sae_npy_enc_sink_event);
  gst_element_add_pad (element, self->sink_pad);
  self->src_pad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->src_pad);
  gst_element_add_pad (element, self->src_pad);
}
