/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples-text.h"

#include <string.h>

#include "atomic-write.h"
#include "json-text.h"

/* What is pending before it is written: little, as a GString that finds no
 * memory ends the program. */
#define PIECE ((gsize) 1 << 14)

void
sae_text_begin (SaeText *text, int fd, const char *label, GError **error)
{
  *text = (SaeText){g_string_new (NULL), fd, label, FALSE, error};
}

static void
write_pending (SaeText *text)
{
  if (text->fd < 0 || text->failed)
    return;
  text->failed = !sae_write_all (text->fd, text->pending->str,
      text->pending->len, text->label, text->error);
  g_string_truncate (text->pending, 0);
}

gboolean
sae_text_end (SaeText *text, char **kept)
{
  write_pending (text);
  if (kept)
    *kept = text->failed ? NULL : g_strdup (text->pending->str);
  g_string_free (text->pending, TRUE);
  text->pending = NULL;
  return !text->failed;
}

void
sae_text_add (SaeText *text, const char *part, gssize size)
{
  if (text->failed)
    return;
  g_string_append_len (text->pending, part, size);
  if (text->pending->len >= PIECE)
    write_pending (text);
}

/* In JSON "<" is in strings only, where it has another spelling too. */
static void
add_without_tags (SaeText *text, const char *json)
{
  for (const char *tag; (tag = strchr (json, '<')); json = tag + 1) {
    sae_text_add (text, json, tag - json);
    sae_text_add (text, "\\u003c", -1);
  }
  sae_text_add (text, json, -1);
}

void
sae_text_add_json (SaeText *text, json_t *value, guint digits, gboolean in_html)
{
  g_autofree char *json = sae_json_write (value,
      JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION (digits));

  json_decref (value);
  if (json == NULL) {
    if (!text->failed)
      g_set_error (text->error, SAE_ERROR, SAE_ERROR_NO_SPACE,
          "%s: no memory for JSON", text->label);
    text->failed = TRUE;
  } else if (in_html)
    add_without_tags (text, json);
  else
    sae_text_add (text, json, -1);
}
