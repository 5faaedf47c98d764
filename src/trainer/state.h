/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The state of a run, described once for copying and for restoring: a part
 * says in its …_describe() which arrays it has and what they are called, one
 * line each, and both ways go through that. An array whose size is state too
 * is described after its size, which is restored by then. */
#pragma once

#include "sae-error.h"

/* One way through the descriptions. Once something was wrong, the rest of the
 * way does nothing. */
typedef struct _SaeState SaeState;

/* Arrays that are copied out, or over which what was copied is written.
 * Numbers that are not finite are refused where they come in. */
void
sae_state_floats (SaeState *state, const char *name, float *values, gsize n);
void
sae_state_doubles (SaeState *state, const char *name, double *values, gsize n);
void
sae_state_u64s (SaeState *state, const char *name, guint64 *values, gsize n);
void sae_state_flag (SaeState *state, const char *name, gboolean *value);
/* UTF-8 of any length, NULL like the empty one. Replaced when it is restored:
 * the old one is freed by g_free(). */
void sae_state_text (SaeState *state, const char *name, char **text);

gboolean sae_state_is_restoring (const SaeState *state);

/* Refuses what was restored as @name unless it @holds. FALSE then, and when
 * something was wrong before. */
gboolean sae_state_expect (SaeState *state, const char *name, gboolean holds);

/* Where something that goes wrong on the way is put: for functions that take a
 * GError. NULL when there is an error already. */
GError **sae_state_error (SaeState *state);

/* What was copied: named arrays, native byte order, in one block. Aligned as
 * the numbers need it, without holes. */
typedef struct {
  char *name;
  const char *dtype; /* safetensors' name: F32, F64, U64 or U8 */
  gsize size;        /* bytes */
  gsize offset;      /* in the block */
} SaeStateArray;

typedef struct {
  GPtrArray *arrays;   /* SaeStateArray*, in the order of their offsets */
  GHashTable *by_name; /* the same */
  guint8 *data;
  gsize size;
} SaeStateCopy;

typedef void (*SaeStateWalk) (gpointer what, SaeState *state);

/* Copies what @walk describes of @what. NULL when memory is exhausted. */
SaeStateCopy *sae_state_copy (SaeStateWalk walk, gpointer what, GError **error);

/* Writes the copy over what @walk describes of @what: every array that is
 * described must be there in its size, and no others. @label stands before
 * errors. On failure @what is half written. */
gboolean sae_state_restore (const SaeStateCopy *copy, SaeStateWalk walk,
    gpointer what, const char *label, GError **error);

void sae_state_copy_free (SaeStateCopy *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeStateCopy, sae_state_copy_free)

/* For filling a copy from elsewhere: an empty one; an array more, without its
 * bytes, FALSE when the name is taken; and room for all of them, placed. */
SaeStateCopy *sae_state_copy_new (void);
gboolean sae_state_copy_add (SaeStateCopy *copy, const char *name,
    const char *dtype, gsize size);
gboolean sae_state_copy_allocate (SaeStateCopy *copy, GError **error);
const SaeStateArray *
sae_state_copy_find (const SaeStateCopy *copy, const char *name);
