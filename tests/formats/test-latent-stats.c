/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of statistics hold, and when a dictionary's folder has them.
 */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "layouts.h"
#include "safetensors.h"
#include "scratch.h"

#define D_SAE 6

/* 1,000 rows: never, always, one, ten, a hundred, a third of them. */
static SaeLatentStats
make_stats (void)
{
  static const guint64 fired[D_SAE] = {0, 1000, 1, 10, 100, 333};
  SaeLatentStats stats;

  g_assert_true (sae_latent_stats_init (&stats, D_SAE, NULL));
  g_assert_cmpfloat (stats.unit, ==, 1);
  g_assert_cmpuint (stats.n_rows, ==, 0);
  stats.n_rows = 1000;
  for (guint i = 0; i < D_SAE; i++) {
    stats.fired[i] = fired[i];
    stats.sum[i] = 0.25 * i * (double) fired[i];
    stats.max[i] = (float) i * 0.5f;
  }
  return stats;
}

static SaeDictionary *
make_dictionary (const SaeLatentStats *stats)
{
  SaeDictionary *dictionary = sae_dictionary_new ();

  dictionary->d_in = dictionary->d_out = 2;
  dictionary->d_sae = D_SAE;
  dictionary->sparsity = g_strdup ("l1");
  dictionary->stats = stats;
  g_assert_true (sae_dictionary_allocate (dictionary, NULL));
  return dictionary;
}

/* Saves to "out" of the folder, whose path is returned. (transfer full) */
static char *
save (Scratch *scratch, const SaeLatentStats *stats)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary (stats);
  char *path = scratch_path (scratch, "out");
  GError *error = NULL;

  sae_layouts_save (dictionary, "saelens", path, &error);
  g_assert_no_error (error);
  return path;
}

static void
read_floats (const char *folder, const char *file, const char *name,
    float *values, gsize n)
{
  g_autofree char *path = g_build_filename (folder, file, NULL);
  GError *error = NULL;
  g_autoptr (SaeSafetensors) opened = sae_safetensors_open (path, &error);
  const SaeTensorEntry *entry;

  g_assert_no_error (error);
  entry = sae_safetensors_find (opened, name);
  g_assert_nonnull (entry);
  g_assert_cmpstr (entry->dtype_name, ==, "F32");
  g_assert_cmpuint (entry->rank, ==, 1);
  g_assert_cmpuint (entry->shape[0], ==, n);
  sae_safetensors_read_float32 (opened, entry, values, &error);
  g_assert_no_error (error);
}

static void
expect_floats (const char *folder, const char *name, const float *want, gsize n)
{
  g_autofree float *got = g_new (float, n);

  read_floats (folder, "latent_stats.safetensors", name, got, n);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat (got[i], ==, want[i]);
}

/* The powers of ten are what they should be; never is −10, always is 0. */
static void
test_sparsity_is_log10 (Scratch *scratch, gconstpointer data)
{
  static const double want[D_SAE] = {-10, 0, -3, -2, -1, -0.47755576649368};
  SaeLatentStats stats = make_stats ();
  g_autofree char *folder = save (scratch, &stats);
  float got[D_SAE];

  read_floats (folder, "sparsity.safetensors", "sparsity", got, D_SAE);
  g_assert_cmpfloat (got[0], ==, -10);
  g_assert_cmpfloat (got[1], ==, 0);
  for (guint i = 0; i < D_SAE; i++)
    g_assert_cmpfloat_with_epsilon (got[i], want[i], 1e-6);
  sae_latent_stats_clear (&stats);
}

static void
test_latents_in_units_of_the_stream (Scratch *scratch, gconstpointer data)
{
  const float fraction[D_SAE] = {0, 1, 0.001f, 0.01f, 0.1f, 0.333f};
  const float mean[D_SAE] = {0, 1, 2, 3, 4, 5};
  const float max[D_SAE] = {0, 2, 4, 6, 8, 10};
  SaeLatentStats stats = make_stats ();
  g_autofree char *folder = NULL;

  stats.unit = 4;
  folder = save (scratch, &stats);
  expect_floats (folder, "fired_fraction", fraction, D_SAE);
  expect_floats (folder, "mean_when_active", mean, D_SAE);
  expect_floats (folder, "max_when_active", max, D_SAE);
  sae_latent_stats_clear (&stats);
}

/* Half decades: −10, −3, −2 and −1 are lower edges, −0.48 is in the last bin
 * and so is 0. */
static void
test_histogram (Scratch *scratch, gconstpointer data)
{
  float counts[20] = {[0] = 1, [14] = 1, [16] = 1, [18] = 1, [19] = 2};
  float edges[21];
  SaeLatentStats stats = make_stats ();
  g_autofree char *folder = save (scratch, &stats);

  for (guint i = 0; i < 21; i++)
    edges[i] = -10 + 0.5f * (float) i;
  expect_floats (folder, "log10_histogram_counts", counts, 20);
  expect_floats (folder, "log10_histogram_edges", edges, 21);
  sae_latent_stats_clear (&stats);
}

static void
test_rows_are_in_the_metadata (Scratch *scratch, gconstpointer data)
{
  SaeLatentStats stats = make_stats ();
  g_autofree char *folder = NULL;
  g_autofree char *path = NULL, *text = NULL;

  stats.n_rows = G_GUINT64_CONSTANT (123456789012345);
  folder = save (scratch, &stats);
  path = g_build_filename (folder, "latent_stats.safetensors", NULL);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (
      strstr (text + 8, "\"__metadata__\":{\"rows\":\"123456789012345\"}"));
  sae_latent_stats_clear (&stats);
}

/* --- when they are there --- */

static void
expect_files (const char *folder, gboolean with_stats)
{
  g_autofree char *sparsity =
      g_build_filename (folder, "sparsity.safetensors", NULL);
  g_autofree char *stats =
      g_build_filename (folder, "latent_stats.safetensors", NULL);

  g_assert_cmpint (g_file_test (sparsity, G_FILE_TEST_EXISTS), ==, with_stats);
  g_assert_cmpint (g_file_test (stats, G_FILE_TEST_EXISTS), ==, with_stats);
}

/* Statistics of other weights would be lies; other files stay. */
static void
test_stale_files_go (Scratch *scratch, gconstpointer data)
{
  SaeLatentStats stats = make_stats ();
  SaeLatentStats empty = make_stats ();
  const SaeLatentStats *const saves[] = {NULL, &stats, &stats, NULL, &stats,
      &empty, &stats};
  g_autofree char *note = scratch_path (scratch, "out/note");

  sae_latent_stats_reset (&empty);
  g_assert_cmpuint (empty.n_rows + empty.fired[1], ==, 0);
  g_assert_cmpfloat (empty.sum[1] + empty.max[1], ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (saves); i++) {
    g_autofree char *folder = save (scratch, saves[i]);
    expect_files (folder, saves[i] == &stats);
    if (i == 0)
      scratch_write_text (note, "mine");
    scratch_assert_text (note, "mine");
    g_assert_cmpuint (scratch_count (folder), ==, saves[i] == &stats ? 5 : 3);
    g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
  }
  sae_latent_stats_clear (&stats);
  sae_latent_stats_clear (&empty);
}

/* Whatever they hold: they are not read. */
static void
test_loading_does_not_look (Scratch *scratch, gconstpointer data)
{
  SaeLatentStats stats = make_stats ();
  g_autofree char *folder = save (scratch, &stats);
  g_autofree char *sparsity =
      scratch_path (scratch, "out/sparsity.safetensors");
  g_autoptr (SaeDictionary) dictionary = NULL;
  GError *error = NULL;

  scratch_write_text (sparsity, "nonsense");
  dictionary = sae_layouts_load (folder, &error);
  g_assert_no_error (error);
  g_assert_null (dictionary->stats);
  sae_latent_stats_clear (&stats);
}

/* A folder with a file of that name and no dictionary is somebody else's. */
static void
test_they_do_not_make_a_folder_ours (Scratch *scratch, gconstpointer data)
{
  SaeLatentStats stats = make_stats ();
  g_autoptr (SaeDictionary) dictionary = make_dictionary (&stats);
  g_autofree char *file = scratch_path (scratch, "sparsity.safetensors");
  GError *error = NULL;

  scratch_write_text (file, "mine");
  g_assert_false (
      sae_layouts_save (dictionary, "saelens", scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE,
      "expected an empty folder or one with sae_weights.safetensors in it");
  scratch_assert_text (file, "mine");
  sae_latent_stats_clear (&stats);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) scratch_add ("/formats/latent-stats/" name, test)
  ADD ("sparsity-is-log10-of-the-fraction", test_sparsity_is_log10);
  ADD ("latents-in-units-of-the-stream", test_latents_in_units_of_the_stream);
  ADD ("histogram-by-half-decades", test_histogram);
  ADD ("rows-are-in-the-metadata", test_rows_are_in_the_metadata);
  ADD ("stale-files-go", test_stale_files_go);
  ADD ("loading-does-not-look", test_loading_does_not_look);
  ADD ("they-do-not-make-a-folder-ours", test_they_do_not_make_a_folder_ours);
  return g_test_run ();
}
