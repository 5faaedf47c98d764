/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The @k-th largest (from 1 to @n) of @n values without NaN; reorders them. */
float sae_select_kth_largest (float *v, gsize n, gsize k);

/* A number not above the k-th largest of @v [n], and mostly not far below it;
 * at least @below, which is no larger than k of them or is the answer. */
float sae_select_below_kth (const float *v, gsize n, gsize k, float below);
