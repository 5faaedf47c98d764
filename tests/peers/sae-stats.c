/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: sae-stats MODEL X: counts what the dictionary MODEL makes of the rows
 * of X and saves it again, with these statistics beside it. */
#include <stdlib.h>

#include "latent-stats-add.h"
#include "model.h"
#include "npy-file.h"

static gboolean
count (SaeModel *model, GBytes *x, SaeLatentStats *stats, GError **error)
{
  const SaeNet *net = sae_model_get_net (model);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new (1);
  gsize n_rows = g_bytes_get_size (x) / (net->d_in * sizeof (float));
  SaeSparseRows rows;

  if (!sae_net_encode (net, workspace, g_bytes_get_data (x, NULL), n_rows,
          &rows, error))
    return FALSE;
  sae_latent_stats_add (stats, &rows);
  return TRUE;
}

static gboolean
run (const char *path, const char *x_path, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (path, error);
  g_autoptr (GBytes) x = NULL;
  SaeLatentStats stats;
  gboolean ok;
  guint d_in;

  if (!model || !(x = npy_file_read (x_path, &d_in, error)) ||
      !sae_latent_stats_init (&stats, sae_model_get_d_sae (model), error))
    return FALSE;
  ok = count (model, x, &stats, error) &&
       sae_model_save_with_stats (model, &stats, path, NULL, error);
  sae_latent_stats_clear (&stats);
  return ok;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc == 3 && run (argv[1], argv[2], &error))
    return EXIT_SUCCESS;
  g_printerr ("%s\n", error ? error->message : "expected MODEL X");
  return EXIT_FAILURE;
}
