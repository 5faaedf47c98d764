/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gemma-scope.h"

#include <string.h>

#include "json-text.h"
#include "npz.h"
#include "tensor-table.h"

#define FILE_NAME "params.npz"
#define N_ARRAYS 5
#define NAMES "W_enc, W_dec, b_enc, b_dec and threshold"

static char *
find_file (const char *path)
{
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return g_build_filename (path, FILE_NAME, NULL);
  return g_strdup (path);
}

static gboolean
probe (const char *path)
{
  g_autofree char *file = find_file (path);
  return g_str_has_suffix (file, ".npz") &&
         g_file_test (file, G_FILE_TEST_EXISTS);
}

/* The file's arrays; sizes that are not known yet are 0. */
static void
list_arrays (const SaeDictionary *dictionary, SaeTensorSource arrays[N_ARRAYS])
{
  guint64 d_in = dictionary->d_in, d_out = dictionary->d_out;
  guint64 d_sae = dictionary->d_sae;

  arrays[0] = (SaeTensorSource){"W_enc", 2, {d_in, d_sae}, dictionary->W_enc,
      .transposed = TRUE};
  arrays[1] = (SaeTensorSource){"W_dec", 2, {d_sae, d_out}, dictionary->W_dec};
  arrays[2] = (SaeTensorSource){"b_enc", 1, {d_sae}, dictionary->b_enc};
  arrays[3] = (SaeTensorSource){"b_dec", 1, {d_out}, dictionary->b_dec};
  arrays[4] = (SaeTensorSource){"threshold", 1, {d_sae}, dictionary->threshold};
}

/* There is no configuration: the sizes are those of the matrices. */
static gboolean
read_sizes (SaeNpz *npz, SaeDictionary *dictionary, const char *label,
    GError **error)
{
  static const char *const names[] = {"W_enc", "W_dec"};
  guint64 sizes[4];

  for (guint i = 0; i < 2; i++) {
    const SaeNpzArray *array = sae_npz_find (npz, names[i]);
    if (array == NULL || array->header.rank != 2) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
          "%s: %s: expected a matrix, file has %s", label, names[i],
          array == NULL ? "no such array" : "another shape");
      return FALSE;
    }
    memcpy (sizes + 2 * i, array->header.shape, 2 * sizeof *sizes);
  }
  if (!sae_dictionary_check_sizes (sizes[0], sizes[3], sizes[1], error)) {
    g_prefix_error (error, "%s: ", label);
    return FALSE;
  }
  dictionary->d_in = (guint32) sizes[0];
  dictionary->d_sae = (guint32) sizes[1];
  dictionary->d_out = (guint32) sizes[3];
  return TRUE;
}

static gboolean
check_array (SaeNpz *npz, const SaeTensorSource *array, const char *label,
    GError **error)
{
  const SaeNpzArray *entry = sae_npz_find (npz, array->name);
  g_autofree char *expected =
      sae_tensor_shape_to_string (array->rank, array->shape);
  g_autofree char *found = NULL;

  if (entry == NULL)
    found = g_strdup ("no such array");
  else if (!sae_dtype_is_float (entry->header.dtype))
    found = g_strdup (sae_dtype_name (entry->header.dtype));
  else if (entry->header.rank != array->rank ||
           memcmp (entry->header.shape, array->shape,
               array->rank * sizeof *array->shape) != 0)
    found =
        sae_tensor_shape_to_string (entry->header.rank, entry->header.shape);
  if (found == NULL)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: %s: expected %s, file has %s", label, array->name, expected, found);
  return FALSE;
}

static gboolean
refuse_other (SaeNpz *npz, const SaeTensorSource arrays[N_ARRAYS],
    const char *label, GError **error)
{
  for (guint n = 0; n < sae_npz_get_n_arrays (npz); n++) {
    const char *name = sae_npz_get_nth (npz, n)->name;
    guint i = 0;
    while (i < N_ARRAYS && strcmp (arrays[i].name, name) != 0)
      i++;
    if (i == N_ARRAYS) {
      g_autofree char *valid = g_utf8_make_valid (name, -1);
      g_autofree char *shown = sae_json_shorten (valid);
      g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
          "%s: expected the arrays " NAMES ", file also has '%s'", label,
          shown);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_arrays (SaeNpz *npz, const SaeDictionary *dictionary, const char *label,
    GError **error)
{
  SaeTensorSource arrays[N_ARRAYS];

  list_arrays (dictionary, arrays);
  for (guint i = 0; i < N_ARRAYS; i++)
    if (!check_array (npz, &arrays[i], label, error))
      return FALSE;
  return refuse_other (npz, arrays, label, error);
}

static gboolean
read_arrays (SaeNpz *npz, SaeDictionary *dictionary, GError **error)
{
  SaeTensorSource arrays[N_ARRAYS];

  list_arrays (dictionary, arrays);
  for (guint i = 0; i < N_ARRAYS; i++)
    if (!sae_npz_read (npz, sae_npz_find (npz, arrays[i].name),
            arrays[i].transposed, (float *) arrays[i].data, error))
      return FALSE;
  return TRUE;
}

static SaeDictionary *
load (const char *path, GError **error)
{
  g_autofree char *file = find_file (path);
  g_autoptr (SaeNpz) npz = sae_npz_open (file, error);
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();

  dictionary->sparsity = g_strdup ("jump-relu");
  dictionary->ties = g_strdup ("lowest-index");
  /* Shapes before memory: what is allocated is then bounded by the file. */
  if (npz == NULL || !read_sizes (npz, dictionary, file, error) ||
      !check_arrays (npz, dictionary, file, error) ||
      !sae_dictionary_allocate (dictionary, error) ||
      !read_arrays (npz, dictionary, error))
    return NULL;
  return g_steal_pointer (&dictionary);
}

static const char *const files[] = {FILE_NAME, NULL};

const SaeLayout sae_layout_gemma_scope = {"gemma-scope", files, probe, load,
    NULL, NULL};
