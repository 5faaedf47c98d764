/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Arrays of weights. */
#pragma once

#include "sae-error.h"

/* rows·columns floats on a 64-byte boundary, which the kernels like best,
 * zeroed; NULL with SAE_ERROR_NO_SPACE when the product overflows or memory is
 * exhausted. Freed with free() or g_free(). @what names them in the error. */
float *
sae_floats_new (gsize rows, gsize columns, const char *what, GError **error);
