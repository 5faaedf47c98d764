/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any UTF-8 comes out of gst_parse_launchv() as it went in. */
#include "launch-words.h"

#include <string.h>

#include <gst/gst.h>

#define N_RANDOM 2000
#define MAX_LENGTH 12

static GstElement *
parse (const char *assignment)
{
  const gchar *words[] = {"filesrc", assignment, "!", "fakesink", NULL};
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launchv (words, &error);

  if (error)
    g_error ("%s: %s", assignment, error->message);
  return gst_object_ref_sink (pipeline);
}

static GstElement *
get_source (GstElement *pipeline)
{
  g_autoptr (GList) children =
      g_list_copy (GST_BIN_CHILDREN (GST_BIN (pipeline)));

  for (GList *l = children; l; l = l->next)
    if (GST_OBJECT_FLAG_IS_SET (l->data, GST_ELEMENT_FLAG_SOURCE))
      return l->data;
  g_assert_not_reached ();
}

static void
expect_same (const char *value)
{
  g_autofree char *assignment = sae_launch_assignment ("location", value);
  g_autoptr (GstElement) pipeline = parse (assignment);
  g_autofree char *found = NULL;

  g_object_get (get_source (pipeline), "location", &found, NULL);
  if (strcmp (found, value) != 0)
    g_error ("%s: expected '%s', got '%s'", assignment, value, found);
}

/* A shell makes of the line what it was made of. */
static void
expect_same_words (const char *value)
{
  g_autofree char *assignment = sae_launch_assignment ("location", value);
  const char *const words[] = {"!", assignment, NULL};
  g_autofree char *line = sae_launch_shell_line ("gst-launch-1.0", words);
  g_auto (GStrv) argv = NULL;
  g_autoptr (GError) error = NULL;
  gint argc;

  g_shell_parse_argv (line, &argc, &argv, &error);
  g_assert_no_error (error);
  g_assert_cmpint (argc, ==, 3);
  g_assert_cmpstr (argv[1], ==, "!");
  g_assert_cmpstr (argv[2], ==, assignment);
}

static void
test_known (void)
{
  static const char *const values[] = {"a.npy", "a b", "a'b", "a\"b", "\"a\"",
      "a\\", "\\", "\"", "a\\\"", "NULL", "a=b", "a!b", "! fakesink", "$HOME",
      "`id`", "a\nb", "\t", "caf\xc3\xa9", "shard-%05d", "(string)a", "<a,b>",
      "a;b", "*", "~", "#", "name.", "a,b", "a\\040b", "{a}", "[a]", " a",
      "a "};

  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    expect_same (values[i]);
    expect_same_words (values[i]);
  }
}

static void
test_random (void)
{
  static const char often[] = " \"'\\!=.()<>;,\n$%";

  for (guint i = 0; i < N_RANDOM; i++) {
    g_autoptr (GString) value = g_string_new (NULL);
    guint n = (guint) g_test_rand_int_range (1, MAX_LENGTH);
    for (guint j = 0; j < n; j++)
      g_string_append_unichar (value,
          g_test_rand_bit ()
              ? (gunichar) often[g_test_rand_int_range (0, sizeof often - 1)]
              : (gunichar) g_test_rand_int_range (1, 0x3000));
    expect_same (value->str);
    expect_same_words (value->str);
  }
}

static void
test_lists (void)
{
  const char *const values[] = {"a, b", "c\"d'", "caf\xc3\xa9", "1", "<x>",
      NULL};
  g_autofree char *assignment =
      sae_launch_list_assignment ("locations", values);
  const gchar *words[] = {"saesrc", assignment, "!", "fakesink", NULL};
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = NULL;
  g_auto (GValue) found = G_VALUE_INIT;

  pipeline = gst_object_ref_sink (gst_parse_launchv (words, &error));
  g_assert_no_error (error);
  g_object_get_property (G_OBJECT (get_source (pipeline)), "locations", &found);
  g_assert_cmpuint (gst_value_array_get_size (&found), ==, 5);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpstr (g_value_get_string (gst_value_array_get_value (&found, i)),
        ==, values[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  g_test_add_func ("/tools/launch-words/known", test_known);
  g_test_add_func ("/tools/launch-words/random", test_random);
  g_test_add_func ("/tools/launch-words/lists", test_lists);
  return g_test_run ();
}
