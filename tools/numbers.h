/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Numbers for people, the same in every locale. */
#pragma once

#include <glib.h>

/* "441,504". (transfer full) */
char *sae_number_grouped (guint64 number);
/* "7 s", "3:05", "2:14:09". (transfer full) */
char *sae_number_duration (double seconds);
