/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaefilterparts.h"

#include <string.h>

#include "gstsaecodes.h"
#include "gstsaelimit.h"
#include "gstsaerowmeta.h"
#include "gstsaestore.h"

GST_DEBUG_CATEGORY (sae_filter_debug);

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (GstSaeFilter, gst_sae_filter,
    GST_TYPE_BASE_TRANSFORM)

static guint prop_model_version; /* set in class_init */

GstSaeFilterPrivate *
gst_sae_filter_get_private (GstSaeFilter *self)
{
  return gst_sae_filter_get_instance_private (self);
}

#define PRIVATE(self) gst_sae_filter_get_private (self)

static void
gst_sae_filter_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (object));

  GST_OBJECT_LOCK (object);
  if (!gst_sae_choice_set (&priv->choice, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (object);
}

static void
gst_sae_filter_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (object));

  if (id == prop_model_version) {
    g_value_set_int64 (value, gst_sae_live_get_number (&priv->live));
    return;
  }
  GST_OBJECT_LOCK (object);
  if (!gst_sae_choice_get (&priv->choice, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (object);
}

/* @model (transfer full) */
static void
take_model (GstSaeFilterPrivate *priv, SaeModel *model)
{
  g_autoptr (SaeConfig) config = sae_model_get_config (model);

  g_clear_pointer (&priv->model, sae_model_unref);
  priv->model = model;
  priv->config = *config;
}

static gboolean
load_model (GstSaeFilterPrivate *priv, const GstSaeChoice *choice,
    GError **error)
{
  SaeModel *model = gst_sae_choice_load (choice, error);

  if (model)
    take_model (priv, model);
  return model != NULL;
}

/* --- a live model --------------------------------------------------------- */

static void
open_live (GstSaeFilter *self, const gchar *name)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  gst_sae_live_open (&priv->live,
      gst_sae_store_find (GST_ELEMENT (self), &priv->store), name);
}

/* What caps are made of, in any thread: a live model's sizes may be known by
 * now, and be others later. */
SaeConfig
gst_sae_filter_get_config (GstSaeFilter *self)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  SaeConfig config;

  if (!gst_sae_live_is_open (&priv->live))
    return priv->config;
  if (!gst_sae_live_get_config (&priv->live, &config) ||
      !gst_sae_choice_adapt_config (&priv->started, &config, NULL))
    config = (SaeConfig){0};
  return config;
}

/* The latest version from now on. One by another rule may need other caps. */
static gboolean
read_live_model (GstSaeFilter *self, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  SaeConfig before = priv->config;
  gboolean changed;
  SaeModel *model;

  if (!gst_sae_live_read (&priv->live, before.d_in, &changed, error))
    return FALSE;
  if (!changed)
    return TRUE;
  model = gst_sae_choice_adapt (&priv->started, priv->live.version, error);
  if (!model) {
    gst_sae_live_refuse (&priv->live);
    g_clear_pointer (&priv->model, sae_model_unref);
    return FALSE;
  }
  take_model (priv, model);
  if (before.sparsity != priv->config.sparsity ||
      before.ties != priv->config.ties)
    gst_base_transform_reconfigure_src (GST_BASE_TRANSFORM (self));
  return TRUE;
}

/* For new caps: what the live model is now, or will be. */
gboolean
gst_sae_filter_learn_live_config (GstSaeFilter *self, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  SaeConfig config;

  if (!gst_sae_live_is_open (&priv->live))
    return TRUE;
  if (priv->model) /* whose config it stays */
    return read_live_model (self, error);
  if (!gst_sae_live_require_config (&priv->live, &config, error) ||
      !gst_sae_choice_adapt_config (&priv->started, &config, error))
    return FALSE;
  priv->config = config;
  return TRUE;
}

/* Neighbours downstream may want to know sizes that only a version has. It is
 * no mistake that there is none yet: the first buffer asks again. */
gboolean
gst_sae_filter_meet_live_model (GstSaeFilter *self, GError **error)
{
  g_autoptr (GError) not_yet = NULL;

  if (!gst_sae_live_is_open (&PRIVATE (self)->live) ||
      PRIVATE (self)->config.d_in == 0)
    return TRUE;
  if (!read_live_model (self, &not_yet))
    GST_INFO_OBJECT (self, "%s", not_yet->message);
  return TRUE;
}

/* --- state ---------------------------------------------------------------- */

static gboolean
choose_model (GstSaeFilter *self, const GstSaeChoice *choice, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  if (choice->model_name && choice->location) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "location and model-name: expected one of them, got both, %s and %s",
        choice->location, choice->model_name);
    return FALSE;
  }
  if (choice->location)
    return load_model (priv, choice, error);
  if (!choice->model_name)
    return gst_sae_choice_untrained (choice, &priv->config, error);
  open_live (self, choice->model_name);
  return TRUE;
}

static gboolean
gst_sae_filter_start (GstBaseTransform *trans)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GError *error = NULL;

  GST_OBJECT_LOCK (self);
  gst_sae_choice_copy (&priv->choice, &priv->started);
  GST_OBJECT_UNLOCK (self);
  priv->workspace = sae_workspace_new (priv->started.n_threads);
  if (choose_model (self, &priv->started, &error))
    return TRUE;
  gst_sae_choice_clear (&priv->started);
  g_clear_pointer (&priv->workspace, sae_workspace_unref);
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot load the model",
      error);
  return FALSE;
}

/* The store is found while nobody streams yet, as GL's elements find theirs. */
static GstStateChangeReturn
gst_sae_filter_change_state (GstElement *element, GstStateChange transition)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (element));
  gboolean live;

  GST_OBJECT_LOCK (element);
  live = priv->choice.model_name != NULL;
  GST_OBJECT_UNLOCK (element);
  if (live && transition == GST_STATE_CHANGE_NULL_TO_READY)
    sae_model_store_unref (gst_sae_store_find (element, &priv->store));
  return GST_ELEMENT_CLASS (gst_sae_filter_parent_class)
      ->change_state (element, transition);
}

static void
gst_sae_filter_set_context (GstElement *element, GstContext *context)
{
  gst_sae_store_set_context (element,
      &PRIVATE (GST_SAE_FILTER (element))->store, context);
  GST_ELEMENT_CLASS (gst_sae_filter_parent_class)
      ->set_context (element, context);
}

static gboolean
gst_sae_filter_query (GstBaseTransform *trans, GstPadDirection direction,
    GstQuery *query)
{
  return gst_sae_store_answer (GST_ELEMENT (trans),
             &PRIVATE (GST_SAE_FILTER (trans))->store, query) ||
         GST_BASE_TRANSFORM_CLASS (gst_sae_filter_parent_class)
             ->query (trans, direction, query);
}

static gboolean
gst_sae_filter_stop (GstBaseTransform *trans)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (trans));

  gst_sae_filter_clear_pool (priv);
  gst_clear_caps (&priv->refused);
  gst_clear_object (&priv->allocator);
  g_clear_pointer (&priv->model, sae_model_unref);
  gst_sae_live_close (&priv->live);
  gst_sae_choice_clear (&priv->started);
  g_clear_pointer (&priv->workspace, sae_workspace_unref);
  gst_sae_reader_close (&priv->reader);
  memset (&priv->config, 0, sizeof priv->config);
  memset (&priv->in, 0, sizeof priv->in);
  memset (&priv->out, 0, sizeof priv->out);
  return TRUE;
}

/* A width that only the stream tells does not make a model of any size. */
static gboolean
check_untrained (const GstSaeFilterPrivate *priv, GError **error)
{
  const SaeConfig *config = &priv->config;

  return priv->started.wanted.d_in > 0 ||
         gst_sae_limit_check (priv->started.max_bytes, config->d_sae,
             ((guint64) config->d_in + config->d_out) * sizeof (float),
             "untrained model, input-size not set", error);
}

/* The model of an element that was given none: untrained, from the seed. */
gboolean
gst_sae_filter_ensure_model (GstSaeFilter *self, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  guint64 seed;

  if (priv->model)
    return TRUE;
  if (gst_sae_live_is_open (&priv->live))
    return read_live_model (self, error);
  if (!check_untrained (priv, error))
    return FALSE;
  GST_OBJECT_LOCK (self);
  seed = priv->choice.seed;
  GST_OBJECT_UNLOCK (self);
  priv->model = sae_model_new (&priv->config, seed, SAE_INIT_TIED, error);
  if (priv->model)
    GST_ELEMENT_WARNING (self, LIBRARY, SETTINGS,
        ("No model was given: its latents mean nothing."),
        ("location is not set; using an untrained model of %u x %u from "
         "seed %" G_GUINT64_FORMAT,
            priv->config.d_in, priv->config.d_sae, seed));
  return priv->model != NULL;
}

/* --- streaming ------------------------------------------------------------ */

/* Tensors of any kind come in as far as set_caps, which says what is wrong
 * with them; refused here, they would end in a bare "not negotiated". */
static gboolean
gst_sae_filter_accept_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps)
{
  if (direction == GST_PAD_SINK)
    return gst_sae_caps_are_tensors (caps);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_filter_parent_class)
      ->accept_caps (trans, direction, caps);
}

/* One version for the whole buffer. Before it is looked at, so that other caps
 * can be agreed on. */
static GstFlowReturn
gst_sae_filter_submit_input_buffer (GstBaseTransform *trans,
    gboolean is_discont, GstBuffer *buffer)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GError *error = NULL;

  if (!PRIVATE (self)->live.version || read_live_model (self, &error))
    return GST_BASE_TRANSFORM_CLASS (gst_sae_filter_parent_class)
        ->submit_input_buffer (trans, is_discont, buffer);
  gst_buffer_unref (buffer);
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot run the model",
      error);
  return GST_FLOW_ERROR;
}

/* Metas say something about the rows, which are the same on both sides; but
 * what a model took from them is of the codes. */
static gboolean
gst_sae_filter_transform_meta (GstBaseTransform *trans, GstBuffer *outbuf,
    GstMeta *meta, GstBuffer *inbuf)
{
  return meta->info->api != GST_SAE_ROW_META_API_TYPE;
}

/* --- type ----------------------------------------------------------------- */

static void
gst_sae_filter_finalize (GObject *object)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (object));

  gst_sae_reader_clear (&priv->reader);
  gst_sae_floats_clear (&priv->floats);
  g_free (priv->scratch);
  gst_sae_choice_clear (&priv->choice);
  g_clear_pointer (&priv->store, sae_model_store_unref);
  G_OBJECT_CLASS (gst_sae_filter_parent_class)->finalize (object);
}

static void
gst_sae_filter_class_init (GstSaeFilterClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_filter_debug, "saefilter", 0,
      "base of saeencoder, saedecoder and saesteer");

  object_class->set_property = gst_sae_filter_set_property;
  object_class->get_property = gst_sae_filter_get_property;
  object_class->finalize = gst_sae_filter_finalize;
  prop_model_version = gst_sae_choice_install (object_class);
  g_object_class_install_property (object_class, prop_model_version,
      g_param_spec_int64 ("model-version", "Model version",
          "Version of the live model that the latest buffer got, from 0 on "
          "(-1 = none yet)",
          -1, G_MAXINT64, -1, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  element_class->change_state = gst_sae_filter_change_state;
  element_class->set_context = gst_sae_filter_set_context;

  trans_class->query = gst_sae_filter_query;
  trans_class->start = gst_sae_filter_start;
  trans_class->stop = gst_sae_filter_stop;
  trans_class->transform_caps = gst_sae_filter_transform_caps;
  trans_class->accept_caps = gst_sae_filter_accept_caps;
  trans_class->fixate_caps = gst_sae_filter_fixate_caps;
  trans_class->set_caps = gst_sae_filter_set_caps;
  trans_class->decide_allocation = gst_sae_filter_decide_allocation;
  trans_class->prepare_output_buffer = gst_sae_filter_prepare_output_buffer;
  trans_class->submit_input_buffer = gst_sae_filter_submit_input_buffer;
  trans_class->transform = gst_sae_filter_transform;
  trans_class->transform_meta = gst_sae_filter_transform_meta;
  trans_class->passthrough_on_same_caps = FALSE;

  gst_type_mark_as_plugin_api (GST_TYPE_SAE_FILTER, 0);
}

static void
gst_sae_filter_init (GstSaeFilter *self)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  gst_base_transform_set_gap_aware (GST_BASE_TRANSFORM (self), TRUE);
  priv->choice.max_bytes = GST_SAE_MAX_BYTES_ROWS;
  gst_sae_live_init (&priv->live, GST_ELEMENT (self));
  gst_sae_reader_init (&priv->reader);
  gst_allocation_params_init (&priv->params);
}
