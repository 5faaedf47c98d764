/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaelive.h"

void
gst_sae_live_init (GstSaeLive *live, GstElement *element)
{
  *live = (GstSaeLive){.element = element, .number = -1};
}

void
gst_sae_live_open (GstSaeLive *live, SaeModelStore *store, const gchar *name)
{
  GST_OBJECT_LOCK (live->element);
  live->store = store;
  live->name = g_strdup (name);
  live->number = -1;
  GST_OBJECT_UNLOCK (live->element);
}

void
gst_sae_live_close (GstSaeLive *live)
{
  SaeModelStore *store;
  gchar *name;

  GST_OBJECT_LOCK (live->element);
  store = g_steal_pointer (&live->store);
  name = g_steal_pointer (&live->name);
  GST_OBJECT_UNLOCK (live->element);
  g_clear_pointer (&live->version, sae_model_unref);
  g_clear_pointer (&store, sae_model_store_unref);
  g_free (name);
}

gboolean
gst_sae_live_is_open (GstSaeLive *live)
{
  gboolean is_open;

  GST_OBJECT_LOCK (live->element);
  is_open = live->store != NULL;
  GST_OBJECT_UNLOCK (live->element);
  return is_open;
}

gboolean
gst_sae_live_get_config (GstSaeLive *live, SaeConfig *config)
{
  g_autoptr (SaeModelStore) store = NULL;
  g_autoptr (SaeConfig) known = NULL;
  g_autofree gchar *name = NULL;

  *config = (SaeConfig){0};
  GST_OBJECT_LOCK (live->element);
  if (live->store) {
    store = sae_model_store_ref (live->store);
    name = g_strdup (live->name);
  }
  GST_OBJECT_UNLOCK (live->element);
  if (store)
    known = sae_model_store_get_config (store, name);
  if (known)
    *config = *known;
  return known != NULL;
}

gboolean
gst_sae_live_require_config (GstSaeLive *live, SaeConfig *config,
    GError **error)
{
  if (!gst_sae_live_get_config (live, config)) {
    /* Asked for only for what it says. */
    g_autoptr (SaeModel) model =
        sae_model_store_request (live->store, live->name, 0, NULL, error);
    if (!model)
      return FALSE;
    gst_sae_live_get_config (live, config);
  }
  if (config->d_sae != 0 && config->sparsity != SAE_SPARSITY_AUTO)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
      "model '%s': expected to know its sizes from whoever claims the name, "
      "but that one does not know them yet",
      live->name);
  return FALSE;
}

gboolean
gst_sae_live_read (GstSaeLive *live, guint d_in, gboolean *changed,
    GError **error)
{
  gint64 number;
  SaeModel *version =
      sae_model_store_request (live->store, live->name, d_in, &number, error);

  *changed = FALSE;
  if (!version)
    return FALSE;
  *changed = version != live->version;
  if (live->version)
    sae_model_unref (live->version);
  live->version = version;
  if (!*changed)
    return TRUE;
  GST_OBJECT_LOCK (live->element);
  live->number = number;
  GST_OBJECT_UNLOCK (live->element);
  return TRUE;
}

void
gst_sae_live_refuse (GstSaeLive *live)
{
  g_clear_pointer (&live->version, sae_model_unref);
  GST_OBJECT_LOCK (live->element);
  live->number = -1;
  GST_OBJECT_UNLOCK (live->element);
}

gint64
gst_sae_live_get_number (GstSaeLive *live)
{
  gint64 number;

  GST_OBJECT_LOCK (live->element);
  number = live->number;
  GST_OBJECT_UNLOCK (live->element);
  return number;
}
