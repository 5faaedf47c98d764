/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the command line of sae-train asks for. */
#pragma once

#include <gst/gst.h>

/* A property and its text, as it is given to the element. */
typedef struct {
  char *property;
  char *value;
} SaeAssignment;

typedef struct {
  char **activations; /* at least one, or "-" alone */
  gboolean from_stdin;
  char *out;
  char *held_out; /* NULL without */
  gboolean print_pipeline, quiet, json;
  GPtrArray *source;  /* SaeAssignment: of saesrc or saeparse */
  GPtrArray *trainer; /* SaeAssignment, but for location */
} SaeTrainOptions;

/* Reads and checks @argv; NULL with @error set. It asks the elements what
 * their properties are, so they have to be there: @prepare is called once the
 * words are read, before that. */
SaeTrainOptions *sae_train_options_parse (int *argc, char ***argv,
    gboolean (*prepare) (GError **error), GError **error);
void sae_train_options_free (SaeTrainOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeTrainOptions, sae_train_options_free)

/* What was asked for @property of the trainer, or NULL. */
const char *
sae_train_options_get (const SaeTrainOptions *options, const char *property);
