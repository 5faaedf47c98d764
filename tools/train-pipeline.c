/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train-pipeline.h"

#include "launch-words.h"
#include "property-text.h"

typedef struct {
  const char *element, *property;
  char **values; /* more than one for a list */
  gboolean is_list;
} Unsayable;

static void
free_unsayable (gpointer data)
{
  Unsayable *unsayable = data;

  g_strfreev (unsayable->values);
  g_free (unsayable);
}

static SaeCommand *
begin (void)
{
  SaeCommand *command = g_new (SaeCommand, 1);

  command->words = g_ptr_array_new_with_free_func (g_free);
  command->unsayable = g_ptr_array_new_with_free_func (free_unsayable);
  return command;
}

void
sae_command_free (SaeCommand *command)
{
  g_ptr_array_unref (command->words);
  g_ptr_array_unref (command->unsayable);
  g_free (command);
}

/* --- words ---------------------------------------------------------------- */

static void
add_word (SaeCommand *command, const char *word)
{
  g_ptr_array_add (command->words, g_strdup (word));
}

static gboolean
can_be_said (const char *const *values)
{
  for (; *values; values++)
    if (!g_utf8_validate (*values, -1, NULL))
      return FALSE;
  return TRUE;
}

static void
add_unsayable (SaeCommand *command, const char *element, const char *property,
    const char *const *values, gboolean is_list)
{
  Unsayable *unsayable = g_new (Unsayable, 1);

  unsayable->element = element;
  unsayable->property = property;
  unsayable->values = g_strdupv ((char **) values);
  unsayable->is_list = is_list;
  g_ptr_array_add (command->unsayable, unsayable);
}

/* @element and @property outlive the command. */
static void
assign (SaeCommand *command, const char *element, const char *property,
    const char *value)
{
  const char *const values[] = {value, NULL};

  if (can_be_said (values))
    g_ptr_array_add (command->words, sae_launch_assignment (property, value));
  else
    add_unsayable (command, element, property, values, FALSE);
}

static void
assign_list (SaeCommand *command, const char *element, const char *property,
    const char *const *values)
{
  if (can_be_said (values))
    g_ptr_array_add (command->words,
        sae_launch_list_assignment (property, values));
  else
    add_unsayable (command, element, property, values, TRUE);
}

static void
assign_all (SaeCommand *command, const char *element, GPtrArray *assignments)
{
  for (guint i = 0; i < assignments->len; i++) {
    SaeAssignment *assignment = g_ptr_array_index (assignments, i);
    assign (command, element, assignment->property, assignment->value);
  }
}

static SaeCommand *
end (SaeCommand *command)
{
  add_word (command, "!");
  add_word (command, "fakesink");
  g_ptr_array_add (command->words, NULL);
  return command;
}

/* --- commands ------------------------------------------------------------- */

static void
add_source (SaeCommand *command, const SaeTrainOptions *options)
{
  const char *const *paths = (const char *const *) options->activations;

  if (options->from_stdin) {
    add_word (command, "fdsrc");
    add_word (command, "!");
    add_word (command, "saeparse");
    assign_all (command, "saeparse", options->source);
    return;
  }
  add_word (command, "saesrc");
  if (paths[1])
    assign_list (command, "saesrc", "locations", paths);
  else
    assign (command, "saesrc", "location", paths[0]);
  assign_all (command, "saesrc", options->source);
}

SaeCommand *
sae_command_for_training (const SaeTrainOptions *options)
{
  SaeCommand *command = begin ();

  add_source (command, options);
  add_word (command, "!");
  add_word (command, "saetrainer");
  assign_all (command, "saetrainer", options->trainer);
  assign (command, "saetrainer", "location", options->out);
  return end (command);
}

static void
add_held_out_source (SaeCommand *command, const SaeTrainOptions *options)
{
  add_word (command, "saesrc");
  assign (command, "saesrc", "location", options->held_out);
}

SaeCommand *
sae_command_for_held_out (const SaeTrainOptions *options)
{
  SaeCommand *command = begin ();
  const char *n_threads = sae_train_options_get (options, "n-threads");

  add_held_out_source (command, options);
  add_word (command, "!");
  add_word (command, "saetrainer");
  assign (command, "saetrainer", "init-location", options->out);
  assign (command, "saetrainer", "frozen", "true");
  if (n_threads)
    assign (command, "saetrainer", "n-threads", n_threads);
  return end (command);
}

/* --- widths --------------------------------------------------------------- */

/* The first number of "32:256", once the files are open. */
static guint64
width_of (GstElement *source)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (source, "src");
  g_autoptr (GstCaps) caps = gst_pad_query_caps (pad, NULL);
  const char *dimensions =
      gst_structure_get_string (gst_caps_get_structure (caps, 0), "dimensions");

  return dimensions ? g_ascii_strtoull (dimensions, NULL, 10) : 0;
}

static guint64
ask_width (SaeCommand *command, GError **error)
{
  g_autoptr (SaeCommand) ended = end (command);
  g_autoptr (GstElement) pipeline = sae_command_build (ended, error);
  g_autoptr (GstElement) source = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) message = NULL;
  guint64 width = 0;

  if (!pipeline)
    return 0;
  source = sae_pipeline_find (pipeline, "saesrc");
  bus = gst_element_get_bus (pipeline);
  if (gst_element_set_state (pipeline, GST_STATE_PAUSED) !=
      GST_STATE_CHANGE_FAILURE)
    width = width_of (source);
  else if ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR)))
    gst_message_parse_error (message, error, NULL);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return width;
}

guint64
sae_width_of_activations (const SaeTrainOptions *options)
{
  SaeCommand *command;

  if (options->from_stdin)
    return 0;
  command = begin ();
  add_source (command, options);
  return ask_width (command, NULL);
}

guint64
sae_width_of_held_out (const SaeTrainOptions *options, GError **error)
{
  SaeCommand *command = begin ();

  add_held_out_source (command, options);
  return ask_width (command, error);
}

/* --- as a line ------------------------------------------------------------ */

char *
sae_command_to_shell_line (const SaeCommand *command, GError **error)
{
  if (command->unsayable->len == 0)
    return sae_launch_shell_line ("gst-launch-1.0",
        (const char *const *) command->words->pdata);
  g_set_error (error, SAE_TOOL_ERROR, 0,
      "%s: gst-launch-1.0 takes names in UTF-8 only, and this is another",
      ((Unsayable *) g_ptr_array_index (command->unsayable, 0))->values[0]);
  return NULL;
}

/* --- the pipeline --------------------------------------------------------- */

static void
set_list (GObject *element, const char *property, char **texts)
{
  g_auto (GValue) array = G_VALUE_INIT;

  g_value_init (&array, GST_TYPE_ARRAY);
  for (; *texts; texts++) {
    GValue value = G_VALUE_INIT;
    g_value_init (&value, G_TYPE_STRING);
    g_value_set_string (&value, *texts);
    gst_value_array_append_and_take_value (&array, &value);
  }
  g_object_set_property (element, property, &array);
}

static void
say_otherwise (GstElement *pipeline, const Unsayable *unsayable)
{
  g_autoptr (GstElement) element =
      sae_pipeline_find (pipeline, unsayable->element);

  if (unsayable->is_list)
    set_list (G_OBJECT (element), unsayable->property, unsayable->values);
  else
    g_object_set (element, unsayable->property, unsayable->values[0], NULL);
}

GstElement *
sae_command_build (const SaeCommand *command, GError **error)
{
  GstElement *pipeline =
      gst_parse_launchv_full ((const gchar **) command->words->pdata, NULL,
          GST_PARSE_FLAG_FATAL_ERRORS, error);

  if (!pipeline)
    return NULL;
  gst_object_ref_sink (pipeline);
  for (guint i = 0; i < command->unsayable->len; i++)
    say_otherwise (pipeline, g_ptr_array_index (command->unsayable, i));
  return pipeline;
}

GstElement *
sae_pipeline_find (GstElement *pipeline, const char *factory_name)
{
  g_autoptr (GstIterator) iterator =
      gst_bin_iterate_all_by_element_factory_name (GST_BIN (pipeline),
          factory_name);
  g_auto (GValue) value = G_VALUE_INIT;

  if (gst_iterator_next (iterator, &value) != GST_ITERATOR_OK)
    return NULL;
  return g_value_dup_object (&value);
}
