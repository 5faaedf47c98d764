/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saetrainer
 * @title: saetrainer
 * @short_description: trains a sparse autoencoder on the stream
 *
 * Trains a dictionary on the rows that pass through, which go on untouched.
 * Rows are gathered over buffers into batches; a last, smaller one is trained
 * at EOS. The dictionary is written to #GstSaeTrainer:location as a whole at
 * EOS, and when the element goes to READY with anything trained since, so that
 * Ctrl-C loses nothing.
 *
 * A second tensor is the target of a transcoder (floating) or a mask (uint8):
 * rows whose mask is 0 pass and are neither trained nor measured. So do GAP
 * buffers.
 *
 * Every #GstSaeTrainer:stats-interval an element message `sae-stats` tells the
 * metrics since the last one, and in its field `total` those of the whole run.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=train.npy epochs=8 shuffle=true !
 *     saetrainer dict-size=6144 top-k=32 location=out/ ! fakesink
 * ]|
 */
#include "gstsaetrainer.h"

#include <string.h>

#include "gstsaecodes.h"
#include "gstsaefloats.h"
#include "gstsaelength.h"
#include "gstsaemirror.h"
#include "gstsaespan.h"
#include "gstsaestats.h"
#include "gstsaetensors.h"
#include "layouts.h"
#include "sae-enum-types.h"
#include "sae-trainer.h"

GST_DEBUG_CATEGORY_STATIC (sae_trainer_debug);
#define GST_CAT_DEFAULT sae_trainer_debug

#define DEFAULT_STATS_INTERVAL GST_SECOND

/* What dictionaries are written as. */
#define LAYOUT "saelens"

/* What the user may set and the stream tells else. */
typedef struct {
  guint input_size;
  guint output_size;
  guint64 total_rows;
} Told;

struct _GstSaeTrainer {
  GstBaseTransform parent;

  SaeTrainer *trainer; /* holds the training properties; locks itself */

  /* properties; object lock */
  gchar *location;
  gchar *metadata;
  guint64 stats_interval;
  Told wanted; /* as set, 0 where nothing was */

  /* streaming thread */
  GstSaeTensors tensors; /* of the caps */
  GstCaps *refused;      /* caps that were last reported as an error */
  Told told;             /* as wanted or as the stream tells */
  gboolean started;
  GstSaeTensor run[2]; /* of the last buffer that fitted the run */
  guint n_run;
  guint64 saved_steps;  /* steps in what was last written */
  guint64 failed_steps; /* steps in what could last not be written */
  gint64 last_stats;    /* monotonic µs */
  GstSaeSpan span;      /* of the rows since then */
  GstSaeReader reader;
  GstSaeFloats x, target;
  float *kept; /* rows that a mask leaves */
  gsize kept_size;
  guint64 dropped_rows; /* by flushes */
};

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_METADATA,
  PROP_STATS_INTERVAL,
  PROP_STATS,
  N_OWN_PROPS
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_TRAINING_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_TRAINING_CAPS));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeTrainer, gst_sae_trainer,
    GST_TYPE_BASE_TRANSFORM, G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saetrainer, "saetrainer", GST_RANK_NONE,
    GST_TYPE_SAE_TRAINER)

/* --- properties ----------------------------------------------------------- */

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

static void
gst_sae_trainer_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (object);

  if (id >= N_OWN_PROPS) {
    set_training_property (self, pspec->name, value);
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_free (self->location);
      self->location = g_value_dup_string (value);
      break;
    case PROP_METADATA:
      g_free (self->metadata);
      self->metadata = g_value_dup_string (value);
      break;
    case PROP_STATS_INTERVAL:
      self->stats_interval = g_value_get_uint64 (value);
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

static void
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
      g_value_set_string (value, self->location);
      break;
    case PROP_METADATA:
      g_value_set_string (value, self->metadata);
      break;
    case PROP_STATS_INTERVAL:
      g_value_set_uint64 (value, self->stats_interval);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static gchar *
dup_location (GstSaeTrainer *self)
{
  gchar *location;

  GST_OBJECT_LOCK (self);
  location = g_strdup (self->location);
  GST_OBJECT_UNLOCK (self);
  return location;
}

/* --- saving --------------------------------------------------------------- */

/* "key=value,key=value" into the model. */
static SaeModel *
add_metadata (GstSaeTrainer *self, SaeModel *model)
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

/* Writes the dictionary if it is wanted and changed since it was last. */
static gboolean
save (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location = dup_location (self);
  guint64 steps = sae_trainer_get_steps (self->trainer);
  g_autoptr (SaeModel) model = NULL;

  if (!location || steps == self->saved_steps)
    return TRUE;
  model = sae_trainer_get_model (self->trainer, error);
  if (!model)
    return FALSE;
  model = add_metadata (self, model);
  if (!sae_model_save (model, location, error))
    return FALSE;
  GST_INFO_OBJECT (self, "wrote %s after %" G_GUINT64_FORMAT " steps", location,
      steps);
  self->saved_steps = steps;
  return TRUE;
}

/* Trains what is left of the last batch and saves: the end of the run. A save
 * that failed at EOS is tried again when the element stops, but reported only
 * once. */
static void
finish (GstSaeTrainer *self)
{
  g_autoptr (GError) error = NULL;
  guint64 steps;

  if (!self->started ||
      (sae_trainer_flush (self->trainer, &error) && save (self, &error)))
    return;
  steps = sae_trainer_get_steps (self->trainer);
  if (steps != self->failed_steps)
    gst_sae_element_post_error (GST_ELEMENT (self),
        "Cannot save the dictionary", g_steal_pointer (&error));
  else
    GST_WARNING_OBJECT (self, "again: %s", error->message);
  self->failed_steps = steps;
}

/* --- statistics ----------------------------------------------------------- */

static void
post_stats (GstSaeTrainer *self, gboolean final)
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

static void
post_stats_when_due (GstSaeTrainer *self)
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
    post_stats (self, FALSE);
}

/* --- state ---------------------------------------------------------------- */

/* What would only be found out when the run is over. */
static gboolean
check_settings (GstSaeTrainer *self, GError **error)
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

static gboolean
gst_sae_trainer_start (GstBaseTransform *trans)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);
  GError *error = NULL;

  sae_trainer_reset (self->trainer);
  self->started = FALSE;
  self->saved_steps = 0;
  self->failed_steps = G_MAXUINT64;
  self->last_stats = 0;
  self->dropped_rows = 0;
  gst_sae_span_reset (&self->span);
  if (check_settings (self, &error))
    return TRUE;
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot start", error);
  return FALSE;
}

/* TRUE whatever happens: an element that fails to stop is stuck. */
static gboolean
gst_sae_trainer_stop (GstBaseTransform *trans)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);

  finish (self);
  gst_clear_caps (&self->refused);
  self->started = FALSE;
  return TRUE;
}

static gboolean
fail (GstSaeTrainer *self, const gchar *context, GError *error)
{
  gst_sae_element_post_error (GST_ELEMENT (self), context, error);
  return FALSE;
}

/* Takes the width of a row from the stream, or holds the stream to it. */
static gboolean
check_width (const gchar *name, const gchar *property, guint32 width,
    guint *told, GError **error)
{
  if (*told == 0)
    *told = width;
  if (*told == width)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected rows of %u (%s), got rows of %u", name, *told, property,
      width);
  return FALSE;
}

static gboolean
is_mask (const GstSaeTensor *tensor)
{
  return tensor->type == GST_SAE_UINT8;
}

static gboolean
check_type (const GstSaeTensor *tensors, guint index, GError **error)
{
  SaeDtype dtype;

  if (index > 0 && is_mask (&tensors[index]))
    return TRUE;
  if (gst_sae_type_to_dtype (tensors[index].type, &dtype) &&
      sae_dtype_is_float (dtype))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "tensor %u: expected float32, float16 or float64%s, got %s", index,
      index ? ", or a uint8 mask" : "",
      gst_sae_type_name (tensors[index].type));
  return FALSE;
}

/* Rows without a target are their own. */
static gboolean
check_target (GstSaeTrainer *self, const GstSaeTensor *tensors, guint n,
    GError **error)
{
  if (n > 1 && is_mask (&tensors[1]) && tensors[1].dims[0] != 1) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "mask: expected rows of 1, got rows of %u", tensors[1].dims[0]);
    return FALSE;
  }
  if (n > 1 && !is_mask (&tensors[1]))
    return check_width ("target", "output-size", tensors[1].dims[0],
        &self->told.output_size, error);
  return check_width ("activations, their own target", "output-size",
      tensors[0].dims[0], &self->told.output_size, error);
}

/* Better now than when the run is over. */
static gboolean
check_can_be_saved (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *location = dup_location (self);

  if (!location || self->told.input_size == self->told.output_size)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "location: its layout, %s, expects targets as wide as the activations, "
      "%u, got targets of %u",
      LAYOUT, self->told.input_size, self->told.output_size);
  return FALSE;
}

/* Until the run starts, the stream may still change. */
static gboolean
check_tensors (GstSaeTrainer *self, const GstSaeTensor *tensors, guint n,
    GError **error)
{
  if (!self->started) {
    GST_OBJECT_LOCK (self);
    self->told = self->wanted;
    GST_OBJECT_UNLOCK (self);
  }
  if (n > 2) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "expected 1 tensor, or 2 with a target or a mask, got %u", n);
    return FALSE;
  }
  for (guint i = 0; i < n; i++)
    if (!check_type (tensors, i, error))
      return FALSE;
  return check_width ("activations", "input-size", tensors[0].dims[0],
             &self->told.input_size, error) &&
         check_target (self, tensors, n, error) &&
         check_can_be_saved (self, error);
}

static gboolean
check_caps (GstSaeTrainer *self, const GstCaps *caps, GError **error)
{
  GstSaeTensors tensors;

  if (!gst_sae_tensors_from_caps (&tensors, caps, error) ||
      (tensors.n_tensors > 0 &&
          !check_tensors (self, tensors.tensors, tensors.n_tensors, error)))
    return FALSE;
  self->tensors = tensors;
  return TRUE;
}

/* Caps are sent again with every buffer until they are taken, but reported
 * once. */
static gboolean
take_caps (GstSaeTrainer *self, GstEvent *event)
{
  g_autoptr (GError) error = NULL;
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  if (check_caps (self, caps, &error)) {
    gst_clear_caps (&self->refused);
    return TRUE;
  }
  if (!self->refused || !gst_caps_is_equal (self->refused, caps))
    gst_sae_element_post_error (GST_ELEMENT (self),
        "Cannot train on these caps", g_steal_pointer (&error));
  gst_caps_replace (&self->refused, caps);
  return FALSE;
}

/* Tensors of any kind come in as far as take_caps(), which says what is wrong
 * with them; refused here, they would end in a bare "not negotiated". */
static gboolean
gst_sae_trainer_accept_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps)
{
  if (direction == GST_PAD_SINK)
    return gst_sae_caps_are_tensors (caps);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_trainer_parent_class)
      ->accept_caps (trans, direction, caps);
}

/* The first rows are there: everything about the stream is known. */
static gboolean
start_run (GstSaeTrainer *self, GError **error)
{
  const GstSaeTensor *x = &self->reader.tensors[0];
  gsize row_size = x->dims[0] * gst_sae_type_size (x->type);

  if (!check_tensors (self, self->reader.tensors, self->reader.n_tensors,
          error))
    return FALSE;
  if (self->told.total_rows == 0)
    self->told.total_rows =
        gst_sae_length_query (GST_BASE_TRANSFORM_SINK_PAD (self), row_size,
            self->reader.n_rows[0], self->tensors.fps_n, self->tensors.fps_d);
  GST_INFO_OBJECT (self, "the run has %" G_GUINT64_FORMAT " rows (0: unknown)",
      self->told.total_rows);
  g_object_set (self->trainer, "input-size", self->told.input_size,
      "output-size", self->told.output_size, "total-rows",
      self->told.total_rows, NULL);
  self->started = sae_trainer_start (self->trainer, error);
  return self->started;
}

/* Whether the opened buffer is like those that were last checked. */
static gboolean
is_as_checked (GstSaeTrainer *self)
{
  const GstSaeReader *in = &self->reader;

  if (in->n_tensors != self->n_run)
    return FALSE;
  for (guint i = 0; i < self->n_run; i++)
    if (in->tensors[i].type != self->run[i].type ||
        in->tensors[i].dims[0] != self->run[i].dims[0])
      return FALSE;
  return TRUE;
}

/* Starts the run with the first rows, and holds later ones to it. */
static gboolean
fit_run (GstSaeTrainer *self, GError **error)
{
  const GstSaeReader *in = &self->reader;

  if (self->started && is_as_checked (self))
    return TRUE;
  if (!(self->started ? check_tensors (self, in->tensors, in->n_tensors, error)
                      : start_run (self, error)))
    return FALSE;
  self->n_run = in->n_tensors;
  for (guint i = 0; i < self->n_run; i++)
    self->run[i] = in->tensors[i];
  return TRUE;
}

/* Copies the rows whose mask is not 0 to @to; returns how many. */
static gsize
keep_rows (const guint8 *mask, gsize n_rows, const float *x, gsize d, float *to)
{
  gsize n = 0;

  for (gsize r = 0; r < n_rows; r++)
    if (mask[r])
      memcpy (to + n++ * d, x + r * d, d * sizeof *to);
  return n;
}

static gboolean
reserve_kept (GstSaeTrainer *self, gsize n, GError **error)
{
  if (n <= self->kept_size)
    return TRUE;
  g_free (self->kept);
  self->kept = g_try_malloc_n (n, sizeof (float));
  self->kept_size = self->kept ? n : 0;
  if (!self->kept)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no memory for %" G_GSIZE_FORMAT " masked numbers", n);
  return self->kept != NULL;
}

static gboolean
train_rows (GstSaeTrainer *self, GError **error)
{
  const GstSaeReader *in = &self->reader;
  gsize n_rows = in->n_rows[0], d = in->tensors[0].dims[0];
  const float *x = gst_sae_floats_get (&self->x, in, 0, error), *target = NULL;

  if (!x)
    return FALSE;
  if (in->n_tensors > 1 && in->n_rows[1] != n_rows) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "tensor 1: expected %" G_GSIZE_FORMAT " rows, got %" G_GSIZE_FORMAT,
        n_rows, in->n_rows[1]);
    return FALSE;
  }
  if (in->n_tensors > 1 && is_mask (&in->tensors[1])) {
    if (!reserve_kept (self, n_rows * d, error))
      return FALSE;
    n_rows = keep_rows (in->data[1], n_rows, x, d, self->kept);
    x = self->kept;
  } else if (in->n_tensors > 1) {
    target = gst_sae_floats_get (&self->target, in, 1, error);
    if (!target)
      return FALSE;
  }
  return sae_trainer_push_rows (self->trainer, x, target, n_rows, error);
}

static gboolean
train_buffer (GstSaeTrainer *self, GstBuffer *buffer, GError **error)
{
  const GstSaeReader *in = &self->reader;
  gboolean ok;

  if (!gst_sae_reader_open (&self->reader, buffer, &self->tensors, error))
    return FALSE;
  ok = in->n_tensors == 0 || in->n_rows[0] == 0 || /* a buffer of 0 bytes */
       (fit_run (self, error) && train_rows (self, error));
  gst_sae_reader_close (&self->reader);
  return ok;
}

/* Controlled properties follow the stream; without a time they stay. */
static void
sync_controls (GstSaeTrainer *self, GstBuffer *buffer)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime time = GST_CLOCK_TIME_NONE;

  if (segment->format == GST_FORMAT_TIME)
    time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME,
        GST_BUFFER_PTS (buffer));
  if (GST_CLOCK_TIME_IS_VALID (time))
    gst_object_sync_values (GST_OBJECT (self), time);
}

static GstFlowReturn
gst_sae_trainer_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);
  GError *error = NULL;

  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    return GST_FLOW_OK;
  sync_controls (self, buffer);
  if (!train_buffer (self, buffer, &error)) {
    fail (self, "Cannot train on the buffer", error);
    return GST_FLOW_ERROR;
  }
  gst_sae_span_add (&self->span, buffer);
  post_stats_when_due (self);
  return GST_FLOW_OK;
}

/* A run that comes to its end without a step leaves nothing behind; somebody
 * waits for a dictionary. */
static void
warn_if_untrained (GstSaeTrainer *self)
{
  g_autofree gchar *location = dup_location (self);
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

static gboolean
gst_sae_trainer_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      if (!take_caps (self, event)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    case GST_EVENT_EOS:
      finish (self);
      warn_if_untrained (self);
      post_stats (self, TRUE);
      break;
    case GST_EVENT_FLUSH_STOP:
      self->dropped_rows += sae_trainer_drop_pending (self->trainer);
      GST_INFO_OBJECT (self, "flushes dropped %" G_GUINT64_FORMAT " rows",
          self->dropped_rows);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_sae_trainer_parent_class)
      ->sink_event (trans, event);
}

/* Late rows teach as much as others: no buffer is skipped for being late. */
static gboolean
gst_sae_trainer_src_event (GstBaseTransform *trans, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS)
    return gst_pad_push_event (GST_BASE_TRANSFORM_SINK_PAD (trans), event);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_trainer_parent_class)
      ->src_event (trans, event);
}

/* --- type ----------------------------------------------------------------- */

static void
gst_sae_trainer_finalize (GObject *object)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (object);

  g_clear_object (&self->trainer);
  gst_sae_reader_clear (&self->reader);
  gst_sae_floats_clear (&self->x);
  gst_sae_floats_clear (&self->target);
  g_free (self->kept);
  g_free (self->location);
  g_free (self->metadata);
  G_OBJECT_CLASS (gst_sae_trainer_parent_class)->finalize (object);
}

static void
install_own_properties (GObjectClass *object_class)
{
  GParamFlags flags =
      (GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_property (object_class, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "Folder for the trained dictionary, written whole at EOS and when "
          "stopped",
          NULL, flags | GST_PARAM_MUTABLE_READY));
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
}

static void
gst_sae_trainer_class_init (GstSaeTrainerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_trainer_debug, "saetrainer", 0,
      "sparse autoencoder, training");

  object_class->set_property = gst_sae_trainer_set_property;
  object_class->get_property = gst_sae_trainer_get_property;
  object_class->finalize = gst_sae_trainer_finalize;
  install_own_properties (object_class);
  gst_sae_mirror_properties (object_class, N_OWN_PROPS, SAE_TYPE_TRAINER);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Sparse autoencoder trainer", "Filter/Tensor",
      "Trains a sparse autoencoder on the rows that pass through",
      "The gst-sae developers");

  trans_class->start = gst_sae_trainer_start;
  trans_class->stop = gst_sae_trainer_stop;
  trans_class->accept_caps = gst_sae_trainer_accept_caps;
  trans_class->transform_ip = gst_sae_trainer_transform_ip;
  trans_class->src_event = gst_sae_trainer_src_event;
  trans_class->sink_event = gst_sae_trainer_sink_event;
  trans_class->transform_ip_on_passthrough = TRUE;
}

static void
gst_sae_trainer_init (GstSaeTrainer *self)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);

  self->trainer = sae_trainer_new (0, 0, 0);
  self->stats_interval = DEFAULT_STATS_INTERVAL;
  gst_sae_reader_init (&self->reader);
  gst_base_transform_set_in_place (trans, TRUE);
  gst_base_transform_set_passthrough (trans, TRUE);
  gst_base_transform_set_qos_enabled (trans, FALSE);
}
