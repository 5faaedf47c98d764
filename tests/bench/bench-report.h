/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a benchmark says: one line of JSON. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Seconds on the wall, and those of all threads of this program, which other
 * programs disturb less (but a thread that waits by spinning adds to them). */
typedef struct {
  double wall, cpu;
} BenchTime;

BenchTime bench_now (void);
/* Adds to @sum what has passed since @start. */
void bench_add_since (BenchTime *sum, BenchTime start);

/* Of doubles. */
double bench_median (GArray *values);

/* Times of all measured passes. */
typedef struct {
  GArray *wall, *cpu; /* double */
} BenchTimes;

BenchTimes bench_times_new (void);
void bench_times_clear (BenchTimes *times);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BenchTimes, bench_times_clear)
void bench_times_add (BenchTimes *times, BenchTime time);
/* The least on the wall. */
double bench_times_min (const BenchTimes *times);

/* A report of passes over @n_rows rows: @library, what it did, the sizes of
 * the options, the machine, every time, best and median rows per second and
 * microseconds a row. More may be added to it. */
json_t *bench_report_new (const char *library, const char *what,
    const BenchTimes *times, double n_rows);

/* Adds the largest resident set so far, prints and frees it. */
void bench_report_print (json_t *report);
