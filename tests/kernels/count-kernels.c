/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * count-kernels [FUNCTION…]: calls every kernel of the level that SAE_KERNELS
 * names a few times, for callgrind, which counts the instructions inside
 * count_calls() and writes what it has at the end of each. Prints what the
 * numbers depend on and then, in the order of callgrind's files, the names of
 * the kernels. test-instructions.py runs it. */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "benches.h"

#define CALLS 2

#ifdef __clang__
#define COMPILER "clang-" G_STRINGIFY (__clang_major__)
#else
#define COMPILER "gcc-" G_STRINGIFY (__GNUC__)
#endif
#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

/* Found by its name. */
void
count_calls (const Bench *bench, const SaeKernels *kernels, Arrays *arrays);

__attribute__ ((noinline)) void
count_calls (const Bench *bench, const SaeKernels *kernels, Arrays *arrays)
{
  for (guint i = 0; i < CALLS; i++)
    bench->call (kernels, arrays);
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
  const SaeKernels *kernels = sae_kernels ();

  printf ("key %s-glibc-%s-%s\nlevel %s\ncalls %d\n", COMPILER,
      gnu_get_libc_version (), MACHINE, kernels->name, CALLS);
  for (const Bench *b = benches; b->name; b++) {
    /* New ones for each, so that no kernel's count depends on those before. */
    Arrays arrays;

    if (!is_wanted (b->name, argc, argv))
      continue;
    arrays = arrays_new ();
    count_calls (b, kernels, &arrays);
    arrays_free (&arrays);
    printf ("kernel %s\n", b->name);
  }
  return 0;
}
