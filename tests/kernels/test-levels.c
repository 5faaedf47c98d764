/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which level is chosen, and that none of them changes how the thread's other
 * arithmetic behaves. */
#include <string.h>

#include "cases.h"

#ifdef __x86_64__
#include <xmmintrin.h>
#endif

/* How arithmetic behaves: masks, rounding, flush-to-zero; without the flags
 * of what has happened. */
#if defined __x86_64__
static guint64
control_bits (void)
{
  return _mm_getcsr () & 0xffc0u;
}
#elif defined __aarch64__
static guint64
control_bits (void)
{
  guint64 fpcr;

  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  return fpcr;
}
#endif

static const SaeKernels *
find_level (const char *name)
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++)
    if (strcmp ((*k)->name, name) == 0)
      return *k;
  return NULL;
}

static const SaeKernels *
best_level (void)
{
  const SaeKernels *const *k = sae_kernels_available ();

  while (k[1])
    k++;
  return *k;
}

static void
test_reference_first (void)
{
  const SaeKernels *const *k = sae_kernels_available ();

  g_assert_cmpstr (k[0]->name, ==, "c");
  for (; *k; k++)
    g_test_message ("this CPU runs %s", (*k)->name);
}

/* Runs the test called @child with SAE_KERNELS set to @value. */
static void
run_with (const char *value, const char *child)
{
  g_autofree char *before = g_strdup (g_getenv ("SAE_KERNELS"));

  if (value)
    g_setenv ("SAE_KERNELS", value, TRUE);
  else
    g_unsetenv ("SAE_KERNELS");
  g_test_trap_subprocess (child, 0, 0);
  if (before)
    g_setenv ("SAE_KERNELS", before, TRUE);
  else
    g_unsetenv ("SAE_KERNELS");
  g_test_trap_assert_passed ();
}

static void
test_environment (void)
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++)
    run_with ((*k)->name, "/kernels/levels/subprocess/as-named");
}

static void
subprocess_as_named (void)
{
  g_assert_cmpstr (sae_kernels ()->name, ==, g_getenv ("SAE_KERNELS"));
  g_assert_true (sae_kernels () == find_level (sae_kernels ()->name));
}

static void
test_best (void)
{
  run_with (NULL, "/kernels/levels/subprocess/best");
  run_with ("no-such-level", "/kernels/levels/subprocess/best");
  run_with ("", "/kernels/levels/subprocess/best");
}

static void
subprocess_best (void)
{
  g_assert_true (sae_kernels () == best_level ());
}

#if defined __x86_64__ || defined __aarch64__
static void
check_control_bits (const Case *c)
{
  guint64 before = control_bits ();
  g_auto (NoiseArray) x = noise_array (c->noise, c->kind, c->n, 0);
  g_auto (NoiseArray) y = noise_array (c->noise, c->kind, c->n, 0);
  SaeRowSums sums;

  c->kernels->dot (x.values, y.values, c->n);
  c->kernels->add (x.values, y.values, c->n);
  c->kernels->scale (x.values, 0.5f, x.values, c->n);
  c->kernels->row_sums (x.values, y.values, c->n, &sums);
  g_assert_cmphex (control_bits (), ==, before);
}
#endif

static void
test_control_bits (void)
{
#if defined __x86_64__ || defined __aarch64__
  cases_run (check_control_bits);
#else
  g_test_skip ("neither MXCSR (x86) nor FPCR (aarch64) here");
#endif
}

/* Half of the smallest normal number is denormal and not 0. */
static void
test_denormals (void)
{
  for (const SaeKernels *const *k = sae_kernels_available (); *k; k++) {
    float x[40], y[40];
    for (guint j = 0; j < 40; j++)
      x[j] = 0x1p-126f;
    (*k)->scale (y, 0.5f, x, 40);
    for (guint j = 0; j < 40; j++)
      g_assert_true (y[j] == 0x1p-127f);
    g_assert_true ((*k)->dot (y, (float[]){1}, 1) == 0x1p-127f);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/levels/reference-first", test_reference_first);
  g_test_add_func ("/kernels/levels/environment-names-one", test_environment);
  g_test_add_func ("/kernels/levels/best-without-a-known-name", test_best);
  g_test_add_func ("/kernels/levels/subprocess/as-named", subprocess_as_named);
  g_test_add_func ("/kernels/levels/subprocess/best", subprocess_best);
  g_test_add_func ("/kernels/levels/control-register-untouched",
      test_control_bits);
  g_test_add_func ("/kernels/levels/denormals-are-not-flushed", test_denormals);
  return g_test_run ();
}
