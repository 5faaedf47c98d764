/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaefilterparts.h"

#include "gstsaelimit.h"
#include "gstsaepool.h"

#define PRIVATE(self) gst_sae_filter_get_private (self)

void
gst_sae_filter_clear_pool (GstSaeFilterPrivate *priv)
{
  if (priv->pool)
    gst_buffer_pool_set_active (priv->pool, FALSE);
  gst_clear_object (&priv->pool);
}

gboolean
gst_sae_filter_decide_allocation (GstBaseTransform *trans, GstQuery *query)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (trans));

  gst_clear_object (&priv->allocator);
  gst_allocation_params_init (&priv->params);
  if (gst_query_get_n_allocation_params (query) > 0)
    gst_query_parse_nth_allocation_param (query, 0, &priv->allocator,
        &priv->params);
  /* The pool is our own, since its sizes follow the rows of each buffer. */
  while (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_remove_nth_allocation_pool (query, 0);
  gst_sae_filter_clear_pool (priv);
  return TRUE;
}

/* A buffer of 0 bytes has 0 rows, and no tensors at all when flexible. */
static gboolean
has_rows (const GstSaeReader *reader)
{
  return reader->n_tensors > 0 && reader->n_rows[0] > 0;
}

/* The caps of @form as downstream takes them, with whatever trailing ones. */
static GstCaps *
find_accepted (GstSaeFilter *self, const GstSaeTensors *form)
{
  GstPad *pad = GST_BASE_TRANSFORM_SRC_PAD (self);
  g_autoptr (GstCaps) variants = gst_caps_new_empty ();

  gst_sae_filter_append_variants (variants, form);
  for (guint i = 0; i < gst_caps_get_size (variants); i++) {
    GstCaps *caps = gst_caps_copy_nth (variants, i);
    if (gst_pad_peer_query_accept_caps (pad, caps))
      return caps;
    gst_caps_unref (caps);
  }
  return NULL;
}

/* New caps go first, so that no buffer is other than they say. */
static gboolean
change_form (GstSaeFilter *self, const GstSaeTensors *form, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  g_autoptr (GstCaps) caps = find_accepted (self, form);

  if (!caps) {
    g_autoptr (GstCaps) wanted = gst_sae_tensors_to_caps (form);
    g_autofree gchar *text = gst_caps_to_string (wanted);
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "the number of rows changed, and downstream does not accept %s", text);
    return FALSE;
  }
  gst_pad_push_event (GST_BASE_TRANSFORM_SRC_PAD (self),
      gst_event_new_caps (caps));
  priv->out = *form;
  gst_sae_filter_clear_pool (priv);
  return TRUE;
}

/* Bytes of each memory of the output, headers included. */
static gboolean
measure_output (const GstSaeTensors *out, guint32 nnz, gsize *sizes,
    GError **error)
{
  gsize header = out->format == GST_SAE_FORMAT_STATIC ? 0 : GST_SAE_HEADER_SIZE;

  for (guint i = 0; i < out->n_tensors; i++) {
    gboolean fits = TRUE;
    if (out->format == GST_SAE_FORMAT_SPARSE)
      sizes[i] = nnz * (sizeof (float) + sizeof (guint32));
    else
      fits = gst_sae_tensor_size (&out->tensors[i], &sizes[i]);
    if (!fits || sizes[i] > G_MAXSSIZE / 4) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
          "tensor %u of the output is larger than memory", i);
      return FALSE;
    }
    sizes[i] += header;
  }
  return TRUE;
}

/* Of sparse codes a header alone claims the rows, which cost a place each, and
 * what they become. */
static gboolean
check_output (const GstSaeFilterPrivate *priv, const gsize *sizes,
    GError **error)
{
  guint64 total = 0;

  if (priv->in.format == GST_SAE_FORMAT_SPARSE)
    total = (priv->reader.n_rows[0] + 1) * sizeof (gsize);
  for (guint i = 0; i < priv->out.n_tensors; i++)
    total += sizes[i];
  return gst_sae_limit_check (priv->started.max_bytes, 1, total, "output",
      error);
}

static gsize
round_up (gsize size)
{
  gsize power = 1;

  while (power < size)
    power *= 2;
  return power;
}

/* Room for memories of @sizes. That of flexible and sparse ones, which may be
 * of another size each time, grows to what was ever needed. */
static gboolean
ensure_pool (GstSaeFilter *self, const gsize *sizes, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  gboolean exact = priv->out.format == GST_SAE_FORMAT_STATIC;
  guint n = priv->out.n_tensors;
  gboolean enough = priv->pool != NULL;

  for (guint i = 0; i < n; i++)
    enough = enough && sizes[i] <= priv->room[i];
  if (enough)
    return TRUE;
  for (guint i = 0; i < n; i++)
    priv->room[i] =
        exact ? sizes[i]
              : MAX (round_up (sizes[i]), priv->pool ? priv->room[i] : 0);
  gst_sae_filter_clear_pool (priv);
  priv->pool = gst_sae_pool_new (priv->room, n, priv->allocator, &priv->params);
  if (!priv->pool)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no buffer pool for the output");
  return priv->pool != NULL;
}

/* A buffer of the pool, its memories cut to @sizes; the pool makes them whole
 * again. */
static GstFlowReturn
acquire_sized (GstSaeFilter *self, const gsize *sizes, GstBuffer **buffer,
    GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstFlowReturn flow = gst_sae_pool_acquire (priv->pool, buffer, error);

  if (flow == GST_FLOW_OK)
    for (guint i = 0; i < priv->out.n_tensors; i++)
      if (sizes[i] != priv->room[i])
        gst_memory_resize (gst_buffer_peek_memory (*buffer, i), 0, sizes[i]);
  return flow;
}

/* The opened input as tensors, checked against the model. */
static gboolean
describe_input (GstSaeFilter *self, GstSaeTensors *in, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstSaeFilterClass *klass = GST_SAE_FILTER_GET_CLASS (self);

  *in = priv->in;
  in->n_tensors = priv->reader.n_tensors;
  for (guint i = 0; i < in->n_tensors; i++)
    in->tensors[i] = priv->reader.tensors[i];
  return klass->check (self, in, &priv->config, error) &&
         (priv->model || (gst_sae_filter_ensure_model (self, error) &&
                             klass->check (self, in, &priv->config, error)));
}

/* Caps that tell no dimensions stand whatever these are. */
static gboolean
take_form (GstSaeFilter *self, const GstSaeTensors *form, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  if (form->format == GST_SAE_FORMAT_STATIC)
    return gst_sae_filter_same_tensors (form, &priv->out) ||
           change_form (self, form, error);
  priv->out = *form;
  return TRUE;
}

static GstSaeJob
make_job (GstSaeFilterPrivate *priv, GstMapInfo *out)
{
  return (GstSaeJob){
      .model = priv->model,
      .workspace = priv->workspace,
      .in = &priv->reader,
      .form = &priv->out,
      .out = out,
  };
}

/* The number of values of sparse output, which must be there before its
 * buffer is. */
static gboolean
measure_codes (GstSaeFilter *self, GstBuffer *inbuf, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstSaeJob job = make_job (priv, NULL);

  job.inbuf = inbuf;
  priv->nnz = 0;
  return priv->out.format != GST_SAE_FORMAT_SPARSE ||
         GST_SAE_FILTER_GET_CLASS (self)->measure (self, &job, &priv->nnz,
             error);
}

/* An output buffer that fits the opened input; empty where that has no rows.
 * @failed is what cannot be done when it fails. */
static GstFlowReturn
acquire_output (GstSaeFilter *self, GstBuffer *inbuf, GstBuffer **outbuf,
    const gchar **failed, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  gsize sizes[GST_SAE_MAX_TENSORS];
  GstSaeTensors in, form;

  if (!has_rows (&priv->reader)) {
    *outbuf = gst_buffer_new ();
    return GST_FLOW_OK;
  }
  if (!describe_input (self, &in, error))
    return GST_FLOW_ERROR;
  if (!gst_sae_filter_choose_form (self, &in, &form, error))
    return GST_FLOW_ERROR;
  if (!take_form (self, &form, error))
    return GST_FLOW_NOT_NEGOTIATED;
  *failed = "Cannot process the buffer";
  if (!measure_codes (self, inbuf, error) ||
      !measure_output (&priv->out, priv->nnz, sizes, error) ||
      !check_output (priv, sizes, error) || !ensure_pool (self, sizes, error))
    return GST_FLOW_ERROR;
  return acquire_sized (self, sizes, outbuf, error);
}

/* Caps that follow the opened input, where they tell its rows. */
static GstFlowReturn
follow_input (GstSaeFilter *self, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstSaeTensors in, form;

  if (!has_rows (&priv->reader))
    return GST_FLOW_OK;
  if (!describe_input (self, &in, error))
    return GST_FLOW_ERROR;
  if (in.format != GST_SAE_FORMAT_STATIC)
    return GST_FLOW_OK;
  if (!gst_sae_filter_choose_form (self, &in, &form, error))
    return GST_FLOW_ERROR;
  return take_form (self, &form, error) ? GST_FLOW_OK : GST_FLOW_NOT_NEGOTIATED;
}

GstFlowReturn
gst_sae_filter_open (GstSaeFilter *self, GstBuffer *buffer, GstSaeJob *job,
    GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstFlowReturn flow = GST_FLOW_ERROR;

  if (gst_sae_reader_open (&priv->reader, buffer, &priv->in, error)) {
    flow = follow_input (self, error);
  } else if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP)) {
    g_clear_error (error);
    flow = GST_FLOW_OK;
  }
  if (flow != GST_FLOW_OK)
    gst_sae_reader_close (&priv->reader);
  *job = make_job (priv, NULL);
  if (!has_rows (&priv->reader))
    job->model = NULL;
  return flow;
}

void
gst_sae_filter_close (GstSaeFilter *self)
{
  gst_sae_reader_close (&PRIVATE (self)->reader);
}

GstBufferPool *
gst_sae_filter_new_pool (GstSaeFilter *self, gsize size)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  return gst_sae_pool_new (&size, 1, priv->allocator, &priv->params);
}

GstFlowReturn
gst_sae_filter_prepare_output_buffer (GstBaseTransform *trans, GstBuffer *inbuf,
    GstBuffer **outbuf)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstFlowReturn flow = GST_FLOW_ERROR;
  const gchar *failed = "Cannot read the buffer";
  GError *error = NULL;

  if (gst_sae_reader_open_any (&priv->reader, inbuf, &priv->in, &error))
    flow = acquire_output (self, inbuf, outbuf, &failed, &error);
  if (flow != GST_FLOW_OK)
    gst_sae_reader_close (&priv->reader);
  if (error)
    gst_sae_element_post_error (GST_ELEMENT (self), failed, error);
  if (flow != GST_FLOW_OK)
    return flow;
  if (!GST_BASE_TRANSFORM_GET_CLASS (trans)->copy_metadata (trans, inbuf,
          *outbuf))
    GST_WARNING_OBJECT (self, "could not copy metadata");
  return GST_FLOW_OK;
}

/* Maps the memories of @buffer, one a tensor; unmaps them all on failure. */
static gboolean
map_output (GstBuffer *buffer, guint n, GstMapInfo *maps)
{
  for (guint i = 0; i < n; i++)
    if (!gst_memory_map (gst_buffer_peek_memory (buffer, i), &maps[i],
            GST_MAP_WRITE)) {
      while (i-- > 0)
        gst_memory_unmap (maps[i].memory, &maps[i]);
      return FALSE;
    }
  return TRUE;
}

static void
write_headers (const GstSaeTensors *out, guint32 nnz, GstMapInfo *maps)
{
  if (out->format == GST_SAE_FORMAT_STATIC)
    return;
  for (guint i = 0; i < out->n_tensors; i++) {
    GstSaeHeader header = {out->tensors[i], out->format, nnz};
    gst_sae_header_write (&header, maps[i].data);
  }
}

guint8 *
gst_sae_job_get_output (const GstSaeJob *job, guint index)
{
  return job->out[index].data +
         (job->form->format == GST_SAE_FORMAT_STATIC ? 0 : GST_SAE_HEADER_SIZE);
}

static gboolean
process (GstSaeFilter *self, GstBuffer *inbuf, GstBuffer *outbuf,
    GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstMapInfo maps[GST_SAE_MAX_TENSORS];
  GstSaeJob job = make_job (priv, maps);
  gboolean ok;

  job.inbuf = inbuf;
  job.outbuf = outbuf;
  if (!has_rows (&priv->reader))
    return TRUE;
  if (!map_output (outbuf, priv->out.n_tensors, maps)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "cannot map the output buffer");
    return FALSE;
  }
  write_headers (&priv->out, priv->nnz, maps);
  ok = GST_SAE_FILTER_GET_CLASS (self)->process (self, &job, error);
  for (guint i = 0; i < priv->out.n_tensors; i++)
    gst_memory_unmap (maps[i].memory, &maps[i]);
  return ok;
}

GstFlowReturn
gst_sae_filter_transform (GstBaseTransform *trans, GstBuffer *inbuf,
    GstBuffer *outbuf)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GError *error = NULL;
  gboolean ok = process (self, inbuf, outbuf, &error);

  gst_sae_reader_close (&PRIVATE (self)->reader);
  if (ok)
    return GST_FLOW_OK;
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot process the buffer",
      error);
  return GST_FLOW_ERROR;
}

const float *
gst_sae_filter_get_floats (GstSaeFilter *self, const GstSaeReader *in,
    guint index, GError **error)
{
  return gst_sae_floats_get (&PRIVATE (self)->floats, in, index, error);
}

gpointer
gst_sae_filter_get_scratch (GstSaeFilter *self, gsize size, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  if (size > priv->scratch_size) {
    g_free (priv->scratch);
    priv->scratch = g_try_malloc (size);
    priv->scratch_size = priv->scratch ? size : 0;
  }
  if (size > 0 && !priv->scratch)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no memory for %" G_GSIZE_FORMAT " bytes of scratch", size);
  return priv->scratch;
}
