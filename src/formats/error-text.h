/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Paths have any bytes, messages are UTF-8: bindings fail on others, and lose
 * the error. */
#pragma once

#include "sae-error.h"

/* @ok; before an error goes out, what is no UTF-8 in its message becomes
 * U+FFFD. @error may be NULL, or hold none. */
gboolean sae_error_show (gboolean ok, GError **error);
