/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The same facts for people. */
#pragma once

#include <jansson.h>

/* Prints what sae_inspect_…() found of @path. */
void sae_inspect_print_text (const char *path, const json_t *facts);
