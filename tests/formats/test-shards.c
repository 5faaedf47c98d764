/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A dictionary whose weights are cut into files, as huggingface_hub cuts them,
 * in every layout that has safetensors. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "../same-memory.h"
#include "layouts.h"
#include "safetensors.h"
#include "scratch.h"

enum { D_IN = 3, D_SAE = 5 };

typedef struct {
  const char *layout, *weights;
} Layout;

static const Layout layouts[] = {
    {"saelens", "sae_weights.safetensors"},
    {"sparsify", "sae.safetensors"},
};

static void
save (const char *path, const char *layout)
{
  g_autoptr (SaeDictionary) dictionary = sae_dictionary_new ();
  GError *error = NULL;

  dictionary->d_in = dictionary->d_out = D_IN;
  dictionary->d_sae = D_SAE;
  dictionary->k = 2;
  dictionary->sparsity = g_strdup ("top-k");
  dictionary->pre_bias = TRUE;
  g_assert_true (sae_dictionary_allocate (dictionary, NULL));
  for (guint i = 0; i < D_IN * D_SAE; i++) {
    dictionary->W_enc[i] = (float) i;
    dictionary->W_dec[i] = (float) -i;
    dictionary->b_enc[i / D_IN] = (float) i;
    dictionary->b_dec[i / D_SAE] = (float) i;
  }
  sae_layouts_save (dictionary, layout, path, &error);
  g_assert_no_error (error);
}

static void
write_shard (const char *path, SaeSafetensors *from, guint first, guint n)
{
  SaeTensorSource tensors[4];
  float values[4][D_IN * D_SAE];
  int fd = g_open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  g_assert_cmpint (fd, >=, 0);
  for (guint i = 0; i < n; i++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (from, first + i);
    g_assert_true (sae_safetensors_read_float32 (from, entry, values[i], NULL));
    tensors[i] = (SaeTensorSource){entry->name, entry->rank,
        {entry->shape[0], entry->shape[1]}, values[i]};
  }
  g_assert_true (sae_safetensors_write (fd, path, tensors, n, NULL));
  close (fd);
}

/* Puts the first tensors of the folder's weights into shard 1, the rest into
 * shard 2, and writes the index with @from replaced by @to. */
static char *
cut (const char *folder, const Layout *layout, const char *from, const char *to)
{
  g_autofree char *whole = g_build_filename (folder, layout->weights, NULL);
  g_autofree char *first = g_build_filename (folder, "w-1.safetensors", NULL);
  g_autofree char *second = g_build_filename (folder, "w-2.safetensors", NULL);
  char *index = g_strconcat (whole, ".index.json", NULL);
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (whole, NULL);
  GString *text =
      g_string_new ("{\"metadata\": {\"total_size\": 152}, \"weight_map\": {");

  write_shard (first, file, 0, 2);
  write_shard (second, file, 2, 2);
  for (guint i = 0; i < 4; i++)
    g_string_append_printf (text, "%s\"%s\": \"w-%u.safetensors\"",
        i == 0 ? "" : ", ", sae_safetensors_get_nth (file, i)->name, i / 2 + 1);
  g_string_append (text, "}}");
  if (from != NULL)
    g_assert_cmpuint (g_string_replace (text, from, to, 1), ==, 1);
  scratch_write_text (index, text->str);
  g_string_free (text, TRUE);
  g_assert_cmpint (g_unlink (whole), ==, 0);
  return index;
}

static void
test_loads (Scratch *scratch, gconstpointer data)
{
  const Layout *layout = data;
  g_autofree char *path = scratch_path (scratch, "out");
  g_autoptr (SaeDictionary) one = NULL, two = NULL;
  g_autofree char *index = NULL;
  GError *error = NULL;

  save (path, layout->layout);
  one = sae_layouts_load (path, &error);
  g_assert_no_error (error);
  index = cut (path, layout, NULL, NULL);
  two = sae_layouts_load (path, &error);
  g_assert_no_error (error);
  assert_same_memory (two->W_enc, 60, one->W_enc, 60);
  assert_same_memory (two->W_dec, 60, one->W_dec, 60);
  assert_same_memory (two->b_enc, 20, one->b_enc, 20);
  assert_same_memory (two->b_dec, 12, one->b_dec, 12);
}

/* Saved over in either layout, none of the old weights stay to be found before
 * the new ones. */
static void
test_is_replaced (Scratch *scratch, gconstpointer data)
{
  const Layout *layout = data;
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *notes = scratch_path (scratch, "out/notes.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (layouts); i++) {
    g_autofree char *weights =
        g_build_filename (path, layouts[i].weights, NULL);
    g_autofree char *index = NULL;
    g_autoptr (SaeDictionary) again = NULL;
    GError *error = NULL;
    scratch_remove (path);
    save (path, layout->layout);
    index = cut (path, layout, NULL, NULL);
    scratch_write_text (notes, "mine");
    save (path, layouts[i].layout);
    again = sae_layouts_load (path, &error);
    g_assert_no_error (error);
    g_assert_true (g_file_test (weights, G_FILE_TEST_EXISTS));
    scratch_assert_text (notes, "mine");
    g_assert_cmpuint (scratch_count (path), ==, 3);
  }
}

/* An index that does not fit is none by which to remove files. */
static void
test_of_no_index_stay (Scratch *scratch, gconstpointer data)
{
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *first = scratch_path (scratch, "out/w-1.safetensors");
  g_autofree char *index = NULL;
  g_autoptr (SaeDictionary) again = NULL;
  GError *error = NULL;

  save (path, "saelens");
  index = cut (path, &layouts[0], "\"b_dec\"", "\"x\"");
  save (path, "sparsify");
  again = sae_layouts_load (path, &error);
  g_assert_no_error (error);
  g_assert_true (g_file_test (first, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (index, G_FILE_TEST_EXISTS));
  g_assert_cmpuint (scratch_count (path), ==, 4);
}

static const struct {
  const char *from, *to;
  SaeError code;
  const char *part;
} hostile[] = {
    {"w-1.safetensors", "w-3.safetensors", SAE_ERROR_NOT_FOUND,
        "w-3.safetensors"},
    {"w-1.safetensors", "../w-1.safetensors", SAE_ERROR_FORMAT,
        "of the same folder"},
    {"w-1.safetensors", "sub/w-1.safetensors", SAE_ERROR_FORMAT,
        "of the same folder"},
    {"w-1.safetensors", "/tmp/w-1.safetensors", SAE_ERROR_FORMAT,
        "of the same folder"},
    {"w-1.safetensors", "/etc/passwd", SAE_ERROR_FORMAT, "of the same folder"},
    {"w-1.safetensors", ".safetensors", SAE_ERROR_FORMAT, "of the same folder"},
    {"w-1.safetensors", "w-2.safetensors", SAE_ERROR_FORMAT,
        "is there, but not in the weight_map for w-1.safetensors"},
    {"\"b_dec\": \"w-2.safetensors\"", "\"x\": \"w-2.safetensors\"",
        SAE_ERROR_FORMAT, "b_dec: is there, but not in the weight_map"},
    {"\"weight_map\": {", "\"weight_map\": {\"x\": \"w-2.safetensors\", ",
        SAE_ERROR_FORMAT, "x: no such tensor in w-2.safetensors"},
    {"\"w-1.safetensors\"", "3", SAE_ERROR_FORMAT, "of the same folder"},
    {"weight_map", "weights", SAE_ERROR_FORMAT, "weights: expected weight_map"},
    {"}}", "}", SAE_ERROR_FORMAT, "not valid JSON"},
};

static void
test_hostile (Scratch *scratch, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (hostile); i++) {
    g_autofree char *path = scratch_path (scratch, "out");
    g_autofree char *index = NULL;
    GError *error = NULL;
    scratch_remove (path);
    save (path, "saelens");
    index = cut (path, &layouts[0], hostile[i].from, hostile[i].to);
    g_assert_null (sae_layouts_load (path, &error));
    g_test_message ("%s", error->message);
    scratch_assert_error (&error, (gint) hostile[i].code, hostile[i].part);
  }
}

/* Of the index and of each file. */
static void
test_truncated (Scratch *scratch, gconstpointer data)
{
  static const char *const names[] = {"sae.safetensors.index.json",
      "w-1.safetensors", "w-2.safetensors"};
  g_autofree char *path = scratch_path (scratch, "out");
  g_autofree char *index = NULL;

  save (path, "sparsify");
  index = cut (path, &layouts[1], NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *file = g_build_filename (path, names[i], NULL);
    g_autofree char *whole = NULL;
    gsize full;
    g_assert_true (g_file_get_contents (file, &whole, &full, NULL));
    for (gsize size = 0; size < full; size++) {
      GError *error = NULL;
      scratch_write (file, whole, size);
      g_assert_null (sae_layouts_load (path, &error));
      scratch_assert_error (&error, SAE_ERROR_FORMAT, file);
    }
    scratch_write (file, whole, full);
  }
}

#define PATH "/formats/shards/"

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (layouts); i++) {
    g_autofree char *path =
        g_strconcat (PATH "are-one-dictionary/", layouts[i].layout, NULL);
    g_autofree char *replaced =
        g_strconcat (PATH "are-replaced/", layouts[i].layout, NULL);
    g_test_add (path, Scratch, &layouts[i], scratch_set_up, test_loads,
        scratch_tear_down);
    g_test_add (replaced, Scratch, &layouts[i], scratch_set_up,
        test_is_replaced, scratch_tear_down);
  }
  scratch_add (PATH "of-no-index-stay", test_of_no_index_stay);
  scratch_add (PATH "hostile-indices-are-refused", test_hostile);
  scratch_add (PATH "every-shorter-length-is-refused", test_truncated);
  return g_test_run ();
}
