/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "screen-choice.h"

#include "screen.h"

/* What scoring one latent alone costs, of what it costs among all: while W_enc
 * stays in cache, and where it is larger. */
#define COST_ALONE_NEAR 4.5
#define COST_ALONE_FAR 10.0
#define NEAR_BYTES (16 << 20)
/* What weighs in the running mean of latents left, per call. */
#define NEW_SHARE 0.25
/* Calls after which what the others leave is looked at anew. */
#define LOOK_AGAIN 256

static void
forget_others (SaeScreenChoice *choice, SaeScreenPrecision current)
{
  for (guint p = 0; p < SAE_SCREEN_NONE; p++)
    if (p != current)
      choice->scored[p] = -1;
}

static double
cost_alone (const SaeScreen *screen)
{
  gsize bytes = (gsize) screen->d_sae * screen->d_in * sizeof (float);

  return bytes <= NEAR_BYTES ? COST_ALONE_NEAR : COST_ALONE_FAR;
}

/* A row's cost, of scoring all latents in float32. What is not known is hoped
 * for. */
static double
cost_of (const SaeScreenChoice *choice, SaeScreenPrecision p)
{
  const SaeKernels *kernels = sae_kernels ();
  double all = p == SAE_SCREEN_S8 ? kernels->s8_cost : kernels->s16_cost;
  double scored = choice->scored[p];

  return all +
         cost_alone (choice->screen) * MAX (scored, 0) / choice->screen->d_sae;
}

SaeScreenPrecision
sae_screen_choice_make (SaeScreenChoice *choice, const SaeScreen *screen)
{
  SaeScreenPrecision best = SAE_SCREEN_NONE;
  double least = 1;

  if (choice->is_forced)
    return choice->forced;
  if (choice->screen != screen) {
    choice->screen = screen;
    choice->calls = 0;
    forget_others (choice, SAE_SCREEN_NONE);
  }
  for (guint p = 0; p < SAE_SCREEN_NONE; p++)
    if (cost_of (choice, p) < least) {
      best = p;
      least = cost_of (choice, p);
    }
  if (++choice->calls % LOOK_AGAIN == 0)
    forget_others (choice, best);
  return best;
}

void
sae_screen_choice_learn (SaeScreenChoice *choice, SaeScreenPrecision precision,
    gsize n_scored, gsize n_rows)
{
  double *mean;

  if (precision == SAE_SCREEN_NONE || n_rows == 0)
    return;
  mean = &choice->scored[precision];
  double now = (double) n_scored / (double) n_rows;
  *mean = *mean < 0 ? now : *mean + NEW_SHARE * (now - *mean);
}
