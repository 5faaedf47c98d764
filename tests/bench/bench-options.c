/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-options.h"

BenchOptions bench_options = {
    .rows = 0,
    .d_in = 384,
    .d_sae = 6144,
    .batch = 512,
    .epochs = 1,
    .repeat = 5,
    .skip = -1,
};

#define AT(field) &bench_options.field

static const GOptionEntry entries[] = {
    {"work", 'w', 0, G_OPTION_ARG_STRING, AT (work), "what is measured",
        "NAME"},
    {"data", 0, 0, G_OPTION_ARG_FILENAME, AT (data),
        "rows to work on (random ones without)", "NPY"},
    {"held-out", 0, 0, G_OPTION_ARG_FILENAME, AT (held_out),
        "rows to measure fvu and l0 on after train", "NPY"},
    {"model", 0, 0, G_OPTION_ARG_FILENAME, AT (model),
        "dictionary to work with or start from, SAELens' or sparsify's (an "
        "untrained one without)",
        "FOLDER"},
    {"save", 0, 0, G_OPTION_ARG_FILENAME, AT (save),
        "where the trained dictionary goes", "FOLDER"},
    {"rows", 0, 0, G_OPTION_ARG_INT, AT (rows),
        "rows of a measured pass (0 for all of the data)", "N"},
    {"d-in", 0, 0, G_OPTION_ARG_INT, AT (d_in), "width of random rows", "N"},
    {"d-sae", 0, 0, G_OPTION_ARG_INT, AT (d_sae), "latents", "N"},
    {"k", 0, 0, G_OPTION_ARG_INT, AT (k),
        "latents kept per row (0 for the model's, else 32)", "N"},
    {"batch", 0, 0, G_OPTION_ARG_INT, AT (batch),
        "rows per step, call or buffer", "N"},
    {"threads", 0, 0, G_OPTION_ARG_INT, AT (threads), "0 for all", "N"},
    {"epochs", 0, 0, G_OPTION_ARG_INT, AT (epochs), "passes of train", "N"},
    {"train-rows", 0, 0, G_OPTION_ARG_INT, AT (train_rows),
        "rows of train (0 for whole passes)", "N"},
    {"repeat", 0, 0, G_OPTION_ARG_INT, AT (repeat), "measured passes", "N"},
    {"skip", 0, 0, G_OPTION_ARG_INT, AT (skip),
        "rows before the first measured pass (-1 for what the work needs)",
        "N"},
    {"optimizer", 0, 0, G_OPTION_ARG_STRING, AT (optimizer),
        "of train and step (adam)", "NAME"},
    {"learning-rate", 0, 0, G_OPTION_ARG_DOUBLE, AT (learning_rate),
        "0 for the default", "RATE"},
    {"library", 0, 0, G_OPTION_ARG_STRING, AT (library),
        "of product and sgemv: openblas, onednn or best", "NAME"},
    {"source", 0, 0, G_OPTION_ARG_STRING, AT (source),
        "of a pipeline: pushed, or saesrc", "NAME"},
    {"seed", 0, 0, G_OPTION_ARG_INT, AT (seed), "of rows, order and start",
        "N"},
    {NULL},
};

static gboolean
check_sizes (GError **error)
{
  const BenchOptions *o = &bench_options;

  if (o->d_in > 0 && o->d_sae > 0 && o->batch > 0 && o->epochs > 0 &&
      o->repeat > 0 && o->rows >= 0 && o->k >= 0 && o->threads >= 0 &&
      o->train_rows >= 0)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
      "every size is at least 1");
  return FALSE;
}

gboolean
bench_options_parse (int *argc, char ***argv, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, entries, NULL);
  return g_option_context_parse (context, argc, argv, error) &&
         check_sizes (error);
}

guint
bench_options_threads (void)
{
  return bench_options.threads ? (guint) bench_options.threads
                               : g_get_num_processors ();
}
