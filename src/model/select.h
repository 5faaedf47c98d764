/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The @k-th largest (from 1 to @n) of @n values without NaN; reorders them. */
float sae_select_kth_largest (float *v, gsize n, gsize k);
