/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dictionary.h"

#include "floats.h"

SaeDictionary *
sae_dictionary_new (void)
{
  SaeDictionary *dictionary = g_new0 (SaeDictionary, 1);
  dictionary->metadata =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return dictionary;
}

static void
clear_arrays (SaeDictionary *dictionary)
{
  g_clear_pointer (&dictionary->W_enc, g_free);
  g_clear_pointer (&dictionary->b_enc, g_free);
  g_clear_pointer (&dictionary->W_dec, g_free);
  g_clear_pointer (&dictionary->b_dec, g_free);
  g_clear_pointer (&dictionary->threshold, g_free);
  g_clear_pointer (&dictionary->W_skip, g_free);
  g_clear_pointer (&dictionary->r_mag, g_free);
  g_clear_pointer (&dictionary->b_mag, g_free);
}

void
sae_dictionary_free (SaeDictionary *dictionary)
{
  if (dictionary == NULL)
    return;
  clear_arrays (dictionary);
  g_free (dictionary->sparsity);
  g_free (dictionary->ties);
  g_free (dictionary->input_norm);
  g_hash_table_unref (dictionary->metadata);
  g_free (dictionary);
}

static gboolean
check_size (const char *name, guint64 size, GError **error)
{
  if (size >= 1 && size <= SAE_DICTIONARY_MAX_SIZE)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected 1 to %u, got %" G_GUINT64_FORMAT, name,
      SAE_DICTIONARY_MAX_SIZE, size);
  return FALSE;
}

static gboolean
check_matrix (const char *name, guint64 rows, guint64 columns, GError **error)
{
  gsize bytes;
  if (g_size_checked_mul (&bytes, (gsize) rows, (gsize) columns) &&
      g_size_checked_mul (&bytes, bytes, sizeof (float)) && bytes <= G_MAXSSIZE)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT
      " float32 do not fit this machine's address space",
      name, rows, columns);
  return FALSE;
}

gboolean
sae_dictionary_check_sizes (guint64 d_in, guint64 d_out, guint64 d_sae,
    GError **error)
{
  return check_size ("d_in", d_in, error) &&
         check_size ("d_out", d_out, error) &&
         check_size ("d_sae", d_sae, error) &&
         check_matrix ("W_enc", d_sae, d_in, error) &&
         check_matrix ("W_dec", d_sae, d_out, error) &&
         check_matrix ("W_skip", d_out, d_in, error);
}

gboolean
sae_dictionary_allocate (SaeDictionary *dictionary, GError **error)
{
  gsize d_in = dictionary->d_in, d_out = dictionary->d_out;
  gsize d_sae = dictionary->d_sae;
  gboolean ok;

  clear_arrays (dictionary);
  if (!sae_dictionary_check_sizes (d_in, d_out, d_sae, error))
    return FALSE;
  dictionary->W_enc = sae_floats_new (d_sae, d_in, "W_enc", error);
  if (dictionary->W_enc != NULL)
    dictionary->W_dec = sae_floats_new (d_sae, d_out, "W_dec", error);
  if (dictionary->W_dec != NULL)
    dictionary->b_enc = sae_floats_new (1, d_sae, "b_enc", error);
  if (dictionary->b_enc != NULL)
    dictionary->b_dec = sae_floats_new (1, d_out, "b_dec", error);
  ok = dictionary->b_dec != NULL;
  if (ok && g_strcmp0 (dictionary->sparsity, "jump-relu") == 0) {
    dictionary->threshold = sae_floats_new (1, d_sae, "threshold", error);
    ok = dictionary->threshold != NULL;
  }
  if (ok && g_strcmp0 (dictionary->sparsity, "gated") == 0) {
    dictionary->r_mag = sae_floats_new (1, d_sae, "r_mag", error);
    if (dictionary->r_mag != NULL)
      dictionary->b_mag = sae_floats_new (1, d_sae, "b_mag", error);
    ok = dictionary->b_mag != NULL;
  }
  if (ok && dictionary->skip) {
    dictionary->W_skip = sae_floats_new (d_out, d_in, "W_skip", error);
    ok = dictionary->W_skip != NULL;
  }
  if (!ok) {
    clear_arrays (dictionary);
    return FALSE;
  }
  return TRUE;
}
