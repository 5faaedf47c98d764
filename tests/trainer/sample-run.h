/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs without a trainer around them, and nets of few and round numbers. */
#pragma once

#include "noise.h"
#include "run.h"

/* The default options for those sizes, resolved: not normalised, no warm-up,
 * no average, one thread. */
SaeTrainerOptions sample_options (guint d, guint d_sae, guint k);

/* Fails the test on an error. Free with sae_run_free(). */
SaeRun *sample_run (const SaeTrainerOptions *options);

/* One step on @n rows that are their own target. */
void sample_step (SaeRun *run, const float *x, gsize n);

/* A top-k net whose weights are small whole numbers, so that sums of a few are
 * exact in any order and many are equal. */
typedef struct {
  SaeNet net;
  float *W_enc, *b_enc, *W_dec, *b_dec;
} WholeNet;

WholeNet whole_net_new (Noise *noise, guint d, guint d_sae, guint k);
void whole_net_clear (WholeNet *whole);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (WholeNet, whole_net_clear)

/* @n small whole numbers. (transfer full) */
float *whole_numbers (Noise *noise, gsize n);

/* pre-activations [n, d_sae] of @x [n, d_in], in float64. (transfer full) */
double *whole_pre_acts (const WholeNet *whole, const float *x, gsize n);
