/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "latents.h"

#include <string.h>

struct _SaeLatents {
  gatomicrefcount ref_count;
  guint n_rows, d_sae;
  GBytes *offsets; /* guint64 [n_rows + 1] */
  GBytes *indices; /* guint32 [nnz] */
  GBytes *values;  /* float [nnz] */
  GBytes *norms;   /* SaeRowNorm [n_rows], or NULL */
};

G_DEFINE_BOXED_TYPE (SaeLatents, sae_latents, sae_latents_ref,
    sae_latents_unref)

static SaeLatents *
latents_take (guint n_rows, guint d_sae, GBytes *offsets, GBytes *indices,
    GBytes *values)
{
  SaeLatents *latents = g_new0 (SaeLatents, 1);

  g_atomic_ref_count_init (&latents->ref_count);
  latents->n_rows = n_rows;
  latents->d_sae = d_sae;
  latents->offsets = offsets;
  latents->indices = indices;
  latents->values = values;
  return latents;
}

static gboolean
check_size (GBytes *bytes, const char *what, gsize expected, GError **error)
{
  if (g_bytes_get_size (bytes) == expected)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "latents: %s: expected %" G_GSIZE_FORMAT " bytes, got %" G_GSIZE_FORMAT,
      what, expected, g_bytes_get_size (bytes));
  return FALSE;
}

SaeSparseRows
sae_latents_get_rows (SaeLatents *latents)
{
  return (SaeSparseRows){
      .n_rows = latents->n_rows,
      .offsets = g_bytes_get_data (latents->offsets, NULL),
      .index = g_bytes_get_data (latents->indices, NULL),
      .value = g_bytes_get_data (latents->values, NULL),
      .norms = latents->norms ? g_bytes_get_data (latents->norms, NULL) : NULL,
  };
}

/* Room for n elements; NULL when memory is exhausted. */
static gpointer
try_array (gsize n, gsize element, GError **error)
{
  gpointer array = g_try_malloc_n (MAX (n, 1), element);

  if (!array)
    g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
        "latents: no memory for %" G_GSIZE_FORMAT " numbers", n);
  return array;
}

static GBytes *
try_copy (gconstpointer data, gsize n, gsize element, GError **error)
{
  gpointer copy = try_array (n, element, error);

  if (!copy)
    return NULL;
  if (n)
    memcpy (copy, data, n * element);
  return g_bytes_new_take (copy, n * element);
}

SaeLatents *
sae_latents_new_copy (const SaeSparseRows *rows, guint d_sae, GError **error)
{
  gsize nnz = rows->offsets[rows->n_rows];
  g_autoptr (GBytes) offsets =
      try_copy (rows->offsets, rows->n_rows + 1, sizeof (gsize), error);
  g_autoptr (GBytes) indices =
      offsets ? try_copy (rows->index, nnz, sizeof (guint32), error) : NULL;
  g_autoptr (GBytes) values =
      indices ? try_copy (rows->value, nnz, sizeof (float), error) : NULL;
  g_autoptr (GBytes) norms =
      values && rows->norms
          ? try_copy (rows->norms, rows->n_rows, sizeof (SaeRowNorm), error)
          : NULL;
  SaeLatents *latents;

  if (!values || (rows->norms && !norms))
    return NULL;
  latents =
      latents_take ((guint) rows->n_rows, d_sae, g_steal_pointer (&offsets),
          g_steal_pointer (&indices), g_steal_pointer (&values));
  latents->norms = g_steal_pointer (&norms);
  return latents;
}

/**
 * sae_latents_new:
 * @n_rows: number of rows
 * @d_sae: number of latents; indices are below it
 * @offsets: guint64 [n_rows + 1], rising from 0: row r owns the places
 *   offsets[r] … offsets[r + 1] − 1
 * @indices: guint32 [offsets[n_rows]]
 * @values: float32 [offsets[n_rows]]
 * @error: return location
 *
 * Makes latents from compressed rows. Any order within a row is accepted, and
 * values of equal indices add up. %SAE_ERROR_SIZE when the arrays do not fit
 * each other, %SAE_ERROR_FORMAT for falling offsets or an index out of range.
 *
 * Returns: (transfer full): latents
 * Since: 0.1
 */
SaeLatents *
sae_latents_new (guint n_rows, guint d_sae, GBytes *offsets, GBytes *indices,
    GBytes *values, GError **error)
{
  gsize n_offsets = (gsize) n_rows + 1;
  const gsize *offset = g_bytes_get_data (offsets, NULL);
  SaeSparseRows rows;

  G_STATIC_ASSERT (sizeof (gsize) == sizeof (guint64));
  if (!check_size (offsets, "offsets", n_offsets * sizeof (gsize), error))
    return NULL;
  if (offset[0] != 0 || offset[n_rows] > G_MAXSIZE / sizeof (guint64)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "latents: expected offsets from 0, got %" G_GSIZE_FORMAT
        " to %" G_GSIZE_FORMAT,
        offset[0], offset[n_rows]);
    return NULL;
  }
  if (!check_size (indices, "indices", offset[n_rows] * sizeof (guint32),
          error) ||
      !check_size (values, "values", offset[n_rows] * sizeof (float), error))
    return NULL;
  rows = (SaeSparseRows){n_rows, offset, g_bytes_get_data (indices, NULL),
      g_bytes_get_data (values, NULL)};
  if (!sae_sparse_rows_check (&rows, d_sae, error))
    return NULL;
  return latents_take (n_rows, d_sae, g_bytes_ref (offsets),
      g_bytes_ref (indices), g_bytes_ref (values));
}

/* offsets of rows that all have @slots places */
static GBytes *
even_offsets (gsize n_rows, gsize slots, GError **error)
{
  gsize *offsets = try_array (n_rows + 1, sizeof *offsets, error);

  if (!offsets)
    return NULL;
  for (gsize r = 0; r <= n_rows; r++)
    offsets[r] = r * slots;
  return g_bytes_new_take (offsets, (n_rows + 1) * sizeof (gsize));
}

/**
 * sae_latents_new_from_pairs:
 * @n_rows: number of rows
 * @d_sae: number of latents; indices are below it
 * @indices: guint32 [n_rows, slots]
 * @values: float32 [n_rows, slots]; unused slots are index 0, value 0
 * @error: return location
 *
 * Makes latents from pair codes as `saeencoder` writes them.
 *
 * Returns: (transfer full): latents
 * Since: 0.1
 */
SaeLatents *
sae_latents_new_from_pairs (guint n_rows, guint d_sae, GBytes *indices,
    GBytes *values, GError **error)
{
  gsize size = g_bytes_get_size (indices);
  g_autoptr (GBytes) offsets = NULL;

  if (n_rows == 0 ? size != 0 : size % ((gsize) n_rows * 4) != 0) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "latents: indices: expected a multiple of %u rows of 4 bytes, got "
        "%" G_GSIZE_FORMAT " bytes",
        n_rows, size);
    return NULL;
  }
  offsets = even_offsets (n_rows, n_rows ? size / 4 / n_rows : 0, error);
  if (!offsets)
    return NULL;
  return sae_latents_new (n_rows, d_sae, offsets, indices, values, error);
}

/* Counts of each row, then where it begins; FALSE for a place past the last
 * row. */
static gboolean
count_places (const guint32 *place, gsize n, gsize n_rows, guint d_sae,
    gsize *offsets, GError **error)
{
  memset (offsets, 0, (n_rows + 1) * sizeof *offsets);
  for (gsize p = 0; p < n; p++) {
    if (place[p] / d_sae >= n_rows) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "latents: places: expected them below %" G_GSIZE_FORMAT
          " rows of %u, got %u",
          n_rows, d_sae, place[p]);
      return FALSE;
    }
    offsets[place[p] / d_sae + 1]++;
  }
  for (gsize r = 0; r < n_rows; r++)
    offsets[r + 1] += offsets[r];
  return TRUE;
}

/* Latents of one row keep their order. offsets[r] is moved on to where row r
 * ends, and then back. */
static void
place_in_rows (const guint32 *place, const float *value, gsize n, gsize n_rows,
    guint d_sae, gsize *offsets, guint32 *index, float *sorted)
{
  for (gsize p = 0; p < n; p++) {
    gsize to = offsets[place[p] / d_sae]++;
    index[to] = place[p] % d_sae;
    sorted[to] = value[p];
  }
  memmove (offsets + 1, offsets, n_rows * sizeof *offsets);
  offsets[0] = 0;
}

static gboolean
check_sparse (guint n_rows, guint d_sae, GBytes *values, GBytes *places,
    GError **error)
{
  gsize n = g_bytes_get_size (places) / sizeof (guint32);

  if (d_sae == 0 || (guint64) n_rows * d_sae > (guint64) 1 << 32) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "latents: expected at most 2^32 of them, got %u rows of %u", n_rows,
        d_sae);
    return FALSE;
  }
  return check_size (places, "places", n * sizeof (guint32), error) &&
         check_size (values, "values", n * sizeof (float), error);
}

/**
 * sae_latents_new_from_sparse:
 * @n_rows: number of rows
 * @d_sae: number of latents; n_rows · d_sae is at most 2³²
 * @values: float32 [nnz]
 * @places: guint32 [nnz]: row · d_sae + latent, in any order
 * @error: return location
 *
 * Makes latents from sparse codes as `saeencoder` and NNStreamer's
 * `tensor_sparse_enc` write them: what is behind the header of 128 bytes,
 * which tells the sizes. %SAE_ERROR_SIZE when the arrays do not fit each other
 * or there are too many latents, %SAE_ERROR_FORMAT for a place past the last
 * row.
 *
 * Returns: (transfer full): latents
 * Since: 0.1
 */
SaeLatents *
sae_latents_new_from_sparse (guint n_rows, guint d_sae, GBytes *values,
    GBytes *places, GError **error)
{
  gsize n = g_bytes_get_size (places) / sizeof (guint32);
  const guint32 *place = g_bytes_get_data (places, NULL);
  g_autofree gsize *offset = NULL;
  g_autofree guint32 *index = NULL;
  g_autofree float *value = NULL;
  g_autoptr (GBytes) offsets = NULL, indices = NULL, sorted = NULL;

  if (!check_sparse (n_rows, d_sae, values, places, error) ||
      !(offset = try_array ((gsize) n_rows + 1, sizeof *offset, error)) ||
      !(index = try_array (n, sizeof *index, error)) ||
      !(value = try_array (n, sizeof *value, error)) ||
      !count_places (place, n, n_rows, d_sae, offset, error))
    return NULL;
  place_in_rows (place, g_bytes_get_data (values, NULL), n, n_rows, d_sae,
      offset, index, value);
  offsets = g_bytes_new_take (g_steal_pointer (&offset),
      ((gsize) n_rows + 1) * sizeof (gsize));
  indices = g_bytes_new_take (g_steal_pointer (&index), n * sizeof (guint32));
  sorted = g_bytes_new_take (g_steal_pointer (&value), n * sizeof (float));
  return sae_latents_new (n_rows, d_sae, offsets, indices, sorted, error);
}

/**
 * sae_latents_new_from_dense:
 * @d_sae: number of latents
 * @dense: float32 [n_rows, d_sae]; 0 is inactive
 * @error: return location
 *
 * Makes latents from a dense matrix.
 *
 * Returns: (transfer full): latents
 * Since: 0.1
 */
SaeLatents *
sae_latents_new_from_dense (guint d_sae, GBytes *dense, GError **error)
{
  gsize size, n_rows;
  const float *value = g_bytes_get_data (dense, &size);
  g_autoptr (SaeWorkspace) workspace = NULL;
  SaeSparseRows rows;

  if (d_sae == 0 || size % ((gsize) d_sae * sizeof (float)) != 0 ||
      size / sizeof (float) / d_sae > G_MAXUINT) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
        "latents: expected whole rows of %u floats, got %" G_GSIZE_FORMAT
        " bytes",
        d_sae, size);
    return NULL;
  }
  n_rows = size / sizeof (float) / d_sae;
  workspace = sae_workspace_new (1);
  if (!sae_workspace_gather (workspace, value, n_rows, d_sae, &rows, error))
    return NULL;
  return sae_latents_new_copy (&rows, d_sae, error);
}

/**
 * sae_latents_with_row_norms:
 * @latents: latents
 * @norms: (nullable): float32 [n_rows, 2], mean and scale of each row, as
 *   sae_latents_get_row_norms() gives them
 * @error: return location
 *
 * The same latents with what a model's #SaeInputNorm took from each row: for
 * latents that came another way than by sae_model_encode(), without which
 * sae_model_decode() cannot undo it. Nothing is copied. %SAE_ERROR_SIZE when
 * @norms has another size.
 *
 * Returns: (transfer full): latents
 * Since: 0.1
 */
SaeLatents *
sae_latents_with_row_norms (SaeLatents *latents, GBytes *norms, GError **error)
{
  SaeLatents *copy;

  if (norms && !check_size (norms, "row norms",
                   latents->n_rows * sizeof (SaeRowNorm), error))
    return NULL;
  copy = latents_take (latents->n_rows, latents->d_sae,
      g_bytes_ref (latents->offsets), g_bytes_ref (latents->indices),
      g_bytes_ref (latents->values));
  copy->norms = norms ? g_bytes_ref (norms) : NULL;
  return copy;
}

/**
 * sae_latents_ref:
 * @latents: latents
 *
 * Returns: (transfer full): @latents, with one more reference
 * Since: 0.1
 */
SaeLatents *
sae_latents_ref (SaeLatents *latents)
{
  g_atomic_ref_count_inc (&latents->ref_count);
  return latents;
}

/**
 * sae_latents_unref:
 * @latents: (transfer full): latents
 *
 * Drops a reference; the last one frees the memory.
 *
 * Since: 0.1
 */
void
sae_latents_unref (SaeLatents *latents)
{
  if (!g_atomic_ref_count_dec (&latents->ref_count))
    return;
  g_bytes_unref (latents->offsets);
  g_bytes_unref (latents->indices);
  g_bytes_unref (latents->values);
  g_clear_pointer (&latents->norms, g_bytes_unref);
  g_free (latents);
}

/**
 * sae_latents_get_n_rows:
 * @latents: latents
 *
 * Returns: number of rows
 * Since: 0.1
 */
guint
sae_latents_get_n_rows (SaeLatents *latents)
{
  return latents->n_rows;
}

/**
 * sae_latents_get_d_sae:
 * @latents: latents
 *
 * Returns: number of latents, active or not
 * Since: 0.1
 */
guint
sae_latents_get_d_sae (SaeLatents *latents)
{
  return latents->d_sae;
}

/**
 * sae_latents_get_nnz:
 * @latents: latents
 *
 * Returns: number of entries of all rows together
 * Since: 0.1
 */
guint64
sae_latents_get_nnz (SaeLatents *latents)
{
  return sae_latents_get_rows (latents).offsets[latents->n_rows];
}

/**
 * sae_latents_get_row_indices:
 * @latents: latents
 * @row: a row, below the number of rows
 * @n_active: (out): number of entries of the row
 *
 * Returns: (transfer none) (array length=n_active) (nullable): the row's
 *   latents; %NULL for a row that does not exist
 * Since: 0.1
 */
const guint32 *
sae_latents_get_row_indices (SaeLatents *latents, guint row, guint *n_active)
{
  SaeSparseRows rows = sae_latents_get_rows (latents);

  *n_active = 0;
  g_return_val_if_fail (row < latents->n_rows, NULL);
  *n_active = (guint) (rows.offsets[row + 1] - rows.offsets[row]);
  return rows.index + rows.offsets[row];
}

/**
 * sae_latents_get_row_values:
 * @latents: latents
 * @row: a row, below the number of rows
 * @n_active: (out): number of entries of the row
 *
 * Returns: (transfer none) (array length=n_active) (nullable): the values of
 *   the row's latents; %NULL for a row that does not exist
 * Since: 0.1
 */
const float *
sae_latents_get_row_values (SaeLatents *latents, guint row, guint *n_active)
{
  SaeSparseRows rows = sae_latents_get_rows (latents);

  *n_active = 0;
  g_return_val_if_fail (row < latents->n_rows, NULL);
  *n_active = (guint) (rows.offsets[row + 1] - rows.offsets[row]);
  return rows.value + rows.offsets[row];
}

/**
 * sae_latents_get_offsets:
 * @latents: latents
 *
 * Returns: (transfer full): guint64 [n_rows + 1]; row r owns the places
 *   offsets[r] … offsets[r + 1] − 1 of indices and values
 * Since: 0.1
 */
GBytes *
sae_latents_get_offsets (SaeLatents *latents)
{
  return g_bytes_ref (latents->offsets);
}

/**
 * sae_latents_get_indices:
 * @latents: latents
 *
 * Returns: (transfer full): guint32 [nnz], row after row
 * Since: 0.1
 */
GBytes *
sae_latents_get_indices (SaeLatents *latents)
{
  return g_bytes_ref (latents->indices);
}

/**
 * sae_latents_get_values:
 * @latents: latents
 *
 * Returns: (transfer full): float32 [nnz], row after row
 * Since: 0.1
 */
GBytes *
sae_latents_get_values (SaeLatents *latents)
{
  return g_bytes_ref (latents->values);
}

/**
 * sae_latents_get_row_norms:
 * @latents: latents
 *
 * Returns: (transfer full) (nullable): float32 [n_rows, 2], what the model's
 *   #SaeInputNorm took from each row: mean and scale, in the units of the
 *   stream; x_hat is the decoder's result times the scale, plus the mean. %NULL
 *   for models that do not normalise rows
 * Since: 0.1
 */
GBytes *
sae_latents_get_row_norms (SaeLatents *latents)
{
  return latents->norms ? g_bytes_ref (latents->norms) : NULL;
}

/**
 * sae_latents_to_dense:
 * @latents: latents
 * @error: return location
 *
 * Returns: (transfer full): float32 [n_rows, d_sae], 0 where inactive
 * Since: 0.1
 */
GBytes *
sae_latents_to_dense (SaeLatents *latents, GError **error)
{
  SaeSparseRows rows = sae_latents_get_rows (latents);
  float *dense = sae_floats_new (rows.n_rows, latents->d_sae, "dense", error);

  if (!dense)
    return NULL;
  for (gsize r = 0; r < rows.n_rows; r++)
    for (gsize p = rows.offsets[r]; p < rows.offsets[r + 1]; p++)
      dense[r * latents->d_sae + rows.index[p]] += rows.value[p];
  return g_bytes_new_take (dense,
      rows.n_rows * latents->d_sae * sizeof (float));
}
