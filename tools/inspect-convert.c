/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-convert.h"

#include <sae.h>

#include "latent-stats.h"
#include "layouts.h"
#include "output.h"

/* SAELens' own file does not say of how many rows it is, and stands alone in
 * folders that SAELens trained. */
static gboolean
has_only_sparsity (const char *folder, const SaeLatentStats *stats)
{
  g_autofree char *path =
      g_build_filename (folder, SAE_LATENT_STATS_SPARSITY_FILE, NULL);

  return stats->n_rows == 0 && g_file_test (path, G_FILE_TEST_EXISTS);
}

static gboolean
convert_with (SaeLatentStats *stats, SaeDictionary *dictionary,
    const char *from, const char *to, const char *layout, GError **error)
{
  gboolean stays = has_only_sparsity (from, stats); /* @to may be @from */

  dictionary->stats = stats;
  if (!sae_layouts_save (dictionary, layout, to, error))
    return FALSE;
  if (stays)
    sae_output_complain ("sae-inspect",
        "warning: %s: %s is not converted, as no %s says of how many rows it "
        "is",
        from, SAE_LATENT_STATS_SPARSITY_FILE, SAE_LATENT_STATS_FILE);
  return TRUE;
}

/* The weights are those of the files, and what runs is checked by a model. */
gboolean
sae_inspect_convert (const char *from, const char *to, const char *layout,
    GError **error)
{
  SaeModel *model = sae_model_load (from, error);
  g_autoptr (SaeDictionary) dictionary = NULL;
  SaeLatentStats stats;
  gboolean ok;

  if (!model)
    return FALSE;
  sae_model_unref (model);
  dictionary = sae_layouts_load (from, error);
  if (!dictionary ||
      !sae_latent_stats_load (&stats, from, dictionary->d_sae, error))
    return FALSE;
  ok = convert_with (&stats, dictionary, from, to, layout, error);
  sae_latent_stats_clear (&stats);
  return ok;
}
