/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which of the words that exist was meant by one that does not. */
#pragma once

#include <glib.h>

/* The one of @words (NULL-terminated) with the fewest letters to add, drop or
 * change, NULL when that is more than a third of @text. */
const char *sae_closest_word (const char *text, const char *const *words);
