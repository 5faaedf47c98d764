/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is known of each latent of a dictionary: from the files of statistics
 * beside it, else from what its weights can do at all. */
#pragma once

#include <jansson.h>
#include <sae.h>

/* {"dead": …, "dead-share": …, "dead-by": …, "rows": …, "fires": …}; NULL with
 * @error when there is a file that is none or of another dictionary. */
json_t *
sae_inspect_statistics (const char *folder, SaeModel *model, GError **error);

/* Whether all that the files of statistics hold is right; they may be missing.
 */
gboolean sae_inspect_verify_statistics (const char *folder, SaeModel *model,
    GError **error);
