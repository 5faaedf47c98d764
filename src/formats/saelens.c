/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens.h"

#include <math.h>
#include <string.h>

#include "atomic-write.h"
#include "json-text.h"
#include "regular-file.h"
#include "saelens-config.h"
#include "safetensors-shards.h"
#include "sparsify.h"

#define CONFIG_FILE "cfg.json"
#define WEIGHTS_FILE SAE_SAELENS_WEIGHTS_FILE
#define MAX_TENSORS 5
#define TENSOR_NAMES "W_enc, W_dec, b_enc and b_dec"
#define THRESHOLD_TENSOR_NAMES "W_enc, W_dec, b_enc, b_dec and threshold"

/* The file's tensors, and how many they are. Only W_enc is kept the other way
 * round in memory. */
static guint
list_tensors (const SaeDictionary *dictionary,
    SaeTensorSource tensors[MAX_TENSORS])
{
  guint64 d_in = dictionary->d_in, d_sae = dictionary->d_sae;

  tensors[0] = (SaeTensorSource){"W_enc", 2, {d_in, d_sae}, dictionary->W_enc,
      .transposed = TRUE};
  tensors[1] = (SaeTensorSource){"W_dec", 2, {d_sae, d_in}, dictionary->W_dec};
  tensors[2] = (SaeTensorSource){"b_enc", 1, {d_sae}, dictionary->b_enc};
  tensors[3] = (SaeTensorSource){"b_dec", 1, {d_in}, dictionary->b_dec};
  tensors[4] =
      (SaeTensorSource){"threshold", 1, {d_sae}, dictionary->threshold};
  return g_strcmp0 (dictionary->sparsity, "jump-relu") == 0 ? 5 : 4;
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
load_config (const char *path, gboolean *rescale, GError **error)
{
  g_autofree char *config = g_build_filename (path, CONFIG_FILE, NULL);
  g_autoptr (GBytes) text =
      sae_regular_file_load (config, SAE_SAELENS_MAX_CONFIG, error);

  if (text == NULL)
    return NULL;
  return sae_saelens_config_parse (g_bytes_get_data (text, NULL),
      g_bytes_get_size (text), config, rescale, error);
}

static char *
shape_to_string (guint rank, const guint64 *shape)
{
  GString *text = g_string_new ("[");
  for (guint i = 0; i < rank; i++)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, i == 0 ? "" : ", ",
        shape[i]);
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}

static gboolean
check_tensor (SaeSafetensors *file, const SaeTensorSource *tensor,
    const char *label, GError **error)
{
  const SaeTensorEntry *entry = sae_safetensors_find (file, tensor->name);
  g_autofree char *expected = shape_to_string (tensor->rank, tensor->shape);
  g_autofree char *found = NULL;

  if (entry == NULL)
    found = g_strdup ("no such tensor");
  else if (!entry->readable)
    found = g_strdup (entry->dtype_name);
  else if (entry->rank != tensor->rank ||
           memcmp (entry->shape, tensor->shape,
               tensor->rank * sizeof *tensor->shape) != 0)
    found = shape_to_string (entry->rank, entry->shape);
  if (found == NULL)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: %s: expected %s, file has %s", label, tensor->name, expected, found);
  return FALSE;
}

static gboolean
check_tensors (SaeSafetensors *file, const SaeTensorSource *tensors,
    guint n_tensors, const char *label, GError **error)
{
  for (guint i = 0; i < n_tensors; i++)
    if (!check_tensor (file, &tensors[i], label, error))
      return FALSE;
  for (guint n = 0; n < sae_safetensors_get_n_tensors (file); n++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (file, n);
    guint i = 0;
    while (i < n_tensors && strcmp (tensors[i].name, entry->name) != 0)
      i++;
    if (i == n_tensors) {
      g_autofree char *shown = sae_json_shorten (entry->name);
      g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
          "%s: expected the tensors %s, file also has '%s'", label,
          n_tensors == MAX_TENSORS ? THRESHOLD_TENSOR_NAMES : TENSOR_NAMES,
          shown);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
read_plain (SaeSafetensors *file, const char *name, float *dst, GError **error)
{
  return sae_safetensors_read_float32 (file, sae_safetensors_find (file, name),
      dst, error);
}

static gboolean
read_tensors (SaeSafetensors *file, SaeDictionary *dictionary, GError **error)
{
  return sae_safetensors_read_transposed (file,
             sae_safetensors_find (file, "W_enc"), dictionary->W_enc, error) &&
         read_plain (file, "W_dec", dictionary->W_dec, error) &&
         read_plain (file, "b_enc", dictionary->b_enc, error) &&
         read_plain (file, "b_dec", dictionary->b_dec, error) &&
         (dictionary->threshold == NULL ||
             read_plain (file, "threshold", dictionary->threshold, error));
}

static gboolean
load_weights (SaeDictionary *dictionary, const char *label, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open_sharded (label, error);
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors;

  if (file == NULL)
    return FALSE;
  n_tensors = list_tensors (dictionary, tensors);
  /* Shapes before memory: what is allocated is then bounded by the file. */
  return check_tensors (file, tensors, n_tensors, label, error) &&
         sae_dictionary_allocate (dictionary, error) &&
         read_tensors (file, dictionary, error);
}

static gboolean
scale_row (float *row, gsize n, double factor)
{
  gboolean finite = TRUE;
  for (gsize i = 0; i < n; i++) {
    row[i] = (float) (row[i] * factor);
    finite &= isfinite (row[i]);
  }
  return finite;
}

/* SAELens computes acts = TopK(pre·‖W_dec,i‖) and x_hat = Σ acts_i /
 * ‖W_dec,i‖ · W_dec,i + b_dec: the same as plain top-k with row i of the
 * encoder times its norm and row i of the decoder divided by it. A row of
 * zeros stays one, and its latent never fires. */
static gboolean
fold_decoder_norms (SaeDictionary *dictionary, const char *label,
    GError **error)
{
  gsize d = dictionary->d_in;

  for (gsize i = 0; i < dictionary->d_sae; i++) {
    float *W_dec_i = dictionary->W_dec + i * d;
    double norm = 0;
    for (gsize j = 0; j < d; j++)
      norm += (double) W_dec_i[j] * W_dec_i[j];
    norm = sqrt (norm);
    if (!scale_row (dictionary->W_enc + i * d, d, norm) ||
        !scale_row (dictionary->b_enc + i, 1, norm) ||
        (norm > 0 && !scale_row (W_dec_i, d, 1 / norm))) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "%s: latent %" G_GSIZE_FORMAT ": its weights overflow float32 when "
          "folded by the norm of its decoder row, %g",
          label, i, norm);
      return FALSE;
    }
  }
  return TRUE;
}

static SaeDictionary *
load (const char *path, GError **error)
{
  g_autofree char *weights = g_build_filename (path, WEIGHTS_FILE, NULL);
  g_autoptr (SaeDictionary) dictionary = NULL;
  gboolean rescale = FALSE;

  dictionary = load_config (path, &rescale, error);
  if (dictionary == NULL || !load_weights (dictionary, weights, error))
    return NULL;
  if (rescale && !fold_decoder_norms (dictionary, weights, error))
    return NULL;
  return g_steal_pointer (&dictionary);
}

/* --- saving --- */

static gboolean
write_config (int fd, const char *label, gpointer user_data, GError **error)
{
  const char *text = user_data;
  return sae_write_all (fd, text, strlen (text), label, error);
}

static gboolean
write_weights (int fd, const char *label, gpointer user_data, GError **error)
{
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors = list_tensors (user_data, tensors);
  return sae_safetensors_write (fd, label, tensors, n_tensors, error);
}

static gboolean
check_finite (const SaeTensorSource *tensor, GError **error)
{
  gsize n = (gsize) tensor->shape[0];

  if (tensor->rank == 2)
    n *= (gsize) tensor->shape[1];
  for (gsize i = 0; i < n; i++) {
    if (!isfinite (tensor->data[i])) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "layout 'saelens': %s: expected finite values, got %s at element "
          "%" G_GSIZE_FORMAT,
          tensor->name, isnan (tensor->data[i]) ? "a NaN" : "an infinity", i);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_arrays (const SaeDictionary *dictionary, GError **error)
{
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors = list_tensors (dictionary, tensors);

  for (guint i = 0; i < n_tensors; i++)
    if (!check_finite (&tensors[i], error))
      return FALSE;
  return TRUE;
}

static gboolean
check (const SaeDictionary *dictionary, GError **error)
{
  g_autofree char *config = sae_saelens_config_build (dictionary, error);
  return config != NULL;
}

static gboolean
save (const SaeDictionary *dictionary, const char *path, GError **error)
{
  g_autofree char *config = sae_saelens_config_build (dictionary, error);
  const SaeLatentStats *stats = dictionary->stats;
  gboolean counted = stats != NULL && stats->n_rows > 0;
  /* Statistics and another layout of older weights must not stay beside new
   * ones. */
  const SaeFolderEntry entries[] = {
      {CONFIG_FILE, write_config, config},
      {WEIGHTS_FILE, write_weights, (gpointer) dictionary},
      {SAE_LATENT_STATS_SPARSITY_FILE,
          counted ? sae_latent_stats_write_sparsity : NULL, (gpointer) stats,
          .extra = TRUE},
      {SAE_LATENT_STATS_FILE, counted ? sae_latent_stats_write : NULL,
          (gpointer) stats, .extra = TRUE},
      {SAE_SPARSIFY_WEIGHTS_FILE, NULL, NULL, .extra = TRUE},
  };

  if (config == NULL || !check_arrays (dictionary, error))
    return FALSE;
  return sae_atomic_write_folder (path, entries, G_N_ELEMENTS (entries), error);
}

static const char *const files[] = {CONFIG_FILE, WEIGHTS_FILE, NULL};

const SaeLayout sae_layout_saelens = {"saelens", files, probe, load, save,
    check};
