/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Transposition in strips, so that turning a matrix around while it is read
 * or written needs memory for a few of its rows, not for a second copy. */
#pragma once

#include <glib.h>

/* Rows of a strip: one 64-byte line of floats on the other side. */
#define SAE_TRANSPOSE_STRIP 16

/* Rows @first to @first + @n_rows of a row-major matrix with @n_columns,
 * at @strip, become columns of the row-major @matrix [n_columns, stride]. */
void sae_transpose_scatter (const float *restrict strip, gsize n_rows,
    gsize n_columns, gsize first, float *restrict matrix, gsize stride);

/* The reverse: columns @first to @first + @n_rows of @matrix
 * [n_columns, stride] become rows of @strip [n_rows, n_columns]. */
void sae_transpose_gather (const float *restrict matrix, gsize stride,
    gsize first, gsize n_rows, gsize n_columns, float *restrict strip);
