/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * AVX-512 with VNNI: the same code, compiled for it, has instructions for
 * products of small integers, and another range of them. */
#include "kernels-avx512.c"
