/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "golden.h"

#include <jansson.h>
#include <math.h>

#include "sae-enum-types.h"
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
golden_path (const char *folder, const char *file)
{
  return g_build_filename (g_getenv ("SAE_GOLDENS"), folder, file, NULL);
}

/* Of two tensors with the same name the later file's counts. */
static void
load_file (GHashTable *tensors, const char *folder, const char *file)
{
  g_autofree char *path = golden_path (folder, file);
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

/* Of a rule that a run without it may not name. */
static double
number_or (const json_t *run, const char *key, double without)
{
  double value = json_object_get (run, key) ? number (run, key) : 0;

  return value != 0 ? value : without;
}

/* The value whose nickname in the enumeration @type stands under @key. */
static gint
enum_value (const json_t *run, const char *key, GType type)
{
  g_autoptr (GEnumClass) values = g_type_class_ref (type);
  const char *nick = json_string_value (json_object_get (run, key));
  const GEnumValue *value = nick ? g_enum_get_value_by_nick (values, nick) : 0;

  if (!value)
    g_error ("%s: no '%s'", key, nick);
  return value->value;
}

static void
read_prefixes (const json_t *run, char *text)
{
  const json_t *size;
  size_t i;

  json_array_foreach (json_object_get (run, "prefixes"), i, size)
  {
    g_autofree char *next = g_strdup_printf ("%s%s%d", text, i ? "," : "",
        (int) json_integer_value (size));
    g_strlcpy (text, next, SAE_OPTIONS_TEXT);
  }
}

/* Nothing normalised, no schedule: what PyTorch was given. */
static SaeTrainerOptions
read_options (const json_t *run)
{
  gboolean has_norm = json_object_get (run, "decoder_norm") != NULL;
  SaeTrainerOptions options = {
      .d_in = 48,
      .d_out = 48,
      .d_sae = 320,
      .sparsity = enum_value (run, "sparsity", SAE_TYPE_SPARSITY),
      .pre_bias = json_is_true (json_object_get (run, "pre_bias")),
      .reduction = enum_value (run, "reduction", SAE_TYPE_REDUCTION),
      .normalize = SAE_NORMALIZE_NONE,
      .decoder_norm =
          has_norm ? enum_value (run, "decoder_norm", SAE_TYPE_DECODER_NORM)
                   : SAE_DECODER_NORM_FREE,
      .grad_clip = number_or (run, "grad_clip", 0),
      .aux_k = (gint64) number_or (run, "aux_k", 0),
      .aux_coeff = number_or (run, "aux_coeff", 0),
      .k_start = (guint) number_or (run, "k_start", 0),
      .k_anneal_rows = (gint64) number_or (run, "k_anneal_rows", 0),
      .bandwidth = number_or (run, "bandwidth", 0.1),
      .batch_size = (guint) number (run, "rows_per_step"),
      .optimizer = enum_value (run, "optimizer", SAE_TYPE_OPTIMIZER),
      .momentum = number (run, "momentum"),
      .beta1 = number (run, "beta1"),
      .beta2 = number (run, "beta2"),
      .epsilon = number (run, "eps"),
      .learning_rate = number (run, "learning_rate"),
      .decoder_rate = 1,
      .threshold_rate = 1,
      .l1_coeff = number (run, "l1_coeff"),
      .l1_warmup_rows = (gint64) number_or (run, "l1_warmup_rows", 0),
      .schedule = SAE_SCHEDULE_CONSTANT,
      .dead_after = (guint64) number_or (run, "dead_after", 65536),
      .n_threads = 2,
  };

  if (options.sparsity == SAE_SPARSITY_TOP_K ||
      options.sparsity == SAE_SPARSITY_BATCH_TOP_K)
    options.k = (guint) number (run, "top_k");
  read_prefixes (run, options.prefixes);
  return options;
}

static Golden *
golden_new (const char *folder, const char *name, json_t *run)
{
  Golden *golden = g_new0 (Golden, 1);
  json_t *file;
  size_t i;

  golden->name = g_strdup (name);
  golden->options = read_options (run);
  golden->steps = (guint) number (run, "steps");
  golden->rows_per_step = (guint) number (run, "rows_per_step");
  golden->gradient_step = (guint) number_or (run, "gradient_step", 0);
  golden->row_step = (guint) number_or (run, "row_step", 1);
  golden->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      (GDestroyNotify) g_bytes_unref);
  json_array_foreach (json_object_get (run, "files"), i, file)
      load_file (golden->tensors, folder, json_string_value (file));
  return golden;
}

GPtrArray *
golden_load_all (const char *folder)
{
  GPtrArray *goldens = g_ptr_array_new_with_free_func (golden_free);
  g_autofree char *path = golden_path (folder, "index.json");
  json_error_t json_error;
  json_t *index = json_load_file (path, 0, &json_error), *run;
  const char *name;

  if (!index)
    g_error ("%s: %s", path, json_error.text);
  json_object_foreach (index, name, run)
      g_ptr_array_add (goldens, golden_new (folder, name, run));
  json_decref (index);
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

gboolean
golden_has (const Golden *golden, const char *name)
{
  return g_hash_table_contains (golden->tensors, name);
}

/* θ, of which the golden has the logarithm. */
static SaeModel *
add_threshold (const Golden *golden, SaeModel *model)
{
  gsize n = golden->options.d_sae;
  const float *logs = golden_tensor (golden, "init_log_threshold", n);
  float *theta = g_new (float, n);
  g_autoptr (GBytes) threshold = NULL;
  g_autoptr (GError) error = NULL;
  SaeModel *with;

  for (gsize i = 0; i < n; i++)
    theta[i] = expf (logs[i]);
  threshold = g_bytes_new_take (theta, n * sizeof *theta);
  with = sae_model_with_threshold (model, threshold, &error);
  g_assert_no_error (error);
  sae_model_unref (model);
  return with;
}

/* A model of l1 stands in where thresholds make it one of jump-relu, and of
 * top-k for batch-top-k, which no model has. */
SaeModel *
golden_start (const Golden *golden)
{
  const SaeTrainerOptions *o = &golden->options;
  SaeConfig config = {.d_in = o->d_in,
      .d_sae = o->d_sae,
      .k = o->k,
      .sparsity = o->k ? SAE_SPARSITY_TOP_K : SAE_SPARSITY_L1,
      .pre_bias = o->pre_bias};
  g_autoptr (GError) error = NULL;
  SaeModel *model = sae_model_new_from_weights (&config,
      find (golden, "init_W_enc"), find (golden, "init_b_enc"),
      find (golden, "init_W_dec"), find (golden, "init_b_dec"), &error);

  g_assert_no_error (error);
  return o->sparsity == SAE_SPARSITY_JUMP_RELU ? add_threshold (golden, model)
                                               : model;
}

GBytes *
golden_rows (const Golden *golden, guint step)
{
  gsize size = golden->rows_per_step * golden->options.d_in * sizeof (float);

  return g_bytes_new_from_bytes (find (golden, "x"), step * size, size);
}
