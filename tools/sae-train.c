/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sae-train: a pipeline of saesrc and saetrainer as one command. */
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "property-text.h"
#include "train-options.h"
#include "train-pipeline.h"
#include "train-report.h"
#include "train-run.h"

enum { DONE = 0, FAILED = 1, MISUSED = 2 };

/* Where the plugin is installed, when GStreamer does not search there. */
#define PLUGIN PLUGIN_DIR "/libgstsae.so"
static gboolean is_plugin_far, is_plugin_missing;

static gboolean
has_element (const char *name)
{
  g_autoptr (GstElementFactory) factory = gst_element_factory_find (name);

  return factory != NULL;
}

static gboolean
find_elements (GError **error)
{
  g_autoptr (GstPlugin) plugin = NULL;

  if (has_element ("saetrainer"))
    return TRUE;
  plugin = gst_plugin_load_file (PLUGIN, NULL);
  is_plugin_far = TRUE;
  if (plugin && has_element ("saetrainer"))
    return TRUE;
  is_plugin_missing = TRUE;
  g_set_error (error, SAE_TOOL_ERROR, 0,
      "no element saetrainer: expected libgstsae.so in " PLUGIN_DIR
      " or in a folder of GST_PLUGIN_PATH");
  return FALSE;
}

static gboolean
print_command (const SaeCommand *command)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line = sae_command_to_shell_line (command, &error);

  if (!line) {
    sae_output_complain ("sae-train", "%s", error->message);
    return FALSE;
  }
  if (is_plugin_far)
    printf ("GST_PLUGIN_PATH=%s ", PLUGIN_DIR);
  printf ("%s\n", line);
  return TRUE;
}

static int
print_pipelines (const SaeTrainOptions *options)
{
  g_autoptr (SaeCommand) training = sae_command_for_training (options);
  g_autoptr (SaeCommand) held_out = NULL;

  if (!print_command (training))
    return FAILED;
  if (!options->held_out)
    return DONE;
  held_out = sae_command_for_held_out (options);
  return print_command (held_out) ? DONE : FAILED;
}

static gboolean
run_command (const SaeCommand *command, gboolean quiet, const char *stopping,
    SaeRun *run)
{
  g_autoptr (SaeProgress) progress = sae_progress_new (quiet);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = sae_command_build (command, &error);

  if (!pipeline) {
    sae_output_complain ("sae-train", "%s", error->message);
    run->failed = TRUE;
    return FALSE;
  }
  sae_run_pipeline (pipeline, progress, stopping, run);
  return !run->failed;
}

/* Changes with each save, which writes a new cfg.json in every layout. */
static guint64
identify_saved (const char *folder)
{
  g_autofree char *config = g_build_filename (folder, "cfg.json", NULL);
  struct stat status;

  if (stat (config, &status) != 0)
    return 0;
  return (guint64) status.st_ino ^ (guint64) status.st_ctim.tv_nsec << 20;
}

/* Better now than when the training is over. */
static gboolean
check_held_out (const SaeTrainOptions *options)
{
  g_autoptr (GError) error = NULL;
  guint64 expected, got;

  if (!options->held_out)
    return TRUE;
  got = sae_width_of_held_out (options, &error);
  if (error) {
    sae_output_complain ("sae-train", "%s", error->message);
    return FALSE;
  }
  expected = sae_width_of_activations (options);
  if (expected == 0 || got == expected)
    return TRUE;
  sae_output_complain ("sae-train",
      "%s: expected rows of %" G_GUINT64_FORMAT
      " numbers, as in %s, got %" G_GUINT64_FORMAT,
      options->held_out, expected, options->activations[0], got);
  return FALSE;
}

static int
measure_and_report (const SaeTrainOptions *options, const SaeRun *run)
{
  g_auto (SaeRun) held_out = {0};
  g_autoptr (SaeCommand) command = NULL;

  if (options->held_out) {
    command = sae_command_for_held_out (options);
    run_command (command, TRUE, "the dictionary is saved", &held_out);
  }
  sae_train_report_print (options, run,
      options->held_out && !held_out.failed && !held_out.signal ? &held_out
                                                                : NULL);
  if (held_out.signal)
    return 128 + held_out.signal;
  return held_out.failed ? FAILED : DONE;
}

static int
train (const SaeTrainOptions *options)
{
  g_autoptr (SaeCommand) command = sae_command_for_training (options);
  guint64 before = identify_saved (options->out);
  g_auto (SaeRun) run = {0};
  gboolean is_saved;
  int status;

  if (!check_held_out (options))
    return FAILED;
  run_command (command, options->quiet,
      "what was trained is being saved (again to give that up)", &run);
  is_saved = identify_saved (options->out) != before;
  if (run.failed) {
    if (is_saved)
      sae_output_complain ("sae-train", "what was trained until then is in %s",
          options->out);
    return FAILED;
  }
  if (!is_saved) {
    g_printerr ("sae-train: nothing was trained, nothing was written\n");
    return run.signal ? 128 + run.signal : FAILED;
  }
  if (run.signal)
    sae_output_complain ("sae-train",
        "stopped early; what was trained is in %s", options->out);
  status = measure_and_report (options, &run);
  return status == DONE && run.signal ? 128 + run.signal : status;
}

static int
finish (int status)
{
  return sae_output_finish ("sae-train") || status != DONE ? status : FAILED;
}

/* A person at a terminal would wait for ever. */
static gboolean
is_stdin_a_terminal (const SaeTrainOptions *options)
{
  return options->from_stdin && isatty (STDIN_FILENO);
}

int
main (int argc, char **argv)
{
  g_autoptr (SaeTrainOptions) options = NULL;
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  /* Figures are read by programs, too. */
  setlocale (LC_NUMERIC, "C");
  options = sae_train_options_parse (&argc, &argv, find_elements, &error);
  if (!options) {
    sae_output_complain ("sae-train", "%s", error->message);
    if (is_plugin_missing)
      return FAILED;
    g_printerr ("Try sae-train --help\n");
    return MISUSED;
  }
  if (options->print_pipeline)
    return finish (print_pipelines (options));
  if (is_stdin_a_terminal (options)) {
    g_printerr ("sae-train: expected the bytes of a .npy file on standard "
                "input, got a terminal\n");
    return MISUSED;
  }
  return finish (train (options));
}
