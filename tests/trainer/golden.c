/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "golden.h"

#include <jansson.h>

#include "safetensors.h"

static void
golden_free (gpointer data)
{
  Golden *golden = data;

  g_free (golden->name);
  g_hash_table_unref (golden->tensors);
  g_free (golden);
}

static char *
golden_path (const char *file)
{
  return g_build_filename (g_getenv ("SAE_GOLDENS"), "training", file, NULL);
}

static void
load_file (GHashTable *tensors, const char *file)
{
  g_autofree char *path = golden_path (file);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeSafetensors) opened = sae_safetensors_open (path, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < sae_safetensors_get_n_tensors (opened); i++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (opened, i);
    float *values = g_new (float, entry->n_elements);
    sae_safetensors_read_float32 (opened, entry, values, &error);
    g_assert_no_error (error);
    g_hash_table_insert (tensors, g_strdup (entry->name),
        g_bytes_new_take (values, entry->n_elements * sizeof (float)));
  }
}

static double
number (const json_t *run, const char *key)
{
  const json_t *value = json_object_get (run, key);

  g_assert_true (json_is_number (value));
  return json_number_value (value);
}

static gboolean
text_is (const json_t *run, const char *key, const char *text)
{
  const char *value = json_string_value (json_object_get (run, key));

  g_assert_nonnull (value);
  return g_str_equal (value, text);
}

/* Nothing normalised, decoder free, no schedule: what PyTorch was given. */
static SaeTrainerOptions
read_options (const json_t *run)
{
  gboolean l1 = text_is (run, "sparsity", "l1");

  return (SaeTrainerOptions){
      .d_in = 48,
      .d_out = 48,
      .d_sae = 320,
      .k = l1 ? 0 : (guint) number (run, "top_k"),
      .sparsity = l1 ? SAE_SPARSITY_L1 : SAE_SPARSITY_TOP_K,
      .pre_bias = json_is_true (json_object_get (run, "pre_bias")),
      .reduction = text_is (run, "reduction", "sum") ? SAE_REDUCTION_SUM
                                                     : SAE_REDUCTION_MEAN,
      .normalize = SAE_NORMALIZE_NONE,
      .decoder_norm = SAE_DECODER_NORM_FREE,
      .batch_size = (guint) number (run, "rows_per_step"),
      .optimizer = text_is (run, "optimizer", "adam") ? SAE_OPTIMIZER_ADAM
                                                      : SAE_OPTIMIZER_SGD,
      .momentum = number (run, "momentum"),
      .beta1 = number (run, "beta1"),
      .beta2 = number (run, "beta2"),
      .epsilon = number (run, "eps"),
      .learning_rate = number (run, "learning_rate"),
      .l1_coeff = number (run, "l1_coeff"),
      .schedule = SAE_SCHEDULE_CONSTANT,
      .dead_after = 65536,
      .n_threads = 2,
  };
}

static Golden *
golden_new (const char *name, json_t *run)
{
  Golden *golden = g_new0 (Golden, 1);
  json_t *file;
  size_t i;

  golden->name = g_strdup (name);
  golden->options = read_options (run);
  golden->steps = (guint) number (run, "steps");
  golden->rows_per_step = (guint) number (run, "rows_per_step");
  golden->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      (GDestroyNotify) g_bytes_unref);
  json_array_foreach (json_object_get (run, "files"), i, file)
      load_file (golden->tensors, json_string_value (file));
  return golden;
}

GPtrArray *
golden_load_all (void)
{
  GPtrArray *goldens = g_ptr_array_new_with_free_func (golden_free);
  g_autofree char *path = golden_path ("index.json");
  json_error_t json_error;
  json_t *index = json_load_file (path, 0, &json_error), *run;
  const char *name;

  if (!index)
    g_error ("%s: %s", path, json_error.text);
  json_object_foreach (index, name, run)
      g_ptr_array_add (goldens, golden_new (name, run));
  json_decref (index);
  g_assert_cmpuint (goldens->len, ==, 24);
  return goldens;
}

static GBytes *
find (const Golden *golden, const char *name)
{
  GBytes *bytes = g_hash_table_lookup (golden->tensors, name);

  if (!bytes)
    g_error ("%s: no tensor %s", golden->name, name);
  return bytes;
}

const float *
golden_tensor (const Golden *golden, const char *name, gsize n)
{
  GBytes *bytes = find (golden, name);

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, n * sizeof (float));
  return g_bytes_get_data (bytes, NULL);
}

SaeModel *
golden_start (const Golden *golden)
{
  const SaeTrainerOptions *o = &golden->options;
  SaeConfig config = {.d_in = o->d_in,
      .d_sae = o->d_sae,
      .k = o->k,
      .sparsity = o->sparsity,
      .pre_bias = o->pre_bias};
  g_autoptr (GError) error = NULL;
  SaeModel *model = sae_model_new_from_weights (&config,
      find (golden, "init_W_enc"), find (golden, "init_b_enc"),
      find (golden, "init_W_dec"), find (golden, "init_b_dec"), &error);

  g_assert_no_error (error);
  return model;
}

GBytes *
golden_rows (const Golden *golden, guint step)
{
  gsize size = golden->rows_per_step * golden->options.d_in * sizeof (float);

  return g_bytes_new_from_bytes (find (golden, "x"), step * size, size);
}
