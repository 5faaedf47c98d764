/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Text that goes to a file, or is kept, piece by piece. */
#pragma once

#include <jansson.h>

#include "sae-error.h"

typedef struct {
  GString *pending;
  int fd; /* −1: all of it is kept in pending */
  const char *label;
  gboolean failed;
  GError **error;
} SaeText;

/* @fd −1 keeps the text. */
void sae_text_begin (SaeText *text, int fd, const char *label, GError **error);
/* FALSE when anything failed; without a file @kept (transfer full) takes the
 * text. */
gboolean sae_text_end (SaeText *text, char **kept);

void sae_text_add (SaeText *text, const char *part, gssize size);
/* Adds @value (transfer full), in numbers of @digits digits. With @in_html no
 * character of it ends a script element. */
void sae_text_add_json (SaeText *text, json_t *value, guint digits,
    gboolean in_html);
