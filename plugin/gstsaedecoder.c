/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saedecoder
 * @title: saedecoder
 * @short_description: sparse latents to activations
 *
 * Reconstructs activations from the codes of saeencoder, or from any codes of
 * the same model: pairs (indices in any order; equal ones add up) or dense.
 * Indices that the dictionary does not have fail the buffer.
 *
 * With #GstSaeDecoder:model-name it runs a live model, as saeencoder does.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=heldout.npy ! saeencoder location=out/ !
 *     saedecoder location=out/ ! saenpyenc ! filesink location=xhat.npy
 * ]|
 * With the dictionary that is being trained before it:
 * |[
 * gst-launch-1.0 saesrc location=train.npy !
 *     saetrainer model-name=m dict-size=1024 ! saeencoder model-name=m !
 *     saedecoder model-name=m ! saenpyenc ! filesink location=xhat.npy
 * ]|
 */
#include "gstsaedecoder.h"

#include <string.h>

#include "gstsaecodes.h"

GST_DEBUG_CATEGORY_STATIC (sae_decoder_debug);
#define GST_CAT_DEFAULT sae_decoder_debug

struct _GstSaeDecoder {
  GstSaeFilter parent;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (
            GST_SAE_CODES_CAPS "; other/tensors, format=(string)flexible"));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS ("other/tensors, format=(string)static, "
                         "num_tensors=(int)1, types=(string)float32"));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeDecoder, gst_sae_decoder,
    GST_TYPE_SAE_FILTER, G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saedecoder, "saedecoder", GST_RANK_NONE,
    GST_TYPE_SAE_DECODER)

static gboolean
check_dense (const GstSaeTensor *codes, SaeConfig *config, GError **error)
{
  if (codes->dims[0] == config->d_sae)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "dense codes: expected rows of %u (dict-size), got rows of %u",
      config->d_sae, codes->dims[0]);
  return FALSE;
}

static gboolean
check_pairs (const GstSaeTensors *codes, GError **error)
{
  GstSaeTensor index = codes->tensors[0];
  g_autofree gchar *indices = NULL, *values = NULL;

  index.type = codes->tensors[1].type;
  if (gst_sae_tensor_equal (&index, &codes->tensors[1]))
    return TRUE;
  indices = gst_sae_tensor_dims_to_string (&codes->tensors[0]);
  values = gst_sae_tensor_dims_to_string (&codes->tensors[1]);
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "pairs: expected as many indices as values, got %s and %s", indices,
      values);
  return FALSE;
}

static gboolean
gst_sae_decoder_check (GstSaeFilter *filter, const GstSaeTensors *in,
    SaeConfig *config, GError **error)
{
  if (config->d_in == 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "input-size: expected the width of the activations, since no location "
        "is set; got 0");
    return FALSE;
  }
  if (gst_sae_codes_are_pairs (in))
    return check_pairs (in, error);
  if (in->n_tensors == 1 && in->tensors[0].type == GST_SAE_FLOAT32)
    return check_dense (&in->tensors[0], config, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "codes: expected uint32 and float32 (pairs) or float32 (dense), got %u "
      "tensors, the first of %s",
      in->n_tensors, gst_sae_type_name (in->tensors[0].type));
  return FALSE;
}

static guint
gst_sae_decoder_list_forms (GstSaeFilter *filter, const GstSaeTensors *in,
    const SaeConfig *config, GstSaeTensors forms[GST_SAE_MAX_FORMS])
{
  guint width = config->d_out ? config->d_out : config->d_in;

  forms[0] = (GstSaeTensors){.format = GST_SAE_FORMAT_STATIC};
  forms[0].n_tensors = 1;
  forms[0].fps_n = in->fps_n;
  forms[0].fps_d = in->fps_d;
  forms[0].tensors[0] = gst_sae_tensor_with_width (&in->tensors[0],
      GST_SAE_FLOAT32, MAX (width, 1));
  return 1;
}

/* Scratch: offsets of the rows, then the indices, which a buffer of one memory
 * may hold off a 4-byte boundary. */
static gboolean
decode_pairs (GstSaeFilter *filter, const GstSaeJob *job, const float *values,
    GError **error)
{
  const GstSaeReader *in = job->in;
  gsize n_rows = in->n_rows[0], slots = in->tensors[0].dims[0];
  gsize *offsets = gst_sae_filter_get_scratch (filter,
      (n_rows + 1) * sizeof *offsets + in->size[0], error);
  guint32 *indices;

  if (!offsets)
    return FALSE;
  indices = (guint32 *) (offsets + n_rows + 1);
  for (gsize r = 0; r <= n_rows; r++)
    offsets[r] = r * slots;
  memcpy (indices, in->data[0], in->size[0]);
  return sae_model_decode_rows (job->model, job->workspace, offsets, indices,
      values, n_rows, (float *) job->out[0].data, error);
}

static gboolean
gst_sae_decoder_process (GstSaeFilter *filter, const GstSaeJob *job,
    GError **error)
{
  gboolean pairs = job->in->n_tensors == 2;
  const float *values =
      gst_sae_filter_get_floats (filter, job->in, pairs ? 1 : 0, error);

  if (!values)
    return FALSE;
  if (pairs)
    return decode_pairs (filter, job, values, error);
  return sae_model_decode_dense (job->model, job->workspace, values,
      job->in->n_rows[0], (float *) job->out[0].data, error);
}

static void
gst_sae_decoder_class_init (GstSaeDecoderClass *klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstSaeFilterClass *filter_class = GST_SAE_FILTER_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_decoder_debug, "saedecoder", 0,
      "sparse autoencoder, decoding");

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Sparse autoencoder decoder", "Filter/Tensor",
      "Reconstructs rows of activations from sparse latents",
      "The gst-sae developers");

  filter_class->check = gst_sae_decoder_check;
  filter_class->list_forms = gst_sae_decoder_list_forms;
  filter_class->process = gst_sae_decoder_process;
}

static void
gst_sae_decoder_init (GstSaeDecoder *self)
{
}
