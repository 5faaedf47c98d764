/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saedecoder
 * @title: saedecoder
 * @short_description: sparse latents to activations
 *
 * Reconstructs activations from the codes of saeencoder, or from any codes of
 * the same model: pairs, sparse or dense, static or flexible. Indices may come
 * in any order, and values of equal ones add up. Indices that the dictionary
 * does not have, and values that are not finite, fail the buffer. So do codes
 * of a model that normalises rows when they come without what was taken from
 * these (a meta, which files and other processes do not keep).
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

#include "gstsaechoice.h"
#include "gstsaecodes.h"
#include "gstsaecodesreader.h"
#include "gstsaelimit.h"
#include "gstsaerowmeta.h"

GST_DEBUG_CATEGORY_STATIC (sae_decoder_debug);
#define GST_CAT_DEFAULT sae_decoder_debug

struct _GstSaeDecoder {
  GstSaeFilter parent;
  GstSaeCodesReader codes; /* streaming thread */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_CODES_CAPS));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS ("other/tensors, format=(string)static, "
                         "num_tensors=(int)1, types=(string)float32; "
                         "other/tensors, format=(string)flexible"));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeDecoder, gst_sae_decoder,
    GST_TYPE_SAE_FILTER, G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saedecoder, "saedecoder", GST_RANK_NONE,
    GST_TYPE_SAE_DECODER)

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
  return gst_sae_codes_check (in, config->d_sae, error);
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
  forms[1] = forms[0];
  forms[1].format = GST_SAE_FORMAT_FLEXIBLE;
  return 2;
}

/* What the encoder took from each row, for models that need it to decode. */
static void
give_norms (const GstSaeJob *job)
{
  const GstSaeRowMeta *rows = gst_sae_row_meta_get (job->inbuf);

  sae_workspace_set_row_norms (job->workspace, rows ? rows->norms : NULL,
      rows ? rows->n_rows : 0);
}

static gboolean
gst_sae_decoder_process (GstSaeFilter *filter, const GstSaeJob *job,
    GError **error)
{
  GstSaeCodesReader *codes = &GST_SAE_DECODER (filter)->codes;

  give_norms (job);
  return gst_sae_codes_reader_read (codes, job->in,
             sae_model_get_d_sae (job->model), error) &&
         sae_model_decode_rows (job->model, job->workspace, codes->offsets,
             codes->indices, codes->values, codes->n_rows,
             (float *) gst_sae_job_get_output (job, 0), error);
}

static void
gst_sae_decoder_finalize (GObject *object)
{
  gst_sae_codes_reader_clear (&GST_SAE_DECODER (object)->codes);
  G_OBJECT_CLASS (gst_sae_decoder_parent_class)->finalize (object);
}

static void
gst_sae_decoder_class_init (GstSaeDecoderClass *klass)
{
  GObjectClass *parent_class = G_OBJECT_CLASS (gst_sae_decoder_parent_class);
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
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

  object_class->finalize = gst_sae_decoder_finalize;
  object_class->set_property = parent_class->set_property;
  object_class->get_property = parent_class->get_property;
  gst_sae_choice_install_max_bytes (object_class, GST_SAE_MAX_BYTES_CODES);
  filter_class->reads_sparse = TRUE;
  filter_class->check = gst_sae_decoder_check;
  filter_class->list_forms = gst_sae_decoder_list_forms;
  filter_class->process = gst_sae_decoder_process;
}

static void
gst_sae_decoder_init (GstSaeDecoder *self)
{
  g_object_set (self, "max-bytes", GST_SAE_MAX_BYTES_CODES, NULL);
  gst_sae_codes_reader_init (&self->codes);
}
