/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include <string.h>
#include <unistd.h>

#include "atomic-write.h"
#include "regular-file.h"

/* A mistyped path must not cost anybody a file: what a new run replaces is
 * another's checkpoint, whole or not. */
static gboolean
check_replaced (const gchar *path, GError **error)
{
  static const char ours[] =
      "{\"__metadata__\":{\"format\":\"gst-sae checkpoint\"";
  char first[sizeof ours - 1];
  guint64 size;
  int fd = sae_regular_file_open (path, &size, NULL);
  gboolean ok;

  if (fd < 0) /* whatever it is, the probe has told */
    return TRUE;
  ok = size == 0 ||
       (size >= 8 + sizeof first &&
           sae_regular_file_read (fd, 8, first, sizeof first, path, NULL) &&
           memcmp (first, ours, sizeof first) == 0);
  close (fd);
  if (!ok)
    g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
        "%s: expected a checkpoint or nothing, found another file", path);
  return ok;
}

static gboolean
check_location (const gchar *path, SaeResume resume, GError **error)
{
  if (path)
    return sae_atomic_probe_file (path, error) &&
           (resume != SAE_RESUME_NO || check_replaced (path, error));
  if (resume == SAE_RESUME_NO)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "resume: expected a checkpoint-location to resume from, got none");
  return FALSE;
}

/* FALSE for a file that is there and no good. */
static gboolean
load_checkpoint (GstSaeTrainer *self, const gchar *path, GError **error)
{
  g_autoptr (GError) problem = NULL;
  SaeCheckpoint *checkpoint = sae_checkpoint_load (path, &problem);

  if (g_error_matches (problem, SAE_ERROR, SAE_ERROR_NOT_FOUND)) {
    GST_ELEMENT_INFO (self, RESOURCE, NOT_FOUND, ("No checkpoint there yet."),
        ("%s: no checkpoint there yet, training starts anew", path));
    return TRUE;
  }
  if (!checkpoint) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  g_mutex_lock (&self->run_lock);
  self->resume_from = checkpoint;
  g_mutex_unlock (&self->run_lock);
  return TRUE;
}

gboolean
gst_sae_trainer_start_checkpoints (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *path =
      gst_sae_trainer_dup_string (self, &self->used.checkpoint_location);
  guint64 interval;
  SaeResume resume;

  g_mutex_lock (&self->run_lock);
  g_clear_pointer (&self->resume_from, sae_checkpoint_unref);
  g_mutex_unlock (&self->run_lock);
  GST_OBJECT_LOCK (self);
  resume = self->resume;
  interval = self->checkpoint_interval;
  GST_OBJECT_UNLOCK (self);
  if (!check_location (path, resume, error))
    return FALSE;
  if (resume != SAE_RESUME_NO && !load_checkpoint (self, path, error))
    return FALSE;
  self->resume_how = resume;
  self->checkpoint_failed = FALSE;
  if (!path)
    return TRUE;
  self->next_interval = interval;
  self->writer = gst_sae_writer_new (GST_ELEMENT (self), path);
  return TRUE;
}

void
gst_sae_trainer_stop_checkpoints (GstSaeTrainer *self)
{
  g_clear_pointer (&self->writer, gst_sae_writer_free);
  self->next_interval = 0;
}

guint64
gst_sae_trainer_resumed_rows (GstSaeTrainer *self)
{
  guint64 rows = 0;

  g_mutex_lock (&self->run_lock);
  if (self->resume_from && self->resume_how == SAE_RESUME_CONTINUE)
    rows = sae_checkpoint_get_rows (self->resume_from);
  g_mutex_unlock (&self->run_lock);
  return rows;
}

/* Copies in the streaming thread, between two steps; the disk is the writer's
 * business. */
static void
take_checkpoint (GstSaeTrainer *self)
{
  GError *error = NULL;
  SaeCheckpoint *checkpoint;

  if (!gst_sae_writer_make_room (self->writer)) {
    GST_INFO_OBJECT (self, "one is being written still, this one is left out");
    return;
  }
  checkpoint = sae_trainer_checkpoint (self->trainer, &error);
  if (!checkpoint) {
    gst_sae_element_warn_once (GST_ELEMENT (self), &self->checkpoint_failed,
        "Cannot checkpoint", error);
    return;
  }
  g_mutex_lock (&self->run_lock);
  self->checkpoint_rows = sae_checkpoint_get_rows (checkpoint);
  g_mutex_unlock (&self->run_lock);
  gst_sae_writer_put (self->writer, checkpoint);
}

void
gst_sae_trainer_take_last_checkpoint (GstSaeTrainer *self)
{
  gboolean is_new;

  if (!self->writer || !self->started ||
      sae_trainer_get_rows_to_drop (self->trainer) > 0)
    return;
  g_mutex_lock (&self->run_lock);
  is_new = sae_trainer_get_received (self->trainer) != self->checkpoint_rows;
  g_mutex_unlock (&self->run_lock);
  if (!is_new)
    return;
  gst_sae_writer_wait (self->writer);
  take_checkpoint (self);
}

void
gst_sae_trainer_wait_for_checkpoints (GstSaeTrainer *self)
{
  if (self->writer)
    gst_sae_writer_wait (self->writer);
}

/* Rows until the next multiple of @interval, at most @n; 0 is no interval. */
static gsize
cut (gsize n, guint64 interval, guint64 before)
{
  return interval ? (gsize) MIN (n, interval - before % interval) : n;
}

static gboolean
is_due (guint64 interval, guint64 before, guint64 after)
{
  return interval && after != before && after % interval == 0;
}

/* At the same row whatever the cut of the buffers: rows are given in pieces
 * that end where a checkpoint or a version is due. While a replay drops rows,
 * none count. */
gboolean
gst_sae_trainer_push_piece (GstSaeTrainer *self, const GstSaeTrainerRows *rows,
    gsize at, gsize n, GError **error)
{
  guint64 interval = self->next_interval;
  guint64 publish = gst_sae_trainer_get_publish_interval (self);
  gsize end = at + n;

  for (gsize piece; at < end; at += piece) {
    guint64 before = sae_trainer_get_received (self->trainer), after;
    piece = cut (cut (end - at, interval, before), publish, before);
    if (!sae_trainer_push_rows (self->trainer, rows->x + at * rows->d_in,
            rows->target ? rows->target + at * rows->d_out : NULL, piece,
            error))
      return FALSE;
    after = sae_trainer_get_received (self->trainer);
    if (is_due (interval, before, after))
      take_checkpoint (self);
    if (is_due (publish, before, after))
      gst_sae_trainer_publish (self);
  }
  return TRUE;
}
