/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include "gstsaechoice.h"
#include "gstsaelength.h"
#include "gstsaelimit.h"

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
check_type (const GstSaeTensor *tensors, guint index, GError **error)
{
  SaeDtype dtype;

  if (index > 0 && gst_sae_trainer_is_mask (&tensors[index]))
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
  if (n > 1 && gst_sae_trainer_is_mask (&tensors[1]) &&
      tensors[1].dims[0] != 1) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "mask: expected rows of 1, got rows of %u", tensors[1].dims[0]);
    return FALSE;
  }
  if (n > 1 && !gst_sae_trainer_is_mask (&tensors[1]))
    return check_width ("target", "output-size", tensors[1].dims[0],
        &self->told.output_size, error);
  return check_width ("activations, their own target", "output-size",
      tensors[0].dims[0], &self->told.output_size, error);
}

/* Needs the run lock. What is known before the stream tells anything. */
static void
reset_told (GstSaeTrainer *self)
{
  GST_OBJECT_LOCK (self);
  self->told = self->wanted;
  GST_OBJECT_UNLOCK (self);
  if (self->initial) {
    self->told.input_size = sae_model_get_d_in (self->initial);
    self->told.output_size = sae_model_get_d_out (self->initial);
  }
}

/* Needs the run lock. Until the run starts, the stream may still change. */
static gboolean
check_tensors (GstSaeTrainer *self, const GstSaeTensor *tensors, guint n,
    GError **error)
{
  const gchar *input_size =
      self->initial ? "the dictionary to start from" : "input-size";

  if (!self->started)
    reset_told (self);
  if (n > 2) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "expected 1 tensor, or 2 with a target or a mask, got %u", n);
    return FALSE;
  }
  for (guint i = 0; i < n; i++)
    if (!check_type (tensors, i, error))
      return FALSE;
  return check_width ("activations", input_size, tensors[0].dims[0],
             &self->told.input_size, error) &&
         check_target (self, tensors, n, error) &&
         gst_sae_trainer_check_can_be_saved (self, error);
}

static gboolean
check_caps (GstSaeTrainer *self, const GstCaps *caps, GError **error)
{
  GstSaeTensors tensors;
  gboolean ok;

  if (!gst_sae_tensors_from_caps (&tensors, caps, error))
    return FALSE;
  g_mutex_lock (&self->run_lock);
  ok = tensors.n_tensors == 0 ||
       check_tensors (self, tensors.tensors, tensors.n_tensors, error);
  if (ok)
    self->tensors = tensors;
  g_mutex_unlock (&self->run_lock);
  return ok;
}

/* Caps are sent again with every buffer until they are taken, but reported
 * once. */
gboolean
gst_sae_trainer_take_caps (GstSaeTrainer *self, GstEvent *event)
{
  g_autoptr (GError) error = NULL;
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  if (check_caps (self, caps, &error) &&
      (self->tensors.n_tensors == 0 ||
          gst_sae_trainer_publish_start (self, &error))) {
    gst_clear_caps (&self->refused);
    return TRUE;
  }
  if (!self->refused || !gst_caps_is_equal (self->refused, caps))
    gst_sae_element_post_error (GST_ELEMENT (self),
        "Cannot train on these caps", g_steal_pointer (&error));
  gst_caps_replace (&self->refused, caps);
  return FALSE;
}

void
gst_sae_trainer_take_initial (GstSaeTrainer *self, SaeModel *model)
{
  g_clear_pointer (&self->resume_from, sae_checkpoint_unref);
  g_clear_pointer (&self->initial, sae_model_unref);
  self->initial = model;
}

/* Rows of the whole stream: as set, or as upstream knows, which may take a
 * while to find out; 0 when nobody does. */
static guint64
find_total_rows (GstSaeTrainer *self)
{
  const GstSaeTensor *x = &self->reader.tensors[0];
  gsize row_size = x->dims[0] * gst_sae_type_size (x->type);
  guint64 rows;

  GST_OBJECT_LOCK (self);
  rows = self->wanted.total_rows;
  GST_OBJECT_UNLOCK (self);
  if (rows == 0) {
    rows = gst_sae_length_query (GST_BASE_TRANSFORM_SINK_PAD (self), row_size,
        self->reader.n_rows[0], self->tensors.fps_n, self->tensors.fps_d);
    if (rows) /* what upstream knows of begins after those */
      rows += gst_sae_trainer_resumed_rows (self);
  }
  GST_INFO_OBJECT (self, "the run has %" G_GUINT64_FORMAT " rows (0: unknown)",
      rows);
  return rows;
}

/* A width that nobody has set does not make weights of any size. */
static gboolean
check_told (GstSaeTrainer *self, const GstSaeTold *told, GError **error)
{
  GstSaeTold wanted;
  guint64 d_in = told->input_size, d_out = told->output_size, n;
  gboolean skip;
  guint d_sae;

  GST_OBJECT_LOCK (self);
  wanted = self->wanted;
  GST_OBJECT_UNLOCK (self);
  if (self->initial || self->resume_from ||
      (wanted.input_size > 0 &&
          (wanted.output_size > 0 || told->output_size == told->input_size)))
    return TRUE;
  g_object_get (self->trainer, "dict-size", &d_sae, "skip-connection", &skip,
      NULL);
  n = (d_sae ? d_sae : GST_SAE_DEFAULT_DICT_SIZE) * (d_in + d_out) +
      (skip ? d_in * d_out : 0);
  return gst_sae_limit_check (wanted.max_bytes, n, sizeof (float),
      "weights, input-size not set", error);
}

/* Needs the run lock. */
static gboolean
start_trainer (GstSaeTrainer *self, const GstSaeTold *told, GError **error)
{
  if (!check_told (self, told, error))
    return FALSE;
  g_object_set (self->trainer, "input-size", told->input_size, "output-size",
      told->output_size, "total-rows", told->total_rows, NULL);
  if (self->resume_from)
    return sae_trainer_resume (self->trainer, self->resume_from,
        self->resume_how, error);
  if (self->initial)
    return sae_trainer_start_from (self->trainer, self->initial, error);
  return sae_trainer_start (self->trainer, error);
}

/* A start of its own, that leaves nothing behind: that of the run is still to
 * come, with the length of the stream, which only the first buffer asks for. */
SaeModel *
gst_sae_trainer_make_start (GstSaeTrainer *self, guint d_in, GstSaeTold *sizes,
    GError **error)
{
  SaeModel *model = NULL;

  if (self->tensors.n_tensors == 0)
    reset_told (self);
  *sizes = self->told;
  if (sizes->input_size == 0)
    sizes->input_size = d_in;
  if (sizes->output_size == 0)
    sizes->output_size = sizes->input_size;
  if (start_trainer (self, sizes, error))
    model = sae_trainer_get_model (self->trainer, error);
  sae_trainer_reset (self->trainer);
  return model;
}

/* Needs the run lock. The first rows are there: everything about the stream is
 * known. */
static gboolean
start_run (GstSaeTrainer *self, guint64 total_rows, GError **error)
{
  if (!check_tensors (self, self->reader.tensors, self->reader.n_tensors,
          error))
    return FALSE;
  self->told.total_rows = total_rows;
  self->started = start_trainer (self, &self->told, error);
  if (self->started)
    gst_sae_trainer_take_initial (self, NULL);
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

gboolean
gst_sae_trainer_fit_run (GstSaeTrainer *self, GError **error)
{
  const GstSaeReader *in = &self->reader;
  guint64 total_rows;
  gboolean ok;

  if (self->started && is_as_checked (self))
    return TRUE;
  total_rows = self->started ? 0 : find_total_rows (self);
  g_mutex_lock (&self->run_lock);
  ok = self->started ? check_tensors (self, in->tensors, in->n_tensors, error)
                     : start_run (self, total_rows, error);
  g_mutex_unlock (&self->run_lock);
  if (!ok || !gst_sae_trainer_publish_start (self, error))
    return FALSE;
  self->n_run = in->n_tensors;
  for (guint i = 0; i < self->n_run; i++)
    self->run[i] = in->tensors[i];
  return TRUE;
}
