/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaestore.h"

static SaeModelStore *
get (GstElement *element, SaeModelStore **store)
{
  SaeModelStore *found = NULL;

  GST_OBJECT_LOCK (element);
  if (*store)
    found = sae_model_store_ref (*store);
  GST_OBJECT_UNLOCK (element);
  return found;
}

/* @value (transfer full) */
static void
set (GstElement *element, SaeModelStore **store, SaeModelStore *value)
{
  SaeModelStore *before;

  GST_OBJECT_LOCK (element);
  before = *store;
  *store = value;
  GST_OBJECT_UNLOCK (element);
  g_clear_pointer (&before, sae_model_store_unref);
}

static GstContext *
new_context (SaeModelStore *store)
{
  GstContext *context = gst_context_new (GST_SAE_STORE_CONTEXT, TRUE);

  gst_structure_set (gst_context_writable_structure (context), "store",
      SAE_TYPE_MODEL_STORE, store, NULL);
  return context;
}

/* A context without a store, or with one of NULL, is no news. */
void
gst_sae_store_set_context (GstElement *element, SaeModelStore **store,
    GstContext *context)
{
  SaeModelStore *value = NULL;

  if (!context ||
      !gst_context_has_context_type (context, GST_SAE_STORE_CONTEXT))
    return;
  gst_structure_get (gst_context_get_structure (context), "store",
      SAE_TYPE_MODEL_STORE, &value, NULL);
  if (value)
    set (element, store, value);
}

gboolean
gst_sae_store_answer (GstElement *element, SaeModelStore **store,
    GstQuery *query)
{
  g_autoptr (SaeModelStore) value = NULL;
  g_autoptr (GstContext) context = NULL;
  const gchar *type;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CONTEXT ||
      !gst_query_parse_context_type (query, &type) ||
      !g_str_equal (type, GST_SAE_STORE_CONTEXT) ||
      !(value = get (element, store)))
    return FALSE;
  context = new_context (value);
  gst_query_set_context (query, context);
  return TRUE;
}

/* --- looking for one ------------------------------------------------------ */

static gboolean
query_peer (GstElement *element, GstPad *pad, gpointer data)
{
  GstQuery *query = data;

  return !gst_pad_peer_query (pad, query); /* on to the next one */
}

/* Downstream first, then upstream. */
static void
ask_neighbours (GstElement *element, SaeModelStore **store)
{
  GstQuery *query = gst_query_new_context (GST_SAE_STORE_CONTEXT);
  GstContext *context = NULL;

  if (!gst_element_foreach_src_pad (element, query_peer, query) ||
      !gst_element_foreach_sink_pad (element, query_peer, query))
    gst_query_parse_context (query, &context);
  if (context) {
    GST_INFO_OBJECT (element, "a neighbour has a store");
    gst_element_set_context (element, context);
  }
  gst_query_unref (query);
}

/* Who hears it gives the element a context before this returns. */
static void
ask_application (GstElement *element)
{
  gst_element_post_message (element,
      gst_message_new_need_context (GST_OBJECT (element),
          GST_SAE_STORE_CONTEXT));
}

static SaeModelStore *
make (GstElement *element, SaeModelStore **store)
{
  SaeModelStore *value = sae_model_store_new ();
  GstContext *context = new_context (value);

  GST_INFO_OBJECT (element, "nobody has a store, this is a new one");
  set (element, store, sae_model_store_ref (value));
  gst_element_post_message (element,
      gst_message_new_have_context (GST_OBJECT (element), context));
  return value;
}

SaeModelStore *
gst_sae_store_find (GstElement *element, SaeModelStore **store)
{
  SaeModelStore *value = get (element, store);

  if (!value) {
    ask_neighbours (element, store);
    value = get (element, store);
  }
  if (!value) {
    ask_application (element);
    value = get (element, store);
  }
  return value ? value : make (element, store);
}
