/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What was printed has to arrive. */
#pragma once

#include <glib.h>

/* Writes what is pending on standard output; where that or any of it before
 * could not be written, says so on standard error. */
gboolean sae_output_finish (const char *program);
