/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Measures the library: rows per second of encoding or of training, and the
 * held-out fvu that training reaches. Prints one line of JSON. */
#include <stdlib.h>
#include <string.h>

#include "npy-file.h"
#include "sae.h"

static char *data_path, *held_out_path, *model_path, *save_path;
static int n_rows = 8192, d_in = 384, d_sae = 6144, k = 32, batch = 512;
static int n_threads, epochs = 1, repeat = 3, seed;
static double learning_rate;
static gboolean encode;

static const GOptionEntry entries[] = {
    {"encode", 0, 0, G_OPTION_ARG_NONE, &encode,
        "measure encoding instead of training", NULL},
    {"data", 0, 0, G_OPTION_ARG_FILENAME, &data_path,
        "rows to work on (random ones without)", "NPY"},
    {"held-out", 0, 0, G_OPTION_ARG_FILENAME, &held_out_path,
        "rows to measure fvu and l0 on after training", "NPY"},
    {"model", 0, 0, G_OPTION_ARG_FILENAME, &model_path,
        "dictionary to encode with (an untrained one without)", "FOLDER"},
    {"save", 0, 0, G_OPTION_ARG_FILENAME, &save_path,
        "where the trained dictionary goes", "FOLDER"},
    {"rows", 0, 0, G_OPTION_ARG_INT, &n_rows, "random rows", "N"},
    {"d-in", 0, 0, G_OPTION_ARG_INT, &d_in, "their width", "N"},
    {"d-sae", 0, 0, G_OPTION_ARG_INT, &d_sae, "latents", "N"},
    {"k", 0, 0, G_OPTION_ARG_INT, &k, "latents kept per row", "N"},
    {"batch", 0, 0, G_OPTION_ARG_INT, &batch, "rows per step or call", "N"},
    {"threads", 0, 0, G_OPTION_ARG_INT, &n_threads, "0 for all", "N"},
    {"epochs", 0, 0, G_OPTION_ARG_INT, &epochs, "passes of training", "N"},
    {"repeat", 0, 0, G_OPTION_ARG_INT, &repeat,
        "passes of encoding, of which the best counts", "N"},
    {"learning-rate", 0, 0, G_OPTION_ARG_DOUBLE, &learning_rate,
        "0 for the default", "RATE"},
    {"seed", 0, 0, G_OPTION_ARG_INT, &seed, "of rows, order and start", "N"},
    {NULL},
};

static GBytes *
make_random_rows (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed ((guint32) seed);
  gsize n = (gsize) n_rows * (gsize) d_in;
  float *x = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    x[i] = (float) g_rand_double_range (rand, -1.7, 1.7);
  return g_bytes_new_take (x, n * sizeof (float));
}

static GBytes *
read_rows (GError **error)
{
  GBytes *x;
  guint d = (guint) d_in;

  if (!data_path)
    return make_random_rows ();
  x = npy_file_read (data_path, &d, error);
  if (x) {
    d_in = (int) d;
    n_rows = (int) (g_bytes_get_size (x) / sizeof (float) / d);
  }
  return x;
}

/* Fisher and Yates. */
static void
shuffle (guint32 *order, guint32 n, GRand *rand)
{
  for (guint32 i = n; i > 1; i--) {
    guint32 j = (guint32) g_rand_int_range (rand, 0, (gint32) i);
    guint32 swapped = order[i - 1];

    order[i - 1] = order[j];
    order[j] = swapped;
  }
}

/* One pass over the rows in random order. */
static gboolean
train_pass (SaeTrainer *trainer, const float *x, guint32 *order, GRand *rand,
    float *rows, GError **error)
{
  gsize d = (gsize) d_in;

  shuffle (order, (guint32) n_rows, rand);
  for (int first = 0; first < n_rows; first += batch) {
    int n = MIN (batch, n_rows - first);

    for (int r = 0; r < n; r++)
      memcpy (rows + (gsize) r * d, x + order[first + r] * d,
          d * sizeof (float));
    if (!sae_trainer_push_rows (trainer, rows, NULL, (gsize) n, error))
      return FALSE;
  }
  return TRUE;
}

static SaeTrainer *
make_trainer (void)
{
  SaeTrainer *trainer =
      sae_trainer_new ((guint) d_in, (guint) d_sae, (guint) k);

  g_object_set (trainer, "batch-size", (guint) batch, "n-threads",
      (guint) n_threads, "learning-rate", learning_rate, "seed", (guint64) seed,
      "total-rows", (guint64) n_rows * (guint64) epochs, NULL);
  return trainer;
}

static void
print_number (const char *name, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_print (", \"%s\": %s", name,
      g_ascii_formatd (text, sizeof text, "%.9g", value));
}

/* The fields that say what was measured. */
static void
print_start (const char *what)
{
  g_print ("{\"library\": \"gst-sae\", \"work\": \"%s\", \"rows\": %d, "
           "\"d_in\": %d, \"d_sae\": %d, \"k\": %d, \"batch\": %d, "
           "\"threads\": %d",
      what, n_rows, d_in, d_sae, k, batch, n_threads);
}

static gboolean
print_held_out (SaeModel *model, GError **error)
{
  guint d = 0;
  g_autoptr (GBytes) x = npy_file_read (held_out_path, &d, error);
  g_autoptr (GBytes) x_hat = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;

  if (!x || !(x_hat = sae_model_forward (model, x, &latents, error)) ||
      !(metrics = sae_measure (x, x_hat, d, latents, error)))
    return FALSE;
  print_number ("held_out_fvu", metrics->fvu);
  print_number ("held_out_l0", metrics->l0);
  return TRUE;
}

static gboolean
report_training (SaeTrainer *trainer, double seconds, GError **error)
{
  g_autoptr (SaeModel) model = sae_trainer_get_model (trainer, error);
  g_autoptr (SaeMetrics) metrics = sae_trainer_get_metrics (trainer);

  if (!model)
    return FALSE;
  print_start ("train");
  print_number ("epochs", epochs);
  print_number ("steps", (double) metrics->steps);
  print_number ("seconds", seconds);
  print_number ("rows_per_second", (double) n_rows * epochs / seconds);
  print_number ("dead_fraction", metrics->dead_fraction);
  if (held_out_path && !print_held_out (model, error))
    return FALSE;
  g_print ("}\n");
  return !save_path || sae_model_save (model, save_path, error);
}

static gboolean
bench_training (GBytes *x, GError **error)
{
  g_autoptr (SaeTrainer) trainer = make_trainer ();
  g_autoptr (GRand) rand = g_rand_new_with_seed ((guint32) seed);
  g_autoptr (GTimer) timer = NULL;
  g_autofree guint32 *order = g_new (guint32, n_rows);
  g_autofree float *rows = g_new (float, (gsize) batch *(gsize) d_in);

  for (int i = 0; i < n_rows; i++)
    order[i] = (guint32) i;
  if (!sae_trainer_start (trainer, error))
    return FALSE;
  timer = g_timer_new ();
  for (int pass = 0; pass < epochs; pass++)
    if (!train_pass (trainer, g_bytes_get_data (x, NULL), order, rand, rows,
            error))
      return FALSE;
  if (!sae_trainer_flush (trainer, error))
    return FALSE;
  return report_training (trainer, g_timer_elapsed (timer, NULL), error);
}

static gboolean
encode_pass (SaeModel *model, SaeWorkspace *workspace, const float *x,
    GError **error)
{
  const gsize *offsets;
  const guint32 *indices;
  const float *values;

  for (int first = 0; first < n_rows; first += batch)
    if (!sae_model_encode_rows (model, workspace,
            x + (gsize) first * (gsize) d_in,
            (gsize) MIN (batch, n_rows - first), &offsets, &indices, &values,
            error))
      return FALSE;
  return TRUE;
}

static SaeModel *
make_model (GError **error)
{
  g_autoptr (SaeConfig) config =
      sae_config_new ((guint) d_in, (guint) d_sae, (guint) k);
  SaeModel *model =
      model_path ? sae_model_load (model_path, error)
                 : sae_model_new (config, (guint64) seed, SAE_INIT_TIED, error);

  if (!model)
    return NULL;
  d_sae = (int) sae_model_get_d_sae (model);
  k = (int) sae_model_get_k (model);
  if (sae_model_get_d_in (model) == (guint) d_in)
    return model;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected rows of %u floats, got %d", model_path,
      sae_model_get_d_in (model), d_in);
  sae_model_unref (model);
  return NULL;
}

static gboolean
bench_encoding (GBytes *x, GError **error)
{
  g_autoptr (SaeModel) model = make_model (error);
  g_autoptr (SaeWorkspace) workspace = sae_workspace_new ((guint) n_threads);
  double best = G_MAXDOUBLE;

  if (!model)
    return FALSE;
  for (int pass = 0; pass < repeat; pass++) {
    g_autoptr (GTimer) timer = g_timer_new ();

    if (!encode_pass (model, workspace, g_bytes_get_data (x, NULL), error))
      return FALSE;
    best = MIN (best, g_timer_elapsed (timer, NULL));
  }
  print_start ("encode");
  print_number ("seconds", best);
  print_number ("rows_per_second", n_rows / best);
  g_print ("}\n");
  return TRUE;
}

static gboolean
check_sizes (void)
{
  return n_rows > 0 && d_in > 0 && d_sae > 0 && k > 0 && batch > 0 &&
         epochs > 0 && repeat > 0 && n_threads >= 0;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) x = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("%s\n", error->message);
    return EXIT_FAILURE;
  }
  if (!check_sizes ()) {
    g_printerr ("sae-bench: every size is at least 1\n");
    return EXIT_FAILURE;
  }
  x = read_rows (&error);
  if (!x ||
      !(encode ? bench_encoding (x, &error) : bench_training (x, &error))) {
    g_printerr ("%s\n", error->message);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
