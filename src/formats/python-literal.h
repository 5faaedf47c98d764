/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The few Python literals that a .npy header is made of, read one token at a
 * time; nothing is evaluated. Spaces before a token are skipped. Errors are
 * SAE_ERROR_FORMAT and quote what was found, made printable and short. */
#pragma once

#include "sae-error.h"

typedef struct {
  const char *at, *end;
} SaeLiteral;

/* Sets "expected @expected, found …" and returns FALSE. */
gboolean
sae_literal_fail (const SaeLiteral *text, const char *expected, GError **error);

/* Whether the next character is @c, without moving on. */
gboolean sae_literal_peek (SaeLiteral *text, char c);
/* Moves past @c if it is the next character. */
gboolean sae_literal_accept (SaeLiteral *text, char c);
gboolean sae_literal_expect (SaeLiteral *text, char c, GError **error);

/* A quoted string of printable ASCII without escapes. @expected says in
 * errors what should have been there. (transfer full) */
char *
sae_literal_string (SaeLiteral *text, const char *expected, GError **error);

/* A decimal integer from 0 to 2^64 - 1, with the L that numpy under Python 2
 * put after long ones. */
gboolean sae_literal_size (SaeLiteral *text, guint64 *size, GError **error);

/* True or False. */
gboolean sae_literal_bool (SaeLiteral *text, gboolean *value, GError **error);
