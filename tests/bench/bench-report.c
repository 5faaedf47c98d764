/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench-options.h"
#include "kernels.h"

static double
read_clock (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

BenchTime
bench_now (void)
{
  BenchTime now;

  /* The wall last here and first below: what it shows is without the call that
   * the other clock takes. */
  now.cpu = read_clock (CLOCK_PROCESS_CPUTIME_ID);
  now.wall = read_clock (CLOCK_MONOTONIC);
  return now;
}

void
bench_add_since (BenchTime *sum, BenchTime start)
{
  sum->wall += read_clock (CLOCK_MONOTONIC) - start.wall;
  sum->cpu += read_clock (CLOCK_PROCESS_CPUTIME_ID) - start.cpu;
}

BenchTimes
bench_times_new (void)
{
  return (BenchTimes){g_array_new (FALSE, FALSE, sizeof (double)),
      g_array_new (FALSE, FALSE, sizeof (double))};
}

void
bench_times_clear (BenchTimes *times)
{
  g_array_unref (times->wall);
  g_array_unref (times->cpu);
}

void
bench_times_add (BenchTimes *times, BenchTime time)
{
  g_array_append_val (times->wall, time.wall);
  g_array_append_val (times->cpu, time.cpu);
}

static int
compare_seconds (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* What is at @share of the way from the least to the largest. */
static double
quantile (GArray *seconds, double share)
{
  g_autoptr (GArray) sorted = g_array_copy (seconds);

  qsort (sorted->data, sorted->len, sizeof (double), compare_seconds);
  return g_array_index (sorted, double, (guint) (share * (sorted->len - 1)));
}

double
bench_median (GArray *values)
{
  return quantile (values, 0.5);
}

double
bench_times_min (const BenchTimes *times)
{
  return quantile (times->wall, 0);
}

/* --- the machine --- */

/* What of the processor's list of features bears on speed here. */
static const char *const features[] = {"avx2", "fma", "f16c", "avx_vnni",
    "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd",
    "asimddp", "i8mm", "sve", NULL};

/* The value of the first line "@key : value". */
static char *
find_cpuinfo (const char *text, const char *key)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i]; i++) {
    char *colon = strchr (lines[i], ':');

    if (colon && g_str_has_prefix (lines[i], key))
      return g_strdup (g_strstrip (colon + 1));
  }
  return NULL;
}

static json_t *
list_features (const char *flags)
{
  g_auto (GStrv) have = g_strsplit (flags ? flags : "", " ", -1);
  json_t *list = json_array ();

  for (guint i = 0; features[i]; i++)
    if (g_strv_contains ((const char *const *) have, features[i]))
      json_array_append_new (list, json_string (features[i]));
  return list;
}

static void
add_machine (json_t *report)
{
  g_autofree char *text = NULL;
  g_autofree char *name = NULL;
  g_autofree char *flags = NULL;

  if (!g_file_get_contents ("/proc/cpuinfo", &text, NULL, NULL))
    text = g_strdup ("");
  name = find_cpuinfo (text, "model name");
  flags = find_cpuinfo (text, "flags");
  if (!flags)
    flags = find_cpuinfo (text, "Features");
  json_object_set_new (report, "cpu", json_string (name ? name : "unknown"));
  json_object_set_new (report, "flags", list_features (flags));
  json_object_set_new (report, "processors",
      json_integer (g_get_num_processors ()));
  json_object_set_new (report, "kernels", json_string (sae_kernels ()->name));
}

/* --- the report --- */

static void
add_sizes (json_t *report)
{
  const BenchOptions *o = &bench_options;
  const struct {
    const char *name;
    int value;
  } sizes[] = {
      {"rows", o->rows},
      {"d_in", o->d_in},
      {"d_sae", o->d_sae},
      {"k", o->k},
      {"batch", o->batch},
      {"threads", (int) bench_options_threads ()},
      {"seed", o->seed},
  };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    json_object_set_new (report, sizes[i].name, json_integer (sizes[i].value));
}

/* @seconds as list @name, and its least and median. */
static void
add_seconds (json_t *report, const char *name, GArray *seconds)
{
  g_autofree char *min = g_strconcat (name, "_min", NULL);
  g_autofree char *median = g_strconcat (name, "_median", NULL);
  json_t *all = json_array ();

  for (guint i = 0; i < seconds->len; i++)
    json_array_append_new (all, json_real (g_array_index (seconds, double, i)));
  json_object_set_new (report, name, all);
  json_object_set_new (report, min, json_real (quantile (seconds, 0)));
  json_object_set_new (report, median, json_real (quantile (seconds, 0.5)));
}

static void
add_times (json_t *report, const BenchTimes *times, double n_rows)
{
  double min = quantile (times->wall, 0), median = quantile (times->wall, 0.5);

  add_seconds (report, "seconds", times->wall);
  add_seconds (report, "cpu_seconds", times->cpu);
  json_object_set_new (report, "rows_per_second", json_real (n_rows / min));
  json_object_set_new (report, "rows_per_second_median",
      json_real (n_rows / median));
  json_object_set_new (report, "us_per_row", json_real (1e6 * min / n_rows));
  json_object_set_new (report, "us_per_row_median",
      json_real (1e6 * median / n_rows));
}

json_t *
bench_report_new (const char *library, const char *what,
    const BenchTimes *times, double n_rows)
{
  json_t *report = json_object ();

  json_object_set_new (report, "library", json_string (library));
  json_object_set_new (report, "work", json_string (bench_options.work));
  json_object_set_new (report, "what", json_string (what));
  json_object_set_new (report, "model",
      bench_options.model ? json_string (bench_options.model) : json_null ());
  add_sizes (report);
  add_times (report, times, n_rows);
  add_machine (report);
  return report;
}

void
bench_report_print (json_t *report)
{
  struct rusage usage;
  g_autofree char *text = NULL;

  if (getrusage (RUSAGE_SELF, &usage) == 0)
    json_object_set_new (report, "peak_rss_kib",
        json_integer (usage.ru_maxrss));
  text = json_dumps (report, JSON_REAL_PRECISION (9));
  puts (text);
  json_decref (report);
}
