/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Versions are made in the streaming thread, between two steps; the first also
 * in that of a reader that comes before it, and each that follows an action in
 * the thread of that. */
#include "gstsaetrainerparts.h"

#include "gstsaestore.h"

/* --- the name ------------------------------------------------------------- */

/* What will be published, as far as it is known: a dictionary to start from, or
 * a checkpoint, tells sizes and rule only when it is loaded. */
static void
promise (GstSaeTrainer *self, SaeConfig *config)
{
  g_autoptr (SaeConfig) known = sae_trainer_get_config (self->trainer);
  gboolean from_file;
  SaeSparsity sparsity;
  guint dict_size;

  GST_OBJECT_LOCK (self);
  from_file = self->init_location != NULL || self->resume != SAE_RESUME_NO;
  known->d_in = self->wanted.input_size;
  known->d_out = self->wanted.output_size;
  GST_OBJECT_UNLOCK (self);
  *config = *known;
  if (!from_file)
    return;
  g_object_get (self->trainer, "dict-size", &dict_size, "sparsity", &sparsity,
      NULL);
  config->d_sae = dict_size;
  if (sparsity == SAE_SPARSITY_AUTO)
    config->sparsity = SAE_SPARSITY_AUTO;
}

/* Needs the publish lock. */
static void
leave (GstSaeTrainer *self)
{
  if (self->claim)
    sae_model_claim_end (self->claim);
  g_clear_pointer (&self->claim, sae_model_claim_unref);
  g_clear_pointer (&self->claimed_name, g_free);
  self->claimed_in = NULL;
}

void
gst_sae_trainer_leave_name (GstSaeTrainer *self)
{
  g_mutex_lock (&self->publish_lock);
  leave (self);
  g_mutex_unlock (&self->publish_lock);
}

static gboolean start_for_reader (guint d_in, gpointer data, GError **error);

/* Needs the publish lock. */
static gboolean
claim (GstSaeTrainer *self, SaeModelStore *store, const gchar *name,
    const SaeConfig *config, GError **error)
{
  g_autofree gchar *holder = gst_object_get_name (GST_OBJECT (self));

  self->claim = sae_model_store_claim (store, name, holder, config, error);
  if (!self->claim)
    return FALSE;
  self->claimed_name = g_strdup (name);
  self->claimed_in = store;
  /* A reader that asks holds the element for as long. */
  sae_model_claim_set_start (self->claim, start_for_reader, g_object_ref (self),
      g_object_unref);
  return TRUE;
}

/* Needs the publish lock. */
static gboolean
renew (GstSaeTrainer *self, SaeModelStore *store, const gchar *name,
    GError **error)
{
  SaeConfig config;

  if (g_strcmp0 (name, self->claimed_name) != 0 || store != self->claimed_in)
    leave (self);
  if (!name)
    return TRUE;
  promise (self, &config);
  if (!self->claim)
    return claim (self, store, name, &config, error);
  sae_model_claim_set_config (self->claim, &config);
  return TRUE;
}

gboolean
gst_sae_trainer_claim_name (GstSaeTrainer *self)
{
  g_autofree gchar *name = gst_sae_trainer_dup_string (self, &self->model_name);
  g_autoptr (SaeModelStore) store = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok;

  if (name)
    store = gst_sae_store_find (GST_ELEMENT (self), &self->store);
  g_mutex_lock (&self->publish_lock);
  ok = renew (self, store, name, &error);
  g_mutex_unlock (&self->publish_lock);
  if (!ok)
    GST_ELEMENT_ERROR (self, RESOURCE, BUSY, ("model-name: %s", error->message),
        (NULL));
  return ok;
}

/* --- versions ------------------------------------------------------------- */

/* Needs the publish lock. */
static gboolean
publish_model (GstSaeTrainer *self, SaeModel *model, guint64 steps,
    GError **error)
{
  gint64 version = sae_model_claim_publish (self->claim, model, error);

  if (version < 0)
    return FALSE;
  self->published_steps = steps;
  GST_OBJECT_LOCK (self);
  self->model_version = version;
  GST_OBJECT_UNLOCK (self);
  GST_DEBUG_OBJECT (self,
      "%s: version %" G_GINT64_FORMAT " after %" G_GUINT64_FORMAT " steps",
      self->claimed_name, version, steps);
  return TRUE;
}

/* Needs the publish lock. What a run that has not started will start from, or
 * one that has is by now. */
static SaeModel *
make_first (GstSaeTrainer *self, guint d_in, GError **error)
{
  SaeModel *model = NULL;
  gboolean started;

  g_mutex_lock (&self->run_lock);
  started = self->started;
  if (started)
    self->published = self->told;
  else
    model = gst_sae_trainer_make_start (self, d_in, &self->published, error);
  g_mutex_unlock (&self->run_lock);
  if (started)
    return gst_sae_trainer_get_model (self, error);
  return model ? gst_sae_trainer_add_metadata (self, model) : NULL;
}

/* Needs the publish lock. */
static gboolean
publish_first (GstSaeTrainer *self, guint d_in, GError **error)
{
  g_autoptr (SaeModel) model = make_first (self, d_in, error);

  self->start_published =
      model &&
      publish_model (self, model, sae_trainer_get_steps (self->trainer), error);
  return self->start_published;
}

/* Needs the publish lock. Whether the stream is other than a reader's rows or
 * the caps before told. */
static gboolean
has_other_sizes (GstSaeTrainer *self)
{
  gboolean other;

  g_mutex_lock (&self->run_lock);
  other = self->told.input_size != self->published.input_size ||
          self->told.output_size != self->published.output_size;
  g_mutex_unlock (&self->run_lock);
  return other;
}

gboolean
gst_sae_trainer_publish_start (GstSaeTrainer *self, GError **error)
{
  gboolean ok;

  g_mutex_lock (&self->publish_lock);
  ok = !self->claim || (self->start_published && !has_other_sizes (self)) ||
       publish_first (self, 0, error);
  g_mutex_unlock (&self->publish_lock);
  return ok;
}

/* In the reader's thread. */
static gboolean
start_for_reader (guint d_in, gpointer data, GError **error)
{
  GstSaeTrainer *self = data;
  gboolean ok = FALSE;

  g_mutex_lock (&self->publish_lock);
  if (self->claim && self->may_publish)
    ok = self->start_published || publish_first (self, d_in, error);
  else
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "model-name: expected that %s, which claims the name, is PAUSED or "
        "PLAYING; it is not",
        GST_OBJECT_NAME (self));
  g_mutex_unlock (&self->publish_lock);
  return ok;
}

void
gst_sae_trainer_publish_anew (GstSaeTrainer *self)
{
  GError *error = NULL;

  g_mutex_lock (&self->publish_lock);
  if (self->start_published)
    publish_first (self, self->published.input_size, &error);
  g_mutex_unlock (&self->publish_lock);
  if (error)
    gst_sae_element_warn_once (GST_ELEMENT (self), &self->publish_failed,
        "Cannot publish", error);
}

/* Needs the publish lock. */
static gboolean
publish_latest (GstSaeTrainer *self, GError **error)
{
  guint64 steps = sae_trainer_get_steps (self->trainer);
  g_autoptr (SaeModel) model = NULL;

  if (!self->claim || !self->start_published || steps == self->published_steps)
    return TRUE;
  model = gst_sae_trainer_get_model (self, error);
  return model && publish_model (self, model, steps, error);
}

void
gst_sae_trainer_publish (GstSaeTrainer *self)
{
  GError *error = NULL;

  g_mutex_lock (&self->publish_lock);
  publish_latest (self, &error);
  g_mutex_unlock (&self->publish_lock);
  if (error)
    gst_sae_element_warn_once (GST_ELEMENT (self), &self->publish_failed,
        "Cannot publish", error);
}

guint64
gst_sae_trainer_get_publish_interval (GstSaeTrainer *self)
{
  guint64 interval;

  GST_OBJECT_LOCK (self);
  interval = self->model_name ? self->publish_interval : 0;
  GST_OBJECT_UNLOCK (self);
  return interval;
}

/* --- start and stop ------------------------------------------------------- */

/* A dictionary to start from has all sizes: readers need not wait for the
 * stream. */
void
gst_sae_trainer_start_publishing (GstSaeTrainer *self)
{
  g_autoptr (GError) error = NULL;
  gboolean known;

  g_mutex_lock (&self->publish_lock);
  self->may_publish = TRUE;
  self->start_published = self->publish_failed = FALSE;
  g_mutex_lock (&self->run_lock);
  known = self->initial || self->resume_from;
  g_mutex_unlock (&self->run_lock);
  if (self->claim && known && !publish_first (self, 0, &error))
    GST_INFO_OBJECT (self, "%s", error->message); /* told with the caps */
  g_mutex_unlock (&self->publish_lock);
}

void
gst_sae_trainer_stop_publishing (GstSaeTrainer *self)
{
  if (self->started)
    gst_sae_trainer_publish (self);
  g_mutex_lock (&self->publish_lock);
  self->may_publish = self->start_published = FALSE;
  g_mutex_unlock (&self->publish_lock);
}
