/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Text for a property of an element, judged before a pipeline is made of it. */
#pragma once

#include <gst/gst.h>

#define SAE_TOOL_ERROR (g_quark_from_static_string ("sae-tool-error"))

/* Whether @element's property @name can be set, and to what @text says. The
 * error, which begins with @word, tells what would be right, or what may have
 * been meant. */
gboolean sae_property_text_check (GObjectClass *element, const char *name,
    const char *text, const char *word, GError **error);
