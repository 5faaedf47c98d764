/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <string.h>

#include "saelens-config.h"
#include "comma-locale.h"
#include "peak.h"
#include "scratch.h"

static SaeDictionary *
parse (const char *text, SaeSaelensFolding *folding, GError **error)
{
  return sae_saelens_config_parse (text, strlen (text), "cfg.json", folding,
      error);
}

/* As SAELens 6.54 saves a topk model of its own. */
#define TOPK                                                                   \
  "{\"d_in\": 48, \"d_sae\": 320, \"dtype\": \"float32\", \"device\": "        \
  "\"cuda:0\", \"apply_b_dec_to_input\": false, \"normalize_activations\": "   \
  "\"none\", \"reshape_activations\": \"none\", \"metadata\": "                \
  "{\"sae_lens_version\": \"6.54.12\", \"prepend_bos\": true, "                \
  "\"neuronpedia_id\": null, \"context_size\": 128, "                          \
  "\"hook_name\": \"blocks.3\"}, \"k\": 8, "                                   \
  "\"rescale_acts_by_decoder_norm\": true, \"architecture\": \"topk\"}"

static void
test_reads_what_saelens_writes (void)
{
  SaeSaelensFolding folding = {0};
  GError *error = NULL;
  g_autoptr (SaeDictionary) dictionary = parse (TOPK, &folding, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (dictionary->d_in, ==, 48);
  g_assert_cmpuint (dictionary->d_out, ==, 48);
  g_assert_cmpuint (dictionary->d_sae, ==, 320);
  g_assert_cmpuint (dictionary->k, ==, 8);
  g_assert_cmpstr (dictionary->sparsity, ==, "top-k");
  g_assert_cmpstr (dictionary->ties, ==, "lowest-index");
  g_assert_false (dictionary->pre_bias);
  g_assert_true (folding.rescale);
#define VALUE(key) g_hash_table_lookup (dictionary->metadata, key)
  g_assert_cmpstr (VALUE ("hook_name"), ==, "blocks.3");
  g_assert_cmpstr (VALUE ("prepend_bos"), ==, "json:true");
  g_assert_cmpstr (VALUE ("neuronpedia_id"), ==, "json:null");
  g_assert_cmpstr (VALUE ("context_size"), ==, "json:128");
  g_assert_null (dictionary->W_enc);
}

#define STANDARD "\"architecture\": \"standard\", \"d_in\": 4, \"d_sae\": 9"

/* A training configuration, and defaults where keys are absent. */
static void
test_skips_what_only_steers_training (void)
{
  SaeSaelensFolding folding = {TRUE, TRUE, TRUE};
  GError *error = NULL;
  g_autoptr (SaeDictionary) dictionary =
      parse ("{" STANDARD
             ", \"decoder_init_norm\": 0.1, \"l1_coefficient\": 5.0, "
             "\"lp_norm\": 1.0, \"l1_warm_up_steps\": 10, "
             "\"finetuning_scaling_factor\": false}",
          &folding, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (dictionary->sparsity, ==, "l1");
  g_assert_cmpuint (dictionary->k, ==, 0);
  g_assert_true (dictionary->pre_bias);
  g_assert_false (folding.rescale);
}

#define JUMPRELU "\"architecture\": \"jumprelu\", \"d_in\": 4, \"d_sae\": 9"

/* As JumpReLUTrainingSAEConfig has them. */
static void
test_reads_jumprelu (void)
{
  SaeSaelensFolding folding = {TRUE, TRUE, TRUE};
  GError *error = NULL;
  g_autoptr (SaeDictionary) dictionary =
      parse ("{" JUMPRELU ", \"jumprelu_init_threshold\": 0.01, "
             "\"jumprelu_bandwidth\": 0.05, "
             "\"jumprelu_sparsity_loss_mode\": \"tanh\", "
             "\"l0_coefficient\": 1.0, \"l0_warm_up_steps\": 0, "
             "\"pre_act_loss_coefficient\": null, "
             "\"jumprelu_tanh_scale\": 4.0, "
             "\"jumprelu_ste_to_input\": false, \"target_l0\": null}",
          &folding, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (dictionary->sparsity, ==, "jump-relu");
  g_assert_cmpuint (dictionary->k, ==, 0);
  g_assert_true (dictionary->pre_bias);
  g_assert_false (folding.rescale);
}

#define BATCH "\"architecture\": \"batchtopk\", \"d_in\": 4, \"d_sae\": 9"
#define NEW "\"metadata\": {\"sae_lens_version\": \"6.54.12\"}"
#define KWARGS "\"activation_fn_kwargs\""

/* A checkpoint of MatryoshkaBatchTopKTrainingSAE. */
static void
test_reads_checkpoints_of_batch_top_k (void)
{
  SaeSaelensFolding folding;
  GError *error = NULL;
  g_autoptr (SaeDictionary) dictionary =
      parse ("{\"architecture\": \"matryoshka_batchtopk\", \"d_in\": 4, "
             "\"d_sae\": 9, \"k\": 2.5, \"decoder_init_norm\": 0.1, "
             "\"rescale_acts_by_decoder_norm\": true, "
             "\"topk_threshold_lr\": 0.01, \"matryoshka_widths\": [3, 9], "
             "\"use_matryoshka_aux_loss\": false, " NEW "}",
          &folding, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (dictionary->sparsity, ==, "jump-relu");
  g_assert_cmpuint (dictionary->k, ==, 0);
  g_assert_true (folding.rescale);
  g_assert_true (folding.one_threshold);
}

static void
test_reads_normalisations (void)
{
  static const struct {
    const char *text, *input_norm;
  } rows[] = {
      {"\"none\"", "none"},
      {"\"layer_norm\"", "layer-norm"},
      {"\"constant_norm_rescale\"", "constant-norm"},
      {"\"expected_average_only_in\"", "expected-average"},
      {"null", "none"},
      {"false", "none"},
      {"true", "expected-average"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text =
        g_strdup_printf ("{" STANDARD ", \"normalize_activations\": %s}",
            rows[i].text);
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = parse (text, &folding, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (dictionary->input_norm, ==, rows[i].input_norm);
  }
}

/* The folder that SAELens' own users have loaded most: gpt2-small-res-jb, as
 * its loader's test has it, with smaller sizes. */
#define OLD                                                                    \
  "\"activation_fn_str\": \"relu\", \"apply_b_dec_to_input\": true, "          \
  "\"architecture\": \"standard\", \"model_name\": \"gpt2-small\", "           \
  "\"hook_point\": \"blocks.0.hook_resid_pre\", \"hook_point_layer\": 0, "     \
  "\"hook_point_head_index\": null, \"dataset_path\": "                        \
  "\"Skylion007/openwebtext\", \"dataset_trust_remote_code\": true, "          \
  "\"is_dataset_tokenized\": false, \"context_size\": 128, "                   \
  "\"use_cached_activations\": false, \"cached_activations_path\": \"a/b\", "  \
  "\"d_in\": 4, \"n_batches_in_buffer\": 128, \"total_training_tokens\": "     \
  "300000000, \"store_batch_size\": 32, \"device\": \"mps\", \"seed\": 42, "   \
  "\"dtype\": \"torch.float32\", \"b_dec_init_method\": "                      \
  "\"geometric_median\", \"expansion_factor\": 32, "                           \
  "\"from_pretrained_path\": null, \"l1_coefficient\": 8e-05, \"lr\": "        \
  "0.0004, "                                                                   \
  "\"lr_scheduler_name\": null, \"lr_warm_up_steps\": 5000, "                  \
  "\"model_from_pretrained_kwargs\": {\"center_writing_weights\": true}, "     \
  "\"train_batch_size\": 4096, \"use_ghost_grads\": false, "                   \
  "\"feature_sampling_window\": 1000, \"finetuning_scaling_factor\": false, "  \
  "\"feature_sampling_method\": null, \"resample_batches\": 1028, "            \
  "\"feature_reinit_scale\": 0.2, \"dead_feature_window\": 5000, "             \
  "\"dead_feature_estimation_method\": \"no_fire\", "                          \
  "\"dead_feature_threshold\": 1e-08, \"log_to_wandb\": true, "                \
  "\"wandb_project\": \"x\", \"wandb_entity\": null, "                         \
  "\"wandb_log_frequency\": 100, \"n_checkpoints\": 10, \"checkpoint_path\": " \
  "\"checkpoints/y\", \"d_sae\": 9, \"tokens_per_buffer\": 67108864, "         \
  "\"run_name\": \"y\", \"neuronpedia_id\": \"gpt2-small/0-res-jb\", "         \
  "\"normalize_activations\": \"none\", \"prepend_bos\": true, "               \
  "\"sae_lens_training_version\": null"

static void
test_reads_files_from_before_6 (void)
{
  SaeSaelensFolding folding;
  GError *error = NULL;
  g_autoptr (SaeDictionary) dictionary = parse ("{" OLD "}", &folding, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (dictionary->sparsity, ==, "l1");
  g_assert_cmpuint (dictionary->d_sae, ==, 9);
  g_assert_true (dictionary->pre_bias);
  g_assert_cmpstr (VALUE ("hook_name"), ==, "blocks.0.hook_resid_pre");
  g_assert_cmpstr (VALUE ("hook_layer"), ==, "json:0");
  g_assert_cmpstr (VALUE ("model_name"), ==, "gpt2-small");
  g_assert_cmpstr (VALUE ("context_size"), ==, "json:128");
  g_assert_cmpstr (VALUE ("model_from_pretrained_kwargs"), ==,
      "json:{\"center_writing_weights\":true}");
  g_assert_null (VALUE ("hook_point"));
  g_assert_null (VALUE ("lr"));
  g_assert_null (VALUE ("reshape_activations"));
}

static void
test_old_activation_function_makes_topk (void)
{
  static const char *const texts[] =
      {"{\"d_in\": 4, \"d_sae\": 9, \"activation_fn_str\": \"topk\", " KWARGS
       ": {\"k\": 3}}",
          "{" STANDARD ", \"activation_fn\": \"topk\", " KWARGS ": {\"k\": 3}}",
          "{\"architecture\": \"topk\", \"d_in\": 4, \"d_sae\": 9, "
          "\"activation_fn_str\": \"topk\", " KWARGS ": {\"k\": 3}, "
          "\"sae_lens_version\": \"5.10.7\"}"};
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = parse (texts[i], &folding, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (dictionary->sparsity, ==, "top-k");
    g_assert_cmpuint (dictionary->k, ==, 3);
  }
}

/* Old files say it by the name of the hook point only. */
static void
test_hook_z_is_kept (void)
{
  static const char *const texts[] =
      {"{" STANDARD ", \"reshape_activations\": \"hook_z\", " NEW "}",
          "{" STANDARD ", \"hook_name\": \"blocks.0.attn.hook_z\"}",
          "{" STANDARD ", \"hook_point\": \"blocks.0.attn.hook_z\"}"};
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = parse (texts[i], &folding, &error);
    g_autofree char *text = NULL;
    g_assert_no_error (error);
    g_assert_cmpstr (VALUE ("reshape_activations"), ==, "hook_z");
    text = sae_saelens_config_build (dictionary, &error);
    g_assert_no_error (error);
    g_assert_nonnull (strstr (text, "\n \"reshape_activations\": \"hook_z\""));
    g_assert_null (strstr (text, "\n  \"reshape_activations\""));
  }
}

#define TRANSCODER                                                             \
  "\"architecture\": \"skip_transcoder\", \"d_in\": 4, \"d_sae\": 9"

static void
test_reads_and_writes_transcoders (void)
{
  static const struct {
    const char *name, *sparsity;
    gboolean skip;
  } rows[] = {
      {"transcoder", "l1", FALSE},
      {"skip_transcoder", "l1", TRUE},
      {"jumprelu_transcoder", "jump-relu", FALSE},
      {"jumprelu_skip_transcoder", "jump-relu", TRUE},
  };
  for (guint i = 0; i < 2 * G_N_ELEMENTS (rows); i++) {
    guint d_out = i % 2 ? 4 : 6;
    g_autofree char *architecture =
        g_strdup_printf ("\"architecture\": \"%s\"", rows[i / 2].name);
    g_autofree char *text = g_strdup_printf (
        "{%s, \"d_in\": 4, \"d_sae\": 9, \"d_out\": %u, "
        "\"apply_b_dec_to_input\": false, \"metadata\": {\"sae_lens_version\": "
        "\"6.54.12\", \"hook_name_out\": \"blocks.0.hook_mlp_out\"}}",
        architecture, d_out);
    g_autofree char *again = NULL;
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = parse (text, &folding, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (dictionary->d_in, ==, 4);
    g_assert_cmpuint (dictionary->d_out, ==, d_out);
    g_assert_cmpstr (dictionary->sparsity, ==, rows[i / 2].sparsity);
    g_assert_cmpint (dictionary->skip, ==, rows[i / 2].skip);
    again = sae_saelens_config_build (dictionary, &error);
    g_assert_no_error (error);
    g_assert_nonnull (strstr (again, architecture));
    g_assert_nonnull (
        strstr (again, d_out == 4 ? "\"d_out\": 4" : "\"d_out\": 6"));
  }
}

static void
test_refuses_by_name (void)
{
#define TOP "\"architecture\": \"topk\", \"d_in\": 4, \"d_sae\": 9"
  static const struct {
    const char *text;
    gint code;
    const char *part;
  } rows[] = {
      {"", SAE_ERROR_FORMAT, "not valid JSON"},
      {"[]", SAE_ERROR_FORMAT, "expected a JSON object"},
      {"{" STANDARD ", \"d_in\": 4}", SAE_ERROR_FORMAT, "duplicate"},
      {"{}", SAE_ERROR_FORMAT, "d_in: expected a value, found nothing"},
      {"{" NEW "}", SAE_ERROR_FORMAT,
          "architecture: expected a value, found nothing"},
      {"{\"architecture\": 1}", SAE_ERROR_FORMAT, "found 1"},
      {"{\"architecture\": \"abstopk\", \"d_in\": 4}", SAE_ERROR_UNSUPPORTED,
          "\"batchtopk\" or \"matryoshka_batchtopk\", found "
          "\"abstopk\""},
      {"{\"architecture\": \"temporal\"}", SAE_ERROR_UNSUPPORTED,
          "found \"temporal\""},
      {"{\"architecture\": \"matching_pursuit\"}", SAE_ERROR_UNSUPPORTED,
          "found \"matching_pursuit\""},
      {"{" JUMPRELU ", \"k\": 3}", SAE_ERROR_UNSUPPORTED,
          "k: expected nothing"},
      {"{" JUMPRELU ", \"rescale_acts_by_decoder_norm\": true}",
          SAE_ERROR_UNSUPPORTED, "rescale_acts_by_decoder_norm"},
      {"{" JUMPRELU ", \"topk_threshold_lr\": 0.01}", SAE_ERROR_UNSUPPORTED,
          "topk_threshold_lr: not a key"},
      {"{" BATCH ", \"k\": 0}", SAE_ERROR_FORMAT,
          "k: expected a number above 0"},
      {"{" BATCH ", \"k\": \"x\"}", SAE_ERROR_FORMAT, "found \"x\""},
      {"{" TRANSCODER "}", SAE_ERROR_FORMAT,
          "d_out: expected a value, found nothing"},
      {"{" TRANSCODER ", \"d_out\": 0, \"apply_b_dec_to_input\": false}",
          SAE_ERROR_SIZE, "d_out: expected an integer from 1"},
      {"{" TRANSCODER ", \"d_out\": 6}", SAE_ERROR_UNSUPPORTED,
          "apply_b_dec_to_input: expected false with this architecture, found "
          "nothing"},
      {"{" TRANSCODER ", \"d_out\": 6, \"apply_b_dec_to_input\": true}",
          SAE_ERROR_UNSUPPORTED, "apply_b_dec_to_input: expected false"},
      {"{" TRANSCODER ", \"d_out\": 6, \"apply_b_dec_to_input\": false, "
       "\"normalize_activations\": \"layer_norm\"}",
          SAE_ERROR_UNSUPPORTED,
          "normalize_activations: expected \"none\" or "
          "\"expected_average_only_in\" with this architecture"},
      {"{" STANDARD ", \"d_out\": 4}", SAE_ERROR_UNSUPPORTED,
          "d_out: not a key"},
      {"{\"architecture\": \"topk\", \"d_sae\": 9}", SAE_ERROR_FORMAT, "d_in"},
      {"{\"architecture\": \"topk\", \"d_in\": 9}", SAE_ERROR_FORMAT, "d_sae"},
      {"{\"architecture\": \"topk\", \"d_in\": 0, \"d_sae\": 9}",
          SAE_ERROR_SIZE, "d_in: expected an integer from 1 to 268435456"},
      {"{\"architecture\": \"topk\", \"d_in\": -1, \"d_sae\": 9}",
          SAE_ERROR_SIZE, "found -1"},
      {"{\"architecture\": \"topk\", \"d_in\": 4.5, \"d_sae\": 9}",
          SAE_ERROR_SIZE, "found 4.5"},
      {"{\"architecture\": \"topk\", \"d_in\": 268435457, \"d_sae\": 9}",
          SAE_ERROR_SIZE, "found 268435457"},
      {"{" TOP "}", SAE_ERROR_SIZE,
          "k: expected an integer from 1 to d_sae, 9, found nothing"},
      {"{" TOP ", \"k\": 0}", SAE_ERROR_SIZE, "found 0"},
      {"{" TOP ", \"k\": 10}", SAE_ERROR_SIZE, "from 1 to d_sae, 9, found 10"},
      {"{" TOP ", \"k\": null}", SAE_ERROR_SIZE, "found null"},
      {"{" STANDARD ", \"k\": 3}", SAE_ERROR_UNSUPPORTED,
          "k: expected nothing"},
      {"{" STANDARD ", \"rescale_acts_by_decoder_norm\": true}",
          SAE_ERROR_UNSUPPORTED, "rescale_acts_by_decoder_norm"},
      {"{" STANDARD ", \"rescale_acts_by_decoder_norm\": 0}", SAE_ERROR_FORMAT,
          "true or false, found 0"},
      {"{" STANDARD ", \"apply_b_dec_to_input\": 1}", SAE_ERROR_FORMAT,
          "apply_b_dec_to_input: expected true or false, found 1"},
      {"{" STANDARD ", \"normalize_activations\": \"covariance_whitening\"}",
          SAE_ERROR_UNSUPPORTED,
          "normalize_activations: expected \"none\", \"layer_norm\", "
          "\"constant_norm_rescale\" or \"expected_average_only_in\", found "
          "\"covariance_whitening\""},
      {"{" STANDARD ", " NEW ", \"normalize_activations\": null}",
          SAE_ERROR_UNSUPPORTED, "found null"},
      {"{" STANDARD ", " NEW ", \"normalize_activations\": true}",
          SAE_ERROR_UNSUPPORTED, "found true"},
      {"{" STANDARD ", \"normalize_activations\": 1}", SAE_ERROR_UNSUPPORTED,
          "found 1"},
      {"{" STANDARD ", \"reshape_activations\": \"hook_q\"}",
          SAE_ERROR_UNSUPPORTED,
          "reshape_activations: expected \"none\" or \"hook_z\""},
      {"{" STANDARD ", \"reshape_activations\": null}", SAE_ERROR_UNSUPPORTED,
          "found null"},
      {"{" STANDARD ", \"dtype\": \"int8\"}", SAE_ERROR_UNSUPPORTED,
          "dtype: expected"},
      {"{" STANDARD ", \"finetuning_scaling_factor\": 1}", SAE_ERROR_FORMAT,
          "finetuning_scaling_factor: expected true or false, found 1"},
      {"{" STANDARD ", " NEW ", \"activation_fn_str\": \"relu\"}",
          SAE_ERROR_UNSUPPORTED, "activation_fn_str: not a key of SAELens 6 "},
      {"{" STANDARD ", " NEW ", \"model_name\": \"x\"}", SAE_ERROR_UNSUPPORTED,
          "model_name: not a key"},
      {"{" STANDARD ", " NEW ", \"lr\": 1}", SAE_ERROR_UNSUPPORTED,
          "lr: not a key"},
      {"{" STANDARD ", \"activation_fn_str\": \"tanh-relu\"}",
          SAE_ERROR_UNSUPPORTED,
          "activation_fn_str: expected \"relu\" or \"topk\", found "
          "\"tanh-relu\""},
      {"{" STANDARD ", \"activation_fn\": 1}", SAE_ERROR_UNSUPPORTED,
          "activation_fn: expected \"relu\" or \"topk\", found 1"},
      {"{" STANDARD ", \"activation_fn\": \"topk\"}", SAE_ERROR_SIZE,
          "k: expected an integer from 1 to d_sae, 9, found nothing"},
      {"{" STANDARD ", \"activation_fn\": \"topk\", " KWARGS ": {\"k\": 10}}",
          SAE_ERROR_SIZE,
          "activation_fn_kwargs: expected an integer from 1 to "
          "d_sae, 9, found {\"k\":10}"},
      {"{" STANDARD ", " KWARGS ": {\"k\": 3}}", SAE_ERROR_UNSUPPORTED,
          "activation_fn_kwargs: expected nothing with this architecture"},
      {"{" STANDARD ", " KWARGS ": {\"k\": 3, \"postact_fn\": 1}}",
          SAE_ERROR_UNSUPPORTED, "activation_fn_kwargs: expected {} or"},
      {"{" STANDARD ", " KWARGS ": [3]}", SAE_ERROR_UNSUPPORTED, "found [3]"},
      {"{" STANDARD ", " KWARGS ": {\"k\": 0}}", SAE_ERROR_SIZE,
          "activation_fn_kwargs: expected an integer from 1"},
      {"{" JUMPRELU ", \"activation_fn\": \"topk\", " KWARGS ": {\"k\": 3}}",
          SAE_ERROR_UNSUPPORTED,
          "architecture: expected \"standard\" or "
          "\"topk\" with the activation function topk"},
      {"{" STANDARD ", \"new_option\": 1}", SAE_ERROR_UNSUPPORTED,
          "new_option: not a key of SAELens up to 6"},
      {"{" STANDARD ", \"metadata\": []}", SAE_ERROR_FORMAT, "metadata"},
      {"{" STANDARD ", \"metadata\": {\"gst_sae\": 1}}", SAE_ERROR_FORMAT,
          "gst_sae: expected a JSON object"},
      {"{" STANDARD ", \"metadata\": {\"gst_sae\": {\"x\": 1}}}",
          SAE_ERROR_UNSUPPORTED, "x: not known in gst_sae"},
      {"{" STANDARD ", \"metadata\": {\"gst_sae\": {\"ties\": \"x\"}}}",
          SAE_ERROR_UNSUPPORTED, "ties: expected \"lowest-index\""},
      {"{" STANDARD ", \"metadata\": {\"gst_sae\": {\"ties\": 1}}}",
          SAE_ERROR_UNSUPPORTED, "ties"},
      {"{" STANDARD ", \"\\u001b[31m\": 1}", SAE_ERROR_UNSUPPORTED,
          "?[31m: not a key"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_assert_null (parse (rows[i].text, &folding, &error));
    g_assert_true (g_str_has_prefix (error->message, "cfg.json: "));
    scratch_assert_error (&error, rows[i].code, rows[i].part);
  }
}

static void
test_refuses_every_shorter_length (void)
{
  for (gsize size = 0; size < strlen (TOPK); size++) {
    g_autofree char *text = g_memdup2 (TOPK, size);
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_assert_null (
        sae_saelens_config_parse (text, size, "cfg.json", &folding, &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, "not valid JSON");
  }
}

/* --- writing --- */

static SaeDictionary *
make_dictionary (void)
{
  SaeDictionary *dictionary = sae_dictionary_new ();
  dictionary->d_in = dictionary->d_out = 4;
  dictionary->d_sae = 9;
  dictionary->k = 3;
  dictionary->sparsity = g_strdup ("top-k");
  dictionary->ties = g_strdup ("keep-all");
  dictionary->pre_bias = TRUE;
  return dictionary;
}

static void
set_metadata (SaeDictionary *dictionary, const char *key, const char *value)
{
  g_hash_table_insert (dictionary->metadata, g_strdup (key), g_strdup (value));
}

static const char expected_text[] =
    "{\n"
    " \"d_in\": 4,\n"
    " \"d_sae\": 9,\n"
    " \"dtype\": \"float32\",\n"
    " \"device\": \"cpu\",\n"
    " \"apply_b_dec_to_input\": true,\n"
    " \"normalize_activations\": \"none\",\n"
    " \"reshape_activations\": \"none\",\n"
    " \"metadata\": {\n"
    "  \"layers\": [\n"
    "   1,\n"
    "   0.5\n"
    "  ],\n"
    "  \"model\": \"MiniLM\",\n"
    "  \"sae_lens_version\": \"6.0.0\",\n"
    "  \"gst_sae\": {\n"
    "   \"ties\": \"keep-all\"\n"
    "  }\n"
    " },\n"
    " \"k\": 3,\n"
    " \"rescale_acts_by_decoder_norm\": false,\n"
    " \"architecture\": \"topk\"\n"
    "}\n";

static void
test_writes_what_saelens_reads (void)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary ();
  g_autofree char *text = NULL;
  GError *error = NULL;

  set_metadata (dictionary, "model", "MiniLM");
  set_metadata (dictionary, "layers", "json:[1,0.5]");
  text = sae_saelens_config_build (dictionary, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, expected_text);
}

static void
test_metadata_comes_back_as_it_was (void)
{
  static const char *const values[] = {"plain", "", "json", "json:", "json:x",
      "json:{\"a\":", "json:1", "json:null", "json:\"json:1\"", "json:[1,2.5]",
      "json:{\"b\":{\"a\":[true]}}", "[1]", "naïve \"quotes\"\n\t\\"};
  g_autoptr (SaeDictionary) dictionary = make_dictionary ();
  g_autoptr (SaeDictionary) again = NULL;
  g_autofree char *text = NULL;
  SaeSaelensFolding folding;
  GError *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    g_autofree char *key = g_strdup_printf ("key %u", i);
    set_metadata (dictionary, key, values[i]);
  }
  text = sae_saelens_config_build (dictionary, &error);
  g_assert_no_error (error);
  again = parse (text, &folding, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    g_autofree char *key = g_strdup_printf ("key %u", i);
    g_assert_cmpstr (g_hash_table_lookup (again->metadata, key), ==, values[i]);
  }
  g_assert_cmpstr (again->ties, ==, "keep-all");
  g_assert_true (again->pre_bias);
  g_assert_cmpuint (again->k, ==, 3);
}

/* What stands in the file comes back to it: text that looks like ours too. */
static void
test_strings_that_look_encoded_stay_strings (void)
{
  static const char *const strings[] = {"json:1", "json:\\\"a\\\"",
      "json:nonsense", "json:json:1"};
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++) {
    g_autofree char *entry = g_strdup_printf ("\"key\": \"%s\"", strings[i]);
    g_autofree char *text =
        g_strdup_printf ("{" STANDARD ", \"metadata\": {%s}}", entry);
    g_autofree char *again = NULL;
    SaeSaelensFolding folding;
    g_autoptr (SaeDictionary) dictionary = parse (text, &folding, NULL);
    again = sae_saelens_config_build (dictionary, NULL);
    g_assert_nonnull (strstr (again, entry));
  }
}

static void
check_version (const char *version, const char *expected)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary ();
  g_autofree char *text = NULL;
  set_metadata (dictionary, "sae_lens_version", version);
  text = sae_saelens_config_build (dictionary, NULL);
  g_assert_nonnull (strstr (text, expected));
}

/* From a version below 6 SAELens would drop most of the metadata. */
static void
test_version_is_never_below_the_layouts (void)
{
  check_version ("6.54.12", "\"sae_lens_version\": \"6.54.12\"");
  check_version ("5.9", "\"sae_lens_version\": \"6.0.0\"");
  check_version ("json:null", "\"sae_lens_version\": \"6.0.0\"");
}

static void
check_build_refuses (SaeDictionary *dictionary, gint code, const char *part)
{
  GError *error = NULL;
  g_assert_null (sae_saelens_config_build (dictionary, &error));
  scratch_assert_error (&error, code, part);
  sae_dictionary_free (dictionary);
}

/* What cfg.json says comes back to it. */
static void
test_options_survive_a_round_trip (void)
{
  static const char *const options[] =
      {"\"normalize_activations\": \"layer_norm\"",
          "\"normalize_activations\": \"constant_norm_rescale\"",
          "\"normalize_activations\": \"expected_average_only_in\"",
          "\"apply_b_dec_to_input\": false",
          "\"reshape_activations\": \"hook_z\"", "\"architecture\": \"gated\""};
  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    g_autofree char *text =
        g_strdup_printf ("{%s%s, \"d_in\": 4, \"d_sae\": 9, " NEW "}",
            i == 5 ? "" : "\"architecture\": \"standard\", ", options[i]);
    g_autofree char *again = NULL;
    SaeSaelensFolding folding;
    GError *error = NULL;
    g_autoptr (SaeDictionary) dictionary = parse (text, &folding, &error);
    g_assert_no_error (error);
    again = sae_saelens_config_build (dictionary, &error);
    g_assert_no_error (error);
    g_assert_nonnull (strstr (again, options[i]));
  }
}

static void
test_build_refuses_what_the_format_lacks (void)
{
  SaeDictionary *dictionary = make_dictionary ();
  dictionary->d_out = 5;
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED,
      "expected \"l1\" or \"jump-relu\" of a transcoder (from 4 to 5), got "
      "\"top-k\"");
  dictionary = make_dictionary ();
  g_free (dictionary->sparsity);
  dictionary->sparsity = g_strdup ("l1");
  dictionary->d_out = 5;
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED,
      "pre-bias: expected false of a transcoder");
  dictionary = make_dictionary ();
  g_free (dictionary->sparsity);
  dictionary->sparsity = g_strdup ("jump-relu");
  dictionary->skip = TRUE;
  dictionary->pre_bias = FALSE;
  dictionary->input_norm = g_strdup ("layer-norm");
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED,
      "input-norm: expected none of a transcoder's rows");
  dictionary = make_dictionary ();
  g_free (dictionary->sparsity);
  dictionary->sparsity = g_strdup ("batch-top-k");
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED, "sparsity");
  dictionary = make_dictionary ();
  g_clear_pointer (&dictionary->sparsity, g_free);
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED, "sparsity");
  dictionary = make_dictionary ();
  dictionary->input_norm = g_strdup ("whitening");
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED, "input-norm");
  dictionary = make_dictionary ();
  dictionary->k = 10;
  check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED, "k: expected");
  dictionary = make_dictionary ();
  dictionary->d_in = dictionary->d_out = 0;
  check_build_refuses (dictionary, SAE_ERROR_SIZE, "d_in");
}

static void
test_build_refuses_keys_that_break_saelens (void)
{
  static const char *const keys[] = {"gst_sae", "self", "__class__", "items",
      "get"};
  SaeDictionary *dictionary;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    dictionary = make_dictionary ();
    set_metadata (dictionary, keys[i], "x");
    check_build_refuses (dictionary, SAE_ERROR_UNSUPPORTED, keys[i]);
  }
  dictionary = make_dictionary ();
  set_metadata (dictionary, "key", "\xff");
  check_build_refuses (dictionary, SAE_ERROR_FORMAT, "key: expected UTF-8");
  dictionary = make_dictionary ();
  set_metadata (dictionary, "\xff", "value");
  check_build_refuses (dictionary, SAE_ERROR_FORMAT, "expected UTF-8");
}

/* A string is small as one, but what it would be when it is read as JSON, which
 * it looks like, need not be. */
static void
test_values_in_strings_are_bounded (void)
{
  g_autoptr (GString) text =
      g_string_new ("{" STANDARD ", \"metadata\": {\"x\": \"json:[{}");
  g_autoptr (SaeDictionary) dictionary = NULL;
  SaeSaelensFolding folding;
  GError *error = NULL;
  gsize before;

  while (text->len < SAE_SAELENS_MAX_CONFIG - 8)
    g_string_append (text, ",{}");
  g_string_append (text, "]\"}}");
  before = peak_read ();
  dictionary = parse (text->str, &folding, &error);
  g_assert_no_error (error);
  g_assert_true (
      g_str_has_prefix (g_hash_table_lookup (dictionary->metadata, "x"),
          "json:[{},{}"));
  g_assert_cmpuint (peak_read () - before, <, 32u << 20);
}

static void
test_locale_does_not_matter (Scratch *scratch, gconstpointer data)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary ();
  g_autoptr (SaeDictionary) again = NULL;
  g_autofree char *text = NULL;
  SaeSaelensFolding folding;

  if (!comma_locale_enter (scratch->path)) {
    g_test_skip ("no German locale can be made here");
    return;
  }
  set_metadata (dictionary, "model", "MiniLM");
  set_metadata (dictionary, "layers", "json:[1,0.5]");
  text = sae_saelens_config_build (dictionary, NULL);
  again = parse (text, &folding, NULL);
  setlocale (LC_ALL, "C");
  g_assert_cmpstr (text, ==, expected_text);
  g_assert_cmpstr (g_hash_table_lookup (again->metadata, "layers"), ==,
      "json:[1,0.5]");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define PATH "/formats/saelens-config/"
#define ADD(name, test) g_test_add_func (PATH name, test)
  ADD ("reads-what-saelens-writes", test_reads_what_saelens_writes);
  ADD ("skips-what-only-steers-training", test_skips_what_only_steers_training);
  ADD ("reads-jumprelu", test_reads_jumprelu);
  ADD ("reads-checkpoints-of-batch-top-k",
      test_reads_checkpoints_of_batch_top_k);
  ADD ("reads-normalisations", test_reads_normalisations);
  ADD ("reads-files-from-before-6", test_reads_files_from_before_6);
  ADD ("old-activation-function-makes-topk",
      test_old_activation_function_makes_topk);
  ADD ("hook-z-is-kept", test_hook_z_is_kept);
  ADD ("options-survive-a-round-trip", test_options_survive_a_round_trip);
  ADD ("reads-and-writes-transcoders", test_reads_and_writes_transcoders);
  ADD ("refuses-by-name", test_refuses_by_name);
  ADD ("refuses-every-shorter-length", test_refuses_every_shorter_length);
  ADD ("writes-what-saelens-reads", test_writes_what_saelens_reads);
  ADD ("metadata-comes-back-as-it-was", test_metadata_comes_back_as_it_was);
  ADD ("strings-that-look-encoded-stay-strings",
      test_strings_that_look_encoded_stay_strings);
  ADD ("values-in-strings-are-bounded", test_values_in_strings_are_bounded);
  ADD ("version-is-never-below-the-layouts",
      test_version_is_never_below_the_layouts);
  ADD ("build-refuses-what-the-format-lacks",
      test_build_refuses_what_the_format_lacks);
  ADD ("build-refuses-keys-that-break-saelens",
      test_build_refuses_keys_that_break_saelens);
  scratch_add (PATH "locale-does-not-matter", test_locale_does_not_matter);
  return g_test_run ();
}
