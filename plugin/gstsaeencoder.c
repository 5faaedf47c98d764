/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saeencoder
 * @title: saeencoder
 * @short_description: activations to sparse latents
 *
 * Encodes each row of activations with a sparse autoencoder and sends its
 * codes in the smallest form that downstream takes: pairs of index and value
 * (top-k models), a sparse tensor, or dense. Where downstream takes flexible
 * tensors only, pairs or dense go behind headers. Rows keep their timestamps,
 * flags and metas; outer dimensions are kept too. The codes of a row do not
 * depend on how the stream is cut into buffers. A model that normalises rows
 * leaves what it took from them on the buffer (GstSaeRowMeta), where saedecoder
 * looks for it.
 *
 * The dictionary is that of #GstSaeEncoder:location, or with
 * #GstSaeEncoder:model-name a live one, which a saetrainer or the application
 * publishes: each buffer gets the latest version.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=heldout.npy ! saeencoder location=out/ !
 *     saedecoder location=out/ ! saenpyenc ! filesink location=xhat.npy
 * ]|
 * With the dictionary that is being trained on the same stream:
 * |[
 * gst-launch-1.0 saesrc location=train.npy ! tee name=t
 *     t. ! queue ! saetrainer model-name=m dict-size=1024 ! fakesink
 *     t. ! queue ! saeencoder model-name=m ! saenpyenc tensor=1 !
 *     filesink location=values.npy
 * ]|
 */
#include "gstsaeencoder.h"

#include <string.h>

#include "gstsaecodes.h"
#include "gstsaerowmeta.h"
#include "sae-enum-types.h"

GST_DEBUG_CATEGORY_STATIC (sae_encoder_debug);
#define GST_CAT_DEFAULT sae_encoder_debug

/* What becomes of rows with a NaN or an infinity. */
typedef enum { ON_NONFINITE_ERROR, ON_NONFINITE_ZERO } OnNonfinite;

/* latents of one buffer, as compressed rows in the workspace */
typedef struct {
  gsize n_rows;
  const gsize *offsets;
  const guint32 *indices;
  const float *values;
} Latents;

struct _GstSaeEncoder {
  GstSaeFilter parent;
  GstSaeCodesFormat codes_format; /* object lock */
  OnNonfinite on_nonfinite;       /* object lock */
  guint64 nonfinite_rows;         /* object lock */
  Latents latents;                /* streaming thread; of the buffer at work */
};

enum { PROP_0, PROP_CODES_FORMAT, PROP_ON_NONFINITE, PROP_NONFINITE_ROWS };

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_DENSE_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_CODES_CAPS));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeEncoder, gst_sae_encoder,
    GST_TYPE_SAE_FILTER, G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saeencoder, "saeencoder", GST_RANK_NONE,
    GST_TYPE_SAE_ENCODER)

#define TYPE_ON_NONFINITE (on_nonfinite_get_type ())
static GType
on_nonfinite_get_type (void)
{
  static gsize type;
  static const GEnumValue values[] = {
      {ON_NONFINITE_ERROR, "Fail the buffer", "error"},
      {ON_NONFINITE_ZERO, "Give such rows no latents, and go on", "zero"},
      {0, NULL, NULL},
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        g_enum_register_static ("GstSaeOnNonfinite", values));
  return type;
}

static void
gst_sae_encoder_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeEncoder *self = GST_SAE_ENCODER (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_CODES_FORMAT:
      self->codes_format = g_value_get_enum (value);
      break;
    case PROP_ON_NONFINITE:
      self->on_nonfinite = g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_encoder_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeEncoder *self = GST_SAE_ENCODER (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_CODES_FORMAT:
      g_value_set_enum (value, self->codes_format);
      break;
    case PROP_ON_NONFINITE:
      g_value_set_enum (value, self->on_nonfinite);
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

static GstSaeCodesFormat
get_codes_format (GstSaeEncoder *self)
{
  GstSaeCodesFormat format;

  GST_OBJECT_LOCK (self);
  format = self->codes_format;
  GST_OBJECT_UNLOCK (self);
  return format;
}

static const gchar *
nick_of (GType type, gint value)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);

  return g_enum_get_value (enum_class, value)->value_nick;
}

static gboolean
check_format (GstSaeEncoder *self, const SaeConfig *config, GError **error)
{
  if (get_codes_format (self) != GST_SAE_CODES_PAIRS ||
      gst_sae_codes_can_be_pairs (config))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "codes-format: set to pairs, which need top-k and ties=lowest-index, but "
      "the model is %s with ties=%s",
      nick_of (SAE_TYPE_SPARSITY, config->sparsity),
      nick_of (SAE_TYPE_TIES, config->ties));
  return FALSE;
}

static gboolean
check_width (const GstSaeTensor *x, SaeConfig *config, GError **error)
{
  if (config->d_in == 0)
    config->d_in = config->d_out = x->dims[0];
  if (config->d_in == x->dims[0])
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "activations: expected rows of %u (input-size), got rows of %u",
      config->d_in, x->dims[0]);
  return FALSE;
}

static gboolean
gst_sae_encoder_check (GstSaeFilter *filter, const GstSaeTensors *in,
    SaeConfig *config, GError **error)
{
  SaeDtype dtype;

  if (in->n_tensors == 1 &&
      gst_sae_type_to_dtype (in->tensors[0].type, &dtype) &&
      sae_dtype_is_float (dtype))
    return check_format (GST_SAE_ENCODER (filter), config, error) &&
           check_width (&in->tensors[0], config, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "activations: expected 1 tensor of float32, float16 or float64, got "
      "%u, the first of %s",
      in->n_tensors, gst_sae_type_name (in->tensors[0].type));
  return FALSE;
}

static gboolean
offers_sparse (GstSaeCodesFormat wanted, const GstSaeTensor *rows, guint d_sae)
{
  gsize n_rows;

  if (wanted == GST_SAE_CODES_SPARSE)
    return TRUE;
  return wanted == GST_SAE_CODES_AUTO &&
         gst_sae_tensor_n_rows (rows, &n_rows) &&
         gst_sae_codes_can_be_sparse (n_rows, d_sae);
}

/* In order of their bytes, and those that need a header before each tensor
 * last. Pairs are also described where the model cannot have them but they
 * were asked for: the check says so. */
static guint
gst_sae_encoder_list_forms (GstSaeFilter *filter, const GstSaeTensors *in,
    const SaeConfig *config, GstSaeTensors forms[GST_SAE_MAX_FORMS])
{
  GstSaeCodesFormat wanted = get_codes_format (GST_SAE_ENCODER (filter));
  const GstSaeTensor *rows = &in->tensors[0];
  gboolean dense =
      wanted == GST_SAE_CODES_DENSE || wanted == GST_SAE_CODES_AUTO;
  gboolean pairs =
      wanted == GST_SAE_CODES_PAIRS ||
      (wanted == GST_SAE_CODES_AUTO && gst_sae_codes_can_be_pairs (config));
  guint n = 0;

  if (pairs)
    gst_sae_codes_describe_pairs (rows, config, &forms[n++]);
  if (offers_sparse (wanted, rows, config->d_sae))
    gst_sae_codes_describe_sparse (rows, config, &forms[n++]);
  if (dense)
    gst_sae_codes_describe_dense (rows, config, &forms[n++]);
  if (pairs || dense) {
    forms[n] = pairs ? forms[0] : forms[n - 1];
    forms[n++].format = GST_SAE_FORMAT_FLEXIBLE;
  }
  for (guint i = 0; i < n; i++) {
    forms[i].fps_n = in->fps_n;
    forms[i].fps_d = in->fps_d;
  }
  return n;
}

/* --- writing ------------------------------------------------------------- */

static void
write_pairs (const Latents *latents, gsize k, guint32 *indices, float *values)
{
  for (gsize r = 0; r < latents->n_rows; r++, indices += k, values += k) {
    gsize first = latents->offsets[r];
    gsize n = latents->offsets[r + 1] - first;
    memcpy (indices, latents->indices + first, n * sizeof *indices);
    memcpy (values, latents->values + first, n * sizeof *values);
    memset (indices + n, 0, (k - n) * sizeof *indices);
    memset (values + n, 0, (k - n) * sizeof *values);
  }
}

static void
write_dense (const Latents *latents, gsize d_sae, float *codes)
{
  memset (codes, 0, latents->n_rows * d_sae * sizeof *codes);
  for (gsize r = 0; r < latents->n_rows; r++, codes += d_sae)
    for (gsize p = latents->offsets[r]; p < latents->offsets[r + 1]; p++)
      codes[latents->indices[p]] = latents->values[p];
}

/* What the model took from each row goes with the codes. */
static gboolean
attach_norms (const GstSaeJob *job, GError **error)
{
  gsize n_rows;
  const float *norms = sae_workspace_get_row_norms (job->workspace, &n_rows);

  if (gst_sae_row_meta_set (job->outbuf, norms, n_rows))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "no memory for mean and scale of %" G_GSIZE_FORMAT " rows", n_rows);
  return FALSE;
}

/* The values, then their places; d_sae and rows were found to leave room. */
static void
write_sparse (const Latents *latents, guint d_sae, guint8 *data)
{
  gsize nnz = latents->offsets[latents->n_rows];
  float *values = (float *) data;
  guint32 *flat = (guint32 *) data + nnz;

  if (nnz > 0)
    memcpy (values, latents->values, nnz * sizeof *values);
  for (gsize r = 0; r < latents->n_rows; r++)
    for (gsize p = latents->offsets[r]; p < latents->offsets[r + 1]; p++)
      flat[p] = (guint32) r * d_sae + latents->indices[p];
}

/* What a gap has in it does not matter, be it NaN. */
static gboolean
encode (GstSaeEncoder *self, const GstSaeJob *job, GError **error)
{
  const float *x =
      gst_sae_filter_get_floats (GST_SAE_FILTER (self), job->in, 0, error);
  Latents *latents = &self->latents;
  gboolean gap = GST_BUFFER_FLAG_IS_SET (job->inbuf, GST_BUFFER_FLAG_GAP);
  guint64 before = sae_workspace_get_n_nonfinite (job->workspace);
  gboolean zero;

  if (!x)
    return FALSE;
  latents->n_rows = job->in->n_rows[0];
  GST_OBJECT_LOCK (self);
  zero = gap || self->on_nonfinite == ON_NONFINITE_ZERO;
  GST_OBJECT_UNLOCK (self);
  sae_workspace_set_zero_nonfinite (job->workspace, zero);
  if (!sae_model_encode_rows (job->model, job->workspace, x, latents->n_rows,
          &latents->offsets, &latents->indices, &latents->values, error))
    return FALSE;
  if (gap)
    return TRUE;
  GST_OBJECT_LOCK (self);
  self->nonfinite_rows +=
      sae_workspace_get_n_nonfinite (job->workspace) - before;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
gst_sae_encoder_measure (GstSaeFilter *filter, const GstSaeJob *job,
    guint32 *nnz, GError **error)
{
  GstSaeEncoder *self = GST_SAE_ENCODER (filter);
  guint d_sae = sae_model_get_d_sae (job->model);
  gsize n;

  if (!gst_sae_codes_can_be_sparse (job->in->n_rows[0], d_sae)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "sparse codes: expected at most %u rows and 2^32 elements in a buffer, "
        "got %" G_GSIZE_FORMAT " rows of %u (dict-size)",
        GST_SAE_SPARSE_MAX_ROWS, job->in->n_rows[0], d_sae);
    return FALSE;
  }
  if (!encode (self, job, error))
    return FALSE;
  n = self->latents.offsets[self->latents.n_rows];
  if (n > G_MAXUINT32) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "sparse codes: expected fewer than 2^32 values in a buffer, got "
        "%" G_GSIZE_FORMAT,
        n);
    return FALSE;
  }
  *nnz = (guint32) n;
  return TRUE;
}

static gboolean
gst_sae_encoder_process (GstSaeFilter *filter, const GstSaeJob *job,
    GError **error)
{
  GstSaeEncoder *self = GST_SAE_ENCODER (filter);
  gboolean sparse = job->form->format == GST_SAE_FORMAT_SPARSE;
  guint8 *first = gst_sae_job_get_output (job, 0);

  if (!sparse && !encode (self, job, error))
    return FALSE;
  if (!attach_norms (job, error))
    return FALSE;
  if (sparse)
    write_sparse (&self->latents, sae_model_get_d_sae (job->model), first);
  else if (gst_sae_codes_are_pairs (job->form))
    write_pairs (&self->latents, sae_model_get_k (job->model),
        (guint32 *) first, (float *) gst_sae_job_get_output (job, 1));
  else
    write_dense (&self->latents, sae_model_get_d_sae (job->model),
        (float *) first);
  return TRUE;
}

static gboolean
gst_sae_encoder_start (GstBaseTransform *trans)
{
  GST_OBJECT_LOCK (trans);
  GST_SAE_ENCODER (trans)->nonfinite_rows = 0;
  GST_OBJECT_UNLOCK (trans);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_encoder_parent_class)->start (trans);
}

static void
gst_sae_encoder_class_init (GstSaeEncoderClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstSaeFilterClass *filter_class = GST_SAE_FILTER_CLASS (klass);
  GParamFlags flags =
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);

  GST_DEBUG_CATEGORY_INIT (sae_encoder_debug, "saeencoder", 0,
      "sparse autoencoder, encoding");

  object_class->set_property = gst_sae_encoder_set_property;
  object_class->get_property = gst_sae_encoder_get_property;
  g_object_class_install_property (object_class, PROP_CODES_FORMAT,
      g_param_spec_enum ("codes-format", "Format of codes",
          "How latents are written (auto = the first that downstream takes of "
          "pairs for top-k, sparse, dense)",
          GST_TYPE_SAE_CODES_FORMAT, GST_SAE_CODES_AUTO,
          flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_ON_NONFINITE,
      g_param_spec_enum ("on-nonfinite", "On non-finite rows",
          "What becomes of rows with a NaN or an infinity", TYPE_ON_NONFINITE,
          ON_NONFINITE_ERROR, flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (object_class, PROP_NONFINITE_ROWS,
      g_param_spec_uint64 ("nonfinite-rows", "Non-finite rows",
          "Rows with a NaN or an infinity that got no latents, since the start",
          0, G_MAXUINT64, 0, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Sparse autoencoder encoder", "Filter/Tensor",
      "Turns rows of activations into sparse latents",
      "The gst-sae developers");

  GST_BASE_TRANSFORM_CLASS (klass)->start = gst_sae_encoder_start;
  filter_class->check = gst_sae_encoder_check;
  filter_class->list_forms = gst_sae_encoder_list_forms;
  filter_class->measure = gst_sae_encoder_measure;
  filter_class->process = gst_sae_encoder_process;

  gst_type_mark_as_plugin_api (GST_TYPE_SAE_CODES_FORMAT, 0);
  gst_type_mark_as_plugin_api (TYPE_ON_NONFINITE, 0);
}

static void
gst_sae_encoder_init (GstSaeEncoder *self)
{
}
