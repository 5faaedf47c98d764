/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dense products by OpenBLAS, for training where a good part of all latents is
 * active. The library is opened at the first use, since it starts threads of
 * its own when it is loaded. Its thread count belongs to the whole process, so
 * it is not touched: products are cut into tiles so small that it works on
 * each in the calling thread, whatever the count. */
#pragma once

#include <stddef.h>

/* Opens OpenBLAS; 0 when there is none. */
int sae_gemm_is_there (void);

/* C [m, n] = A [m, k] B [k, n]; with @transposed_b, B is stored [n, k]. All
 * row-major; ld… is the distance of two rows in floats; k > 0. Where OpenBLAS
 * is there. The bits do not depend on the number of its threads. */
void sae_gemm (int transposed_b, size_t m, size_t n, size_t k, const float *a,
    size_t lda, const float *b, size_t ldb, float *c, size_t ldc);
