/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two saetrainers do not write one dictionary. */
#include <glib/gstdio.h>
#include <unistd.h>

#include "fault.h"
#include "training.h"

static Stream
new_trainer (const gchar *name, const gchar *property, const gchar *path)
{
  return stream_new_alone ("saetrainer", "name", name, property, path, NULL);
}

static void
expect_starts (Stream *stream)
{
  g_assert_cmpint (gst_element_set_state (stream->element, GST_STATE_PAUSED),
      !=, GST_STATE_CHANGE_FAILURE);
  stream_expect_no_error (stream);
}

static void
expect_busy (Stream *stream, const gchar *path, const gchar *holder)
{
  g_assert_cmpint (gst_element_set_state (stream->element, GST_STATE_PAUSED),
      ==, GST_STATE_CHANGE_FAILURE);
  stream_expect_error (stream, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY,
      path, holder, NULL);
}

static void
test_second_is_refused (Training *training, gconstpointer data)
{
  g_auto (Stream) first = new_trainer ("first", "location", training->got);
  g_auto (Stream) second = new_trainer ("second", "location", training->got);

  expect_starts (&first);
  expect_busy (&second, training->got, "first");
  expect_starts (&first); /* goes on */
  gst_element_set_state (first.element, GST_STATE_READY);
  expect_starts (&second);
  expect_busy (&first, training->got, "second");
  gst_element_set_state (second.element, GST_STATE_NULL);
  expect_starts (&first);
}

static void
test_elsewhere_is_free (Training *training, gconstpointer data)
{
  g_auto (Stream) first = new_trainer ("first", "location", training->got);
  g_auto (Stream) second = new_trainer ("second", "location", training->want);
  g_auto (Stream) third = new_trainer ("third", "location", NULL);
  g_auto (Stream) fourth = new_trainer ("fourth", "location", NULL);

  expect_starts (&first);
  expect_starts (&second);
  expect_starts (&third);
  expect_starts (&fourth);
}

/* A start that fails for something else claims nothing. */
static void
test_failed_start_gives_back (Training *training, gconstpointer data)
{
  g_auto (Stream) first = new_trainer ("first", "location", training->got);
  g_auto (Stream) second = new_trainer ("second", "location", training->got);

  g_object_set (first.element, "metadata", "nonsense", NULL);
  g_assert_cmpint (gst_element_set_state (first.element, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  expect_starts (&second);
}

static void
test_other_spellings (Training *training, gconstpointer data)
{
  g_autofree gchar *link = g_build_filename (training->folder, "link", NULL);
  g_autofree gchar *real = g_build_filename (training->folder, "real", NULL);
  g_autofree gchar *new = g_build_filename (real, "new", "out", NULL);
  g_autofree gchar *before = g_get_current_dir ();
  gchar *spellings[] = {
      g_strconcat (new, "//", NULL),
      g_build_filename (link, "new", "out", NULL),
      g_build_filename (real, ".", "new", "out", NULL),
      g_build_filename (real, "..", "real", "new", "out", NULL),
      g_strdup ("new/out"),
      g_strdup ("./new/out/"),
  };
  g_auto (Stream) first = new_trainer ("first", "location", new);

  g_assert_cmpint (g_mkdir (real, 0700), ==, 0);
  g_assert_cmpint (symlink (real, link), ==, 0);
  expect_starts (&first);
  g_assert_cmpint (g_chdir (real), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (spellings); i++) {
    g_auto (Stream) second = new_trainer ("second", "location", spellings[i]);
    expect_busy (&second, spellings[i], "first");
    g_free (spellings[i]);
  }
  g_assert_cmpint (g_chdir (before), ==, 0);
}

static void
test_metrics_file_has_one_writer (Training *training, gconstpointer data)
{
  g_autofree gchar *path = g_build_filename (training->folder, "a.prom", NULL);
  g_auto (Stream) first = new_trainer ("first", "metrics-location", path);
  g_auto (Stream) second = new_trainer ("second", "metrics-location", path);

  expect_starts (&first);
  expect_busy (&second, path, "first");
}

static void
test_log_is_shared (Training *training, gconstpointer data)
{
  g_autofree gchar *path = g_build_filename (training->folder, "log", NULL);
  g_auto (Stream) first = new_trainer ("first", "log-location", path);
  g_auto (Stream) second = new_trainer ("second", "log-location", path);

  expect_starts (&first);
  expect_starts (&second);
}

/* Found out at the end of the run, it would cost the dictionary. */
static void
test_one_element_has_places_apart (Training *training, gconstpointer data)
{
  static const gchar *const files[] = {"log-location", "metrics-location",
      "checkpoint-location"};
  g_autofree gchar *inside = g_build_filename (training->got, "file", NULL);
  g_autofree gchar *beside = g_strconcat (training->got, ".file", NULL);

  g_assert_cmpint (g_mkdir (training->got, 0700), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_auto (Stream) stream = new_trainer ("one", "location", training->got);
    g_object_set (stream.element, files[i], inside, NULL);
    expect_busy (&stream, inside, training->got);
    g_assert_false (g_file_test (inside, G_FILE_TEST_EXISTS));
    g_object_set (stream.element, files[i], beside, NULL);
    expect_starts (&stream);
    gst_element_set_state (stream.element, GST_STATE_NULL);
    g_remove (beside);
    g_object_set (stream.element, files[(i + 1) % 3], beside, NULL);
    expect_busy (&stream, beside, "one");
  }
}

static void
test_folders_are_not_nested (Training *training, gconstpointer data)
{
  g_autofree gchar *inside = g_build_filename (training->got, "k8", NULL);
  g_auto (Stream) outer = new_trainer ("outer", "location", training->got);
  g_auto (Stream) inner = new_trainer ("inner", "location", inside);

  g_assert_cmpint (g_mkdir (training->got, 0700), ==, 0);
  expect_starts (&outer);
  expect_busy (&inner, inside, "outer");
  gst_element_set_state (outer.element, GST_STATE_NULL);
  expect_starts (&inner);
  expect_busy (&outer, training->got, "inner");
}

/* Only one of many that start at once gets it. */
#define RACERS 8

static gpointer
start_one (gpointer element)
{
  return GINT_TO_POINTER (gst_element_set_state (element, GST_STATE_PAUSED));
}

static void
test_race (Training *training, gconstpointer data)
{
  const guint n_rounds = 50;
  guint n_refused = 0;

  for (guint round = 0; round < n_rounds; round++) {
    Stream streams[RACERS];
    GThread *threads[RACERS];
    guint n_started = 0;
    for (guint i = 0; i < RACERS; i++) {
      streams[i] = new_trainer (NULL, "location", training->got);
      threads[i] = g_thread_new ("start", start_one, streams[i].element);
    }
    for (guint i = 0; i < RACERS; i++)
      n_started += GPOINTER_TO_INT (g_thread_join (threads[i])) !=
                   GST_STATE_CHANGE_FAILURE;
    g_assert_cmpuint (n_started, ==, 1);
    n_refused += RACERS - n_started;
    for (guint i = 0; i < RACERS; i++)
      stream_clear (&streams[i]);
  }
  fault_report (30, n_rounds * (RACERS - 1), n_refused, 0);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) training_add ("/saetrainer/claim/" name, test)
  ADD ("second-is-refused", test_second_is_refused);
  ADD ("elsewhere-is-free", test_elsewhere_is_free);
  ADD ("failed-start-gives-back", test_failed_start_gives_back);
  ADD ("other-spellings-are-the-same", test_other_spellings);
  ADD ("metrics-file-has-one-writer", test_metrics_file_has_one_writer);
  ADD ("log-is-shared", test_log_is_shared);
  ADD ("one-element-has-places-apart", test_one_element_has_places_apart);
  ADD ("folders-are-not-nested", test_folders_are_not_nested);
  ADD ("race-has-one-winner", test_race);
  return stream_run_tests ();
}
