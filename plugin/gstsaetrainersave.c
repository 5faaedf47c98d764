/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include <errno.h>
#include <string.h>

#include <glib/gstdio.h>

#include "gstsaeclaim.h"
#include "layouts.h"

/* What dictionaries are written as where nothing is set. */
#define DEFAULT_LAYOUT GST_SAE_TRAINER_DEFAULT_LAYOUT
/* What may do where that does not. */
#define OTHER_LAYOUT "sparsify"
#define MAX_ASIDE 100

static gchar *
dup_layout (GstSaeTrainer *self)
{
  gchar *layout;

  GST_OBJECT_LOCK (self);
  layout =
      g_strdup (self->used.layout ? self->used.layout : self->places.layout);
  GST_OBJECT_UNLOCK (self);
  return layout ? layout : g_strdup (DEFAULT_LAYOUT);
}

/* Keys and values of "key=value,…"; what has no = in it is left out. (transfer
 * full) */
static GHashTable *
parse_metadata (const gchar *text)
{
  GHashTable *metadata =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_auto (GStrv) pairs = g_strsplit (text ? text : "", ",", -1);

  for (guint i = 0; pairs[i]; i++) {
    gchar *equals = strchr (pairs[i], '=');
    if (!equals)
      continue;
    *equals = '\0';
    g_hash_table_insert (metadata, g_strdup (g_strstrip (pairs[i])),
        g_strdup (g_strstrip (equals + 1)));
  }
  return metadata;
}

SaeModel *
gst_sae_trainer_add_metadata (GstSaeTrainer *self, SaeModel *model)
{
  g_autofree gchar *text = gst_sae_trainer_dup_string (self, &self->metadata);
  g_autoptr (GHashTable) metadata = parse_metadata (text);
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, metadata);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    SaeModel *with = sae_model_with_metadata (model, key, value);
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
  g_autofree gchar *layout = dup_layout (self);

  if (!model ||
      !sae_trainer_save_as (self->trainer, model, path, layout, error))
    return FALSE;
  GST_INFO_OBJECT (self, "wrote %s as %s", path, layout);
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
      gst_sae_trainer_dup_string (self, &self->used.location);
  guint64 steps = location ? begin_save (self) : 0;

  if (steps == 0 || gst_sae_trainer_save_to (self, location, error))
    return TRUE;
  g_mutex_lock (&self->run_lock);
  self->saved_steps = 0; /* to be tried again */
  g_mutex_unlock (&self->run_lock);
  return FALSE;
}

/* A path behind @location where nothing is; NULL when there is none. (transfer
 * full) */
static gchar *
find_aside (GstSaeTrainer *self, const gchar *location)
{
  g_autofree gchar *trimmed = g_strdup (location);
  gsize length = strlen (trimmed);

  while (length > 1 && trimmed[length - 1] == '/')
    trimmed[--length] = '\0';
  for (guint i = 1; i < MAX_ASIDE; i++) {
    g_autofree gchar *path = i == 1
                                 ? g_strdup_printf ("%s-saved", trimmed)
                                 : g_strdup_printf ("%s-saved-%u", trimmed, i);
    g_autofree gchar *holder =
        gst_sae_claim_find (GST_ELEMENT (self), path, GST_SAE_CLAIM_FOLDER);
    GStatBuf info;
    if (!holder && g_lstat (path, &info) != 0 && errno == ENOENT)
      return g_steal_pointer (&path);
  }
  return NULL;
}

/* Beside a place that cannot be written to any more, such as one that has come
 * to hold something else, the dictionary is not lost. What fails once, as a
 * disk does, may work when the element stops. */
static void
save_aside (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->used.location);
  g_autofree gchar *layout = dup_layout (self);
  g_autofree gchar *aside = NULL;

  if (!location || sae_layouts_probe_save (layout, location, NULL))
    return;
  aside = find_aside (self, location);
  if (aside && gst_sae_trainer_save_to (self, aside, NULL))
    g_prefix_error (error, "the dictionary is in %s instead: ", aside);
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

  if (!self->started || sae_trainer_get_rows_to_drop (self->trainer) > 0 ||
      (sae_trainer_flush (self->trainer, &error) && save (self, &error)))
    return;
  g_mutex_lock (&self->run_lock);
  steps = sae_trainer_get_steps (self->trainer);
  is_new = steps != self->failed_steps;
  self->failed_steps = steps;
  g_mutex_unlock (&self->run_lock);
  if (!is_new) {
    GST_WARNING_OBJECT (self, "again: %s", error->message);
    return;
  }
  save_aside (self, &error);
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot save the dictionary",
      g_steal_pointer (&error));
}

/* A setting, not something about a file. */
static gboolean
check_layout (const gchar *layout, GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (sae_layouts_find_writable (layout, &reason))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE, "%s", reason->message);
  return FALSE;
}

/* Keys and values as they will be written. */
static gboolean
check_metadata (const gchar *text, const gchar *layout, GError **error)
{
  g_auto (GStrv) pairs = g_strsplit (text ? text : "", ",", -1);
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  g_autoptr (GError) reason = NULL;

  for (guint i = 0; pairs[i]; i++)
    if (!strchr (pairs[i], '=') || *g_strstrip (pairs[i]) == '=') {
      g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
          "metadata: expected key=value,…, got '%s'", pairs[i]);
      return FALSE;
    }
  dictionary->d_in = dictionary->d_out = dictionary->d_sae = dictionary->k = 1;
  dictionary->sparsity = g_strdup ("top-k");
  g_hash_table_unref (dictionary->metadata);
  dictionary->metadata = parse_metadata (text);
  if (sae_layouts_check_save (dictionary, layout, &reason))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE, "metadata: %s",
      reason->message);
  return FALSE;
}

/* What would only be found out when the run is over. */
gboolean
gst_sae_trainer_check_settings (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->used.location);
  g_autofree gchar *metadata =
      gst_sae_trainer_dup_string (self, &self->metadata);
  g_autofree gchar *layout = dup_layout (self);

  if (!check_layout (layout, error) ||
      !check_metadata (metadata, layout, error))
    return FALSE;
  return !location || sae_layouts_probe_save (layout, location, error);
}

gboolean
gst_sae_trainer_may_set_metadata (GstSaeTrainer *self, const gchar *metadata)
{
  g_autofree gchar *layout =
      gst_sae_trainer_dup_string (self, &self->used.layout);
  GError *error = NULL;

  if (!layout || check_metadata (metadata, layout, &error))
    return TRUE;
  gst_sae_element_post_warning (GST_ELEMENT (self), "Cannot change metadata",
      error);
  return FALSE;
}

static gboolean
has_skip (SaeModel *model)
{
  g_autoptr (GBytes) W_skip = sae_model_get_W_skip (model);

  return W_skip != NULL;
}

static gboolean
has_pre_bias (SaeModel *model)
{
  g_autoptr (SaeConfig) config = sae_model_get_config (model);

  return config->pre_bias;
}

/* The rule of what will be saved: batch-top-k is jump-relu then. */
static const gchar *
published_rule (GstSaeTrainer *self)
{
  SaeSparsity sparsity;

  g_object_get (self->trainer, "sparsity", &sparsity, NULL);
  if (sparsity == SAE_SPARSITY_AUTO && self->initial)
    sparsity = sae_model_get_sparsity (self->initial);
  switch (sparsity) {
    case SAE_SPARSITY_L1:
      return "l1";
    case SAE_SPARSITY_JUMP_RELU:
    case SAE_SPARSITY_BATCH_TOP_K:
      return "jump-relu";
    default:
      return "top-k";
  }
}

/* As they will be saved: more of them than can be loaded again are refused. */
static void
copy_metadata (GstSaeTrainer *self, GHashTable *metadata)
{
  g_autoptr (SaeModel) model =
      gst_sae_trainer_add_metadata (self, sae_model_ref (self->initial));
  g_auto (GStrv) keys = sae_model_list_metadata (model);

  for (guint i = 0; keys[i]; i++)
    g_hash_table_insert (metadata, g_strdup (keys[i]),
        g_strdup (sae_model_get_metadata (model, keys[i])));
}

/* Better now than when the run is over. */
gboolean
gst_sae_trainer_check_can_be_saved (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->used.location);
  g_autofree gchar *layout = dup_layout (self);
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  GError *reason = NULL;
  gboolean pre_bias, skip;

  if (!location)
    return TRUE;
  g_object_get (self->trainer, "pre-bias", &pre_bias, "skip-connection", &skip,
      NULL);
  dictionary->d_in = self->told.input_size;
  dictionary->d_out = self->told.output_size;
  dictionary->d_sae = dictionary->k = 1; /* checked when the run starts */
  dictionary->sparsity = g_strdup (published_rule (self));
  dictionary->skip = skip || (self->initial && has_skip (self->initial));
  dictionary->pre_bias =
      self->initial ? has_pre_bias (self->initial) : pre_bias;
  if (self->initial)
    copy_metadata (self, dictionary->metadata);
  if (sae_layouts_check_save (dictionary, layout, &reason))
    return TRUE;
  g_set_error (error, reason->domain, reason->code, "location: %s%s",
      reason->message,
      sae_layouts_check_save (dictionary, OTHER_LAYOUT, NULL)
          ? "; layout=" OTHER_LAYOUT " can save it"
          : "");
  g_error_free (reason);
  return FALSE;
}

/* A run that comes to its end without a step leaves nothing behind; somebody
 * waits for a dictionary, unless an error has told them. */
void
gst_sae_trainer_warn_if_untrained (GstSaeTrainer *self)
{
  g_autofree gchar *location =
      gst_sae_trainer_dup_string (self, &self->used.location);
  g_autoptr (SaeMetrics) total = sae_trainer_get_metrics (self->trainer);
  gboolean frozen;

  g_object_get (self->trainer, "frozen", &frozen, NULL);
  if (!location || frozen || total->steps > 0 || self->failed || self->refused)
    return;
  GST_ELEMENT_WARNING (self, STREAM, FAILED,
      ("Nothing was trained, and nothing was written."),
      ("%s: expected rows to train on, got none; %" G_GUINT64_FORMAT
       " rows were skipped because of a NaN or an infinity or a gradient "
       "too large for float32",
          location, total->skipped_rows));
}
