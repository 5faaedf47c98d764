/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaetrainerparts.h"

#include <string.h>

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
apply_mask (GstSaeTrainer *self, GstSaeTrainerRows *rows, const guint8 *mask,
    GError **error)
{
  if (!reserve_kept (self, rows->n_all * rows->d_in, error))
    return FALSE;
  rows->mask = mask;
  rows->n = keep_rows (mask, rows->n_all, rows->x, rows->d_in, self->kept);
  rows->x = self->kept;
  return TRUE;
}

/* The opened buffer as rows to train on. */
static gboolean
get_rows (GstSaeTrainer *self, GstSaeTrainerRows *rows, GError **error)
{
  const GstSaeReader *in = &self->reader;

  *rows = (GstSaeTrainerRows){
      .x = gst_sae_floats_get (&self->x, in, 0, error),
      .n = in->n_rows[0],
      .n_all = in->n_rows[0],
      .d_in = in->tensors[0].dims[0],
  };
  if (!rows->x || in->n_tensors == 1)
    return rows->x != NULL;
  if (in->n_rows[1] != rows->n) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "tensor 1: expected %" G_GSIZE_FORMAT " rows, got %" G_GSIZE_FORMAT,
        rows->n, in->n_rows[1]);
    return FALSE;
  }
  if (gst_sae_trainer_is_mask (&in->tensors[1]))
    return apply_mask (self, rows, in->data[1], error);
  rows->target = gst_sae_floats_get (&self->target, in, 1, error);
  rows->d_out = in->tensors[1].dims[0];
  return rows->target != NULL;
}

static gboolean
train_rows (GstSaeTrainer *self, GstBuffer *buffer, GError **error)
{
  GstSaeTrainerRows rows;

  return get_rows (self, &rows, error) &&
         gst_sae_trainer_push_rows (self, buffer, &rows, error);
}

gboolean
gst_sae_trainer_train_buffer (GstSaeTrainer *self, GstBuffer *buffer,
    GError **error)
{
  const GstSaeReader *in = &self->reader;
  gboolean ok;

  if (!gst_sae_reader_open (&self->reader, buffer, &self->tensors, error))
    return FALSE;
  ok = in->n_tensors == 0 || in->n_rows[0] == 0 || /* a buffer of 0 bytes */
       (gst_sae_trainer_fit_run (self, error) &&
           train_rows (self, buffer, error));
  gst_sae_reader_close (&self->reader);
  return ok;
}
