/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which batches are faults of the stream. */
#include "spikes.h"

#include <math.h>

#define MOST_IN_A_ROW 100

/* A stream whose error is @mse, for @n batches. */
static void
pass (SaeSpikes *spikes, double mse, guint n)
{
  for (guint i = 0; i < n; i++)
    g_assert_false (sae_spikes_check (spikes, mse, 0));
}

/* Errors that stay, fall and jitter are no spikes. */
static void
test_usual (void)
{
  SaeSpikes falling = {0}, jitter = {0};

  pass (&falling, 2, 300);
  for (guint i = 0; i < 300; i++)
    g_assert_false (sae_spikes_check (&falling, 2 * exp (-0.05 * i), 0));
  pass (&falling, 0, 10); /* as of constant rows */
  for (guint i = 0; i < 300; i++)
    g_assert_false (sae_spikes_check (&jitter, i % 2 ? 1e-3 : 0.1, 0));
}

/* A thousand times the usual error is the limit; a spike teaches nothing. */
static void
test_spike (void)
{
  SaeSpikes spikes = {0};

  pass (&spikes, 2, 50);
  for (guint i = 0; i < 50; i++) {
    g_assert_true (sae_spikes_check (&spikes, 2001, 0));
    g_assert_true (sae_spikes_check (&spikes, 1e30, 0));
    g_assert_true (sae_spikes_check (&spikes, INFINITY, 0));
    g_assert_true (sae_spikes_check (&spikes, NAN, 0));
    pass (&spikes, 2, 1);
  }
  g_assert_false (sae_spikes_check (&spikes, 1999, 0));
}

/* After a hundred in a row it is the stream that has changed. */
static void
test_change (void)
{
  SaeSpikes spikes = {0};

  pass (&spikes, 2, 50);
  for (guint i = 0; i < MOST_IN_A_ROW; i++)
    g_assert_true (sae_spikes_check (&spikes, 1e6, 0));
  pass (&spikes, 1e6, 1);
  g_assert_true (sae_spikes_check (&spikes, 2e9, 0));
  pass (&spikes, 1e6, 200);
}

/* What is below a known size needs no history; without one, the first error is
 * the usual one. */
static void
test_first (void)
{
  SaeSpikes known = {0}, unknown = {0};

  g_assert_true (sae_spikes_check (&known, 1e9, 1));
  g_assert_false (sae_spikes_check (&known, 1, 1));
  g_assert_false (sae_spikes_check (&unknown, 1e9, 0));
  g_assert_true (sae_spikes_check (&unknown, 1e13, 0));
}

/* An error that has become tiny may come back to what is harmless. */
static void
test_harmless (void)
{
  SaeSpikes spikes = {0};

  for (guint i = 0; i < 300; i++)
    g_assert_false (sae_spikes_check (&spikes, 1e-12, 1));
  g_assert_false (sae_spikes_check (&spikes, 0.9, 1));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/spikes/usual-errors-are-none", test_usual);
  g_test_add_func ("/trainer/spikes/out-of-proportion", test_spike);
  g_test_add_func ("/trainer/spikes/a-stream-that-changes", test_change);
  g_test_add_func ("/trainer/spikes/the-first-batch", test_first);
  g_test_add_func ("/trainer/spikes/harmless", test_harmless);
  return g_test_run ();
}
