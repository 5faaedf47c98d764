/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A bounded buffer that mixes a stream: once it is full, each row that comes
 * takes the place of one drawn at random, which goes on. So a row leaves after
 * as many others as the buffer has rows, on average, and what leaves one after
 * the other came from all over the buffer. At the end the rest leaves in
 * random order. */
#pragma once

#include "random.h"
#include "state.h"

typedef struct {
  guint d_in, d_out;
  gsize capacity; /* rows of the buffers below; 0 mixes nothing */
  gsize n;        /* rows in them */
  float *x;       /* [capacity, d_in], in units of the stream */
  float *target;  /* [capacity, d_out]; NULL where the target is x */
  SaeRandom random;
} SaeMixer;

/* Room for @capacity rows; what is drawn follows from @seed. */
gboolean sae_mixer_init (SaeMixer *mixer, guint64 capacity, guint d_in,
    guint d_out, guint64 seed, GError **error);
void sae_mixer_clear (SaeMixer *mixer);

/* Targets that are not the rows themselves need a buffer from now on. */
gboolean sae_mixer_separate_target (SaeMixer *mixer, GError **error);

/* Adds a row, while there is room (@target NULL: the row itself). */
void sae_mixer_add (SaeMixer *mixer, const float *x, const float *target);

/* Draws the place of a row, of which there is at least one. */
gsize sae_mixer_draw (SaeMixer *mixer);
const float *sae_mixer_x (const SaeMixer *mixer, gsize place);
const float *sae_mixer_target (const SaeMixer *mixer, gsize place);

/* Another row in that place, or the last one, so that there is one fewer. */
void sae_mixer_replace (SaeMixer *mixer, gsize place, const float *x,
    const float *target);
void sae_mixer_remove (SaeMixer *mixer, gsize place);

/* Forgets the rows; returns how many there were. */
gsize sae_mixer_drop (SaeMixer *mixer);

/* Whatever of it is state of a run. */
void sae_mixer_describe (SaeMixer *mixer, SaeState *state);
