/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample-trainer.h"

#include <math.h>

#define ACTIVE 3

/* Direction @i of a stream of width @d; the last is the mean. */
static void
add_direction (float *row, guint d, guint i, float amount)
{
  Noise noise = {.state = (guint64) d << 32 | i};

  amount /= sqrtf ((float) d);
  for (guint j = 0; j < d; j++)
    row[j] += amount * noise_normal (&noise);
}

GBytes *
sparse_rows (Noise *noise, gsize n_rows, guint d, float scale)
{
  float *x = g_new0 (float, n_rows *d);

  for (gsize r = 0; r < n_rows; r++) {
    float *row = x + r * d;
    add_direction (row, d, 2 * d, 1);
    for (guint i = 0; i < ACTIVE; i++)
      add_direction (row, d, noise_below (noise, 2 * d),
          1.5f + noise_uniform (noise));
    for (guint j = 0; j < d; j++)
      row[j] *= scale;
  }
  return g_bytes_new_take (x, n_rows * d * sizeof (float));
}

gboolean
is_trained (SaeSparsity rule)
{
  return rule != SAE_SPARSITY_AUTO && rule != SAE_SPARSITY_GATED &&
         rule != SAE_SPARSITY_GROUP_MAX;
}

void
push_all (SaeTrainer *trainer, GBytes *x)
{
  g_autoptr (GError) error = NULL;

  sae_trainer_push (trainer, x, NULL, &error);
  g_assert_no_error (error);
}

SaeModel *
model_of (SaeTrainer *trainer)
{
  g_autoptr (GError) error = NULL;
  SaeModel *model = sae_trainer_get_model (trainer, &error);

  g_assert_no_error (error);
  return model;
}

GBytes *
weights_of (SaeTrainer *trainer)
{
  GBytes *(*const getters[]) (SaeModel *) = {sae_model_get_W_enc,
      sae_model_get_b_enc, sae_model_get_W_dec, sae_model_get_b_dec};
  g_autoptr (SaeModel) model = model_of (trainer);
  g_autoptr (GBytes) threshold = NULL;
  GByteArray *all = g_byte_array_new ();

  for (guint i = 0; i < G_N_ELEMENTS (getters); i++) {
    g_autoptr (GBytes) bytes = getters[i](model);
    g_byte_array_append (all, g_bytes_get_data (bytes, NULL),
        (guint) g_bytes_get_size (bytes));
  }
  threshold = sae_model_get_threshold (model);
  if (threshold)
    g_byte_array_append (all, g_bytes_get_data (threshold, NULL),
        (guint) g_bytes_get_size (threshold));
  return g_byte_array_free_to_bytes (all);
}
