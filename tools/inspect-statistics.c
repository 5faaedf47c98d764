/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-statistics.h"

#include <math.h>
#include <string.h>

#include "inspect-arrays.h"
#include "inspect-figures.h"
#include "latent-stats.h"
#include "safetensors.h"

/* log10 (0 + 1e-10), which SAELens writes of a latent that never fired. */
#define SELDOM_LOG10 -9.9999

typedef struct {
  const char *file, *tensor;
  gboolean is_log10;
} Source;

static const Source sources[] = {
    {SAE_LATENT_STATS_FILE, "fired_fraction", FALSE},
    {SAE_LATENT_STATS_SPARSITY_FILE, "sparsity", TRUE},
};

/* --- from a file ---------------------------------------------------------- */

static float *
read_tensor (SaeSafetensors *file, const char *path, const Source *source,
    guint d_sae, GError **error)
{
  const SaeTensorEntry *entry = sae_safetensors_find (file, source->tensor);
  g_autofree float *values = NULL;

  if (!entry || !entry->readable || !sae_dtype_is_float (entry->dtype) ||
      entry->n_elements != d_sae) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: expected a tensor %s of %u numbers, one for each latent", path,
        source->tensor, d_sae);
    return NULL;
  }
  values = g_new (float, d_sae);
  if (!sae_safetensors_read_float32 (file, entry, values, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  return g_steal_pointer (&values);
}

static json_t *
describe (const float *values, guint d_sae, const Source *source,
    const char *rows)
{
  g_autofree double *shares = g_new (double, d_sae);
  guint n_dead = 0;
  json_t *object;

  for (guint i = 0; i < d_sae; i++) {
    gboolean dead =
        source->is_log10 ? values[i] < (float) SELDOM_LOG10 : values[i] <= 0;
    shares[i] = source->is_log10 ? (dead ? 0 : pow (10, values[i])) : values[i];
    n_dead += dead ? 1 : 0;
  }
  object = json_pack ("{s:i, s:f, s:s, s:o}", "dead", (int) n_dead,
      "dead-share", (double) n_dead / d_sae, "dead-by", source->file,
      "fires-in-share-of-rows", sae_inspect_spread (shares, d_sae));
  if (rows)
    json_object_set_new (object, "rows",
        json_integer (g_ascii_strtoll (rows, NULL, 10)));
  return object;
}

static json_t *
from_file (const char *path, const Source *source, guint d_sae, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (path, error);
  g_autofree float *values = NULL;

  if (!file)
    return NULL;
  values = read_tensor (file, path, source, d_sae, error);
  if (!values)
    return NULL;
  return describe (values, d_sae, source,
      sae_safetensors_get_metadata (file, "rows"));
}

/* --- from the weights ----------------------------------------------------- */

/* Cannot be active, or makes no difference when it is: the one reads nothing
 * and has no bias above what it must exceed, the other writes nothing. */
static json_t *
from_weights (SaeModel *model)
{
  guint d_sae = sae_model_get_d_sae (model), n_dead = 0;
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (model);
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
  g_autoptr (GBytes) b_enc = sae_model_get_b_enc (model);
  g_autoptr (GBytes) threshold = sae_model_get_threshold (model);
  g_autofree double *reads = sae_inspect_row_norms (W_enc, d_sae);
  g_autofree double *writes = sae_inspect_row_norms (W_dec, d_sae);
  const float *bias = g_bytes_get_data (b_enc, NULL);
  const float *least = threshold ? g_bytes_get_data (threshold, NULL) : NULL;

  for (guint i = 0; i < d_sae; i++)
    n_dead += writes[i] == 0 ||
              (reads[i] == 0 && bias[i] <= MAX (0, least ? least[i] : 0));
  return json_pack ("{s:i, s:f, s:s}", "dead", (int) n_dead, "dead-share",
      (double) n_dead / d_sae, "dead-by", "weights");
}

json_t *
sae_inspect_statistics (const char *folder, SaeModel *model, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++) {
    g_autofree char *path = g_build_filename (folder, sources[i].file, NULL);
    if (g_file_test (path, G_FILE_TEST_EXISTS))
      return from_file (path, &sources[i], sae_model_get_d_sae (model), error);
  }
  return from_weights (model);
}

/* --- all of both files ---------------------------------------------------- */

static gboolean
verify_file (const char *folder, const Source *source, guint d_sae,
    GError **error)
{
  g_autofree char *path = g_build_filename (folder, source->file, NULL);
  json_t *shares, *tensors = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  shares = from_file (path, source, d_sae, error);
  if (shares)
    tensors = sae_inspect_safetensors (path, TRUE, error);
  json_decref (shares);
  json_decref (tensors);
  return tensors != NULL;
}

gboolean
sae_inspect_verify_statistics (const char *folder, SaeModel *model,
    GError **error)
{
  guint d_sae = sae_model_get_d_sae (model);
  SaeLatentStats stats;

  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    if (!verify_file (folder, &sources[i], d_sae, error))
      return FALSE;
  if (!sae_latent_stats_load (&stats, folder, d_sae, error))
    return FALSE;
  sae_latent_stats_clear (&stats);
  return TRUE;
}
