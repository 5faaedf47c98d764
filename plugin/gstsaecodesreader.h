/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Codes of any form as compressed rows, with everything checked. */
#pragma once

#include "gstsaetensors.h"

G_BEGIN_DECLS

/* The rows of one buffer, valid until it is closed or another one is read.
 * Reuse one for all buffers of a pad: its scratch only grows. */
typedef struct {
  gsize n_rows;
  guint d_sae;            /* 0 when neither asked for nor told by the codes */
  GstSaeTensor shape;     /* outer dims are those of the rows */
  const gsize *offsets;   /* [n_rows + 1] row r owns the places offsets[r] …
                             offsets[r + 1] − 1 */
  const guint32 *indices; /* [nnz] below d_sae, ascending within a row, each
                             once */
  const float *values;    /* [nnz] finite, not 0 */
  guint64 max_bytes;      /* may be set: what sparse codes may ask for, whose
                             rows need not have any bytes; 0: no limit */
  /*< private >*/
  GstSaeReader reader;
  gsize *offsets_scratch;
  gsize n_offsets;
  guint32 *indices_scratch;
  float *values_scratch;
  gsize n_entries;
  guint64 *keys;
  gsize n_keys;
} GstSaeCodesReader;

void gst_sae_codes_reader_init (GstSaeCodesReader *self);
void gst_sae_codes_reader_clear (GstSaeCodesReader *self);

/* Whether tensors are codes of a dictionary of @d_sae latents (0 = any):
 * pairs, dense, or one sparse tensor, the latter when @codes->format says so.
 * For those whose tensors are known: of static caps, or of an opened buffer. */
gboolean
gst_sae_codes_check (const GstSaeTensors *codes, guint d_sae, GError **error);

/* Reads @buffer, of the negotiated @caps, in any cut into memories. Indices
 * may come in any order; values of equal ones add up, in the order in which
 * they come; zeros (as unused slots of pairs are) are left out. Refused:
 * what gst_sae_codes_check() refuses, sizes that do not fit the caps or the
 * headers, indices that the dictionary does not have (SAE_ERROR_FORMAT), and
 * values or sums that are not finite (SAE_ERROR_NON_FINITE). A buffer of 0
 * bytes has 0 rows. @d_sae 0: not known; pairs are then taken with any index.
 */
gboolean gst_sae_codes_reader_open (GstSaeCodesReader *self, GstBuffer *buffer,
    const GstSaeTensors *caps, guint d_sae, GError **error);

/* The same for a buffer that somebody has open; @in is not needed after. */
gboolean gst_sae_codes_reader_read (GstSaeCodesReader *self,
    const GstSaeReader *in, guint d_sae, GError **error);

void gst_sae_codes_reader_close (GstSaeCodesReader *self);

G_END_DECLS
