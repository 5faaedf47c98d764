/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A dictionary in another layout. */
#pragma once

#include <glib.h>

/* Writes the dictionary @from, and the statistics of its latents, to the folder
 * @to in the layout of that name. */
gboolean sae_inspect_convert (const char *from, const char *to,
    const char *layout, GError **error);
