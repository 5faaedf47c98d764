/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bench-kernels [FUNCTION…]: times every function of every level this CPU has
 * on the shapes that training uses, best of many rounds, and prints how they
 * compare with the reference. */
#include <stdio.h>
#include <string.h>

#include "benches.h"

#define ROUNDS 40
#define ROUND_SECONDS 2e-3

/* Seconds of one call: the best round of many. */
static double
time_call (const Bench *bench, const SaeKernels *kernels, Arrays *arrays)
{
  double best = G_MAXDOUBLE;
  guint calls = 1;

  for (guint round = 0; round < ROUNDS;) {
    gint64 begin = g_get_monotonic_time ();
    for (guint i = 0; i < calls; i++)
      bench->call (kernels, arrays);
    double seconds = (double) (g_get_monotonic_time () - begin) * 1e-6;
    if (seconds < ROUND_SECONDS) {
      calls *= 2;
      continue;
    }
    best = MIN (best, seconds / calls);
    round++;
  }
  return best;
}

static gboolean
is_wanted (const char *name, int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (strcmp (argv[i], name) == 0)
      return TRUE;
  return argc == 1;
}

int
main (int argc, char **argv)
{
  Arrays arrays = arrays_new ();

  printf ("%-18s %-7s %12s %18s %10s\n", "function", "level", "us a call",
      "speed", "against c");
  for (const Bench *b = benches; b->name; b++) {
    double reference = 0;
    if (!is_wanted (b->name, argc, argv))
      continue;
    for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
      double seconds = time_call (b, *k, &arrays);
      if (*k == &sae_kernels_c)
        reference = seconds;
      printf ("%-18s %-7s %12.3f %9.2f %-8s %9.2fx\n", b->name, (*k)->name,
          seconds * 1e6, b->work / seconds, b->unit, reference / seconds);
    }
  }
  arrays_free (&arrays);
  return 0;
}
