/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What there is to say of many numbers. */
#pragma once

#include <jansson.h>
#include <sae.h>

/* {"min": …, "median": …, "max": …} of @n numbers, which are put in order. */
json_t *sae_inspect_spread (double *values, gsize n);
/* The same of floats, which are left as they are. */
json_t *sae_inspect_spread_of_floats (GBytes *floats);

/* ‖row‖ of each of the rows [n, d]. (transfer full) */
double *sae_inspect_row_norms (GBytes *rows, gsize n);
double sae_inspect_norm (GBytes *floats);

/* A number, null where JSON has none for it. */
json_t *sae_inspect_real (double value);
