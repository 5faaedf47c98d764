/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bench-pipeline --work=encoder|trainer [OPTION…]
 *
 * Measures what an element costs: rows per second of saeencoder or saetrainer
 * with a fakesink behind it, against the same calls of the library in the same
 * process. With --source=pushed (the default) the buffers, of --batch rows, are
 * there already, and the two ways take turns at each: what the element adds to
 * a buffer is the difference of the best passes, less what the same push into a
 * fakesink alone takes, and of that the median over all buffers. With
 * --source=saesrc the rows come from the file
 * --data, and the whole pipelines take turns with passes over the same rows in
 * memory. Prints one line of JSON. */
#include <stdlib.h>

#include <glib/gstdio.h>

#include "bench-data.h"
#include "bench-elements.h"
#include "bench-options.h"
#include "bench-report.h"

/* The rows from which the trainer takes the scale, and before it steps. */
#define SCALE_ROWS 8192

/* The library, called directly. */
typedef struct {
  SaeModel *model;
  SaeWorkspace *workspace;
  SaeTrainer *trainer;
  char *folder; /* of the model, for the element */
} Library;

/* What is done with a buffer. */
typedef enum { DIRECT, SINK_ALONE, THROUGH } Way;
#define N_WAYS 3

typedef struct {
  GBytes *rows;
  GPtrArray *buffers;
  Library library;
  BenchElements elements, sink_alone;
  char *description;
  BenchTimes direct, through;
  GArray *ratios;        /* of each pass */
  double *least[N_WAYS]; /* seconds of each buffer, of all passes */
} Bench;

static gboolean
is_trainer (void)
{
  return g_str_equal (bench_options.work, "trainer");
}

/* --- the library --- */

static void
remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    g_remove (file);
  }
  g_rmdir (path);
}

static void
library_clear (Library *library)
{
  g_clear_pointer (&library->model, sae_model_unref);
  g_clear_pointer (&library->workspace, sae_workspace_unref);
  g_clear_object (&library->trainer);
  if (library->folder)
    remove_folder (library->folder);
  g_clear_pointer (&library->folder, g_free);
}

/* Rows that the trainer of the element sees, and ours. */
static guint64
total_rows (void)
{
  gboolean pushed = g_str_equal (bench_options.source, "pushed");
  guint64 rows = (guint64) bench_options.rows;

  return pushed ? rows * (guint64) bench_options.repeat + SCALE_ROWS : rows;
}

/* A new run of the trainer, with the properties that describe() gives to the
 * element. */
static gboolean
start_trainer (Library *library, GError **error)
{
  if (!bench_options.k)
    bench_options.k = 32;
  g_clear_object (&library->trainer);
  library->trainer = sae_trainer_new ((guint) bench_options.d_in,
      (guint) bench_options.d_sae, (guint) bench_options.k);
  g_object_set (library->trainer, "n-threads", bench_options_threads (),
      "total-rows", total_rows (), NULL);
  return sae_trainer_start (library->trainer, error);
}

static gboolean
library_init (Library *library, GError **error)
{
  if (is_trainer ())
    return start_trainer (library, error);
  library->model = bench_data_model (error);
  if (!library->model)
    return FALSE;
  library->workspace = sae_workspace_new (bench_options_threads ());
  library->folder = g_dir_make_tmp ("bench-pipeline-XXXXXX", error);
  return library->folder &&
         sae_model_save (library->model, library->folder, error);
}

static gboolean
call_library (Library *library, const float *x, gsize n, GError **error)
{
  const gsize *offsets;
  const guint32 *indices;
  const float *values;

  if (is_trainer ())
    return sae_trainer_push_rows (library->trainer, x, NULL, n, error);
  return sae_model_encode_rows (library->model, library->workspace, x, n,
      &offsets, &indices, &values, error);
}

/* --- the element --- */

static char *
describe (const Library *library)
{
  if (is_trainer ())
    return g_strdup_printf ("saetrainer dict-size=%d top-k=%d n-threads=%u "
                            "total-rows=%" G_GUINT64_FORMAT
                            " ! fakesink async=false",
        bench_options.d_sae, bench_options.k, bench_options_threads (),
        total_rows ());
  return g_strdup_printf ("saeencoder location=\"%s\" n-threads=%u ! fakesink "
                          "async=false",
      library->folder, bench_options_threads ());
}

/* Whole buffers over the rows, without a copy. */
static GPtrArray *
make_buffers (GBytes *rows)
{
  GPtrArray *buffers =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  gsize row = (gsize) bench_options.d_in * sizeof (float);
  gsize size = row * (gsize) bench_options.batch;
  gsize n = (gsize) bench_options.rows / (gsize) bench_options.batch;
  char *data = (char *) g_bytes_get_data (rows, NULL);

  for (gsize i = 0; i < n; i++)
    g_ptr_array_add (buffers,
        gst_buffer_new_wrapped_full (GST_MEMORY_FLAG_READONLY, data + i * size,
            size, 0, size, g_bytes_ref (rows), (GDestroyNotify) g_bytes_unref));
  bench_options.rows = (int) (n * (gsize) bench_options.batch);
  return buffers;
}

/* --- passes --- */

/* Buffer @i in one of the ways. */
static gboolean
send (Bench *b, Way way, guint i, BenchTime *time, GError **error)
{
  gsize batch = (gsize) bench_options.batch, d = (gsize) bench_options.d_in;
  const float *x = g_bytes_get_data (b->rows, NULL);
  GstBuffer *buffer = b->buffers->pdata[i];
  BenchTime start = bench_now ();
  gboolean ok = FALSE;

  switch (way) {
    case DIRECT:
      ok = call_library (&b->library, x + i * batch * d, batch, error);
      break;
    case SINK_ALONE:
      ok = bench_elements_push (&b->sink_alone, buffer, error);
      break;
    case THROUGH:
      ok = bench_elements_push (&b->elements, buffer, error);
      break;
  }
  bench_add_since (time, start);
  return ok;
}

/* Each buffer in each way. The second way finds caches and branch predictions
 * that the first one left, so that the order changes with every buffer, and
 * that of a buffer with every pass. */
static gboolean
pass_in_turns (Bench *b, int pass, BenchTime *sums, GError **error)
{
  for (guint i = 0; i < b->buffers->len; i++)
    for (int turn = 0; turn < N_WAYS; turn++) {
      Way way = (((int) i + pass) & 1) ? THROUGH - turn : DIRECT + turn;
      double *least = &b->least[way][i];
      BenchTime one = {0};

      if (!send (b, way, i, &one, error))
        return FALSE;
      sums[way].wall += one.wall;
      sums[way].cpu += one.cpu;
      if (pass >= 0)
        *least = MIN (*least, one.wall);
    }
  return TRUE;
}

static void
keep (Bench *b, BenchTime direct, BenchTime through)
{
  double ratio = direct.wall / through.wall;

  bench_times_add (&b->direct, direct);
  bench_times_add (&b->through, through);
  g_array_append_val (b->ratios, ratio);
}

/* Rows that come before those that are measured: into the trainer as many as
 * its scale needs, else one pass. */
static gboolean
warm_up (Bench *b, GError **error)
{
  gsize rows = 0;

  do {
    BenchTime sums[N_WAYS] = {0};

    if (!pass_in_turns (b, -1, sums, error))
      return FALSE;
    rows += (gsize) bench_options.rows;
  } while (is_trainer () && rows < SCALE_ROWS);
  return TRUE;
}

static gboolean
run_pushed (Bench *b, GError **error)
{
  guint d = (guint) bench_options.d_in, batch = (guint) bench_options.batch;

  b->description = describe (&b->library);
  for (int way = 0; way < N_WAYS; way++) {
    b->least[way] = g_new (double, b->buffers->len);
    for (guint i = 0; i < b->buffers->len; i++)
      b->least[way][i] = G_MAXDOUBLE;
  }
  if (!bench_elements_open (&b->elements, b->description, d, batch, error) ||
      !bench_elements_open (&b->sink_alone, "fakesink async=false", d, batch,
          error) ||
      !warm_up (b, error))
    return FALSE;
  for (int pass = 0; pass < bench_options.repeat; pass++) {
    BenchTime sums[N_WAYS] = {0};

    if (!pass_in_turns (b, pass, sums, error))
      return FALSE;
    keep (b, sums[DIRECT], sums[THROUGH]);
  }
  return TRUE;
}

/* All rows by the library; the trainer anew, as in a new pipeline. */
static gboolean
pass_direct (Bench *b, BenchTime *time, GError **error)
{
  gsize batch = (gsize) bench_options.batch, d = (gsize) bench_options.d_in;
  const float *x = g_bytes_get_data (b->rows, NULL);
  BenchTime start;

  if (is_trainer () && !start_trainer (&b->library, error))
    return FALSE;
  start = bench_now ();
  for (guint i = 0; i < b->buffers->len; i++)
    if (!call_library (&b->library, x + i * batch * d, batch, error))
      return FALSE;
  if (is_trainer () && !sae_trainer_flush (b->library.trainer, error))
    return FALSE;
  bench_add_since (time, start);
  return TRUE;
}

static gboolean
run_from_file (Bench *b, GError **error)
{
  g_autofree char *elements = describe (&b->library);

  b->description = g_strdup_printf ("saesrc name=source location=\"%s\" "
                                    "rows-per-buffer=%d num-buffers=%u ! "
                                    "%s",
      bench_options.data, bench_options.batch, b->buffers->len, elements);
  for (int pass = -1; pass < bench_options.repeat; pass++) {
    BenchTime direct = {0}, through = {0};

    if (!pass_direct (b, &direct, error))
      return FALSE;
    through.wall = bench_elements_run (b->description, error);
    if (through.wall < 0)
      return FALSE;
    if (pass >= 0) /* the first one warms up */
      keep (b, direct, through);
  }
  return TRUE;
}

/* --- the report --- */

/* Seconds that the element adds to a buffer: the median of all. */
static double
find_added (const Bench *b)
{
  g_autoptr (GArray) added = g_array_new (FALSE, FALSE, sizeof (double));

  for (guint i = 0; i < b->buffers->len; i++) {
    double one =
        b->least[THROUGH][i] - b->least[SINK_ALONE][i] - b->least[DIRECT][i];
    g_array_append_val (added, one);
  }
  return bench_median (added);
}

static void
print (Bench *b)
{
  double direct = bench_times_min (&b->direct);
  double through = bench_times_min (&b->through);
  json_t *report = bench_report_new ("gst-sae",
      "an element, and the library called directly", &b->through,
      bench_options.rows);

  json_object_set_new (report, "source", json_string (bench_options.source));
  json_object_set_new (report, "pipeline", json_string (b->description));
  json_object_set_new (report, "direct_seconds_min", json_real (direct));
  json_object_set_new (report, "direct_rows_per_second",
      json_real (bench_options.rows / direct));
  json_object_set_new (report, "ratio", json_real (direct / through));
  json_object_set_new (report, "ratio_median",
      json_real (bench_median (b->ratios)));
  if (b->least[THROUGH])
    json_object_set_new (report, "added_us", json_real (1e6 * find_added (b)));
  bench_report_print (report);
}

static void
bench_clear (Bench *b)
{
  bench_elements_clear (&b->elements);
  bench_elements_clear (&b->sink_alone);
  library_clear (&b->library);
  g_clear_pointer (&b->buffers, g_ptr_array_unref);
  g_clear_pointer (&b->rows, g_bytes_unref);
  g_free (b->description);
  bench_times_clear (&b->direct);
  bench_times_clear (&b->through);
  g_array_unref (b->ratios);
  for (int way = 0; way < N_WAYS; way++)
    g_free (b->least[way]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static gboolean
run (GError **error)
{
  g_auto (Bench) b = {
      .direct = bench_times_new (),
      .through = bench_times_new (),
      .ratios = g_array_new (FALSE, FALSE, sizeof (double)),
  };
  gboolean pushed = g_str_equal (bench_options.source, "pushed");

  b.rows = bench_data_rows (error);
  if (!b.rows)
    return FALSE;
  b.buffers = make_buffers (b.rows);
  if (b.buffers->len == 0) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
        "--batch=%d: more than there are rows", bench_options.batch);
    return FALSE;
  }
  if (!library_init (&b.library, error) ||
      !(pushed ? run_pushed (&b, error) : run_from_file (&b, error)))
    return FALSE;
  print (&b);
  return TRUE;
}

static gboolean
check (GError **error)
{
  if (!bench_options.work)
    bench_options.work = g_strdup ("encoder");
  if (!bench_options.source)
    bench_options.source = g_strdup ("pushed");
  if ((g_str_equal (bench_options.work, "encoder") || is_trainer ()) &&
      (g_str_equal (bench_options.source, "pushed") ||
          (g_str_equal (bench_options.source, "saesrc") && bench_options.data)))
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
      "expected --work=encoder or trainer, and --source=pushed or, with "
      "--data, saesrc");
  return FALSE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (bench_options_parse (&argc, &argv, &error) && check (&error)) {
    gst_init (NULL, NULL);
    if (run (&error))
      return EXIT_SUCCESS;
  }
  g_printerr ("bench-pipeline: %s\n", error->message);
  return EXIT_FAILURE;
}
