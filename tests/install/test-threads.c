/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Loading the plugin and making its elements starts no thread: libraries that
 * bring their own (OpenBLAS does when it is loaded) wait for the first use. */
#include <gst/gst.h>

#include "fault.h"

static guint
count_threads (void)
{
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  g_assert_nonnull (tasks);
  while (g_dir_read_name (tasks))
    n++;
  return n;
}

static void
make_elements (GstPlugin *plugin)
{
  GstRegistry *registry = gst_registry_get ();
  GList *features = gst_registry_get_feature_list_by_plugin (registry,
      gst_plugin_get_name (plugin));

  g_assert_nonnull (features);
  for (GList *l = features; l; l = l->next) {
    GstElement *element = gst_element_factory_create (l->data, NULL);

    g_assert_nonnull (element);
    gst_object_unref (gst_object_ref_sink (element));
  }
  gst_plugin_feature_list_free (features);
}

static void
test_loading_starts_no_thread (void)
{
  guint before = count_threads ();
  g_autoptr (GError) error = NULL;
  GstPlugin *plugin = gst_plugin_load_file (g_getenv ("SAE_PLUGIN"), &error);

  g_assert_no_error (error);
  g_assert_nonnull (plugin);
  g_assert_cmpuint (count_threads (), ==, before);
  make_elements (plugin);
  g_assert_cmpuint (count_threads (), ==, before);
  gst_object_unref (plugin);
  fault_report (37, 1, 1, 0);
}

int
main (int argc, char **argv)
{
  /* Only what this test loads is there, so that the count before is not one
   * of a process that has seen the plugin. */
  g_setenv ("GST_PLUGIN_PATH_1_0", "", TRUE);
  g_setenv ("GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
  g_setenv ("GST_REGISTRY_1_0", "/dev/null", TRUE);
  g_setenv ("GST_REGISTRY_UPDATE", "no", TRUE);
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  g_test_add_func ("/install/loading/starts-no-thread",
      test_loading_starts_no_thread);
  return g_test_run ();
}
