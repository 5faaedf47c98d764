/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dense products, and OpenBLAS left as it was found. */
#include "gemm.h"

#include <dlfcn.h>
#include <math.h>

#include "expect.h"
#include "noise.h"

/* C [m, n] = A [m, k] B [k, n], or B stored [n, k]. Each element is off by at
 * most k roundings of 2^−24 in whatever order it is summed. */
static void
check_product (Noise *noise, gboolean transposed, gsize m, gsize n, gsize k)
{
  gsize lda = k + 2, ldb = (transposed ? k : n) + 3, ldc = n + 1;
  g_auto (NoiseArray) a = noise_array (noise, NOISE_UNIFORM, m * lda, 1);
  g_auto (NoiseArray) b =
      noise_array (noise, NOISE_UNIFORM, (transposed ? n : k) * ldb, 2);
  g_auto (NoiseArray) c = noise_array (noise, NOISE_UNIFORM, m * ldc, 3);

  sae_gemm (transposed, m, n, k, a.values, lda, b.values, ldb, c.values, ldc);
  for (gsize i = 0; i < m; i++)
    for (gsize j = 0; j < n; j++) {
      double sum = 0, magnitudes = 0;
      for (gsize p = 0; p < k; p++) {
        double term = (double) a.values[i * lda + p] *
                      b.values[transposed ? j * ldb + p : p * ldb + j];
        sum += term;
        magnitudes += fabs (term);
      }
      expect_within ("product", c.values[i * ldc + j], sum,
          1.001 * (double) k * 0x1p-24 * magnitudes);
    }
}

static void
test_products (void)
{
  Noise noise = noise_new ();

  if (!sae_gemm_is_there ()) {
    g_test_skip ("no OpenBLAS");
    return;
  }
  for (guint i = 0; i < 60; i++) {
    gsize m = 1 + noise_below (&noise, 90), n = 1 + noise_below (&noise, 150);
    gsize k = 1 + noise_below (&noise, 150);
    expect_with ("m %d, n %d, k %d, seed %u", (int) m, (int) n, (int) k,
        noise.seed);
    check_product (&noise, i % 2, m, n, k);
  }
}

#define LARGE 400

/* What OpenBLAS's threads shared would differ: they get other kernels. */
static void
test_thread_count (void)
{
  Noise noise = noise_new ();
  g_auto (NoiseArray) a = noise_array (&noise, NOISE_UNIFORM, LARGE * LARGE, 0);
  g_auto (NoiseArray) b = noise_array (&noise, NOISE_UNIFORM, LARGE * LARGE, 0);
  g_autofree float *c = g_new (float, 3 * LARGE * LARGE);
  void *library;
  int (*get) (void);
  void (*set) (int);

  if (!sae_gemm_is_there ()) {
    g_test_skip ("no OpenBLAS");
    return;
  }
  library = dlopen ("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD);
  g_assert_nonnull (library);
  *(void **) &get = dlsym (library, "openblas_get_num_threads");
  *(void **) &set = dlsym (library, "openblas_set_num_threads");
  for (int count = 1; count <= 3; count++) {
    set (count);
    int found = get ();
    sae_gemm (0, LARGE, LARGE, LARGE, a.values, LARGE, b.values, LARGE,
        c + (count - 1) * LARGE * LARGE, LARGE);
    g_assert_cmpint (get (), ==, found);
  }
  for (int count = 2; count <= 3; count++)
    expect_same_bits ("product", c + (count - 1) * LARGE * LARGE, c,
        LARGE * LARGE);
  dlclose (library);
}

/* Its threads must not start before somebody needs it. */
static void
test_not_loaded_before_use (void)
{
  g_test_trap_subprocess ("/kernels/gemm/subprocess/not-loaded", 0, 0);
  g_test_trap_assert_passed ();
}

static void
subprocess_not_loaded (void)
{
  g_assert_null (dlopen ("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/gemm/is-the-product", test_products);
  g_test_add_func ("/kernels/gemm/thread-count-untouched", test_thread_count);
  g_test_add_func ("/kernels/gemm/opened-at-first-use",
      test_not_loaded_before_use);
  g_test_add_func ("/kernels/gemm/subprocess/not-loaded",
      subprocess_not_loaded);
  return g_test_run ();
}
