/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include "gstsaeexposition.h"

/* The start is told with no rows: whoever watches the file sees that it is of
 * this run. */
static gboolean
start_metrics (GstSaeTrainer *self, GError **error)
{
  static const SaeMetrics none;
  g_autofree gchar *name = gst_element_get_name (GST_ELEMENT (self));

  self->metrics_path =
      gst_sae_trainer_dup_string (self, &self->used.metrics_location);
  return !self->metrics_path ||
         (gst_sae_exposition_check_place (self->metrics_path, error) &&
             gst_sae_exposition_save (&(GstSaeExposition){name, &none, &none,
                                          0},
                 self->metrics_path, error));
}

gboolean
gst_sae_trainer_start_stats (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *log =
      gst_sae_trainer_dup_string (self, &self->used.log_location);

  self->log_failed = self->metrics_failed = FALSE;
  if ((!log || gst_sae_log_open (&self->log, log, error)) &&
      start_metrics (self, error))
    return TRUE;
  gst_sae_trainer_stop_stats (self);
  return FALSE;
}

void
gst_sae_trainer_stop_stats (GstSaeTrainer *self)
{
  gst_sae_log_close (&self->log);
  g_clear_pointer (&self->metrics_path, g_free);
}

/* Training is worth more than its log: said once, and tried again. */
static void
write_down (GstSaeTrainer *self, const GstStructure *s,
    const SaeMetrics *since_last, const SaeMetrics *total)
{
  static const gchar *const context = "Cannot write down the statistics";
  g_autofree gchar *name = gst_element_get_name (GST_ELEMENT (self));
  GstSaeExposition exposition = {name, since_last, total, self->dropped_rows};
  GError *error = NULL;

  if (self->log.path && !gst_sae_log_append (&self->log, name, s, &error))
    gst_sae_element_warn_once (GST_ELEMENT (self), &self->log_failed, context,
        g_steal_pointer (&error));
  if (self->metrics_path &&
      !gst_sae_exposition_save (&exposition, self->metrics_path, &error))
    gst_sae_element_warn_once (GST_ELEMENT (self), &self->metrics_failed,
        context, error);
}

/* Takes @s. The final one is for whoever looks at the bus in the end. */
static void
post (GstSaeTrainer *self, GstStructure *s, gboolean final)
{
  GstMessage *message;

  if (!final && gst_sae_backlog_is_full (&self->backlog, GST_ELEMENT (self))) {
    GST_LOG_OBJECT (self, "nobody reads the bus");
    gst_structure_free (s);
    return;
  }
  message = gst_message_new_element (GST_OBJECT (self), s);
  gst_sae_backlog_add (self->backlog, message);
  gst_element_post_message (GST_ELEMENT (self), message);
}

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
  write_down (self, s, since_last, total);
  /* Elements downstream cannot see the bus. */
  gst_pad_push_event (GST_BASE_TRANSFORM_SRC_PAD (self),
      gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
          gst_structure_copy (s)));
  post (self, s, final);
  self->last_stats = g_get_monotonic_time ();
  if (final)
    self->untold = FALSE;
}

void
gst_sae_trainer_post_final_stats_if_due (GstSaeTrainer *self)
{
  if (self->untold)
    gst_sae_trainer_post_stats (self, TRUE);
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
