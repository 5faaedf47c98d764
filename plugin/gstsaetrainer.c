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
 * Ctrl-C loses nothing. One element at a time may train into a folder.
 *
 * With #GstSaeTrainer:checkpoint-location all that the run needs to go on is
 * written every #GstSaeTrainer:checkpoint-interval rows and at its end, in a
 * thread of its own; #GstSaeTrainer:resume goes on from there, and ends in the
 * same bytes as a run that was never stopped.
 *
 * A second tensor is the target of a transcoder (floating) or a mask (uint8):
 * rows whose mask is 0 pass and are neither trained nor measured. So do GAP
 * buffers.
 *
 * Every #GstSaeTrainer:stats-interval an element message `sae-stats` tells the
 * metrics since the last one, and in its field `total` those of the whole run.
 * #GstSaeTrainer:log-location keeps them as lines of JSON,
 * #GstSaeTrainer:metrics-location shows the last ones to Prometheus.
 *
 * The run starts from #GstSaeTrainer:seed or from the dictionary at
 * #GstSaeTrainer:init-location. The actions `save`, `load` and `reset` work
 * while it goes on, and #GstSaeTrainer:frozen switches to measuring only.
 *
 * With #GstSaeTrainer:model-name the dictionary is published while it is
 * trained: elements with the same model-name, and the application, read the
 * latest version. The first one, which is untrained, is there before the first
 * buffer goes on, the others every #GstSaeTrainer:publish-interval rows, and
 * the last one before EOS goes on. One element at a time publishes under a
 * name.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=train.npy epochs=8 shuffle=true !
 *     saetrainer dict-size=6144 top-k=32 location=out/ ! fakesink
 * ]|
 * Train, and encode the same stream with the dictionary as it is by then:
 * |[
 * gst-launch-1.0 saesrc location=train.npy epochs=8 shuffle=true ! tee name=t
 *     t. ! queue ! saetrainer model-name=m dict-size=1024 ! fakesink
 *     t. ! queue ! saeencoder model-name=m ! fakesink
 * ]|
 */
#include "gstsaetrainerparts.h"

#include "gstsaeclaim.h"
#include "gstsaecodes.h"
#include "gstsaestore.h"

GST_DEBUG_CATEGORY (sae_trainer_debug);

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_TRAINING_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_TRAINING_CAPS));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeTrainer, gst_sae_trainer,
    GST_TYPE_BASE_TRANSFORM, G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saetrainer, "saetrainer", GST_RANK_NONE,
    GST_TYPE_SAE_TRAINER)

/* --- state ---------------------------------------------------------------- */

static void
forget_run (GstSaeTrainer *self)
{
  g_mutex_lock (&self->run_lock);
  sae_trainer_reset (self->trainer);
  self->started = FALSE;
  self->tensors = (GstSaeTensors){0};
  gst_sae_trainer_forget_saved (self);
  g_mutex_unlock (&self->run_lock);
  self->last_stats = 0;
  self->untold = self->failed = FALSE;
  self->dropped_rows = 0;
  gst_sae_span_reset (&self->span);
}

static gboolean
claim_path (GstSaeTrainer *self, const gchar *property, gchar *const *field,
    GstSaeClaimKind kind)
{
  g_autofree gchar *path = gst_sae_trainer_dup_string (self, field);

  return !path || gst_sae_claim_take (GST_ELEMENT (self), property, path, kind);
}

/* What is replaced whole has one writer; a log is shared. Files in the folder
 * of the dictionary would keep it from being written, at the end of the run.
 * The error is posted when FALSE. */
static gboolean
claim_paths (GstSaeTrainer *self)
{
  if (claim_path (self, "location", &self->used.location,
          GST_SAE_CLAIM_FOLDER) &&
      claim_path (self, "metrics-location", &self->used.metrics_location,
          GST_SAE_CLAIM_FILE) &&
      claim_path (self, "checkpoint-location", &self->used.checkpoint_location,
          GST_SAE_CLAIM_FILE) &&
      claim_path (self, "log-location", &self->used.log_location,
          GST_SAE_CLAIM_SHARED_FILE))
    return TRUE;
  gst_sae_claim_release_all (GST_ELEMENT (self));
  return FALSE;
}

static gboolean
has_initial (GstSaeTrainer *self)
{
  gboolean has;

  g_mutex_lock (&self->run_lock);
  has = self->initial != NULL;
  g_mutex_unlock (&self->run_lock);
  return has;
}

/* The next start reads init-location anew; what the action load left waits for
 * one that works out. */
static void
forget_initial (GstSaeTrainer *self)
{
  g_mutex_lock (&self->run_lock);
  gst_sae_trainer_take_initial (self, NULL);
  g_mutex_unlock (&self->run_lock);
}

static gboolean
gst_sae_trainer_start (GstBaseTransform *trans)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);
  gboolean was_loaded = has_initial (self);
  GError *error = NULL;

  forget_run (self);
  gst_sae_trainer_take_places (self);
  if (!gst_sae_trainer_claim_name (self) || !claim_paths (self)) {
    gst_sae_trainer_clear_places (self);
    return FALSE;
  }
  if (gst_sae_trainer_check_settings (self, &error) &&
      gst_sae_trainer_load_initial (self, &error) &&
      gst_sae_trainer_start_checkpoints (self, &error) &&
      gst_sae_trainer_start_stats (self, &error)) {
    gst_sae_trainer_start_publishing (self);
    return TRUE;
  }
  gst_sae_trainer_stop_checkpoints (self);
  gst_sae_claim_release_all (GST_ELEMENT (self));
  gst_sae_trainer_clear_places (self);
  if (!was_loaded)
    forget_initial (self);
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot start", error);
  return FALSE;
}

/* TRUE whatever happens: an element that fails to stop is stuck. */
static gboolean
gst_sae_trainer_stop (GstBaseTransform *trans)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);

  gst_sae_trainer_take_last_checkpoint (self);
  gst_sae_trainer_finish (self);
  gst_sae_trainer_stop_publishing (self);
  gst_sae_trainer_stop_checkpoints (self);
  gst_sae_trainer_post_final_stats_if_due (self);
  gst_sae_trainer_stop_stats (self);
  gst_sae_claim_release_all (GST_ELEMENT (self));
  gst_sae_trainer_clear_places (self);
  gst_clear_caps (&self->refused);
  g_mutex_lock (&self->run_lock);
  self->started = FALSE;
  self->tensors = (GstSaeTensors){0};
  gst_sae_trainer_take_initial (self, NULL);
  g_mutex_unlock (&self->run_lock);
  return TRUE;
}

static GstStateChangeReturn
gst_sae_trainer_change_state (GstElement *element, GstStateChange transition)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY &&
      !gst_sae_trainer_claim_name (self))
    return GST_STATE_CHANGE_FAILURE;
  result = GST_ELEMENT_CLASS (gst_sae_trainer_parent_class)
               ->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL ||
      (transition == GST_STATE_CHANGE_NULL_TO_READY &&
          result == GST_STATE_CHANGE_FAILURE))
    gst_sae_trainer_leave_name (self);
  return result;
}

static void
gst_sae_trainer_set_context (GstElement *element, GstContext *context)
{
  gst_sae_store_set_context (element, &GST_SAE_TRAINER (element)->store,
      context);
  GST_ELEMENT_CLASS (gst_sae_trainer_parent_class)
      ->set_context (element, context);
}

static gboolean
gst_sae_trainer_query (GstBaseTransform *trans, GstPadDirection direction,
    GstQuery *query)
{
  return gst_sae_store_answer (GST_ELEMENT (trans),
             &GST_SAE_TRAINER (trans)->store, query) ||
         GST_BASE_TRANSFORM_CLASS (gst_sae_trainer_parent_class)
             ->query (trans, direction, query);
}

static gboolean
fail (GstSaeTrainer *self, const gchar *context, GError *error)
{
  gst_sae_element_post_error (GST_ELEMENT (self), context, error);
  self->failed = TRUE;
  return FALSE;
}

/* --- flow ----------------------------------------------------------------- */

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

/* What is done once the rows of a buffer are trained on. */
static void
end_buffer (GstSaeTrainer *self, GstBuffer *buffer)
{
  gst_sae_span_add (&self->span, buffer);
  self->untold = TRUE;
  gst_sae_trainer_post_stats_when_due (self);
}

/* Rows that a replay still has to bring, of how many. */
static guint64
rows_to_replay (GstSaeTrainer *self, guint64 *received)
{
  guint64 to_drop = sae_trainer_get_rows_to_drop (self->trainer);

  *received = sae_trainer_get_received (self->trainer);
  g_mutex_lock (&self->run_lock);
  if (self->resume_from && self->resume_how == SAE_RESUME_REPLAY) /* no row */
    to_drop = *received = sae_checkpoint_get_rows (self->resume_from);
  g_mutex_unlock (&self->run_lock);
  return to_drop;
}

/* A replay that brought fewer rows than the run has had was of another stream,
 * and what the run has is left as it is. */
static gboolean
check_replayed (GstSaeTrainer *self)
{
  guint64 received, to_drop = rows_to_replay (self, &received);
  GError *error;

  if (to_drop == 0 || self->failed)
    return TRUE;
  error = g_error_new (SAE_ERROR, SAE_ERROR_SIZE,
      "resume=replay: expected the %" G_GUINT64_FORMAT " rows of %s and more, "
      "the stream ended after %" G_GUINT64_FORMAT,
      received, self->used.checkpoint_location, received - to_drop);
  return fail (self, "Cannot go on with the run", error);
}

/* What is done before EOS goes on. */
static void
end_stream (GstSaeTrainer *self)
{
  if (!check_replayed (self))
    return;
  gst_sae_trainer_take_last_checkpoint (self);
  gst_sae_trainer_finish (self);
  gst_sae_trainer_publish (self);
  gst_sae_trainer_wait_for_checkpoints (self);
  gst_sae_trainer_warn_if_untrained (self);
  gst_sae_trainer_post_stats (self, TRUE);
}

static void
drop_pending (GstSaeTrainer *self)
{
  guint64 n = sae_trainer_drop_pending (self->trainer);

  self->dropped_rows += n;
  GST_INFO_OBJECT (self, "flushes dropped %" G_GUINT64_FORMAT " rows",
      self->dropped_rows);
  if (n == 0)
    return;
  g_mutex_lock (&self->run_lock);
  self->checkpoint_rows = G_MAXUINT64; /* the last one has these rows */
  g_mutex_unlock (&self->run_lock);
}

static GstFlowReturn
gst_sae_trainer_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);
  GError *error = NULL;

  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    return GST_FLOW_OK;
  if (!gst_sae_trainer_train_buffer (self, buffer, &error)) {
    fail (self, "Cannot train on the buffer", error);
    return GST_FLOW_ERROR;
  }
  end_buffer (self, buffer);
  return GST_FLOW_OK;
}

static gboolean
gst_sae_trainer_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstSaeTrainer *self = GST_SAE_TRAINER (trans);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      if (!gst_sae_trainer_take_caps (self, event)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    case GST_EVENT_EOS:
      end_stream (self);
      break;
    case GST_EVENT_FLUSH_STOP:
      drop_pending (self);
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
  g_clear_pointer (&self->initial, sae_model_unref);
  g_clear_pointer (&self->resume_from, sae_checkpoint_unref);
  gst_sae_trainer_leave_name (self);
  g_clear_pointer (&self->store, sae_model_store_unref);
  g_mutex_clear (&self->run_lock);
  g_mutex_clear (&self->publish_lock);
  gst_sae_reader_clear (&self->reader);
  gst_sae_backlog_unref (self->backlog);
  gst_sae_floats_clear (&self->x);
  gst_sae_floats_clear (&self->target);
  g_free (self->kept);
  g_free (self->init_location);
  g_free (self->metadata);
  gst_sae_places_clear (&self->places);
  gst_sae_places_clear (&self->used);
  g_free (self->model_name);
  G_OBJECT_CLASS (gst_sae_trainer_parent_class)->finalize (object);
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
  gst_sae_trainer_install_properties (object_class);
  gst_sae_trainer_install_actions (G_TYPE_FROM_CLASS (klass));

  element_class->change_state = gst_sae_trainer_change_state;
  element_class->set_context = gst_sae_trainer_set_context;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Sparse autoencoder trainer", "Filter/Tensor",
      "Trains a sparse autoencoder on the rows that pass through",
      "The gst-sae developers");

  trans_class->query = gst_sae_trainer_query;
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

  g_mutex_init (&self->run_lock);
  g_mutex_init (&self->publish_lock);
  self->trainer = sae_trainer_new (0, 0, 0);
  gst_sae_trainer_init_properties (self);
  gst_sae_reader_init (&self->reader);
  self->backlog = gst_sae_backlog_new ();
  gst_base_transform_set_in_place (trans, TRUE);
  gst_base_transform_set_passthrough (trans, TRUE);
  gst_base_transform_set_qos_enabled (trans, FALSE);
}
