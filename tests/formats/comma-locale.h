/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Makes a locale whose decimal point is a comma in @folder and enters it; FALSE
 * where none can be made. setlocale (LC_ALL, "C") leaves it. */
gboolean comma_locale_enter (const char *folder);
