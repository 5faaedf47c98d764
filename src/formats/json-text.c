/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-text.h"

#include <string.h>

/* What jansson keeps, rounded up: an object or array with its first slots and
 * its place in the parent; any other value with its place and key; each byte
 * of text (the key or string itself and the lexer's doubling buffer). */
#define CONTAINER_COST 224
#define VALUE_COST 112
#define TEXT_COST 4

#define MAX_SHOWN 80

typedef struct {
  gsize containers, values;
  guint depth, max_depth;
  gboolean minus_zero;
} Outline;

static void
count_char (Outline *outline, char c)
{
  switch (c) {
    case '{':
    case '[':
      outline->containers++;
      outline->depth++;
      outline->max_depth = MAX (outline->max_depth, outline->depth);
      break;
    case '}':
    case ']':
      outline->depth -= outline->depth > 0;
      break;
    case ',':
    case ':':
      outline->values++;
      break;
    default:
      break;
  }
}

/* jansson reads -0 as the integer 0; for other readers it is none. Whether
 * @text[@i] begins one; -0.5, -0e1 and the end of 1e-0 do not. */
static gboolean
is_minus_zero (const char *text, gsize size, gsize i)
{
  if (text[i] != '-' || i == 0 || i + 2 >= size || text[i + 1] != '0')
    return FALSE;
  return memchr (".eE", text[i + 2], 3) == NULL &&
         memchr ("eE", text[i - 1], 2) == NULL;
}

/* Counts outside strings, without judging whether the text is JSON. */
static Outline
outline_text (const char *text, gsize size)
{
  Outline outline = {0};
  gboolean in_string = FALSE;

  for (gsize i = 0; i < size; i++) {
    if (in_string && text[i] == '\\')
      i++;
    else if (text[i] == '"')
      in_string = !in_string;
    else if (!in_string) {
      count_char (&outline, text[i]);
      outline.minus_zero |= is_minus_zero (text, size, i);
    }
  }
  return outline;
}

static gboolean
check_outline (const char *text, gsize size, const char *label, GError **error)
{
  Outline outline = outline_text (text, size);
  guint64 cost = (guint64) size * TEXT_COST +
                 (guint64) outline.containers * CONTAINER_COST +
                 (guint64) outline.values * VALUE_COST;

  if (cost > SAE_JSON_MAX_MEMORY)
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "%s: JSON of %" G_GSIZE_FORMAT " bytes with %" G_GSIZE_FORMAT
        " values could take %" G_GUINT64_FORMAT
        " bytes of memory, expected at most %u",
        label, size, outline.containers + outline.values, cost,
        SAE_JSON_MAX_MEMORY);
  else if (outline.max_depth > SAE_JSON_MAX_DEPTH)
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: JSON nested %u deep, expected at most %u", label,
        outline.max_depth, SAE_JSON_MAX_DEPTH);
  else if (outline.minus_zero)
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: not valid JSON here: expected 0, found -0", label);
  else
    return TRUE;
  return FALSE;
}

/* jansson passes over a NUL behind a number. */
static gboolean
check_nul (const char *text, gsize size, const char *label, GError **error)
{
  const char *nul = size == 0 ? NULL : memchr (text, 0, size);

  if (nul == NULL)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "%s: not valid JSON at byte %" G_GSIZE_FORMAT ": NUL", label,
      (gsize) (nul - text) + 1);
  return FALSE;
}

json_t *
sae_json_read (const char *text, gsize size, const char *label, GError **error)
{
  json_error_t problem;
  json_t *root;

  if (!check_nul (text, size, label, error) ||
      !check_outline (text, size, label, error))
    return NULL;
  root = json_loadb (text, size, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL && problem.text[0] == '\0') {
    /* jansson has no words for that. */
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "%s: no memory to read JSON of %" G_GSIZE_FORMAT " bytes", label, size);
  } else if (root == NULL) {
    g_autofree char *near = g_utf8_make_valid (problem.text, -1);
    g_autofree char *reason = sae_json_shorten (near);
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: not valid JSON at byte %d: %s", label, problem.position, reason);
  } else if (!json_is_object (root)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: expected a JSON object, found an array", label);
    g_clear_pointer (&root, json_decref);
  }
  return root;
}

json_t *
sae_json_read_value (const char *text)
{
  gsize size = strlen (text);

  return check_outline (text, size, "", NULL)
             ? json_loadb (text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                   NULL)
             : NULL;
}

char *
sae_json_shorten (const char *text)
{
  GString *shown = g_string_new (NULL);
  guint n = 0;

  for (; *text != '\0' && n < MAX_SHOWN; text = g_utf8_next_char (text), n++) {
    gunichar c = g_utf8_get_char (text);
    g_string_append_unichar (shown, g_unichar_iscntrl (c) ? '?' : c);
  }
  if (*text != '\0')
    g_string_append (shown, "...");
  return g_string_free (shown, FALSE);
}

/* No GString, which ends the program where there is no memory. */
typedef struct {
  char *bytes;
  gsize length, room;
} Text;

static int
append_text (const char *more, size_t size, void *data)
{
  Text *text = data;

  if (size >= text->room - text->length) {
    gsize room = MAX (2 * text->room, text->length + size + 1);
    char *bytes = g_try_realloc (text->bytes, room);
    if (bytes == NULL)
      return -1;
    text->bytes = bytes;
    text->room = room;
  }
  memcpy (text->bytes + text->length, more, size);
  text->length += size;
  text->bytes[text->length] = '\0';
  return 0;
}

char *
sae_json_write (const json_t *value, size_t flags)
{
  Text text = {0};

  if (json_dump_callback (value, append_text, &text, flags) == 0)
    return text.bytes;
  g_free (text.bytes);
  return NULL;
}

gboolean
sae_json_refuse (const json_t *value, const char *label, const char *key,
    SaeError code, const char *expected, GError **error)
{
  g_autofree char *found =
      value == NULL ? g_strdup ("nothing")
                    : sae_json_write (value, JSON_COMPACT | JSON_ENCODE_ANY);
  g_autofree char *shown = found == NULL ? NULL : sae_json_shorten (found);

  g_set_error (error, SAE_ERROR, (gint) code, "%s: %s: expected %s, found %s",
      label, key, expected, shown != NULL ? shown : "another");
  return FALSE;
}

gboolean
sae_json_get_number (const json_t *value, const char *label, const char *key,
    guint32 least, guint32 most, guint32 *number, GError **error)
{
  json_int_t found = json_integer_value (value);

  if (!json_is_integer (value) || found < least || found > most) {
    g_autofree char *expected =
        g_strdup_printf ("an integer from %u to %u", least, most);
    return sae_json_refuse (value, label, key, SAE_ERROR_SIZE, expected, error);
  }
  *number = (guint32) found;
  return TRUE;
}

gboolean
sae_json_get_flag (const json_t *value, const char *label, const char *key,
    gboolean *flag, GError **error)
{
  if (!json_is_boolean (value))
    return sae_json_refuse (value, label, key, SAE_ERROR_FORMAT,
        "true or false", error);
  *flag = json_is_true (value);
  return TRUE;
}

/* Only what can be read again. */
static char *
write_readable (const json_t *root, size_t flags, gsize max_size,
    GError **error)
{
  g_autofree char *text = root == NULL ? NULL : sae_json_write (root, flags);

  if (text == NULL)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE, "cfg.json: no memory");
  else if (strlen (text) >= max_size)
    g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
        "cfg.json: expected at most %" G_GSIZE_FORMAT
        " bytes, with its metadata it has %" G_GSIZE_FORMAT,
        max_size, strlen (text) + 1);
  else if (check_outline (text, strlen (text), "cfg.json", error))
    return g_strconcat (text, "\n", NULL);
  return NULL;
}

char *
sae_json_write_config (json_t *root, size_t flags, gsize max_size,
    GError **error)
{
  char *text = write_readable (root, flags, max_size, NULL);

  if (text == NULL)
    text = write_readable (root, JSON_COMPACT, max_size, error);
  json_decref (root);
  return text;
}
