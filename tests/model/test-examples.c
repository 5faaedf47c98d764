/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-examples.h"

#include <math.h>
#include <string.h>

#include "../reliability/peak.h"
#include "expect.h"
#include "sae-tokens.h"
#include "scratch.h"

#define F 12
#define N 400

static SaeExamples *
make (guint per_latent, guint context, guint passage)
{
  g_autoptr (GError) error = NULL;
  SaeExamples *examples =
      sae_examples_new (F, per_latent, context, passage, &error);

  g_assert_no_error (error);
  return examples;
}

/* Row @row has one entry. */
static void
add_one (SaeExamples *examples, guint64 row, guint32 latent, float value)
{
  g_autoptr (GError) error = NULL;
  const gsize offsets[] = {0, 1};

  sae_examples_add_rows (examples, 1, offsets, &latent, &value, row,
      G_MAXUINT64, G_MAXUINT64, &error);
  g_assert_no_error (error);
}

static void
expect_example (SaeExamples *examples, guint latent, guint rank, guint64 row,
    float value)
{
  guint64 got_row, got_time;
  float got_value;

  g_assert_true (sae_examples_get_example (examples, latent, rank, &got_row,
      &got_value, &got_time));
  g_assert_cmpuint (got_row, ==, row);
  g_assert_cmpfloat (got_value, ==, value);
}

static void
test_none (void)
{
  g_autoptr (SaeExamples) examples = make (3, 2, 0);
  g_autoptr (GArray) histogram = sae_examples_get_histogram (examples);
  guint n = 7;

  g_assert_cmpuint (sae_examples_get_d_sae (examples), ==, F);
  g_assert_cmpuint (sae_examples_get_per_latent (examples), ==, 3);
  g_assert_cmpuint (sae_examples_get_context (examples), ==, 2);
  g_assert_cmpuint (sae_examples_get_n_rows (examples), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_alive (examples), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_examples (examples, 4), ==, 0);
  g_assert_false (sae_examples_get_example (examples, 4, 0, NULL, NULL, NULL));
  g_assert_null (sae_examples_get_around (examples, 4, 0, &n));
  g_assert_cmpuint (n, ==, 0);
  g_assert_cmpuint (histogram->len, ==, SAE_EXAMPLES_N_BINS);
  for (guint bin = 0; bin < histogram->len; bin++)
    g_assert_cmpuint (g_array_index (histogram, guint, bin), ==, 0);
}

static void
test_strongest (void)
{
  static const float values[] = {1, 5, 2, 4, 3};
  g_autoptr (SaeExamples) examples = make (3, 0, 0);

  for (guint row = 0; row < G_N_ELEMENTS (values); row++)
    add_one (examples, 100 + row, 7, values[row]);
  g_assert_cmpuint (sae_examples_get_n_examples (examples, 7), ==, 3);
  expect_example (examples, 7, 0, 101, 5);
  expect_example (examples, 7, 1, 103, 4);
  expect_example (examples, 7, 2, 104, 3);
  g_assert_cmpuint (sae_examples_get_n_fired (examples, 7), ==, 5);
  g_assert_cmpfloat (sae_examples_get_mean (examples, 7), ==, 3);
  g_assert_cmpfloat (sae_examples_get_max (examples, 7), ==, 5);
  g_assert_cmpuint (sae_examples_get_n_rows (examples), ==, 5);
  g_assert_cmpuint (sae_examples_get_n_alive (examples), ==, 1);
}

static void
test_ties (void)
{
  g_autoptr (SaeExamples) examples = make (2, 0, 0);

  add_one (examples, 30, 1, 2);
  add_one (examples, 31, 1, 2);
  add_one (examples, 32, 1, 2); /* full: the earlier ones stay */
  expect_example (examples, 1, 0, 30, 2);
  expect_example (examples, 1, 1, 31, 2);
  add_one (examples, 5, 1, 2); /* after a seek back */
  expect_example (examples, 1, 0, 5, 2);
  expect_example (examples, 1, 1, 30, 2);
}

static void
test_same_row (void)
{
  g_autoptr (SaeExamples) examples = make (3, 0, 0);

  add_one (examples, 4, 1, 2);
  add_one (examples, 5, 1, 1);
  add_one (examples, 4, 1, 2);
  add_one (examples, 5, 1, 3);
  g_assert_cmpuint (sae_examples_get_n_examples (examples, 1), ==, 2);
  expect_example (examples, 1, 0, 5, 3);
  expect_example (examples, 1, 1, 4, 2);
}

static void
test_not_firing (void)
{
  g_autoptr (SaeExamples) examples = make (3, 1, 0);

  add_one (examples, 0, 1, 0);
  add_one (examples, 1, 1, -3);
  g_assert_cmpuint (sae_examples_get_n_nonfinite (examples), ==, 0);
  add_one (examples, 2, 1, NAN);
  add_one (examples, 3, 1, INFINITY);
  add_one (examples, 4, 1, -INFINITY);
  g_assert_cmpuint (sae_examples_get_n_rows (examples), ==, 5);
  g_assert_cmpuint (sae_examples_get_n_nonfinite (examples), ==, 3);
  g_assert_cmpuint (sae_examples_get_n_fired (examples, 1), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_examples (examples, 1), ==, 0);
}

static void
test_unordered (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeExamples) examples = make (3, 0, 0);
  const gsize offsets[] = {0, 4, 8};
  /* Pairs of any order, of which equal ones add up, and unused slots. */
  const guint32 indices[] = {9, 2, 9, 4, /**/ 3, 0, 0, 0};
  const float values[] = {1, 2, 0.5f, -1, /**/ 7, 0, 0, 0};

  sae_examples_add_rows (examples, 2, offsets, indices, values, 0, G_MAXUINT64,
      G_MAXUINT64, &error);
  g_assert_no_error (error);
  expect_example (examples, 9, 0, 0, 1.5f);
  expect_example (examples, 2, 0, 0, 2);
  expect_example (examples, 3, 0, 1, 7);
  g_assert_cmpuint (sae_examples_get_n_fired (examples, 9), ==, 1);
  g_assert_cmpuint (sae_examples_get_n_fired (examples, 0), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_fired (examples, 4), ==, 0);
}

static void
expect_around (SaeExamples *examples, guint latent, guint rank, guint n,
    const float *want)
{
  guint got_n;
  const float *got = sae_examples_get_around (examples, latent, rank, &got_n);

  g_assert_cmpuint (got_n, ==, n);
  expect_same_bits ("around", got, want, n);
}

static void
test_around (void)
{
  g_autoptr (SaeExamples) examples = make (1, 2, 0);

  add_one (examples, 10, 1, 1);
  add_one (examples, 11, 2, 9);
  add_one (examples, 12, 1, 5);
  add_one (examples, 13, 1, 2);
  add_one (examples, 15, 1, 3);
  expect_around (examples, 1, 0, 5, (float[]){1, 0, 5, 2, 0});
  sae_examples_interrupt (examples);
  add_one (examples, 16, 1, 6); /* what lies before it is not known */
  expect_around (examples, 1, 0, 5, (float[]){0, 0, 6, 0, 0});
}

static void
test_passages (void)
{
  g_autoptr (SaeExamples) examples = make (1, 2, 6);

  add_one (examples, 5, 1, 1);
  add_one (examples, 6, 1, 5); /* the first row of its text */
  add_one (examples, 7, 1, 2);
  expect_around (examples, 1, 0, 5, (float[]){0, 0, 5, 2, 0});
  add_one (examples, 10, 1, 3);
  add_one (examples, 11, 1, 8); /* the last one */
  add_one (examples, 12, 1, 4);
  expect_around (examples, 1, 0, 5, (float[]){0, 3, 8, 0, 0});
}

static void
test_times (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeExamples) examples = make (4, 0, 0);
  const gsize offsets[] = {0, 1, 2, 3};
  const guint32 indices[] = {1, 1, 1};
  const float values[] = {3, 2, 1};
  static const guint64 want[] = {1000, 1033, 1066, 1100};
  guint64 time;

  sae_examples_add_rows (examples, 3, offsets, indices, values, 0, 1000, 100,
      &error);
  g_assert_no_error (error);
  for (guint rank = 0; rank < 3; rank++) {
    sae_examples_get_example (examples, 1, rank, NULL, NULL, &time);
    g_assert_cmpuint (time, ==, want[rank]);
  }
  add_one (examples, 3, 1, 9);
  sae_examples_get_example (examples, 1, 0, NULL, NULL, &time);
  g_assert_cmpuint (time, ==, G_MAXUINT64);
}

/* --- against all of it in memory ------------------------------------------ */

typedef struct {
  gsize offsets[N + 1];
  guint32 indices[N * F];
  float values[N * F];
  float dense[N][F];
} Sample;

/* Few different values, so that many are equal. */
static Sample *
make_sample (guint32 seed)
{
  Sample *sample = g_new0 (Sample, 1);
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  gsize n = 0;

  for (guint row = 0; row < N; row++) {
    for (guint i = 0; i < F; i++) {
      if (g_rand_int_range (random, 0, 3) > 0)
        continue;
      sample->indices[n] = i;
      sample->values[n] = (float) g_rand_int_range (random, -1, 40) / 8;
      sample->dense[row][i] = sample->values[n++];
    }
    sample->offsets[row + 1] = n;
  }
  return sample;
}

static void
add_cut (SaeExamples *examples, const Sample *sample, guint32 seed)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  gsize offsets[N + 1];

  for (gsize row = 0, n; row < N; row += n) {
    gsize first = sample->offsets[row];
    n = (gsize) g_rand_int_range (random, 1, 50);
    n = MIN (n, N - row);
    for (gsize i = 0; i <= n; i++)
      offsets[i] = sample->offsets[row + i] - first;
    sae_examples_add_rows (examples, n, offsets, sample->indices + first,
        sample->values + first, row, G_MAXUINT64, G_MAXUINT64, &error);
    g_assert_no_error (error);
  }
}

/* How many rows rank before @row. */
static guint
rank_in (const Sample *sample, guint latent, guint row)
{
  float value = sample->dense[row][latent];
  guint rank = 0;

  for (guint r = 0; r < N; r++) {
    float other = sample->dense[r][latent];
    rank += other > value || (other == value && r < row);
  }
  return rank;
}

static float
value_around (const Sample *sample, guint latent, guint row, gint distance,
    guint passage)
{
  gint other = (gint) row + distance;

  if (other < 0 || other >= N ||
      (passage && (guint) other / passage != row / passage))
    return 0;
  return MAX (sample->dense[other][latent], 0);
}

static void
expect_latent (SaeExamples *examples, const Sample *sample, guint latent)
{
  guint context = sae_examples_get_context (examples), n_fired = 0, n;
  double sum = 0;

  for (guint row = 0; row < N; row++) {
    float value = sample->dense[row][latent];
    guint rank = rank_in (sample, latent, row);
    const float *around;
    if (value <= 0)
      continue;
    n_fired++;
    sum += value;
    if (rank >= sae_examples_get_per_latent (examples))
      continue;
    expect_example (examples, latent, rank, row, value);
    around = sae_examples_get_around (examples, latent, rank, &n);
    for (guint i = 0; i < n; i++)
      g_assert_cmpfloat (around[i], ==,
          value_around (sample, latent, row, (gint) i - (gint) context,
              sae_examples_get_passage (examples)));
  }
  g_assert_cmpuint (sae_examples_get_n_fired (examples, latent), ==, n_fired);
  g_assert_cmpfloat (sae_examples_get_mean (examples, latent), ==,
      sum / n_fired);
  g_assert_cmpuint (sae_examples_get_n_examples (examples, latent), ==,
      MIN (n_fired, sae_examples_get_per_latent (examples)));
}

static void
test_any_cut (void)
{
  for (guint32 seed = 0; seed < 20; seed++) {
    g_autofree Sample *sample = make_sample (seed);
    g_autoptr (SaeExamples) examples =
        make (1 + seed % 7, seed % 5, seed % 3 * 17);
    add_cut (examples, sample, seed);
    for (guint latent = 0; latent < F; latent++)
      expect_latent (examples, sample, latent);
  }
}

static void
test_same_text_any_cut (void)
{
  g_autofree Sample *sample = make_sample (77);
  g_autofree char *first = NULL;

  for (guint32 seed = 0; seed < 5; seed++) {
    g_autoptr (SaeExamples) examples = make (5, 3, 0);
    g_autofree char *text = NULL;
    add_cut (examples, sample, seed);
    text = sae_examples_to_json (examples, NULL, NULL);
    g_assert_nonnull (text);
    if (first)
      g_assert_cmpstr (text, ==, first);
    else
      first = g_steal_pointer (&text);
  }
}

static void
test_copy_and_reset (void)
{
  g_autofree Sample *sample = make_sample (3);
  g_autoptr (SaeExamples) examples = make (4, 2, 0);
  g_autoptr (SaeExamples) copy = NULL;
  g_autofree char *before = NULL, *after = NULL, *again = NULL;

  add_cut (examples, sample, 1);
  copy = sae_examples_copy (examples, NULL);
  g_assert_nonnull (copy);
  before = sae_examples_to_json (examples, NULL, NULL);
  sae_examples_reset (examples);
  g_assert_cmpuint (sae_examples_get_n_rows (examples), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_alive (examples), ==, 0);
  after = sae_examples_to_json (copy, NULL, NULL);
  g_assert_cmpstr (after, ==, before);
  add_cut (examples, sample, 2);
  again = sae_examples_to_json (examples, NULL, NULL);
  g_assert_cmpstr (again, ==, before);
}

static void
test_histogram (void)
{
  g_autoptr (SaeExamples) examples = make (1, 0, 0);
  g_autoptr (GArray) histogram = NULL;

  /* Of 100 rows latent 0 fires in all, 1 in 10, 2 in 1. */
  for (guint row = 0; row < 100; row++) {
    const gsize offsets[] = {0, row == 0 ? 3 : row < 10 ? 2 : 1};
    sae_examples_add_rows (examples, 1, offsets, (guint32[]){0, 1, 2},
        (float[]){1, 1, 1}, row, G_MAXUINT64, G_MAXUINT64, NULL);
  }
  histogram = sae_examples_get_histogram (examples);
  for (guint bin = 0; bin < SAE_EXAMPLES_N_BINS; bin++)
    g_assert_cmpuint (g_array_index (histogram, guint, bin), ==,
        bin == 19 || bin == 18 || bin == 16);
}

/* --- what is refused ------------------------------------------------------ */

static void
expect_refused (guint d_sae, guint per_latent, guint context, SaeError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_examples_new (d_sae, per_latent, context, 0, &error));
  g_assert_error (error, SAE_ERROR, (gint) code);
}

static void
test_sizes (void)
{
  expect_refused (0, 1, 0, SAE_ERROR_SIZE);
  expect_refused (1, 0, 0, SAE_ERROR_SIZE);
  expect_refused (1, SAE_EXAMPLES_MAX_PER_LATENT + 1, 0, SAE_ERROR_SIZE);
  expect_refused (1, 1, SAE_EXAMPLES_MAX_CONTEXT + 1, SAE_ERROR_SIZE);
  expect_refused (G_MAXUINT32, SAE_EXAMPLES_MAX_PER_LATENT,
      SAE_EXAMPLES_MAX_CONTEXT, SAE_ERROR_NO_SPACE);
}

static void
test_refused_rows (void)
{
  g_autoptr (SaeExamples) examples = make (2, 1, 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) dense = g_bytes_new ((float[]){1, 2, 3}, 12);
  g_autoptr (SaeLatents) latents = sae_latents_new_from_dense (3, dense, NULL);

  g_assert_false (sae_examples_add (examples, latents, 0, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_SIZE);
  g_clear_error (&error);
  g_assert_false (sae_examples_add_rows (examples, 1, (gsize[]){0, 2},
      (guint32[]){0, F}, (float[]){1, 1}, 0, 0, 0, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_FORMAT);
  g_clear_error (&error);
  g_assert_false (sae_examples_add_rows (examples, 1, (gsize[]){0, 1},
      (guint32[]){0}, (float[]){1}, G_MAXINT64, 0, 0, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_SIZE);
  g_assert_cmpuint (sae_examples_get_n_rows (examples), ==, 0);
  g_assert_cmpuint (sae_examples_get_n_alive (examples), ==, 0);
}

/* --- tokens --------------------------------------------------------------- */

static void
expect_tokens (const char *name, const char *text, gssize size,
    const char *const *want)
{
  g_autofree char *folder = g_dir_make_tmp ("sae-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeTokens) tokens = NULL;

  g_assert_true (g_file_set_contents (path, text, size, NULL));
  tokens = sae_tokens_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (sae_tokens_get_n_rows (tokens), ==,
      g_strv_length ((gchar **) want));
  for (guint i = 0; want[i]; i++)
    g_assert_cmpstr (sae_tokens_get_token (tokens, i), ==, want[i]);
  g_assert_null (
      sae_tokens_get_token (tokens, g_strv_length ((gchar **) want)));
  g_assert_null (sae_tokens_get_token (tokens, G_MAXUINT64));
  scratch_remove (folder);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__ (, ) NULL})

static void
test_tokens (void)
{
  expect_tokens ("a.txt", "", 0, LIST ());
  expect_tokens ("a.txt", "a\n\n##b\n", -1, LIST ("a", "", "##b"));
  expect_tokens ("a.txt", "a\nb", -1, LIST ("a", "b"));
  expect_tokens ("a.txt",
      "\xef\xbb\xbf"
      "a\r\nb\r\n",
      -1, LIST ("a", "b"));
  expect_tokens ("a.txt",
      "a\xff"
      "b\nc\0d\n",
      8,
      LIST ("a\xef\xbf\xbd"
            "b",
          "c\xef\xbf\xbd"
          "d"));
  expect_tokens ("a.txt", "[\n", -1, LIST ("["));
  expect_tokens ("a.json", "[]", -1, LIST ());
  expect_tokens ("a.json", " [\"a\", \"\\n\", \"\\u00e9\"]\n", -1,
      LIST ("a", "\n", "é"));
}

static void
expect_no_tokens (const char *name, const char *text, SaeError code)
{
  g_autofree char *folder = g_dir_make_tmp ("sae-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;

  if (text)
    g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_null (sae_tokens_load (path, &error));
  g_assert_error (error, SAE_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, path));
  scratch_remove (folder);
}

static void
test_refused_tokens (void)
{
  expect_no_tokens ("a.txt", NULL, SAE_ERROR_NOT_FOUND);
  expect_no_tokens ("a.json", "{}", SAE_ERROR_FORMAT);
  expect_no_tokens ("a.json", "[\"a\", 1]", SAE_ERROR_FORMAT);
  expect_no_tokens ("a.json", "[\"a\"], \"more\": [\"b\"]", SAE_ERROR_FORMAT);
  expect_no_tokens ("a.json", "[\"a\"", SAE_ERROR_FORMAT);
  expect_no_tokens ("a.json", "", SAE_ERROR_FORMAT);
}

/* Of rows that are shown, many of them side by side, only their text is kept:
 * as an array of JSON each would take some 40 bytes. */
static void
test_page_memory (void)
{
  enum { PER_LATENT = 100, CONTEXT = 512, WIDTH = 2 * CONTEXT + 1 };
  const guint n = F * PER_LATENT;
  const gsize n_rows = (gsize) n * WIDTH;
  g_autofree char *folder = g_dir_make_tmp ("sae-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "page.html", NULL);
  g_autofree const char **words = g_new0 (const char *, n_rows + 1);
  g_autoptr (SaeExamples) examples = make (PER_LATENT, CONTEXT, 0);
  g_autoptr (SaeTokens) tokens = NULL;
  g_autoptr (GError) error = NULL;
  gsize before;

  for (gsize i = 0; i < n_rows; i++)
    words[i] = "a";
  tokens = sae_tokens_new (words);
  for (guint i = 0; i < n; i++)
    add_one (examples, (guint64) i * WIDTH + CONTEXT, i % F, 1);
  before = peak_read ();
  g_assert_true (sae_examples_save_page (examples, tokens, NULL, path, &error));
  g_assert_cmpuint (peak_read () - before, <, 24 * n_rows);
  scratch_remove (folder);
}

static void
test_save_fails (void)
{
  g_autofree char *folder = g_dir_make_tmp ("sae-XXXXXX", NULL);
  g_autoptr (SaeExamples) examples = make (2, 1, 0);
  g_autoptr (GError) error = NULL;

  g_assert_false (sae_examples_save_json (examples, NULL, folder, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_WRITE);
  g_clear_error (&error);
  g_assert_false (
      sae_examples_save_page (examples, NULL, NULL, folder, &error));
  g_assert_error (error, SAE_ERROR, SAE_ERROR_WRITE);
  scratch_remove (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add_func ("/model/examples/" name, test)
  ADD ("none", test_none);
  ADD ("strongest-first", test_strongest);
  ADD ("ties-keep-the-earliest-row", test_ties);
  ADD ("a-row-read-twice-is-one", test_same_row);
  ADD ("what-is-no-firing", test_not_firing);
  ADD ("any-order-adds-up", test_unordered);
  ADD ("around", test_around);
  ADD ("around-ends-at-passages", test_passages);
  ADD ("times-are-spread-over-rows", test_times);
  ADD ("any-cut-as-all-in-memory", test_any_cut);
  ADD ("any-cut-same-text", test_same_text_any_cut);
  ADD ("copy-and-reset", test_copy_and_reset);
  ADD ("histogram", test_histogram);
  ADD ("sizes-refused", test_sizes);
  ADD ("rows-refused", test_refused_rows);
  ADD ("tokens", test_tokens);
  ADD ("tokens-refused", test_refused_tokens);
  /* Sanitizers keep what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  (void) test_page_memory;
#else
  ADD ("page-memory", test_page_memory);
#endif
  ADD ("save-fails", test_save_fails);
  return g_test_run ();
}
