/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Counting latents, against sums over the dense matrix. */
#include "expect.h"
#include "latent-stats-add.h"
#include "sample.h"
#include "scratch.h"

#define D_IN 12
#define D_SAE 90
#define N_ROWS 300

static void
add_rows (SaeLatentStats *stats, SaeModel *model, const float *x, gsize n_rows)
{
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (2);
  SaeSparseRows rows;
  g_autoptr (GError) error = NULL;

  sae_net_encode (sae_model_get_net (model), workspace, x, n_rows, &rows,
      &error);
  g_assert_no_error (error);
  sae_latent_stats_add (stats, &rows);
}

static void
check_latent (const SaeLatentStats *stats, const float *dense, guint latent)
{
  guint64 fired = 0;
  double sum = 0;
  float max = 0;

  for (guint r = 0; r < N_ROWS; r++) {
    float value = dense[r * D_SAE + latent];
    fired += value > 0;
    sum += value;
    max = MAX (max, value);
  }
  g_assert_cmpuint (stats->fired[latent], ==, fired);
  g_assert_cmpfloat (stats->sum[latent], ==, sum);
  g_assert_cmpfloat (stats->max[latent], ==, max);
}

/* In any cut, the empty one too. */
static void
test_counts (void)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D_IN, .d_sae = D_SAE, .k = 7};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) x = sample_rows (&noise, N_ROWS, D_IN);
  g_autoptr (SaeLatents) latents = sae_model_encode (model, x, NULL);
  g_autoptr (GBytes) dense = sae_latents_to_dense (latents, NULL);
  const float *rows = g_bytes_get_data (x, NULL);
  const gsize cuts[] = {N_ROWS, 1, 64, 37};

  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    SaeLatentStats stats;
    g_assert_true (sae_latent_stats_init (&stats, D_SAE, NULL));
    add_rows (&stats, model, rows, 0);
    for (gsize at = 0; at < N_ROWS; at += cuts[i])
      add_rows (&stats, model, rows + at * D_IN, MIN (cuts[i], N_ROWS - at));
    g_assert_cmpuint (stats.n_rows, ==, N_ROWS);
    for (guint latent = 0; latent < D_SAE; latent++)
      check_latent (&stats, g_bytes_get_data (dense, NULL), latent);
    sae_latent_stats_clear (&stats);
  }
}

static void
test_save (Scratch *scratch, gconstpointer data)
{
  Noise noise = noise_new ();
  SaeConfig config = {.d_in = D_IN, .d_sae = D_SAE, .k = 7};
  g_autoptr (SaeModel) model = sample_model (&noise, &config);
  g_autoptr (GBytes) x = sample_rows (&noise, N_ROWS, D_IN);
  g_autofree char *path = scratch_path (scratch, "model");
  g_autoptr (SaeModel) loaded = NULL;
  g_autoptr (GError) error = NULL;
  SaeLatentStats stats;

  g_assert_true (sae_latent_stats_init (&stats, D_SAE, NULL));
  add_rows (&stats, model, g_bytes_get_data (x, NULL), N_ROWS);
  sae_model_save_with_stats (model, &stats, path, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (path), ==, 4);
  loaded = sae_model_load (path, &error);
  g_assert_no_error (error);
  sae_model_save (loaded, path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (path), ==, 2);
  stats.d_sae--;
  g_assert_false (
      sae_model_save_with_stats (model, &stats, path, NULL, &error));
  expect_error (&error, SAE_ERROR, SAE_ERROR_SIZE,
      "expected statistics of 90 latents, got 89");
  sae_latent_stats_clear (&stats);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/latent-stats/count-every-row-in-any-cut",
      test_counts);
  scratch_add ("/model/latent-stats/are-saved-with-the-model", test_save);
  return g_test_run ();
}
