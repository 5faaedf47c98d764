/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaemirror.h"

#include "sae-trainer.h"

/* The same property with GStreamer's flags: one more option in the library is
 * one more property of the element. */
static GParamSpec *
copy_pspec (GParamSpec *p)
{
  GParamFlags flags = p->flags & (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);
  const gchar *name = p->name, *blurb = g_param_spec_get_blurb (p);

  if (p->flags & G_PARAM_WRITABLE)
    flags |= p->flags & SAE_PARAM_LIVE ? GST_PARAM_MUTABLE_PLAYING
                                       : GST_PARAM_MUTABLE_READY;
  if (G_IS_PARAM_SPEC_UINT (p))
    return g_param_spec_uint (name, NULL, blurb, G_PARAM_SPEC_UINT (p)->minimum,
        G_PARAM_SPEC_UINT (p)->maximum, G_PARAM_SPEC_UINT (p)->default_value,
        flags);
  if (G_IS_PARAM_SPEC_UINT64 (p))
    return g_param_spec_uint64 (name, NULL, blurb,
        G_PARAM_SPEC_UINT64 (p)->minimum, G_PARAM_SPEC_UINT64 (p)->maximum,
        G_PARAM_SPEC_UINT64 (p)->default_value, flags);
  if (G_IS_PARAM_SPEC_INT64 (p))
    return g_param_spec_int64 (name, NULL, blurb,
        G_PARAM_SPEC_INT64 (p)->minimum, G_PARAM_SPEC_INT64 (p)->maximum,
        G_PARAM_SPEC_INT64 (p)->default_value, flags);
  if (G_IS_PARAM_SPEC_DOUBLE (p))
    return g_param_spec_double (name, NULL, blurb,
        G_PARAM_SPEC_DOUBLE (p)->minimum, G_PARAM_SPEC_DOUBLE (p)->maximum,
        G_PARAM_SPEC_DOUBLE (p)->default_value,
        flags | (p->flags & SAE_PARAM_LIVE ? GST_PARAM_CONTROLLABLE : 0));
  if (G_IS_PARAM_SPEC_BOOLEAN (p))
    return g_param_spec_boolean (name, NULL, blurb,
        G_PARAM_SPEC_BOOLEAN (p)->default_value, flags);
  if (G_IS_PARAM_SPEC_STRING (p))
    return g_param_spec_string (name, NULL, blurb,
        G_PARAM_SPEC_STRING (p)->default_value, flags);
  g_assert (G_IS_PARAM_SPEC_ENUM (p));
  gst_type_mark_as_plugin_api (p->value_type, 0);
  return g_param_spec_enum (name, NULL, blurb, p->value_type,
      G_PARAM_SPEC_ENUM (p)->default_value, flags);
}

void
gst_sae_mirror_properties (GObjectClass *klass, guint first_id, GType type)
{
  g_autoptr (GTypeClass) mirrored = g_type_class_ref (type);
  guint n;
  g_autofree GParamSpec **pspecs =
      g_object_class_list_properties (G_OBJECT_CLASS (mirrored), &n);

  for (guint i = 0; i < n; i++)
    g_object_class_install_property (klass, first_id + i,
        copy_pspec (pspecs[i]));
}
