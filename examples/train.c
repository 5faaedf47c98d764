/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Training without a pipeline: does a dictionary find directions that were
 * hidden in data? Each row is the sum of a few of N_TRUE random directions
 * (Sharkey et al. 2022); they are more than the dimensions, so they overlap.
 *
 *   cc train.c $(pkg-config --cflags --libs sae-1.0) -lm && ./a.out
 */
#include <math.h>
#include <sae.h>

enum { D_IN = 64, N_TRUE = 128, N_ACTIVE = 3, D_SAE = 256, N_ROWS = 4096 };

static float truth[N_TRUE][D_IN];

/* float32 [N_ROWS, D_IN], row-major: what every call of the library takes. */
static GBytes *
new_rows (GRand *rand)
{
  float *x = g_new0 (float, (gsize) N_ROWS *D_IN);

  for (int i = 0; i < N_ROWS * N_ACTIVE; i++) {
    float *row = x + i / N_ACTIVE * D_IN;
    int direction = g_rand_int_range (rand, 0, N_TRUE);
    float strength = (float) g_rand_double_range (rand, 1, 3);

    for (int d = 0; d < D_IN; d++)
      row[d] += strength * truth[direction][d];
  }
  return g_bytes_new_take (x, sizeof (float) * N_ROWS * D_IN);
}

/* Largest cosine between a direction and a row of W_dec [D_SAE, D_IN]; those
 * have norm 1, for the trainer keeps them so. */
static float
best_cosine (const float *direction, const float *W_dec)
{
  float best = 0, squared = 0;

  for (int d = 0; d < D_IN; d++)
    squared += direction[d] * direction[d];
  for (int i = 0; i < D_SAE; i++) {
    float dot = 0;

    for (int d = 0; d < D_IN; d++)
      dot += direction[d] * W_dec[i * D_IN + d];
    best = MAX (best, dot);
  }
  return best / sqrtf (squared);
}

static gboolean
run (GRand *rand, GError **error)
{
  g_autoptr (SaeTrainer) trainer = sae_trainer_new (D_IN, D_SAE, N_ACTIVE);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) fresh = new_rows (rand), x_hat = NULL, W_dec = NULL;
  int n_found = 0;

  /* Options are properties. Pushed rows are cut into batches, however many
   * come at a time. */
  g_object_set (trainer, "learning-rate", 3e-3, "batch-size", 1024, NULL);
  for (int i = 0; i < 60; i++) {
    g_autoptr (GBytes) x = new_rows (rand);

    if (!sae_trainer_push (trainer, x, NULL, error))
      return FALSE;
  }
  if (!(model = sae_trainer_get_model (trainer, error)))
    return FALSE;

  /* The same as sae_model_forward(), in two steps. */
  if (!(latents = sae_model_encode (model, fresh, error)) ||
      !(x_hat = sae_model_decode (model, latents, error)))
    return FALSE;

  W_dec = sae_model_get_W_dec (model);
  for (int i = 0; i < N_TRUE; i++)
    n_found += best_cosine (truth[i], g_bytes_get_data (W_dec, NULL)) > 0.95f;
  g_print ("fvu %.4f on fresh rows, %d of %d hidden directions found\n",
      sae_fvu (fresh, x_hat, D_IN), n_found, N_TRUE);
  return TRUE;
}

int
main (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_autoptr (GError) error = NULL;

  for (int i = 0; i < N_TRUE * D_IN; i++)
    truth[i / D_IN][i % D_IN] = (float) g_rand_double_range (rand, -0.2, 0.2);
  if (run (rand, &error))
    return 0;
  g_printerr ("%s\n", error->message);
  return 1;
}
