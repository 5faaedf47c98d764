/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as latent_stats.safetensors beside a dictionary of 3 latents. What
 * is accepted is written again, and that reads as the same and is written as
 * the same bytes. */
#include "fuzz.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "../same-memory.h"
#include "latent-stats.h"
#include "scratch.h"

#define D_SAE 3

static char *folder, *path;

static void
check_stats (const SaeLatentStats *stats)
{
  g_assert_cmpuint (stats->d_sae, ==, D_SAE);
  g_assert_true (isfinite (stats->unit) && stats->unit > 0);
  for (guint i = 0; i < D_SAE; i++) {
    g_assert_cmpuint (stats->fired[i], <=, stats->n_rows);
    g_assert_true (isfinite (stats->sum[i]) && isfinite (stats->max[i]));
  }
}

static char *
write_stats (SaeLatentStats *stats, gsize *size)
{
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  char *bytes;

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (sae_latent_stats_write (fd, path, stats, NULL));
  close (fd);
  g_assert_true (g_file_get_contents (path, &bytes, size, NULL));
  return bytes;
}

static void
check_again (SaeLatentStats *stats)
{
  gsize size, size_again;
  g_autofree char *bytes = write_stats (stats, &size);
  g_autofree char *bytes_again = NULL;
  SaeLatentStats again;
  g_autoptr (GError) error = NULL;

  g_assert_true (sae_latent_stats_load (&again, folder, D_SAE, &error));
  g_assert_cmpuint (again.n_rows, ==, stats->n_rows);
  assert_same_memory (again.fired, sizeof (guint64) * D_SAE, stats->fired,
      sizeof (guint64) * D_SAE);
  bytes_again = write_stats (&again, &size_again);
  assert_same_memory (bytes, size, bytes_again, size_again);
  sae_latent_stats_clear (&again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  SaeLatentStats stats;
  gboolean ok;

  if (path == NULL) {
    path = fuzz_path (SAE_LATENT_STATS_FILE);
    folder = g_path_get_dirname (path);
  }
  scratch_write (path, data, size);
  ok = sae_latent_stats_load (&stats, folder, D_SAE, &error);
  fuzz_check_error (ok, error);
  if (!ok)
    return 0;
  check_stats (&stats);
  if (stats.n_rows > 0)
    check_again (&stats);
  sae_latent_stats_clear (&stats);
  return 0;
}
