/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaefilterparts.h"

#include "gstsaecodes.h"

#define PRIVATE(self) gst_sae_filter_get_private (self)

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
  SaeConfig config = gst_sae_filter_get_config (self);
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
  SaeConfig config = gst_sae_filter_get_config (self);
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
void
gst_sae_filter_append_variants (GstCaps *caps, const GstSaeTensors *form)
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

static gboolean
is_known (const SaeConfig *config)
{
  return config->d_sae > 0 && config->sparsity != SAE_SPARSITY_AUTO;
}

/* What sink caps can become, as far as they tell. */
static GstCaps *
list_out_caps (GstSaeFilter *self, const GstCaps *caps)
{
  GstSaeTensors forms[GST_SAE_MAX_FORMS];
  SaeConfig config = gst_sae_filter_get_config (self);
  GstCaps *result;
  guint n;

  if (!PRIVATE (self)->workspace || !is_known (&config))
    return get_template_caps (self, "src"); /* the model is not known yet */
  result = gst_caps_new_empty ();
  n = list_forms_of_caps (self, caps, forms);
  if (n == 0)
    append_open_forms (self, result);
  for (guint i = 0; i < n; i++)
    gst_sae_filter_append_variants (result, &forms[i]);
  return result;
}

GstCaps *
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

/* Gives a structure without dimensions those of one row. */
static void
complete_dimensions (GstSaeFilter *self, GstStructure *s)
{
  GstSaeTensors forms[GST_SAE_MAX_FORMS];
  SaeConfig config = gst_sae_filter_get_config (self);
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
GstCaps *
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

gboolean
gst_sae_filter_same_tensors (const GstSaeTensors *a, const GstSaeTensors *b)
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
gboolean
gst_sae_filter_choose_form (GstSaeFilter *self, const GstSaeTensors *in,
    GstSaeTensors *form, GError **error)
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
  return priv->in.n_tensors == 0 ||
         gst_sae_filter_choose_form (self, &priv->in, &form, error);
}

/* Caps are sent again with every buffer until they are taken, but reported
 * once. */
gboolean
gst_sae_filter_set_caps (GstBaseTransform *trans, GstCaps *in_caps,
    GstCaps *out_caps)
{
  GstSaeFilter *self = GST_SAE_FILTER (trans);
  GstSaeFilterPrivate *priv = PRIVATE (self);
  g_autoptr (GError) error = NULL;

  gst_sae_filter_clear_pool (priv);
  if (gst_sae_filter_learn_live_config (self, &error) &&
      check_caps (self, in_caps, out_caps, &error) &&
      gst_sae_filter_meet_live_model (self, &error)) {
    gst_clear_caps (&priv->refused);
    return TRUE;
  }
  if (!priv->refused || !gst_caps_is_equal (priv->refused, in_caps))
    gst_sae_element_post_error (GST_ELEMENT (self),
        "Cannot work with these caps", g_steal_pointer (&error));
  gst_caps_replace (&priv->refused, in_caps);
  return FALSE;
}
