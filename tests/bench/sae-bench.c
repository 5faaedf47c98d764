/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sae-bench [--work=train|step|encode|decode|product|sgemv] [OPTION…]
 *
 * Measures the library, or the dense product of another one to compare with,
 * and prints one line of JSON. bench-pipeline measures elements. */
#include <stdlib.h>

#include "bench-data.h"
#include "bench-options.h"
#include "bench-works.h"

static const struct {
  const char *name;
  gboolean (*run) (GBytes *x, GError **error);
} works[] = {
    {"train", bench_train},
    {"step", bench_step},
    {"encode", bench_encode},
    {"decode", bench_decode},
    {"product", bench_product},
    {"sgemv", bench_sgemv},
};

static gboolean
run (GError **error)
{
  g_autoptr (GBytes) x = bench_data_rows (error);

  if (!x)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (works); i++)
    if (g_str_equal (works[i].name, bench_options.work))
      return works[i].run (x, error);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "no work %s",
      bench_options.work);
  return FALSE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (bench_options_parse (&argc, &argv, &error)) {
    if (!bench_options.work)
      bench_options.work = g_strdup ("train");
    if (run (&error))
      return EXIT_SUCCESS;
  }
  g_printerr ("sae-bench: %s\n", error->message);
  return EXIT_FAILURE;
}
