/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The tensors of a layout as a table, by which files are checked, read and
 * written. */
#pragma once

#include "safetensors.h"

/* Refuses a file that lacks one of @tensors, has it in another shape or as
 * something that is no float, or has others. Only names, ranks and shapes of
 * the table are looked at. @label stands for the path in errors. */
gboolean
sae_tensor_table_check (SaeSafetensors *file, const SaeTensorSource *tensors,
    guint n_tensors, const char *label, GError **error);

/* Reads a file that was checked into the arrays of the table. */
gboolean sae_tensor_table_read (SaeSafetensors *file,
    const SaeTensorSource *tensors, guint n_tensors, GError **error);

/* Refuses to write what is not finite. @layout is its name. */
gboolean sae_tensor_table_check_finite (const char *layout,
    const SaeTensorSource *tensors, guint n_tensors, GError **error);

/* "[320, 48]" (transfer full) */
char *sae_tensor_shape_to_string (guint rank, const guint64 *shape);
