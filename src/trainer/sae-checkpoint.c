/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A checkpoint in memory and as a file. The file is a safetensors file: an
 * array of state each tensor, and in __metadata__
 *
 *   format   "gst-sae checkpoint"
 *   version  "1"
 *   options  those of the run, resolved: JSON of strings by property name
 *   rows     rows that the run had received
 *   steps    optimiser steps that it had taken
 *   sha256   of the options' text, dtype and name of each tensor, and all their
 *            bytes, in lower-case hex
 */
#include "checkpoint.h"

#include <string.h>

#include "atomic-write.h"
#include "error-text.h"
#include "json-text.h"
#include "options-text.h"
#include "safetensors.h"

#define FORMAT "gst-sae checkpoint"
#define VERSION "1"

struct _SaeCheckpoint {
  gatomicrefcount ref_count;
  char *label;         /* the file it is from; for errors */
  char *options;       /* JSON */
  SaeStateCopy *state; /* never changes */
};

G_DEFINE_BOXED_TYPE (SaeCheckpoint, sae_checkpoint, sae_checkpoint_ref,
    sae_checkpoint_unref)

/**
 * sae_checkpoint_ref:
 * @checkpoint: a checkpoint
 *
 * Returns: (transfer full): @checkpoint, one reference more
 * Since: 0.1
 */
SaeCheckpoint *
sae_checkpoint_ref (SaeCheckpoint *checkpoint)
{
  g_atomic_ref_count_inc (&checkpoint->ref_count);
  return checkpoint;
}

/**
 * sae_checkpoint_unref:
 * @checkpoint: (transfer full): a checkpoint
 *
 * Drops a reference; the last one frees it.
 *
 * Since: 0.1
 */
void
sae_checkpoint_unref (SaeCheckpoint *checkpoint)
{
  if (!g_atomic_ref_count_dec (&checkpoint->ref_count))
    return;
  sae_state_copy_free (checkpoint->state);
  g_free (checkpoint->options);
  g_free (checkpoint->label);
  g_free (checkpoint);
}

static SaeCheckpoint *
checkpoint_take (SaeStateCopy *state, char *options, const char *label)
{
  SaeCheckpoint *checkpoint = g_new0 (SaeCheckpoint, 1);

  g_atomic_ref_count_init (&checkpoint->ref_count);
  checkpoint->state = state;
  checkpoint->options = options;
  checkpoint->label = g_strdup (label);
  return checkpoint;
}

/* --- copying and restoring ------------------------------------------------ */

typedef struct {
  SaeRun *run;
  SaeBatch *batch;
  guint64 received;
} Whole;

static void
describe (gpointer what, SaeState *state)
{
  Whole *whole = what;

  sae_state_u64s (state, "received", &whole->received, 1);
  sae_run_describe (whole->run, state);
  sae_batch_describe (whole->batch, state);
}

SaeCheckpoint *
sae_checkpoint_new (SaeRun *run, SaeBatch *batch, guint64 received,
    GError **error)
{
  Whole whole = {run, batch, received};
  SaeStateCopy *state = sae_state_copy (describe, &whole, error);

  return state ? checkpoint_take (state,
                     sae_trainer_options_to_text (&run->options), "checkpoint")
               : NULL;
}

/* The first number or byte of an array; 0 without one. */
static guint64
read_first (const SaeStateCopy *state, const char *name)
{
  const SaeStateArray *array = sae_state_copy_find (state, name);
  guint64 value = 0;

  if (array)
    memcpy (&value, state->data + array->offset, MIN (array->size, 8));
  return value;
}

/* Before anything of that size is made: the file has weights of it. */
static gboolean
check_weights (SaeCheckpoint *checkpoint, const char *name, gsize rows,
    gsize columns, GError **error)
{
  const SaeStateArray *array = sae_state_copy_find (checkpoint->state, name);
  gsize size;

  if (array && g_size_checked_mul (&size, rows, columns) &&
      g_size_checked_mul (&size, size, sizeof (float)) && size == array->size)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: tensor '%s': expected [%" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT
      "], file has %" G_GSIZE_FORMAT " bytes",
      checkpoint->label, name, rows, columns, array ? array->size : 0);
  return FALSE;
}

gboolean
sae_checkpoint_restore (SaeCheckpoint *checkpoint,
    const SaeTrainerOptions *options, SaeRun **run, SaeBatch *batch,
    GError **error)
{
  SaeTrainerOptions resolved = *options;
  gboolean from_model = read_first (checkpoint->state, "from_model") != 0;
  Whole whole = {.batch = batch};

  if (!sae_trainer_options_adopt (&resolved, checkpoint->options, from_model,
          checkpoint->label, error))
    return FALSE;
  resolved = sae_trainer_options_resolve (&resolved);
  if (!check_weights (checkpoint, "W_enc", resolved.d_sae, resolved.d_in,
          error) ||
      !check_weights (checkpoint, "W_dec", resolved.d_sae, resolved.d_out,
          error) ||
      (resolved.skip && !check_weights (checkpoint, "W_skip", resolved.d_out,
                            resolved.d_in, error)))
    return FALSE;
  whole.run = sae_run_new (&resolved, NULL, error);
  if (!whole.run)
    return FALSE;
  if (sae_batch_init (batch, whole.run, error)) {
    if (sae_state_restore (checkpoint->state, describe, &whole,
            checkpoint->label, error)) {
      *run = whole.run;
      return TRUE;
    }
    sae_batch_clear (batch);
  }
  sae_run_free (whole.run);
  return FALSE;
}

/* --- the file ------------------------------------------------------------- */

static char *
compute_sum (const char *options, const SaeStateCopy *state)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  g_checksum_update (sum, (const guchar *) options, -1);
  for (guint i = 0; i < state->arrays->len; i++) {
    const SaeStateArray *array = state->arrays->pdata[i];
    g_checksum_update (sum, (const guchar *) array->dtype, -1);
    g_checksum_update (sum, (const guchar *) array->name, -1);
  }
  g_checksum_update (sum, state->data, (gssize) state->size);
  return g_strdup (g_checksum_get_string (sum));
}

static gboolean
write_file (int fd, const char *label, gpointer data, GError **error)
{
  SaeCheckpoint *checkpoint = data;
  const SaeStateCopy *state = checkpoint->state;
  guint n = state->arrays->len;
  g_autofree SaeTensorSource *tensors = g_new0 (SaeTensorSource, n);
  g_autofree char *sum = compute_sum (checkpoint->options, state);
  g_autofree char *rows = g_strdup_printf ("%" G_GUINT64_FORMAT,
      sae_checkpoint_get_rows (checkpoint));
  g_autofree char *steps = g_strdup_printf ("%" G_GUINT64_FORMAT,
      sae_checkpoint_get_steps (checkpoint));
  const char *metadata[] = {"format", FORMAT, "version", VERSION, "options",
      checkpoint->options, "rows", rows, "steps", steps, "sha256", sum, NULL};

  for (guint i = 0; i < n; i++) {
    const SaeStateArray *array = state->arrays->pdata[i];
    guint bits = sae_safetensors_dtype_bits (array->dtype);
    tensors[i] = (SaeTensorSource){.name = array->name,
        .rank = 1,
        .shape = {array->size / (bits / 8)},
        .bytes = state->data + array->offset,
        .dtype = array->dtype};
  }
  return sae_safetensors_write_with_metadata (fd, label, metadata, tensors, n,
      error);
}

/**
 * sae_checkpoint_save:
 * @checkpoint: a checkpoint
 * @path: (type filename): the file to write
 * @error: return location
 *
 * Writes one file, which takes the place of an old one as a whole: after a
 * crash at any moment the old or the new one is there.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_checkpoint_save (SaeCheckpoint *checkpoint, const char *path,
    GError **error)
{
  return sae_error_show (sae_atomic_write_file (path, write_file, checkpoint,
                             error),
      error);
}

/* The value of @key of __metadata__, which has to be @expected if that is not
 * NULL; NULL with the error set. */
static const char *
read_metadata (SaeSafetensors *file, const char *key, const char *expected,
    const char *label, GError **error)
{
  const char *found = sae_safetensors_get_metadata (file, key);
  g_autofree char *shown = NULL;

  if (found && (!expected || g_str_equal (found, expected)))
    return found;
  shown = sae_json_shorten (found ? found : "none");
  g_set_error (error, SAE_ERROR,
      g_str_equal (key, "version") ? SAE_ERROR_UNSUPPORTED : SAE_ERROR_FORMAT,
      "%s: not a checkpoint that this version reads: %s: expected %s, found "
      "%s",
      label, key, expected ? expected : "a value", shown);
  return NULL;
}

static gboolean
add_tensor (SaeStateCopy *state, const SaeTensorEntry *entry, const char *label,
    GError **error)
{
  static const char *const known[] = {"U64", "F64", "F32", "U8", NULL};

  if (g_strv_contains (known, entry->dtype_name))
    return sae_state_copy_add (state, entry->name, entry->dtype_name,
        (gsize) entry->size);
  g_autofree char *shown = sae_json_shorten (entry->name);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "%s: tensor '%s': expected U64, F64, F32 or U8, file has %s", label,
      shown, entry->dtype_name);
  return FALSE;
}

static SaeStateCopy *
read_tensors (SaeSafetensors *file, const char *label, GError **error)
{
  g_autoptr (SaeStateCopy) state = sae_state_copy_new ();
  guint n = sae_safetensors_get_n_tensors (file);

  for (guint i = 0; i < n; i++)
    if (!add_tensor (state, sae_safetensors_get_nth (file, i), label, error))
      return NULL;
  if (!sae_state_copy_allocate (state, error))
    return NULL;
  for (guint i = 0; i < n; i++) {
    const SaeTensorEntry *entry = sae_safetensors_get_nth (file, i);
    const SaeStateArray *array = sae_state_copy_find (state, entry->name);
    if (!sae_safetensors_read_bytes (file, entry, state->data + array->offset,
            error))
      return NULL;
  }
  return g_steal_pointer (&state);
}

/* That the header says what the tensors do, and that they are what was
 * written. */
static gboolean
verify_file (SaeSafetensors *file, const char *options,
    const SaeStateCopy *state, const char *label, GError **error)
{
  g_autofree char *sum = compute_sum (options, state);
  g_autofree char *rows =
      g_strdup_printf ("%" G_GUINT64_FORMAT, read_first (state, "received"));
  g_autofree char *steps =
      g_strdup_printf ("%" G_GUINT64_FORMAT, read_first (state, "steps"));
  const char *found = sae_safetensors_get_metadata (file, "sha256");

  if (g_strcmp0 (found, sum) != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: damaged: expected the SHA-256 that the file gives, found %s",
        label, sum);
    return FALSE;
  }
  return read_metadata (file, "rows", rows, label, error) &&
         read_metadata (file, "steps", steps, label, error);
}

static SaeCheckpoint *
read_checkpoint (SaeSafetensors *file, const char *label, gboolean verify,
    GError **error)
{
  g_autoptr (SaeStateCopy) state = NULL;
  const char *options;

  if (!read_metadata (file, "format", FORMAT, label, error) ||
      !read_metadata (file, "version", VERSION, label, error))
    return NULL;
  options = read_metadata (file, "options", NULL, label, error);
  if (!options)
    return NULL;
  state = read_tensors (file, label, error);
  if (!state || (verify && !verify_file (file, options, state, label, error)))
    return NULL;
  return checkpoint_take (g_steal_pointer (&state), g_strdup (options), label);
}

SaeCheckpoint *
sae_checkpoint_load_bytes (GBytes *bytes, const char *label, gboolean verify,
    GError **error)
{
  g_autoptr (SaeSafetensors) file =
      sae_safetensors_open_bytes (bytes, label, error);

  return file ? read_checkpoint (file, label, verify, error) : NULL;
}

/**
 * sae_checkpoint_load:
 * @path: (type filename): a file that sae_checkpoint_save() wrote
 * @error: return location
 *
 * Reads a checkpoint. A file that is not whole, or in which a bit has changed,
 * is refused; %SAE_ERROR_NOT_FOUND when there is none. Whether it fits a
 * trainer is found out by sae_trainer_resume().
 *
 * Returns: (transfer full): a checkpoint, or %NULL
 * Since: 0.1
 */
SaeCheckpoint *
sae_checkpoint_load (const char *path, GError **error)
{
  g_autoptr (SaeSafetensors) file = sae_safetensors_open (path, error);
  SaeCheckpoint *checkpoint =
      file ? read_checkpoint (file, path, TRUE, error) : NULL;

  sae_error_show (checkpoint != NULL, error);
  return checkpoint;
}

/**
 * sae_checkpoint_get_rows:
 * @checkpoint: a checkpoint
 *
 * Returns: rows that the run had received, whether it trained on them, skipped
 *   them or kept them waiting
 * Since: 0.1
 */
guint64
sae_checkpoint_get_rows (SaeCheckpoint *checkpoint)
{
  return read_first (checkpoint->state, "received");
}

/**
 * sae_checkpoint_get_steps:
 * @checkpoint: a checkpoint
 *
 * Returns: optimiser steps that the run had taken
 * Since: 0.1
 */
guint64
sae_checkpoint_get_steps (SaeCheckpoint *checkpoint)
{
  return read_first (checkpoint->state, "steps");
}
