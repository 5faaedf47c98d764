/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The words of a gst-launch-1.0 command: what the program builds its pipeline
 * of is what it prints. */
#pragma once

#include <glib.h>

/* The word "property=value" as gst-launch-1.0 takes it, whatever @value says.
 * It has to be UTF-8: no other text can be given there. (transfer full) */
char *sae_launch_assignment (const char *property, const char *value);

/* The same for a GST_TYPE_ARRAY of strings, @values (NULL-terminated). */
char *
sae_launch_list_assignment (const char *property, const char *const *values);

/* The line to give a shell: program and @words (NULL-terminated), quoted where
 * they have to be. (transfer full) */
char *sae_launch_shell_line (const char *program, const char *const *words);
