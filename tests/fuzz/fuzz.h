/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What each fuzz target defines, which libFuzzer calls, or fuzz-main.c; and
 * what targets share. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A path in a folder of the program's own, which goes when it ends; in memory
 * where that is possible: a disk would be the slowest part. (transfer full) */
char *fuzz_path (const char *name);

/* A result or an error, never both or none; and the error can be shown. Counts
 * what was accepted. */
void fuzz_check_error (gboolean ok, const GError *error);
extern guint64 fuzz_n_accepted;

/* Takes the next byte of an input, 0 behind its end. */
guint8 fuzz_take_byte (const uint8_t **data, size_t *size);
