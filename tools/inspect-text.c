/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>

#include "numbers.h"
#include "output.h"

static void
    G_GNUC_PRINTF (2, 3) print_line (const char *name, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start (args, format);
  shown = sae_output_format (format, args);
  va_end (args);
  printf ("  %-14s%s\n", name, shown);
}

static const char *
get_text (const json_t *object, const char *key)
{
  const char *text = json_string_value (json_object_get (object, key));

  return text ? text : "";
}

/* "4,096" */
static char *
get_count (const json_t *object, const char *key)
{
  return sae_number_grouped (
      (guint64) json_integer_value (json_object_get (object, key)));
}

static double
get_number (const json_t *object, const char *key)
{
  return json_number_value (json_object_get (object, key));
}

static char *
format_bytes (guint64 bytes)
{
  if (bytes < 1000)
    return g_strdup_printf ("%d B", (int) bytes);
  if (bytes < 1000000)
    return g_strdup_printf ("%.1f kB", (double) bytes / 1e3);
  if (bytes < 1000000000)
    return g_strdup_printf ("%.1f MB", (double) bytes / 1e6);
  return g_strdup_printf ("%.1f GB", (double) bytes / 1e9);
}

/* "[256, 384]" */
static char *
format_shape (const json_t *shape)
{
  GString *text = g_string_new ("[");

  for (size_t i = 0; i < json_array_size (shape); i++)
    g_string_append_printf (text, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "",
        json_integer_value (json_array_get (shape, i)));
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}

/* --- dictionaries --------------------------------------------------------- */

static void
print_rule (const json_t *facts, const json_t *k)
{
  GString *rule = g_string_new (get_text (facts, "sparsity"));

  if (k)
    g_string_append_printf (rule, ", k %d, ties %s",
        (int) json_integer_value (k), get_text (facts, "ties"));
  if (json_is_true (json_object_get (facts, "pre_bias")))
    g_string_append (rule, ", b_dec subtracted from the input");
  if (json_object_get (facts, "input_norm"))
    g_string_append_printf (rule, ", input norm %s",
        get_text (facts, "input_norm"));
  print_line ("rule", "%s", rule->str);
  g_string_free (rule, TRUE);
}

static void
print_sizes (const json_t *facts)
{
  g_autofree char *d_in = get_count (facts, "d_in");
  g_autofree char *d_out = get_count (facts, "d_out");
  g_autofree char *d_sae = get_count (facts, "d_sae");
  const json_t *k = json_object_get (facts, "k");

  if (strcmp (d_in, d_out) == 0)
    print_line ("sizes", "%s -> %s latents", d_in, d_sae);
  else
    print_line ("sizes", "%s -> %s latents -> %s (a transcoder)", d_in, d_sae,
        d_out);
  print_rule (facts, k);
}

static void
print_files (const json_t *facts)
{
  const json_t *files = json_object_get (facts, "files"), *file, *dtype;
  GString *dtypes = g_string_new (NULL);
  const char *name = "files";
  size_t i;

  json_array_foreach (json_object_get (facts, "dtypes"), i, dtype)
      g_string_append_printf (dtypes, "%s%s", i ? ", " : "",
          json_string_value (dtype));
  if (dtypes->len > 0)
    print_line ("dtype", "%s", dtypes->str);
  g_string_free (dtypes, TRUE);
  json_array_foreach (files, i, file)
  {
    g_autofree char *size = format_bytes (
        (guint64) json_integer_value (json_object_get (file, "bytes")));
    print_line (name, "%s (%s)", get_text (file, "name"), size);
    name = "";
  }
}

static void
print_spread (const json_t *facts, const char *key, const char *name)
{
  const json_t *spread = json_object_get (facts, key);

  if (json_is_object (spread))
    print_line (name, "min %.4g   median %.4g   max %.4g",
        get_number (spread, "min"), get_number (spread, "median"),
        get_number (spread, "max"));
}

static void
print_latents (const json_t *facts)
{
  const json_t *latents = json_object_get (facts, "latents");
  const json_t *fires = json_object_get (latents, "fires-in-share-of-rows");
  g_autofree char *dead = get_count (latents, "dead");
  g_autofree char *d_sae = get_count (facts, "d_sae");
  g_autofree char *rows = get_count (latents, "rows");

  print_line ("dead", "%s of %s (%.2f %%), by %s%s%s%s", dead, d_sae,
      100 * get_number (latents, "dead-share"), get_text (latents, "dead-by"),
      json_object_get (latents, "rows") ? " of " : "",
      json_object_get (latents, "rows") ? rows : "",
      json_object_get (latents, "rows") ? " rows" : "");
  if (json_is_object (fires))
    print_line ("fires in",
        "min %.3g %%   median %.3g %%   max %.3g %% of rows",
        100 * get_number (fires, "min"), 100 * get_number (fires, "median"),
        100 * get_number (fires, "max"));
}

static void
print_metadata (const json_t *facts)
{
  const char *key, *name = "metadata";
  json_t *value;

  json_object_foreach (json_object_get (facts, "metadata"), key, value)
  {
    print_line (name, "%s = %s", key, json_string_value (value));
    name = "";
  }
}

static void
print_dictionary (const json_t *facts)
{
  print_sizes (facts);
  print_files (facts);
  print_spread (facts, "W_dec-row-norm", "|W_dec row|");
  print_spread (facts, "W_enc-row-norm", "|W_enc row|");
  print_spread (facts, "b_enc", "b_enc");
  print_line ("|b_dec|", "%.4g", get_number (facts, "b_dec-norm"));
  print_spread (facts, "threshold", "threshold");
  print_spread (facts, "r_mag", "r_mag");
  print_spread (facts, "b_mag", "b_mag");
  if (json_object_get (facts, "W_skip-norm"))
    print_line ("|W_skip|", "%.4g", get_number (facts, "W_skip-norm"));
  print_latents (facts);
  print_metadata (facts);
}

/* --- arrays --------------------------------------------------------------- */

static void
print_npy (const json_t *facts)
{
  g_autofree char *shape = format_shape (json_object_get (facts, "shape"));
  g_autofree char *rows = get_count (facts, "rows");
  g_autofree char *width = get_count (facts, "row-width");
  g_autofree char *size = format_bytes (
      (guint64) json_integer_value (json_object_get (facts, "bytes")));

  print_line ("array", "%s %s: %s rows of %s (%s)", get_text (facts, "dtype"),
      shape, rows, width, size);
}

static void
print_tensors (const json_t *facts)
{
  const json_t *tensor, *shape;
  size_t i;

  json_array_foreach (json_object_get (facts, "tensors"), i, tensor)
  {
    g_autofree char *text = NULL;
    shape = json_object_get (tensor, "shape");
    text = shape ? format_shape (shape) : g_strdup ("?");
    print_line (get_text (tensor, "dtype"), "%s %s", get_text (tensor, "name"),
        text);
  }
}

static void
print_folder (const json_t *facts)
{
  const json_t *file;
  size_t i;

  json_array_foreach (json_object_get (facts, "files"), i, file)
  {
    sae_inspect_print_text (get_text (file, "path"), file);
  }
}

void
sae_inspect_print_text (const char *path, const json_t *facts)
{
  const char *kind = get_text (facts, "kind");
  g_autofree char *shown = sae_output_printable (path);

  if (strcmp (kind, "folder") == 0) {
    print_folder (facts);
  } else if (strcmp (kind, "npy") == 0) {
    printf ("%s\n", shown);
    print_npy (facts);
  } else if (strcmp (kind, "safetensors") == 0) {
    printf ("%s\n", shown);
    print_tensors (facts);
  } else {
    printf ("%s: a dictionary, %s\n", shown, get_text (facts, "layout"));
    print_dictionary (facts);
  }
}
