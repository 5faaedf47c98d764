/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples-text.h"
#include "examples.h"

#include "atomic-write.h"
#include "error-text.h"

/* Nine digits tell any two float32 apart. */
#define DIGITS 9

typedef struct {
  const SaeExamples *examples;
  SaeTokens *tokens; /* may be NULL */
  SaeText text;
} Writer;

static json_t *
time_to_json (guint64 time)
{
  return time <= G_MAXINT64 ? json_integer ((json_int_t) time) : json_null ();
}

static json_t *
token_to_json (SaeTokens *tokens, guint64 row)
{
  const char *token = tokens ? sae_tokens_get_token (tokens, row) : NULL;

  return token ? json_string (token) : json_null ();
}

/* Where the text ends, the context does; without a text nobody knows. */
static void
add_around (const Writer *writer, json_t *object, guint latent, guint rank)
{
  const SaeExamples *self = writer->examples;
  const SaeExample *example = sae_examples_at (self, latent, rank);
  const float *around = sae_examples_around (self, latent, rank);
  json_t *values = json_array (), *tokens = json_array ();
  guint64 first, last;

  sae_examples_get_reach (self, example->row, &first, &last);
  if (writer->tokens && example->row < sae_tokens_get_n_rows (writer->tokens))
    last = MIN (last, sae_tokens_get_n_rows (writer->tokens));
  for (guint64 row = first; row < last; row++) {
    float value = around[self->context + row - example->row];
    /* Most are 0, which is shorter and faster as an integer. */
    json_array_append_new (values,
        value == 0 ? json_integer (0) : json_real (value));
    json_array_append_new (tokens, token_to_json (writer->tokens, row));
  }
  json_object_set_new (object, "first_row", json_integer ((json_int_t) first));
  json_object_set_new (object, "values", values);
  if (writer->tokens)
    json_object_set (object, "tokens", tokens);
  json_decref (tokens);
}

static json_t *
example_to_json (const Writer *writer, guint latent, guint rank)
{
  const SaeExample *example = sae_examples_at (writer->examples, latent, rank);
  json_t *object = json_object ();

  json_object_set_new (object, "row", json_integer ((json_int_t) example->row));
  json_object_set_new (object, "time", time_to_json (example->time));
  json_object_set_new (object, "value", json_real (example->value));
  if (writer->tokens)
    json_object_set_new (object, "token",
        token_to_json (writer->tokens, example->row));
  if (writer->examples->context > 0)
    add_around (writer, object, latent, rank);
  return object;
}

static json_t *
latent_to_json (const Writer *writer, guint latent)
{
  SaeExamples *self = (SaeExamples *) writer->examples;
  json_t *object = json_object (), *examples = json_array ();

  for (guint rank = 0; rank < self->n_kept[latent]; rank++)
    json_array_append_new (examples, example_to_json (writer, latent, rank));
  json_object_set_new (object, "index", json_integer (latent));
  json_object_set_new (object, "fired",
      json_integer ((json_int_t) self->n_fired[latent]));
  json_object_set_new (object, "log10_frequency",
      json_real (sae_examples_log10_frequency (self, latent)));
  json_object_set_new (object, "mean",
      json_real (sae_examples_get_mean (self, latent)));
  json_object_set_new (object, "max", json_real (self->max[latent]));
  json_object_set_new (object, "examples", examples);
  return object;
}

static json_t *
histogram_to_json (SaeExamples *self)
{
  g_autoptr (GArray) histogram = sae_examples_get_histogram (self);
  json_t *object = json_object (), *edges = json_array ();
  json_t *counts = json_array ();

  for (guint bin = 0; bin <= SAE_EXAMPLES_N_BINS; bin++)
    json_array_append_new (edges, json_real (-10 + bin / 2.0));
  for (guint bin = 0; bin < SAE_EXAMPLES_N_BINS; bin++)
    json_array_append_new (counts,
        json_integer (g_array_index (histogram, guint, bin)));
  json_object_set_new (object, "edges", edges);
  json_object_set_new (object, "counts", counts);
  return object;
}

static double
mean_active (const SaeExamples *self)
{
  double n = 0;

  for (guint i = 0; i < self->d_sae; i++)
    n += (double) self->n_fired[i];
  return n / (double) MAX (self->n_rows, 1);
}

static void
add_field (Writer *writer, const char *name, json_t *value)
{
  sae_text_add (&writer->text, "\"", 1);
  sae_text_add (&writer->text, name, -1);
  sae_text_add (&writer->text, "\":", 2);
  sae_text_add_json (&writer->text, value, DIGITS, FALSE);
  sae_text_add (&writer->text, ",\n", 2);
}

static void
add_head (Writer *writer)
{
  SaeExamples *self = (SaeExamples *) writer->examples;

  add_field (writer, "format", json_string ("sae-examples"));
  add_field (writer, "version", json_integer (1));
  add_field (writer, "d_sae", json_integer (self->d_sae));
  add_field (writer, "per_latent", json_integer (self->per_latent));
  add_field (writer, "context", json_integer (self->context));
  add_field (writer, "passage", json_integer (self->passage));
  add_field (writer, "rows", json_integer ((json_int_t) self->n_rows));
  add_field (writer, "l0", json_real (mean_active (self)));
  add_field (writer, "alive", json_integer (sae_examples_get_n_alive (self)));
  add_field (writer, "nonfinite_values",
      json_integer ((json_int_t) self->n_nonfinite));
  add_field (writer, "log10_histogram", histogram_to_json (self));
}

/* A latent a line. Those that never fired are left out. */
static void
add_latents (Writer *writer)
{
  const SaeExamples *self = writer->examples;
  const char *separator = "\n";

  sae_text_add (&writer->text, "\"latents\":[", -1);
  for (guint i = 0; i < self->d_sae && !writer->text.failed; i++) {
    if (self->n_fired[i] == 0)
      continue;
    sae_text_add (&writer->text, separator, -1);
    sae_text_add_json (&writer->text, latent_to_json (writer, i), DIGITS,
        FALSE);
    separator = ",\n";
  }
  sae_text_add (&writer->text, "\n]}\n", -1);
}

static void
add_all (Writer *writer)
{
  sae_text_add (&writer->text, "{", 1);
  add_head (writer);
  add_latents (writer);
}

/**
 * sae_examples_to_json:
 * @examples: examples
 * @tokens: (nullable): the token of each row
 * @error: return location
 *
 * The same text wherever it is made: one object with d_sae, per_latent,
 * context, passage, rows, l0, alive, nonfinite_values, log10_histogram (edges
 * and counts) and latents, those that fired, in order. Each has index, fired,
 * log10_frequency, mean, max and examples, strongest first: row, time (ns, or
 * null), value; with a context first_row and values, the latent's from that row
 * on; with tokens its token, and tokens beside the values.
 *
 * Returns: (transfer full): JSON text; %NULL when memory is exhausted
 * Since: 0.1
 */
gchar *
sae_examples_to_json (SaeExamples *examples, SaeTokens *tokens, GError **error)
{
  Writer writer = {.examples = examples, .tokens = tokens};
  char *kept = NULL;

  sae_text_begin (&writer.text, -1, "examples", error);
  add_all (&writer);
  sae_text_end (&writer.text, &kept);
  return kept;
}

static gboolean
write_json (int fd, const char *label, gpointer data, GError **error)
{
  Writer *writer = data;

  sae_text_begin (&writer->text, fd, label, error);
  add_all (writer);
  return sae_text_end (&writer->text, NULL);
}

/**
 * sae_examples_save_json:
 * @examples: examples
 * @tokens: (nullable): the token of each row
 * @path: (type filename): file to write; one that is there is replaced whole
 * @error: return location
 *
 * Writes sae_examples_to_json(), without holding all of it in memory.
 *
 * Returns: whether it was written
 * Since: 0.1
 */
gboolean
sae_examples_save_json (SaeExamples *examples, SaeTokens *tokens,
    const gchar *path, GError **error)
{
  Writer writer = {.examples = examples, .tokens = tokens};

  return sae_error_show (sae_atomic_write_file (path, write_json, &writer,
                             error),
      error);
}
