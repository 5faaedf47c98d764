/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The page is examples-page.html with data in the place of a mark. What is
 * repeated most is kept once: each row's token is a number in a list of words,
 * for rows near an example only; the examples of a latent are a line that the
 * page parses when it is looked at. */
#include "examples-page.h"
#include "examples-text.h"
#include "examples.h"

#include <string.h>

#include "atomic-write.h"
#include "error-text.h"

#define TITLE_MARK "@TITLE@"
#define DATA_MARK "<!-- @DATA@ -->"
/* Enough to look at. */
#define DIGITS 5

typedef struct {
  SaeExamples *examples;
  SaeTokens *tokens; /* may be NULL */
  const char *title;
  guint8 *shown; /* a bit for each row of the text: near an example */
  gsize n_shown; /* rows of the text */
  SaeText text;
} Page;

static gboolean
is_shown (const Page *page, gsize row)
{
  return page->shown[row / 8] >> (row % 8) & 1;
}

static void
show_reach (Page *page, guint64 row)
{
  guint64 first, last;

  sae_examples_get_reach (page->examples, row, &first, &last);
  for (; first < MIN (last, page->n_shown); first++)
    page->shown[first / 8] |= (guint8) (1 << (first % 8));
}

static gboolean
find_shown (Page *page, GError **error)
{
  const SaeExamples *self = page->examples;

  page->n_shown = page->tokens ? sae_tokens_get_n_rows (page->tokens) : 0;
  page->shown = g_try_new0 (guint8, page->n_shown / 8 + 1);
  if (!page->shown) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "no memory for the text of %" G_GSIZE_FORMAT " rows", page->n_shown);
    return FALSE;
  }
  for (guint i = 0; i < self->d_sae; i++)
    for (guint rank = 0; rank < self->n_kept[i]; rank++)
      show_reach (page, sae_examples_at (self, i, rank)->row);
  return TRUE;
}

static void
begin_script (Page *page, const char *id, const char *type)
{
  sae_text_add (&page->text, "<script id=\"", -1);
  sae_text_add (&page->text, id, -1);
  sae_text_add (&page->text, "\" type=\"", -1);
  sae_text_add (&page->text, type, -1);
  sae_text_add (&page->text, "\">", -1);
}

static void
end_script (Page *page)
{
  sae_text_add (&page->text, "</script>\n", -1);
}

static void
add_json (Page *page, const char *before, json_t *value)
{
  sae_text_add (&page->text, before, -1);
  sae_text_add_json (&page->text, value, DIGITS, TRUE);
}

/* A number a latent, each by itself: there may be many. */
static void
add_numbers (Page *page, const char *before,
    json_t *(*number) (SaeExamples *self, guint latent))
{
  sae_text_add (&page->text, before, -1);
  for (guint i = 0; i < page->examples->d_sae; i++)
    add_json (page, i == 0 ? "[" : ",", number (page->examples, i));
  sae_text_add (&page->text, page->examples->d_sae == 0 ? "[]" : "]", -1);
}

static json_t *
fired (SaeExamples *self, guint latent)
{
  return json_integer ((json_int_t) self->n_fired[latent]);
}

static json_t *
mean (SaeExamples *self, guint latent)
{
  return json_real (sae_examples_get_mean (self, latent));
}

static json_t *
max (SaeExamples *self, guint latent)
{
  return json_real (self->max[latent]);
}

static void
add_summary (Page *page)
{
  SaeExamples *self = page->examples;

  begin_script (page, "summary", "application/json");
  add_json (page, "{\"rows\":", json_integer ((json_int_t) self->n_rows));
  add_json (page, ",\"context\":", json_integer (self->context));
  add_json (page, ",\"passage\":", json_integer (self->passage));
  add_json (page, ",\"perLatent\":", json_integer (self->per_latent));
  add_json (page,
      ",\"nonfinite\":", json_integer ((json_int_t) self->n_nonfinite));
  add_numbers (page, ",\"fired\":", fired);
  add_numbers (page, ",\"mean\":", mean);
  add_numbers (page, ",\"max\":", max);
  sae_text_add (&page->text, "}", 1);
  end_script (page);
}

/* The number of a word, a new one when it is new. */
static guint
number_word (GHashTable *numbers, GPtrArray *words, const char *word)
{
  gpointer number;

  if (g_hash_table_lookup_extended (numbers, word, NULL, &number))
    return GPOINTER_TO_UINT (number);
  g_ptr_array_add (words, (gpointer) word);
  g_hash_table_insert (numbers, (gpointer) word,
      GUINT_TO_POINTER (words->len - 1));
  return words->len - 1;
}

/* [first row, word, word, …] a line, which may be as long as the text: each
 * number by itself. */
static void
add_stretches (Page *page, GHashTable *numbers, GPtrArray *words)
{
  for (gsize row = 0; row < page->n_shown;) {
    if (!is_shown (page, row)) {
      row++;
      continue;
    }
    add_json (page, "[", json_integer ((json_int_t) row));
    for (; row < page->n_shown && is_shown (page, row); row++) {
      const char *token = sae_tokens_get_token (page->tokens, row);
      add_json (page, ",", json_integer (number_word (numbers, words, token)));
    }
    sae_text_add (&page->text, "]\n", 2);
  }
}

static void
add_words (Page *page, const GPtrArray *words)
{
  sae_text_add (&page->text, "[", 1);
  for (guint i = 0; i < words->len; i++)
    add_json (page, i == 0 ? "" : ",", json_string (words->pdata[i]));
  sae_text_add (&page->text, "]", 1);
}

static void
add_tokens (Page *page)
{
  g_autoptr (GHashTable) numbers = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) words = g_ptr_array_new ();

  begin_script (page, "stretches", "text/plain");
  add_stretches (page, numbers, words);
  end_script (page);
  begin_script (page, "words", "application/json");
  add_words (page, words);
  end_script (page);
}

/* [row, time, value, distance, value there, distance, value there, …] */
static json_t *
example_to_json (SaeExamples *self, guint latent, guint rank)
{
  const SaeExample *example = sae_examples_at (self, latent, rank);
  const float *around = sae_examples_around (self, latent, rank);
  json_t *array = json_array ();

  json_array_append_new (array, json_integer ((json_int_t) example->row));
  json_array_append_new (array, example->time <= G_MAXINT64
                                    ? json_integer ((json_int_t) example->time)
                                    : json_null ());
  json_array_append_new (array, json_real (example->value));
  for (gsize i = 0; i < sae_examples_width (self); i++) {
    if (i == self->context || around[i] == 0)
      continue;
    json_array_append_new (array,
        json_integer ((json_int_t) i - (json_int_t) self->context));
    json_array_append_new (array, json_real (around[i]));
  }
  return array;
}

/* A line for each latent: its examples, strongest first. */
static void
add_examples (Page *page)
{
  SaeExamples *self = page->examples;

  begin_script (page, "examples", "text/plain");
  for (guint i = 0; i < self->d_sae && !page->text.failed; i++) {
    json_t *array = json_array ();
    for (guint rank = 0; rank < self->n_kept[i]; rank++)
      json_array_append_new (array, example_to_json (self, i, rank));
    sae_text_add_json (&page->text, array, DIGITS, TRUE);
    sae_text_add (&page->text, "\n", 1);
  }
  end_script (page);
}

/* The template up to @mark; returns what follows it. */
static const char *
add_up_to (Page *page, const char *template, const char *mark)
{
  const char *end = strstr (template, mark);

  sae_text_add (&page->text, template, end - template);
  return end + strlen (mark);
}

static gboolean
write_page (int fd, const char *label, gpointer data, GError **error)
{
  Page *page = data;
  g_autofree char *title = g_markup_escape_text (page->title, -1);
  const char *rest = sae_examples_page;

  sae_text_begin (&page->text, fd, label, error);
  rest = add_up_to (page, rest, TITLE_MARK);
  sae_text_add (&page->text, title, -1);
  rest = add_up_to (page, rest, TITLE_MARK);
  sae_text_add (&page->text, title, -1);
  rest = add_up_to (page, rest, DATA_MARK);
  add_summary (page);
  add_tokens (page);
  add_examples (page);
  sae_text_add (&page->text, rest, -1);
  return sae_text_end (&page->text, NULL);
}

/**
 * sae_examples_save_page:
 * @examples: examples
 * @tokens: (nullable): the token of each row
 * @title: (nullable): heading of the page
 * @path: (type filename): file to write; one that is there is replaced whole
 * @error: return location
 *
 * Writes one page of HTML that needs nothing else, no network either: a list
 * of the latents that can be sorted and searched, and the examples of the one
 * that is chosen, amid the tokens around them.
 *
 * Returns: whether it was written
 * Since: 0.1
 */
gboolean
sae_examples_save_page (SaeExamples *examples, SaeTokens *tokens,
    const gchar *title, const gchar *path, GError **error)
{
  g_autofree char *valid = g_utf8_make_valid (title ? title : "Latents", -1);
  Page page = {.examples = examples, .tokens = tokens, .title = valid};
  gboolean ok = find_shown (&page, error) &&
                sae_atomic_write_file (path, write_page, &page, error);

  g_free (page.shown);
  return sae_error_show (ok, error);
}
