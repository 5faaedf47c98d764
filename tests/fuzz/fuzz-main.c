/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs a fuzz target without an engine, as a test: every file of its corpus,
 * then mutations of them that are the same in each run. */
#include <string.h>
#include <sys/resource.h>

#include <glib.h>

#include "fault.h"
#include "fuzz.h"

#define SEED 0x5ae

static guint64 n_tried;

static GPtrArray *
load_corpus (void)
{
  GPtrArray *corpus =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autoptr (GList) names = NULL;
  GError *error = NULL;
  GDir *folder = g_dir_open (CORPUS, 0, &error);
  const char *name;

  g_assert_no_error (error);
  while ((name = g_dir_read_name (folder)) != NULL)
    names =
        g_list_insert_sorted (names, g_strdup (name), (GCompareFunc) strcmp);
  g_dir_close (folder);
  for (GList *item = names; item != NULL; item = item->next) {
    g_autofree char *path = g_build_filename (CORPUS, item->data, NULL);
    char *data;
    gsize size;
    g_assert_true (g_file_get_contents (path, &data, &size, NULL));
    g_ptr_array_add (corpus, g_bytes_new_take (data, size));
    g_free (item->data);
  }
  g_assert_cmpuint (corpus->len, >, 0);
  return corpus;
}

/* From a block of just that size, so that a sanitizer or valgrind sees a read
 * past the end. */
static void
run_target (gconstpointer data, gsize size)
{
  g_autofree guint8 *copy = g_malloc (MAX (size, 1));
  if (size > 0)
    memcpy (copy, data, size);
  LLVMFuzzerTestOneInput (copy, size);
  n_tried++;
}

static void
test_corpus (void)
{
  g_autoptr (GPtrArray) corpus = load_corpus ();

  for (guint i = 0; i < corpus->len; i++) {
    gsize size;
    gconstpointer data = g_bytes_get_data (corpus->pdata[i], &size);
    run_target (data, size);
  }
  /* Seeds that are all refused would not get far. */
  g_assert_cmpuint (fuzz_n_accepted, >, 0);
}

static void
test_every_shorter_length (void)
{
  g_autoptr (GPtrArray) corpus = load_corpus ();

  for (guint i = 0; i < corpus->len; i++) {
    gsize full;
    gconstpointer data = g_bytes_get_data (corpus->pdata[i], &full);
    for (gsize size = 0; size < MIN (full, MAX_SIZE / 8); size++)
      run_target (data, size);
  }
}

/* --- mutations --- */

static guint
draw (GRand *rand, gsize end)
{
  return end == 0 ? 0 : (guint) g_rand_int_range (rand, 0, (gint32) end);
}

static void
flip_bit (GRand *rand, GByteArray *input)
{
  if (input->len > 0)
    input->data[draw (rand, input->len)] ^= (guint8) (1u << draw (rand, 8));
}

static void
set_byte (GRand *rand, GByteArray *input)
{
  static const char bytes[] = "\0\x01\x7f\x80\xff 0189-.\"'\\{}[](),:\n";
  if (input->len > 0)
    input->data[draw (rand, input->len)] =
        (guint8) bytes[draw (rand, sizeof bytes)];
}

static void
cut_end (GRand *rand, GByteArray *input)
{
  g_byte_array_set_size (input, draw (rand, input->len + 1));
}

static void
remove_range (GRand *rand, GByteArray *input)
{
  guint from = draw (rand, input->len);
  guint n = 1 + draw (rand, 16); /* MIN() would draw twice */
  n = MIN (n, input->len - from);
  if (n > 0)
    g_byte_array_remove_range (input, from, n);
}

/* A piece of @other goes in front of a place in @input. */
static void
insert_piece (GRand *rand, GByteArray *input, GBytes *other)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (other, &size);
  guint from = draw (rand, size);
  guint n = 1 + draw (rand, 64);
  guint at = draw (rand, input->len + 1);
  g_autofree guint8 *rest = g_memdup2 (input->data + at, input->len - at);
  guint n_rest = input->len - at;

  n = MIN (n, (guint) size - from);
  g_byte_array_set_size (input, at);
  g_byte_array_append (input, data + from, n);
  g_byte_array_append (input, rest, n_rest);
}

static void
mutate_once (GRand *rand, GByteArray *input, GPtrArray *corpus)
{
  switch (draw (rand, 8)) {
    case 0:
      cut_end (rand, input);
      return;
    case 1:
    case 2:
      remove_range (rand, input);
      return;
    case 3:
    case 4:
      insert_piece (rand, input, corpus->pdata[draw (rand, corpus->len)]);
      return;
    case 5:
    case 6:
      set_byte (rand, input);
      return;
    default:
      flip_bit (rand, input);
      return;
  }
}

static void
test_mutations (void)
{
  g_autoptr (GPtrArray) corpus = load_corpus ();
  g_autoptr (GRand) rand = g_rand_new_with_seed (SEED);

  for (guint i = 0; i < N_MUTATIONS; i++) {
    GBytes *seed = corpus->pdata[draw (rand, corpus->len)];
    g_autoptr (GByteArray) input = g_byte_array_new ();
    guint n = 1 + draw (rand, 6);

    g_byte_array_append (input, g_bytes_get_data (seed, NULL),
        (guint) MIN (g_bytes_get_size (seed), MAX_SIZE));
    while (n-- > 0)
      mutate_once (rand, input, corpus);
    run_target (input->data, input->len);
  }
}

/* Of the whole program, which has seen all of them by then. */
static void
test_memory (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  g_test_message ("%ld KiB at most", usage.ru_maxrss);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("a sanitizer takes more memory itself");
#else
  if (g_getenv ("SAE_TEST_VALGRIND"))
    g_test_skip ("valgrind takes more memory itself");
  else
    g_assert_cmpint (usage.ru_maxrss, <=, MAX_MEGABYTES * 1024);
#endif
  fault_report (24, n_tried, n_tried, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fuzz/" TARGET "/survives-its-corpus", test_corpus);
  g_test_add_func ("/fuzz/" TARGET "/survives-every-shorter-length",
      test_every_shorter_length);
  g_test_add_func ("/fuzz/" TARGET "/survives-mutations", test_mutations);
  g_test_add_func ("/fuzz/" TARGET "/takes-little-memory", test_memory);
  return g_test_run ();
}
