/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Running a model: the public calls around encode.c and decode.c. */
#include "model.h"

#include <string.h>

#include "latents.h"
#include "sae-edits.h"
#include "skip.h"

/* Rows from which threads are worth starting for a single call. */
#define THREADED_ROWS 64

/* Rows of @width floats in @x. */
static gboolean
count_rows (GBytes *x, guint width, gsize *n_rows, GError **error)
{
  gsize size = g_bytes_get_size (x), row = (gsize) width * sizeof (float);

  *n_rows = size / row;
  if (size % row == 0 && *n_rows <= G_MAXUINT)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "x: expected whole rows of %u floats (%" G_GSIZE_FORMAT
      " bytes), got %" G_GSIZE_FORMAT " bytes",
      width, row, size);
  return FALSE;
}

static SaeWorkspace *
workspace_for (gsize n_rows)
{
  return sae_workspace_new (n_rows < THREADED_ROWS ? 1 : 0);
}

static gboolean
encode (SaeModel *model, SaeWorkspace *workspace, const float *x, gsize n_rows,
    SaeSparseRows *rows, GError **error)
{
  SaeNet net = sae_model_get_net_for (model, x, n_rows);

  return sae_net_encode (&net, workspace, x, n_rows, rows, error);
}

/**
 * sae_model_encode:
 * @model: a model
 * @x: float32 [n_rows, d_in], native endianness
 * @error: return location
 *
 * latents = rule ((norm (x) − [pre_bias] b_dec) W_encᵀ + b_enc), where norm is
 * the model's #SaeInputNorm; what it took from each row stays with the latents
 * (sae_latents_get_row_norms()). The bits do not depend on the other rows, the
 * number of threads or the machine's SIMD level. %SAE_ERROR_NON_FINITE when a
 * row holds a NaN or an infinity.
 *
 * For a stream of buffers use sae_model_encode_rows(), which keeps its
 * memory and threads.
 *
 * Returns: (transfer full): the latents of each row
 * Since: 0.1
 */
SaeLatents *
sae_model_encode (SaeModel *model, GBytes *x, GError **error)
{
  g_autoptr (SaeWorkspace) workspace = NULL;
  SaeSparseRows rows;
  gsize n_rows;

  if (!count_rows (x, sae_model_get_net (model)->d_in, &n_rows, error))
    return NULL;
  workspace = workspace_for (n_rows);
  if (!encode (model, workspace, g_bytes_get_data (x, NULL), n_rows, &rows,
          error))
    return NULL;
  return sae_latents_new_copy (&rows, sae_model_get_net (model)->d_sae, error);
}

static gboolean
check_d_sae (SaeModel *model, SaeLatents *latents, GError **error)
{
  guint d_sae = sae_latents_get_d_sae (latents);

  if (d_sae == sae_model_get_net (model)->d_sae)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "latents: expected %u of them, got %u", sae_model_get_net (model)->d_sae,
      d_sae);
  return FALSE;
}

/* @x is what the skip connection reads, or NULL. */
static GBytes *
decode (SaeModel *model, SaeWorkspace *workspace, const SaeSparseRows *rows,
    const float *x, GError **error)
{
  gsize n_rows = rows->n_rows, d_out = sae_model_get_net (model)->d_out;
  g_autofree float *x_hat = sae_floats_new (n_rows, d_out, "x_hat", error);

  if (!x_hat || !sae_net_decode (sae_model_get_net (model), workspace, rows,
                    x_hat, error))
    return NULL;
  if (x)
    sae_net_skip (sae_model_get_net (model), workspace, x, n_rows, x_hat);
  return g_bytes_new_take (g_steal_pointer (&x_hat),
      n_rows * d_out * sizeof (float));
}

static gboolean
check_no_skip (SaeModel *model, GError **error)
{
  if (!sae_model_get_net (model)->W_skip)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "decode: the model has a skip connection, W_skip, which needs the "
      "activations; codes do not carry them");
  return FALSE;
}

/**
 * sae_model_decode:
 * @model: a model
 * @latents: latents of a model with as many
 * @error: return location
 *
 * x_hat = latents W_dec + b_dec, with the model's #SaeInputNorm undone.
 * %SAE_ERROR_UNSUPPORTED where the model has a skip connection, and when it
 * normalises rows and @latents do not say what of, see
 * sae_latents_with_row_norms().
 *
 * Returns: (transfer full): float32 [n_rows, d_out]
 * Since: 0.1
 */
GBytes *
sae_model_decode (SaeModel *model, SaeLatents *latents, GError **error)
{
  SaeSparseRows rows = sae_latents_get_rows (latents);
  g_autoptr (SaeWorkspace) workspace = NULL;

  if (!check_d_sae (model, latents, error) || !check_no_skip (model, error))
    return NULL;
  workspace = workspace_for (rows.n_rows);
  return decode (model, workspace, &rows, NULL, error);
}

/**
 * sae_model_forward:
 * @model: a model
 * @x: float32 [n_rows, d_in]
 * @latents: (out) (optional) (transfer full): the latents of each row
 * @error: return location
 *
 * Encodes and decodes; x_hat = latents W_dec + b_dec, and x W_skipᵀ more where
 * the model has a skip connection.
 *
 * Returns: (transfer full): float32 [n_rows, d_out], the reconstruction
 * Since: 0.1
 */
GBytes *
sae_model_forward (SaeModel *model, GBytes *x, SaeLatents **latents,
    GError **error)
{
  g_autoptr (SaeWorkspace) workspace = NULL;
  g_autoptr (GBytes) x_hat = NULL;
  SaeSparseRows rows;
  gsize n_rows;

  if (!count_rows (x, sae_model_get_net (model)->d_in, &n_rows, error))
    return NULL;
  workspace = workspace_for (n_rows);
  if (!encode (model, workspace, g_bytes_get_data (x, NULL), n_rows, &rows,
          error))
    return NULL;
  x_hat = decode (model, workspace, &rows, g_bytes_get_data (x, NULL), error);
  if (!x_hat || !latents)
    return g_steal_pointer (&x_hat);
  *latents =
      sae_latents_new_copy (&rows, sae_model_get_net (model)->d_sae, error);
  return *latents ? g_steal_pointer (&x_hat) : NULL;
}

/**
 * sae_model_encode_rows: (skip)
 * @model: a model
 * @workspace: scratch, of this thread
 * @x: [n_rows, d_in]
 * @n_rows: number of rows
 * @offsets: (out): [n_rows + 1]; row r owns the places offsets[r] …
 *   offsets[r + 1] − 1
 * @indices: (out): the latents of each row, ascending
 * @values: (out): their values
 * @error: return location
 *
 * sae_model_encode() for streams: allocates nothing once @workspace has grown.
 * The results belong to @workspace and hold until it is used again.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_model_encode_rows (SaeModel *model, SaeWorkspace *workspace, const float *x,
    gsize n_rows, const gsize **offsets, const guint32 **indices,
    const float **values, GError **error)
{
  SaeSparseRows rows;

  if (!encode (model, workspace, x, n_rows, &rows, error))
    return FALSE;
  *offsets = rows.offsets;
  *indices = rows.index;
  *values = rows.value;
  return TRUE;
}

/* The norms that were given for these rows; they are used once. */
static gboolean
take_norms (SaeModel *model, SaeWorkspace *workspace, SaeSparseRows *rows,
    GError **error)
{
  const SaeRowNorm *norms = workspace->given;
  gsize n_norms = workspace->n_given;

  sae_workspace_set_row_norms (workspace, NULL, 0);
  if (norms && n_norms != rows->n_rows &&
      sae_input_norm_is_per_row (sae_model_get_net (model)->input_norm)) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "codes: expected mean and scale of %" G_GSIZE_FORMAT
        " rows, got those of %" G_GSIZE_FORMAT,
        rows->n_rows, n_norms);
    return FALSE;
  }
  rows->norms = norms;
  return TRUE;
}

/**
 * sae_model_decode_rows: (skip)
 * @model: a model
 * @workspace: scratch, of this thread
 * @offsets: [n_rows + 1]
 * @indices: the latents of each row, in any order; equal ones add up
 * @values: their values
 * @n_rows: number of rows
 * @x_hat: (out caller-allocates): [n_rows, d_out]
 * @error: return location
 *
 * sae_model_decode() for streams. %SAE_ERROR_FORMAT when the rows are not
 * what they should be; @x_hat is then untouched. A model that normalises rows
 * needs sae_workspace_set_row_norms() first, else %SAE_ERROR_UNSUPPORTED.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_model_decode_rows (SaeModel *model, SaeWorkspace *workspace,
    const gsize *offsets, const guint32 *indices, const float *values,
    gsize n_rows, float *x_hat, GError **error)
{
  SaeSparseRows rows = {n_rows, offsets, indices, values};

  return check_no_skip (model, error) &&
         take_norms (model, workspace, &rows, error) &&
         sae_sparse_rows_check (&rows, sae_model_get_net (model)->d_sae,
             error) &&
         sae_net_decode (sae_model_get_net (model), workspace, &rows, x_hat,
             error);
}

/**
 * sae_model_decode_dense: (skip)
 * @model: a model
 * @workspace: scratch, of this thread
 * @latents: [n_rows, d_sae]; 0 is inactive
 * @n_rows: number of rows
 * @x_hat: (out caller-allocates): [n_rows, d_out]
 * @error: return location
 *
 * sae_model_decode_rows() for dense codes, with the same bits.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_model_decode_dense (SaeModel *model, SaeWorkspace *workspace,
    const float *latents, gsize n_rows, float *x_hat, GError **error)
{
  SaeSparseRows rows;

  return check_no_skip (model, error) &&
         sae_workspace_gather (workspace, latents, n_rows,
             sae_model_get_net (model)->d_sae, &rows, error) &&
         take_norms (model, workspace, &rows, error) &&
         sae_net_decode (sae_model_get_net (model), workspace, &rows, x_hat,
             error);
}

/* y = x + deltas where rows change; what was finite stays so, or is refused. */
static GBytes *
add_deltas (const float *x, gsize n_rows, gsize d, const float *deltas,
    const guint8 *changed, GError **error)
{
  g_autofree float *y = sae_floats_new (n_rows, d, "y", error);

  if (!y)
    return NULL;
  if (n_rows > 0)
    memcpy (y, x, n_rows * d * sizeof *y);
  for (gsize r = 0; r < n_rows; r++) {
    if (!changed[r])
      continue;
    sae_kernels ()->add (y + r * d, deltas + r * d, d);
    if (!sae_kernels ()->all_finite (y + r * d, d)) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
          "steer: expected finite sums, the edits of row %" G_GSIZE_FORMAT
          " come to an infinity",
          r);
      return NULL;
    }
  }
  return g_bytes_new_take (g_steal_pointer (&y), n_rows * d * sizeof *y);
}

/**
 * sae_model_steer:
 * @model: a model that reconstructs its own input
 * @x: float32 [n_rows, d_in], native endianness
 * @edits: what to make of which latents
 * @error: return location
 *
 * Activations with edited latents: y = x + (latents′ − latents) W_dec (times
 * the scale of the row, where the model normalises rows), where latents′ is
 * what #SaeEdits makes of them (Templeton et al. 2024, "Scaling
 * monosemanticity"). What the dictionary does not reconstruct stays in y. Rows
 * of which no edited latent changes keep their bits, and without edits @x
 * itself is returned. The bits do not depend on the other rows, the number of
 * threads or the machine's SIMD level. With a #SaeInputNorm that scales rows,
 * latents are those of the normalised row, and what is added is scaled back.
 *
 * %SAE_ERROR_UNSUPPORTED for a transcoder, %SAE_ERROR_SIZE for a latent that
 * the model does not have, %SAE_ERROR_NON_FINITE when a row or what its edits
 * come to holds a NaN or an infinity.
 *
 * For a stream of buffers use sae_model_steer_rows(), which keeps its memory
 * and threads.
 *
 * Returns: (transfer full): float32 [n_rows, d_in]
 * Since: 0.1
 */
GBytes *
sae_model_steer (SaeModel *model, GBytes *x, const SaeEdits *edits,
    GError **error)
{
  gsize d = sae_model_get_net (model)->d_in, n_rows, n_changed;
  g_autoptr (SaeWorkspace) workspace = NULL;
  const float *values = g_bytes_get_data (x, NULL), *deltas;
  const guint8 *changed;

  if (!count_rows (x, (guint) d, &n_rows, error))
    return NULL;
  workspace = workspace_for (n_rows);
  if (!sae_model_steer_rows (model, workspace, edits, values, n_rows, &deltas,
          &changed, &n_changed, error))
    return NULL;
  if (n_changed == 0)
    return g_bytes_ref (x);
  return add_deltas (values, n_rows, d, deltas, changed, error);
}

/**
 * sae_model_forward_rows: (skip)
 * @model: a model
 * @workspace: scratch, of this thread
 * @x: [n_rows, d_in]
 * @n_rows: number of rows
 * @x_hat: (out caller-allocates): [n_rows, d_out], the reconstruction
 * @error: return location
 *
 * sae_model_forward() for streams: allocates nothing once @workspace has grown.
 * What becomes of rows with a NaN or an infinity says
 * sae_workspace_set_zero_nonfinite(): an error, or no latents.
 *
 * Returns: whether it worked
 * Since: 0.1
 */
gboolean
sae_model_forward_rows (SaeModel *model, SaeWorkspace *workspace,
    const float *x, gsize n_rows, float *x_hat, GError **error)
{
  SaeNet net = sae_model_get_net_for (model, x, n_rows);
  SaeSparseRows rows;

  if (!sae_net_encode (&net, workspace, x, n_rows, &rows, error) ||
      !sae_net_decode (&net, workspace, &rows, x_hat, error))
    return FALSE;
  sae_net_skip (&net, workspace, x, n_rows, x_hat);
  return TRUE;
}
