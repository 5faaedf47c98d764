/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any text as the options of a run in a checkpoint, or as prefixes of a
 * dictionary: byte 0 says which, and of how many latents. What is accepted is
 * written and must read as the same. */
#include "fuzz.h"

#include "../same-memory.h"
#include "options-text.h"
#include "prefixes.h"
#include "sae-trainer.h"

static SaeTrainerOptions
make_options (void)
{
  GObjectClass *klass = g_type_class_ref (SAE_TYPE_TRAINER);
  SaeTrainerOptions options;

  sae_trainer_options_init (&options, klass);
  g_type_class_unref (klass);
  return options;
}

static void
adopt_again (const SaeTrainerOptions *adopted, gboolean from_model)
{
  g_autofree char *text = sae_trainer_options_to_text (adopted);
  g_autofree char *text_again = NULL;
  SaeTrainerOptions again = make_options ();
  g_autoptr (GError) error = NULL;

  sae_trainer_options_adopt (&again, text, from_model, "again", &error);
  g_assert_no_error (error);
  text_again = sae_trainer_options_to_text (&again);
  g_assert_cmpstr (text, ==, text_again);
}

static void
try_options (const char *text, gboolean from_model)
{
  SaeTrainerOptions options = make_options ();
  g_autofree char *before = sae_trainer_options_to_text (&options);
  g_autoptr (GError) error = NULL;
  gboolean ok =
      sae_trainer_options_adopt (&options, text, from_model, "input", &error);

  fuzz_check_error (ok, error);
  if (ok) {
    adopt_again (&options, from_model);
  } else {
    g_autofree char *after = sae_trainer_options_to_text (&options);
    g_assert_cmpstr (before, ==, after);
  }
}

static void
try_prefixes (const char *text, guint d_sae)
{
  guint sizes[SAE_MAX_PREFIXES], again[SAE_MAX_PREFIXES], n, n_again;
  g_autoptr (GString) written = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  gboolean ok = sae_prefixes_parse (text, d_sae, sizes, &n, &error);

  fuzz_check_error (ok, error);
  if (!ok)
    return;
  g_assert_cmpuint (n, <=, SAE_MAX_PREFIXES);
  g_assert_true (n == 0 || (sizes[0] > 0 && sizes[n - 1] == d_sae));
  for (guint i = 0; i < n; i++) {
    g_assert_true (i == 0 || sizes[i - 1] < sizes[i]);
    g_string_append_printf (written, "%s%u", i > 0 ? "," : "", sizes[i]);
  }
  g_assert_true (
      sae_prefixes_parse (written->str, d_sae, again, &n_again, NULL));
  assert_same_memory (sizes, n * sizeof *sizes, again, n_again * sizeof *again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  guint8 choice = fuzz_take_byte (&data, &size);
  g_autofree char *text = g_strndup ((const char *) data, size);

  if (choice & 1)
    try_options (text, choice & 2);
  else
    try_prefixes (text, choice * 8u);
  return 0;
}
