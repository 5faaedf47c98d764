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

gboolean
gst_sae_backlog_is_full (GstSaeBacklog *backlog)
{
  return g_atomic_int_get (backlog) >= GST_SAE_BACKLOG_MAX;
}
