/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * shuffle-rows: what comes in comes out once, from all over the buffer, the
 * same for any cut. */
#include "mixer.h"

#include <math.h>

#include "expect.h"
#include "sample-trainer.h"

#define D 4
#define ROWS 20000
#define CAPACITY 500

/* The order in which rows 0 … n − 1 leave; row r is r, its target −r. */
static guint *
order_of (guint64 seed, gsize capacity, gsize n)
{
  g_autoptr (GError) error = NULL;
  guint *order = g_new (guint, n);
  SaeMixer mixer;
  gsize n_out = 0;

  sae_mixer_init (&mixer, capacity, 1, 2, seed, &error);
  g_assert_no_error (error);
  for (gsize r = 0; r < n; r++) {
    const float x = (float) r, target[] = {-x, x + 1};
    if (mixer.n < capacity) {
      sae_mixer_add (&mixer, &x, target);
    } else {
      gsize place = sae_mixer_draw (&mixer);
      order[n_out++] = (guint) *sae_mixer_x (&mixer, place);
      sae_mixer_replace (&mixer, place, &x, target);
    }
  }
  while (mixer.n) {
    gsize place = sae_mixer_draw (&mixer);
    float x = *sae_mixer_x (&mixer, place);
    g_assert_cmpfloat (sae_mixer_target (&mixer, place)[0], ==, -x);
    g_assert_cmpfloat (sae_mixer_target (&mixer, place)[1], ==, x + 1);
    order[n_out++] = (guint) x;
    sae_mixer_remove (&mixer, place);
  }
  g_assert_cmpuint (n_out, ==, n);
  sae_mixer_clear (&mixer);
  return order;
}

static void
test_each_row_once (void)
{
  const gsize capacities[] = {1, 2, 7, CAPACITY, ROWS, 2 * ROWS};

  for (guint i = 0; i < G_N_ELEMENTS (capacities); i++) {
    g_autofree guint *order = order_of (1, capacities[i], ROWS);
    g_autofree gboolean *seen = g_new0 (gboolean, ROWS);
    for (gsize r = 0; r < ROWS; r++) {
      g_assert_cmpuint (order[r], <, ROWS);
      g_assert_false (seen[order[r]]);
      seen[order[r]] = TRUE;
    }
  }
}

/* A row stays for as many others as there are places, on average: the time is
 * geometric with mean and deviation C. Of rows that leave before the rest is
 * flushed in one go. */
static void
test_stays_as_long_as_the_buffer (void)
{
  g_autofree guint *order = order_of (2, CAPACITY, ROWS);
  double sum = 0, n = 0;

  for (gsize i = 0; i < ROWS - CAPACITY; i++) {
    if (order[i] < CAPACITY || order[i] >= ROWS - 15 * CAPACITY)
      continue;
    sum += (double) (i + CAPACITY) - order[i];
    n++;
  }
  g_assert_cmpfloat (n, >, 5000);
  expect_within ("rows that others stay", sum / n, CAPACITY,
      4 * CAPACITY / sqrt (n));
}

/* The rest in random order: of two neighbours either comes first half of the
 * time. */
static void
test_rest_is_shuffled (void)
{
  guint ascents = 0;

  for (guint64 seed = 0; seed < 100; seed++) {
    g_autofree guint *order = order_of (seed, 100, 100);
    for (guint i = 1; i < 100; i++)
      ascents += order[i] > order[i - 1];
  }
  /* mean 99/2 and variance 101/12 a permutation */
  expect_within ("ascents", ascents, 4950, 5 * sqrt (100 * 101 / 12.0));
}

static SaeTrainer *
trainer_of (guint64 capacity)
{
  SaeTrainer *trainer = sae_trainer_new (D, 24, 3);

  g_object_set (trainer, "batch-size", 64u, "shuffle-rows", capacity,
      "learning-rate", 1e-3, "warmup-rows", (gint64) 0, "n-threads", 1u, NULL);
  return trainer;
}

static GBytes *
the_rows (void)
{
  Noise noise = {.state = 71};

  return sparse_rows (&noise, ROWS, D, 2);
}

static GBytes *
piece (GBytes *x, gsize at, gsize n)
{
  return g_bytes_new_from_bytes (x, at * D * sizeof (float),
      n * D * sizeof (float));
}

static GBytes *
train (guint64 capacity, gsize most, gboolean with_target, Noise *noise)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (capacity);
  g_autoptr (GBytes) x = the_rows ();
  g_autoptr (GError) error = NULL;

  for (gsize at = 0, n; at < ROWS; at += n) {
    n = most == ROWS ? ROWS : 1 + noise_below (noise, (guint) most);
    n = MIN (n, ROWS - at);
    g_autoptr (GBytes) part = piece (x, at, n);
    /* targets that come late are those of the rows before, too */
    sae_trainer_push (trainer, part, with_target && at > 100 ? part : NULL,
        &error);
    g_assert_no_error (error);
  }
  sae_trainer_flush (trainer, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==, ROWS);
  return weights_of (trainer);
}

/* The scale, too, is from the same rows. */
static void
test_cuts (void)
{
  Noise noise = noise_new ();
  const guint64 capacities[] = {1, 50, 3000, ROWS + 1};

  for (guint i = 0; i < G_N_ELEMENTS (capacities); i++) {
    g_autoptr (GBytes) want = train (capacities[i], ROWS, FALSE, NULL);
    const gsize most[] = {1, 63, 1000, 9000};
    for (guint j = 0; j < G_N_ELEMENTS (most); j++) {
      g_autoptr (GBytes) got = train (capacities[i], most[j], j % 2, &noise);
      expect_with ("%u rows mixed, at most %u at a time", (guint) capacities[i],
          (guint) most[j]);
      expect_same_bytes ("weights", got, want);
    }
  }
}

static void
test_mixes (void)
{
  g_autoptr (GBytes) plain = train (0, ROWS, FALSE, NULL);
  g_autoptr (GBytes) mixed = train (50, ROWS, FALSE, NULL);

  g_assert_false (g_bytes_equal (plain, mixed));
}

static void
test_drop_counts (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (300);
  g_autoptr (GBytes) x = the_rows (), some = piece (x, 0, 200);
  g_autoptr (GBytes) more = piece (x, 200, 400);

  push_all (trainer, some);
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 200);
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 0);
  push_all (trainer, more); /* 300 mixed, 100 wait for the scale */
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 400);
  g_assert_true (sae_trainer_flush (trainer, NULL));
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==, 0);
}

/* A row that is not finite takes no part in the mixing. */
static void
test_bad_rows (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (300);
  g_autoptr (SaeTrainer) clean = trainer_of (300);
  g_autoptr (GBytes) x = the_rows (), got = NULL, want = NULL;
  g_autoptr (SaeMetrics) metrics = NULL;
  const float bad[D] = {0, NAN, 0, 0};
  g_autoptr (GBytes) bad_row = g_bytes_new_static (bad, sizeof bad);

  for (gsize at = 0; at < ROWS; at += 100) {
    g_autoptr (GBytes) part = piece (x, at, 100);
    push_all (trainer, bad_row);
    push_all (trainer, part);
    push_all (clean, part);
  }
  sae_trainer_flush (trainer, NULL);
  sae_trainer_flush (clean, NULL);
  metrics = sae_trainer_get_metrics (trainer);
  g_assert_cmpuint (metrics->skipped_rows, ==, ROWS / 100);
  got = weights_of (trainer);
  want = weights_of (clean);
  expect_same_bytes ("weights", got, want);
}

static void
test_step_goes_past (void)
{
  g_autoptr (SaeTrainer) trainer = trainer_of (300);
  g_autoptr (GBytes) x = the_rows (), some = piece (x, 0, 200);

  push_all (trainer, some);
  g_assert_true (sae_trainer_step (trainer, some, NULL, NULL));
  g_assert_cmpuint (sae_trainer_get_rows (trainer), ==, 200);
  g_assert_cmpuint (sae_trainer_drop_pending (trainer), ==, 200);
}

/* More rows than any memory holds. */
static void
test_no_memory (void)
{
  const guint64 capacities[] = {G_MAXUINT64, G_MAXUINT64 / 16, 1ull << 50};

  for (guint i = 0; i < G_N_ELEMENTS (capacities); i++) {
    g_autoptr (SaeTrainer) trainer = trainer_of (capacities[i]);
    g_autoptr (GError) error = NULL;
    g_assert_false (sae_trainer_start (trainer, &error));
    expect_error (&error, SAE_ERROR, SAE_ERROR_NO_SPACE, "shuffle-rows");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/trainer/mixer/" name, test)
  ADD ("each-row-comes-out-once", test_each_row_once);
  ADD ("a-row-stays-as-long-as-the-buffer", test_stays_as_long_as_the_buffer);
  ADD ("the-rest-is-shuffled", test_rest_is_shuffled);
  ADD ("any-cut-gives-the-same-bytes", test_cuts);
  ADD ("another-order-than-the-stream", test_mixes);
  ADD ("drop-counts-its-rows", test_drop_counts);
  ADD ("bad-rows-are-as-if-never-there", test_bad_rows);
  ADD ("a-step-goes-past-it", test_step_goes_past);
  ADD ("more-than-memory-is-an-error", test_no_memory);
  return g_test_run ();
}
