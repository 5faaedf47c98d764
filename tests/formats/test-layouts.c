/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

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

/* A trainer that runs for hours wants to know before, not after. */
static void
test_probe_finds_what_save_would_refuse (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "a/out");
  g_autofree char *letter = scratch_path (scratch, "letter");
  g_autofree char *config = scratch_path (scratch, "cfg.json");
  GError *error = NULL;

  sae_layouts_probe_save ("saelens", path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 0);
  scratch_write_text (letter, "dear");
  g_assert_false (sae_layouts_probe_save ("saelens", scratch->path, &error));
  scratch_assert_error (&error, SAE_ERROR_WRITE,
      "expected an empty folder or one with cfg.json in it, found letter");
  scratch_write_text (config, "{}");
  sae_layouts_probe_save ("saelens", scratch->path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (scratch_count (scratch->path), ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/formats/layouts/every-layout-is-complete",
      test_every_layout_is_complete);
#define ADD(name, test) scratch_add ("/formats/layouts/" name, test)
  ADD ("load-says-what-was-looked-for", test_load_says_what_was_looked_for);
  ADD ("save-refuses-unknown-layouts", test_save_refuses_unknown_layouts);
  ADD ("probe-finds-what-save-would-refuse",
      test_probe_finds_what_save_would_refuse);
  return g_test_run ();
}
