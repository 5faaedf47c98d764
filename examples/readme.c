/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sae.h>

int
main (void)
{
  static float x[64 * 48]; /* [64, 48] */
  for (int i = 0; i < 64 * 48; i++)
    x[i] = (float) g_random_double_range (-1, 1);
  g_autoptr (GBytes) rows = g_bytes_new_static (x, sizeof x);
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (48, 512, 8);
  for (int step = 0; step < 300; step++)
    if (!sae_trainer_step (trainer, rows, NULL, NULL))
      return 1;
  g_autoptr (SaeModel) model = sae_trainer_get_model (trainer, NULL);
  g_autoptr (GBytes) x_hat = sae_model_forward (model, rows, NULL, NULL);
  g_print ("fvu %.3f\n", sae_fvu (rows, x_hat, 48));
}
