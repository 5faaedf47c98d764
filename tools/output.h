/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is printed has to arrive, and no more of it than text. */
#pragma once

#include <glib.h>
#include <stdarg.h>

/* Writes what is pending on standard output; where that or any of it before
 * could not be written, says so on standard error. */
gboolean sae_output_finish (const char *program);

/* @text as UTF-8 of one line: names and metadata are a stranger's, so bytes
 * that a terminal obeys, and ends of lines that would begin others, are "?".
 * (transfer full) */
char *sae_output_printable (const char *text);

/* What printf() would print, as that. (transfer full) */
char *sae_output_format (const char *format, va_list args) G_GNUC_PRINTF (1, 0);

/* Prints what is wrong on standard error, as a line "program: …". */
void sae_output_complain (const char *program, const char *format, ...)
    G_GNUC_PRINTF (2, 3);
