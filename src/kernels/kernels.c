/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which level this machine runs. */
#include "kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const SaeKernels *kernels;
  int (*cpu_has) (void);
  void (*prepare) (void); /* before the first use; NULL for nothing */
} Level;

static int
always (void)
{
  return 1;
}

#ifdef SAE_HAVE_AVX2
static int
cpu_has_avx2 (void)
{
  return __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma");
}
#endif

#ifdef SAE_HAVE_AVX512
static int
cpu_has_avx512 (void)
{
  return __builtin_cpu_supports ("avx512f") &&
         __builtin_cpu_supports ("avx512vl") &&
         __builtin_cpu_supports ("avx512dq") &&
         __builtin_cpu_supports ("avx512bw") && __builtin_cpu_supports ("fma");
}
#endif

#ifdef SAE_HAVE_AVX512VNNI
static int
cpu_has_avx512vnni (void)
{
  return cpu_has_avx512 () && __builtin_cpu_supports ("avx512vnni");
}
#endif

/* Slowest first. */
static const Level levels[] = {
    {&sae_kernels_c, always, NULL},
#ifdef SAE_HAVE_AVX2
    {&sae_kernels_avx2, cpu_has_avx2, sae_kernels_avx2_prepare},
#endif
#ifdef SAE_HAVE_AVX512
    {&sae_kernels_avx512, cpu_has_avx512, NULL},
#endif
#ifdef SAE_HAVE_AVX512VNNI
    {&sae_kernels_avx512vnni, cpu_has_avx512vnni, NULL},
#endif
#ifdef SAE_HAVE_NEON
    {&sae_kernels_neon, always, NULL},
#endif
};

#define N_LEVELS (sizeof levels / sizeof levels[0])

static const SaeKernels *available[N_LEVELS + 1];
static const SaeKernels *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
choose (void)
{
  const char *wanted = getenv ("SAE_KERNELS");
  size_t n = 0;

  for (size_t i = 0; i < N_LEVELS; i++)
    if (levels[i].cpu_has ()) {
      if (levels[i].prepare)
        levels[i].prepare ();
      available[n++] = levels[i].kernels;
    }
  chosen = available[n - 1];
  for (size_t i = 0; wanted && i < n; i++)
    if (strcmp (wanted, available[i]->name) == 0)
      chosen = available[i];
}

const SaeKernels *const *
sae_kernels_available (void)
{
  pthread_once (&once, choose);
  return available;
}

const SaeKernels *
sae_kernels (void)
{
  pthread_once (&once, choose);
  return chosen;
}
