/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mixer.h"

#include <stdlib.h>
#include <string.h>

#include "floats.h"

/* Of the run's seed; 0 and up are the rows of the weights. */
#define RANDOM_STREAM (G_MAXUINT64 - 1)

gboolean
sae_mixer_init (SaeMixer *mixer, guint64 capacity, guint d_in, guint d_out,
    guint64 seed, GError **error)
{
  memset (mixer, 0, sizeof *mixer);
  mixer->d_in = d_in;
  mixer->d_out = d_out;
  mixer->capacity = (gsize) capacity;
  sae_random_init (&mixer->random, seed, RANDOM_STREAM);
  if (capacity == 0)
    return TRUE;
  mixer->x = sae_floats_new (mixer->capacity, d_in, "shuffle-rows", error);
  if (mixer->x && (d_in == d_out || sae_mixer_separate_target (mixer, error)))
    return TRUE;
  sae_mixer_clear (mixer);
  return FALSE;
}

void
sae_mixer_clear (SaeMixer *mixer)
{
  free (mixer->x);
  free (mixer->target);
  memset (mixer, 0, sizeof *mixer);
}

gboolean
sae_mixer_separate_target (SaeMixer *mixer, GError **error)
{
  if (mixer->target || mixer->capacity == 0)
    return TRUE;
  mixer->target =
      sae_floats_new (mixer->capacity, mixer->d_out, "shuffle-rows", error);
  if (mixer->target && mixer->n) /* d_in = d_out, or it was there before */
    memcpy (mixer->target, mixer->x, mixer->n * mixer->d_in * sizeof (float));
  return mixer->target != NULL;
}

static float *
x_at (const SaeMixer *mixer, gsize place)
{
  return mixer->x + place * mixer->d_in;
}

static float *
target_at (const SaeMixer *mixer, gsize place)
{
  return mixer->target + place * mixer->d_out;
}

const float *
sae_mixer_x (const SaeMixer *mixer, gsize place)
{
  return x_at (mixer, place);
}

const float *
sae_mixer_target (const SaeMixer *mixer, gsize place)
{
  return mixer->target ? target_at (mixer, place) : NULL;
}

void
sae_mixer_replace (SaeMixer *mixer, gsize place, const float *x,
    const float *target)
{
  memcpy (x_at (mixer, place), x, mixer->d_in * sizeof *x);
  if (mixer->target)
    memcpy (target_at (mixer, place), target ? target : x,
        mixer->d_out * sizeof *x);
}

void
sae_mixer_add (SaeMixer *mixer, const float *x, const float *target)
{
  sae_mixer_replace (mixer, mixer->n++, x, target);
}

void
sae_mixer_remove (SaeMixer *mixer, gsize place)
{
  gsize last = --mixer->n;

  if (place != last)
    sae_mixer_replace (mixer, place, x_at (mixer, last),
        mixer->target ? target_at (mixer, last) : NULL);
}

gsize
sae_mixer_draw (SaeMixer *mixer)
{
  return (gsize) (sae_random_uniform (&mixer->random) * (double) mixer->n);
}

gsize
sae_mixer_drop (SaeMixer *mixer)
{
  gsize n = mixer->n;

  mixer->n = 0;
  return n;
}

void
sae_mixer_describe (SaeMixer *mixer, SaeState *state)
{
  guint64 n = mixer->n;
  gboolean has_target = mixer->target != NULL;

  sae_state_u64s (state, "mixer.random", mixer->random.state,
      G_N_ELEMENTS (mixer->random.state));
  sae_state_u64s (state, "mixer.n", &n, 1);
  sae_state_flag (state, "mixer.has_target", &has_target);
  if (!sae_state_expect (state, "mixer.n", n <= mixer->capacity))
    return;
  mixer->n = (gsize) n;
  if (has_target && !sae_mixer_separate_target (mixer, sae_state_error (state)))
    return;
  sae_state_floats (state, "mixer.x", mixer->x, mixer->n * mixer->d_in);
  if (mixer->target)
    sae_state_floats (state, "mixer.target", mixer->target,
        mixer->n * mixer->d_out);
}
