/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The pipelines of a run as the words of gst-launch-1.0: what is printed is
 * what is built. */
#pragma once

#include "train-options.h"

typedef struct {
  GPtrArray *words; /* char *, NULL at the end */
  /* Names of files that are no UTF-8, which no word can say: set on the
   * elements of the pipeline when it is made. */
  GPtrArray *unsayable;
} SaeCommand;

/* The run, and the measuring of held-out rows after it. */
SaeCommand *sae_command_for_training (const SaeTrainOptions *options);
SaeCommand *sae_command_for_held_out (const SaeTrainOptions *options);
void sae_command_free (SaeCommand *command);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeCommand, sae_command_free)

/* Numbers in a row of their files, which are opened for it; 0 where they cannot
 * be or are not known before the run. */
guint64 sae_width_of_activations (const SaeTrainOptions *options);
guint64 sae_width_of_held_out (const SaeTrainOptions *options, GError **error);

/* The line for a shell, an error where there is none. (transfer full) */
char *sae_command_to_shell_line (const SaeCommand *command, GError **error);

/* The pipeline that gst-launch-1.0 would make. (transfer full) */
GstElement *sae_command_build (const SaeCommand *command, GError **error);

/* The first @factory_name of @pipeline. (transfer full) */
GstElement *sae_pipeline_find (GstElement *pipeline, const char *factory_name);
