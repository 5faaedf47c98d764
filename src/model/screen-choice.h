/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which precision a screen scores in: the one that is cheapest by how many
 * candidates each was seen to leave. No time is looked at, and no result
 * depends on it. */
#pragma once

#include "net.h"

typedef enum {
  SAE_SCREEN_S8,
  SAE_SCREEN_S16,
  SAE_SCREEN_NONE,
  SAE_SCREEN_N_PRECISIONS
} SaeScreenPrecision;

typedef struct {
  const SaeScreen *screen;        /* that the rest is about */
  double scored[SAE_SCREEN_NONE]; /* latents a row; < 0 where not known */
  guint calls;
  gboolean is_forced;
  SaeScreenPrecision forced; /* for tests */
} SaeScreenChoice;

SaeScreenPrecision
sae_screen_choice_make (SaeScreenChoice *choice, const SaeScreen *screen);

/* @n_rows screened in @precision left @n_scored latents to score exactly. */
void sae_screen_choice_learn (SaeScreenChoice *choice,
    SaeScreenPrecision precision, gsize n_scored, gsize n_rows);
