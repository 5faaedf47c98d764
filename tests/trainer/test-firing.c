/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * When latents fire, by windows of rows, and which of them are dead. */
#include "../same-memory.h"
#include "firing.h"

#include "group.h"

#define D_SAE 4

/* @n rows in each of which latent @index alone fires with @value. */
static void
add_rows (SaeFiring *firing, gsize n, guint32 index, float value,
    guint64 window)
{
  gsize offsets[17];
  guint32 indices[16];
  float values[16];

  g_assert_cmpuint (n, <=, 16);
  for (gsize r = 0; r <= n; r++)
    offsets[r] = r;
  for (gsize r = 0; r < n; r++) {
    indices[r] = index;
    values[r] = value;
  }
  sae_firing_add (firing, &(SaeSparseRows){n, offsets, indices, values},
      window);
}

static SaeFiring
firing_new (void)
{
  g_autoptr (GError) error = NULL;
  SaeFiring firing;

  sae_firing_init (&firing, D_SAE, &error);
  g_assert_no_error (error);
  return firing;
}

static void
expect_window (const SaeLatentStats *window, guint64 rows, guint i,
    guint64 count, double sum, float largest)
{
  g_assert_cmpuint (window->n_rows, ==, rows);
  g_assert_cmpuint (window->fired[i], ==, count);
  g_assert_cmpfloat (window->sum[i], ==, sum);
  g_assert_cmpfloat (window->max[i], ==, largest);
}

/* A window is full with 20 rows or more; what it had is the one before, and
 * what that had is forgotten. */
static void
test_windows (void)
{
  SaeFiring firing = firing_new ();

  add_rows (&firing, 8, 1, 0.5f, 20);
  add_rows (&firing, 8, 1, 2, 20);
  expect_window (&firing.now, 16, 1, 16, 20, 2);
  expect_window (&firing.before, 0, 1, 0, 0, 0);
  add_rows (&firing, 8, 2, 3, 20); /* full */
  expect_window (&firing.now, 0, 1, 0, 0, 0);
  expect_window (&firing.before, 24, 1, 16, 20, 2);
  expect_window (&firing.before, 24, 2, 8, 24, 3);
  add_rows (&firing, 16, 3, 1, 20);
  expect_window (&firing.now, 16, 3, 16, 16, 1);
  expect_window (&firing.before, 24, 1, 16, 20, 2);
  add_rows (&firing, 16, 3, 1, 20); /* full again */
  expect_window (&firing.before, 32, 3, 32, 32, 1);
  expect_window (&firing.before, 32, 1, 0, 0, 0);
  expect_window (&firing.now, 0, 1, 0, 0, 0);
  g_assert_cmpuint (firing.rows, ==, 56);
  sae_firing_clear (&firing);
}

/* Dead: more than dead_after rows since the end of the batch in which it last
 * fired, or since the start. */
static void
test_dead (void)
{
  SaeFiring firing = firing_new ();

  add_rows (&firing, 10, 0, 1, 1000);
  g_assert_cmpuint (firing.last_fired[0], ==, 10);
  g_assert_cmpuint (firing.last_fired[1], ==, 0);
  g_assert_cmpfloat (sae_firing_get_dead_fraction (&firing, 10), ==, 0);
  g_assert_cmpfloat (sae_firing_get_dead_fraction (&firing, 9), ==, 0.75);
  add_rows (&firing, 10, 1, 1, 1000);
  g_assert_cmpuint (sae_firing_get_alive_since (&firing, 9), ==, 11);
  g_assert_cmpuint (sae_firing_get_alive_since (&firing, 20), ==, 0);
  g_assert_cmpuint (sae_firing_get_alive_since (&firing, G_MAXUINT64), ==, 0);
  g_assert_cmpfloat (sae_firing_get_dead_fraction (&firing, 9), ==, 0.75);
  g_assert_cmpfloat (sae_firing_get_dead_fraction (&firing, 10), ==, 0.5);
  g_assert_cmpfloat (sae_firing_get_dead_fraction (&firing, 20), ==, 0);
  sae_firing_clear (&firing);
}

static void
test_group (void)
{
  const gsize offsets[] = {0, 2, 2, 5, 6};
  const guint32 index[] = {1, 3, 0, 1, 3, 1};
  const float value[] = {10, 20, 30, 40, 50, 60};
  const gsize want_first[] = {0, 1, 4, 4, 6};
  const guint32 want_row[] = {2, 0, 2, 3, 0, 2};
  const float want_value[] = {30, 10, 40, 60, 20, 50};
  gsize first[D_SAE + 2];
  guint32 row[6];
  float grouped[6];

  sae_group_by_latent (&(SaeSparseRows){4, offsets, index, value}, D_SAE, first,
      row, grouped);
  assert_same_memory (first, sizeof want_first, want_first, sizeof want_first);
  assert_same_memory (row, sizeof row, want_row, sizeof want_row);
  assert_same_memory (grouped, sizeof grouped, want_value, sizeof want_value);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/firing/two-windows", test_windows);
  g_test_add_func ("/trainer/firing/dead-after", test_dead);
  g_test_add_func ("/trainer/group/rows-ascend-within-a-latent", test_group);
  return g_test_run ();
}
