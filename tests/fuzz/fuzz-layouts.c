/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes as the files of any layout in the list: byte 0 selects the
 * layout, and each of its files is 4 bytes of length (little-endian, at most
 * what is left) and content. What is accepted runs as a model, and is the same
 * when it was saved and loaded again. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "layouts.h"
#include "sae-latents.h"
#include "sae-model.h"
#include "scratch.h"

static void
write_file (const char *name, const uint8_t **data, size_t *size)
{
  g_autofree char *path = fuzz_path (name);
  guint32 length = 0;

  if (*size >= 4) {
    memcpy (&length, *data, 4);
    *data += 4;
    *size -= 4;
  }
  length = (guint32) MIN (GUINT32_FROM_LE (length), *size);
  scratch_write (path, *data, length);
  *data += length;
  *size -= length;
}

static void
check_finite (const float *values, gsize n)
{
  for (gsize i = 0; i < n; i++)
    g_assert_true (isfinite (values[i]));
}

static void
check_dictionary (const SaeDictionary *dictionary)
{
  gsize d_in = dictionary->d_in, d_out = dictionary->d_out;
  gsize d_sae = dictionary->d_sae;

  g_assert_true (sae_dictionary_check_sizes (d_in, d_out, d_sae, NULL));
  g_assert_nonnull (dictionary->sparsity);
  g_assert_cmpuint (dictionary->k, <=, d_sae);
  check_finite (dictionary->W_enc, d_sae * d_in);
  check_finite (dictionary->W_dec, d_sae * d_out);
  check_finite (dictionary->b_enc, d_sae);
  check_finite (dictionary->b_dec, d_out);
  g_assert_true ((dictionary->threshold != NULL) ==
                 g_str_equal (dictionary->sparsity, "jump-relu"));
  if (dictionary->threshold != NULL)
    check_finite (dictionary->threshold, d_sae);
  g_assert_true ((dictionary->r_mag != NULL) ==
                 g_str_equal (dictionary->sparsity, "gated"));
  g_assert_true ((dictionary->b_mag != NULL) == (dictionary->r_mag != NULL));
  if (dictionary->r_mag != NULL) {
    check_finite (dictionary->r_mag, d_sae);
    check_finite (dictionary->b_mag, d_sae);
  }
  g_assert_true ((dictionary->W_skip != NULL) == dictionary->skip);
  if (dictionary->skip)
    check_finite (dictionary->W_skip, d_out * d_in);
}

/* --- as a model ----------------------------------------------------------- */

/* The scores of weights near the largest float may overflow. */
static void
check_latents (SaeLatents *latents)
{
  for (guint r = 0; r < sae_latents_get_n_rows (latents); r++) {
    guint n;
    const guint32 *index = sae_latents_get_row_indices (latents, r, &n);
    const float *value = sae_latents_get_row_values (latents, r, &n);
    for (guint i = 0; i < n; i++) {
      g_assert_false (isnan (value[i]));
      g_assert_cmpuint (index[i], <, sae_latents_get_d_sae (latents));
      g_assert_true (i == 0 || index[i - 1] < index[i]);
    }
  }
}

static void
run_model (SaeModel *model)
{
  gsize d_in = sae_model_get_d_in (model);
  float *x = g_new (float, 3 * d_in);
  g_autoptr (GBytes) rows = g_bytes_new_take (x, 3 * d_in * sizeof *x);
  g_autoptr (GBytes) x_hat = NULL;
  g_autoptr (SaeLatents) latents = NULL;
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < 3 * d_in; i++)
    x[i] = (float) i - (float) d_in;
  latents = sae_model_encode (model, rows, &error);
  fuzz_check_error (latents != NULL, error);
  if (latents == NULL)
    return;
  check_latents (latents);
  x_hat = sae_model_decode (model, latents, &error);
  fuzz_check_error (x_hat != NULL, error);
}

static void
expect_same (SaeModel *a, SaeModel *b)
{
  g_autoptr (GBytes) W_enc_a = sae_model_get_W_enc (a);
  g_autoptr (GBytes) W_enc_b = sae_model_get_W_enc (b);
  g_autoptr (GBytes) W_dec_a = sae_model_get_W_dec (a);
  g_autoptr (GBytes) W_dec_b = sae_model_get_W_dec (b);

  g_assert_cmpuint (sae_model_get_d_in (a), ==, sae_model_get_d_in (b));
  g_assert_cmpuint (sae_model_get_d_out (a), ==, sae_model_get_d_out (b));
  g_assert_cmpuint (sae_model_get_d_sae (a), ==, sae_model_get_d_sae (b));
  g_assert_cmpuint (sae_model_get_k (a), ==, sae_model_get_k (b));
  g_assert_cmpint (sae_model_get_sparsity (a), ==, sae_model_get_sparsity (b));
  g_assert_true (g_bytes_equal (W_enc_a, W_enc_b));
  g_assert_true (g_bytes_equal (W_dec_a, W_dec_b));
}

/* Not every layout can say all that another one can. */
static void
save_model (SaeModel *model, const char *layout)
{
  g_autofree char *path = fuzz_path ("saved");
  g_autoptr (SaeModel) again = NULL;
  g_autoptr (GError) error = NULL;

  scratch_remove (path);
  if (!sae_model_save_as (model, path, layout, &error))
    return;
  again = sae_model_load (path, &error);
  g_assert_no_error (error);
  expect_same (model, again);
}

static void
try_model (const char *folder, const SaeDictionary *dictionary,
    const SaeLayout *layout)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) model = sae_model_load (folder, &error);

  fuzz_check_error (model != NULL, error);
  g_assert_true (dictionary != NULL || model == NULL);
  if (model == NULL)
    return;
  run_model (model);
  save_model (model, NULL);
  if (sae_model_can_save_as (layout->name))
    save_model (model, layout->name);
}

/* Those of another layout from before are gone. */
static void
write_files (const SaeLayout *layout, const uint8_t *data, size_t size)
{
  const SaeLayout *const *layouts = sae_layouts_list ();

  for (guint i = 0; layouts[i] != NULL; i++) {
    for (guint j = 0; layouts[i]->files[j] != NULL; j++) {
      g_autofree char *path = fuzz_path (layouts[i]->files[j]);
      g_remove (path);
    }
  }
  for (guint i = 0; layout->files[i] != NULL; i++)
    write_file (layout->files[i], &data, &size);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const SaeLayout *const *layouts = sae_layouts_list ();
  const SaeLayout *layout;
  g_autofree char *folder = fuzz_path (".");
  g_autoptr (SaeDictionary) dictionary = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  while (layouts[n] != NULL)
    n++;
  layout = layouts[fuzz_take_byte (&data, &size) % n];
  write_files (layout, data, size);
  dictionary = layout->load (folder, &error);
  fuzz_check_error (dictionary != NULL, error);
  if (dictionary != NULL)
    check_dictionary (dictionary);
  try_model (folder, dictionary, layout);
  return 0;
}
