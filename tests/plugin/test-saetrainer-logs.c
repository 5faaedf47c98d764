/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What saetrainer writes about a run: the log and the metrics file. */
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <glib/gstdio.h>

#include "comma-locale.h"
#include "gstsaeexposition.h"
#include "gstsaelog.h"
#include "training.h"

/* An element that posts at every buffer. */
static Stream
stream_with (Training *training, const gchar *property, const gchar *path)
{
  Stream stream = training_stream (training);

  gst_element_set_state (stream.element, GST_STATE_READY);
  g_object_set (stream.element, property, path, "stats-interval", (guint64) 1,
      "name", "say \"hi\" \\", NULL);
  gst_element_set_state (stream.element, GST_STATE_PLAYING);
  stream_send_dims (&stream, "float32", "16:20");
  return stream;
}

static void
push_rows (Stream *stream, guint32 seed, gsize n)
{
  g_autofree float *x = stream_rows (seed, n, D);

  g_usleep (2);
  g_assert_cmpint (stream_push_floats (stream, x, n * D), ==, GST_FLOW_OK);
}

static gchar *
path_in (Training *training, const gchar *name)
{
  return g_build_filename (training->folder, name, NULL);
}

static gchar *
read_text (const gchar *path)
{
  gchar *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

/* The objects of a log, all of which must be whole. */
static GPtrArray *
read_log (const gchar *path)
{
  g_autofree gchar *text = read_text (path);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  GPtrArray *objects =
      g_ptr_array_new_with_free_func ((GDestroyNotify) json_decref);

  for (guint i = 0; lines[i + 1]; i++) {
    json_t *object = json_loads (lines[i], JSON_REJECT_DUPLICATES, NULL);
    if (!object)
      g_error ("%s: line %u is no JSON: %s", path, i + 1, lines[i]);
    g_ptr_array_add (objects, object);
  }
  g_assert_cmpstr (lines[g_strv_length (lines) - 1], ==, "");
  return objects;
}

/* --- log ------------------------------------------------------------------ */

static gboolean
expect_field (GQuark field, const GValue *value, gpointer object)
{
  const json_t *got = json_object_get (object, g_quark_to_string (field));

  if (G_VALUE_HOLDS (value, GST_TYPE_STRUCTURE))
    gst_structure_foreach (gst_value_get_structure (value), expect_field,
        (gpointer) got);
  else if (G_VALUE_HOLDS_DOUBLE (value))
    g_assert_true (json_is_real (got) &&
                   json_real_value (got) == g_value_get_double (value));
  else if (G_VALUE_HOLDS_BOOLEAN (value))
    g_assert_true (json_is_boolean (got) &&
                   json_is_true (got) == g_value_get_boolean (value));
  else
    g_assert_true (
        json_is_integer (got) &&
        (guint64) json_integer_value (got) == g_value_get_uint64 (value));
  return TRUE;
}

static void
test_log_has_the_messages (Training *training, gconstpointer data)
{
  g_autofree gchar *path = path_in (training, "log.jsonl");
  g_auto (Stream) stream = stream_with (training, "log-location", path);
  g_autoptr (GPtrArray) objects = NULL;
  GstMessage *message;
  guint n = 0;

  for (guint i = 0; i < 10; i++)
    push_rows (&stream, i, 20);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  objects = read_log (path);
  while ((message = stream_pop (&stream, GST_MESSAGE_ELEMENT)) != NULL) {
    json_t *object = g_ptr_array_index (objects, n++);
    gst_structure_foreach (gst_message_get_structure (message), expect_field,
        object);
    g_assert_cmpstr (json_string_value (json_object_get (object, "element")),
        ==, "say \"hi\" \\");
    g_assert_cmpfloat_with_epsilon (json_number_value (
                                        json_object_get (object, "time")),
        (double) g_get_real_time () * 1e-6, 600);
    gst_message_unref (message);
  }
  g_assert_cmpuint (n, ==, objects->len);
  g_assert_cmpuint (n, >, 2);
}

/* A line that somebody was killed in does not spoil the next one. */
static void
test_log_is_appended_to (Training *training, gconstpointer data)
{
  g_autofree gchar *path = path_in (training, "log.jsonl");
  g_autofree gchar *text = NULL;
  mode_t mask = umask (027);
  GStatBuf info;

  for (guint run = 0; run < 3; run++) {
    g_auto (Stream) stream = stream_with (training, "log-location", path);
    if (run == 0)
      g_assert_true (g_file_set_contents (path, "{\"tim", -1, NULL));
    gst_element_set_state (stream.element, GST_STATE_NULL);
    gst_element_set_state (stream.element, GST_STATE_PLAYING);
    g_object_set (stream.element, "stats-interval", (guint64) 0, NULL);
    gst_harness_push_event (stream.harness, gst_event_new_eos ());
  }
  text = read_text (path);
  g_assert_true (g_str_has_prefix (text, "{\"tim\n{\"time"));
  {
    g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
    g_assert_cmpuint (g_strv_length (lines), ==, 5); /* the last one empty */
  }
  g_remove (path);
  {
    G_GNUC_UNUSED g_auto (Stream) stream =
        stream_with (training, "log-location", path);
    g_assert_cmpint (g_stat (path, &info), ==, 0);
    g_assert_cmpuint (info.st_mode & 0777, ==, 0640);
  }
  umask (mask);
}

/* Rotated, and deleted: the next line begins a file anew. */
static void
test_log_that_is_moved (Training *training, gconstpointer data)
{
  g_autofree gchar *path = path_in (training, "log.jsonl");
  g_autofree gchar *moved = path_in (training, "log.jsonl.1");
  g_auto (Stream) stream = stream_with (training, "log-location", path);
  g_autoptr (GPtrArray) before = NULL;
  g_autoptr (GPtrArray) after = NULL;

  push_rows (&stream, 1, 20);
  push_rows (&stream, 2, 20);
  g_assert_cmpint (g_rename (path, moved), ==, 0);
  push_rows (&stream, 3, 20);
  g_assert_cmpint (g_remove (path), ==, 0);
  for (guint i = 4; i < 7; i++)
    push_rows (&stream, i, 20);
  before = read_log (moved);
  after = read_log (path);
  g_assert_cmpuint (before->len, >, 0);
  g_assert_cmpuint (after->len, ==, 3);
  g_assert_null (stream_pop (&stream, GST_MESSAGE_WARNING));
}

static void
expect_refused (Training *training, const gchar *property, const gchar *path,
    const gchar *named, const gchar *part)
{
  g_auto (Stream) stream = stream_new_alone ("saetrainer", property, path,
      "location", training->got, NULL);

  g_assert_cmpint (gst_element_set_state (stream.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  stream_expect_error (&stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      named, part, NULL);
}

static void
test_wrong_paths_fail_at_start (Training *training, gconstpointer data)
{
  static const gchar *const properties[] = {"log-location", "metrics-location"};
  g_autofree gchar *link = path_in (training, "link");
  g_autofree gchar *fifo = path_in (training, "fifo");
  g_autofree gchar *elsewhere = path_in (training, "elsewhere");
  g_autofree gchar *nowhere = g_build_filename (elsewhere, "x", NULL);

  g_assert_cmpint (symlink (elsewhere, link), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++) {
    expect_refused (training, properties[i], nowhere, elsewhere,
        "No such file");
    expect_refused (training, properties[i], training->folder, training->folder,
        "");
    expect_refused (training, properties[i], link, link, "symbolic link");
    expect_refused (training, properties[i], fifo, fifo, "");
  }
  g_assert_false (g_file_test (elsewhere, G_FILE_TEST_EXISTS));
}

/* A mistyped path costs nobody a file. */
static void
test_other_files_are_refused (Training *training, gconstpointer data)
{
  static const gchar *const properties[] = {"log-location", "metrics-location"};
  static const gchar *const contents[] = {"\x93NUMPY", "x", "# HELP other_x y",
      "{\"name\": \"app\"}\n", "{\n \"time\": 1\n}\n"};
  g_autofree gchar *path = path_in (training, "thesis.tex");

  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    for (guint j = 0; j < G_N_ELEMENTS (contents); j++) {
      g_autofree gchar *after = NULL;
      g_assert_true (g_file_set_contents (path, contents[j], -1, NULL));
      expect_refused (training, properties[i], path, path, "another file");
      after = read_text (path);
      g_assert_cmpstr (after, ==, contents[j]);
    }
}

/* One that was torn within its first lines, by a full disk, is still one. */
static void
test_torn_logs_are_logs (Training *training, gconstpointer data)
{
  static const gchar *const contents[] = {"", "{", "{\"ti", "{\"time\": 17",
      "{\n{\"time\": 17", "{\"t\n{\"time\":\n{\"time\": 17.5}\n"};
  g_autofree gchar *path = path_in (training, "log.jsonl");

  for (guint i = 0; i < G_N_ELEMENTS (contents); i++) {
    GstSaeLog log = {.fd = -1};
    GError *error = NULL;
    g_assert_true (g_file_set_contents (path, contents[i], -1, NULL));
    gst_sae_log_open (&log, path, &error);
    g_assert_no_error (error);
    gst_sae_log_close (&log);
  }
}

static guint
count_warnings (Stream *stream, const gchar *part)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (stream->bus, GST_MESSAGE_WARNING)) !=
         NULL) {
    g_autoptr (GError) error = NULL;
    gst_message_parse_warning (message, &error, NULL);
    g_assert_true (error->domain == GST_RESOURCE_ERROR);
    if (!strstr (error->message, part))
      g_error ("no '%s' in: %s", part, error->message);
    gst_message_unref (message);
    n++;
  }
  return n;
}

static void
limit_file_size (rlim_t size)
{
  struct rlimit limit;

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  limit.rlim_cur = size;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
}

static rlim_t
size_of (const gchar *path)
{
  GStatBuf info;

  g_assert_cmpint (g_stat (path, &info), ==, 0);
  return (rlim_t) info.st_size;
}

/* The disk is full for a while: one warning, the training is as it would have
 * been, and lines after it are whole again. */
static void
test_log_that_fails (Training *training, gconstpointer data)
{
  g_autofree gchar *path = path_in (training, "log.jsonl");
  g_auto (Stream) stream = stream_with (training, "log-location", path);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  guint whole = 0;

  for (guint i = 0; i < 9; i++) {
    g_autofree float *x = stream_rows (i, 20, D);
    training_push (reference, x, NULL, 20);
    if (i == 3) /* within the next line, however long those before are */
      limit_file_size (size_of (path) + 100);
    push_rows (&stream, i, 20);
    if (i == 6)
      limit_file_size (RLIM_INFINITY);
  }
  training_finish (training, reference);
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  stream_expect_no_error (&stream);
  training_expect_same_files (training);
  text = read_text (path);
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    json_t *object = json_loads (lines[i], 0, NULL);
    whole += object != NULL;
    json_decref (object);
  }
  g_assert_cmpuint (whole, >=, 4);
  g_assert_cmpuint (whole, <, 10);
  g_assert_cmpuint (whole + 2, ==, g_strv_length (lines)); /* one torn */
}

static void
test_failures_are_said_once (Training *training, gconstpointer data)
{
  g_autofree gchar *folder = path_in (training, "view");
  g_autofree gchar *path = g_build_filename (folder, "sae.prom", NULL);

  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  for (guint kind = 0; kind < 2; kind++) {
    g_auto (Stream) stream = stream_with (training,
        kind ? "metrics-location" : "log-location", path);
    if (kind) {
      g_assert_cmpint (g_remove (path), ==, 0);
      g_assert_cmpint (g_rmdir (folder), ==, 0);
    } else {
      limit_file_size (1);
    }
    for (guint i = 0; i < 5; i++)
      push_rows (&stream, i, 20);
    limit_file_size (RLIM_INFINITY);
    g_assert_cmpuint (count_warnings (&stream, folder), ==, 1);
    stream_expect_no_error (&stream);
    stream_clear (&stream); /* with a last line */
    g_remove (path);
  }
}

/* --- metrics file --------------------------------------------------------- */

/* The value of the only sample of @name, which HELP and TYPE announce. */
static double
sample (const gchar *text, const gchar *name, const gchar *type)
{
  g_autofree gchar *pattern =
      g_strdup_printf ("(?m)^# HELP %s [^\\n]+\\n# TYPE %s %s\\n"
                       "%s\\{element=\"say \\\\\"hi\\\\\" \\\\\\\\\"\\} "
                       "([-+.e0-9]+)$",
          name, name, type, name);
  g_autoptr (GRegex) regex = g_regex_new (pattern, 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree gchar *number = NULL;

  if (!g_regex_match (regex, text, 0, &match))
    g_error ("no %s %s in:\n%s", type, name, text);
  number = g_match_info_fetch (match, 1);
  return g_ascii_strtod (number, NULL);
}

static void
test_metrics_file (Training *training, gconstpointer data)
{
  g_autofree gchar *path = path_in (training, "sae.prom");
  g_auto (Stream) stream = stream_with (training, "metrics-location", path);
  g_autoptr (SaeTrainer) reference = training_reference ();
  g_autofree gchar *before = read_text (path);
  g_autofree gchar *after = NULL;

  g_assert_true (sample (before, "sae_rows_total", "counter") == 0);
  g_assert_null (strstr (before, "sae_fvu"));
  for (guint i = 0; i < 5; i++) {
    g_autofree float *x = stream_rows (i, 16, D);
    g_autoptr (SaeMetrics) since_last = NULL;
    g_autofree gchar *text = NULL;
    double rows;
    push_rows (&stream, i, 16);
    training_push (reference, x, NULL, 16);
    text = read_text (path);
    rows = sample (text, "sae_rows_total", "counter");
    if (i == 0 && rows == 0) /* the interval starts with the first buffer */
      continue;
    since_last = sae_trainer_take_metrics (reference);
    g_assert_true (rows == 16 * (i + 1));
    g_assert_true (sample (text, "sae_steps_total", "counter") == 2 * (i + 1));
    g_assert_true (sample (text, "sae_fvu", "gauge") == since_last->fvu);
    g_assert_true (sample (text, "sae_l0", "gauge") == since_last->l0);
    g_assert_true (sample (text, "sae_dead_fraction", "gauge") ==
                   since_last->dead_fraction);
    g_assert_true (sample (text, "sae_learning_rate", "gauge") ==
                   since_last->learning_rate);
  }
  gst_harness_push_event (stream.harness, gst_event_new_eos ());
  after = read_text (path);
  g_assert_true (sample (after, "sae_rows_total", "counter") == 80);
  g_assert_true (sample (after, "sae_skipped_rows_total", "counter") == 0);
  g_assert_true (sample (after, "sae_dropped_rows_total", "counter") == 0);
}

/* Each field of the messages has its metric. */
static void
test_metrics_file_is_complete (Training *training, gconstpointer data)
{
  static const SaeMetrics metrics = {.rows = 1};
  g_autofree gchar *text = gst_sae_exposition_write (
      &(GstSaeExposition){"t", &metrics, &metrics, 7});
  g_autoptr (GstStructure) s = gst_sae_stats_new ("sae-stats", &metrics);

  for (gint i = 0; i < gst_structure_n_fields (s); i++) {
    const gchar *field = gst_structure_nth_field_name (s, (guint) i);
    g_autofree gchar *part = g_strconcat ("\nsae_", field,
        gst_structure_get_field_type (s, field) == G_TYPE_UINT64 ? "_total"
                                                                 : "",
        "{element=\"t\"} ", NULL);
    g_strdelimit (part + 5, "-", '_');
    if (!strstr (text, part))
      g_error ("no %s in:\n%s", part + 1, text);
  }
  g_assert_nonnull (
      strstr (text, "\nsae_dropped_rows_total{element=\"t\"} 7\n"));
}

/* --- numbers -------------------------------------------------------------- */

/* GStreamer never gives them, a metric of a broken run may. */
static void
test_not_a_number (Training *training, gconstpointer data)
{
  static const double bad[] = {NAN, INFINITY, -INFINITY};
  g_autofree gchar *path = path_in (training, "log.jsonl");

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    SaeMetrics metrics = {.rows = 1, .fvu = bad[i], .learning_rate = bad[i]};
    g_autoptr (GstStructure) s = gst_sae_stats_new ("sae-stats", &metrics);
    g_autofree gchar *text = gst_sae_exposition_write (
        &(GstSaeExposition){"a\nb", &metrics, &metrics, 0});
    g_autoptr (GPtrArray) objects = NULL;
    GstSaeLog log = {.fd = -1};
    GError *error = NULL;

    g_assert_true (gst_sae_log_open (&log, path, &error));
    g_assert_true (gst_sae_log_append (&log, "a\nb", s, &error));
    gst_sae_log_close (&log);
    g_assert_no_error (error);
    objects = read_log (path);
    g_assert_true (
        json_is_null (json_object_get (g_ptr_array_index (objects, i), "fvu")));
    g_assert_null (strstr (text, "sae_fvu"));
    g_assert_null (strstr (text, "sae_learning_rate"));
    g_assert_nonnull (strstr (text, "\nsae_l0{element=\"a\\nb\"} 0\n"));
  }
}

static void
test_locale (Training *training, gconstpointer data)
{
  static const SaeMetrics metrics = {.rows = 1, .fvu = 0.125};
  g_autofree gchar *path = path_in (training, "log.jsonl");
  g_autoptr (GstStructure) s = gst_sae_stats_new ("sae-stats", &metrics);
  g_autofree gchar *prom = NULL;
  g_autofree gchar *text = NULL;
  GstSaeLog log = {.fd = -1};

  if (!comma_locale_enter (training->folder)) {
    g_test_skip ("no German locale can be made here");
    return;
  }
  g_assert_true (gst_sae_log_open (&log, path, NULL));
  g_assert_true (gst_sae_log_append (&log, "t", s, NULL));
  gst_sae_log_close (&log);
  prom = gst_sae_exposition_write (
      &(GstSaeExposition){"t", &metrics, &metrics, 0});
  setlocale (LC_ALL, "C");
  text = read_text (path);
  g_assert_nonnull (strstr (text, "\"fvu\": 0.125"));
  g_assert_nonnull (strstr (prom, "\nsae_fvu{element=\"t\"} 0.125\n"));
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/logs/" name, test)
  ADD ("log-has-the-messages", test_log_has_the_messages);
  ADD ("log-is-appended-to", test_log_is_appended_to);
  ADD ("log-that-is-moved", test_log_that_is_moved);
  ADD ("wrong-paths-fail-at-start", test_wrong_paths_fail_at_start);
  ADD ("other-files-are-refused", test_other_files_are_refused);
  ADD ("log-that-fails", test_log_that_fails);
  ADD ("torn-logs-are-logs", test_torn_logs_are_logs);
  ADD ("failures-are-said-once", test_failures_are_said_once);
  ADD ("metrics-file", test_metrics_file);
  ADD ("metrics-file-is-complete", test_metrics_file_is_complete);
  ADD ("not-a-number", test_not_a_number);
  ADD ("numbers-in-any-locale", test_locale);
  return stream_run_tests ();
}
