/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include "gstsaeclaim.h"

/* What was set, and what the stream is, hold for a dictionary to start from
 * too; not set is 0. */
static gboolean
check_size (const gchar *path, const gchar *name, guint expected, guint got,
    GError **error)
{
  if (expected == 0 || expected == got)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE, "%s: expected %s %u, got %u",
      path, name, expected, got);
  return FALSE;
}

/* Needs the run lock. Before the run starts; later the library checks. */
static gboolean
check_initial (GstSaeTrainer *self, SaeModel *model, const gchar *path,
    GError **error)
{
  const GstSaeTensors *in = &self->tensors;
  guint d_in = sae_model_get_d_in (model), d_out = sae_model_get_d_out (model);
  gboolean has_target =
      in->n_tensors > 1 && !gst_sae_trainer_is_mask (&in->tensors[1]);
  GstSaeTold wanted;
  guint dict_size;

  GST_OBJECT_LOCK (self);
  wanted = self->wanted;
  GST_OBJECT_UNLOCK (self);
  g_object_get (self->trainer, "dict-size", &dict_size, NULL);
  if (!check_size (path, "input-size", wanted.input_size, d_in, error) ||
      !check_size (path, "output-size", wanted.output_size, d_out, error) ||
      !check_size (path, "dict-size", dict_size, sae_model_get_d_sae (model),
          error))
    return FALSE;
  return in->n_tensors == 0 ||
         (check_size (path, "the rows' width", in->tensors[0].dims[0], d_in,
              error) &&
             check_size (path, "the targets' width",
                 in->tensors[has_target].dims[0], d_out, error));
}

/* Needs the run lock. Nothing was changed when FALSE. */
static gboolean
start_from (GstSaeTrainer *self, SaeModel *model, const gchar *path,
    GError **error)
{
  if (self->started) {
    if (!sae_trainer_start_from (self->trainer, model, error)) {
      g_prefix_error (error, "%s: ", path);
      return FALSE;
    }
    gst_sae_trainer_forget_saved (self);
    return TRUE;
  }
  if (!check_initial (self, model, path, error))
    return FALSE;
  gst_sae_trainer_take_initial (self, sae_model_ref (model));
  return TRUE;
}

gboolean
gst_sae_trainer_load_initial (GstSaeTrainer *self, GError **error)
{
  g_autofree gchar *path =
      gst_sae_trainer_dup_string (self, &self->init_location);
  g_autoptr (SaeModel) model = NULL;
  gboolean ok;

  if (path && !(model = sae_model_load (path, error)))
    return FALSE;
  g_mutex_lock (&self->run_lock);
  if (self->initial) /* by load, since it was last stopped */
    ok = check_initial (self, self->initial, "load", error);
  else
    ok = !model || start_from (self, model, path, error);
  g_mutex_unlock (&self->run_lock);
  return ok;
}

/* --- signals -------------------------------------------------------------- */

static gboolean
check_state (GstSaeTrainer *self, GError **error)
{
  GstState state;

  GST_OBJECT_LOCK (self);
  state = GST_STATE (self);
  GST_OBJECT_UNLOCK (self);
  if (state >= GST_STATE_READY)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
      "expected an element that is at least READY, got %s",
      gst_element_state_get_name (state));
  return FALSE;
}

static gboolean
check_call (GstSaeTrainer *self, const gchar *path, GError **error)
{
  if (!check_state (self, error))
    return FALSE;
  if (path)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NOT_FOUND,
      "path: expected a folder, got none");
  return FALSE;
}

static gboolean
warn (GstSaeTrainer *self, const gchar *context, GError *error)
{
  gst_sae_element_post_warning (GST_ELEMENT (self), context, error);
  return FALSE;
}

/* Inside a folder that is replaced at the end, what is saved now would keep it
 * from being: that dictionary would be lost. */
static gboolean
check_place (GstSaeTrainer *self, const gchar *path, GError **error)
{
  g_autofree gchar *holder =
      gst_sae_claim_find (GST_ELEMENT (self), path, GST_SAE_CLAIM_FOLDER);

  if (!holder)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "save: expected a place of its own, got %s where %s", path, holder);
  return FALSE;
}

static gboolean
on_save (GstSaeTrainer *self, const gchar *path)
{
  GError *error = NULL;

  return (check_call (self, path, &error) && check_place (self, path, &error) &&
             gst_sae_trainer_save_to (self, path, &error)) ||
         warn (self, "Cannot save", error);
}

static gboolean
load (GstSaeTrainer *self, const gchar *path, GError **error)
{
  g_autoptr (SaeModel) model = NULL;
  gboolean ok;

  if (!check_call (self, path, error) ||
      !(model = sae_model_load (path, error)))
    return FALSE;
  g_mutex_lock (&self->run_lock);
  ok = start_from (self, model, path, error);
  g_mutex_unlock (&self->run_lock);
  if (ok)
    gst_sae_trainer_publish_anew (self);
  return ok;
}

static gboolean
on_load (GstSaeTrainer *self, const gchar *path)
{
  GError *error = NULL;

  return load (self, path, &error) || warn (self, "Cannot load", error);
}

/* Needs the run lock. */
static gboolean
start_anew (GstSaeTrainer *self, GError **error)
{
  if (self->started && !sae_trainer_start (self->trainer, error))
    return FALSE;
  if (!self->started)
    sae_trainer_reset (self->trainer);
  gst_sae_trainer_take_initial (self, NULL);
  gst_sae_trainer_forget_saved (self);
  return TRUE;
}

static void
on_reset (GstSaeTrainer *self)
{
  GError *error = NULL;
  gboolean ok;

  if (!check_state (self, &error)) {
    warn (self, "Cannot reset", error);
    return;
  }
  g_mutex_lock (&self->run_lock);
  ok = start_anew (self, &error);
  g_mutex_unlock (&self->run_lock);
  if (ok)
    gst_sae_trainer_publish_anew (self);
  else
    warn (self, "Cannot reset", error);
}

void
gst_sae_trainer_install_actions (GType type)
{
  GSignalFlags flags = (GSignalFlags) (G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION);

  /**
   * GstSaeTrainer::save:
   * @trainer: the element
   * @path: folder to write to
   *
   * Action: writes the dictionary as it is now, while the stream goes on. In
   * any state from READY on and from any thread; a WARNING says why not. The
   * place may be #GstSaeTrainer:location, but not inside it.
   *
   * Returns: whether it was written
   * Since: 0.1
   */
  g_signal_new_class_handler ("save", type, flags, G_CALLBACK (on_save), NULL,
      NULL, NULL, G_TYPE_BOOLEAN, 1, G_TYPE_STRING);
  /**
   * GstSaeTrainer::load:
   * @trainer: the element
   * @path: folder of a dictionary
   *
   * Action: goes on from the dictionary at @path, whose sizes must fit the
   * stream and what was set; optimiser, schedule and counters start anew, and
   * rows that waited for a full batch are dropped. Before the first rows, and
   * in READY, the run starts from it, whatever init-location says. In any state
   * from READY on and from any thread; when it does not work out, a WARNING
   * says why and the run goes on untouched.
   *
   * Returns: whether it was loaded
   * Since: 0.1
   */
  g_signal_new_class_handler ("load", type, flags, G_CALLBACK (on_load), NULL,
      NULL, NULL, G_TYPE_BOOLEAN, 1, G_TYPE_STRING);
  /**
   * GstSaeTrainer::reset:
   * @trainer: the element
   *
   * Action: starts anew from the seed, whatever the run started from; rows that
   * waited for a full batch are dropped. In any state from READY on and from
   * any thread.
   *
   * Since: 0.1
   */
  g_signal_new_class_handler ("reset", type, flags, G_CALLBACK (on_reset), NULL,
      NULL, NULL, G_TYPE_NONE, 0);
}
