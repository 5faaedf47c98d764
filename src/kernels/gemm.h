/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dense products by OpenBLAS, for training where a good part of all latents is
 * active. The library is opened at the first use, since it starts threads of
 * its own when it is loaded. */
#pragma once

#include <stddef.h>

/* Announces products from any number of threads: they run on one thread each,
 * so that their bits do not depend on the machine's number of processors. The
 * library's thread count is process-wide; it is as found again after the
 * matching sae_gemm_end(). 0 when there is no OpenBLAS (and then no
 * sae_gemm_end() is due). */
int sae_gemm_begin (void);
void sae_gemm_end (void);

/* C [m, n] = A [m, k] B [k, n]; with @transposed_b, B is stored [n, k]. All
 * row-major; ld… is the distance of two rows in floats. */
void sae_gemm (int transposed_b, size_t m, size_t n, size_t k, const float *a,
    size_t lda, const float *b, size_t ldb, float *c, size_t ldc);
