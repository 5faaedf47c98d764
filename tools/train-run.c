/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train-run.h"

#include <glib-unix.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "numbers.h"
#include "output.h"
#include "train-pipeline.h"

typedef struct {
  GstElement *pipeline, *trainer;
  GMainLoop *loop;
  SaeProgress *progress;
  const char *stopping;
  guint64 expected_rows; /* 0 where they are not known */
  gboolean abandoned;    /* before it began: what is said of it is no use */
  SaeRun *run;
} Watch;

void
sae_run_clear (SaeRun *run)
{
  g_clear_pointer (&run->stats, gst_structure_free);
  g_clear_pointer (&run->total, gst_structure_free);
}

/* --- what the bus says ---------------------------------------------------- */

/* "file.c(12): function (): /path/of/element:\nwhat is wrong" → the last part,
 * where it says anything. */
static const char *
strip_place (const char *debug)
{
  const char *newline = debug ? strchr (debug, '\n') : NULL;

  return newline && newline[1] ? newline + 1 : NULL;
}

static void
print_report (Watch *watch, const char *kind, const GError *error,
    const char *debug)
{
  const char *detail = strip_place (debug);
  g_autofree char *shown = detail ? sae_output_printable (detail) : NULL;

  sae_progress_clear (watch->progress, TRUE);
  sae_output_complain ("sae-train", "%s%s", kind, error->message);
  if (shown)
    g_printerr ("  %s\n", shown);
}

/* Ctrl-C ends the program at the other end of a pipe as well, so that the array
 * is cut short: once it ends early, only the trainer has anything to say, and
 * not that a replay should have gone on. */
static gboolean
comes_of_signal (Watch *watch, GstMessage *message, const GError *error)
{
  return watch->run->signal &&
         (GST_MESSAGE_SRC (message) != GST_OBJECT (watch->trainer) ||
             g_error_matches (error, GST_LIBRARY_ERROR,
                 GST_LIBRARY_ERROR_SETTINGS));
}

/* The first error is the cause; those that follow come of it. */
static void
take_error (Watch *watch, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  gst_message_parse_error (message, &error, &debug);
  if (watch->run->failed || comes_of_signal (watch, message, error))
    return;
  watch->run->failed = TRUE;
  print_report (watch, "", error, debug);
}

/* After an error, that nothing was trained says nothing new. */
static void
take_warning (Watch *watch, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  if (watch->run->failed)
    return;
  gst_message_parse_warning (message, &error, &debug);
  print_report (watch, "warning: ", error, debug);
}

/* --- progress ------------------------------------------------------------- */

static guint64
ask_length (GstElement *trainer)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (trainer, "sink");
  guint64 told;
  gint64 rows;

  g_object_get (trainer, "total-rows", &told, NULL);
  if (told > 0)
    return told;
  if (gst_pad_peer_query_duration (pad, GST_FORMAT_DEFAULT, &rows) && rows > 0)
    return (guint64) rows;
  return 0;
}

static double
get_double (const GstStructure *stats, const char *field)
{
  double value = NAN;

  gst_structure_get_double (stats, field, &value);
  return value;
}

static guint64
get_count (const GstStructure *stats, const char *field)
{
  guint64 value = 0;

  gst_structure_get_uint64 (stats, field, &value);
  return value;
}

/* "1:20 left  " */
static char *
tell_rest (const Watch *watch, guint64 rows, double speed)
{
  g_autofree char *rest = NULL;

  if (watch->expected_rows <= rows || !(speed > 0))
    return g_strdup ("");
  rest = sae_number_duration ((double) (watch->expected_rows - rows) / speed);
  return g_strdup_printf ("%s left  ", rest);
}

/* In a narrow terminal the end is lost, which is what matters least. */
static void
show (Watch *watch, const GstStructure *stats)
{
  guint64 rows = get_count (stats, "total-rows");
  double speed = get_double (stats, "rows-per-second");
  g_autofree char *grouped = sae_number_grouped (rows);
  g_autofree char *grouped_speed =
      sae_number_grouped ((guint64) (speed > 0 ? speed : 0));
  g_autofree char *rest = tell_rest (watch, rows, speed);
  g_autofree char *text =
      g_strdup_printf ("%sfvu %.4f  l0 %.1f  dead %.1f %%  %s rows/s  %s rows",
          rest, get_double (stats, "fvu"), get_double (stats, "l0"),
          100 * get_double (stats, "dead-fraction"), grouped_speed, grouped);

  sae_progress_show (watch->progress,
      watch->expected_rows ? (double) rows / (double) watch->expected_rows : -1,
      text, FALSE);
}

static void
keep (GstStructure **kept, const GstStructure *stats)
{
  g_clear_pointer (kept, gst_structure_free);
  *kept = gst_structure_copy (stats);
}

/* The last message may tell of no rows: those before it are the last ones. */
static void
take_stats (Watch *watch, const GstStructure *stats)
{
  const GValue *total = gst_structure_get_value (stats, "total");

  if (!watch->expected_rows)
    watch->expected_rows = ask_length (watch->trainer);
  if (total && GST_VALUE_HOLDS_STRUCTURE (total))
    keep (&watch->run->total, gst_value_get_structure (total));
  if (get_count (stats, "rows") == 0)
    return;
  keep (&watch->run->stats, stats);
  show (watch, stats);
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Watch *watch = data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      take_error (watch, message);
      if (watch->run->failed)
        g_main_loop_quit (watch->loop);
      break;
    case GST_MESSAGE_WARNING:
      take_warning (watch, message);
      break;
    case GST_MESSAGE_EOS:
      g_main_loop_quit (watch->loop);
      break;
    case GST_MESSAGE_ELEMENT:
      if (gst_message_has_name (message, "sae-stats"))
        take_stats (watch, gst_message_get_structure (message));
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

/* --- Ctrl-C --------------------------------------------------------------- */

/* At the trainer, not at the source: a saeparse whose file ends early would
 * rightly call that an error. It waits until the buffer in work is done. */
static void
end_stream (GstElement *trainer, gpointer data)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (trainer, "sink");

  gst_pad_send_event (pad, gst_event_new_eos ());
}

static gboolean
has_begun (Watch *watch)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (watch->trainer, "sink");

  return gst_pad_has_current_caps (pad);
}

static void
abandon (Watch *watch)
{
  watch->abandoned = TRUE;
  g_main_loop_quit (watch->loop);
}

/* A terminal that closes may send its signal twice, from the kernel and from
 * the shell: only the others say that somebody does not want to wait. */
static gboolean
on_signal (Watch *watch, int number)
{
  if (watch->run->signal && number == SIGHUP)
    return G_SOURCE_CONTINUE;
  sae_progress_clear (watch->progress, TRUE);
  if (watch->run->signal) {
    g_printerr ("sae-train: gave up\n");
    _exit (128 + number);
  }
  watch->run->signal = number;
  g_printerr ("sae-train: stopping; %s\n", watch->stopping);
  if (has_begun (watch))
    gst_element_call_async (watch->trainer, end_stream, NULL, NULL);
  else
    abandon (watch);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_interrupt (gpointer data)
{
  return on_signal (data, SIGINT);
}

static gboolean
on_terminate (gpointer data)
{
  return on_signal (data, SIGTERM);
}

static gboolean
on_hang_up (gpointer data)
{
  return on_signal (data, SIGHUP);
}

/* --- the run -------------------------------------------------------------- */

/* What comes while it stops, such as a dictionary that could not be saved. */
static void
drain (Watch *watch, GstBus *bus)
{
  GstMessage *message;

  while ((message = gst_bus_pop (bus))) {
    on_message (bus, message, watch);
    gst_message_unref (message);
  }
}

/* In READY the trainer has saved what it had, and the bus still speaks. */
static void
stop (Watch *watch, GstBus *bus)
{
  gst_element_set_state (watch->pipeline, GST_STATE_READY);
  if (!watch->abandoned)
    drain (watch, bus);
  gst_element_set_state (watch->pipeline, GST_STATE_NULL);
}

static gboolean
ignore (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* nohup has its signal ignored, which stays so. */
static gboolean
is_ignored (int number)
{
  struct sigaction now;

  return sigaction (number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void
play (Watch *watch, GstBus *bus)
{
  guint interrupt = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGINT,
      on_interrupt, watch, NULL);
  guint terminate = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGTERM,
      on_terminate, watch, NULL);
  guint hang_up = 0;

  if (!is_ignored (SIGHUP))
    hang_up = g_unix_signal_add_full (G_PRIORITY_HIGH, SIGHUP, on_hang_up,
        watch, NULL);
  /* Whoever read the progress may be gone; the training is worth more. */
  signal (SIGPIPE, SIG_IGN);
  if (gst_element_set_state (watch->pipeline, GST_STATE_PLAYING) !=
      GST_STATE_CHANGE_FAILURE)
    g_main_loop_run (watch->loop);
  else
    drain (watch, bus);
  g_source_remove (interrupt);
  g_source_remove (terminate);
  /* Not removed: one that comes once more would end the program while it says
   * what was trained. */
  if (hang_up)
    g_source_set_callback (g_main_context_find_source_by_id (NULL, hang_up),
        ignore, NULL, NULL);
}

void
sae_run_pipeline (GstElement *pipeline, SaeProgress *progress,
    const char *stopping, SaeRun *run)
{
  g_autoptr (GstElement) trainer = sae_pipeline_find (pipeline, "saetrainer");
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  Watch watch = {pipeline, trainer, loop, progress, stopping, 0, FALSE, run};
  gint64 begin = g_get_monotonic_time ();

  gst_bus_add_watch (bus, on_message, &watch);
  play (&watch, bus);
  gst_bus_remove_watch (bus);
  stop (&watch, bus);
  run->seconds = (double) (g_get_monotonic_time () - begin) / G_USEC_PER_SEC;
  sae_progress_clear (progress, TRUE);
}
