/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saesteer
 * @title: saesteer
 * @short_description: activations with edited latents
 *
 * Scales, raises, bounds or switches off named latents of a stream of
 * activations, while it flows: y = x + (latents′ − latents)·W_dec, where
 * latents′ = clamp (latents·scale + offset, min, max) for the latents that
 * `latents` names, and all others stay (Templeton et al. 2024, "Scaling
 * monosemanticity"). What the dictionary does not reconstruct passes as it is.
 *
 * Rows of which no edited latent changes keep their bits, in every type, and a
 * buffer without any other row is passed on itself. So are GAP buffers. Rows
 * with a NaN or an infinity, or whose edits come to one, pass untouched and are
 * counted in `nonfinite-rows`.
 *
 * `latents` takes edits with commas between, each an index, a colon and its
 * terms:
 *
 * | term | |
 * |---|---|
 * | `17:*0` | switched off |
 * | `17:*2` | times 2 |
 * | `17:+3.5`, `17:-3.5` | plus, minus 3.5, also where it is not active |
 * | `17:*2+1` | times 2, plus 1 |
 * | `17:=4` | 4 in every row |
 * | `17:>0.5`, `17:<8` | at least, at most |
 *
 * Each edit is a child of the element, `latent-17`, with the properties
 * `scale`, `offset`, `min` and `max`, which can be set on a command line
 * (`latent-17::scale=0`), by gst_child_proxy_set(), and animated by control
 * sources: a buffer has the values of its stream time. A child is there as soon
 * as it is asked for, and goes when `latents` is set to edits without it.
 *
 * With `output=error` it gives x − x_hat, what the dictionary does not
 * reconstruct; edits play no part in it.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=heldout.npy ! saesteer location=out/
 *     latents="17:*0,42:+3.5" ! saenpyenc ! filesink location=steered.npy
 * ]|
 */
#include "gstsaesteer.h"

#include <math.h>
#include <string.h>

#include "gstsaeaddrow.h"
#include "gstsaecodes.h"
#include "gstsaeeditlist.h"

GST_DEBUG_CATEGORY_STATIC (sae_steer_debug);
#define GST_CAT_DEFAULT sae_steer_debug

typedef enum { OUTPUT_ACTIVATIONS, OUTPUT_ERROR } Output;

struct _GstSaeSteer {
  GstSaeFilter parent;

  GstSaeEditList list;
  Output output;          /* object lock */
  guint64 nonfinite_rows; /* object lock */
  gboolean started;       /* object lock */
  gchar *refused;         /* object lock; edits that start will fail with */

  /* streaming thread */
  SaeEdits *edits; /* of the buffer */
  GstBufferPool *pool;
  gsize pool_size; /* bytes of its buffers */
};

enum { PROP_0, PROP_LATENTS, PROP_OUTPUT, PROP_NONFINITE_ROWS };

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_DENSE_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_DENSE_CAPS));

static void gst_sae_steer_child_proxy_init (gpointer interface, gpointer data);

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeSteer, gst_sae_steer, GST_TYPE_SAE_FILTER,
    G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL)
        G_IMPLEMENT_INTERFACE (GST_TYPE_CHILD_PROXY,
            gst_sae_steer_child_proxy_init))
GST_ELEMENT_REGISTER_DEFINE (saesteer, "saesteer", GST_RANK_NONE,
    GST_TYPE_SAE_STEER)

#define TYPE_OUTPUT (output_get_type ())
static GType
output_get_type (void)
{
  static gsize type;
  static const GEnumValue values[] = {
      {OUTPUT_ACTIVATIONS, "Activations with edited latents", "activations"},
      {OUTPUT_ERROR, "What the dictionary does not reconstruct: x - x_hat",
          "error"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        g_enum_register_static ("GstSaeSteerOutput", values));
  return type;
}

/* --- edits ---------------------------------------------------------------- */

/* Before the start it is start that fails; later the edits that were there
 * stay. */
static void
refuse_text (GstSaeSteer *self, const gchar *text, GError *error)
{
  gboolean started;

  GST_OBJECT_LOCK (self);
  started = self->started;
  if (!started) {
    g_free (self->refused);
    self->refused = g_strdup (text);
  }
  GST_OBJECT_UNLOCK (self);
  if (started)
    gst_sae_element_post_warning (GST_ELEMENT (self), "Cannot change the edits",
        error);
  else
    g_error_free (error);
}

static void
set_text (GstSaeSteer *self, const gchar *text)
{
  GError *error = NULL;
  g_autoptr (SaeEdits) edits =
      sae_edits_new_from_text (text ? text : "", &error);

  if (!edits || !gst_sae_edit_list_check (&self->list, edits, &error)) {
    refuse_text (self, text, error);
    return;
  }
  GST_OBJECT_LOCK (self);
  g_clear_pointer (&self->refused, g_free);
  GST_OBJECT_UNLOCK (self);
  gst_sae_edit_list_load (&self->list, edits);
}

static gchar *
get_text (GstSaeSteer *self)
{
  g_autoptr (SaeEdits) edits = sae_edits_new ();
  gchar *refused;

  GST_OBJECT_LOCK (self);
  refused = g_strdup (self->refused);
  GST_OBJECT_UNLOCK (self);
  if (refused)
    return refused;
  gst_sae_edit_list_store (&self->list, edits);
  return sae_edits_to_text (edits);
}

static GObject *
get_child_by_name (GstChildProxy *proxy, const gchar *name)
{
  return gst_sae_edit_list_find (&GST_SAE_STEER (proxy)->list, name);
}

static GObject *
get_child_by_index (GstChildProxy *proxy, guint index)
{
  return gst_sae_edit_list_get (&GST_SAE_STEER (proxy)->list, index);
}

static guint
get_children_count (GstChildProxy *proxy)
{
  return gst_sae_edit_list_count (&GST_SAE_STEER (proxy)->list);
}

static void
gst_sae_steer_child_proxy_init (gpointer interface, gpointer data)
{
  GstChildProxyInterface *proxy = interface;

  proxy->get_child_by_name = get_child_by_name;
  proxy->get_child_by_index = get_child_by_index;
  proxy->get_children_count = get_children_count;
}

/* --- properties ----------------------------------------------------------- */

static void
gst_sae_steer_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeSteer *self = GST_SAE_STEER (object);

  switch (id) {
    case PROP_LATENTS:
      set_text (self, g_value_get_string (value));
      break;
    case PROP_OUTPUT:
      GST_OBJECT_LOCK (self);
      self->output = g_value_get_enum (value);
      GST_OBJECT_UNLOCK (self);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
}

static void
gst_sae_steer_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeSteer *self = GST_SAE_STEER (object);

  if (id == PROP_LATENTS) {
    g_value_take_string (value, get_text (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_OUTPUT:
      g_value_set_enum (value, self->output);
      break;
    case PROP_NONFINITE_ROWS:
      g_value_set_uint64 (value, self->nonfinite_rows);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- start, stop, caps ---------------------------------------------------- */

/* Says once more what is wrong with edits that were refused. */
static gboolean
check_text (GstSaeSteer *self)
{
  g_autoptr (SaeEdits) edits = NULL;
  g_autofree gchar *text = NULL;
  GError *error = NULL;

  GST_OBJECT_LOCK (self);
  text = g_strdup (self->refused);
  GST_OBJECT_UNLOCK (self);
  if (!text)
    return TRUE;
  edits = sae_edits_new_from_text (text, &error);
  if (error)
    gst_sae_element_post_error (GST_ELEMENT (self), "Cannot edit", error);
  return edits != NULL;
}

static void
clear_pool (GstSaeSteer *self)
{
  if (self->pool)
    gst_buffer_pool_set_active (self->pool, FALSE);
  gst_clear_object (&self->pool);
  self->pool_size = 0;
}

static gboolean
gst_sae_steer_start (GstBaseTransform *trans)
{
  GstSaeSteer *self = GST_SAE_STEER (trans);

  if (!check_text (self) ||
      !GST_BASE_TRANSFORM_CLASS (gst_sae_steer_parent_class)->start (trans))
    return FALSE;
  GST_OBJECT_LOCK (self);
  self->started = TRUE;
  self->nonfinite_rows = 0;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
gst_sae_steer_stop (GstBaseTransform *trans)
{
  GstSaeSteer *self = GST_SAE_STEER (trans);

  clear_pool (self);
  GST_OBJECT_LOCK (self);
  self->started = FALSE;
  GST_OBJECT_UNLOCK (self);
  gst_sae_edit_list_set_n_latents (&self->list, 0, NULL);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_steer_parent_class)->stop (trans);
}

static gboolean
check_width (const GstSaeTensor *x, SaeConfig *config, GError **error)
{
  if (config->d_in == 0)
    config->d_in = config->d_out = x->dims[0];
  if (config->d_out != 0 && config->d_out != config->d_in) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "model: expected one that reconstructs its own input, got a transcoder "
        "from %u to %u",
        config->d_in, config->d_out);
    return FALSE;
  }
  if (config->d_in == x->dims[0])
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "activations: expected rows of %u (input-size), got rows of %u",
      config->d_in, x->dims[0]);
  return FALSE;
}

static gboolean
gst_sae_steer_check (GstSaeFilter *filter, const GstSaeTensors *in,
    SaeConfig *config, GError **error)
{
  GstSaeSteer *self = GST_SAE_STEER (filter);
  SaeDtype dtype;

  if (in->n_tensors == 1 &&
      gst_sae_type_to_dtype (in->tensors[0].type, &dtype) &&
      sae_dtype_is_float (dtype))
    return check_width (&in->tensors[0], config, error) &&
           gst_sae_edit_list_set_n_latents (&self->list, config->d_sae, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "activations: expected 1 tensor of float32, float16 or float64, got "
      "%u, the first of %s",
      in->n_tensors, gst_sae_type_name (in->tensors[0].type));
  return FALSE;
}

static guint
gst_sae_steer_list_forms (GstSaeFilter *filter, const GstSaeTensors *in,
    const SaeConfig *config, GstSaeTensors forms[GST_SAE_MAX_FORMS])
{
  forms[0] = *in;
  return 1;
}

/* Whether caps say which rows there are. */
static gboolean
tell_rows (GstCaps *caps)
{
  GstSaeTensors tensors;

  return gst_caps_is_fixed (caps) &&
         gst_sae_tensors_from_caps (&tensors, caps, NULL) &&
         tensors.format == GST_SAE_FORMAT_STATIC;
}

/* What comes in goes out, in the type and the format that it has. Of static
 * caps also the ways to write their dimensions. */
static GstCaps *
gst_sae_steer_transform_caps (GstBaseTransform *trans,
    GstPadDirection direction, GstCaps *caps, GstCaps *filter)
{
  g_autoptr (GstCaps) result = gst_caps_ref (caps);

  if (direction == GST_PAD_SINK && tell_rows (caps))
    result =
        gst_caps_merge (GST_BASE_TRANSFORM_CLASS (gst_sae_steer_parent_class)
                            ->transform_caps (trans, direction, caps, NULL),
            g_steal_pointer (&result));
  if (filter)
    return gst_caps_intersect_full (filter, result, GST_CAPS_INTERSECT_FIRST);
  return g_steal_pointer (&result);
}

static GstCaps *
gst_sae_steer_fixate_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps, GstCaps *othercaps)
{
  return gst_caps_fixate (gst_caps_truncate (othercaps));
}

static gboolean
gst_sae_steer_decide_allocation (GstBaseTransform *trans, GstQuery *query)
{
  clear_pool (GST_SAE_STEER (trans));
  return GST_BASE_TRANSFORM_CLASS (gst_sae_steer_parent_class)
      ->decide_allocation (trans, query);
}

/* --- buffers -------------------------------------------------------------- */

/* A buffer of @size bytes; the pool's grow to the largest. */
static GstFlowReturn
acquire (GstSaeSteer *self, gsize size, GstBuffer **buffer, GError **error)
{
  GstFlowReturn flow;

  if (!self->pool || size > self->pool_size) {
    clear_pool (self);
    self->pool = gst_sae_filter_new_pool (GST_SAE_FILTER (self), size);
    self->pool_size = size;
  }
  if (!self->pool) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no buffers of %" G_GSIZE_FORMAT " bytes for the output", size);
    return GST_FLOW_ERROR;
  }
  flow = gst_buffer_pool_acquire_buffer (self->pool, buffer, NULL);
  if (flow == GST_FLOW_OK)
    gst_buffer_set_size (*buffer, (gssize) size);
  return flow;
}

/* What was read, before rows are changed: a header, if any, and the rows. */
static gboolean
copy_input (GstBuffer *inbuf, const GstSaeReader *in, gsize header,
    guint8 *bytes)
{
  memcpy (bytes + header, in->data[0], in->size[0]);
  return gst_buffer_extract (inbuf, 0, bytes, header) == header;
}

/* y of each row that @changed says, or of all. Rows that their type cannot hold
 * stay; returns how many. */
static guint64
add_rows (const GstSaeReader *in, const float *deltas, float sign,
    const guint8 *changed, guint8 *y)
{
  gsize d = in->tensors[0].dims[0];
  gsize row = d * gst_sae_type_size (in->tensors[0].type);
  guint64 n_bad = 0;

  for (gsize r = 0; r < in->n_rows[0]; r++) {
    const guint8 *x = in->data[0] + r * row;
    if ((changed && !changed[r]) || gst_sae_add_row (in->tensors[0].type, x,
                                        deltas + r * d, sign, d, y + r * row))
      continue;
    memcpy (y + r * row, x, row);
    n_bad++;
  }
  return n_bad;
}

static void
count_nonfinite (GstSaeSteer *self, guint64 n)
{
  GST_OBJECT_LOCK (self);
  self->nonfinite_rows += n;
  GST_OBJECT_UNLOCK (self);
}

/* Fills in a buffer like @inbuf whose rows are x + sign·deltas where they
 * change. */
static gboolean
write_rows (GstSaeSteer *self, GstBuffer *inbuf, const GstSaeReader *in,
    const float *deltas, float sign, const guint8 *changed, GstBuffer *outbuf,
    GError **error)
{
  gsize header = gst_buffer_get_size (inbuf) - in->size[0];
  GstMapInfo map;
  gboolean ok;

  ok = gst_buffer_map (outbuf, &map, GST_MAP_WRITE);
  if (ok) {
    ok = copy_input (inbuf, in, header, map.data);
    count_nonfinite (self,
        add_rows (in, deltas, sign, changed, map.data + header));
    gst_buffer_unmap (outbuf, &map);
  }
  if (!ok)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "cannot map the buffers of the input and the output");
  return ok;
}

static GstFlowReturn
make_output (GstSaeSteer *self, GstBuffer *inbuf, const GstSaeReader *in,
    const float *deltas, float sign, const guint8 *changed, GstBuffer **outbuf,
    GError **error)
{
  GstFlowReturn flow =
      acquire (self, gst_buffer_get_size (inbuf), outbuf, error);

  if (flow != GST_FLOW_OK)
    return flow;
  if (!write_rows (self, inbuf, in, deltas, sign, changed, *outbuf, error)) {
    gst_clear_buffer (outbuf);
    return GST_FLOW_ERROR;
  }
  if (!GST_BASE_TRANSFORM_CLASS (gst_sae_steer_parent_class)
           ->copy_metadata (GST_BASE_TRANSFORM (self), inbuf, *outbuf))
    GST_WARNING_OBJECT (self, "could not copy metadata");
  return GST_FLOW_OK;
}

static GstFlowReturn
steer (GstSaeSteer *self, const GstSaeJob *job, GstBuffer *inbuf,
    GstBuffer **outbuf, GError **error)
{
  const float *x =
      gst_sae_filter_get_floats (GST_SAE_FILTER (self), job->in, 0, error);
  guint64 before = sae_workspace_get_n_nonfinite (job->workspace);
  const float *deltas;
  const guint8 *changed;
  gsize n_changed;

  if (!x)
    return GST_FLOW_ERROR;
  sae_workspace_set_zero_nonfinite (job->workspace, TRUE);
  if (!sae_model_steer_rows (job->model, job->workspace, self->edits, x,
          job->in->n_rows[0], &deltas, &changed, &n_changed, error))
    return GST_FLOW_ERROR;
  count_nonfinite (self,
      sae_workspace_get_n_nonfinite (job->workspace) - before);
  if (n_changed == 0)
    return GST_FLOW_OK;
  return make_output (self, inbuf, job->in, deltas, 1.0f, changed, outbuf,
      error);
}

/* Rows that are not finite stay, and take nothing away: 0 in their place. */
static void
clear_nonfinite (GstSaeSteer *self, const float *x, float *x_hat, gsize n_rows,
    gsize d)
{
  guint64 n_bad = 0;

  for (gsize r = 0; r < n_rows; r++, x += d, x_hat += d) {
    gsize j = 0;
    while (j < d && isfinite (x[j] - x_hat[j]))
      j++;
    if (j == d)
      continue;
    memset (x_hat, 0, d * sizeof *x_hat);
    n_bad++;
  }
  count_nonfinite (self, n_bad);
}

/* x − x_hat */
static GstFlowReturn
subtract (GstSaeSteer *self, const GstSaeJob *job, GstBuffer *inbuf,
    GstBuffer **outbuf, GError **error)
{
  GstSaeFilter *filter = GST_SAE_FILTER (self);
  gsize n_rows = job->in->n_rows[0], d = job->in->tensors[0].dims[0];
  const float *x = gst_sae_filter_get_floats (filter, job->in, 0, error);
  float *x_hat =
      x ? gst_sae_filter_get_scratch (filter, n_rows * d * sizeof *x_hat, error)
        : NULL;

  if (!x_hat)
    return GST_FLOW_ERROR;
  sae_workspace_set_zero_nonfinite (job->workspace, TRUE);
  if (!sae_model_forward_rows (job->model, job->workspace, x, n_rows, x_hat,
          error))
    return GST_FLOW_ERROR;
  clear_nonfinite (self, x, x_hat, n_rows, d);
  return make_output (self, inbuf, job->in, x_hat, -1.0f, NULL, outbuf, error);
}

/* The edits of the time of @inbuf; what is to be made of it. */
static Output
get_work (GstSaeSteer *self, GstBuffer *inbuf)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime time = GST_CLOCK_TIME_NONE;
  Output output;

  if (segment->format == GST_FORMAT_TIME && GST_BUFFER_PTS_IS_VALID (inbuf))
    time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME,
        GST_BUFFER_PTS (inbuf));
  gst_sae_edit_list_sync (&self->list, time);
  gst_sae_edit_list_store (&self->list, self->edits);
  GST_OBJECT_LOCK (self);
  output = self->output;
  GST_OBJECT_UNLOCK (self);
  return output;
}

/* A skip connection is known when the model is, and not of its sizes. */
static gboolean
check_no_skip (SaeModel *model, GError **error)
{
  g_autoptr (GBytes) W_skip = sae_model_get_W_skip (model);

  if (W_skip)
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "model: expected one that reconstructs its own input, got a transcoder "
        "with a skip connection");
  return W_skip == NULL;
}

/* @outbuf is NULL where @inbuf is to be passed on. */
static GstFlowReturn
process (GstSaeSteer *self, GstBuffer *inbuf, GstBuffer **outbuf,
    GError **error)
{
  Output output = get_work (self, inbuf);
  GstFlowReturn flow;
  GstSaeJob job;

  flow = gst_sae_filter_open (GST_SAE_FILTER (self), inbuf, &job, error);
  if (flow != GST_FLOW_OK)
    return flow;
  if (!job.model || GST_BUFFER_FLAG_IS_SET (inbuf, GST_BUFFER_FLAG_GAP))
    flow = GST_FLOW_OK;
  else if (!check_no_skip (job.model, error))
    flow = GST_FLOW_ERROR;
  else if (output == OUTPUT_ERROR)
    flow = subtract (self, &job, inbuf, outbuf, error);
  else if (sae_edits_get_n_latents (self->edits) > 0)
    flow = steer (self, &job, inbuf, outbuf, error);
  gst_sae_filter_close (GST_SAE_FILTER (self));
  return flow;
}

static GstFlowReturn
gst_sae_steer_generate_output (GstBaseTransform *trans, GstBuffer **outbuf)
{
  GstSaeSteer *self = GST_SAE_STEER (trans);
  GstBuffer *inbuf = g_steal_pointer (&trans->queued_buf);
  GError *error = NULL;
  GstFlowReturn flow;

  *outbuf = NULL;
  if (!inbuf)
    return GST_FLOW_OK;
  flow = process (self, inbuf, outbuf, &error);
  if (error)
    gst_sae_element_post_error (GST_ELEMENT (self), "Cannot steer the buffer",
        error);
  if (flow == GST_FLOW_OK && !*outbuf)
    *outbuf = g_steal_pointer (&inbuf);
  gst_clear_buffer (&inbuf);
  return flow;
}

/* --- type ----------------------------------------------------------------- */

static void
gst_sae_steer_dispose (GObject *object)
{
  GstSaeSteer *self = GST_SAE_STEER (object);

  if (self->list.edits)
    gst_sae_edit_list_clear (&self->list);
  G_OBJECT_CLASS (gst_sae_steer_parent_class)->dispose (object);
}

static void
gst_sae_steer_finalize (GObject *object)
{
  GstSaeSteer *self = GST_SAE_STEER (object);

  sae_edits_free (self->edits);
  g_free (self->refused);
  G_OBJECT_CLASS (gst_sae_steer_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object_class)
{
  GParamFlags flags =
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                     GST_PARAM_MUTABLE_PLAYING);

  g_object_class_install_property (object_class, PROP_LATENTS,
      g_param_spec_string ("latents", "Latents",
          "Edits of latents, such as 17:*0,42:+3.5: index, then *scale, "
          "+offset or -offset, =value, >minimum, <maximum",
          "", flags));
  g_object_class_install_property (object_class, PROP_OUTPUT,
      g_param_spec_enum ("output", "Output", "What becomes of the activations",
          TYPE_OUTPUT, OUTPUT_ACTIVATIONS, flags));
  g_object_class_install_property (object_class, PROP_NONFINITE_ROWS,
      g_param_spec_uint64 ("nonfinite-rows", "Non-finite rows",
          "Rows that passed untouched because they, or what their edits come "
          "to, have a NaN or an infinity, since the start",
          0, G_MAXUINT64, 0, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
gst_sae_steer_class_init (GstSaeSteerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);
  GstSaeFilterClass *filter_class = GST_SAE_FILTER_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_steer_debug, "saesteer", 0,
      "sparse autoencoder, steering");

  object_class->set_property = gst_sae_steer_set_property;
  object_class->get_property = gst_sae_steer_get_property;
  object_class->dispose = gst_sae_steer_dispose;
  object_class->finalize = gst_sae_steer_finalize;
  install_properties (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Sparse autoencoder steering", "Filter/Tensor",
      "Edits named latents of a stream of activations",
      "The gst-sae developers");

  trans_class->start = gst_sae_steer_start;
  trans_class->stop = gst_sae_steer_stop;
  trans_class->transform_caps = gst_sae_steer_transform_caps;
  trans_class->fixate_caps = gst_sae_steer_fixate_caps;
  trans_class->decide_allocation = gst_sae_steer_decide_allocation;
  trans_class->generate_output = gst_sae_steer_generate_output;

  filter_class->check = gst_sae_steer_check;
  filter_class->list_forms = gst_sae_steer_list_forms;

  gst_type_mark_as_plugin_api (GST_TYPE_SAE_EDIT, 0);
  gst_type_mark_as_plugin_api (TYPE_OUTPUT, 0);
}

static void
gst_sae_steer_init (GstSaeSteer *self)
{
  self->edits = sae_edits_new ();
  gst_sae_edit_list_init (&self->list, GST_ELEMENT (self));
}
