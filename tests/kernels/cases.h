/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every combination that a kernel is tested with: SIMD level, length, kind of
 * number, alignment. */
#pragma once

#include "kernels.h"
#include "noise.h"

typedef struct {
  const SaeKernels *kernels;   /* of the level under test */
  const SaeKernels *reference; /* of level "c" */
  gsize n;
  gsize offset; /* of the arrays, in floats from an aligned place */
  NoiseKind kind;
  Noise *noise;
} Case;

/* Calls @check for each; a failure in it prints the parameters. */
void cases_run (void (*check) (const Case *c));
