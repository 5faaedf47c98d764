/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * NumPy's .npz: a zip archive of .npy files. Read strictly, through libzip,
 * where that was there when this was built. */
#pragma once

#include "npy.h"

/* Arrays that one archive may hold. */
#define SAE_NPZ_MAX_ARRAYS 64
/* An archive may unpack to this many bytes, or to so many times its size where
 * that is more: weights are noise and hardly get smaller. float16 takes twice
 * as much again. */
#define SAE_NPZ_SMALL_SIZE (32u * 1024 * 1024)
#define SAE_NPZ_MAX_RATIO 16

typedef struct {
  char *name; /* without ".npy" */
  SaeNpyHeader header;
  guint64 index; /* in the archive */
} SaeNpzArray;

typedef struct _SaeNpz SaeNpz;

/* Whether this library was built with libzip. */
gboolean sae_npz_is_supported (void);

/* Opens @path and reads the headers of its arrays. Refused: anything but a
 * regular file; archives that contradict themselves, hold other files than
 * .npy, two of one name, encrypted or other than stored or deflated ones, or
 * whose files do not have just the size that their header says; and what would
 * unpack to more than the limits above. SAE_ERROR_UNSUPPORTED without libzip.
 */
SaeNpz *sae_npz_open (const char *path, GError **error);
void sae_npz_free (SaeNpz *npz);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeNpz, sae_npz_free)

guint sae_npz_get_n_arrays (SaeNpz *npz);
const SaeNpzArray *sae_npz_get_nth (SaeNpz *npz, guint n);
/* NULL when there is none of that name. */
const SaeNpzArray *sae_npz_find (SaeNpz *npz, const char *name);

/* Reads a floating array as float32 into @dst; one of two dimensions [rows,
 * columns] as its transpose where @transposed. SAE_ERROR_FORMAT for bytes that
 * are too few, too many or not of the archive's checksum,
 * SAE_ERROR_NON_FINITE for a NaN or an infinity. */
gboolean sae_npz_read (SaeNpz *npz, const SaeNpzArray *array,
    gboolean transposed, float *dst, GError **error);
