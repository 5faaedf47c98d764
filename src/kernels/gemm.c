/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gemm.h"

#include <dlfcn.h>
#include <pthread.h>

#include <cblas.h>

#define LIBRARY "libopenblas.so.0"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static __typeof__ (&cblas_sgemm) sgemm;
static __typeof__ (&openblas_get_num_threads) get_num_threads;
static __typeof__ (&openblas_set_num_threads) set_num_threads;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int n_users;       /* lock */
static int found_threads; /* lock */

static void
open_library (void)
{
  void *library = dlopen (LIBRARY, RTLD_NOW | RTLD_LOCAL);

  if (!library)
    return;
  *(void **) &get_num_threads = dlsym (library, "openblas_get_num_threads");
  *(void **) &set_num_threads = dlsym (library, "openblas_set_num_threads");
  if (get_num_threads && set_num_threads)
    *(void **) &sgemm = dlsym (library, "cblas_sgemm");
}

int
sae_gemm_begin (void)
{
  pthread_once (&once, open_library);
  if (!sgemm)
    return 0;
  pthread_mutex_lock (&lock);
  if (n_users++ == 0) {
    found_threads = get_num_threads ();
    if (found_threads != 1)
      set_num_threads (1);
  }
  pthread_mutex_unlock (&lock);
  return 1;
}

void
sae_gemm_end (void)
{
  pthread_mutex_lock (&lock);
  if (--n_users == 0 && found_threads != 1)
    set_num_threads (found_threads);
  pthread_mutex_unlock (&lock);
}

void
sae_gemm (int transposed_b, size_t m, size_t n, size_t k, const float *a,
    size_t lda, const float *b, size_t ldb, float *c, size_t ldc)
{
  sgemm (CblasRowMajor, CblasNoTrans, transposed_b ? CblasTrans : CblasNoTrans,
      (blasint) m, (blasint) n, (blasint) k, 1.0f, a, (blasint) lda, b,
      (blasint) ldb, 0.0f, c, (blasint) ldc);
}
