/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train-report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "numbers.h"

static double
get (const GstStructure *stats, const char *field)
{
  double value = NAN;

  if (stats)
    gst_structure_get_double (stats, field, &value);
  return value;
}

static guint64
count (const GstStructure *stats, const char *field)
{
  guint64 value = 0;

  if (stats)
    gst_structure_get_uint64 (stats, field, &value);
  return value;
}

static void
print_line (const char *name, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  printf ("%-12s%s\n", name, text);
}

static void
print_run (const SaeRun *run)
{
  const GstStructure *total = run->total;
  double speed = get (total, "rows-per-second");
  g_autofree char *rows = sae_number_grouped (count (total, "rows"));
  g_autofree char *rate = sae_number_grouped (speed > 0 ? (guint64) speed : 0);
  g_autofree char *time = sae_number_duration (run->seconds);
  g_autofree char *last = sae_number_grouped (count (run->stats, "rows"));

  print_line ("trained", "%s rows in %s, %s rows/s", rows, time, rate);
  if (count (total, "skipped-rows") > 0) {
    g_autofree char *skipped =
        sae_number_grouped (count (total, "skipped-rows"));
    print_line ("skipped", "%s rows that cannot be trained on", skipped);
  }
  print_line ("fvu", "%.4f of the last %s rows, %.4f of all",
      get (run->stats, "fvu"), last, get (total, "fvu"));
  print_line ("l0", "%.1f", get (run->stats, "l0"));
  print_line ("dead", "%.2f %%", 100 * get (run->stats, "dead-fraction"));
}

static void
print_held_out (const SaeRun *held_out)
{
  g_autofree char *rows = sae_number_grouped (count (held_out->total, "rows"));

  print_line ("held-out", "fvu %.4f, l0 %.1f of %s rows",
      get (held_out->total, "fvu"), get (held_out->total, "l0"), rows);
}

/* --- JSON ----------------------------------------------------------------- */

static gboolean
add_field (GQuark field, const GValue *value, gpointer object)
{
  const char *name = g_quark_to_string (field);

  if (G_VALUE_HOLDS_UINT64 (value))
    json_object_set_new (object, name,
        json_integer ((json_int_t) g_value_get_uint64 (value)));
  else if (G_VALUE_HOLDS_DOUBLE (value))
    json_object_set_new (object, name,
        isfinite (g_value_get_double (value))
            ? json_real (g_value_get_double (value))
            : json_null ());
  return TRUE;
}

static json_t *
to_json (const GstStructure *stats)
{
  json_t *object = json_object ();

  if (stats)
    gst_structure_foreach (stats, add_field, object);
  return object;
}

static void
print_json (const SaeTrainOptions *options, const SaeRun *run,
    const SaeRun *held_out)
{
  g_autofree char *out = g_filename_display_name (options->out);
  json_t *object = json_pack ("{s:s, s:f, s:b, s:o, s:o}", "dictionary", out,
      "seconds", run->seconds, "stopped", run->signal != 0, "last",
      to_json (run->stats), "total", to_json (run->total));

  if (held_out)
    json_object_set_new (object, "held-out", to_json (held_out->total));
  json_dumpf (object, stdout, JSON_INDENT (2) | JSON_REAL_PRECISION (9));
  printf ("\n");
  json_decref (object);
}

void
sae_train_report_print (const SaeTrainOptions *options, const SaeRun *run,
    const SaeRun *held_out)
{
  if (options->json) {
    print_json (options, run, held_out);
    return;
  }
  if (options->quiet)
    return;
  print_run (run);
  if (held_out)
    print_held_out (held_out);
  print_line ("dictionary", "%s", options->out);
}
