/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The safetensors format (u64 little-endian header length, JSON header,
 * tensor bytes), read strictly and written. */
#pragma once

#include "dtype.h"

#define SAE_SAFETENSORS_MAX_HEADER 100000000u
#define SAE_SAFETENSORS_MAX_RANK 8

typedef struct {
  char *name;
  const char *dtype_name; /* as the file has it: "F32", "BF16", "I64", … */
  /* FALSE for dtypes that SaeDtype lacks (I64, BOOL, F8_E4M3, …) and ranks
   * above the largest: the file opens, but dtype, rank, shape and n_elements
   * are then 0 and reading the tensor is refused by name. */
  gboolean readable;
  SaeDtype dtype;
  guint rank; /* 0 is a scalar */
  guint64 shape[SAE_SAFETENSORS_MAX_RANK];
  gsize n_elements;
  guint64 offset; /* of the first byte, from the start of the file */
  guint64 size;   /* bytes */
  guint shard;    /* which of joined files has it */
} SaeTensorEntry;

typedef struct _SaeSafetensors SaeSafetensors;

/* Reads the header of @path; tensor bytes are read on demand, never mapped.
 * Strict: header length at most SAE_SAFETENSORS_MAX_HEADER and within the
 * file, one JSON object without duplicate keys that starts with '{', offsets
 * sorted without holes or overlaps that cover the file exactly, every product
 * checked, the format's dtypes only, __metadata__ of strings only. Files that
 * the reference reader takes are taken, but for what the format's text itself
 * rules out (duplicate keys, a header that begins with a space, a tensor that
 * is no object), what jansson does not hold (NUL characters, integers of 2^63
 * and more) and headers whose parsed form could need more memory than
 * SAE_JSON_MAX_MEMORY (some 25,000 tensors). Errors give the path and what
 * was expected and found. */
SaeSafetensors *sae_safetensors_open (const char *path, GError **error);

/* The same over bytes in memory; @label stands for the path in errors. */
SaeSafetensors *
sae_safetensors_open_bytes (GBytes *bytes, const char *label, GError **error);

/* Several files as one; no two may have a tensor of the same name. Takes
 * @shards (SaeSafetensors), which free what they hold. */
SaeSafetensors *sae_safetensors_join (GPtrArray *shards, const char *label);

void sae_safetensors_free (SaeSafetensors *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaeSafetensors, sae_safetensors_free)

guint sae_safetensors_get_n_tensors (SaeSafetensors *file);
const SaeTensorEntry *sae_safetensors_get_nth (SaeSafetensors *file, guint n);
/* NULL when there is none of that name. */
const SaeTensorEntry *
sae_safetensors_find (SaeSafetensors *file, const char *name);

/* The string at @key of __metadata__; NULL when there is none. */
const char *
sae_safetensors_get_metadata (SaeSafetensors *file, const char *key);

/* Reads the bytes of a tensor of any dtype as the file has them. */
gboolean sae_safetensors_read_bytes (SaeSafetensors *file,
    const SaeTensorEntry *entry, void *dst, GError **error);

/* Reads a floating tensor as float32 into @dst (n_elements floats, native
 * endianness). A short read is SAE_ERROR_READ, a NaN or infinity is
 * SAE_ERROR_NON_FINITE with the tensor's name and the element's place. */
gboolean sae_safetensors_read_float32 (SaeSafetensors *file,
    const SaeTensorEntry *entry, float *dst, GError **error);

/* The same for the @n elements from @first on. */
gboolean
sae_safetensors_read_range (SaeSafetensors *file, const SaeTensorEntry *entry,
    gsize first, gsize n, float *dst, GError **error);

/* Reads a tensor [rows, columns] as its transpose [columns, rows], a strip of
 * rows at a time: @dst is the only memory of the tensor's size. */
gboolean sae_safetensors_read_transposed (SaeSafetensors *file,
    const SaeTensorEntry *entry, float *dst, GError **error);

/* Bits of an element of the format's dtype @name, 0 if it has none of it. */
guint sae_safetensors_dtype_bits (const char *name);

/* One tensor to write: row-major; borrowed. */
typedef struct {
  const char *name;
  guint rank;
  guint64 shape[SAE_SAFETENSORS_MAX_RANK]; /* in the file */
  const float *data;                       /* of native endianness */
  gboolean transposed; /* rank 2 only: data is [shape[1], shape[0]] */
  /* NULL for F32. Of another dtype, of whole bytes, are @bytes, written as they
   * are: for others than U8 the machine has to be little-endian. */
  const char *dtype;
  const void *bytes;
} SaeTensorSource;

/* Writes the tensors to the open descriptor @fd, header keys and data in the
 * order given, data aligned to 8 bytes. @label names it in errors. */
gboolean sae_safetensors_write (int fd, const char *label,
    const SaeTensorSource *tensors, guint n_tensors, GError **error);

/* The same with __metadata__: key, value, key, value, …, NULL. */
gboolean sae_safetensors_write_with_metadata (int fd, const char *label,
    const char *const *metadata, const SaeTensorSource *tensors,
    guint n_tensors, GError **error);
