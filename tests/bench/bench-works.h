/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What sae-bench can measure: each prints its report. @x is what
 * bench_data_rows() gave. */
#pragma once

#include <glib.h>

/* Exact encoding, and decoding of what it gave, --batch rows a call. */
gboolean bench_encode (GBytes *x, GError **error);
gboolean bench_decode (GBytes *x, GError **error);

/* A whole training run, with the fvu that it ends at; and training steps in
 * the middle of one. */
gboolean bench_train (GBytes *x, GError **error);
gboolean bench_step (GBytes *x, GError **error);

/* The dense product of rows and encoder by another library, for comparison: of
 * a batch, and of a row. */
gboolean bench_product (GBytes *x, GError **error);
gboolean bench_sgemv (GBytes *x, GError **error);
