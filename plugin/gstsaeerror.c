/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetensors.h"

typedef struct {
  GQuark domain;
  gint code;
} Place;

static Place
place_error (const GError *error)
{
  if (error->domain != SAE_ERROR)
    return (Place){GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED};
  switch ((SaeError) error->code) {
    case SAE_ERROR_NOT_FOUND:
      return (Place){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
    case SAE_ERROR_READ:
      return (Place){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ};
    case SAE_ERROR_WRITE:
      return (Place){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE};
    case SAE_ERROR_NO_SPACE:
      return (Place){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
    case SAE_ERROR_FORMAT:
      return (Place){GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT};
    case SAE_ERROR_UNSUPPORTED:
      return (Place){GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE};
    case SAE_ERROR_SIZE:
      return (Place){GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case SAE_ERROR_NON_FINITE:
      return (Place){GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED};
    case SAE_ERROR_STATE:
      break;
  }
  return (Place){GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED};
}

static void
post (GstElement *element, GstMessageType type, const gchar *context,
    GError *error)
{
  Place place = place_error (error);
  gchar *text = context != NULL
                    ? g_strdup_printf ("%s: %s", context, error->message)
                    : g_strdup (error->message);

  gst_element_message_full (element, type, place.domain, place.code, text, NULL,
      __FILE__, GST_FUNCTION, __LINE__);
  g_error_free (error);
}

void
gst_sae_element_post_error (GstElement *element, const gchar *context,
    GError *error)
{
  post (element, GST_MESSAGE_ERROR, context, error);
}

void
gst_sae_element_post_warning (GstElement *element, const gchar *context,
    GError *error)
{
  post (element, GST_MESSAGE_WARNING, context, error);
}

void
gst_sae_element_warn_once (GstElement *element, gboolean *warned,
    const gchar *context, GError *error)
{
  if (*warned) {
    GST_WARNING_OBJECT (element, "again: %s", error->message);
    g_error_free (error);
    return;
  }
  *warned = TRUE;
  gst_sae_element_post_warning (element, context, error);
}
