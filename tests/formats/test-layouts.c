/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../same-memory.h"
#include "fault.h"
#include "layouts.h"
#include "scratch.h"

static void
test_every_layout_is_complete (void)
{
  const SaeLayout *const *layouts = sae_layouts_list ();

  for (guint i = 0; layouts[i] != NULL; i++) {
    g_assert_cmpstr (layouts[i]->name, !=, "");
    g_assert_nonnull (layouts[i]->files[0]);
    g_assert_nonnull (layouts[i]->probe);
    g_assert_nonnull (layouts[i]->load);
    for (guint j = 0; j < i; j++)
      g_assert_cmpstr (layouts[i]->name, !=, layouts[j]->name);
  }
}

static const char *const rules[] = {"top-k", "jump-relu", "group-max"};

/* What can be saved as what. */
static gboolean
can_express (const SaeLayout *layout, const char *rule)
{
  if (strcmp (layout->name, "sparsify") == 0)
    return strcmp (rule, "jump-relu") != 0;
  return strcmp (rule, "group-max") != 0;
}

/* FALSE for a layout that refuses, as it should. */
static gboolean
save (const SaeLayout *layout, const SaeDictionary *dictionary,
    const char *path)
{
  GError *error = NULL;
  g_autofree char *name = g_strdup_printf ("layout '%s'", layout->name);

  if (layout->save == NULL)
    return FALSE;
  sae_layouts_save (dictionary, layout->name, path, &error);
  if (can_express (layout, dictionary->sparsity)) {
    g_assert_no_error (error);
    return TRUE;
  }
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, name);
  return FALSE;
}

static SaeDictionary *
make_dictionary_of (const char *sparsity, guint32 d_in, guint32 d_sae)
{
  SaeDictionary *dictionary = sae_dictionary_new ();

  dictionary->d_in = dictionary->d_out = d_in;
  dictionary->d_sae = d_sae;
  dictionary->k = strcmp (sparsity, "top-k") == 0       ? 2
                  : strcmp (sparsity, "group-max") == 0 ? 5
                                                        : 0;
  dictionary->sparsity = g_strdup (sparsity);
  dictionary->ties = g_strdup ("keep-all");
  dictionary->pre_bias = TRUE;
  g_assert_true (sae_dictionary_allocate (dictionary, NULL));
  return dictionary;
}

/* Small, with numbers that show a wrong orientation. */
static SaeDictionary *
make_dictionary (const char *sparsity)
{
  SaeDictionary *dictionary = make_dictionary_of (sparsity, 3, 5);

  for (guint i = 0; i < 15; i++) {
    dictionary->W_enc[i] = (float) i + 0.25f;
    dictionary->W_dec[i] = (float) i - 7.5f;
    dictionary->b_enc[i / 3] = (float) i;
    dictionary->b_dec[i / 5] = (float) -i;
  }
  for (guint i = 0; dictionary->threshold != NULL && i < 5; i++)
    dictionary->threshold[i] = (float) i - 1.5f;
  g_hash_table_insert (dictionary->metadata, g_strdup ("model"),
      g_strdup ("MiniLM"));
  return dictionary;
}

static void
assert_same (const SaeDictionary *a, const SaeDictionary *b)
{
  g_assert_cmpuint (a->d_in, ==, b->d_in);
  g_assert_cmpuint (a->d_out, ==, b->d_out);
  g_assert_cmpuint (a->d_sae, ==, b->d_sae);
  g_assert_cmpuint (a->k, ==, b->k);
  g_assert_cmpstr (a->sparsity, ==, b->sparsity);
  g_assert_cmpstr (a->ties, ==, b->ties);
  g_assert_cmpint (a->pre_bias, ==, b->pre_bias);
  assert_same_memory (a->W_enc, 60, b->W_enc, 60);
  assert_same_memory (a->W_dec, 60, b->W_dec, 60);
  assert_same_memory (a->b_enc, 20, b->b_enc, 20);
  assert_same_memory (a->b_dec, 12, b->b_dec, 12);
  g_assert_true ((a->threshold == NULL) == (b->threshold == NULL));
  if (a->threshold != NULL)
    assert_same_memory (a->threshold, 20, b->threshold, 20);
  g_assert_cmpstr (g_hash_table_lookup (a->metadata, "model"), ==,
      g_hash_table_lookup (b->metadata, "model"));
}

/* How many lengths were tried. */
static guint
check_truncations (const char *path, const char *name)
{
  g_autofree char *file = g_build_filename (path, name, NULL);
  g_autofree char *whole = NULL;
  gsize full;
  guint n = 0;

  g_assert_true (g_file_get_contents (file, &whole, &full, NULL));
  for (gsize size = 0; size < full; size++) {
    GError *error = NULL;
    /* White space at the end of a text may go. */
    if (g_ascii_isspace (whole[size]) && size + 1 == full)
      break;
    scratch_write (file, whole, size);
    g_assert_null (sae_layouts_load (path, &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, file);
    n++;
  }
  scratch_write (file, whole, full);
  return n;
}

static void
test_every_layout_refuses_every_shorter_length (Scratch *scratch,
    gconstpointer rule)
{
  const SaeLayout *const *layout = sae_layouts_list ();
  g_autoptr (SaeDictionary) dictionary = make_dictionary (rule);
  guint n = 0;

  for (; *layout != NULL; layout++) {
    g_autofree char *path = scratch_path (scratch, (*layout)->name);
    if (!save (*layout, dictionary, path))
      continue;
    for (guint i = 0; (*layout)->files[i] != NULL; i++)
      n += check_truncations (path, (*layout)->files[i]);
  }
  fault_report (23, n, n, 0);
}

/* More than 64 KiB of weights, cut at every length; or else every 7th. */
static void
test_every_length_of_a_large_file (Scratch *scratch, gconstpointer data)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary_of ("top-k", 61, 135);
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *file =
      g_build_filename (path, "sae_weights.safetensors", NULL);
  g_autofree char *whole = NULL;
  gsize full, step = g_test_slow () ? 1 : 7, n = 0;

  g_assert_true (sae_layouts_save (dictionary, "saelens", path, NULL));
  g_assert_true (g_file_get_contents (file, &whole, &full, NULL));
  g_assert_cmpuint (full, >, 65536);
  for (gsize size = full - 1; size < full; size -= step, n++) {
    GError *error = NULL;
    g_assert_cmpint (truncate (file, (off_t) size), ==, 0);
    g_assert_null (sae_layouts_load (path, &error));
    scratch_assert_error (&error, SAE_ERROR_FORMAT, file);
  }
  fault_report (23, n, n, 0);
}

/* What is bad, at every place of the weights. */
static guint
check_bad_numbers (const char *path, const char *name)
{
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  g_autofree char *file = g_build_filename (path, name, NULL);
  g_autofree char *whole = NULL;
  gsize full, header;
  guint n = 0;

  if (!g_str_has_suffix (name, ".safetensors"))
    return 0;
  g_assert_true (g_file_get_contents (file, &whole, &full, NULL));
  memcpy (&header, whole, sizeof header);
  for (gsize at = 8 + GUINT64_FROM_LE (header); at < full; at += 4, n++) {
    g_autofree char *copy = g_memdup2 (whole, full);
    GError *error = NULL;
    memcpy (copy + at, &bad[n % G_N_ELEMENTS (bad)], 4);
    scratch_write (file, copy, full);
    g_assert_null (sae_layouts_load (path, &error));
    scratch_assert_error (&error, SAE_ERROR_NON_FINITE, file);
  }
  return n;
}

static void
test_every_layout_refuses_what_is_no_number (Scratch *scratch,
    gconstpointer rule)
{
  const SaeLayout *const *layout = sae_layouts_list ();
  g_autoptr (SaeDictionary) dictionary = make_dictionary (rule);
  guint n = 0;

  for (; *layout != NULL; layout++) {
    g_autofree char *path = scratch_path (scratch, (*layout)->name);
    if (!save (*layout, dictionary, path))
      continue;
    for (guint i = 0; (*layout)->files[i] != NULL; i++)
      n += check_bad_numbers (path, (*layout)->files[i]);
  }
  g_assert_cmpuint (n, >, 0);
  fault_report (26, n, n, 0);
}

static void
test_every_layout_gives_back_what_was_saved (Scratch *scratch,
    gconstpointer rule)
{
  const SaeLayout *const *layout = sae_layouts_list ();
  g_autoptr (SaeDictionary) dictionary = make_dictionary (rule);

  for (; *layout != NULL; layout++) {
    g_autofree char *path = scratch_path (scratch, (*layout)->name);
    g_autoptr (SaeDictionary) again = NULL;
    GError *error = NULL;
    if (!save (*layout, dictionary, path))
      continue;
    g_assert_true ((*layout)->probe (path));
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    assert_same (dictionary, again);
  }
}

static void
test_load_says_what_was_looked_for (Scratch *scratch, gconstpointer data)
{
  g_autofree char *missing = scratch_path (scratch, "missing");
  g_autofree char *file = scratch_path (scratch, "file");
  g_autofree char *config = scratch_path (scratch, "cfg.json");
  GError *error = NULL;

  g_assert_null (sae_layouts_load (missing, &error));
  scratch_assert_error (&error, SAE_ERROR_NOT_FOUND, missing);
  scratch_write_text (file, "text");
  g_assert_null (sae_layouts_load (file, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED,
      "saelens (cfg.json, sae_weights.safetensors)");
  scratch_write_text (config, "{}");
  g_assert_null (sae_layouts_load (scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED,
      "expected a dictionary: saelens (cfg.json, sae_weights.safetensors)");
}

static void
test_save_refuses_unknown_layouts (Scratch *scratch, gconstpointer data)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  g_autofree char *path = scratch_path (scratch, "out");
  GError *error = NULL;

  g_assert_false (sae_layouts_save (dictionary, "nonsense", path, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, "layout 'nonsense'");
  g_assert_false (sae_layouts_probe_save ("nonsense", path, &error));
  scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED, "layout 'nonsense'");
  g_assert_cmpuint (scratch_count (scratch->path), ==, 0);
}

/* What is done to rows first changes every latent: a layout keeps it, or says
 * that it cannot. */
static void
test_input_norms_are_kept_or_refused (Scratch *scratch, gconstpointer data)
{
  static const char *const norms[] = {"layer-norm", "constant-norm",
      "expected-average"};
  g_autofree char *path = scratch_path (scratch, "out");

  for (guint i = 0; i < G_N_ELEMENTS (norms); i++) {
    g_autoptr (SaeDictionary) dictionary = make_dictionary ("top-k");
    g_autoptr (SaeDictionary) again = NULL;
    GError *error = NULL;

    dictionary->input_norm = g_strdup (norms[i]);
    g_assert_false (sae_layouts_save (dictionary, "sparsify", path, &error));
    scratch_assert_error (&error, SAE_ERROR_UNSUPPORTED,
        "layout 'sparsify': input-norm: expected \"none\"");
    g_assert_false (sae_layouts_check_save (dictionary, "sparsify", NULL));
    sae_layouts_save (dictionary, "saelens", path, &error);
    g_assert_no_error (error);
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (again->input_norm, ==, norms[i]);
  }
}

/* Which SAELens has at the top, and others among what is ours. */
static void
test_every_layout_keeps_metadata (Scratch *scratch, gconstpointer data)
{
  static const char *const names[] = {"saelens", "sparsify"};
  static const char *const pairs[][2] = {{"reshape_activations", "hook_z"},
      {"model_name", "a \"model\""}, {"numbers", "json:[1,2]"}};
  g_autofree char *path = scratch_path (scratch, "out");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (SaeDictionary) dictionary = make_dictionary ("top-k");
    g_autoptr (SaeDictionary) again = NULL;
    GError *error = NULL;

    for (guint j = 0; j < G_N_ELEMENTS (pairs); j++)
      g_hash_table_insert (dictionary->metadata, g_strdup (pairs[j][0]),
          g_strdup (pairs[j][1]));
    sae_layouts_save (dictionary, names[i], path, &error);
    g_assert_no_error (error);
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    for (guint j = 0; j < G_N_ELEMENTS (pairs); j++)
      g_assert_cmpstr (g_hash_table_lookup (again->metadata, pairs[j][0]), ==,
          pairs[j][1]);
  }
}

static char *
repeat (const char *begin, const char *text, gsize n, const char *end)
{
  GString *whole = g_string_new (begin);

  for (gsize i = 0; i < n; i++)
    g_string_append (whole, text);
  g_string_append (whole, end);
  return g_string_free (whole, FALSE);
}

/* Saved over a dictionary in which the value is "small"; whether it is in the
 * file then. */
static gboolean
save_value (const char *name, const char *path, const char *value,
    const char *part)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary ("top-k");
  g_autoptr (SaeDictionary) again = NULL;
  GError *error = NULL, *told = NULL;
  gboolean ok;

  g_hash_table_insert (dictionary->metadata, g_strdup ("v"),
      g_strdup ("small"));
  g_assert_true (sae_layouts_save (dictionary, name, path, NULL));
  g_hash_table_insert (dictionary->metadata, g_strdup ("v"), g_strdup (value));
  ok = sae_layouts_save (dictionary, name, path, &error);
  g_assert_cmpint (sae_layouts_check_save (dictionary, name, &told), ==, ok);
  g_assert_cmpstr (ok ? NULL : told->message, ==, ok ? NULL : error->message);
  if (!ok)
    g_assert_nonnull (strstr (error->message, part));
  g_clear_error (&error);
  g_clear_error (&told);
  again = sae_layouts_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_hash_table_lookup (again->metadata, "v"), ==,
      ok ? value : "small");
  return ok;
}

/* Up to the last byte that is read: first as it is always written, then
 * compact. */
static void
check_size_limit (const char *name, const char *path)
{
  g_autofree char *config = g_build_filename (path, "cfg.json", NULL);
  const gsize most = 1024 * 1024;
  gsize n = most - 2000;
  struct stat info;

  for (guint i = 0; i < 4; i++) {
    g_autofree char *text = repeat ("", "x", n, "");
    g_assert_true (save_value (name, path, text, NULL));
    g_assert_cmpint (stat (config, &info), ==, 0);
    if (i % 2 == 1)
      g_assert_cmpuint ((gsize) info.st_size, ==, most);
    n += i == 1 ? 1 : most - (gsize) info.st_size;
  }
  {
    g_autofree char *text = repeat ("", "x", n + 1, "");
    g_assert_false (save_value (name, path, text, "at most 1048576 bytes"));
  }
}

/* Readers have limits, and what is saved keeps to them. */
static void
test_what_is_saved_can_be_loaded (Scratch *scratch, gconstpointer data)
{
  static const char *const names[] = {"saelens", "sparsify"};
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *numbers = repeat ("json:[0", ",0", 180000, "]");
  g_autofree char *too_many = repeat ("json:[[]", ",[]", 144629, "]");
  g_autofree char *deep = repeat ("json:", "[", 125, "");
  g_autofree char *just = repeat (deep, "]", 125, "");
  g_autofree char *deeper = repeat ("json:[", "[", 125, "");
  g_autofree char *too_deep = repeat (deeper, "]", 126, "");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_assert_true (save_value (names[i], path, numbers, NULL));
    g_assert_true (save_value (names[i], path, just, NULL));
    g_assert_false (save_value (names[i], path, too_deep, "nested 128 deep"));
    g_assert_false (save_value (names[i], path, too_many, "bytes of memory"));
    check_size_limit (names[i], path);
  }
}

/* A trainer that runs for hours wants to know before, not after. */
static void
test_probe_finds_what_save_would_refuse (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "a/out");
  g_autofree char *letter = scratch_path (scratch, "letter");
  g_autofree char *weights =
      scratch_path (scratch, "sae.safetensors.index.json");
  GError *error = NULL;

  sae_layouts_probe_save ("saelens", path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 0);
  scratch_write_text (letter, "dear");
  g_assert_false (sae_layouts_probe_save ("saelens", scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE,
      "expected an empty folder or one with sae_weights.safetensors in it, "
      "found letter");
  scratch_write_text (weights, "");
  sae_layouts_probe_save ("saelens", scratch->path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 2);
}

/* Many a program calls its configuration so. */
static void
test_a_configuration_makes_no_dictionary (Scratch *scratch, gconstpointer data)
{
  g_autoptr (SaeDictionary) dictionary = make_dictionary ("top-k");
  g_autofree char *config = scratch_path (scratch, "cfg.json");
  static const char *const names[] = {"saelens", "sparsify"};
  GError *error = NULL;
  guint n = 0;

  scratch_write_text (config, "{\"port\": 80}");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_assert_false (sae_layouts_probe_save (names[i], scratch->path, &error));
    scratch_assert_error (&error, SAE_ERROR_WRITE, "found cfg.json");
    g_assert_false (
        sae_layouts_save (dictionary, names[i], scratch->path, &error));
    scratch_assert_error (&error, SAE_ERROR_WRITE, "found cfg.json");
    scratch_assert_text (config, "{\"port\": 80}");
    g_assert_cmpuint (scratch_count (scratch->path), ==, 1);
    n++;
  }
  fault_report (22, n, n, 0);
}

/* The weights of the layout before must not be found beside the new ones. */
static void
test_a_save_as_another_layout_replaces (Scratch *scratch, gconstpointer data)
{
  static const char *const names[] = {"saelens", "sparsify", "saelens"};
  g_autoptr (SaeDictionary) dictionary = make_dictionary ("top-k");
  g_autofree char *path = scratch_path (scratch, "out");
  GError *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (SaeDictionary) again = NULL;
    dictionary->b_dec[0] = (float) i;
    sae_layouts_save (dictionary, names[i], path, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (scratch_count (path), ==, 2);
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    assert_same (dictionary, again);
  }
}

static void
add_for_rule (const char *name, const char *rule,
    void (*test) (Scratch *, gconstpointer))
{
  g_autofree char *path =
      g_strdup_printf ("/formats/layouts/%s/%s", name, rule);
  g_test_add (path, Scratch, rule, scratch_set_up, test, scratch_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/formats/layouts/every-layout-is-complete",
      test_every_layout_is_complete);
  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    add_for_rule ("every-layout-refuses-every-shorter-length", rules[i],
        test_every_layout_refuses_every_shorter_length);
    add_for_rule ("every-layout-refuses-what-is-no-number", rules[i],
        test_every_layout_refuses_what_is_no_number);
    add_for_rule ("every-layout-gives-back-what-was-saved", rules[i],
        test_every_layout_gives_back_what_was_saved);
  }
#define ADD(name, test) scratch_add ("/formats/layouts/" name, test)
  ADD ("every-length-of-a-large-file", test_every_length_of_a_large_file);
  ADD ("load-says-what-was-looked-for", test_load_says_what_was_looked_for);
  ADD ("save-refuses-unknown-layouts", test_save_refuses_unknown_layouts);
  ADD ("input-norms-are-kept-or-refused", test_input_norms_are_kept_or_refused);
  ADD ("every-layout-keeps-metadata", test_every_layout_keeps_metadata);
  ADD ("probe-finds-what-save-would-refuse",
      test_probe_finds_what_save_would_refuse);
  ADD ("what-is-saved-can-be-loaded", test_what_is_saved_can_be_loaded);
  ADD ("a-configuration-makes-no-dictionary",
      test_a_configuration_makes_no_dictionary);
  ADD ("a-save-as-another-layout-replaces",
      test_a_save_as_another_layout_replaces);
  return g_test_run ();
}
