/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any text as edits of latents. What is accepted is written, and that reads as
 * the same edits and is written as the same text. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "edits.h"

static void
check_edits (const SaeEdit *edits, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    g_assert_true (i == 0 || edits[i - 1].latent < edits[i].latent);
    g_assert_true (isfinite (edits[i].scale) && isfinite (edits[i].offset));
    g_assert_true (isfinite (edits[i].min) && isfinite (edits[i].max));
    g_assert_cmpfloat (edits[i].min, <=, edits[i].max);
  }
}

static void
check_again (const SaeEdits *edits)
{
  g_autofree char *text = sae_edits_to_text (edits);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeEdits) again = sae_edits_new_from_text (text, &error);
  g_autofree char *text_again = NULL;
  gsize n, n_again;
  const SaeEdit *a = sae_edits_get_all (edits, &n), *b;

  g_assert_no_error (error);
  check_edits (a, n);
  b = sae_edits_get_all (again, &n_again);
  g_assert_cmpuint (n, ==, n_again);
  for (gsize i = 0; i < n; i++) {
    g_assert_cmpuint (a[i].latent, ==, b[i].latent);
    g_assert_true (a[i].scale == b[i].scale && a[i].offset == b[i].offset);
    g_assert_true (a[i].min == b[i].min && a[i].max == b[i].max);
  }
  text_again = sae_edits_to_text (again);
  g_assert_cmpstr (text, ==, text_again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeEdits) edits = sae_edits_new_from_text (text, &error);

  fuzz_check_error (edits != NULL, error);
  if (edits != NULL)
    check_again (edits);
  return 0;
}
