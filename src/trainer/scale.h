/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Rows from which the scale of a stream is taken (or a batch, if larger). */
#define SAE_SCALE_ROWS 8192

/* A squared norm beyond so many times the usual one is a fault of the stream
 * and must not set the scale of everything else. */
#define SAE_SCALE_OUTLIER 1e6f

/* Mean of the rows @x [n, d] into @mean [d], and as the result the power of two
 * next to the root mean square of what is left: 2^round (log2 rms). Of
 * constant rows it is that of the rows themselves, and 1 of none. Rows whose
 * squared norm is a million times the usual one are left out: faults of the
 * stream, not its scale. */
double sae_scale_of (const float *x, gsize n, guint d, double *mean);
