/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as sparsify's cfg.json. What is accepted and can be written again
 * must read as the same. */
#include "fuzz.h"

#include <string.h>

#include "sparsify-config.h"

static void
check_again (const SaeDictionary *dictionary)
{
  g_autofree char *text = sae_sparsify_config_build (dictionary, NULL);
  g_autoptr (SaeDictionary) again = NULL;
  g_autoptr (GError) error = NULL;

  if (text == NULL)
    return;
  again = sae_sparsify_config_parse (text, strlen (text), "again", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->d_in, ==, dictionary->d_in);
  g_assert_cmpuint (again->d_sae, ==, dictionary->d_sae);
  g_assert_cmpuint (again->k, ==, dictionary->k);
  g_assert_cmpstr (again->sparsity, ==, dictionary->sparsity);
  g_assert_cmpstr (again->ties, ==, dictionary->ties);
  g_assert_cmpint (again->pre_bias, ==, dictionary->pre_bias);
  g_assert_cmpint (again->skip, ==, dictionary->skip);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeDictionary) dictionary =
      sae_sparsify_config_parse ((const char *) data, size, "input", &error);

  fuzz_check_error (dictionary != NULL, error);
  if (dictionary != NULL)
    check_again (dictionary);
  return 0;
}
