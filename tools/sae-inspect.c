/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sae-inspect: what dictionaries and files of activations hold. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sae.h>

#include "inspect-arrays.h"
#include "inspect-compare.h"
#include "inspect-convert.h"
#include "inspect-dictionary.h"
#include "inspect-folder.h"
#include "inspect-text.h"
#include "output.h"

enum { DONE = 0, WRONG = 1, MISUSED = 2 };

typedef struct {
  char **paths;
  gboolean verify, json, compare, matches, quiet, version;
  char *convert, *layout;
} Options;

#define SUMMARY                                                                \
  "Tells what a dictionary on disk holds, or a .npy or .safetensors file: "    \
  "sizes, rule,\noptions, norms, dead latents. PATH is a folder or a file."
#define EXAMPLES                                                               \
  "Examples:\n"                                                                \
  "  sae-inspect out\n"                                                        \
  "  sae-inspect --verify */ && echo all of them load\n"                       \
  "  sae-inspect --compare seed-1 seed-2\n"                                    \
  "  sae-inspect out --convert other --layout saelens\n"

static gboolean
parse (Options *options, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
      {"verify", 'v', 0, G_OPTION_ARG_NONE, &options->verify,
          "Read everything and say whether all is well", NULL},
      {"json", 'j', 0, G_OPTION_ARG_NONE, &options->json,
          "Print JSON, an object a PATH", NULL},
      {"compare", 'c', 0, G_OPTION_ARG_NONE, &options->compare,
          "Find the best match of every latent between two dictionaries", NULL},
      {"matches", 'm', 0, G_OPTION_ARG_NONE, &options->matches,
          "With --compare: JSON with the match of each latent", NULL},
      {"convert", 0, 0, G_OPTION_ARG_FILENAME, &options->convert,
          "Write the dictionary to this folder", "FOLDER"},
      {"layout", 0, 0, G_OPTION_ARG_STRING, &options->layout,
          "With --convert: the layout to write (saelens)", "NAME"},
      {"quiet", 'q', 0, G_OPTION_ARG_NONE, &options->quiet, "Show no progress",
          NULL},
      {"version", 0, 0, G_OPTION_ARG_NONE, &options->version,
          "Print the version and end", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->paths,
          NULL, NULL},
      {NULL},
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("PATH…");

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context, SUMMARY);
  g_option_context_set_description (context, EXAMPLES);
  return g_option_context_parse (context, argc, argv, error);
}

static const char *
find_misuse (const Options *options)
{
  guint n = options->paths ? g_strv_length (options->paths) : 0;

  if (n == 0)
    return "expected PATH: a dictionary, a .npy or a .safetensors file";
  if (options->compare && n != 2)
    return "--compare: expected two dictionaries";
  if (options->matches && !options->compare)
    return "--matches: expected --compare too";
  if (options->layout && !options->convert)
    return "--layout: expected --convert FOLDER too";
  if (options->convert && n != 1)
    return "--convert: expected one dictionary";
  if (!!options->convert + options->compare + options->verify > 1)
    return "expected one of --verify, --compare and --convert at a time";
  return NULL;
}

static int
complain (const GError *error)
{
  sae_output_complain ("sae-inspect", "%s", error->message);
  return WRONG;
}

static void
print_json (const json_t *facts)
{
  json_dumpf (facts, stdout, JSON_INDENT (2) | JSON_REAL_PRECISION (9));
  printf ("\n");
}

/* --- one task each -------------------------------------------------------- */

static json_t *
inspect (const char *path, gboolean verify, GError **error)
{
  if (sae_inspect_find_layout (path))
    return sae_inspect_dictionary (path, verify, error);
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return sae_inspect_folder (path, verify, error);
  return sae_inspect_file (path, verify, error);
}

static int
inspect_path (const Options *options, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_filename_display_name (path);
  json_t *facts = inspect (path, options->verify, &error);

  if (!facts)
    return complain (error);
  if (options->json) {
    json_object_set_new (facts, "path", json_string (name));
    print_json (facts);
  } else if (options->verify) {
    g_autofree char *shown = sae_output_printable (path);
    printf ("%s: ok\n", shown);
  } else {
    sae_inspect_print_text (path, facts);
  }
  json_decref (facts);
  return DONE;
}

static int
inspect_all (const Options *options)
{
  int status = DONE;

  for (char **path = options->paths; *path; path++)
    if (inspect_path (options, *path) != DONE)
      status = WRONG;
  return status;
}

static int
compare (const Options *options)
{
  const char *a = options->paths[0], *b = options->paths[1];
  g_autoptr (GError) error = NULL;
  json_t *facts =
      sae_inspect_compare (a, b, options->matches, options->quiet, &error);

  if (!facts)
    return complain (error);
  if (options->json || options->matches)
    print_json (facts);
  else
    sae_inspect_print_comparison (a, b, facts);
  json_decref (facts);
  return DONE;
}

static int
convert (const Options *options)
{
  const char *layout = options->layout ? options->layout : "saelens";
  g_autoptr (GError) error = NULL;

  if (!sae_inspect_convert (options->paths[0], options->convert, layout,
          &error))
    return complain (error);
  if (!options->quiet)
    printf ("%s: written as %s\n", options->convert, layout);
  return DONE;
}

static int
run (const Options *options)
{
  if (options->compare)
    return compare (options);
  return options->convert ? convert (options) : inspect_all (options);
}

static int
misuse (const char *text)
{
  sae_output_complain ("sae-inspect", "%s", text);
  g_printerr ("Try sae-inspect --help\n");
  return MISUSED;
}

int
main (int argc, char **argv)
{
  Options options = {0};
  g_autoptr (GError) error = NULL;
  const char *text;
  int status;

  setlocale (LC_ALL, "");
  /* Figures are read by programs, too. */
  setlocale (LC_NUMERIC, "C");
  if (!parse (&options, &argc, &argv, &error))
    return misuse (error->message);
  if (options.version) {
    printf ("sae-inspect (gst-sae) %s\n", SAE_VERSION);
    return sae_output_finish ("sae-inspect") ? DONE : WRONG;
  }
  text = find_misuse (&options);
  status = text ? misuse (text) : run (&options);
  if (!sae_output_finish ("sae-inspect") && status == DONE)
    status = WRONG;
  g_strfreev (options.paths);
  g_free (options.convert);
  g_free (options.layout);
  return status;
}
