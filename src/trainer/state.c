/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <math.h>
#include <string.h>

/* Widest first, so that each number is on its boundary. */
static const char *const dtypes[] = {"U64", "F64", "F32", "U8"};

typedef enum { LISTING, COPYING, RESTORING } Way;

struct _SaeState {
  Way way;
  SaeStateCopy *copy; /* written to unless it is restored from */
  guint n_restored;
  const char *label;
  GError *error;
};

/* --- the copy ------------------------------------------------------------- */

static void
free_array (gpointer data)
{
  SaeStateArray *array = data;

  g_free (array->name);
  g_free (array);
}

SaeStateCopy *
sae_state_copy_new (void)
{
  SaeStateCopy *copy = g_new0 (SaeStateCopy, 1);

  copy->arrays = g_ptr_array_new_with_free_func (free_array);
  copy->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  return copy;
}

void
sae_state_copy_free (SaeStateCopy *copy)
{
  if (!copy)
    return;
  g_hash_table_unref (copy->by_name);
  g_ptr_array_unref (copy->arrays);
  g_free (copy->data);
  g_free (copy);
}

const SaeStateArray *
sae_state_copy_find (const SaeStateCopy *copy, const char *name)
{
  return g_hash_table_lookup (copy->by_name, name);
}

gboolean
sae_state_copy_add (SaeStateCopy *copy, const char *name, const char *dtype,
    gsize size)
{
  SaeStateArray *array;

  if (g_hash_table_contains (copy->by_name, name))
    return FALSE;
  array = g_new0 (SaeStateArray, 1);
  array->name = g_strdup (name);
  array->dtype = dtype;
  array->size = size;
  g_ptr_array_add (copy->arrays, array);
  g_hash_table_insert (copy->by_name, array->name, array);
  return TRUE;
}

static guint
rank_of (const char *dtype)
{
  guint rank = 0;

  while (rank < G_N_ELEMENTS (dtypes) && !g_str_equal (dtypes[rank], dtype))
    rank++;
  return rank;
}

static gint
compare_dtypes (gconstpointer a, gconstpointer b)
{
  const SaeStateArray *left = *(SaeStateArray *const *) a;
  const SaeStateArray *right = *(SaeStateArray *const *) b;

  return (gint) rank_of (left->dtype) - (gint) rank_of (right->dtype);
}

gboolean
sae_state_copy_allocate (SaeStateCopy *copy, GError **error)
{
  gboolean fits = TRUE;

  g_ptr_array_sort (copy->arrays, compare_dtypes); /* stable */
  copy->size = 0;
  for (guint i = 0; fits && i < copy->arrays->len; i++) {
    SaeStateArray *array = copy->arrays->pdata[i];
    array->offset = copy->size;
    fits = g_size_checked_add (&copy->size, copy->size, array->size);
  }
  copy->data = fits ? g_try_malloc (MAX (copy->size, 1)) : NULL;
  if (copy->data)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "checkpoint: no memory for %" G_GSIZE_FORMAT " bytes", copy->size);
  return FALSE;
}

/* --- the way through ------------------------------------------------------ */

GError **
sae_state_error (SaeState *state)
{
  return state->error ? NULL : &state->error;
}

gboolean
sae_state_is_restoring (const SaeState *state)
{
  return state->way == RESTORING;
}

static void refuse (SaeState *state, SaeError code, const char *name,
    const char *format, ...) G_GNUC_PRINTF (4, 5);

static void
refuse (SaeState *state, SaeError code, const char *name, const char *format,
    ...)
{
  g_autofree char *reason = NULL;
  va_list args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (sae_state_error (state), SAE_ERROR, (gint) code,
      "%s: tensor '%s': %s", state->label, name, reason);
}

gboolean
sae_state_expect (SaeState *state, const char *name, gboolean holds)
{
  if (!holds && !state->error)
    refuse (state, SAE_ERROR_FORMAT, name,
        "expected what fits the run, found something else");
  return !state->error;
}

/* The array of that name and type; NULL with the error set. */
static const SaeStateArray *
find (SaeState *state, const char *name, const char *dtype)
{
  const SaeStateArray *array = sae_state_copy_find (state->copy, name);

  if (!array)
    refuse (state, SAE_ERROR_FORMAT, name, "expected it, file has none");
  else if (!g_str_equal (array->dtype, dtype))
    refuse (state, SAE_ERROR_FORMAT, name, "expected %s, file has %s", dtype,
        array->dtype);
  else
    return array;
  return NULL;
}

/* One array on any of the ways. TRUE when it was restored. */
static gboolean
visit (SaeState *state, const char *name, const char *dtype, gpointer values,
    gsize size)
{
  const SaeStateArray *array;

  if (state->error)
    return FALSE;
  if (state->way == LISTING) {
    if (!sae_state_copy_add (state->copy, name, dtype, size))
      g_error ("two parts of a run are called '%s'", name);
    return FALSE;
  }
  array = find (state, name, dtype);
  if (!array)
    return FALSE;
  if (array->size != size) {
    refuse (state, SAE_ERROR_SIZE, name,
        "expected %" G_GSIZE_FORMAT " bytes, file has %" G_GSIZE_FORMAT, size,
        array->size);
    return FALSE;
  }
  if (size && state->way == COPYING)
    memcpy (state->copy->data + array->offset, values, size);
  else if (size)
    memcpy (values, state->copy->data + array->offset, size);
  state->n_restored += state->way == RESTORING;
  return state->way == RESTORING;
}

void
sae_state_floats (SaeState *state, const char *name, float *values, gsize n)
{
  if (!visit (state, name, "F32", values, n * sizeof *values))
    return;
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i])) {
      refuse (state, SAE_ERROR_NON_FINITE, name,
          "expected finite numbers, found %g at %" G_GSIZE_FORMAT, values[i],
          i);
      return;
    }
}

void
sae_state_doubles (SaeState *state, const char *name, double *values, gsize n)
{
  if (!visit (state, name, "F64", values, n * sizeof *values))
    return;
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i])) {
      refuse (state, SAE_ERROR_NON_FINITE, name,
          "expected finite numbers, found %g at %" G_GSIZE_FORMAT, values[i],
          i);
      return;
    }
}

void
sae_state_u64s (SaeState *state, const char *name, guint64 *values, gsize n)
{
  visit (state, name, "U64", values, n * sizeof *values);
}

void
sae_state_flag (SaeState *state, const char *name, gboolean *value)
{
  guint8 byte = *value != FALSE;

  if (visit (state, name, "U8", &byte, 1) &&
      sae_state_expect (state, name, byte <= 1))
    *value = byte;
}

void
sae_state_text (SaeState *state, const char *name, char **text)
{
  const SaeStateArray *array;
  const char *bytes;

  if (state->error)
    return;
  if (state->way != RESTORING) {
    visit (state, name, "U8", *text, *text ? strlen (*text) : 0);
    return;
  }
  array = find (state, name, "U8");
  if (!array)
    return;
  bytes = (const char *) state->copy->data + array->offset;
  if (!sae_state_expect (state, name,
          g_utf8_validate_len (bytes, array->size, NULL)))
    return;
  g_free (*text);
  *text = g_strndup (bytes, array->size);
  state->n_restored++;
}

SaeStateCopy *
sae_state_copy (SaeStateWalk walk, gpointer what, GError **error)
{
  g_autoptr (SaeStateCopy) copy = sae_state_copy_new ();
  SaeState state = {LISTING, copy, 0, "checkpoint", NULL};

  walk (what, &state);
  if (!state.error && sae_state_copy_allocate (copy, &state.error)) {
    state.way = COPYING;
    walk (what, &state);
  }
  if (state.error) {
    g_propagate_error (error, state.error);
    return NULL;
  }
  return g_steal_pointer (&copy);
}

gboolean
sae_state_restore (const SaeStateCopy *copy, SaeStateWalk walk, gpointer what,
    const char *label, GError **error)
{
  SaeState state = {RESTORING, (SaeStateCopy *) copy, 0, label, NULL};

  walk (what, &state);
  if (!state.error && state.n_restored != copy->arrays->len)
    g_set_error (&state.error, SAE_ERROR, SAE_ERROR_FORMAT,
        "%s: expected %u tensors, file has %u", label, state.n_restored,
        copy->arrays->len);
  if (!state.error)
    return TRUE;
  g_propagate_error (error, state.error);
  return FALSE;
}
