/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-error.h"

/* The name is text: bindings look the domain up by it. Not by GLib's macro,
 * whose static variable threads write without a lock. */
GQuark
sae_error_quark (void)
{
  return g_quark_from_static_string ("sae-error-quark");
}
