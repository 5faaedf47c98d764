/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dictionaries that other libraries saved, with what these make of some
 * rows. */
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "expect.h"
#include "model.h"
#include "npy.h"
#include "npz.h"
#include "scratch.h"

static const char *const folders[] = {"old-saelens-3-finetuned-hook_z",
    "old-saelens-4-topk-layer_norm", "old-saelens-5-gated", "saelens-gated",
    "saelens-jumprelu", "saelens-standard-bdec0", "saelens-standard-bdec1",
    "saelens-topk-bdec0-rescale0", "saelens-topk-bdec0-rescale1",
    "saelens-topk-bdec1-rescale0", "saelens-topk-bdec1-rescale1",
    "saelens-topk-norm-constant_norm_rescale",
    "saelens-topk-norm-expected_average_only_in",
    "saelens-topk-norm-layer_norm", "sparsify-topk", "sparsify-groupmax",
    "gemma-scope"};

/* A float32 matrix of @rows (0: any) from a .npy file. (transfer full) */
static GBytes *
read_npy (const char *folder, const char *name, guint64 columns)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_build_filename (folder, name, NULL);
  SaeNpyHeader header;
  int fd = sae_npy_open (path, &header, &error);
  gsize size;
  float *values;

  g_assert_no_error (error);
  g_assert_cmpint (header.dtype, ==, SAE_DTYPE_FLOAT32);
  g_assert_cmpuint (header.rank, ==, 2);
  g_assert_cmpuint (header.shape[1], ==, columns);
  size = header.shape[0] * columns * sizeof (float);
  values = g_malloc (size);
  g_assert_cmpint (read (fd, values, size), ==, (gssize) size);
  close (fd);
  return g_bytes_new_take (values, size);
}

static void
expect_close_bytes (const char *what, GBytes *got, GBytes *want)
{
  g_assert_cmpuint (g_bytes_get_size (got), ==, g_bytes_get_size (want));
  expect_close (what, g_bytes_get_data (got, NULL),
      g_bytes_get_data (want, NULL), g_bytes_get_size (got) / sizeof (float),
      1e-5);
}

static void
test_folder (gconstpointer data)
{
  g_autofree char *folder =
      g_build_filename (g_getenv ("SAE_GOLDENS"), data, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) got_latents = NULL, got_x_hat = NULL;
  g_autoptr (GBytes) x = NULL, want_latents = NULL, want_x_hat = NULL;
  g_autoptr (SaeModel) model = sae_model_load (folder, &error);

  if (!sae_npz_is_supported () && g_str_equal (data, "gemma-scope")) {
    expect_error (&error, SAE_ERROR, SAE_ERROR_UNSUPPORTED, "libzip");
    g_test_skip ("built without libzip");
    return;
  }
  g_assert_no_error (error);
  x = read_npy (folder, "x.npy", sae_model_get_d_in (model));
  want_latents = read_npy (folder, "latents.npy", sae_model_get_d_sae (model));
  want_x_hat = read_npy (folder, "x_hat.npy", sae_model_get_d_out (model));
  got_x_hat = sae_model_forward (model, x, &latents, &error);
  g_assert_no_error (error);
  got_latents = sae_latents_to_dense (latents, &error);
  g_assert_no_error (error);
  expect_with ("%s", folder);
  expect_close_bytes ("latents", got_latents, want_latents);
  expect_close_bytes ("x_hat", got_x_hat, want_x_hat);
}

/* --- options ---------------------------------------------------------------
 */

/* What a folder computes, and how it describes itself. */
typedef struct {
  GBytes *latents, *x_hat;
  SaeConfig *config;
  char *reshape;
} Result;

static void
result_free (Result *result)
{
  g_bytes_unref (result->latents);
  g_bytes_unref (result->x_hat);
  sae_config_free (result->config);
  g_free (result->reshape);
  g_free (result);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Result, result_free)

/* NULL with @error set where it is refused. */
static Result *
run (const char *folder, GBytes *x, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (folder, error);
  g_autoptr (SaeLatents) latents = NULL;
  Result *result;

  if (!model)
    return NULL;
  result = g_new0 (Result, 1);
  result->x_hat = sae_model_forward (model, x, &latents, NULL);
  result->latents = sae_latents_to_dense (latents, NULL);
  result->config = sae_model_get_config (model);
  result->reshape =
      g_strdup (sae_model_get_metadata (model, "reshape_activations"));
  return result;
}

static gboolean
computes_the_same (const Result *a, const Result *b)
{
  return g_bytes_equal (a->latents, b->latents) &&
         g_bytes_equal (a->x_hat, b->x_hat);
}

static gboolean
is_the_same (const Result *a, const Result *b)
{
  return computes_the_same (a, b) &&
         a->config->input_norm == b->config->input_norm &&
         g_strcmp0 (a->reshape, b->reshape) == 0;
}

static void
write_config (Scratch *scratch, json_t *config)
{
  g_autofree char *path = scratch_path (scratch, "cfg.json");

  g_assert_cmpint (json_dump_file (config, path, 0), ==, 0);
}

/* Keys that say where SAELens computes, and where and how it was trained. */
static gboolean
changes_nothing (const char *key)
{
  static const char *const names[] = {"device", "dtype", "metadata",
      "hook_point", "hook_point_layer", "model_name", "dataset_path",
      "context_size", "prepend_bos", "sae_lens_training_version", "lr",
      "l1_coefficient", "normalize_sae_decoder", "use_ghost_grads", NULL};

  return g_strv_contains (names, key);
}

/* Other values of an option, all that SAELens knows and one that it does not.
 * NULL-terminated; a number has two others, a flag has one. */
static json_t *
list_other_values (const char *key, json_t *value)
{
  static const struct {
    const char *key, *values[10];
  } words[] = {
      {"architecture", {"standard", "topk", "jumprelu", "gated", "batchtopk",
                           "matryoshka_batchtopk", "temporal", "abstopk", "x"}},
      {"normalize_activations",
          {"none", "layer_norm", "constant_norm_rescale",
              "expected_average_only_in", "covariance_whitening", "x"}},
      {"reshape_activations", {"none", "hook_z", "x"}},
      {"dtype", {"float32", "float16", "bfloat16", "float64"}},
      {"activation_fn_str", {"relu", "topk", "tanh-relu", "x"}},
  };
  json_t *others = json_array ();

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint j = 0;
         strcmp (words[i].key, key) == 0 && words[i].values[j] != NULL; j++)
      if (g_strcmp0 (words[i].values[j], json_string_value (value)) != 0)
        json_array_append_new (others, json_string (words[i].values[j]));
  if (json_is_boolean (value))
    json_array_append_new (others, json_boolean (json_is_false (value)));
  if (json_is_integer (value)) {
    json_array_append_new (others,
        json_integer (json_integer_value (value) + 1));
    json_array_append_new (others,
        json_integer (json_integer_value (value) - 1));
  }
  if (strcmp (key, "activation_fn_kwargs") == 0) {
    json_array_append_new (others, json_pack ("{s:i}", "k", 7));
    json_array_append_new (others, json_object ());
  }
  if (json_array_size (others) == 0)
    json_array_append_new (others, json_string ("another"));
  return others;
}

/* Before SAELens 6 the activation function topk made topk of standard. */
static gboolean
is_another_name (json_t *config, const char *key, json_t *value)
{
  return strcmp (key, "architecture") == 0 &&
         g_strcmp0 (json_string_value (value), "topk") == 0 &&
         g_strcmp0 (json_string_value (
                        json_object_get (config, "activation_fn_str")),
             "topk") == 0;
}

/* Changes an option: it shows, or it is refused by its name. */
static void
check_value (Scratch *scratch, json_t *config, const char *key, json_t *value,
    GBytes *x, const Result *plain)
{
  json_t *changed = json_copy (config);
  g_autofree char *text = json_dumps (value, JSON_ENCODE_ANY);
  g_autoptr (GError) error = NULL;
  g_autoptr (Result) result = NULL;

  json_object_set (changed, key, value);
  write_config (scratch, changed);
  json_decref (changed);
  expect_with ("%s: %s", key, text);
  result = run (scratch->path, x, &error);
  if (changes_nothing (key) || is_another_name (config, key, value)) {
    if (strcmp (key, "metadata") != 0) {
      g_assert_no_error (error);
      g_assert_true (is_the_same (result, plain));
    }
  } else if (result)
    g_assert_false (is_the_same (result, plain));
  else
    g_assert_nonnull (strstr (error->message, scratch->path));
}

static void
check_key (Scratch *scratch, json_t *config, const char *key, GBytes *x,
    const Result *plain)
{
  json_t *others = list_other_values (key, json_object_get (config, key));
  json_t *value;
  gsize i;

  json_array_foreach (others, i, value)
      check_value (scratch, config, key, value, x, plain);
  json_decref (others);
}

static void
copy_weights (Scratch *scratch, const char *folder)
{
  g_autofree char *from =
      g_build_filename (folder, "sae_weights.safetensors", NULL);
  g_autofree char *to = scratch_path (scratch, "sae_weights.safetensors");
  g_autofree char *bytes = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (from, &bytes, &size, NULL));
  g_assert_true (g_file_set_contents (to, bytes, (gssize) size, NULL));
}

static void
check_every_key (Scratch *scratch, json_t *config, const char *folder)
{
  g_autoptr (GBytes) x = read_npy (folder, "x.npy", 48);
  g_autoptr (GBytes) latents = read_npy (folder, "latents.npy", 320);
  g_autoptr (GBytes) x_hat = read_npy (folder, "x_hat.npy", 48);
  g_autoptr (GError) error = NULL;
  g_autoptr (Result) plain = NULL;
  const char *key;
  json_t *value;

  copy_weights (scratch, folder);
  write_config (scratch, config);
  plain = run (scratch->path, x, &error);
  g_assert_no_error (error);
  expect_close_bytes ("latents", plain->latents, latents);
  expect_close_bytes ("x_hat", plain->x_hat, x_hat);
  json_object_foreach (config, key, value)
      check_key (scratch, config, key, x, plain);
}

static void
test_options (Scratch *scratch, gconstpointer data)
{
  g_autofree char *folder =
      g_build_filename (g_getenv ("SAE_GOLDENS"), data, NULL);
  g_autofree char *path = g_build_filename (folder, "cfg.json", NULL);
  json_t *config = json_load_file (path, 0, NULL);

  check_every_key (scratch, config, folder);
  json_decref (config);
}

/* As SAELens 3 to 5 wrote it, with the weights of today's. */
static const char old_config[] =
    "{\"architecture\": \"standard\", \"d_in\": 48, \"d_sae\": 320, "
    "\"dtype\": \"torch.float32\", \"device\": \"cuda\", \"model_name\": "
    "\"gpt2-small\", \"hook_point\": \"blocks.0.hook_resid_pre\", "
    "\"hook_point_layer\": 0, \"activation_fn_str\": \"topk\", "
    "\"activation_fn_kwargs\": {\"k\": 8}, \"apply_b_dec_to_input\": true, "
    "\"finetuning_scaling_factor\": false, \"sae_lens_training_version\": "
    "\"5.10.7\", \"prepend_bos\": true, \"dataset_path\": \"a/b\", "
    "\"context_size\": 128, \"normalize_activations\": \"none\", \"lr\": 0.1, "
    "\"l1_coefficient\": 5.0, \"normalize_sae_decoder\": true, "
    "\"use_ghost_grads\": false}";

static void
test_old_options (Scratch *scratch, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (g_getenv ("SAE_GOLDENS"),
      "saelens-topk-bdec1-rescale0", NULL);
  json_t *config = json_loads (old_config, 0, NULL);

  check_every_key (scratch, config, folder);
  json_decref (config);
}

/* Saved and loaded it computes the same, and says the same of itself. */
static void
test_round_trip (Scratch *scratch, gconstpointer data)
{
  g_autofree char *folder =
      g_build_filename (g_getenv ("SAE_GOLDENS"), data, NULL);
  g_autofree char *path = scratch_path (scratch, "out");
  g_autoptr (GBytes) x = read_npy (folder, "x.npy", 48);
  g_autoptr (SaeModel) model = sae_model_load (folder, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (Result) first = run (folder, x, NULL), again = NULL;

  sae_model_save (model, path, &error);
  g_assert_no_error (error);
  again = run (path, x, &error);
  g_assert_no_error (error);
  g_assert_true (is_the_same (first, again));
  g_assert_cmpint (first->config->sparsity, ==, again->config->sparsity);
  g_assert_cmpint (first->config->pre_bias, ==, again->config->pre_bias);
}

static void
add (const char *what, const char *name,
    void (*test) (Scratch *scratch, gconstpointer data))
{
  g_autofree char *path =
      g_strconcat ("/model/saelens-goldens/", what, "/", name, NULL);

  g_test_add (path, Scratch, name, scratch_set_up, test, scratch_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *path =
        g_strconcat ("/model/saelens-goldens/", folders[i], NULL);
    g_test_add_data_func (path, folders[i], test_folder);
    if (!g_str_has_prefix (folders[i], "saelens-"))
      continue;
    add ("every-option-shows", folders[i], test_options);
    add ("round-trip", folders[i], test_round_trip);
  }
  add ("every-option-shows", "of-before-6", test_old_options);
  return g_test_run ();
}
