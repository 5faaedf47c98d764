/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include "gstsaeclaim.h"
#include "gstsaelimit.h"
#include "gstsaemirror.h"
#include "gstsaestats.h"
#include "sae-enum-types.h"

#define DEFAULT_STATS_INTERVAL GST_SECOND
#define DEFAULT_PUBLISH_INTERVAL 8192

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_METADATA,
  PROP_STATS_INTERVAL,
  PROP_STATS,
  PROP_INIT_LOCATION,
  PROP_LOG_LOCATION,
  PROP_METRICS_LOCATION,
  PROP_CHECKPOINT_LOCATION,
  PROP_CHECKPOINT_INTERVAL,
  PROP_RESUME,
  PROP_MODEL_NAME,
  PROP_PUBLISH_INTERVAL,
  PROP_MODEL_VERSION,
  PROP_LAYOUT,
  PROP_MAX_BYTES,
  N_OWN_PROPS
};

/* These stay with the element until the run starts, so that what the stream
 * told is not what the user set, and nobody changes it under a run. TRUE when
 * @name is one of them. Needs the object lock. */
static gboolean
set_wanted (GstSaeTrainer *self, const gchar *name, const GValue *value)
{
  if (g_str_equal (name, "input-size"))
    self->wanted.input_size = g_value_get_uint (value);
  else if (g_str_equal (name, "output-size"))
    self->wanted.output_size = g_value_get_uint (value);
  else if (g_str_equal (name, "total-rows"))
    self->wanted.total_rows = g_value_get_uint64 (value);
  else
    return FALSE;
  return TRUE;
}

static gboolean
get_wanted (GstSaeTrainer *self, const gchar *name, GValue *value)
{
  if (g_str_equal (name, "input-size"))
    g_value_set_uint (value, self->wanted.input_size);
  else if (g_str_equal (name, "output-size"))
    g_value_set_uint (value, self->wanted.output_size);
  else if (g_str_equal (name, "total-rows"))
    g_value_set_uint64 (value, self->wanted.total_rows);
  else
    return FALSE;
  return TRUE;
}

static void
set_training_property (GstSaeTrainer *self, const gchar *name,
    const GValue *value)
{
  gboolean ours;

  GST_OBJECT_LOCK (self);
  ours = set_wanted (self, name, value);
  GST_OBJECT_UNLOCK (self);
  if (!ours)
    g_object_set_property (G_OBJECT (self->trainer), name, value);
}

static void
get_training_property (GstSaeTrainer *self, const gchar *name, GValue *value)
{
  gboolean ours;

  GST_OBJECT_LOCK (self);
  ours = get_wanted (self, name, value);
  GST_OBJECT_UNLOCK (self);
  if (!ours)
    g_object_get_property (G_OBJECT (self->trainer), name, value);
}

void
gst_sae_trainer_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (object);

  if (id >= N_OWN_PROPS) {
    set_training_property (self, pspec->name, value);
    return;
  }
  if (id == PROP_METADATA &&
      !gst_sae_trainer_may_set_metadata (self, g_value_get_string (value)))
    return;
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_free (self->places.location);
      self->places.location = g_value_dup_string (value);
      break;
    case PROP_LAYOUT:
      g_free (self->places.layout);
      self->places.layout = g_value_dup_string (value);
      break;
    case PROP_METADATA:
      g_free (self->metadata);
      self->metadata = g_value_dup_string (value);
      break;
    case PROP_INIT_LOCATION:
      g_free (self->init_location);
      self->init_location = g_value_dup_string (value);
      break;
    case PROP_LOG_LOCATION:
      g_free (self->places.log_location);
      self->places.log_location = g_value_dup_string (value);
      break;
    case PROP_METRICS_LOCATION:
      g_free (self->places.metrics_location);
      self->places.metrics_location = g_value_dup_string (value);
      break;
    case PROP_CHECKPOINT_LOCATION:
      g_free (self->places.checkpoint_location);
      self->places.checkpoint_location = g_value_dup_string (value);
      break;
    case PROP_CHECKPOINT_INTERVAL:
      self->checkpoint_interval = g_value_get_uint64 (value);
      break;
    case PROP_RESUME:
      self->resume = (SaeResume) g_value_get_enum (value);
      break;
    case PROP_STATS_INTERVAL:
      self->stats_interval = g_value_get_uint64 (value);
      break;
    case PROP_MODEL_NAME:
      g_free (self->model_name);
      self->model_name = g_value_dup_string (value);
      break;
    case PROP_PUBLISH_INTERVAL:
      self->publish_interval = g_value_get_uint64 (value);
      break;
    case PROP_MAX_BYTES:
      self->wanted.max_bytes = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
get_stats (GstSaeTrainer *self, GValue *value)
{
  g_autoptr (SaeMetrics) metrics = sae_trainer_get_metrics (self->trainer);

  g_value_take_boxed (value, gst_sae_stats_new ("sae-stats", metrics));
}

void
gst_sae_trainer_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (object);

  if (id >= N_OWN_PROPS) {
    get_training_property (self, pspec->name, value);
    return;
  }
  if (id == PROP_STATS) {
    get_stats (self, value);
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_value_set_string (value, self->places.location);
      break;
    case PROP_LAYOUT:
      g_value_set_string (value, self->places.layout);
      break;
    case PROP_METADATA:
      g_value_set_string (value, self->metadata);
      break;
    case PROP_INIT_LOCATION:
      g_value_set_string (value, self->init_location);
      break;
    case PROP_LOG_LOCATION:
      g_value_set_string (value, self->places.log_location);
      break;
    case PROP_METRICS_LOCATION:
      g_value_set_string (value, self->places.metrics_location);
      break;
    case PROP_CHECKPOINT_LOCATION:
      g_value_set_string (value, self->places.checkpoint_location);
      break;
    case PROP_CHECKPOINT_INTERVAL:
      g_value_set_uint64 (value, self->checkpoint_interval);
      break;
    case PROP_RESUME:
      g_value_set_enum (value, (gint) self->resume);
      break;
    case PROP_STATS_INTERVAL:
      g_value_set_uint64 (value, self->stats_interval);
      break;
    case PROP_MODEL_NAME:
      g_value_set_string (value, self->model_name);
      break;
    case PROP_PUBLISH_INTERVAL:
      g_value_set_uint64 (value, self->publish_interval);
      break;
    case PROP_MODEL_VERSION:
      g_value_set_int64 (value, self->model_version);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64 (value, self->wanted.max_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

gchar *
gst_sae_trainer_dup_string (GstSaeTrainer *self, gchar *const *field)
{
  gchar *copy;

  GST_OBJECT_LOCK (self);
  copy = g_strdup (*field);
  GST_OBJECT_UNLOCK (self);
  return copy;
}

void
gst_sae_places_clear (GstSaePlaces *places)
{
  g_clear_pointer (&places->location, g_free);
  g_clear_pointer (&places->layout, g_free);
  g_clear_pointer (&places->log_location, g_free);
  g_clear_pointer (&places->metrics_location, g_free);
  g_clear_pointer (&places->checkpoint_location, g_free);
}

void
gst_sae_trainer_clear_places (GstSaeTrainer *self)
{
  GST_OBJECT_LOCK (self);
  gst_sae_places_clear (&self->used);
  GST_OBJECT_UNLOCK (self);
}

void
gst_sae_trainer_take_places (GstSaeTrainer *self)
{
  const GstSaePlaces *set = &self->places;

  GST_OBJECT_LOCK (self);
  gst_sae_places_clear (&self->used);
  self->used = (GstSaePlaces){
      .location = gst_sae_claim_absolute (set->location),
      .layout =
          g_strdup (set->layout ? set->layout : GST_SAE_TRAINER_DEFAULT_LAYOUT),
      .log_location = gst_sae_claim_absolute (set->log_location),
      .metrics_location = gst_sae_claim_absolute (set->metrics_location),
      .checkpoint_location = gst_sae_claim_absolute (set->checkpoint_location),
  };
  GST_OBJECT_UNLOCK (self);
}

void
gst_sae_trainer_install_properties (GObjectClass *object_class)
{
  GParamFlags flags =
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_property (object_class, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "Folder for the trained dictionary, written whole at EOS and when "
          "stopped",
          NULL, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_LAYOUT,
      g_param_spec_string ("layout", "Layout",
          "What the dictionary is written as: saelens or sparsify (top-k, "
          "and targets of another width than the activations)",
          GST_SAE_TRAINER_DEFAULT_LAYOUT, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_METADATA,
      g_param_spec_string ("metadata", "Metadata",
          "key=value,… for cfg.json, such as model_name and hook_name", NULL,
          flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (object_class, PROP_STATS_INTERVAL,
      g_param_spec_uint64 ("stats-interval", "Statistics interval",
          "Time between sae-stats messages in ns (0 = only the final one)", 0,
          G_MAXUINT64, DEFAULT_STATS_INTERVAL,
          flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Metrics of the run so far, as the field total of sae-stats",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  g_object_class_install_property (object_class, PROP_INIT_LOCATION,
      g_param_spec_string ("init-location", "Initial location",
          "Dictionary to start from; optimiser, schedule and "
          "counters start anew",
          NULL, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_LOG_LOCATION,
      g_param_spec_string ("log-location", "Log location",
          "File that sae-stats is appended to, a line of JSON each", NULL,
          flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_METRICS_LOCATION,
      g_param_spec_string ("metrics-location", "Metrics location",
          "File that is replaced at each sae-stats, in Prometheus' text format "
          "(name it *.prom for node-exporter)",
          NULL, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_CHECKPOINT_LOCATION,
      g_param_spec_string ("checkpoint-location", "Checkpoint location",
          "File for all that the run needs to go on, replaced whole; read by "
          "resume",
          NULL, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_CHECKPOINT_INTERVAL,
      g_param_spec_uint64 ("checkpoint-interval", "Checkpoint interval",
          "Rows between two checkpoints (0 = only at the end and when stopped)",
          0, G_MAXUINT64, 0, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_RESUME,
      g_param_spec_enum ("resume", "Resume",
          "How to go on from checkpoint-location (replay = with the same "
          "stream from its start, continue = with what comes next); starts "
          "anew where there is no file",
          SAE_TYPE_RESUME, SAE_RESUME_NO, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_MODEL_NAME,
      g_param_spec_string ("model-name", "Model name",
          "Name to publish the dictionary under while it is trained, for "
          "elements with the same model-name and for the application",
          NULL, flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_PUBLISH_INTERVAL,
      g_param_spec_uint64 ("publish-interval", "Publish interval",
          "Rows between two versions under model-name (0 = only the first and "
          "the last)",
          0, G_MAXUINT64, DEFAULT_PUBLISH_INTERVAL,
          flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (object_class, PROP_MODEL_VERSION,
      g_param_spec_int64 ("model-version", "Model version",
          "Version that was last published under model-name, from 0 on "
          "(-1 = none yet)",
          -1, G_MAXINT64, -1, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  gst_sae_limit_install (object_class, PROP_MAX_BYTES, GST_SAE_MAX_BYTES_ROWS,
      "Most bytes of weights where only the stream tells how wide rows are, "
      "since input-size is not set (0 = no limit)");
  gst_type_mark_as_plugin_api (SAE_TYPE_RESUME, 0);
  gst_sae_mirror_properties (object_class, N_OWN_PROPS, SAE_TYPE_TRAINER);
}

void
gst_sae_trainer_init_properties (GstSaeTrainer *self)
{
  self->places.layout = g_strdup (GST_SAE_TRAINER_DEFAULT_LAYOUT);
  self->stats_interval = DEFAULT_STATS_INTERVAL;
  self->publish_interval = DEFAULT_PUBLISH_INTERVAL;
  self->wanted.max_bytes = GST_SAE_MAX_BYTES_ROWS;
  self->model_version = -1;
}
