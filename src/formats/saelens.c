/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens.h"

#include <math.h>
#include <string.h>

#include "atomic-write.h"
#include "floats.h"
#include "json-text.h"
#include "regular-file.h"
#include "saelens-config.h"
#include "safetensors.h"
#include "sparsify.h"

#define CONFIG_FILE "cfg.json"
#define WEIGHTS_FILE SAE_SAELENS_WEIGHTS_FILE
#define MAX_TENSORS 7
#define ONE_THRESHOLD "topk_threshold"

static gboolean
has_rule (const SaeDictionary *dictionary, const char *rule)
{
  return g_strcmp0 (dictionary->sparsity, rule) == 0;
}

/* The file's tensors, and how many they are. Only W_enc is kept the other way
 * round in memory. */
static guint
list_tensors (const SaeDictionary *dictionary,
    SaeTensorSource tensors[MAX_TENSORS])
{
  guint64 d_in = dictionary->d_in, d_out = dictionary->d_out;
  guint64 d_sae = dictionary->d_sae;
  gboolean gated = has_rule (dictionary, "gated");
  guint n = 4;

  tensors[0] = (SaeTensorSource){"W_enc", 2, {d_in, d_sae}, dictionary->W_enc,
      .transposed = TRUE};
  tensors[1] = (SaeTensorSource){"W_dec", 2, {d_sae, d_out}, dictionary->W_dec};
  tensors[2] = (SaeTensorSource){gated ? "b_gate" : "b_enc", 1, {d_sae},
      dictionary->b_enc};
  tensors[3] = (SaeTensorSource){"b_dec", 1, {d_out}, dictionary->b_dec};
  if (has_rule (dictionary, "jump-relu"))
    tensors[n++] =
        (SaeTensorSource){"threshold", 1, {d_sae}, dictionary->threshold};
  if (gated) {
    tensors[n++] = (SaeTensorSource){"r_mag", 1, {d_sae}, dictionary->r_mag};
    tensors[n++] = (SaeTensorSource){"b_mag", 1, {d_sae}, dictionary->b_mag};
  }
  return n;
}

/* --- loading --- */

static gboolean
probe (const char *path)
{
  g_autofree char *config = g_build_filename (path, CONFIG_FILE, NULL);
  g_autofree char *weights = g_build_filename (path, WEIGHTS_FILE, NULL);
  return g_file_test (config, G_FILE_TEST_EXISTS) &&
         g_file_test (weights, G_FILE_TEST_EXISTS);
}

static SaeDictionary *
load_config (const char *path, SaeSaelensFolding *folding, GError **error)
{
  g_autofree char *config = g_build_filename (path, CONFIG_FILE, NULL);
  g_autoptr (GBytes) text =
      sae_regular_file_load (config, SAE_SAELENS_MAX_CONFIG, error);

  if (text == NULL)
    return NULL;
  return sae_saelens_config_parse (g_bytes_get_data (text, NULL),
      g_bytes_get_size (text), config, folding, error);
}

/* Tensors of a folder that is loaded: those of a finished dictionary, but for
 * what is folded. */
static guint
list_expected (const SaeDictionary *dictionary,
    const SaeSaelensFolding *folding, SaeSafetensors *file,
    SaeTensorSource tensors[MAX_TENSORS])
{
  static const char *const factors[] = {"scaling_factor",
      "finetuning_scaling_factor"};
  guint n = list_tensors (dictionary, tensors);

  if (folding->one_threshold)
    tensors[n - 1] = (SaeTensorSource){ONE_THRESHOLD, 0};
  for (guint i = 0; i < G_N_ELEMENTS (factors); i++)
    if (sae_safetensors_find (file, factors[i]) != NULL) {
      tensors[n++] = (SaeTensorSource){factors[i], 1, {dictionary->d_sae}};
      break;
    }
  return n;
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

/* "W_enc, W_dec, b_enc and b_dec" */
static char *
list_names (const SaeTensorSource *tensors, guint n_tensors)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < n_tensors; i++)
    g_string_append_printf (text, "%s%s",
        i == 0               ? ""
        : i == n_tensors - 1 ? " and "
                             : ", ",
        tensors[i].name);
  return g_string_free (text, FALSE);
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
      g_autofree char *names = list_names (tensors, n_tensors);
      g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
          "%s: expected the tensors %s, file also has '%s'", label, names,
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

/* The threshold of batch-top-k is every latent's. */
static gboolean
read_one_threshold (SaeSafetensors *file, SaeDictionary *dictionary,
    GError **error)
{
  float threshold;

  if (!read_plain (file, ONE_THRESHOLD, &threshold, error))
    return FALSE;
  for (guint i = 0; i < dictionary->d_sae; i++)
    dictionary->threshold[i] = threshold;
  return TRUE;
}

static gboolean
read_tensors (SaeSafetensors *file, SaeDictionary *dictionary,
    const SaeSaelensFolding *folding, GError **error)
{
  SaeTensorSource tensors[MAX_TENSORS];
  guint n = list_tensors (dictionary, tensors);

  for (guint i = 0; i < n; i++) {
    const SaeTensorEntry *entry = sae_safetensors_find (file, tensors[i].name);
    float *dst = (float *) tensors[i].data;
    gboolean ok =
        folding->one_threshold && dst == dictionary->threshold
            ? read_one_threshold (file, dictionary, error)
        : tensors[i].transposed
            ? sae_safetensors_read_transposed (file, entry, dst, error)
            : sae_safetensors_read_float32 (file, entry, dst, error);
    if (!ok)
      return FALSE;
  }
  return TRUE;
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

static gboolean
are_all_one (const float *factors, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (fabs (factors[i] - 1.0) > 1e-5 + 1e-8) /* torch.allclose() */
      return FALSE;
  return TRUE;
}

/* What fine-tuning against shrinkage has learned: x_hat = Σ factor_i·latent_i
 * · W_dec,i + b_dec. Factors of 1 stand in many files that never were tuned,
 * and SAELens drops them. */
static gboolean
fold_factors (SaeDictionary *dictionary, const float *factors,
    const char *label, GError **error)
{
  gsize d = dictionary->d_out;

  for (gsize i = 0; i < dictionary->d_sae; i++)
    if (!scale_row (dictionary->W_dec + i * d, d, factors[i])) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "%s: latent %" G_GSIZE_FORMAT ": its row of W_dec overflows float32 "
          "when folded by its scaling_factor, %g",
          label, i, factors[i]);
      return FALSE;
    }
  return TRUE;
}

static gboolean
fold_finetuning (SaeSafetensors *file, const SaeTensorSource *tensor,
    SaeDictionary *dictionary, gboolean finetuned, const char *label,
    GError **error)
{
  g_autofree float *factors =
      sae_floats_new (1, dictionary->d_sae, tensor->name, error);

  if (factors == NULL || !read_plain (file, tensor->name, factors, error))
    return FALSE;
  if (are_all_one (factors, dictionary->d_sae))
    return TRUE;
  if (finetuned)
    return fold_factors (dictionary, factors, label, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: %s: expected ones, since finetuning_scaling_factor is not true in "
      "cfg.json, file has others",
      label, tensor->name);
  return FALSE;
}

/* What is folded, in the order in which SAELens applies it. */
static gboolean
fold (SaeSafetensors *file, const SaeTensorSource *last,
    SaeDictionary *dictionary, const SaeSaelensFolding *folding,
    const char *label, GError **error)
{
  gboolean has_factors = g_str_has_suffix (last->name, "scaling_factor");

  if (folding->finetuned && !has_factors) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "%s: scaling_factor: expected [%u], since finetuning_scaling_factor is "
        "true in cfg.json, file has no such tensor",
        label, dictionary->d_sae);
    return FALSE;
  }
  return (!has_factors || fold_finetuning (file, last, dictionary,
                              folding->finetuned, label, error)) &&
         (!folding->rescale || fold_decoder_norms (dictionary, label, error));
}

static gboolean
load_weights (SaeDictionary *dictionary, const SaeSaelensFolding *folding,
    const char *label, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (label, error);
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors;

  if (file == NULL)
    return FALSE;
  n_tensors = list_expected (dictionary, folding, file, tensors);
  /* Shapes before memory: what is allocated is then bounded by the file. */
  return check_tensors (file, tensors, n_tensors, label, error) &&
         sae_dictionary_allocate (dictionary, error) &&
         read_tensors (file, dictionary, folding, error) &&
         fold (file, &tensors[n_tensors - 1], dictionary, folding, label,
             error);
}

static SaeDictionary *
load (const char *path, GError **error)
{
  g_autofree char *weights = g_build_filename (path, WEIGHTS_FILE, NULL);
  SaeSaelensFolding folding;
  g_autoptr (SaeDictionary) dictionary = load_config (path, &folding, error);

  if (dictionary == NULL ||
      !load_weights (dictionary, &folding, weights, error))
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

const SaeLayout sae_layout_saelens = {"saelens", files, probe, load, save};
