/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-blas.h"

#include <dlfcn.h>
#include <cblas.h>

#ifdef SAE_HAVE_ONEDNN
#include <dnnl.h>
#endif

/* Each symbol's place, and its name; ends with a name of NULL. */
typedef struct {
  const char *name;
  void *place;
} Symbol;

static gboolean
open_library (const char *file, const Symbol *symbols, GError **error)
{
  void *library = dlopen (file, RTLD_NOW | RTLD_LOCAL);

  if (!library) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "%s", dlerror ());
    return FALSE;
  }
  for (; symbols->name; symbols++)
    if (!(*(void **) symbols->place = dlsym (library, symbols->name))) {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: no %s", file,
          symbols->name);
      return FALSE;
    }
  return TRUE;
}

/* --- OpenBLAS --- */

static __typeof__ (&cblas_sgemm) sgemm;
static __typeof__ (&cblas_sgemv) sgemv;
static __typeof__ (&openblas_set_num_threads) set_num_threads;
static __typeof__ (&openblas_get_config) get_config;

static gboolean
open_openblas (guint n_threads, GError **error)
{
  static const Symbol symbols[] = {
      {"cblas_sgemm", &sgemm},
      {"cblas_sgemv", &sgemv},
      {"openblas_set_num_threads", &set_num_threads},
      {"openblas_get_config", &get_config},
      {NULL},
  };
  g_autofree char *n = g_strdup_printf ("%u", n_threads);

  /* Else it starts one for each processor when it is loaded, and those that
   * are too many spin for a while. */
  g_setenv ("OPENBLAS_NUM_THREADS", n, TRUE);
  if (!open_library ("libopenblas.so.0", symbols, error))
    return FALSE;
  set_num_threads ((int) n_threads);
  return TRUE;
}

static char *
describe_openblas (void)
{
  return g_strdup (get_config ());
}

static void
product_openblas (const float *x, gsize n, const float *W, gsize d_sae,
    gsize d_in, float *y)
{
  sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint) n, (blasint) d_sae,
      (blasint) d_in, 1.0f, x, (blasint) d_in, W, (blasint) d_in, 0.0f, y,
      (blasint) d_sae);
}

static void
sgemv_openblas (const float *x, const float *W, gsize d_sae, gsize d_in,
    float *y)
{
  sgemv (CblasRowMajor, CblasNoTrans, (blasint) d_sae, (blasint) d_in, 1.0f, W,
      (blasint) d_in, x, 1, 0.0f, y, 1);
}

static const BenchBlas openblas = {"openblas", open_openblas, describe_openblas,
    product_openblas, sgemv_openblas};

/* --- oneDNN --- */

#ifdef SAE_HAVE_ONEDNN
static __typeof__ (&dnnl_sgemm) onednn_sgemm;
static __typeof__ (&dnnl_version) onednn_version;
static void (*omp_set_threads) (int n);

static gboolean
open_onednn (guint n_threads, GError **error)
{
  /* The build that Debian has works with OpenMP's threads. */
  static const Symbol symbols[] = {
      {"dnnl_sgemm", &onednn_sgemm},
      {"dnnl_version", &onednn_version},
      {"omp_set_num_threads", &omp_set_threads},
      {NULL},
  };

  if (!open_library ("libdnnl.so." G_STRINGIFY (DNNL_VERSION_MAJOR), symbols,
          error))
    return FALSE;
  omp_set_threads ((int) n_threads);
  return TRUE;
}

static char *
describe_onednn (void)
{
  const dnnl_version_t *v = onednn_version ();

  return g_strdup_printf ("oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}

static void
product_onednn (const float *x, gsize n, const float *W, gsize d_sae,
    gsize d_in, float *y)
{
  onednn_sgemm ('N', 'T', (dnnl_dim_t) n, (dnnl_dim_t) d_sae, (dnnl_dim_t) d_in,
      1.0f, x, (dnnl_dim_t) d_in, W, (dnnl_dim_t) d_in, 0.0f, y,
      (dnnl_dim_t) d_sae);
}

static const BenchBlas onednn = {"onednn", open_onednn, describe_onednn,
    product_onednn, NULL};
#endif

const BenchBlas *const bench_blas[] = {
    &openblas,
#ifdef SAE_HAVE_ONEDNN
    &onednn,
#endif
    NULL,
};
