/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saelens.h"

#include <math.h>
#include <string.h>

#include "floats.h"
#include "json-text.h"
#include "regular-file.h"
#include "saelens-config.h"
#include "safetensors-shards.h"
#include "tensor-table.h"

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
  if (dictionary->skip)
    tensors[n++] =
        (SaeTensorSource){"W_skip", 2, {d_out, d_in}, dictionary->W_skip};
  if (has_rule (dictionary, "jump-relu")) /* the last, see list_expected() */
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
         sae_safetensors_exist (weights);
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

  if (folding->one_threshold && !read_one_threshold (file, dictionary, error))
    return FALSE;
  return sae_tensor_table_read (file, tensors,
      n - (folding->one_threshold ? 1 : 0), error);
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
  g_autoptr (SaeSafetensors) file = sae_safetensors_open_sharded (label, error);
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors;

  if (file == NULL)
    return FALSE;
  n_tensors = list_expected (dictionary, folding, file, tensors);
  /* Shapes before memory: what is allocated is then bounded by the file. */
  return sae_tensor_table_check (file, tensors, n_tensors, label, error) &&
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
write_weights (int fd, const char *label, gpointer user_data, GError **error)
{
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors = list_tensors (user_data, tensors);
  return sae_safetensors_write (fd, label, tensors, n_tensors, error);
}

static gboolean
check_arrays (const SaeDictionary *dictionary, GError **error)
{
  SaeTensorSource tensors[MAX_TENSORS];
  guint n_tensors = list_tensors (dictionary, tensors);

  return sae_tensor_table_check_finite ("saelens", tensors, n_tensors, error);
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
  /* Statistics of older weights must not stay beside new ones. */
  const SaeFolderEntry entries[] = {
      {CONFIG_FILE, sae_write_text, config, .extra = TRUE},
      {WEIGHTS_FILE, write_weights, (gpointer) dictionary},
      {SAE_LATENT_STATS_SPARSITY_FILE,
          counted ? sae_latent_stats_write_sparsity : NULL, (gpointer) stats,
          .extra = TRUE},
      {SAE_LATENT_STATS_FILE, counted ? sae_latent_stats_write : NULL,
          (gpointer) stats, .extra = TRUE},
  };

  if (config == NULL || !check_arrays (dictionary, error))
    return FALSE;
  return sae_layouts_replace_folder (path, entries, G_N_ELEMENTS (entries),
      error);
}

static const char *const files[] = {CONFIG_FILE, WEIGHTS_FILE, NULL};

const SaeLayout sae_layout_saelens = {"saelens", files, probe, load, save,
    check};
