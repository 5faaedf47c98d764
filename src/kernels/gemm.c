/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gemm.h"

#include <dlfcn.h>
#include <pthread.h>

#include <cblas.h>

#define LIBRARY "libopenblas.so.0"
/* OpenBLAS shares a product of at most 2^18 multiply-adds with no other thread
 * (its SMP_THRESHOLD_MIN times GEMM_MULTITHREAD_THRESHOLD). */
#define TILE 64

static pthread_once_t once = PTHREAD_ONCE_INIT;
static __typeof__ (&cblas_sgemm) sgemm;

static void
open_library (void)
{
  void *library = dlopen (LIBRARY, RTLD_NOW | RTLD_LOCAL);

  if (library)
    *(void **) &sgemm = dlsym (library, "cblas_sgemm");
}

int
sae_gemm_is_there (void)
{
  pthread_once (&once, open_library);
  return sgemm != NULL;
}

static size_t
tile_end (size_t begin, size_t n)
{
  return n - begin < TILE ? n : begin + TILE;
}

/* C [m, n] = A [m, k] B, with m and n of at most TILE. */
static void
multiply_tile (int transposed_b, size_t m, size_t n, size_t k, const float *a,
    size_t lda, const float *b, size_t ldb, float *c, size_t ldc)
{
  for (size_t p = 0; p < k; p += TILE)
    sgemm (CblasRowMajor, CblasNoTrans,
        transposed_b ? CblasTrans : CblasNoTrans, (blasint) m, (blasint) n,
        (blasint) (tile_end (p, k) - p), 1.0f, a + p, (blasint) lda,
        transposed_b ? b + p : b + p * ldb, (blasint) ldb, p ? 1.0f : 0.0f, c,
        (blasint) ldc);
}

void
sae_gemm (int transposed_b, size_t m, size_t n, size_t k, const float *a,
    size_t lda, const float *b, size_t ldb, float *c, size_t ldc)
{
  for (size_t j = 0; j < n; j += TILE)
    for (size_t i = 0; i < m; i += TILE)
      multiply_tile (transposed_b, tile_end (i, m) - i, tile_end (j, n) - j, k,
          a + i * lda, lda, transposed_b ? b + j * ldb : b + j, ldb,
          c + i * ldc + j, ldc);
}
