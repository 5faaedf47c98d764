/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pipelines of every element in which the first, second, … large allocation
 * fails: one ERROR of ours that says so, or none where it could be done
 * without, and never an abort. */
#include <string.h>

#include <glib/gstdio.h>

#include "fail-allocations.h"
#include "fault.h"
#include "rows.h"
#include "stream.h"

/* A row of the one, and what is there for each latent of the other, is large.
 */
#define WIDE 17000
#define MANY 17000
#define NARROW 8

/* The current folder has these files and dictionaries. */
static const gchar *const pipelines[] = {
    "saesrc location=wide.npy rows-per-buffer=2 shuffle=true ! fakesink",
    "filesrc location=raw blocksize=4096 ! queue ! saeparse "
    "dtype=bfloat16 input-size=20000 rows-per-buffer=1 ! fakesink",
    "saesrc location=wide.npy ! saenpyenc ! filesink location=x.npy",
    "saesrc location=wide.npy ! saeencoder location=wide ! saedecoder "
    "location=wide ! fakesink",
    "saesrc location=halves.npy ! saeencoder location=wide ! saedecoder "
    "location=wide ! other/tensors,types=(string)float32 ! fakesink",
    "saesrc location=narrow.npy ! saeencoder location=many ! saenpyenc "
    "tensor=1 ! filesink location=x.npy",
    "saesrc location=narrow.npy ! saeencoder location=many "
    "codes-format=dense ! saedecoder location=many ! fakesink",
    "saesrc location=narrow.npy ! saeencoder location=many "
    "codes-format=sparse ! saenpyenc ! filesink location=x.npy",
    "saesrc location=narrow.npy ! saeencoder location=many top-k=9000 "
    "codes-format=sparse ! saedecoder location=many ! fakesink",
    "saesrc location=wide.npy ! saesteer location=wide latents=1:*0 ! fakesink",
    "saesrc location=narrow.npy ! saesteer location=many latents=1:*0 ! "
    "fakesink",
    "saesrc location=wide.npy rows-per-buffer=2 ! saetrainer dict-size=24 "
    "top-k=4 batch-size=2 shuffle-rows=4 location=out checkpoint-location=c "
    "checkpoint-interval=2 log-location=l.jsonl metrics-location=m.prom ! "
    "fakesink",
    "saesrc location=narrow.npy ! saetrainer dict-size=17000 top-k=4 "
    "batch-size=5 model-name=live publish-interval=5 ! saeencoder "
    "model-name=live ! fakesink",
    "saesrc location=narrow.npy ! saetrainer init-location=many frozen=true ! "
    "fakesink",
    "saesrc location=narrow.npy ! saeencoder location=many ! saetop "
    "model-location=many location=top.json page-location=top.html "
    "tokens-location=tokens.txt ! fakesink",
    "saesrc location=narrow.npy ! saeencoder location=many ! saetop "
    "dict-size=17000 location=top.json tokens-location=tokens.json ! fakesink",
#ifdef HAVE_SCOPE
    "saesrc location=narrow.npy ! saeencoder location=many ! saescope "
    "dict-size=17000 rows-per-frame=5 ! video/x-raw,width=100,height=100 ! "
    "fakesink",
#endif
};

static void
save_tokens (void)
{
  g_autoptr (GString) lines = g_string_new (NULL);
  g_autoptr (GString) array = g_string_new ("[\"0\"");

  for (guint i = 1; i < 20000; i++) {
    g_string_append_printf (lines, "token %u\n", i);
    g_string_append_printf (array, ", \"token %u\"", i);
  }
  g_string_append (array, "]");
  g_assert_true (g_file_set_contents ("tokens.txt", lines->str, -1, NULL));
  g_assert_true (g_file_set_contents ("tokens.json", array->str, -1, NULL));
}

static void
save_files (void)
{
  static const gchar raw[3 * 40000]; /* rows of 20,000 bfloat16 */
  const SaeConfig wide = {.d_in = WIDE, .d_sae = 24, .k = 4};
  const SaeConfig many = {.d_in = NARROW, .d_sae = MANY, .k = 20};

  g_free (stream_save_model (".", "wide", &wide, 1));
  g_free (stream_save_model (".", "many", &many, 1));
  rows_save_npy ("wide.npy", "<f4", 0, 6, WIDE);
  rows_save_npy ("halves.npy", "<f2", 0, 6, WIDE);
  rows_save_npy ("narrow.npy", "<f4", 0, 10, NARROW);
  g_assert_true (g_file_set_contents ("raw", raw, sizeof raw, NULL));
  save_tokens ();
}

/* A source says so when it cannot send any more because of what downstream has
 * said already. */
static gboolean
is_of_ours (const GError *error)
{
  return !g_error_matches (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
}

typedef struct {
  guint ours, others;
} Errors;

/* Until the stream ends, unless it has; what ours say has to be why. */
static void
take_errors (GstBus *bus, gboolean ended, Errors *errors)
{
  const GstMessageType types = GST_MESSAGE_ERROR | GST_MESSAGE_EOS;
  GstMessage *message;

  while ((message = gst_bus_timed_pop_filtered (bus,
              ended ? 0 : 60 * GST_SECOND, types)) != NULL) {
    g_autoptr (GError) error = NULL;
    g_autofree gchar *debug = NULL;
    ended = TRUE;
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
      gst_message_parse_error (message, &error, &debug);
      if (!is_of_ours (error))
        errors->others++;
      else if (strstr (error->message, "memory"))
        errors->ours++;
      else
        g_error ("%s: %s", error->message, debug);
    }
    gst_message_unref (message);
  }
  g_assert_true (ended);
}

/* Whether the @nth allocation failed, or there are fewer. */
static gboolean
run_without (const gchar *description, guint nth)
{
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launch (description, &error);
  GstBus *bus = gst_element_get_bus (pipeline);
  Errors errors = {0, 0};
  gboolean failed;

  g_assert_no_error (error);
  fail_allocation (nth);
  failed = gst_element_set_state (pipeline, GST_STATE_PLAYING) ==
           GST_STATE_CHANGE_FAILURE;
  take_errors (bus, failed, &errors);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  failed = fail_allocation_end ();
  take_errors (bus, TRUE, &errors);
  if (errors.ours > (failed ? 1 : 0) || (errors.others && !errors.ours))
    g_error ("%u errors without allocation %u, and %u of others", errors.ours,
        nth, errors.others);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  return failed;
}

static void
test_pipeline (gconstpointer description)
{
  guint n = 0;

  while (run_without (description, n + 1))
    n++;
  g_test_message ("%s", (const gchar *) description);
  g_assert_cmpuint (n, >, 0);
  fault_report (9, n, n, 0);
}

int
main (int argc, char **argv)
{
  g_autofree gchar *before = g_get_current_dir ();
  gchar *folder;
  int status;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  folder = stream_make_folder ();
  g_assert_cmpint (g_chdir (folder), ==, 0);
  save_files ();
  for (guint i = 0; i < G_N_ELEMENTS (pipelines); i++) {
    g_autofree gchar *path =
        g_strdup_printf ("/reliability/allocations/pipeline-%u", i);
    g_test_add_data_func (path, pipelines[i], test_pipeline);
  }
  status = stream_run_tests ();
  g_assert_cmpint (g_chdir (before), ==, 0);
  stream_remove_folder (folder);
  return status;
}
