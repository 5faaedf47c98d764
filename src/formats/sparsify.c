/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sparsify.h"

#include <string.h>

#include "regular-file.h"
#include "safetensors-shards.h"
#include "sparsify-config.h"
#include "tensor-table.h"

#define CONFIG_FILE "cfg.json"
#define WEIGHTS_FILE SAE_SPARSIFY_WEIGHTS_FILE
#define MAX_TENSORS 5

/* The file's tensors, and how many they are; nothing is turned. */
static guint
list_tensors (const SaeDictionary *dictionary,
    SaeTensorSource tensors[MAX_TENSORS])
{
  guint64 d_in = dictionary->d_in, d_out = dictionary->d_out;
  guint64 d_sae = dictionary->d_sae;

  tensors[0] =
      (SaeTensorSource){"encoder.weight", 2, {d_sae, d_in}, dictionary->W_enc};
  tensors[1] = (SaeTensorSource){"encoder.bias", 1, {d_sae}, dictionary->b_enc};
  tensors[2] = (SaeTensorSource){"W_dec", 2, {d_sae, d_out}, dictionary->W_dec};
  tensors[3] = (SaeTensorSource){"b_dec", 1, {d_out}, dictionary->b_dec};
  tensors[4] =
      (SaeTensorSource){"W_skip", 2, {d_out, d_in}, dictionary->W_skip};
  return dictionary->skip ? 5 : 4;
}

/* --- loading --- */

static gboolean
probe (const char *path)
{
  g_autofree char *config = g_build_filename (path, CONFIG_FILE, NULL);
  g_autofree char *weights = g_build_filename (path, WEIGHTS_FILE, NULL);
  return g_file_test (config, G_FILE_TEST_EXISTS) &&
         sae_safetensors_exist (weights);
}

static SaeDictionary *
load_config (const char *path, GError **error)
{
  g_autofree char *config = g_build_filename (path, CONFIG_FILE, NULL);
  g_autoptr (GBytes) text =
      sae_regular_file_load (config, SAE_SPARSIFY_MAX_CONFIG, error);

  if (text == NULL)
    return NULL;
  return sae_sparsify_config_parse (g_bytes_get_data (text, NULL),
      g_bytes_get_size (text), config, error);
}

static gboolean
load_weights (SaeDictionary *dictionary, const char *label, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open_sharded (label, error);
  SaeTensorSource tensors[MAX_TENSORS];
  guint n = list_tensors (dictionary, tensors);

  /* Shapes before memory: what is allocated is then bounded by the file. */
  if (file == NULL ||
      !sae_tensor_table_check (file, tensors, n, label, error) ||
      !sae_dictionary_allocate (dictionary, error))
    return FALSE;
  list_tensors (dictionary, tensors);
  return sae_tensor_table_read (file, tensors, n, error);
}

static SaeDictionary *
load (const char *path, GError **error)
{
  g_autofree char *weights = g_build_filename (path, WEIGHTS_FILE, NULL);
  g_autoptr (SaeDictionary) dictionary = load_config (path, error);

  if (dictionary == NULL || !load_weights (dictionary, weights, error))
    return NULL;
  return g_steal_pointer (&dictionary);
}

/* --- saving --- */

static gboolean
write_weights (int fd, const char *label, gpointer user_data, GError **error)
{
  SaeTensorSource tensors[MAX_TENSORS];
  guint n = list_tensors (user_data, tensors);
  return sae_safetensors_write (fd, label, tensors, n, error);
}

static gboolean
check (const SaeDictionary *dictionary, GError **error)
{
  g_autofree char *config = sae_sparsify_config_build (dictionary, error);
  return config != NULL;
}

static gboolean
save (const SaeDictionary *dictionary, const char *path, GError **error)
{
  g_autofree char *config = sae_sparsify_config_build (dictionary, error);
  SaeTensorSource tensors[MAX_TENSORS];
  const SaeLatentStats *stats = dictionary->stats;
  gboolean counted = stats != NULL && stats->n_rows > 0;
  /* Statistics of older weights must not stay beside new ones. */
  const SaeFolderEntry entries[] = {
      {CONFIG_FILE, sae_write_text, config, .extra = TRUE},
      {WEIGHTS_FILE, write_weights, (gpointer) dictionary},
      {SAE_LATENT_STATS_SPARSITY_FILE, NULL, NULL, .extra = TRUE},
      {SAE_LATENT_STATS_FILE, counted ? sae_latent_stats_write : NULL,
          (gpointer) stats, .extra = TRUE},
  };

  if (config == NULL || !sae_tensor_table_check_finite ("sparsify", tensors,
                            list_tensors (dictionary, tensors), error))
    return FALSE;
  return sae_layouts_replace_folder (path, entries, G_N_ELEMENTS (entries),
      error);
}

static const char *const files[] = {CONFIG_FILE, WEIGHTS_FILE, NULL};

const SaeLayout sae_layout_sparsify = {"sparsify", files, probe, load, save,
    check};
