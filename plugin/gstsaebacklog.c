/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaebacklog.h"

GstSaeBacklog *
gst_sae_backlog_new (void)
{
  return g_atomic_rc_box_new0 (GstSaeBacklog);
}

void
gst_sae_backlog_unref (GstSaeBacklog *backlog)
{
  g_atomic_rc_box_release (backlog);
}

static void
forget_message (gpointer data, GstMiniObject *message)
{
  GstSaeBacklog *backlog = data;

  g_atomic_int_add (backlog, -1);
  gst_sae_backlog_unref (backlog);
}

void
gst_sae_backlog_add (GstSaeBacklog *backlog, GstMessage *message)
{
  g_atomic_int_inc (backlog);
  gst_mini_object_weak_ref (GST_MINI_OBJECT (message), forget_message,
      g_atomic_rc_box_acquire (backlog));
}

static GstBus *
find_bus (GstElement *element)
{
  GstElement *top = gst_object_ref (element), *parent;
  GstBus *bus;

  while ((parent = (GstElement *) gst_object_get_parent (GST_OBJECT (top)))) {
    gst_object_unref (top);
    top = parent;
  }
  bus = gst_element_get_bus (top);
  gst_object_unref (top);
  return bus;
}

static gboolean
has_unread (GstElement *element)
{
  GstBus *bus = find_bus (element);
  gboolean unread = bus && gst_bus_have_pending (bus);

  gst_clear_object (&bus);
  return unread;
}

gboolean
gst_sae_backlog_is_full (GstSaeBacklog **backlog, GstElement *element)
{
  if (g_atomic_int_get (*backlog) < GST_SAE_BACKLOG_MAX)
    return FALSE;
  if (has_unread (element))
    return TRUE;
  gst_sae_backlog_unref (*backlog);
  *backlog = gst_sae_backlog_new ();
  return FALSE;
}
