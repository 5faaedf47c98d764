/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as SAELens' cfg.json. What is accepted is written again and must
 * read as the same, but for metadata keys that are not written. */
#include "fuzz.h"

#include <string.h>

#include "saelens-config.h"

static gboolean
has_same_value (gpointer key, gpointer value, gpointer user_data)
{
  /* Replaced when it is from before the layout that is written. */
  return g_str_equal (key, "sae_lens_version") ||
         g_strcmp0 (g_hash_table_lookup (user_data, key), value) == 0;
}

static gboolean
differs (gpointer key, gpointer value, gpointer user_data)
{
  return !has_same_value (key, value, user_data);
}

static void
check_again (const SaeDictionary *dictionary)
{
  g_autofree char *text = sae_saelens_config_build (dictionary, NULL);
  g_autoptr (SaeDictionary) again = NULL;
  g_autoptr (GError) error = NULL;
  SaeSaelensFolding folding;

  if (text == NULL)
    return;
  again =
      sae_saelens_config_parse (text, strlen (text), "again", &folding, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->d_in, ==, dictionary->d_in);
  g_assert_cmpuint (again->d_sae, ==, dictionary->d_sae);
  g_assert_cmpuint (again->k, ==, dictionary->k);
  g_assert_cmpstr (again->sparsity, ==, dictionary->sparsity);
  g_assert_cmpstr (again->ties, ==, dictionary->ties);
  g_assert_cmpint (again->pre_bias, ==, dictionary->pre_bias);
  g_assert_cmpstr (again->input_norm, ==, dictionary->input_norm);
  g_assert_false (folding.rescale || folding.finetuned);
  g_assert_false (folding.one_threshold);
  g_assert_null (
      g_hash_table_find (dictionary->metadata, differs, again->metadata));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeDictionary) dictionary = NULL;
  SaeSaelensFolding folding;

  dictionary = sae_saelens_config_parse ((const char *) data, size, "input",
      &folding, &error);
  fuzz_check_error (dictionary != NULL, error);
  if (dictionary != NULL)
    check_again (dictionary);
  return 0;
}
