/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The library and the plugin loaded and unloaded, and GStreamer's scanner.
 * Nothing of ours is linked here. */
#include <dlfcn.h>
#include <unistd.h>

#include <glib-object.h>
#include <glib/gstdio.h>

#include "fault.h"

#define N_TIMES 100
/* Seconds that all may take before that is a failure. */
#define PATIENCE 200

/* Types stay registered when a library goes, and so has their code to. */
static void
test_library (void)
{
  for (guint i = 0; i < N_TIMES; i++) {
    void *library = dlopen (g_getenv ("SAE_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    GType (*get_type) (void);

    if (!library)
      g_error ("%s", dlerror ());
    *(void **) &get_type = dlsym (library, "sae_trainer_get_type");
    g_assert_nonnull (get_type);
    g_object_unref (g_object_new (get_type (), NULL));
    dlclose (library);
  }
  fault_report (37, N_TIMES, N_TIMES, 0);
}

static void
test_plugin (void)
{
  for (guint i = 0; i < N_TIMES; i++) {
    void *first = dlopen (g_getenv ("SAE_PLUGIN"), RTLD_LAZY | RTLD_LOCAL);
    void *second = dlopen (g_getenv ("SAE_PLUGIN"), RTLD_NOW | RTLD_GLOBAL);

    if (!first || !second)
      g_error ("%s", dlerror ());
    dlclose (first);
    dlclose (second);
  }
  fault_report (37, N_TIMES, N_TIMES, 0);
}

/* A registry of its own, which the scanner fills in another process. */
static void
test_scanner (void)
{
  guint n = g_test_slow () ? N_TIMES : 10, survived = 0;
  g_autofree gchar *folder = g_dir_make_tmp ("sae-load-XXXXXX", NULL);
  g_autofree gchar *registry = g_build_filename (folder, "registry", NULL);
  gchar *argv[] = {"gst-inspect-1.0", "saetrainer", NULL};
  g_auto (GStrv) environment = g_get_environ ();

#ifdef __SANITIZE_ADDRESS__
  g_test_skip ("the scanner has no sanitizer, and could not load the plugin");
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  return;
#endif
  environment =
      g_environ_setenv (environment, "GST_REGISTRY_FORK", "yes", TRUE);
  environment =
      g_environ_setenv (environment, "GST_REGISTRY_1_0", registry, TRUE);
  environment =
      g_environ_setenv (environment, "GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
  for (guint i = 0; i < n; i++) {
    g_autoptr (GError) error = NULL;
    g_autofree gchar *output = NULL;
    gint status = -1;
    g_spawn_sync (NULL, argv, environment, G_SPAWN_SEARCH_PATH, NULL, NULL,
        &output, NULL, &status, &error);
    g_assert_no_error (error);
    survived += status == 0;
    g_assert_cmpint (g_unlink (registry), ==, 0);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  fault_report (37, n, survived, 0);
  g_assert_cmpuint (survived, ==, n);
}

int
main (int argc, char **argv)
{
  alarm (PATIENCE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/reliability/load/library", test_library);
  g_test_add_func ("/reliability/load/plugin", test_plugin);
  g_test_add_func ("/reliability/load/scanner", test_scanner);
  return g_test_run ();
}
