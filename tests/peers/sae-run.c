/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The library from the command line, for tests in a Python that cannot import
 * it: runs a dictionary on the rows of a .npy file, training it first where
 * --train asks for it. */
#include <stdlib.h>

#include "npy-file.h"
#include "sae.h"

static char *model_path, *x_path, *latents_path, *x_hat_path, *sparsity;
static char *threshold_path, *save_path, *layout;
static int train_steps, d_sae = 64, k = 4;
static gboolean pre_bias, skip;

static const GOptionEntry entries[] = {
    {"model", 0, 0, G_OPTION_ARG_FILENAME, &model_path,
        "dictionary to run, and to write with --train", "FOLDER"},
    {"x", 0, 0, G_OPTION_ARG_FILENAME, &x_path, "rows", "FILE"},
    {"latents", 0, 0, G_OPTION_ARG_FILENAME, &latents_path,
        "where dense latents go", "FILE"},
    {"x-hat", 0, 0, G_OPTION_ARG_FILENAME, &x_hat_path,
        "where reconstructions go", "FILE"},
    {"train", 0, 0, G_OPTION_ARG_INT, &train_steps, "train first", "STEPS"},
    {"sparsity", 0, 0, G_OPTION_ARG_STRING, &sparsity, "rule", "NICK"},
    {"dict-size", 0, 0, G_OPTION_ARG_INT, &d_sae, "latents", "N"},
    {"top-k", 0, 0, G_OPTION_ARG_INT, &k, "kept per row", "K"},
    {"threshold", 0, 0, G_OPTION_ARG_FILENAME, &threshold_path,
        "thresholds [1, N] that make jump-relu of what was trained", "FILE"},
    {"save", 0, 0, G_OPTION_ARG_FILENAME, &save_path,
        "where the dictionary that was run is written again", "FOLDER"},
    {"layout", 0, 0, G_OPTION_ARG_STRING, &layout, "what is written", "NAME"},
    {"pre-bias", 0, 0, G_OPTION_ARG_NONE, &pre_bias, "subtract b_dec", NULL},
    {"skip", 0, 0, G_OPTION_ARG_NONE, &skip, "with a skip connection", NULL},
    {NULL},
};

static SaeModel *
add_threshold (SaeModel *model, GError **error)
{
  guint n;
  g_autoptr (GBytes) threshold = npy_file_read (threshold_path, &n, error);

  return threshold ? sae_model_with_threshold (model, threshold, error) : NULL;
}

/* Trains on the same rows over and over, and saves. */
static gboolean
train (GBytes *x, guint d_in, GError **error)
{
  g_autoptr (SaeTrainer) trainer =
      sae_trainer_new (d_in, (guint) d_sae, (guint) k);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (SaeModel) jump_relu = NULL;

  g_object_set (trainer, "sparsity",
      g_strcmp0 (sparsity, "l1") == 0 ? SAE_SPARSITY_L1 : SAE_SPARSITY_TOP_K,
      "pre-bias", pre_bias, "skip-connection", skip, "learning-rate", 1e-2,
      "warmup-rows", (gint64) 0, NULL);
  if (!sae_trainer_start (trainer, error))
    return FALSE;
  for (int step = 0; step < train_steps; step++)
    if (!sae_trainer_step (trainer, x, NULL, error))
      return FALSE;
  model = sae_trainer_get_model (trainer, error);
  if (!model || !threshold_path)
    return model && sae_model_save_as (model, model_path, layout, error);
  jump_relu = add_threshold (model, error);
  return jump_relu && sae_model_save (jump_relu, model_path, error);
}

static gboolean
run (GBytes *x, guint d_in, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (model_path, error);
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GBytes) x_hat = NULL;
  g_autoptr (GBytes) dense = NULL;

  if (!model ||
      (save_path && !sae_model_save_as (model, save_path, layout, error)))
    return FALSE;
  x_hat = sae_model_forward (model, x, &latents, error);
  if (!x_hat)
    return FALSE;
  dense = sae_latents_to_dense (latents, error);
  return dense &&
         npy_file_write (latents_path, dense, sae_model_get_d_sae (model),
             error) &&
         npy_file_write (x_hat_path, x_hat, sae_model_get_d_out (model), error);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) x = NULL;
  guint d_in;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) ||
      !(x = npy_file_read (x_path, &d_in, &error)) ||
      (train_steps > 0 && !train (x, d_in, &error)) || !run (x, d_in, &error)) {
    g_printerr ("%s\n", error->message);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
