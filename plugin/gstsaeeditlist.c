/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Objects are made, and others told of it, with no lock held: whoever listens
 * may ask for all of this again. */
#include "gstsaeeditlist.h"

#include "sae-error.h"

void
gst_sae_edit_list_init (GstSaeEditList *list, GstElement *element)
{
  list->element = element;
  list->edits = g_ptr_array_new ();
  list->animated = g_ptr_array_new_with_free_func (gst_object_unref);
  list->n_latents = 0;
}

void
gst_sae_edit_list_clear (GstSaeEditList *list)
{
  for (guint i = 0; i < list->edits->len; i++)
    gst_object_unparent (list->edits->pdata[i]);
  g_clear_pointer (&list->edits, g_ptr_array_unref);
  g_clear_pointer (&list->animated, g_ptr_array_unref);
}

/* Where the edit of @latent is, or would be. Needs the lock. */
static gboolean
find_place (const GstSaeEditList *list, guint latent, guint *place)
{
  guint first = 0, last = list->edits->len;

  while (first < last) {
    guint middle = first + (last - first) / 2;
    if (gst_sae_edit_get_latent (list->edits->pdata[middle]) < latent)
      first = middle + 1;
    else
      last = middle;
  }
  *place = first;
  return first < list->edits->len &&
         gst_sae_edit_get_latent (list->edits->pdata[first]) == latent;
}

static GstSaeEdit *
find_edit (GstSaeEditList *list, guint latent)
{
  GstSaeEdit *edit = NULL;
  guint place;

  GST_OBJECT_LOCK (list->element);
  if (find_place (list, latent, &place))
    edit = gst_object_ref (list->edits->pdata[place]);
  GST_OBJECT_UNLOCK (list->element);
  return edit;
}

/* @edit, or the one that another thread was faster with. (transfer full) */
static GstSaeEdit *
insert (GstSaeEditList *list, GstSaeEdit *edit)
{
  guint place;
  gboolean there;
  GstSaeEdit *kept;

  gst_object_set_parent (GST_OBJECT (edit), GST_OBJECT (list->element));
  GST_OBJECT_LOCK (list->element);
  there = find_place (list, gst_sae_edit_get_latent (edit), &place);
  if (!there)
    g_ptr_array_insert (list->edits, (gint) place, edit);
  kept = gst_object_ref (list->edits->pdata[place]);
  GST_OBJECT_UNLOCK (list->element);
  if (there)
    gst_object_unparent (GST_OBJECT (edit));
  else
    gst_child_proxy_child_added (GST_CHILD_PROXY (list->element),
        G_OBJECT (kept), GST_OBJECT_NAME (kept));
  return kept;
}

/* (transfer full) */
static GstSaeEdit *
ensure_edit (GstSaeEditList *list, guint latent)
{
  GstSaeEdit *edit = find_edit (list, latent);

  return edit ? edit : insert (list, gst_sae_edit_new (latent));
}

guint
gst_sae_edit_list_count (GstSaeEditList *list)
{
  guint n;

  GST_OBJECT_LOCK (list->element);
  n = list->edits->len;
  GST_OBJECT_UNLOCK (list->element);
  return n;
}

GObject *
gst_sae_edit_list_get (GstSaeEditList *list, guint place)
{
  GObject *edit = NULL;

  GST_OBJECT_LOCK (list->element);
  if (place < list->edits->len)
    edit = g_object_ref (list->edits->pdata[place]);
  GST_OBJECT_UNLOCK (list->element);
  return edit;
}

GObject *
gst_sae_edit_list_find (GstSaeEditList *list, const gchar *name)
{
  guint latent, n;

  if (!gst_sae_edit_parse_name (name, &latent))
    return NULL;
  GST_OBJECT_LOCK (list->element);
  n = list->n_latents;
  GST_OBJECT_UNLOCK (list->element);
  if (n > 0 && latent >= n)
    return NULL;
  return G_OBJECT (ensure_edit (list, latent));
}

/* Takes out the edits of latents that @edits has not. (transfer full) */
static GPtrArray *
take_others (GstSaeEditList *list, const SaeEdits *edits)
{
  GPtrArray *others = g_ptr_array_new ();

  for (guint i = list->edits->len; i-- > 0;) {
    GstSaeEdit *edit = list->edits->pdata[i];
    if (!sae_edits_get (edits, gst_sae_edit_get_latent (edit), NULL, NULL, NULL,
            NULL))
      g_ptr_array_add (others, g_ptr_array_remove_index (list->edits, i));
  }
  return others;
}

static void
remove_edits (GstSaeEditList *list, GPtrArray *edits)
{
  for (guint i = 0; i < edits->len; i++) {
    GstObject *edit = edits->pdata[i];
    gst_child_proxy_child_removed (GST_CHILD_PROXY (list->element),
        G_OBJECT (edit), GST_OBJECT_NAME (edit));
    gst_object_unparent (edit);
  }
}

/* Objects first, which change nothing yet; then all values under one lock. */
void
gst_sae_edit_list_load (GstSaeEditList *list, const SaeEdits *edits)
{
  guint n = sae_edits_get_n_latents (edits);
  g_autoptr (GPtrArray) kept =
      g_ptr_array_new_with_free_func (gst_object_unref);
  g_autoptr (GPtrArray) others = NULL;

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (kept, ensure_edit (list, sae_edits_get_latent (edits, i)));
  GST_OBJECT_LOCK (list->element);
  others = take_others (list, edits);
  for (guint i = 0; i < n; i++)
    gst_sae_edit_load (kept->pdata[i], edits);
  GST_OBJECT_UNLOCK (list->element);
  for (guint i = 0; i < n; i++)
    gst_sae_edit_notify (kept->pdata[i]);
  remove_edits (list, others);
}

void
gst_sae_edit_list_store (GstSaeEditList *list, SaeEdits *edits)
{
  sae_edits_clear (edits);
  GST_OBJECT_LOCK (list->element);
  for (guint i = 0; i < list->edits->len; i++)
    gst_sae_edit_store (list->edits->pdata[i], edits);
  GST_OBJECT_UNLOCK (list->element);
}

void
gst_sae_edit_list_sync (GstSaeEditList *list, GstClockTime stream_time)
{
  if (!GST_CLOCK_TIME_IS_VALID (stream_time))
    return;
  GST_OBJECT_LOCK (list->element);
  for (guint i = 0; i < list->edits->len; i++)
    if (gst_object_has_active_control_bindings (list->edits->pdata[i]))
      g_ptr_array_add (list->animated, gst_object_ref (list->edits->pdata[i]));
  GST_OBJECT_UNLOCK (list->element);
  for (guint i = 0; i < list->animated->len; i++)
    gst_object_sync_values (list->animated->pdata[i], stream_time);
  g_ptr_array_set_size (list->animated, 0);
}

static gboolean
check_last (const SaeEdits *edits, guint n_latents, GError **error)
{
  guint n = sae_edits_get_n_latents (edits);
  guint last = n > 0 ? sae_edits_get_latent (edits, n - 1) : 0;

  if (n == 0 || n_latents == 0 || last < n_latents)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "latents: expected indices below dict-size %u, got %u", n_latents, last);
  return FALSE;
}

gboolean
gst_sae_edit_list_set_n_latents (GstSaeEditList *list, guint n_latents,
    GError **error)
{
  g_autoptr (SaeEdits) edits = NULL;
  gboolean known;

  GST_OBJECT_LOCK (list->element);
  known = list->n_latents == n_latents;
  GST_OBJECT_UNLOCK (list->element);
  if (known)
    return TRUE;
  edits = sae_edits_new ();
  gst_sae_edit_list_store (list, edits);
  if (!check_last (edits, n_latents, error))
    return FALSE;
  GST_OBJECT_LOCK (list->element);
  list->n_latents = n_latents;
  GST_OBJECT_UNLOCK (list->element);
  return TRUE;
}

gboolean
gst_sae_edit_list_check (GstSaeEditList *list, const SaeEdits *edits,
    GError **error)
{
  guint n_latents;

  GST_OBJECT_LOCK (list->element);
  n_latents = list->n_latents;
  GST_OBJECT_UNLOCK (list->element);
  return check_last (edits, n_latents, error);
}
