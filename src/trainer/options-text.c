/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options-text.h"

#include <math.h>
#include <string.h>

#include "json-text.h"
#include "sae-trainer.h"

/* --- one value ------------------------------------------------------------ */

static char *
value_to_text (const GValue *value)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  if (G_VALUE_HOLDS_UINT (value))
    return g_strdup_printf ("%u", g_value_get_uint (value));
  if (G_VALUE_HOLDS_UINT64 (value))
    return g_strdup_printf ("%" G_GUINT64_FORMAT, g_value_get_uint64 (value));
  if (G_VALUE_HOLDS_INT64 (value))
    return g_strdup_printf ("%" G_GINT64_FORMAT, g_value_get_int64 (value));
  if (G_VALUE_HOLDS_DOUBLE (value))
    return g_strdup (
        g_ascii_dtostr (number, sizeof number, g_value_get_double (value)));
  if (G_VALUE_HOLDS_BOOLEAN (value))
    return g_strdup (g_value_get_boolean (value) ? "true" : "false");
  if (G_VALUE_HOLDS_ENUM (value)) {
    GEnumClass *klass = g_type_class_peek (G_VALUE_TYPE (value));
    GEnumValue *found = g_enum_get_value (klass, g_value_get_enum (value));
    return g_strdup (found ? found->value_nick : "");
  }
  return g_value_dup_string (value); /* which complains of any other type */
}

static gboolean
double_from_text (GValue *value, const char *text)
{
  char *end;
  double number = g_ascii_strtod (text, &end);

  g_value_set_double (value, number);
  return end != text && *end == '\0' && isfinite (number);
}

static gboolean
enum_from_text (GValue *value, const char *text)
{
  GEnumClass *klass = g_type_class_peek (G_VALUE_TYPE (value));
  GEnumValue *found = g_enum_get_value_by_nick (klass, text);

  if (found)
    g_value_set_enum (value, found->value);
  return found != NULL;
}

static gboolean
value_from_text (GValue *value, const char *text)
{
  guint64 natural = 0;
  gint64 integer = 0;
  gboolean ok;

  if (G_VALUE_HOLDS_DOUBLE (value))
    return double_from_text (value, text);
  if (G_VALUE_HOLDS_ENUM (value))
    return enum_from_text (value, text);
  if (G_VALUE_HOLDS_BOOLEAN (value)) {
    g_value_set_boolean (value, g_str_equal (text, "true"));
    return g_str_equal (text, "true") || g_str_equal (text, "false");
  }
  if (G_VALUE_HOLDS_STRING (value)) {
    g_value_set_string (value, text);
    return TRUE;
  }
  if (G_VALUE_HOLDS_INT64 (value)) {
    ok = g_ascii_string_to_signed (text, 10, G_MININT64, G_MAXINT64, &integer,
        NULL);
    g_value_set_int64 (value, integer);
    return ok;
  }
  ok = g_ascii_string_to_unsigned (text, 10, 0,
      G_VALUE_HOLDS_UINT (value) ? G_MAXUINT : G_MAXUINT64, &natural, NULL);
  if (G_VALUE_HOLDS_UINT (value))
    g_value_set_uint (value, (guint) natural);
  else
    g_value_set_uint64 (value, natural);
  return ok;
}

/* --- one option ----------------------------------------------------------- */

static char *
option_to_text (const SaeTrainerOptions *options, guint id)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, sae_trainer_options_find (id)->value_type);
  sae_trainer_options_get (options, id, &value);
  return value_to_text (&value);
}

static gboolean
option_from_text (SaeTrainerOptions *options, guint id, const char *text,
    const char *label, GError **error)
{
  GParamSpec *pspec = sae_trainer_options_find (id);
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, pspec->value_type);
  if (value_from_text (&value, text) &&
      !g_param_value_validate (pspec, &value)) {
    sae_trainer_options_set (options, id, &value);
    return TRUE;
  }
  g_autofree char *shown = sae_json_shorten (text);
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "%s: options: %s: expected a value of it, found '%s'", label, pspec->name,
      shown);
  return FALSE;
}

static gboolean
is_free (const GParamSpec *pspec)
{
  return (pspec->flags & SAE_PARAM_LIVE) ||
         g_str_equal (pspec->name, "n-threads") ||
         g_str_equal (pspec->name, "total-rows");
}

/* Whether resolving chooses for it. */
static gboolean
is_open (const SaeTrainerOptions *options, guint id, gboolean from_model)
{
  SaeTrainerOptions resolved = sae_trainer_options_resolve (options);
  const char *name = sae_trainer_options_find (id)->name;
  g_autofree char *set = option_to_text (options, id);
  g_autofree char *chosen = option_to_text (&resolved, id);

  if (g_str_equal (name, "input-size"))
    return options->d_in == 0;
  if (g_str_equal (name, "output-size"))
    return options->d_out == 0;
  if (from_model &&
      (g_str_equal (name, "pre-bias") || g_str_equal (name, "ties")))
    return TRUE;
  return !g_str_equal (set, chosen);
}

static gboolean
check_same (const SaeTrainerOptions *options, guint id, const char *text,
    const char *label, GError **error)
{
  g_autofree char *got = option_to_text (options, id);
  g_autofree char *shown = sae_json_shorten (text);

  if (g_str_equal (got, text))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: %s: expected the checkpoint's %s, got %s", label,
      sae_trainer_options_find (id)->name, *shown ? shown : "(none)",
      *got ? got : "(none)");
  return FALSE;
}

/* @asked: as they were set, all of them. */
static gboolean
adopt (SaeTrainerOptions *options, const SaeTrainerOptions *asked, guint id,
    const char *text, gboolean from_model, const char *label, GError **error)
{
  const GParamSpec *pspec = sae_trainer_options_find (id);

  if (g_str_equal (pspec->name, "total-rows") && asked->total_rows == 0)
    return option_from_text (options, id, text, label, error);
  if (is_free (pspec))
    return TRUE;
  if (is_open (asked, id, from_model))
    return option_from_text (options, id, text, label, error);
  return check_same (asked, id, text, label, error);
}

/* --- all ------------------------------------------------------------------ */

char *
sae_trainer_options_to_text (const SaeTrainerOptions *options)
{
  json_t *root = json_object ();
  char *text;

  for (guint id = 1; id < sae_trainer_options_end (); id++) {
    g_autofree char *value = option_to_text (options, id);
    json_object_set_new (root, sae_trainer_options_find (id)->name,
        json_string (value));
  }
  text = sae_json_write (root, JSON_COMPACT);
  json_decref (root);
  return text;
}

static gboolean
adopt_all (SaeTrainerOptions *options, json_t *root, gboolean from_model,
    const char *label, GError **error)
{
  SaeTrainerOptions asked = *options;
  guint end = sae_trainer_options_end ();

  for (guint id = 1; id < end; id++) {
    const char *name = sae_trainer_options_find (id)->name;
    const char *text = json_string_value (json_object_get (root, name));
    if (!text) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "%s: options: %s: expected a string, found none", label, name);
      return FALSE;
    }
    if (!adopt (options, &asked, id, text, from_model, label, error))
      return FALSE;
  }
  if (json_object_size (root) == end - 1)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: options: expected %u of them, found %u", label, end - 1,
      (guint) json_object_size (root));
  return FALSE;
}

gboolean
sae_trainer_options_adopt (SaeTrainerOptions *options, const char *text,
    gboolean from_model, const char *label, GError **error)
{
  SaeTrainerOptions adopted = *options;
  json_t *root = sae_json_read (text, strlen (text), label, error);
  gboolean ok = root && adopt_all (&adopted, root, from_model, label, error);

  json_decref (root);
  if (ok)
    *options = adopted;
  return ok;
}
