/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib-object.h>

/* Sets properties as a command line does: "name=value name=value". */
void set_options (gpointer object, const char *options);
