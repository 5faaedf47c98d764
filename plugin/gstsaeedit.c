/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaeedit.h"

#include <math.h>
#include <string.h>

#define PREFIX "latent-"

enum {
  PROP_0,
  PROP_LATENT,
  PROP_SCALE,
  PROP_OFFSET,
  PROP_MIN,
  PROP_MAX,
  N_PROPS
};

struct _GstSaeEdit {
  GstObject parent;
  guint latent;           /* constant */
  double values[N_PROPS]; /* of the properties from scale on; object lock */
};

static GParamSpec *pspecs[N_PROPS];

G_DEFINE_FINAL_TYPE (GstSaeEdit, gst_sae_edit, GST_TYPE_OBJECT)

GstSaeEdit *
gst_sae_edit_new (guint latent)
{
  g_autofree gchar *name = g_strdup_printf (PREFIX "%u", latent);

  return g_object_new (GST_TYPE_SAE_EDIT, "name", name, "latent", latent, NULL);
}

gboolean
gst_sae_edit_parse_name (const gchar *name, guint *latent)
{
  guint64 value;

  if (!g_str_has_prefix (name, PREFIX) ||
      !g_ascii_string_to_unsigned (name + strlen (PREFIX), 10, 0, G_MAXUINT - 1,
          &value, NULL))
    return FALSE;
  *latent = (guint) value;
  return TRUE;
}

guint
gst_sae_edit_get_latent (GstSaeEdit *self)
{
  return self->latent;
}

void
gst_sae_edit_load (GstSaeEdit *self, const SaeEdits *edits)
{
  double *values = self->values;

  GST_OBJECT_LOCK (self);
  sae_edits_get (edits, self->latent, &values[PROP_SCALE], &values[PROP_OFFSET],
      &values[PROP_MIN], &values[PROP_MAX]);
  for (guint i = PROP_MIN; i <= PROP_MAX; i++) /* no bound is the largest one */
    values[i] = CLAMP (values[i], (double) -G_MAXFLOAT, (double) G_MAXFLOAT);
  GST_OBJECT_UNLOCK (self);
}

void
gst_sae_edit_notify (GstSaeEdit *self)
{
  for (guint i = PROP_SCALE; i < N_PROPS; i++)
    g_object_notify_by_pspec (G_OBJECT (self), pspecs[i]);
}

void
gst_sae_edit_store (GstSaeEdit *self, SaeEdits *edits)
{
  const double *values = self->values;

  GST_OBJECT_LOCK (self);
  sae_edits_set (edits, self->latent, values[PROP_SCALE], values[PROP_OFFSET]);
  sae_edits_set_range (edits, self->latent, values[PROP_MIN], values[PROP_MAX]);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_edit_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeEdit *self = GST_SAE_EDIT (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LATENT:
      self->latent = g_value_get_uint (value);
      break;
    case PROP_SCALE:
    case PROP_OFFSET:
    case PROP_MIN:
    case PROP_MAX:
      self->values[id] = g_value_get_double (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_sae_edit_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeEdit *self = GST_SAE_EDIT (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LATENT:
      g_value_set_uint (value, self->latent);
      break;
    case PROP_SCALE:
    case PROP_OFFSET:
    case PROP_MIN:
    case PROP_MAX:
      g_value_set_double (value, self->values[id]);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
add_number (guint id, const gchar *name, const gchar *nick, const gchar *blurb,
    double value)
{
  GParamFlags flags =
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_CONSTRUCT |
                     G_PARAM_STATIC_STRINGS | GST_PARAM_CONTROLLABLE |
                     GST_PARAM_MUTABLE_PLAYING);

  pspecs[id] = g_param_spec_double (name, nick, blurb, (double) -G_MAXFLOAT,
      (double) G_MAXFLOAT, value, flags);
}

static void
gst_sae_edit_class_init (GstSaeEditClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->set_property = gst_sae_edit_set_property;
  object_class->get_property = gst_sae_edit_get_property;
  pspecs[PROP_LATENT] = g_param_spec_uint ("latent", "Latent",
      "Which latent is edited", 0, G_MAXUINT, 0,
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY |
                     G_PARAM_STATIC_STRINGS));
  add_number (PROP_SCALE, "scale", "Scale",
      "What the latent is multiplied with (0 = switched off)", 1);
  add_number (PROP_OFFSET, "offset", "Offset",
      "What is added then, in the units of the latents", 0);
  add_number (PROP_MIN, "min", "Minimum",
      "What the latent is at least, after scale and offset",
      (double) -G_MAXFLOAT);
  add_number (PROP_MAX, "max", "Maximum",
      "What the latent is at most, after scale and offset; holds where it is "
      "below min",
      (double) G_MAXFLOAT);
  g_object_class_install_properties (object_class, N_PROPS, pspecs);
}

static void
gst_sae_edit_init (GstSaeEdit *self)
{
}
