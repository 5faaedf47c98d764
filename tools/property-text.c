/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "property-text.h"

#include <string.h>

#include "closest.h"

static gboolean
can_be_set (GParamSpec *pspec)
{
  return pspec->flags & G_PARAM_WRITABLE &&
         !(pspec->flags & G_PARAM_CONSTRUCT_ONLY) &&
         !g_type_is_a (pspec->value_type, G_TYPE_OBJECT);
}

/* Names of what can be set, sorted. (transfer container) */
static GPtrArray *
list_properties (GObjectClass *element)
{
  GPtrArray *names = g_ptr_array_new ();
  g_autofree GParamSpec **pspecs = NULL;
  guint n;

  pspecs = g_object_class_list_properties (element, &n);
  for (guint i = 0; i < n; i++)
    if (can_be_set (pspecs[i]))
      g_ptr_array_add (names, (gpointer) pspecs[i]->name);
  g_ptr_array_add (names, NULL);
  return names;
}

static GParamSpec *
find_property (GObjectClass *element, const char *name, const char *word,
    GError **error)
{
  GParamSpec *pspec = g_object_class_find_property (element, name);
  g_autoptr (GPtrArray) names = NULL;
  const char *meant;

  if (pspec && can_be_set (pspec))
    return pspec;
  if (pspec) {
    g_set_error (error, SAE_TOOL_ERROR, 0, "%s: can be read, not set", word);
    return NULL;
  }
  names = list_properties (element);
  meant = sae_closest_word (name, (const char *const *) names->pdata);
  if (meant) {
    g_set_error (error, SAE_TOOL_ERROR, 0,
        "%s: no such property; is '%s' meant?", word, meant);
  } else {
    g_autofree char *all = g_strjoinv (", ", (char **) names->pdata);
    g_set_error (error, SAE_TOOL_ERROR, 0, "%s: no such property; there are %s",
        name, all);
  }
  return NULL;
}

static char *
list_nicks (GType type)
{
  g_autoptr (GEnumClass) enum_class = g_type_class_ref (type);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < enum_class->n_values; i++)
    g_string_append_printf (text, "%s%s", i ? ", " : "",
        enum_class->values[i].value_nick);
  return g_string_free (text, FALSE);
}

static char *
double_to_text (double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  return g_strdup (g_ascii_formatd (text, sizeof text, "%g", value));
}

/* "a number from 1 to 1024" */
static char *
describe (GParamSpec *pspec)
{
  if (G_IS_PARAM_SPEC_ENUM (pspec)) {
    g_autofree char *nicks = list_nicks (pspec->value_type);
    return g_strdup_printf ("one of %s", nicks);
  }
  if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    return g_strdup ("true or false");
  if (G_IS_PARAM_SPEC_UINT (pspec))
    return g_strdup_printf ("a whole number from %u to %u",
        G_PARAM_SPEC_UINT (pspec)->minimum, G_PARAM_SPEC_UINT (pspec)->maximum);
  if (G_IS_PARAM_SPEC_UINT64 (pspec))
    return g_strdup_printf ("a whole number from %" G_GUINT64_FORMAT
                            " to %" G_GUINT64_FORMAT,
        G_PARAM_SPEC_UINT64 (pspec)->minimum,
        G_PARAM_SPEC_UINT64 (pspec)->maximum);
  if (G_IS_PARAM_SPEC_INT64 (pspec))
    return g_strdup_printf ("a whole number from %" G_GINT64_FORMAT
                            " to %" G_GINT64_FORMAT,
        G_PARAM_SPEC_INT64 (pspec)->minimum,
        G_PARAM_SPEC_INT64 (pspec)->maximum);
  if (G_IS_PARAM_SPEC_DOUBLE (pspec)) {
    GParamSpecDouble *range = G_PARAM_SPEC_DOUBLE (pspec);
    g_autofree char *low = double_to_text (range->minimum);
    g_autofree char *high = double_to_text (range->maximum);
    return g_strdup_printf ("a number from %s to %s", low, high);
  }
  return g_strdup_printf ("what GStreamer reads as %s",
      g_type_name (pspec->value_type));
}

/* What GStreamer reads and nobody means: nothing as 0, a minus before an
 * unsigned number, which wraps around, and NaN, which is in every range. */
static gboolean
is_trap (GParamSpec *pspec, const char *text)
{
  if (!*text)
    return TRUE;
  if (G_IS_PARAM_SPEC_UINT (pspec) || G_IS_PARAM_SPEC_UINT64 (pspec))
    return strchr (text, '-') != NULL;
  return G_IS_PARAM_SPEC_DOUBLE (pspec) && strpbrk (text, "nN");
}

static gboolean
fits (GParamSpec *pspec, const char *text)
{
  g_auto (GValue) value = G_VALUE_INIT, given = G_VALUE_INIT;

  g_value_init (&value, pspec->value_type);
  if (is_trap (pspec, text) ||
      !gst_value_deserialize_with_pspec (&value, text, pspec))
    return FALSE;
  g_value_init (&given, pspec->value_type);
  g_value_copy (&value, &given);
  /* what it changed was out of range */
  return !g_param_value_validate (pspec, &value) ||
         g_param_values_cmp (pspec, &value, &given) == 0;
}

gboolean
sae_property_text_check (GObjectClass *element, const char *name,
    const char *text, const char *word, GError **error)
{
  GParamSpec *pspec = find_property (element, name, word, error);
  g_autofree char *wanted = NULL;

  if (!pspec)
    return FALSE;
  if (G_IS_PARAM_SPEC_STRING (pspec) || fits (pspec, text))
    return TRUE;
  wanted = describe (pspec);
  g_set_error (error, SAE_TOOL_ERROR, 0, "%s: expected %s, got '%s'", word,
      wanted, text);
  return FALSE;
}
