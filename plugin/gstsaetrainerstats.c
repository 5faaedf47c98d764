/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include "gstsaestats.h"

void
gst_sae_trainer_post_stats (GstSaeTrainer *self, gboolean final)
{
  g_autoptr (SaeMetrics) since_last = sae_trainer_take_metrics (self->trainer);
  g_autoptr (SaeMetrics) total = sae_trainer_get_metrics (self->trainer);
  GstStructure *s = gst_sae_stats_new ("sae-stats", since_last);
  GstStructure *all = gst_sae_stats_new ("sae-metrics", total);

  gst_structure_set (s, "total-rows", G_TYPE_UINT64, total->rows, "final",
      G_TYPE_BOOLEAN, final, "dropped-rows", G_TYPE_UINT64, self->dropped_rows,
      "total", GST_TYPE_STRUCTURE, all, NULL);
  gst_structure_free (all);
  gst_sae_span_write (&self->span, &GST_BASE_TRANSFORM (self)->segment, s);
  gst_sae_span_reset (&self->span);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), s));
  self->last_stats = g_get_monotonic_time ();
}

void
gst_sae_trainer_post_stats_when_due (GstSaeTrainer *self)
{
  guint64 interval;

  GST_OBJECT_LOCK (self);
  interval = self->stats_interval;
  GST_OBJECT_UNLOCK (self);
  if (interval == 0)
    return;
  if (!self->last_stats)
    self->last_stats = g_get_monotonic_time ();
  if ((guint64) (g_get_monotonic_time () - self->last_stats) * 1000 >= interval)
    gst_sae_trainer_post_stats (self, FALSE);
}
