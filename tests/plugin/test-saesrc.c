/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <gst/check/gstharness.h>

#include "../same-memory.h"
#include "../formats/scratch.h"
#include "fault.h"
#include "rows.h"
#include "stream.h"

#define WIDTH 5
#define ROW (4 * WIDTH)

static gchar *
save (Scratch *scratch, const gchar *name, const gchar *descr, guint64 first,
    gsize n)
{
  gchar *path = scratch_path (scratch, name);

  rows_save_npy (path, descr, first, n, WIDTH);
  return path;
}

static gchar *
describe (const gchar *location, const gchar *properties)
{
  return g_strdup_printf ("saesrc name=src location=\"%s\" %s ! appsink "
                          "name=out sync=false",
      location, properties);
}

static RowsTaken *
run (const gchar *location, const gchar *properties, gsize row_size)
{
  g_autofree gchar *description = describe (location, properties);
  GError *error = NULL;
  RowsTaken *taken = rows_run (description, row_size, &error);

  g_assert_no_error (error);
  return taken;
}

static void
expect_failure (const gchar *location, const gchar *properties, GQuark domain,
    gint code, const gchar *part, const gchar *other)
{
  g_autofree gchar *description = describe (location, properties);
  g_autoptr (RowsTaken) taken = NULL;
  g_autoptr (GError) error = NULL;

  taken = rows_run (description, 0, &error);
  g_assert_error (error, domain, code);
  if (!strstr (error->message, part) || !strstr (error->message, other))
    g_error ("expected %s and %s in: %s", part, other, error->message);
}

/* --- what is read --------------------------------------------------------- */

static void
test_file (Scratch *scratch, gconstpointer data)
{
  static const struct {
    const gchar *descr;
    gsize size;
  } types[] = {{"<f4", 4}, {"<f2", 2}, {"<f8", 8}};

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    g_autofree gchar *path = save (scratch, "a.npy", types[i].descr, 0, 23);
    g_autoptr (RowsTaken) taken =
        run (path, "rows-per-buffer=4", WIDTH * types[i].size);
    rows_taken_expect (taken, types[i].descr, 0, 23, WIDTH);
    g_assert_cmpuint (taken->sizes->len, ==, 6);
    g_assert_cmpuint (rows_taken_size (taken, 5), ==, 3);
    for (guint j = 0; j < 6; j++)
      g_assert_cmpuint (g_array_index (taken->offsets, guint64, j), ==, 4 * j);
  }
}

static void
test_every_remainder (Scratch *scratch, gconstpointer data)
{
  guint n_runs = 0;

  for (guint n = 0; n <= 17; n++) {
    g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, n);
    for (guint per_buffer = 1; per_buffer <= 9; per_buffer++) {
      g_autofree gchar *properties =
          g_strdup_printf ("rows-per-buffer=%u epochs=2", per_buffer);
      g_autoptr (RowsTaken) taken = run (path, properties, ROW);
      guint total = 2 * n;

      g_assert_cmpuint (taken->sizes->len, ==,
          (total + per_buffer - 1) / per_buffer);
      g_assert_cmpuint (taken->bytes->len, ==, total * ROW);
      for (guint i = 0; i + 1 < taken->sizes->len; i++)
        g_assert_cmpuint (rows_taken_size (taken, i), ==,
            MIN (per_buffer, total));
      n_runs += total % per_buffer > 0;
    }
  }
  fault_report (13, n_runs, n_runs, 0);
}

static void
test_three_dimensions (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (RowsTaken) taken = NULL;

  rows_append_header (bytes, "<f4", "(2, 3, 5)");
  rows_append (bytes, "<f4", 0, 6, WIDTH);
  rows_save (path, bytes);
  taken = run (path, "", ROW);
  rows_taken_expect (taken, "<f4", 0, 6, WIDTH);
  g_assert_cmpuint (taken->sizes->len, ==, 1);
}

static void
save_shards (Scratch *scratch)
{
  static const guint sizes[] = {7, 0, 1, 12};
  guint first = 0;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree gchar *name = g_strdup_printf ("shard-%05u.npy", i);
    g_free (save (scratch, name, "<f4", first, sizes[i]));
    first += sizes[i];
  }
}

static void
test_folder_and_pattern (Scratch *scratch, gconstpointer data)
{
  static const gchar *const names[] = {"", "shard-%05d.npy"};

  save_shards (scratch);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *location = scratch_path (scratch, names[i]);
    g_autoptr (RowsTaken) taken = run (location, "rows-per-buffer=6", ROW);
    rows_taken_expect (taken, "<f4", 0, 20, WIDTH);
    g_assert_cmpuint (taken->sizes->len, ==, 4);
  }
}

/* What gst-launch-1.0 is given as locations="<…>". */
static gchar *
list_locations (gchar *const paths[], guint n)
{
  GString *text = g_string_new ("<");

  for (guint i = 0; i < n; i++)
    g_string_append_printf (text, "%s(string)\\\"%s\\\"", i ? "," : "",
        paths[i]);
  g_string_append_c (text, '>');
  return g_string_free (text, FALSE);
}

static void
test_locations (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *first = save (scratch, "z.npy", "<f4", 0, 7);
  g_autofree gchar *second = save (scratch, "b, c.npy", "<f4", 7, 5);
  g_autofree gchar *third = save (scratch, "a.npy", "<f4", 12, 8);
  gchar *paths[] = {first, second, third};
  g_autofree gchar *two = list_locations (paths + 1, 2);
  g_autofree gchar *three = list_locations (paths, 3);
  g_autofree gchar *none = list_locations (paths, 0);
  g_autofree gchar *after = g_strdup_printf ("locations=\"%s\"", two);
  g_autofree gchar *empty = g_strdup_printf ("locations=\"%s\"", none);
  g_autofree gchar *alone =
      g_strdup_printf ("saesrc locations=\"%s\" ! appsink name=out sync=false",
          three);
  g_autoptr (RowsTaken) taken = run (first, after, ROW);
  g_autoptr (RowsTaken) only = run (first, empty, ROW);
  g_autoptr (RowsTaken) all = NULL;
  GError *error = NULL;

  rows_taken_expect (taken, "<f4", 0, 20, WIDTH);
  rows_taken_expect (only, "<f4", 0, 7, WIDTH);
  all = rows_run (alone, ROW, &error);
  g_assert_no_error (error);
  rows_taken_expect (all, "<f4", 0, 20, WIDTH);
}

/* More files than may be open at a time. */
static void
test_many_shards (Scratch *scratch, gconstpointer data)
{
  g_autoptr (RowsTaken) taken = NULL;
  g_autoptr (RowsTaken) again = NULL;
  struct rlimit limit, fewer;
  guint sum = 0;

  for (guint i = 0; i < 300; i++) {
    g_autofree gchar *name = g_strdup_printf ("%04u.npy", i);
    g_free (save (scratch, name, "<f4", 2 * i, 2));
  }
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  fewer = limit;
  fewer.rlim_cur = 250;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &fewer), ==, 0);
  taken = run (scratch->path, "", ROW);
  rows_taken_expect (taken, "<f4", 0, 600, WIDTH);
  again = run (scratch->path, "shuffle=true", ROW);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  for (guint i = 0; i < 600; i++)
    sum += (guint) ((const gfloat *) (gpointer) again->bytes->data)[i * WIDTH];
  g_assert_cmpuint (sum, ==, 600 * 599 / 2);
}

/* --- orders --------------------------------------------------------------- */

/* Row numbers, which the first elements are. */
static GArray *
read_order (const RowsTaken *taken)
{
  GArray *order = g_array_new (FALSE, FALSE, sizeof (guint));

  for (guint i = 0; i < taken->bytes->len / ROW; i++) {
    gfloat x;
    guint row;
    memcpy (&x, taken->bytes->data + i * ROW, sizeof x);
    row = (guint) x;
    g_array_append_val (order, row);
  }
  return order;
}

static void
expect_permutation (const guint *order, guint n)
{
  g_autofree gboolean *seen = g_new0 (gboolean, n);

  for (guint i = 0; i < n; i++) {
    g_assert_cmpuint (order[i], <, n);
    g_assert_false (seen[order[i]]);
    seen[order[i]] = TRUE;
  }
}

static GArray *
shuffle (const gchar *path, guint64 seed, guint per_buffer)
{
  g_autofree gchar *properties =
      g_strdup_printf ("shuffle=true epochs=3 seed=%" G_GUINT64_FORMAT
                       " rows-per-buffer=%u",
          seed, per_buffer);
  g_autoptr (RowsTaken) taken = run (path, properties, ROW);

  return read_order (taken);
}

static void
test_shuffle (Scratch *scratch, gconstpointer data)
{
  g_autoptr (GArray) a = NULL, same = NULL, other = NULL;
  const guint *rows;

  save_shards (scratch);
  a = shuffle (scratch->path, 7, 6);
  same = shuffle (scratch->path, 7, 13);
  other = shuffle (scratch->path, 8, 6);
  g_assert_cmpuint (a->len, ==, 60);
  rows = (const guint *) (gpointer) a->data;
  for (guint pass = 0; pass < 3; pass++)
    expect_permutation (rows + 20 * pass, 20);
  g_assert_cmpint (memcmp (rows, rows + 20, 20 * sizeof *rows), !=, 0);
  g_assert_cmpint (memcmp (rows + 20, rows + 40, 20 * sizeof *rows), !=, 0);
  assert_same_memory (a->data, a->len * 4, same->data, same->len * 4);
  g_assert_cmpint (memcmp (a->data, other->data, a->len * 4), !=, 0);
}

/* --- seeks and queries ---------------------------------------------------- */

typedef struct {
  GstElement *pipeline, *src;
} Running;

static Running
start (const gchar *location, const gchar *properties)
{
  g_autofree gchar *description = describe (location, properties);
  Running running;
  GError *error = NULL;

  running.pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  running.src = gst_bin_get_by_name (GST_BIN (running.pipeline), "src");
  gst_element_set_state (running.pipeline, GST_STATE_PAUSED);
  g_assert_cmpint (gst_element_get_state (running.pipeline, NULL, NULL,
                       10 * GST_SECOND),
      ==, GST_STATE_CHANGE_SUCCESS);
  return running;
}

static void
finish (Running *running)
{
  gst_object_unref (running->src);
  gst_element_set_state (running->pipeline, GST_STATE_NULL);
  gst_object_unref (running->pipeline);
}

static void
test_seeks (Scratch *scratch, gconstpointer data)
{
  Running running;
  g_autofree gchar *path = NULL;

  save_shards (scratch);
  path = g_strdup (scratch->path);
  running = start (path, "rows-per-buffer=4");
  gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < 200; i++) {
    gint64 first = g_test_rand_int_range (0, 20);
    gint64 last = g_test_rand_bit ()
                      ? -1
                      : g_test_rand_int_range ((gint32) first + 1, 21);
    g_autoptr (RowsTaken) taken = NULL;
    GError *error = NULL;

    g_assert_true (gst_element_seek (running.pipeline, 1.0, GST_FORMAT_DEFAULT,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, first, GST_SEEK_TYPE_SET,
        last));
    taken = rows_collect (running.pipeline, ROW, &error);
    g_assert_no_error (error);
    rows_taken_expect (taken, "<f4", (guint64) first,
        (gsize) ((last < 0 ? 20 : last) - first), WIDTH);
    g_assert_cmpuint (g_array_index (taken->offsets, guint64, 0), ==,
        (guint64) first);
  }
  finish (&running);
}

/* Flushing seeks as fast as they come; then the rows after the last one. */
static void
test_flush_storm (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 2000);
  Running running = start (path, "rows-per-buffer=8");
  g_autoptr (RowsTaken) taken = NULL;
  guint n = g_test_slow () ? 10000 : 2000;
  GError *error = NULL;

  gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < n; i++)
    g_assert_true (gst_element_seek_simple (running.pipeline,
        GST_FORMAT_DEFAULT, GST_SEEK_FLAG_FLUSH,
        i == n - 1 ? 1001 : g_test_rand_int_range (0, 2000)));
  taken = rows_collect (running.pipeline, ROW, &error);
  g_assert_no_error (error);
  rows_taken_expect (taken, "<f4", 1001, 999, WIDTH);
  finish (&running);
  fault_report (12, n, n, 0);
}

/* A seek of a stream of 20 rows that is about to begin, and the rows that come
 * after it. */
typedef struct {
  const gchar *properties;
  gdouble rate;
  GstFormat format;
  GstSeekType start_type;
  gint64 start;
  GstSeekType stop_type;
  gint64 stop;
  gboolean ok;
  guint first, n;
} Seek;

static void
run_seek (const gchar *path, const Seek *seek, gboolean to_element)
{
  Running running = start (path, seek->properties);
  g_autoptr (RowsTaken) taken = NULL;
  GError *error = NULL;

  g_assert_cmpint (gst_element_seek (to_element ? running.src
                                                : running.pipeline,
                       seek->rate, seek->format, GST_SEEK_FLAG_FLUSH,
                       seek->start_type, seek->start, seek->stop_type,
                       seek->stop),
      ==, seek->ok);
  gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
  taken = rows_collect (running.pipeline, ROW, &error);
  g_assert_no_error (error);
  rows_taken_expect (taken, "<f4", seek->first, seek->n, WIDTH);
  finish (&running);
}

static void
run_seeks (Scratch *scratch, const Seek *seeks, guint n)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 20);

  for (guint i = 0; i < n; i++) {
    run_seek (path, &seeks[i], FALSE);
    run_seek (path, &seeks[i], TRUE);
  }
}

#define PLAIN "rows-per-buffer=4"
#define TIMED "rows-per-buffer=4 rate=10/1"

/* They leave the stream whole. */
static void
test_refused_seeks (Scratch *scratch, gconstpointer data)
{
  static const Seek seeks[] = {
      {PLAIN, 1.0, GST_FORMAT_TIME, GST_SEEK_TYPE_SET, GST_SECOND,
          GST_SEEK_TYPE_NONE, -1, FALSE, 0, 20},
      {PLAIN, 1.0, GST_FORMAT_TIME, GST_SEEK_TYPE_END, -GST_SECOND,
          GST_SEEK_TYPE_NONE, -1, FALSE, 0, 20},
      {PLAIN, 1.0, GST_FORMAT_PERCENT, GST_SEEK_TYPE_SET, 10,
          GST_SEEK_TYPE_NONE, -1, FALSE, 0, 20},
      {PLAIN, -1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET,
          10, FALSE, 0, 20},
      {TIMED, -1.0, GST_FORMAT_TIME, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET,
          GST_SECOND, FALSE, 0, 20},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_SET, -7,
          GST_SEEK_TYPE_NONE, -1, FALSE, 0, 20},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_SET, 12, GST_SEEK_TYPE_SET,
          8, FALSE, 0, 20},
      {TIMED, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_END, -4, GST_SEEK_TYPE_SET,
          8, FALSE, 0, 20},
  };

  run_seeks (scratch, seeks, G_N_ELEMENTS (seeks));
}

static void
test_seek_limits (Scratch *scratch, gconstpointer data)
{
  static const Seek seeks[] = {
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_END, -6,
          GST_SEEK_TYPE_NONE, -1, TRUE, 14, 6},
      {TIMED, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_END, -6,
          GST_SEEK_TYPE_NONE, -1, TRUE, 14, 6},
      {TIMED, 1.0, GST_FORMAT_TIME, GST_SEEK_TYPE_END, -GST_SECOND,
          GST_SEEK_TYPE_END, -GST_SECOND / 2, TRUE, 10, 5},
      {PLAIN, 1.0, GST_FORMAT_BYTES, GST_SEEK_TYPE_END, -2 * ROW,
          GST_SEEK_TYPE_NONE, -1, TRUE, 18, 2},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_SET, 3, GST_SEEK_TYPE_END,
          -6, TRUE, 3, 11},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_END, -30,
          GST_SEEK_TYPE_END, 30, TRUE, 0, 20},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_END, G_MININT64,
          GST_SEEK_TYPE_END, G_MAXINT64, TRUE, 0, 20},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_END, 0, GST_SEEK_TYPE_NONE,
          -1, TRUE, 0, 0},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_SET, 30,
          GST_SEEK_TYPE_NONE, -1, TRUE, 0, 0},
      {PLAIN, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_SET, -1, GST_SEEK_TYPE_SET,
          7, TRUE, 0, 7},
      {TIMED, 1.0, GST_FORMAT_DEFAULT, GST_SEEK_TYPE_NONE, -1,
          GST_SEEK_TYPE_SET, 18, TRUE, 4, 14},
  };

  run_seeks (scratch, seeks, G_N_ELEMENTS (seeks));
}

/* It waits for the rows, whose number nobody knows yet. */
static void
test_early_seek (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 20);
  g_autofree gchar *description = describe (path, PLAIN);
  g_autoptr (RowsTaken) taken = NULL;
  GError *error = NULL;
  Running running;

  running.pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  running.src = gst_bin_get_by_name (GST_BIN (running.pipeline), "src");
  gst_element_set_state (running.pipeline, GST_STATE_READY);
  g_assert_true (gst_element_seek_simple (running.src, GST_FORMAT_DEFAULT,
      GST_SEEK_FLAG_FLUSH, 7));
  g_assert_false (gst_element_seek (running.src, 1.0, GST_FORMAT_DEFAULT,
      GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_END, -6, GST_SEEK_TYPE_NONE, -1));
  g_assert_false (gst_element_seek (running.src, 1.0, GST_FORMAT_DEFAULT,
      GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 9, GST_SEEK_TYPE_SET, 5));
  gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
  taken = rows_collect (running.pipeline, ROW, &error);
  g_assert_no_error (error);
  rows_taken_expect (taken, "<f4", 7, 13, WIDTH);
  finish (&running);
}

static void
expect_convert (GstElement *src, GstFormat from, gint64 value, GstFormat to,
    gint64 expected)
{
  gint64 got = -7;

  g_assert_true (gst_element_query_convert (src, from, value, to, &got));
  g_assert_cmpint (got, ==, expected);
}

static void
expect_duration (GstElement *src, GstFormat format, gint64 expected)
{
  gint64 got = -7;

  g_assert_true (gst_element_query_duration (src, format, &got));
  g_assert_cmpint (got, ==, expected);
}

static void
test_queries (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 20);
  Running running = start (path, "epochs=3 rows-per-buffer=8");
  GstQuery *query = gst_query_new_seeking (GST_FORMAT_DEFAULT);
  gint64 begin, end, value;
  gboolean seekable;

  expect_duration (running.src, GST_FORMAT_DEFAULT, 60);
  expect_duration (running.src, GST_FORMAT_BYTES, 60 * ROW);
  g_assert_false (
      gst_element_query_duration (running.src, GST_FORMAT_TIME, &value));
  expect_convert (running.src, GST_FORMAT_DEFAULT, 1, GST_FORMAT_BYTES, ROW);
  expect_convert (running.src, GST_FORMAT_BYTES, 3 * ROW + 1,
      GST_FORMAT_DEFAULT, 3);
  expect_convert (running.src, GST_FORMAT_DEFAULT, -1, GST_FORMAT_BYTES, -1);
  g_assert_false (gst_element_query_convert (running.src, GST_FORMAT_DEFAULT, 1,
      GST_FORMAT_TIME, &value));
  g_assert_false (gst_element_query_convert (running.src, GST_FORMAT_DEFAULT,
      G_MAXINT64, GST_FORMAT_BYTES, &value));
  g_assert_true (gst_element_query (running.src, query));
  gst_query_parse_seeking (query, NULL, &seekable, &begin, &end);
  g_assert_true (seekable);
  g_assert_cmpint (begin, ==, 0);
  g_assert_cmpint (end, ==, 60);
  gst_query_unref (query);
  finish (&running);
}

static void
test_rate (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 23);
  Running running = start (path, "rate=3/1 rows-per-buffer=4");
  g_autoptr (RowsTaken) taken = NULL;
  GError *error = NULL;
  GstCaps *caps;

  expect_duration (running.src, GST_FORMAT_TIME, 23 * GST_SECOND / 3);
  expect_duration (running.src, GST_FORMAT_DEFAULT, 23);
  for (gint64 row = 0; row < 23; row++) {
    gint64 time;
    g_assert_true (gst_element_query_convert (running.src, GST_FORMAT_DEFAULT,
        row, GST_FORMAT_TIME, &time));
    expect_convert (running.src, GST_FORMAT_TIME, time, GST_FORMAT_DEFAULT,
        row);
  }
  {
    GstPad *pad = gst_element_get_static_pad (running.src, "src");
    gint n, d;
    caps = gst_pad_get_current_caps (pad);
    g_assert_true (gst_structure_get_fraction (gst_caps_get_structure (caps, 0),
        "framerate", &n, &d));
    g_assert_cmpint (n * 4, ==, d * 3);
    gst_caps_unref (caps);
    gst_object_unref (pad);
  }
  gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
  g_assert_true (gst_element_seek_simple (running.pipeline, GST_FORMAT_DEFAULT,
      GST_SEEK_FLAG_FLUSH, 7));
  taken = rows_collect (running.pipeline, ROW, &error);
  g_assert_no_error (error);
  rows_taken_expect (taken, "<f4", 7, 16, WIDTH);
  for (guint i = 0; i < taken->times->len; i++)
    g_assert_cmpuint (g_array_index (taken->times, GstClockTime, i), ==,
        (7 + 4 * i) * (guint64) GST_SECOND / 3);
  finish (&running);
}

/* --- states and errors ---------------------------------------------------- */

static void
test_cycles (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 23);
  g_autofree gchar *half = save (scratch, "b.npy", "<f2", 0, 9);
  Running running = start (path, "rows-per-buffer=4");

  for (guint i = 0; i < 3; i++) {
    g_autoptr (RowsTaken) taken = NULL;
    GError *error = NULL;

    gst_element_set_state (running.pipeline, GST_STATE_NULL);
    g_object_set (running.src, "location", i == 1 ? half : path, NULL);
    gst_element_set_state (running.pipeline, GST_STATE_PLAYING);
    taken = rows_collect (running.pipeline, i == 1 ? ROW / 2 : ROW, &error);
    g_assert_no_error (error);
    rows_taken_expect (taken, i == 1 ? "<f2" : "<f4", 0, i == 1 ? 9 : 23,
        WIDTH);
  }
  finish (&running);
}

static void
test_no_rows (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 0);
  GstHarness *harness = gst_harness_new_parse ("saesrc name=src");
  GstElement *src = gst_harness_find_element (harness, "saesrc");
  GstCaps *caps;
  GstEvent *event;
  gboolean eos = FALSE;

  g_object_set (src, "location", path, NULL);
  gst_harness_play (harness);
  while (!eos && (event = gst_harness_pull_event (harness)) != NULL) {
    eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  caps = gst_pad_get_current_caps (harness->sinkpad);
  g_assert_nonnull (caps);
  g_assert_cmpuint (gst_harness_buffers_received (harness), ==, 0);
  gst_caps_unref (caps);
  gst_object_unref (src);
  gst_harness_teardown (harness);
}

static void
test_errors (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *missing = scratch_path (scratch, "missing.npy");
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 23);
  g_autofree gchar *bytes = save (scratch, "b.npy", "|u1", 0, 3);
  g_autofree gchar *indices = save (scratch, "c.npy", "<u4", 0, 3);
  g_autofree gchar *flat = scratch_path (scratch, "flat.npy");
  g_autofree gchar *pattern = scratch_path (scratch, "%s.npy");
  g_autofree gchar *fifo = scratch_path (scratch, "fifo.npy");
  g_autoptr (GByteArray) one = g_byte_array_new ();

  rows_append_header (one, "<f4", "(5,)");
  rows_append (one, "<f4", 0, 1, 5);
  rows_save (flat, one);
  expect_failure ("", "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
      "location", "none was set");
  expect_failure (missing, "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
      "missing.npy", "No such file");
  expect_failure (pattern, "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
      "%s.npy", "exactly one");
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  expect_failure (fifo, "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
      "fifo.npy", "regular file");
  expect_failure (bytes, "", GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "b.npy", "file has uint8");
  expect_failure (indices, "", GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "c.npy", "file has uint32");
  expect_failure (flat, "", GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "flat.npy", "two or more dimensions");
  expect_failure (path, "rows-per-buffer=2147483647 epochs=1000000000",
      GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "rows-per-buffer",
      "2147483647 rows of 20 bytes");
}

static void
test_disagreeing_shards (Scratch *scratch, gconstpointer data)
{
  g_free (save (scratch, "a.npy", "<f4", 0, 3));
  g_autofree gchar *b = scratch_path (scratch, "b.npy");

  rows_save_npy (b, "<f4", 0, 3, WIDTH + 1);
  expect_failure (scratch->path, "", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "b.npy: expected rows of 5 float32",
      "got 6 float32");
  rows_save_npy (b, "<f2", 0, 3, WIDTH);
  expect_failure (scratch->path, "", GST_LIBRARY_ERROR,
      GST_LIBRARY_ERROR_SETTINGS, "b.npy", "got 5 float16");
}

/* Every shorter length of a file is refused at the start. */
static void
test_truncated (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = scratch_path (scratch, "a.npy");
  g_autoptr (GByteArray) whole = rows_npy ("<f4", 3, WIDTH);
  g_auto (Stream) stream = stream_new_alone ("saesrc", "location", path, NULL);

  rows_save (path, whole);
  for (gint size = (gint) whole->len - 1; size >= 0; size--) {
    g_assert_cmpint (truncate (path, size), ==, 0);
    g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED),
        ==, GST_STATE_CHANGE_FAILURE);
    stream_expect_error (&stream, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "a.npy", NULL);
    gst_element_set_state (stream.element, GST_STATE_NULL);
  }
}

/* The file shrinks behind the first buffers. */
static void
test_shrinking (Scratch *scratch, gconstpointer data)
{
  for (guint i = 0; i < 20; i++) {
    g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 1000);
    GstHarness *harness = gst_harness_new_parse (
        "saesrc name=src shuffle=true rows-per-buffer=1 ! "
        "identity name=wait");
    GstElement *src = gst_harness_find_element (harness, "saesrc");
    GstBus *bus = gst_bus_new ();
    GstMessage *message;
    g_autoptr (GError) error = NULL;

    gst_element_set_bus (harness->element, bus);
    g_object_set (src, "location", path, "epochs", 1000000, "seed", (guint64) i,
        NULL);
    gst_harness_play (harness);
    gst_buffer_unref (gst_harness_pull (harness));
    g_assert_cmpint (truncate (path, 128 + 500 * ROW - (gint) i), ==, 0);
    message =
        gst_bus_timed_pop_filtered (bus, 20 * GST_SECOND, GST_MESSAGE_ERROR);
    g_assert_nonnull (message);
    gst_message_parse_error (message, &error, NULL);
    g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ);
    g_assert_nonnull (strstr (error->message, "a.npy"));
    gst_message_unref (message);
    gst_element_set_bus (harness->element, NULL);
    gst_object_unref (bus);
    gst_object_unref (src);
    gst_harness_teardown (harness);
  }
}

static GstPadProbeReturn
block (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_PAD_PROBE_OK; /* of a blocking probe: stay blocked */
}

static void
test_null_while_blocked (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 100);
  guint n = g_test_slow () ? 1000 : 100;

  for (guint i = 0; i < n; i++) {
    g_autofree gchar *description = describe (path, "epochs=1000");
    GstElement *pipeline = gst_parse_launch (description, NULL);
    GstElement *src = gst_bin_get_by_name (GST_BIN (pipeline), "src");
    GstPad *pad = gst_element_get_static_pad (src, "src");

    gst_pad_add_probe (pad,
        GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, block, NULL,
        NULL);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    while (i % 2 == 0 && !gst_pad_is_blocking (pad))
      g_usleep (100);
    gst_element_set_state (pipeline, GST_STATE_NULL);
    gst_object_unref (pad);
    gst_object_unref (src);
    gst_object_unref (pipeline);
  }
  fault_report (15, n, n, 0);
}

/* --- negotiation ---------------------------------------------------------- */

static void
expect_negotiation (const gchar *path, const gchar *caps, gboolean ok)
{
  g_autofree gchar *description =
      g_strdup_printf ("saesrc location=\"%s\" rows-per-buffer=4 ! %s ! "
                       "appsink name=out sync=false",
          path, caps);
  g_autoptr (RowsTaken) taken = NULL;
  g_autoptr (GError) error = NULL;

  taken = rows_run (description, ROW, &error);
  if (ok)
    g_assert_no_error (error);
  else
    g_assert_nonnull (error);
}

static void
test_caps (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 8);

  expect_negotiation (path, "other/tensors", TRUE);
  expect_negotiation (path, "other/tensors,types=(string)float32", TRUE);
  expect_negotiation (path,
      "other/tensors,dimensions=(string)5:4,framerate=0/1", TRUE);
  expect_negotiation (path, "other/tensors,dimensions=(string)5:3", FALSE);
  expect_negotiation (path, "other/tensors,dimensions=(string)6:4", FALSE);
  expect_negotiation (path, "other/tensors,types=(string)float16", FALSE);
  expect_negotiation (path, "other/tensors,format=(string)flexible", FALSE);
  expect_negotiation (path, "other/tensors,framerate=30/1", FALSE);
}

static GstPadProbeReturn
note_memory (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  GstMapInfo map;

  g_assert_nonnull (buffer->pool);
  g_hash_table_add (data, gst_buffer_peek_memory (buffer, 0));
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_assert_cmpuint ((gsize) map.data % 64, ==, 0);
  gst_buffer_unmap (buffer, &map);
  return GST_PAD_PROBE_OK;
}

/* A sink that keeps none gives each buffer back before the next is wanted. */
static void
test_pool (Scratch *scratch, gconstpointer data)
{
  g_autofree gchar *path = save (scratch, "a.npy", "<f4", 0, 8);
  g_autofree gchar *description =
      g_strdup_printf ("saesrc name=src location=\"%s\" rows-per-buffer=8 "
                       "epochs=1000 ! "
                       "fakesink sync=false enable-last-sample=false",
          path);
  GstElement *pipeline = gst_parse_launch (description, NULL);
  GstElement *src = gst_bin_get_by_name (GST_BIN (pipeline), "src");
  GstPad *pad = gst_element_get_static_pad (src, "src");
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *eos;

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, note_memory, seen, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  eos = gst_bus_timed_pop_filtered (bus, 20 * GST_SECOND, GST_MESSAGE_EOS);
  g_assert_nonnull (eos);
  gst_message_unref (eos);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_assert_cmpuint (g_hash_table_size (seen), <=, 2);
  gst_object_unref (bus);
  gst_object_unref (pad);
  gst_object_unref (src);
  gst_object_unref (pipeline);
}

typedef struct {
  GstAllocator parent;
  gint n; /* atomic: memories asked for */
} Counter;

typedef GstAllocatorClass CounterClass;

GType counter_get_type (void);
G_DEFINE_TYPE (Counter, counter, GST_TYPE_ALLOCATOR)

static GstMemory *
counter_alloc (GstAllocator *allocator, gsize size, GstAllocationParams *params)
{
  g_autoptr (GstAllocator) plain = gst_allocator_find (GST_ALLOCATOR_SYSMEM);

  g_atomic_int_inc (&((Counter *) allocator)->n);
  return gst_allocator_alloc (plain, size, params);
}

static void
counter_class_init (CounterClass *klass)
{
  klass->alloc = counter_alloc;
}

static void
counter_init (Counter *self)
{
  GST_ALLOCATOR (self)->mem_type = "counted";
}

static void
test_default_allocator (Scratch *scratch, gconstpointer data)
{
  Counter *counter =
      gst_object_ref_sink (g_object_new (counter_get_type (), NULL));

  gst_allocator_set_default (gst_object_ref (GST_ALLOCATOR (counter)));
  test_pool (scratch, NULL);
  gst_allocator_set_default (gst_allocator_find (GST_ALLOCATOR_SYSMEM));
  g_assert_cmpint (counter->n, >=, 1);
  gst_object_unref (counter);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  scratch_add ("/plugin/saesrc/reads-each-float-type", test_file);
  scratch_add ("/plugin/saesrc/eos-at-every-remainder", test_every_remainder);
  scratch_add ("/plugin/saesrc/outer-dimensions-are-flattened",
      test_three_dimensions);
  scratch_add ("/plugin/saesrc/folder-and-pattern", test_folder_and_pattern);
  scratch_add ("/plugin/saesrc/locations-are-one-array", test_locations);
  scratch_add ("/plugin/saesrc/more-shards-than-open-files", test_many_shards);
  scratch_add ("/plugin/saesrc/shuffle-is-a-permutation-of-each-pass",
      test_shuffle);
  scratch_add ("/plugin/saesrc/seek/any-rows", test_seeks);
  scratch_add ("/plugin/saesrc/seek/flush-storm", test_flush_storm);
  scratch_add ("/plugin/saesrc/seek/refused-ones-lose-nothing",
      test_refused_seeks);
  scratch_add ("/plugin/saesrc/seek/limits", test_seek_limits);
  scratch_add ("/plugin/saesrc/seek/before-start", test_early_seek);
  scratch_add ("/plugin/saesrc/queries-count-rows", test_queries);
  scratch_add ("/plugin/saesrc/rate-gives-times", test_rate);
  scratch_add ("/plugin/saesrc/state-cycles", test_cycles);
  scratch_add ("/plugin/saesrc/no-rows-is-caps-then-eos", test_no_rows);
  scratch_add ("/plugin/saesrc/errors-name-what-and-where", test_errors);
  scratch_add ("/plugin/saesrc/refuses-shards-that-disagree",
      test_disagreeing_shards);
  scratch_add ("/plugin/saesrc/refuses-every-truncation", test_truncated);
  scratch_add ("/plugin/saesrc/file-that-shrinks-is-an-error", test_shrinking);
  scratch_add ("/plugin/saesrc/null-while-blocked", test_null_while_blocked);
  scratch_add ("/plugin/saesrc/caps-are-negotiated", test_caps);
  scratch_add ("/plugin/saesrc/buffers-come-from-a-pool", test_pool);
  scratch_add ("/plugin/saesrc/default-allocator-is-asked",
      test_default_allocator);
  return stream_run_tests ();
}
