/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train-options.h"

#include <stdlib.h>
#include <string.h>

#include "property-text.h"

/* Whose property an option is. */
enum { SOURCE = 1, TRAINER = 2 };

typedef struct {
  const char *name;
  char letter;
  guint of;
  const char *property;
  GOptionArg arg; /* a file name is bytes, a string is text */
  const char *help, *value;
} Mirror;

/* clang-format off */
static const Mirror mirrors[] = {
  {"epochs", 'e', SOURCE, "epochs", G_OPTION_ARG_STRING,
    "Passes over all rows (1)", "N"},
  {"dict-size", 'd', TRAINER, "dict-size", G_OPTION_ARG_STRING,
    "Number of latents (4096)", "N"},
  {"top-k", 'k', TRAINER, "top-k", G_OPTION_ARG_STRING,
    "Latents kept per row (32)", "K"},
  {"sparsity", 's', TRAINER, "sparsity", G_OPTION_ARG_STRING,
    "top-k, batch-top-k, jump-relu or l1 (top-k)", "RULE"},
  {"target-l0", 0, TRAINER, "target-l0", G_OPTION_ARG_STRING,
    "Active latents per row that l1 and jump-relu aim at (32)", "L0"},
  {"l1-coeff", 0, TRAINER, "l1-coeff", G_OPTION_ARG_STRING,
    "Fixed coefficient of the sparsity loss, in place of target-l0", "C"},
  {"prefixes", 0, TRAINER, "prefixes", G_OPTION_ARG_STRING,
    "Sizes of nested (Matryoshka) dictionaries", "N,N,…"},
  {"batch-size", 'b', TRAINER, "batch-size", G_OPTION_ARG_STRING,
    "Rows of one optimiser step (256)", "N"},
  {"learning-rate", 'r', TRAINER, "learning-rate", G_OPTION_ARG_STRING,
    "Learning rate (0 = found from the sizes)", "RATE"},
  {"optimizer", 0, TRAINER, "optimizer", G_OPTION_ARG_STRING,
    "adam, sgd or signum (adam)", "RULE"},
  {"schedule", 0, TRAINER, "schedule", G_OPTION_ARG_STRING,
    "auto, constant, linear, cosine or sqrt (auto)", "SHAPE"},
  {"total-rows", 0, TRAINER, "total-rows", G_OPTION_ARG_STRING,
    "Length of the run, where it cannot be found out", "N"},
  {"shuffle-rows", 0, TRAINER, "shuffle-rows", G_OPTION_ARG_STRING,
    "Rows that are mixed in memory, for standard input", "N"},
  {"seed", 0, SOURCE | TRAINER, "seed", G_OPTION_ARG_STRING,
    "Random start and order; the same seed gives the same bytes (0)", "N"},
  {"layout", 0, TRAINER, "layout", G_OPTION_ARG_STRING,
    "What the dictionary is written as: saelens or sparsify (saelens)", "NAME"},
  {"init", 0, TRAINER, "init", G_OPTION_ARG_STRING,
    "How an untrained dictionary starts: tied or glorot (tied)", "HOW"},
  {"init-from", 'i', TRAINER, "init-location", G_OPTION_ARG_FILENAME,
    "Start from this dictionary", "FOLDER"},
  {"checkpoint", 'c', TRAINER, "checkpoint-location", G_OPTION_ARG_FILENAME,
    "Keep all that the run needs to go on in this file", "FILE"},
  {"checkpoint-interval", 0, TRAINER, "checkpoint-interval",
    G_OPTION_ARG_STRING, "Rows between two checkpoints (0 = at the end)", "N"},
  {"log", 'l', TRAINER, "log-location", G_OPTION_ARG_FILENAME,
    "Append the figures to this file, a line of JSON a second", "FILE"},
  {"metrics", 0, TRAINER, "metrics-location", G_OPTION_ARG_FILENAME,
    "Keep the figures in this file for Prometheus", "FILE"},
  {"metadata", 'm', TRAINER, "metadata", G_OPTION_ARG_STRING,
    "For cfg.json, as in model_name=gpt2,hook_name=blocks.8", "KEY=VALUE,…"},
  {"n-threads", 't', TRAINER, "n-threads", G_OPTION_ARG_STRING,
    "Threads (0 = one each processor)", "N"},
};
/* clang-format on */

#define N_MIRRORS G_N_ELEMENTS (mirrors)

/* What GOption fills. */
typedef struct {
  char *mirrored[N_MIRRORS];
  char **set;
  char *resume;
  gboolean pre_bias, no_shuffle, version;
} Words;

static void
free_assignment (gpointer data)
{
  SaeAssignment *assignment = data;

  g_free (assignment->property);
  g_free (assignment->value);
  g_free (assignment);
}

void
sae_train_options_free (SaeTrainOptions *options)
{
  g_strfreev (options->activations);
  g_free (options->out);
  g_free (options->held_out);
  g_ptr_array_unref (options->source);
  g_ptr_array_unref (options->trainer);
  g_free (options);
}

static const char *
find (GPtrArray *assignments, const char *property)
{
  for (guint i = 0; i < assignments->len; i++) {
    SaeAssignment *assignment = g_ptr_array_index (assignments, i);
    if (strcmp (assignment->property, property) == 0)
      return assignment->value;
  }
  return NULL;
}

const char *
sae_train_options_get (const SaeTrainOptions *options, const char *property)
{
  return find (options->trainer, property);
}

/* --- the words ------------------------------------------------------------ */

static gboolean
take_resume (const char *option, const char *value, gpointer data,
    GError **error)
{
  Words *words = data;

  g_free (words->resume);
  words->resume = g_strdup (value ? value : "replay");
  return TRUE;
}

static void
add_mirrors (GOptionGroup *group, Words *words)
{
  GOptionEntry entries[N_MIRRORS + 1] = {{0}};

  for (guint i = 0; i < N_MIRRORS; i++)
    entries[i] = (GOptionEntry){mirrors[i].name, mirrors[i].letter, 0,
        mirrors[i].arg, &words->mirrored[i], mirrors[i].help, mirrors[i].value};
  g_option_group_add_entries (group, entries);
}

static void
add_others (GOptionGroup *group, SaeTrainOptions *options, Words *words)
{
  const GOptionEntry first[] = {
      {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options->out,
          "Folder for the dictionary; an older one is replaced", "FOLDER"},
      {"held-out", 'H', 0, G_OPTION_ARG_FILENAME, &options->held_out,
          "Measure the dictionary on these rows in the end", "FILE"},
      {NULL},
  };
  const GOptionEntry last[] = {
      {"pre-bias", 0, 0, G_OPTION_ARG_NONE, &words->pre_bias,
          "Subtract b_dec from the input before encoding", NULL},
      {"no-shuffle", 0, 0, G_OPTION_ARG_NONE, &words->no_shuffle,
          "Take the rows in the order of the files", NULL},
      {"resume", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK,
          (gpointer) take_resume,
          "Go on from --checkpoint: replay (default) skips the rows that it "
          "has seen, continue takes all",
          "HOW"},
      {"set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &words->set,
          "Any other property of saetrainer, or saesrc.PROPERTY; may be "
          "repeated (gst-inspect-1.0 saetrainer lists them)",
          "PROPERTY=VALUE"},
      {"print-pipeline", 'p', 0, G_OPTION_ARG_NONE, &options->print_pipeline,
          "Print the gst-launch-1.0 command that does the same, and end", NULL},
      {"json", 0, 0, G_OPTION_ARG_NONE, &options->json,
          "Print the figures of the end as JSON", NULL},
      {"quiet", 'q', 0, G_OPTION_ARG_NONE, &options->quiet,
          "Show no progress and no figures", NULL},
      {"version", 0, 0, G_OPTION_ARG_NONE, &words->version,
          "Print the version and end", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY,
          &options->activations, NULL, NULL},
      {NULL},
  };

  g_option_group_add_entries (group, first);
  add_mirrors (group, words);
  g_option_group_add_entries (group, last);
}

#define SUMMARY                                                                \
  "Trains a sparse autoencoder on activations and writes the dictionary as a " \
  "folder\nthat this library, its GStreamer elements and SAELens load.\n\n"    \
  "ACTIVATIONS is a .npy file of rows, several of them, a folder of them, a "  \
  "pattern such\nas shard-%05d.npy, or - for the bytes of a .npy file on "     \
  "standard input. Ctrl-C ends\nthe run early and saves what was trained."
#define EXAMPLES                                                               \
  "Examples:\n"                                                                \
  "  sae-train train.npy -o out --dict-size 4096 --top-k 32 --epochs 8\n"      \
  "  sae-train shards/ -o out -d 16384 --held-out heldout.npy\n"               \
  "  make-activations | sae-train - -o out --shuffle-rows 65536\n"

static gboolean
read_words (int *argc, char ***argv, SaeTrainOptions *options, Words *words,
    GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("ACTIVATIONS…");
  GOptionGroup *group = g_option_group_new (NULL, NULL, NULL, words, NULL);

  add_others (group, options, words);
  g_option_context_set_main_group (context, group);
  g_option_context_set_summary (context, SUMMARY);
  g_option_context_set_description (context, EXAMPLES);
  g_option_context_add_group (context, gst_init_get_option_group ());
  return g_option_context_parse (context, argc, argv, error);
}

/* --- what they ask for ---------------------------------------------------- */

static GObjectClass *
open_class (const char *factory_name)
{
  g_autoptr (GstElementFactory) factory =
      gst_element_factory_find (factory_name);
  g_autoptr (GstPluginFeature) loaded =
      factory ? gst_plugin_feature_load (GST_PLUGIN_FEATURE (factory)) : NULL;

  if (!loaded)
    return NULL;
  return g_type_class_ref (
      gst_element_factory_get_element_type (GST_ELEMENT_FACTORY (loaded)));
}

/* @word is how the user named it, for errors. */
static gboolean
assign (GPtrArray *assignments, const char *element, const char *property,
    const char *value, const char *word, GError **error)
{
  GObjectClass *object_class = open_class (element);
  SaeAssignment *assignment;
  gboolean ok;

  if (!object_class) {
    g_set_error (error, SAE_TOOL_ERROR, 0, "%s: no such element", element);
    return FALSE;
  }
  ok = sae_property_text_check (object_class, property, value, word, error);
  g_type_class_unref (object_class);
  if (!ok)
    return FALSE;
  if (find (assignments, property)) {
    g_set_error (error, SAE_TOOL_ERROR, 0, "%s: %s of %s is set twice", word,
        property, element);
    return FALSE;
  }
  assignment = g_new (SaeAssignment, 1);
  assignment->property = g_strdup (property);
  assignment->value = g_strdup (value);
  g_ptr_array_add (assignments, assignment);
  return TRUE;
}

static const char *
source_element (const SaeTrainOptions *options)
{
  return options->from_stdin ? "saeparse" : "saesrc";
}

static gboolean
assign_mirrored (SaeTrainOptions *options, const Mirror *mirror,
    const char *value, GError **error)
{
  g_autofree char *word = g_strconcat ("--", mirror->name, NULL);

  if (mirror->of == SOURCE && options->from_stdin) {
    g_set_error (error, SAE_TOOL_ERROR, 0,
        "%s: standard input is read once, in its order", word);
    return FALSE;
  }
  if (mirror->of & SOURCE && !options->from_stdin &&
      !assign (options->source, "saesrc", mirror->property, value, word, error))
    return FALSE;
  return !(mirror->of & TRAINER) || assign (options->trainer, "saetrainer",
                                        mirror->property, value, word, error);
}

/* Those of the pipeline, which have options of their own. */
static gboolean
refuse_ours (const char *name, const char *option, GError **error)
{
  g_set_error (error, SAE_TOOL_ERROR, 0, "--set %s: set it by %s", name,
      option);
  return FALSE;
}

/* "property=value", or "element.property=value". */
static gboolean
assign_set (SaeTrainOptions *options, const char *text, GError **error)
{
  g_auto (GStrv) halves = g_strsplit (text, "=", 2);
  const char *element = source_element (options), *name = halves[0];
  g_autofree char *prefix = g_strconcat (element, ".", NULL);
  g_autofree char *word = NULL;

  if (!name || !halves[1] || !*name) {
    g_set_error (error, SAE_TOOL_ERROR, 0,
        "--set: expected PROPERTY=VALUE, got '%s'", text);
    return FALSE;
  }
  word = g_strdup_printf ("--set %s", name);
  if (g_str_has_prefix (name, prefix)) {
    name += strlen (prefix);
    if (strcmp (name, "location") == 0 || strcmp (name, "locations") == 0)
      return refuse_ours (halves[0], "the ACTIVATIONS", error);
    return assign (options->source, element, name, halves[1], word, error);
  }
  if (g_str_has_prefix (name, "saetrainer."))
    name += strlen ("saetrainer.");
  if (strcmp (name, "location") == 0)
    return refuse_ours (halves[0], "--output", error);
  return assign (options->trainer, "saetrainer", name, halves[1], word, error);
}

static gboolean
assign_all (SaeTrainOptions *options, const Words *words, GError **error)
{
  for (guint i = 0; i < N_MIRRORS; i++)
    if (words->mirrored[i] &&
        !assign_mirrored (options, &mirrors[i], words->mirrored[i], error))
      return FALSE;
  if (words->pre_bias && !assign (options->trainer, "saetrainer", "pre-bias",
                             "true", "--pre-bias", error))
    return FALSE;
  if (words->resume && !assign (options->trainer, "saetrainer", "resume",
                           words->resume, "--resume", error))
    return FALSE;
  for (char **set = words->set; set && *set; set++)
    if (!assign_set (options, *set, error))
      return FALSE;
  if (options->from_stdin || words->no_shuffle ||
      find (options->source, "shuffle"))
    return TRUE;
  return assign (options->source, "saesrc", "shuffle", "true", "shuffle",
      error);
}

static gboolean
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, SAE_TOOL_ERROR, 0, text);
  return FALSE;
}

static gboolean
check_files (SaeTrainOptions *options, GError **error)
{
  if (!options->activations)
    return refuse (error, "expected ACTIVATIONS: a .npy file, a folder of "
                          "them, a pattern, or - for standard input");
  if (!options->out || !*options->out)
    return refuse (error, "expected -o FOLDER: where the dictionary goes");
  for (char **path = options->activations; *path; path++) {
    if (!**path)
      return refuse (error, "ACTIVATIONS: expected a name, got an empty one");
    if (strcmp (*path, "-") == 0)
      options->from_stdin = TRUE;
  }
  if (options->from_stdin && options->activations[1])
    return refuse (error, "ACTIVATIONS: standard input (-) goes with no "
                          "other files");
  return TRUE;
}

static gboolean
check_together (const SaeTrainOptions *options, GError **error)
{
  const char *resume = sae_train_options_get (options, "resume");

  if (resume && strcmp (resume, "no") != 0 &&
      !sae_train_options_get (options, "checkpoint-location"))
    return refuse (error, "--resume: expected --checkpoint FILE, to go on "
                          "from");
  if (sae_train_options_get (options, "checkpoint-interval") &&
      !sae_train_options_get (options, "checkpoint-location"))
    return refuse (error, "--checkpoint-interval: expected --checkpoint FILE "
                          "too");
  return TRUE;
}

static void
clear_words (Words *words)
{
  for (guint i = 0; i < N_MIRRORS; i++)
    g_free (words->mirrored[i]);
  g_strfreev (words->set);
  g_free (words->resume);
}

SaeTrainOptions *
sae_train_options_parse (int *argc, char ***argv,
    gboolean (*prepare) (GError **error), GError **error)
{
  g_autoptr (SaeTrainOptions) options = g_new0 (SaeTrainOptions, 1);
  Words words = {{NULL}};
  gboolean ok;

  options->source = g_ptr_array_new_with_free_func (free_assignment);
  options->trainer = g_ptr_array_new_with_free_func (free_assignment);
  ok = read_words (argc, argv, options, &words, error);
  if (ok && words.version) {
    g_print ("sae-train (gst-sae) %s\n", SAE_VERSION);
    exit (0);
  }
  ok = ok && check_files (options, error) && prepare (error) &&
       assign_all (options, &words, error) && check_together (options, error);
  clear_words (&words);
  return ok ? g_steal_pointer (&options) : NULL;
}
