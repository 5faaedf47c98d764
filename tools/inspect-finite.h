/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether the numbers of an array are finite, by the bits that it has them in:
 * also of types and shapes that nothing else here reads. */
#pragma once

#include <sae.h>

/* Reads @size bytes at @offset of numbers of @dtype, named as .npy's
 * ("float32") or as .safetensors' ("F32"). One that is not finite, or of a
 * float64 that no float32 is near, is SAE_ERROR_NON_FINITE with @label and its
 * place. What has no such numbers is not read. */
gboolean sae_inspect_check_finite (int fd, guint64 offset, guint64 size,
    const char *dtype, const char *label, GError **error);
