/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaewriter.h"

#include "gstsaetensors.h"

struct _GstSaeWriter {
  GstElement *element; /* outlives the writer */
  gchar *path;
  GThread *thread; /* NULL before the first checkpoint */

  GMutex lock;
  GCond changed;
  SaeCheckpoint *next;   /* lock */
  SaeCheckpoint *failed; /* lock; that one, until there is another */
  gboolean failing;      /* lock; the last one could not be written */
  gboolean busy;         /* lock; one is being written */
  gboolean ending;       /* lock */
};

GstSaeWriter *
gst_sae_writer_new (GstElement *element, const gchar *path)
{
  GstSaeWriter *writer = g_new0 (GstSaeWriter, 1);

  writer->element = element;
  writer->path = g_strdup (path);
  g_mutex_init (&writer->lock);
  g_cond_init (&writer->changed);
  return writer;
}

static gboolean
save (GstSaeWriter *writer, SaeCheckpoint *checkpoint, gboolean failed_before)
{
  GError *error = NULL;

  if (sae_checkpoint_save (checkpoint, writer->path, &error)) {
    GST_INFO_OBJECT (writer->element,
        "wrote %s after %" G_GUINT64_FORMAT " rows", writer->path,
        sae_checkpoint_get_rows (checkpoint));
    return TRUE;
  }
  if (failed_before) {
    GST_WARNING_OBJECT (writer->element, "again: %s", error->message);
    g_error_free (error);
  } else {
    gst_sae_element_post_warning (writer->element, "Cannot write a checkpoint",
        error);
  }
  return FALSE;
}

/* Needs the lock, which it gives up while it writes. Takes @checkpoint. */
static void
write_unlocked (GstSaeWriter *writer, SaeCheckpoint *checkpoint)
{
  gboolean failing = writer->failing;
  gboolean ok;

  writer->busy = TRUE;
  g_mutex_unlock (&writer->lock);
  ok = save (writer, checkpoint, failing);
  if (ok)
    g_clear_pointer (&checkpoint, sae_checkpoint_unref);
  g_mutex_lock (&writer->lock);
  writer->failed = checkpoint;
  writer->failing = !ok;
  writer->busy = FALSE;
  g_cond_broadcast (&writer->changed);
}

static gpointer
run (gpointer data)
{
  GstSaeWriter *writer = data;

  g_mutex_lock (&writer->lock);
  while (writer->next || !writer->ending)
    if (writer->next)
      write_unlocked (writer, g_steal_pointer (&writer->next));
    else
      g_cond_wait (&writer->changed, &writer->lock);
  g_mutex_unlock (&writer->lock);
  return NULL;
}

void
gst_sae_writer_put (GstSaeWriter *writer, SaeCheckpoint *checkpoint)
{
  if (!writer->thread)
    writer->thread = g_thread_try_new ("sae-checkpoint", run, writer, NULL);
  g_mutex_lock (&writer->lock);
  if (writer->thread)
    writer->next = checkpoint;
  else
    write_unlocked (writer, checkpoint);
  g_cond_broadcast (&writer->changed);
  g_mutex_unlock (&writer->lock);
}

gboolean
gst_sae_writer_make_room (GstSaeWriter *writer)
{
  gboolean has_room;

  g_mutex_lock (&writer->lock);
  has_room = !writer->next && !writer->busy;
  if (has_room)
    g_clear_pointer (&writer->failed, sae_checkpoint_unref);
  g_mutex_unlock (&writer->lock);
  return has_room;
}

void
gst_sae_writer_wait (GstSaeWriter *writer)
{
  g_mutex_lock (&writer->lock);
  while (writer->next || writer->busy)
    g_cond_wait (&writer->changed, &writer->lock);
  g_mutex_unlock (&writer->lock);
}

void
gst_sae_writer_free (GstSaeWriter *writer)
{
  g_mutex_lock (&writer->lock);
  writer->ending = TRUE;
  g_cond_broadcast (&writer->changed);
  g_mutex_unlock (&writer->lock);
  if (writer->thread)
    g_thread_join (writer->thread);
  if (writer->failed) {
    save (writer, writer->failed, TRUE);
    sae_checkpoint_unref (writer->failed);
  }
  g_mutex_clear (&writer->lock);
  g_cond_clear (&writer->changed);
  g_free (writer->path);
  g_free (writer);
}
