/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whole pipelines with every element of the plugin: stopped in any state, at
 * any time, with whatever is in the way downstream. */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "fault.h"
#include "noise.h"
#include "stream.h"

#define D 16
#define F 64
#define K 4
#define N_ROWS 400
/* Seconds that a test may take before it hangs. */
#define PATIENCE 200
#define SLOW_PATIENCE 14400

/* In each one `%s` stands for the folder of the test, wherever it is. */
static const struct {
  const gchar *name, *description;
} pipelines[] = {
    {"saetrainer",
        "saesrc location=%s/x.npy epochs=1000 shuffle=true rows-per-buffer=8 ! "
        "saetrainer dict-size=64 top-k=4 batch-size=16 n-threads=2 "
        "stats-interval=1 location=%s/out checkpoint-location=%s/checkpoint "
        "checkpoint-interval=64 resume=continue log-location=%s/log.jsonl "
        "metrics-location=%s/sae.prom ! fakesink"},
    {"codes", "filesrc location=%s/x.npy ! saeparse rows-per-buffer=8 ! "
              "saeencoder location=%s/model n-threads=2 ! saedecoder "
              "location=%s/model ! saenpyenc ! filesink location=%s/y.npy"},
    {"steered",
        "saesrc location=%s/x.npy epochs=1000 rows-per-buffer=8 ! saesteer "
        "location=%s/model latents=\"3:*0,9:+2\" ! saeencoder "
        "location=%s/model ! saetop dict-size=64 location=%s/top.json ! "
        "fakesink"},
    {"live-in-a-row",
        "saesrc location=%s/x.npy epochs=1000 rows-per-buffer=8 ! saetrainer "
        "model-name=m publish-interval=32 dict-size=64 top-k=4 ! saeencoder "
        "model-name=m ! saedecoder model-name=m ! fakesink"},
    {"live-beside",
        "saesrc location=%s/x.npy epochs=1000 rows-per-buffer=8 ! tee name=t "
        "t. ! queue ! saetrainer model-name=m dict-size=64 top-k=4 ! fakesink "
        "t. ! queue ! saeencoder model-name=m ! fakesink"},
#ifdef HAVE_SCOPE
    {"saescope",
        "saesrc location=%s/x.npy epochs=1000 rows-per-buffer=8 ! saeencoder "
        "location=%s/model ! saescope dict-size=64 rows-per-frame=16 ! "
        "fakesink"},
#endif
};

static GstElement *
parse (guint i, const gchar *folder)
{
  g_auto (GStrv) parts = g_strsplit (pipelines[i].description, "%s", -1);
  g_autofree gchar *description = g_strjoinv (folder, parts);
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (description, &error);

  g_assert_no_error (error);
  return pipeline;
}

/* --- files of a test ------------------------------------------------------ */

static void
save_rows (const gchar *folder)
{
  g_autofree gchar *path = g_build_filename (folder, "x.npy", NULL);
  g_autofree float *x = stream_rows (1, N_ROWS, D);
  g_autoptr (GString) file = g_string_new_len ("\x93NUMPY\1\0v\0", 10);
  g_autofree gchar *header =
      g_strdup_printf ("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, "
                       "%d), }",
          N_ROWS, D);

  g_string_append_printf (file, "%-117s\n", header);
  g_string_append_len (file, (const gchar *) x, N_ROWS * D * sizeof *x);
  g_assert_true (
      g_file_set_contents (path, file->str, (gssize) file->len, NULL));
}

static gchar *
make_folder (void)
{
  gchar *folder = stream_make_folder ();
  g_autoptr (SaeConfig) config = sae_config_new (D, F, K);
  g_autofree gchar *model = NULL;

  save_rows (folder);
  model = stream_save_model (folder, "model", config, 1);
  alarm (g_test_slow () ? SLOW_PATIENCE : PATIENCE);
  return folder;
}

static void
remove_folder (gchar *folder)
{
  alarm (0);
  stream_remove_folder (folder);
}

static void
expect_loads (const gchar *folder)
{
  g_autofree gchar *path = g_build_filename (folder, "out", NULL);
  g_autoptr (SaeModel) model = NULL;
  GError *error = NULL;

  model = sae_model_load (path, &error);
  g_assert_no_error (error);
}

/* --- what goes on --------------------------------------------------------- */

/* Empties the bus, which has no errors. */
static void
expect_no_error (GstElement *pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  while ((message = gst_bus_pop (bus)) != NULL) {
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
      g_autoptr (GError) error = NULL;
      gst_message_parse_error (message, &error, NULL);
      g_error ("%s", error->message);
    }
    gst_message_unref (message);
  }
}

static guint
count_entries (const gchar *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (folder && g_dir_read_name (folder))
    n++;
  return n;
}

/* Waits for threads that are on their way out. */
static void
expect_threads (guint n)
{
  for (guint i = 0; i < 5000 && count_entries ("/proc/self/task") > n; i++)
    g_usleep (1000);
  g_assert_cmpuint (count_entries ("/proc/self/task"), <=, n);
}

/* A thread that continues a change of state has one until it ends. */
static void
expect_references (GstElement *pipeline, gint n)
{
  for (guint i = 0; i < 5000 && GST_OBJECT_REFCOUNT_VALUE (pipeline) > n; i++)
    g_usleep (1000);
  g_assert_cmpint (GST_OBJECT_REFCOUNT_VALUE (pipeline), ==, n);
}

static void
go_to (GstElement *pipeline, GstState state)
{
  g_assert_cmpint (gst_element_set_state (pipeline, state), !=,
      GST_STATE_CHANGE_FAILURE);
}

/* Through some states in any order, for moments, and to NULL. */
static void
cycle (GstElement *pipeline, Noise *noise)
{
  guint n = 1 + noise_below (noise, 4);

  for (guint i = 0; i < n; i++) {
    go_to (pipeline, GST_STATE_READY + noise_below (noise, 3));
    if (noise_below (noise, 2))
      g_usleep (noise_below (noise, 2000));
  }
  go_to (pipeline, GST_STATE_NULL);
  expect_no_error (pipeline);
}

/* --- state storm ---------------------------------------------------------- */

static void
test_storm (gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data), n = g_test_slow () ? 10000 : 60;
  gchar *folder = make_folder ();
  GstElement *pipeline = gst_object_ref_sink (parse (which, folder));
  Noise noise = noise_new ();
  guint threads, files;

  for (guint i = 0; i < 20; i++)
    cycle (pipeline, &noise);
  threads = count_entries ("/proc/self/task");
  files = count_entries ("/proc/self/fd");
  for (guint i = 0; i < n; i++)
    cycle (pipeline, &noise);
  g_assert_cmpuint (count_entries ("/proc/self/fd"), <=, files);
  /* GStreamer keeps threads of its own for a while. */
  expect_threads (threads + 8);
  expect_references (pipeline, 1);
  gst_object_unref (pipeline);
  remove_folder (folder);
  fault_report (14, n, n, 0);
}

/* --- blocked downstream --------------------------------------------------- */

static GstPadProbeReturn
block (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_PAD_PROBE_OK; /* of a blocking probe: stay blocked */
}

static GPtrArray *
list_source_pads (GstElement *pipeline)
{
  GPtrArray *pads = g_ptr_array_new_with_free_func (gst_object_unref);

  for (GList *l = GST_BIN_CHILDREN (pipeline); l; l = l->next)
    for (GList *p = GST_ELEMENT (l->data)->srcpads; p; p = p->next)
      g_ptr_array_add (pads, gst_object_ref (p->data));
  return pads;
}

static void
stop_while_blocked (guint which, const gchar *folder, guint round)
{
  GstElement *pipeline = parse (which, folder);
  g_autoptr (GPtrArray) pads = list_source_pads (pipeline);
  GstPad *pad = pads->pdata[round % pads->len];

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER,
      block, NULL, NULL);
  go_to (pipeline, round % 3 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
  while (!gst_pad_is_blocking (pad))
    g_usleep (100);
  go_to (pipeline, GST_STATE_NULL);
  expect_no_error (pipeline);
  g_clear_pointer (&pads, g_ptr_array_unref);
  gst_object_unref (pipeline);
}

static void
test_blocked (gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data), n = g_test_slow () ? 1000 : 40;
  gchar *folder = make_folder ();

  for (guint i = 0; i < n; i++)
    stop_while_blocked (which, folder, i);
  remove_folder (folder);
  fault_report (15, n, n, 0);
}

/* A dictionary that takes a while to write. */
static void
stop_while_saving (const gchar *folder)
{
  g_autofree gchar *description =
      g_strdup_printf ("saesrc location=%s/x.npy ! saetrainer dict-size=16384 "
                       "top-k=4 "
                       "batch-size=400 location=%s/saved/out ! fakesink",
          folder, folder);
  g_autofree gchar *place = g_build_filename (folder, "saved", NULL);
  GstElement *pipeline = gst_parse_launch (description, NULL);

  g_assert_cmpint (g_mkdir (place, 0700), ==, 0);
  go_to (pipeline, GST_STATE_PLAYING);
  while (count_entries (place) == 0) /* its temporary, or the whole */
    g_usleep (200);
  go_to (pipeline, GST_STATE_NULL);
  expect_no_error (pipeline);
  gst_object_unref (pipeline);
  expect_loads (place);
  g_assert_cmpuint (count_entries (place), ==, 1);
  stream_remove_folder (g_steal_pointer (&place));
}

static void
test_saving (void)
{
  guint n = g_test_slow () ? 1000 : 20;
  gchar *folder = make_folder ();

  for (guint i = 0; i < n; i++)
    stop_while_saving (folder);
  remove_folder (folder);
  fault_report (15, n, n, 0);
}

/* --- more pipelines than processors --------------------------------------- */

#define N_AT_ONCE 8

static GstElement *
start_training (const gchar *folder, const gchar *name)
{
  g_autofree gchar *description = g_strdup_printf (
      "saesrc location=%s/x.npy epochs=%d shuffle=true ! saetrainer "
      "dict-size=64 top-k=4 batch-size=64 n-threads=0 location=%s/%s ! "
      "fakesink",
      folder, g_test_slow () ? 1000 : 300, folder, name);
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (description, &error);

  g_assert_no_error (error);
  go_to (pipeline, GST_STATE_PLAYING);
  return pipeline;
}

static GBytes *
finish_training (GstElement *pipeline, const gchar *folder, const gchar *name)
{
  g_autofree gchar *path = g_build_filename (folder, name, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus,
      GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  go_to (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return stream_load_file (path, "sae_weights.safetensors");
}

static void
test_at_once (void)
{
  gchar *folder = make_folder ();
  GstElement *at_once[N_AT_ONCE];
  g_autoptr (GBytes) alone =
      finish_training (start_training (folder, "alone"), folder, "alone");
  guint survived = 0;

  for (guint i = 0; i < N_AT_ONCE; i++) {
    g_autofree gchar *name = g_strdup_printf ("side-%u", i);
    at_once[i] = start_training (folder, name);
  }
  for (guint i = 0; i < N_AT_ONCE; i++) {
    g_autofree gchar *name = g_strdup_printf ("side-%u", i);
    g_autoptr (GBytes) got = finish_training (at_once[i], folder, name);
    survived += g_bytes_equal (got, alone) ? 1 : 0;
  }
  remove_folder (folder);
  fault_report (41, N_AT_ONCE, survived, 0);
  g_assert_cmpuint (survived, ==, N_AT_ONCE);
}

static void
add (const gchar *what, guint which, GTestDataFunc test)
{
  g_autofree gchar *path = g_strdup_printf ("/reliability/pipelines/%s/%s",
      what, pipelines[which].name);

  g_test_add_data_func (path, GUINT_TO_POINTER (which), test);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (pipelines); i++) {
    add ("state-storm", i, test_storm);
    add ("null-while-blocked", i, test_blocked);
  }
  g_test_add_func ("/reliability/pipelines/null-while-saving", test_saving);
  g_test_add_func ("/reliability/pipelines/eight-at-once", test_at_once);
  return stream_run_tests ();
}
