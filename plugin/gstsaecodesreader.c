/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each form is first scattered into rows as it comes; then rows are put in
 * order where they are not, which those of saeencoder always are. */
#include "gstsaecodesreader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gstsaecodes.h"
#include "gstsaelimit.h"

void
gst_sae_codes_reader_init (GstSaeCodesReader *self)
{
  memset (self, 0, sizeof *self);
  gst_sae_reader_init (&self->reader);
}

void
gst_sae_codes_reader_clear (GstSaeCodesReader *self)
{
  gst_sae_reader_clear (&self->reader);
  g_free (self->offsets_scratch);
  g_free (self->indices_scratch);
  g_free (self->values_scratch);
  g_free (self->keys);
  gst_sae_codes_reader_init (self);
}

void
gst_sae_codes_reader_close (GstSaeCodesReader *self)
{
  gst_sae_reader_close (&self->reader);
  self->n_rows = 0;
}

/* --- what tensors codes are --- */

static gboolean
check_pairs (const GstSaeTensors *codes, GError **error)
{
  GstSaeTensor index = codes->tensors[0];
  g_autofree gchar *indices = NULL, *values = NULL;

  index.type = codes->tensors[1].type;
  if (gst_sae_tensor_equal (&index, &codes->tensors[1]))
    return TRUE;
  indices = gst_sae_tensor_dims_to_string (&codes->tensors[0]);
  values = gst_sae_tensor_dims_to_string (&codes->tensors[1]);
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "pairs: expected as many indices as values, got %s and %s", indices,
      values);
  return FALSE;
}

static gboolean
check_width (const GstSaeTensor *codes, const gchar *form, guint d_sae,
    GError **error)
{
  if (d_sae == 0 || codes->dims[0] == d_sae)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s codes: expected rows of %u (dict-size), got rows of %u", form, d_sae,
      codes->dims[0]);
  return FALSE;
}

gboolean
gst_sae_codes_check (const GstSaeTensors *codes, guint d_sae, GError **error)
{
  gboolean sparse = codes->format == GST_SAE_FORMAT_SPARSE;

  if (!sparse && gst_sae_codes_are_pairs (codes))
    return check_pairs (codes, error);
  if (codes->n_tensors == 1 && codes->tensors[0].type == GST_SAE_FLOAT32)
    return check_width (&codes->tensors[0], sparse ? "sparse" : "dense", d_sae,
        error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_UNSUPPORTED,
      "codes: expected %s, got %u tensors, the first of %s",
      sparse ? "float32 (sparse)"
             : "uint32 and float32 (pairs) or float32 (dense)",
      codes->n_tensors, gst_sae_type_name (codes->tensors[0].type));
  return FALSE;
}

/* --- scratch --- */

static gboolean
refuse_memory (const gchar *what, gsize n, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_NO_SPACE,
      "codes: no memory for %" G_GSIZE_FORMAT " %s", n, what);
  return FALSE;
}

static gboolean
reserve_rows (GstSaeCodesReader *self, gsize n_rows, GError **error)
{
  gsize n = n_rows + 1;

  if (n <= self->n_offsets)
    return TRUE;
  if (!gst_sae_limit_check (self->max_bytes, n, sizeof *self->offsets_scratch,
          "rows of codes", error))
    return FALSE;
  g_free (self->offsets_scratch);
  self->offsets_scratch = g_try_malloc_n (n, sizeof *self->offsets_scratch);
  self->n_offsets = self->offsets_scratch ? n : 0;
  return self->offsets_scratch || refuse_memory ("rows", n_rows, error);
}

/* Keeps what is there. */
static gboolean
reserve_entries (GstSaeCodesReader *self, gsize n, GError **error)
{
  guint32 *indices;
  float *values;

  if (n <= self->n_entries)
    return TRUE;
  indices = g_try_realloc_n (self->indices_scratch, n, sizeof *indices);
  if (indices)
    self->indices_scratch = indices;
  values = g_try_realloc_n (self->values_scratch, n, sizeof *values);
  if (values)
    self->values_scratch = values;
  if (!indices || !values)
    return refuse_memory ("latents", n, error);
  self->n_entries = n;
  return TRUE;
}

static gboolean
reserve_keys (GstSaeCodesReader *self, gsize n, GError **error)
{
  if (n <= self->n_keys)
    return TRUE;
  g_free (self->keys);
  self->keys = g_try_malloc_n (n, sizeof *self->keys);
  self->n_keys = self->keys ? n : 0;
  return self->keys || refuse_memory ("latents to sort", n, error);
}

/* --- rows as they come --- */

static gboolean
refuse_index (guint d_sae, guint32 index, gsize row, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
      "codes: expected indices below dict-size %u, got %u in row "
      "%" G_GSIZE_FORMAT,
      d_sae, index, row);
  return FALSE;
}

/* Unused slots are index 0, value 0: no value of 0 is kept. */
static gboolean
scatter_pairs (GstSaeCodesReader *self, const GstSaeReader *in, GError **error)
{
  const guint32 *index = (const guint32 *) in->data[0];
  const float *value = (const float *) in->data[1];
  gsize slots = in->tensors[0].dims[0], n = 0;

  if (!reserve_entries (self, self->n_rows * slots, error))
    return FALSE;
  for (gsize r = 0; r < self->n_rows; r++, index += slots, value += slots) {
    self->offsets_scratch[r] = n;
    for (gsize i = 0; i < slots; i++) {
      if (self->d_sae && index[i] >= self->d_sae)
        return refuse_index (self->d_sae, index[i], r, error);
      self->indices_scratch[n] = index[i];
      self->values_scratch[n] = value[i];
      n += value[i] != 0.0f;
    }
  }
  self->offsets_scratch[self->n_rows] = n;
  return TRUE;
}

#define BLOCK 16

/* Most of dense codes is zeros: whole blocks of them are passed over. A block
 * with a negative zero counts as one that has values. */
static gboolean
is_zero_block (const float *value)
{
  guint64 words[BLOCK / 2], any = 0;

  memcpy (words, value, sizeof words);
  for (guint i = 0; i < BLOCK / 2; i++)
    any |= words[i];
  return any == 0;
}

/* Appends the values of one row, and moves @n behind them. */
static void
gather_row (GstSaeCodesReader *self, const float *value, guint32 width,
    gsize *n)
{
  gsize i = 0;

  while (i < width) {
    gsize end = MIN (i + BLOCK, width);
    if (end - i == BLOCK && is_zero_block (value + i)) {
      i = end;
      continue;
    }
    for (; i < end; i++)
      if (value[i] != 0.0f) {
        self->indices_scratch[*n] = (guint32) i;
        self->values_scratch[(*n)++] = value[i];
      }
  }
}

static gboolean
scatter_dense (GstSaeCodesReader *self, const GstSaeReader *in, GError **error)
{
  const float *value = (const float *) in->data[0];
  guint32 width = in->tensors[0].dims[0];
  gsize n = 0;

  for (gsize r = 0; r < self->n_rows; r++, value += width) {
    if (n + width > self->n_entries &&
        !reserve_entries (self, 2 * n + width, error))
      return FALSE;
    self->offsets_scratch[r] = n;
    gather_row (self, value, width, &n);
  }
  self->offsets_scratch[self->n_rows] = n;
  return TRUE;
}

/* The row of a flat index; @row is a guess, and spares a division. Below 2^32
 * elements in all, an index before the row cannot seem to be in it. */
static guint32
find_row (guint32 flat, guint32 d_sae, guint32 row)
{
  return flat - row * d_sae < d_sae ? row : flat / d_sae;
}

/* Counts the entries of each row, so that offsets[r + 1] is where row r
 * begins. */
static gboolean
count_sparse (GstSaeCodesReader *self, const guint32 *flat, const float *value,
    guint32 nnz, GError **error)
{
  gsize *next = self->offsets_scratch + 1;
  gsize begin = 0;
  guint32 row = 0;

  memset (self->offsets_scratch, 0, (self->n_rows + 1) * sizeof *next);
  for (guint32 p = 0; p < nnz; p++) {
    row = find_row (flat[p], self->d_sae, row);
    if (row >= self->n_rows) {
      g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
          "sparse codes: expected flat indices below %" G_GSIZE_FORMAT
          " rows of %u (dict-size), got %u at place %u",
          self->n_rows, self->d_sae, flat[p], p);
      return FALSE;
    }
    next[row] += value[p] != 0.0f;
  }
  for (gsize r = 0; r < self->n_rows; r++) {
    gsize n = next[r];
    next[r] = begin;
    begin += n;
  }
  return TRUE;
}

/* Entries of a row keep their order; where row r began, it ends when all are
 * placed. */
static gboolean
scatter_sparse (GstSaeCodesReader *self, const GstSaeReader *in, GError **error)
{
  const guint32 nnz = in->nnz;
  const float *value = (const float *) in->data[0];
  const guint32 *flat = nnz ? (const guint32 *) value + nnz : NULL;
  gsize *next = self->offsets_scratch + 1;
  guint32 row = 0;

  if (!count_sparse (self, flat, value, nnz, error) ||
      !reserve_entries (self, nnz, error))
    return FALSE;
  for (guint32 p = 0; p < nnz; p++) {
    gsize place;
    row = find_row (flat[p], self->d_sae, row);
    if (value[p] == 0.0f)
      continue;
    place = next[row]++;
    self->indices_scratch[place] = flat[p] - row * self->d_sae;
    self->values_scratch[place] = value[p];
  }
  return TRUE;
}

/* --- rows in order --- */

static gboolean
is_ascending (const guint32 *index, gsize n)
{
  for (gsize i = 1; i < n; i++)
    if (index[i - 1] >= index[i])
      return FALSE;
  return TRUE;
}

static int
compare_keys (const void *a, const void *b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

/* Sorts @n entries by index and adds up equal ones, in the order given, which
 * is the lower half of the keys. Sums of 0 go. Returns how many are left. */
static gsize
merge_row (guint64 *keys, guint32 *index, float *value, gsize n,
    float *sorted_value)
{
  gsize left = 0;

  for (gsize i = 0; i < n; i++)
    keys[i] = (guint64) index[i] << 32 | i;
  qsort (keys, n, sizeof *keys, compare_keys);
  for (gsize i = 0; i < n; i++)
    sorted_value[i] = value[(guint32) keys[i]];
  for (gsize i = 0; i < n;) {
    guint32 latent = (guint32) (keys[i] >> 32);
    float sum = sorted_value[i++];
    while (i < n && (guint32) (keys[i] >> 32) == latent)
      sum += sorted_value[i++];
    index[left] = latent;
    value[left] = sum;
    left += sum != 0.0f;
  }
  return left;
}

/* Rows that must be merged need scratch for keys and, behind them, values. */
static gboolean
order_row (GstSaeCodesReader *self, gsize begin, gsize n, gsize *left,
    GError **error)
{
  guint32 *index;
  float *value;

  *left = n;
  if (n == 0) /* there may be no scratch either */
    return TRUE;
  index = self->indices_scratch + begin;
  value = self->values_scratch + begin;
  if (is_ascending (index, n))
    return TRUE;
  if (n > G_MAXUINT32)
    return refuse_memory ("latents in one row", n, error);
  if (!reserve_keys (self, n + (n + 1) / 2, error))
    return FALSE;
  *left = merge_row (self->keys, index, value, n, (float *) (self->keys + n));
  return TRUE;
}

static gboolean
order_rows (GstSaeCodesReader *self, GError **error)
{
  gsize *offsets = self->offsets_scratch;
  gsize begin = 0, to = 0;

  for (gsize r = 0; r < self->n_rows; r++) {
    gsize n = offsets[r + 1] - begin, left;
    if (!order_row (self, begin, n, &left, error))
      return FALSE;
    if (to != begin) {
      memmove (self->indices_scratch + to, self->indices_scratch + begin,
          left * sizeof (guint32));
      memmove (self->values_scratch + to, self->values_scratch + begin,
          left * sizeof (float));
    }
    begin = offsets[r + 1];
    to += left;
    offsets[r + 1] = to;
  }
  return TRUE;
}

static gboolean
check_finite (const GstSaeCodesReader *self, GError **error)
{
  for (gsize r = 0; r < self->n_rows; r++)
    for (gsize p = self->offsets[r]; p < self->offsets[r + 1]; p++)
      if (!isfinite (self->values[p])) {
        g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
            "codes: expected finite values, got %s for latent %u in row "
            "%" G_GSIZE_FORMAT,
            isnan (self->values[p]) ? "NaN" : "infinity", self->indices[p], r);
        return FALSE;
      }
  return TRUE;
}

/* --- a buffer --- */

static gboolean
scatter (GstSaeCodesReader *self, const GstSaeReader *in, GError **error)
{
  if (in->format == GST_SAE_FORMAT_SPARSE)
    return scatter_sparse (self, in, error);
  if (in->n_tensors == 2)
    return scatter_pairs (self, in, error);
  return scatter_dense (self, in, error);
}

static gboolean
check_tensors (const GstSaeReader *in, guint d_sae, GError **error)
{
  GstSaeTensors codes = {.format = in->format, .n_tensors = in->n_tensors};

  memcpy (codes.tensors, in->tensors, in->n_tensors * sizeof in->tensors[0]);
  return gst_sae_codes_check (&codes, d_sae, error);
}

/* A buffer of 0 bytes has no tensors at all unless its caps are static. */
static gsize
count_rows (const GstSaeReader *in)
{
  return in->n_tensors > 0 ? in->n_rows[0] : 0;
}

gboolean
gst_sae_codes_reader_read (GstSaeCodesReader *self, const GstSaeReader *in,
    guint d_sae, GError **error)
{
  self->n_rows = 0;
  if (in->n_tensors > 0 && !check_tensors (in, d_sae, error))
    return FALSE;
  self->shape = in->tensors[0];
  self->d_sae = d_sae;
  if (d_sae == 0 && in->n_tensors == 1)
    self->d_sae = in->tensors[0].dims[0];
  if (!reserve_rows (self, count_rows (in), error))
    return FALSE;
  self->offsets = self->offsets_scratch;
  self->offsets_scratch[0] = 0;
  self->n_rows = count_rows (in);
  if (self->n_rows == 0)
    return TRUE;
  if (!scatter (self, in, error) || !order_rows (self, error))
    goto failed;
  self->indices = self->indices_scratch;
  self->values = self->values_scratch;
  if (!check_finite (self, error))
    goto failed;
  return TRUE;

failed:
  self->n_rows = 0;
  return FALSE;
}

gboolean
gst_sae_codes_reader_open (GstSaeCodesReader *self, GstBuffer *buffer,
    const GstSaeTensors *caps, guint d_sae, GError **error)
{
  gboolean ok;

  self->n_rows = 0;
  if (!gst_sae_reader_open_any (&self->reader, buffer, caps, error))
    return FALSE;
  ok = gst_sae_codes_reader_read (self, &self->reader, d_sae, error);
  gst_sae_reader_close (&self->reader);
  return ok;
}
