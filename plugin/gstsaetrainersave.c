/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include <string.h>

#include "layouts.h"

/* What dictionaries are written as. */
#define LAYOUT "saelens"

SaeModel *
gst_sae_trainer_add_metadata (GstSaeTrainer *self, SaeModel *model)
{
  g_auto (GStrv) pairs = NULL;

  GST_OBJECT_LOCK (self);
  pairs = g_strsplit (self->metadata ? self->metadata : "", ",", -1);
  GST_OBJECT_UNLOCK (self);
  for (guint i = 0; pairs[i]; i++) {
    gchar *equals = strchr (pairs[i], '=');
    SaeModel *with;
    if (!equals)
      continue;
    *equals = '\0';
    with = sae_model_with_metadata (model, g_strstrip (pairs[i]),
        g_strstrip (equals + 1));
    sae_model_unref (model);
    model = with;
  }
  return model;
}

SaeModel *
gst_sae_trainer_get_model (GstSaeTrainer *self, GError **error)
{
  SaeModel *model;

  g_mutex_lock (&self->run_lock);
  model = self->initial ? sae_model_ref (self->initial) : NULL;
  g_mutex_unlock (&self->run_lock);
  if (!model)
    model = sae_trainer_get_model (self->trainer, error);
  return model ? gst_sae_trainer_add_metadata (self, model) : NULL;
}

gboolean
gst_sae_trainer_save_to (GstSaeTrainer *self, const gchar *path, GError **error)
{
  g_autoptr (SaeModel) model = gst_sae_trainer_get_model (self, error);

  if (!model)
    return FALSE;
  if (!sae_trainer_save (self->trainer, model, path, error))
    return FALSE;
  GST_INFO_OBJECT (self, "wrote %s", path);
  return TRUE;
}

void
gst_sae_trainer_forget_saved (GstSaeTrainer *self)
{
  self->saved_steps = 0;
  self->failed_steps = G_MAXUINT64;
  self->checkpoint_rows = G_MAXUINT64;
}

/* Steps to be saved; 0 when there is nothing new. */
static guint64
begin_save (GstSaeTrainer *self)
{
  guint64 steps;

  g_mutex_lock (&self->run_lock);
  steps = sae_trainer_get_steps (self->trainer);
  if (steps == self->saved_steps)
    steps = 0;
  else
    self->saved_steps = steps;
  g_mutex_unlock (&self->run_lock);
  return steps;
}

/* Writes the dictionary if it is wanted and changed since it was last. */
static gboolean
save (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->location);
  guint64 steps = location ? begin_save (self) : 0;

  if (steps == 0 || gst_sae_trainer_save_to (self, location, error))
    return TRUE;
  g_mutex_lock (&self->run_lock);
  self->saved_steps = 0; /* to be tried again */
  g_mutex_unlock (&self->run_lock);
  return FALSE;
}

/* Trains what is left of the last batch and saves: the end of the run. A save
 * that failed at EOS is tried again when the element stops, but reported only
 * once. */
void
gst_sae_trainer_finish (GstSaeTrainer *self)
{
  g_autoptr (GError) error = NULL;
  guint64 steps;
  gboolean is_new;

  if (!self->started ||
      (sae_trainer_flush (self->trainer, &error) && save (self, &error)))
    return;
  g_mutex_lock (&self->run_lock);
  steps = sae_trainer_get_steps (self->trainer);
  is_new = steps != self->failed_steps;
  self->failed_steps = steps;
  g_mutex_unlock (&self->run_lock);
  if (is_new)
    gst_sae_element_post_error (GST_ELEMENT (self),
        "Cannot save the dictionary", g_steal_pointer (&error));
  else
    GST_WARNING_OBJECT (self, "again: %s", error->message);
}

/* What would only be found out when the run is over. */
gboolean
gst_sae_trainer_check_settings (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location = NULL, *metadata = NULL;
  g_auto (GStrv) pairs = NULL;

  GST_OBJECT_LOCK (self);
  location = g_strdup (self->location);
  metadata = g_strdup (self->metadata ? self->metadata : "");
  GST_OBJECT_UNLOCK (self);
  pairs = g_strsplit (metadata, ",", -1);
  for (guint i = 0; pairs[i]; i++)
    if (!strchr (pairs[i], '=') || *g_strstrip (pairs[i]) == '=') {
      g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
          "metadata: expected key=value,…, got '%s'", pairs[i]);
      return FALSE;
    }
  return !location || sae_layouts_probe_save (LAYOUT, location, error);
}

/* Better now than when the run is over. */
gboolean
gst_sae_trainer_check_can_be_saved (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->location);

  if (!location || self->told.input_size == self->told.output_size)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "location: its layout, %s, expects targets as wide as the activations, "
      "%u, got targets of %u",
      LAYOUT, self->told.input_size, self->told.output_size);
  return FALSE;
}

/* A run that comes to its end without a step leaves nothing behind; somebody
 * waits for a dictionary. */
void
gst_sae_trainer_warn_if_untrained (GstSaeTrainer *self)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->location);
  g_autoptr (SaeMetrics) total = sae_trainer_get_metrics (self->trainer);
  gboolean frozen;

  g_object_get (self->trainer, "frozen", &frozen, NULL);
  if (!location || frozen || total->steps > 0)
    return;
  GST_ELEMENT_WARNING (self, STREAM, FAILED,
      ("Nothing was trained, and nothing was written."),
      ("%s: expected rows to train on, got none; %" G_GUINT64_FORMAT
       " rows were skipped because of a NaN or an infinity or a gradient "
       "too large for float32",
          location, total->skipped_rows));
}
