/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Edits of latents as text, "17:*0,42:+3.5": what a property or a command line
 * has. Numbers have a point in every locale. */
#include <math.h>
#include <string.h>

#include "edits.h"
#include "error-text.h"

/* Terms of one edit that were read. */
enum { SCALE = 1, OFFSET = 2, MIN = 4, MAX = 8, VALUE = 16 };

#define ANY_TERM "'*', '+', '-', '=', '>' or '<'"

typedef struct {
  const char *text;
  const char *at;
} Reader;

static gboolean
fail (const Reader *reader, const char *expected, GError **error)
{
  glong place = 1;

  for (const char *c = reader->text; c < reader->at; c++)
    place += ((guint8) *c & 0xc0) != 0x80; /* not inside a character */
  if (*reader->at)
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "latents: expected %s at character %ld of \"%s\", got '%.*s'", expected,
        place, reader->text,
        (int) (g_utf8_find_next_char (reader->at, NULL) - reader->at),
        reader->at);
  else
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "latents: expected %s at the end of \"%s\"", expected, reader->text);
  return FALSE;
}

static void
skip_spaces (Reader *reader)
{
  while (g_ascii_isspace (*reader->at))
    reader->at++;
}

static gboolean
read_latent (Reader *reader, guint32 *latent, GError **error)
{
  const char *start = reader->at;
  guint64 value = 0;

  if (!g_ascii_isdigit (*reader->at))
    return fail (reader, "the index of a latent", error);
  for (; g_ascii_isdigit (*reader->at); reader->at++)
    value = MIN (value * 10 + (guint64) (*reader->at - '0'), G_MAXUINT32);
  *latent = (guint32) value;
  if (value < G_MAXUINT32)
    return TRUE;
  reader->at = start;
  return fail (reader, "the index of a latent, below 2^32 - 1,", error);
}

/* A decimal number that is a finite float32; with a sign where @is_signed. */
static gboolean
read_number (Reader *reader, gboolean is_signed, float *number, GError **error)
{
  const char *digits;
  char *end;
  double value;

  skip_spaces (reader);
  digits = reader->at;
  if (is_signed && (*digits == '-' || *digits == '+'))
    digits++;
  /* Neither "inf" and "nan" nor hexadecimal ones. */
  if (!g_ascii_isdigit (*digits) &&
      !(*digits == '.' && g_ascii_isdigit (digits[1])))
    return fail (reader, "a number", error);
  if (digits[0] == '0' && g_ascii_tolower (digits[1]) == 'x')
    return fail (reader, "a decimal number", error);
  value = g_ascii_strtod (reader->at, &end);
  /* FLT_MAX has no nine digits that are not above it. */
  if (!isfinite ((float) value))
    return fail (reader, "a number of at most 3.4e38", error);
  *number = (float) value;
  reader->at = end;
  return TRUE;
}

/* Where the numbers of the next term go, and what it is. */
static float *
find_term (SaeEdit *edit, char sign, guint *term)
{
  switch (sign) {
    case '*':
      *term = SCALE;
      return &edit->scale;
    case '+':
    case '-':
      *term = OFFSET;
      return &edit->offset;
    case '>':
      *term = MIN;
      return &edit->min;
    case '<':
      *term = MAX;
      return &edit->max;
    case '=':
      *term = VALUE;
      return &edit->offset;
    default:
      *term = 0;
      return NULL;
  }
}

/* Each at most once, scale and offset in the order in which they are done;
 * a value stands alone. */
static gboolean
check_order (const Reader *reader, guint term, guint seen, GError **error)
{
  if (seen & VALUE || (seen && term == VALUE))
    return fail (reader, "',' (a value stands alone)", error);
  if (seen & term)
    return fail (reader, "each of *, + or -, > and < once", error);
  if (term == SCALE && seen)
    return fail (reader, "the scale first", error);
  if (term == OFFSET && seen & (MIN | MAX))
    return fail (reader, "the offset before bounds", error);
  return TRUE;
}

static gboolean
read_term (Reader *reader, SaeEdit *edit, guint *seen, GError **error)
{
  char sign = *reader->at;
  guint term;
  float *number = find_term (edit, sign, &term);

  if (!number)
    return fail (reader, *seen ? "',' or another term" : ANY_TERM, error);
  if (!check_order (reader, term, *seen, error))
    return FALSE;
  reader->at++;
  if (!read_number (reader, term != OFFSET, number, error))
    return FALSE;
  if (sign == '-')
    edit->offset = -edit->offset;
  if (term == VALUE)
    edit->scale = 0.0f;
  *seen |= term;
  skip_spaces (reader);
  return TRUE;
}

static gboolean
check_range (const SaeEdit *edit, GError **error)
{
  if (edit->min <= edit->max)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "latents: expected a range of latent %u, got at least %g and at most %g",
      edit->latent, (double) edit->min, (double) edit->max);
  return FALSE;
}

/* "index:" and its terms. */
static gboolean
read_edit (Reader *reader, SaeEdit *edit, GError **error)
{
  guint seen = 0;

  skip_spaces (reader);
  *edit = (SaeEdit) SAE_EDIT_NOTHING (0);
  if (!read_latent (reader, &edit->latent, error))
    return FALSE;
  skip_spaces (reader);
  if (*reader->at != ':')
    return fail (reader, "':' after the index", error);
  reader->at++;
  skip_spaces (reader);
  do {
    if (!read_term (reader, edit, &seen, error))
      return FALSE;
  } while (*reader->at && *reader->at != ',');
  return check_range (edit, error);
}

static gboolean
check_new (const Reader *reader, GHashTable *seen, guint32 latent,
    GError **error)
{
  if (g_hash_table_add (seen, GUINT_TO_POINTER (latent)))
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "latents: expected each latent once, got %u twice in \"%s\"", latent,
      reader->text);
  return FALSE;
}

static gboolean
read_edits (Reader *reader, SaeEdits *edits, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  SaeEdit edit;

  skip_spaces (reader);
  if (!*reader->at)
    return TRUE;
  for (;;) {
    if (!read_edit (reader, &edit, error) ||
        !check_new (reader, seen, edit.latent, error))
      return FALSE;
    sae_edits_put (edits, &edit);
    if (!*reader->at)
      return TRUE;
    reader->at++;
  }
}

/**
 * sae_edits_new_from_text:
 * @text: edits, as #SaeEdits describes them; empty for none
 * @error: return location
 *
 * Reads edits. %SAE_ERROR_FORMAT says what was expected at which character.
 * Which latents there are is not known here: running a model checks that.
 *
 * Returns: (transfer full): edits
 * Since: 0.1
 */
SaeEdits *
sae_edits_new_from_text (const char *text, GError **error)
{
  g_autoptr (SaeEdits) edits = sae_edits_new ();
  Reader reader = {text, text};

  return sae_error_show (read_edits (&reader, edits, error), error)
             ? g_steal_pointer (&edits)
             : NULL;
}

/* The fewest digits that give the same float again. */
static void
append_number (GString *text, float number)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  char format[] = "%.6g";

  do
    g_ascii_formatd (digits, sizeof digits, format, (double) number);
  while ((float) g_ascii_strtod (digits, NULL) != number && format[2]++ < '9');
  g_string_append (text, digits);
}

static void
append_term (GString *text, const char *sign, float number)
{
  g_string_append (text, sign);
  append_number (text, number);
}

static void
append_edit (GString *text, const SaeEdit *edit)
{
  gboolean bound = edit->min != -FLT_MAX || edit->max != FLT_MAX;

  g_string_append_printf (text, "%s%u:", text->len ? "," : "", edit->latent);
  if (edit->min > edit->max) { /* as sae_edits_set_range() takes it */
    append_term (text, "=", edit->max);
    return;
  }
  if (edit->scale == 0.0f && edit->offset != 0.0f && !bound) {
    append_term (text, "=", edit->offset);
    return;
  }
  if (edit->scale != 1.0f)
    append_term (text, "*", edit->scale);
  if (edit->offset != 0.0f)
    append_term (text, edit->offset > 0.0f ? "+" : "", edit->offset);
  if (edit->min != -FLT_MAX)
    append_term (text, ">", edit->min);
  if (edit->max != FLT_MAX)
    append_term (text, "<", edit->max);
}

/**
 * sae_edits_to_text:
 * @edits: edits
 *
 * Writes edits as sae_edits_new_from_text() reads them, in ascending order.
 *
 * Returns: (transfer full): the text, empty without edits
 * Since: 0.1
 */
char *
sae_edits_to_text (const SaeEdits *edits)
{
  GString *text = g_string_new (NULL);
  const SaeEdit *edit;
  gsize n;

  edit = sae_edits_get_all (edits, &n);
  for (gsize i = 0; i < n; i++)
    append_edit (text, &edit[i]);
  return g_string_free (text, FALSE);
}
