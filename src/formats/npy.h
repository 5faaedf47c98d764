/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * NumPy's .npy header, versions 1, 2 and 3 (NEP 1), read strictly and
 * written. Only the header: the rows behind it are a stream of bytes. */
#pragma once

#include "dtype.h"

#define SAE_NPY_MAX_RANK 16
/* What must be there to know how long the header is. */
#define SAE_NPY_PREFIX_SIZE 12
/* Longest header accepted, in bytes, prefix included. */
#define SAE_NPY_MAX_HEADER (64 * 1024)

typedef struct {
  SaeDtype dtype; /* '<f4' '<f8' '<f2' '<u4' '|u1'; others are refused */
  guint rank;     /* 1 to SAE_NPY_MAX_RANK */
  guint64 shape[SAE_NPY_MAX_RANK]; /* outermost first, as numpy prints it */
  gsize header_size;               /* bytes before the first element */
} SaeNpyHeader;

/* Bytes of the whole header, from its first bytes: needs at least
 * SAE_NPY_PREFIX_SIZE of them. 0 with @error set when it is no .npy file. */
gsize sae_npy_header_size (const guint8 *data, gsize size, GError **error);

/* Parses the header at @data; @size must reach sae_npy_header_size().
 * Refused by name: wrong magic or version, fortran_order, big-endian and
 * structured dtypes, unknown, missing or duplicate keys, negative sizes,
 * scalars, rows of no elements (inner sizes of 0; no rows, shape[0] of 0, are
 * fine), and shapes whose bytes overflow 63 bits even with 0 counted as 1. */
gboolean sae_npy_header_parse (const guint8 *data, gsize size,
    SaeNpyHeader *header, GError **error);

/* Elements of one row: the product of the inner dimensions (1 for rank 1). */
guint64 sae_npy_header_row_elements (const SaeNpyHeader *header);

/* A valid version-1.0 header, padded with spaces to a multiple of 64 bytes
 * and to at least @min_size bytes. There is always room for the digits of any
 * row count (as numpy leaves it), so a header of the same dtype and inner
 * dimensions has the same size whatever shape[0] is, and can be rewritten in
 * place when the rows grow. (transfer full) */
GBytes *sae_npy_header_build (const SaeNpyHeader *header, gsize min_size,
    GError **error);

/* Opens @path (read-only), parses its header and checks that the file holds
 * exactly the declared elements. Returns the file descriptor, positioned at
 * the first element (the caller closes it), or -1 with @error set. */
int sae_npy_open (const char *path, SaeNpyHeader *header, GError **error);
