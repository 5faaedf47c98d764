/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaefilter.h"

#include <string.h>

#include "gstsaechoice.h"
#include "gstsaecodes.h"
#include "gstsaefloats.h"
#include "gstsaelive.h"
#include "gstsaepool.h"
#include "gstsaerowmeta.h"
#include "gstsaestore.h"

GST_DEBUG_CATEGORY_STATIC (sae_filter_debug);
#define GST_CAT_DEFAULT sae_filter_debug

typedef struct {
  /* properties; object lock */
  GstSaeChoice choice;

  SaeModelStore *store; /* object lock; see gstsaestore.h */
  GstSaeLive live;      /* of model-name */
  GstSaeChoice started; /* what was chosen in start */

  /* set in start, used by the streaming thread */
  SaeModel *model;  /* NULL until the sizes of an untrained one are known */
  SaeConfig config; /* d_in 0 until known */
  SaeWorkspace *workspace;

  /* streaming thread */
  GstSaeTensors in;    /* of the sink caps */
  GstSaeTensors out;   /* of the source caps */
  GstCaps *refused;    /* sink caps that were last reported as an error */
  GstBufferPool *pool; /* for buffers of out; NULL when they changed */
  gsize room[GST_SAE_MAX_TENSORS]; /* of each memory of the pool's buffers */
  guint32 nnz;                     /* of the buffer at work, when sparse */
  GstAllocator *allocator;
  GstAllocationParams params;
  GstSaeReader reader;
  GstSaeFloats floats;
  gpointer scratch;
  gsize scratch_size;
} GstSaeFilterPrivate;

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (GstSaeFilter, gst_sae_filter,
    GST_TYPE_BASE_TRANSFORM)

static guint prop_model_version; /* set in class_init */

#define PRIVATE(self)                                                          \
  ((GstSaeFilterPrivate *) gst_sae_filter_get_instance_private (self))

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
static SaeConfig
current_config (GstSaeFilter *self)
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

static gboolean
is_known (const SaeConfig *config)
{
  return config->d_sae > 0 && config->sparsity != SAE_SPARSITY_AUTO;
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
static gboolean
learn_live_config (GstSaeFilter *self, GError **error)
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

static void
clear_pool (GstSaeFilterPrivate *priv)
{
  if (priv->pool)
    gst_buffer_pool_set_active (priv->pool, FALSE);
  gst_clear_object (&priv->pool);
}

static gboolean
gst_sae_filter_stop (GstBaseTransform *trans)
{
  GstSaeFilterPrivate *priv = PRIVATE (GST_SAE_FILTER (trans));

  clear_pool (priv);
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

/* The model of an element that was given none: untrained, from the seed. */
static gboolean
ensure_model (GstSaeFilter *self, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  guint64 seed;

  if (priv->model)
    return TRUE;
  if (gst_sae_live_is_open (&priv->live))
    return read_live_model (self, error);
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

/* --- negotiation -------------------------------------------------------- */

static GstCaps *
get_template_caps (GstSaeFilter *self, const gchar *pad)
{
  GstPadTemplate *template =
      gst_element_class_get_pad_template (GST_ELEMENT_GET_CLASS (self), pad);

  return gst_pad_template_get_caps (template);
}

/* One row, of whatever width: what caps stand for that tell no dimensions. */
static const GstSaeTensors one_row = {
    .n_tensors = 1,
    .tensors = {{.type = GST_SAE_FLOAT32,
        .rank = 1,
        .dims = {[0 ... GST_SAE_MAX_RANK - 1] = 1}}},
};

/* Appends the forms that any input can become, dimensions left open. */
static void
append_open_forms (GstSaeFilter *self, GstCaps *caps)
{
  GstSaeTensors forms[GST_SAE_MAX_FORMS];
  SaeConfig config = current_config (self);
  guint n = GST_SAE_FILTER_GET_CLASS (self)->list_forms (self, &one_row,
      &config, forms);

  for (guint i = 0; i < n; i++) {
    GstCaps *form = gst_sae_tensors_to_caps (&forms[i]);
    gst_structure_remove_fields (gst_caps_get_structure (form, 0), "dimensions",
        "framerate", NULL);
    gst_caps_append (caps, form);
  }
}

/* Forms of fixed static sink caps; 0 when they do not tell enough: those of
 * flexible tensors have no dimensions before a buffer. */
static guint
list_forms_of_caps (GstSaeFilter *self, const GstCaps *caps,
    GstSaeTensors forms[GST_SAE_MAX_FORMS])
{
  SaeConfig config = current_config (self);
  GstSaeFilterClass *klass = GST_SAE_FILTER_GET_CLASS (self);
  GstSaeTensors in;

  if (!gst_caps_is_fixed (caps) ||
      !gst_sae_tensors_from_caps (&in, caps, NULL) || in.n_tensors == 0 ||
      !klass->check (self, &in, &config, NULL))
    return 0;
  return klass->list_forms (self, &in, &config, forms);
}

/* "32:256" is also written "32:256:1" and "32:256:1:1". */
#define MAX_PADDED_RANK 4

/* Appends the caps of @form, once with each number of trailing ones. */
static void
append_variants (GstCaps *caps, const GstSaeTensors *form)
{
  guint rank = 2;

  if (form->format != GST_SAE_FORMAT_STATIC) { /* caps tell no dimensions */
    gst_caps_append (caps, gst_sae_tensors_to_caps (form));
    return;
  }
  for (guint i = 0; i < form->n_tensors; i++)
    rank = MAX (rank, form->tensors[i].rank);
  for (guint padded = rank; padded <= MAX (rank, MAX_PADDED_RANK); padded++) {
    GstCaps *variant = gst_sae_tensors_to_caps (form);
    GString *dims = g_string_new (NULL);
    for (guint i = 0; i < form->n_tensors; i++) {
      g_autofree gchar *plain =
          gst_sae_tensor_dims_to_string (&form->tensors[i]);
      g_string_append_printf (dims, "%s%s", i ? "," : "", plain);
      for (guint r = MAX (2, form->tensors[i].rank); r < padded; r++)
        g_string_append (dims, ":1");
    }
    gst_caps_set_simple (variant, "dimensions", G_TYPE_STRING, dims->str, NULL);
    g_string_free (dims, TRUE);
    gst_caps_append (caps, variant);
  }
}

/* What sink caps can become, as far as they tell. */
static GstCaps *
list_out_caps (GstSaeFilter *self, const GstCaps *caps)
{
  GstSaeTensors forms[GST_SAE_MAX_FORMS];
  SaeConfig config = current_config (self);
  GstCaps *result;
  guint n;

  if (!PRIVATE (self)->workspace || !is_known (&config))
    return get_template_caps (self, "src"); /* the model is not known yet */
  result = gst_caps_new_empty ();
  n = list_forms_of_caps (self, caps, forms);
  if (n == 0)
    append_open_forms (self, result);
  for (guint i = 0; i < n; i++)
    append_variants (result, &forms[i]);
  return result;
}

static GstCaps *
gst_sae_filter_transform_caps (GstBaseTransform *trans,
    GstPadDirection direction, GstCaps *caps, GstCaps *filter)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstCaps *result = direction == GST_PAD_SINK
                        ? list_out_caps (self, caps)
                        : get_template_caps (self, "sink");

  if (filter) {
    GstCaps *both =
        gst_caps_intersect_full (filter, result, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (result);
    result = both;
  }
  return result;
}

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

/* Gives a structure without dimensions those of one row. */
static void
complete_dimensions (GstSaeFilter *self, GstStructure *s)
{
  GstSaeTensors forms[GST_SAE_MAX_FORMS];
  SaeConfig config = current_config (self);
  guint n = GST_SAE_FILTER_GET_CLASS (self)->list_forms (self, &one_row,
      &config, forms);

  for (guint i = 0; i < n; i++) {
    g_autoptr (GstCaps) caps = gst_sae_tensors_to_caps (&forms[i]);
    const GstStructure *form = gst_caps_get_structure (caps, 0);
    if (g_strcmp0 (gst_structure_get_string (form, "types"),
            gst_structure_get_string (s, "types")) == 0) {
      gst_structure_set_value (s, "dimensions",
          gst_structure_get_value (form, "dimensions"));
      return;
    }
  }
}

/* Our own order counts: BaseTransform puts what downstream turns into itself
 * first, which for codes that are decoded again is the dense ones. */
static GstCaps *
choose_preferred (GstSaeFilter *self, const GstCaps *in_caps, GstCaps *caps)
{
  g_autoptr (GstCaps) ours = list_out_caps (self, in_caps);
  GstCaps *both =
      gst_caps_intersect_full (ours, caps, GST_CAPS_INTERSECT_FIRST);

  gst_caps_unref (caps);
  return gst_caps_make_writable (gst_caps_truncate (both));
}

/* Chooses a structure and completes it where dimensions or framerate lack. */
static GstCaps *
gst_sae_filter_fixate_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps, GstCaps *othercaps)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstSaeTensors in;
  GstStructure *s;

  if (direction != GST_PAD_SINK)
    return gst_caps_fixate (othercaps);
  othercaps = choose_preferred (self, caps, othercaps);
  if (gst_caps_is_empty (othercaps))
    return othercaps;
  s = gst_caps_get_structure (othercaps, 0);
  if (g_strcmp0 (gst_structure_get_string (s, "format"), "static") == 0 &&
      !gst_structure_has_field (s, "dimensions"))
    complete_dimensions (self, s);
  if (!gst_structure_has_field (s, "framerate") &&
      gst_sae_tensors_from_caps (&in, caps, NULL))
    gst_structure_set (s, "framerate", GST_TYPE_FRACTION, in.fps_n,
        MAX (in.fps_d, 1), NULL);
  return gst_caps_fixate (othercaps);
}

static gboolean
same_types (const GstSaeTensors *a, const GstSaeTensors *b)
{
  if (a->n_tensors != b->n_tensors || a->format != b->format)
    return FALSE;
  for (guint i = 0; i < a->n_tensors; i++)
    if (a->tensors[i].type != b->tensors[i].type)
      return FALSE;
  return TRUE;
}

static gboolean
same_tensors (const GstSaeTensors *a, const GstSaeTensors *b)
{
  if (!same_types (a, b))
    return FALSE;
  for (guint i = 0; i < a->n_tensors; i++)
    if (!gst_sae_tensor_equal (&a->tensors[i], &b->tensors[i]))
      return FALSE;
  return TRUE;
}

/* Whether @form is what was negotiated but for the number of rows: caps of
 * flexible and sparse tensors tell no more than that they are. */
static gboolean
is_negotiated (const GstSaeTensors *form, const GstSaeTensors *out)
{
  if (form->format != GST_SAE_FORMAT_STATIC)
    return form->format == out->format;
  return same_types (form, out);
}

/* The form of @in that was negotiated. */
static gboolean
choose_form (GstSaeFilter *self, const GstSaeTensors *in, GstSaeTensors *form,
    GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstSaeTensors forms[GST_SAE_MAX_FORMS];
  guint n = GST_SAE_FILTER_GET_CLASS (self)->list_forms (self, in,
      &priv->config, forms);

  for (guint i = 0; i < n; i++)
    if (is_negotiated (&forms[i], &priv->out)) {
      *form = forms[i];
      form->fps_n = priv->in.fps_n;
      form->fps_d = priv->in.fps_d;
      return TRUE;
    }
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "these tensors cannot become the %u %s tensors negotiated",
      priv->out.n_tensors, gst_sae_format_name (priv->out.format));
  return FALSE;
}

static gboolean
check_in_format (GstSaeFilter *self, const GstSaeTensors *in, GError **error)
{
  if (in->format != GST_SAE_FORMAT_SPARSE ||
      GST_SAE_FILTER_GET_CLASS (self)->reads_sparse)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "tensors: expected format static or flexible, got sparse");
  return FALSE;
}

/* Reads both caps and checks them against the model. */
static gboolean
check_caps (GstSaeFilter *self, GstCaps *in_caps, GstCaps *out_caps,
    GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstSaeFilterClass *klass = GST_SAE_FILTER_GET_CLASS (self);
  GstSaeTensors form;

  if (!gst_sae_tensors_from_caps (&priv->in, in_caps, error) ||
      !check_in_format (self, &priv->in, error) ||
      (priv->in.n_tensors > 0 &&
          !klass->check (self, &priv->in, &priv->config, error)) ||
      !gst_sae_tensors_from_caps (&priv->out, out_caps, error))
    return FALSE;
  return priv->in.n_tensors == 0 || choose_form (self, &priv->in, &form, error);
}

/* Neighbours downstream may want to know sizes that only a version has. It is
 * no mistake that there is none yet: the first buffer asks again. */
static gboolean
meet_live_model (GstSaeFilter *self, GError **error)
{
  g_autoptr (GError) not_yet = NULL;

  if (!gst_sae_live_is_open (&PRIVATE (self)->live) ||
      PRIVATE (self)->config.d_in == 0)
    return TRUE;
  if (!read_live_model (self, &not_yet))
    GST_INFO_OBJECT (self, "%s", not_yet->message);
  return TRUE;
}

/* Caps are sent again with every buffer until they are taken, but reported
 * once. */
static gboolean
gst_sae_filter_set_caps (GstBaseTransform *trans, GstCaps *in_caps,
    GstCaps *out_caps)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstSaeFilterPrivate *priv = PRIVATE (self);
  g_autoptr (GError) error = NULL;

  clear_pool (priv);
  if (learn_live_config (self, &error) &&
      check_caps (self, in_caps, out_caps, &error) &&
      meet_live_model (self, &error)) {
    gst_clear_caps (&priv->refused);
    return TRUE;
  }
  if (!priv->refused || !gst_caps_is_equal (priv->refused, in_caps))
    gst_sae_element_post_error (GST_ELEMENT (self),
        "Cannot work with these caps", g_steal_pointer (&error));
  gst_caps_replace (&priv->refused, in_caps);
  return FALSE;
}

static gboolean
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
  clear_pool (priv);
  return TRUE;
}

/* --- buffers ------------------------------------------------------------- */

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

  append_variants (variants, form);
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
  clear_pool (priv);
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
  clear_pool (priv);
  priv->pool = gst_sae_pool_new (priv->room, n, priv->allocator, &priv->params);
  if (!priv->pool)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no buffer pool for the output");
  return priv->pool != NULL;
}

/* A buffer of the pool, its memories cut to @sizes; the pool makes them whole
 * again. */
static GstFlowReturn
acquire_sized (GstSaeFilter *self, const gsize *sizes, GstBuffer **buffer)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstFlowReturn flow =
      gst_buffer_pool_acquire_buffer (priv->pool, buffer, NULL);

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
         (priv->model || (ensure_model (self, error) &&
                             klass->check (self, in, &priv->config, error)));
}

/* Caps that tell no dimensions stand whatever these are. */
static gboolean
take_form (GstSaeFilter *self, const GstSaeTensors *form, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);

  if (form->format == GST_SAE_FORMAT_STATIC)
    return same_tensors (form, &priv->out) || change_form (self, form, error);
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
measure_codes (GstSaeFilter *self, GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstSaeJob job = make_job (priv, NULL);

  priv->nnz = 0;
  return priv->out.format != GST_SAE_FORMAT_SPARSE ||
         GST_SAE_FILTER_GET_CLASS (self)->measure (self, &job, &priv->nnz,
             error);
}

/* An output buffer that fits the opened input; empty where that has no rows.
 * @failed is what cannot be done when it fails. */
static GstFlowReturn
acquire_output (GstSaeFilter *self, GstBuffer **outbuf, const gchar **failed,
    GError **error)
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
  if (!choose_form (self, &in, &form, error))
    return GST_FLOW_ERROR;
  if (!take_form (self, &form, error))
    return GST_FLOW_NOT_NEGOTIATED;
  *failed = "Cannot process the buffer";
  if (!measure_codes (self, error) ||
      !measure_output (&priv->out, priv->nnz, sizes, error) ||
      !ensure_pool (self, sizes, error))
    return GST_FLOW_ERROR;
  return acquire_sized (self, sizes, outbuf);
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
  if (!choose_form (self, &in, &form, error))
    return GST_FLOW_ERROR;
  if (!same_tensors (&form, &priv->out) && !change_form (self, &form, error))
    return GST_FLOW_NOT_NEGOTIATED;
  return GST_FLOW_OK;
}

GstFlowReturn
gst_sae_filter_open (GstSaeFilter *self, GstBuffer *buffer, GstSaeJob *job,
    GError **error)
{
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstFlowReturn flow = GST_FLOW_ERROR;

  if (gst_sae_reader_open (&priv->reader, buffer, &priv->in, error))
    flow = follow_input (self, error);
  if (flow != GST_FLOW_OK)
    gst_sae_reader_close (&priv->reader);
  *job = (GstSaeJob){
      .model = has_rows (&priv->reader) ? priv->model : NULL,
      .workspace = priv->workspace,
      .in = &priv->reader,
  };
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

static GstFlowReturn
gst_sae_filter_prepare_output_buffer (GstBaseTransform *trans, GstBuffer *inbuf,
    GstBuffer **outbuf)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstSaeFilterPrivate *priv = PRIVATE (self);
  GstFlowReturn flow = GST_FLOW_ERROR;
  const gchar *failed = "Cannot read the buffer";
  GError *error = NULL;

  if (gst_sae_reader_open_any (&priv->reader, inbuf, &priv->in, &error))
    flow = acquire_output (self, outbuf, &failed, &error);
  if (flow != GST_FLOW_OK)
    gst_sae_reader_close (&priv->reader);
  if (error)
    gst_sae_element_post_error (GST_ELEMENT (self), failed, error);
  if (flow != GST_FLOW_OK)
    return flow;
  if (!GST_BASE_TRANSFORM_CLASS (gst_sae_filter_parent_class)
           ->copy_metadata (trans, inbuf, *outbuf))
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

static GstFlowReturn
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

  gst_sae_live_init (&priv->live, GST_ELEMENT (self));
  gst_sae_reader_init (&priv->reader);
  gst_allocation_params_init (&priv->params);
}
